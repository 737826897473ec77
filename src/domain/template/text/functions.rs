//! What a text may call: everything a rule may, Alertmanager's methods of labels and alerts (which the rewriting turns
//! into functions), and the stages that escape.

use std::collections::{BTreeMap, HashMap};

use gtmpl_ng::{Func, FuncError, Value, funcs};
use jiff::civil::DateTime;

use super::super::functions::FUNCTIONS;
use super::escape;

/// Functions that only texts for people have.
pub(super) const MORE: [&str; 2] = ["safeHtml", "date"];

/// Methods of labels, alerts and times; each is the function `autoheal_<name>`. The flag says that it takes an argument.
pub(super) const METHODS: [(&str, bool); 7] = [
    ("SortedPairs", false),
    ("Names", false),
    ("Values", false),
    ("Firing", false),
    ("Resolved", false),
    ("Remove", true),
    ("Format", true),
];

/// How a time is written out, as Go writes it.
pub const TIME: &str = "%Y-%m-%d %H:%M:%S%.f +0000 UTC";

/// Every function by its name.
pub(super) fn all() -> HashMap<String, Func> {
    let ours: [(&str, Func); 15] = [
        ("index", index),
        ("safeHtml", |values| Ok(Value::from(text(last(values)?)?))),
        ("date", |values| format(&reversed(values)?)),
        ("autoheal_plain", |values| Ok(Value::from(text(last(values)?)?))),
        ("autoheal_slack", |values| Ok(Value::from(escape::slack(&text(last(values)?)?)))),
        ("autoheal_html", |values| Ok(Value::from(escape::html(&text(last(values)?)?)))),
        ("autoheal_address", |values| Ok(Value::from(escape::address(&text(last(values)?)?)))),
        ("autoheal_soft", |values| Ok(soft(last(values)?.clone()))),
        ("autoheal_SortedPairs", |values| Ok(Value::Array(pairs(last(values)?)?.into_iter().map(pair).collect()))),
        ("autoheal_Names", |values| Ok(column(pairs(last(values)?)?, |(name, _)| name))),
        ("autoheal_Values", |values| Ok(column(pairs(last(values)?)?, |(_, value)| value))),
        ("autoheal_Firing", |values| with_status(last(values)?, "firing")),
        ("autoheal_Resolved", |values| with_status(last(values)?, "resolved")),
        ("autoheal_Remove", remove),
        ("autoheal_Format", format),
    ];
    FUNCTIONS.into_iter().chain(ours).map(|(name, function)| (name.to_owned(), function)).collect()
}

fn wrong(message: impl Into<String>) -> FuncError {
    FuncError::Generic(message.into())
}

fn last(values: &[Value]) -> Result<&Value, FuncError> {
    values.last().ok_or_else(|| wrong("a value is missing"))
}

fn reversed(values: &[Value]) -> Result<Vec<Value>, FuncError> {
    let [layout, time] = values else { return Err(wrong("date takes a layout and a time")) };
    Ok(vec![time.clone(), layout.clone()])
}

/// What is not there is an empty text.
fn soft(value: Value) -> Value {
    match value {
        Value::NoValue | Value::Nil => Value::from(""),
        value => value,
    }
}

/// A value as it is written out.
fn text(value: &Value) -> Result<String, FuncError> {
    match value {
        Value::NoValue | Value::Nil => Ok(String::new()),
        Value::String(text) => Ok(text.clone()),
        Value::Object(_) => Err(wrong("a structure is no text; name one of its fields")),
        Value::Function(_) => Err(wrong("a function is no text")),
        value => Ok(value.to_string()),
    }
}

fn index(values: &[Value]) -> Result<Value, FuncError> {
    // The engine shows everything there is when something is not there.
    funcs::index(values).map(soft).map_err(|_| wrong("index: there is no such entry"))
}

/// Names and values as Alertmanager sorts them: `alertname` first. What `SortedPairs` has made is taken too.
fn pairs(value: &Value) -> Result<Vec<(Value, Value)>, FuncError> {
    let read = |pair: &Value| match pair {
        Value::Object(fields) => fields.get("Name").cloned().zip(fields.get("Value").cloned()),
        _ => None,
    };
    match value {
        Value::Map(map) => {
            let mut sorted: Vec<_> = map.iter().collect();
            sorted.sort_by_key(|(name, _)| (*name != "alertname", *name));
            Ok(sorted.into_iter().map(|(name, value)| (Value::from(name.as_str()), value.clone())).collect())
        }
        Value::Array(items) => {
            items.iter().map(read).collect::<Option<_>>().ok_or_else(|| wrong("only labels and annotations have these"))
        }
        _ => Err(wrong("only labels and annotations have these")),
    }
}

fn pair((name, value): (Value, Value)) -> Value {
    Value::Object(BTreeMap::from([("Name".to_owned(), name), ("Value".to_owned(), value)]).into_iter().collect())
}

fn column(pairs: Vec<(Value, Value)>, choose: fn((Value, Value)) -> Value) -> Value {
    Value::Array(pairs.into_iter().map(choose).collect())
}

fn with_status(alerts: &Value, status: &str) -> Result<Value, FuncError> {
    let Value::Array(alerts) = alerts else { return Err(wrong("only alerts have these")) };
    let is_so = |alert: &&Value| match alert {
        Value::Object(fields) => fields.get("Status") == Some(&Value::from(status)),
        _ => false,
    };
    Ok(Value::Array(alerts.iter().filter(is_so).cloned().collect()))
}

fn remove(values: &[Value]) -> Result<Value, FuncError> {
    let [Value::Map(map), Value::Array(names)] = values else {
        return Err(wrong("Remove takes a list of names, for example (stringSlice \"job\")"));
    };
    let kept = map.iter().filter(|(name, _)| !names.contains(&Value::from(name.as_str())));
    Ok(Value::Map(kept.map(|(name, value)| (name.clone(), value.clone())).collect()))
}

/// Go's layouts: the parts of 2006-01-02 15:04:05, and what stands for each here. Longer ones come first.
const LAYOUT: [(&str, &str); 24] = [
    ("January", "%B"),
    ("Monday", "%A"),
    ("Z07:00", "Z"),
    ("-07:00", "+00:00"),
    ("-0700", "+0000"),
    ("2006", "%Y"),
    ("Jan", "%b"),
    ("Mon", "%a"),
    ("MST", "UTC"),
    ("01", "%m"),
    ("02", "%d"),
    ("_2", "%e"),
    ("03", "%I"),
    ("04", "%M"),
    ("05", "%S"),
    ("06", "%y"),
    ("15", "%H"),
    ("PM", "%p"),
    ("pm", "%P"),
    ("1", "%-m"),
    ("2", "%-d"),
    ("3", "%-I"),
    ("4", "%-M"),
    ("5", "%-S"),
];

/// A time in a layout of Go's, in UTC.
fn format(values: &[Value]) -> Result<Value, FuncError> {
    let [Value::String(time), Value::String(layout)] = values else {
        return Err(wrong("Format takes a layout, for example \"15:04:05\""));
    };
    if time.is_empty() {
        return Ok(Value::from(""));
    }
    let time = DateTime::strptime(TIME, time).map_err(|_| wrong("only a time has a Format"))?;
    let mut translated = String::new();
    let mut rest = layout.as_str();
    while let Some(c) = rest.chars().next() {
        let literal = if c == '%' { "%%" } else { &rest[..c.len_utf8()] };
        let part = LAYOUT.iter().find(|(go, _)| rest.starts_with(go));
        let (length, written) = part.map_or((c.len_utf8(), literal), |(go, ours)| (go.len(), *ours));
        translated.push_str(written);
        rest = &rest[length..];
    }
    Ok(Value::from(time.strftime(&translated).to_string()))
}
