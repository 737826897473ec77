//! Where the engine is more generous than Go: comparisons of different kinds, and `printf` whose verbs and values do not
//! fit, which Go answers with an error or with `%!d(string=a)`. Here each is an error.

use gtmpl_ng::{FuncError, NumberKind, Value, funcs};

use super::functions::all_defined;

/// What Go compares only with its own kind.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Basic {
    Bool,
    Text,
    Integer,
    Float,
}

impl Basic {
    fn of(value: &Value) -> Option<Self> {
        match value {
            Value::Bool(_) => Some(Self::Bool),
            Value::String(_) => Some(Self::Text),
            Value::Number(number) => Some(match number.kind() {
                NumberKind::Float(_) => Self::Float,
                NumberKind::Signed(_) | NumberKind::Unsigned(_) => Self::Integer,
            }),
            _ => None,
        }
    }
}

/// Refuses arguments that Go would not compare.
pub(super) fn comparable(name: &str, arguments: &[Value]) -> Result<(), FuncError> {
    all_defined(arguments)?;
    let kinds: Vec<Option<Basic>> = arguments.iter().map(Basic::of).collect();
    let is_order = !matches!(name, "eq" | "ne");
    if kinds.windows(2).any(|pair| pair[0] != pair[1]) {
        return Err(FuncError::Generic(format!(
            "{name} compares values of one kind, not for example a text and a number"
        )));
    }
    if kinds.contains(&None) || (is_order && kinds.contains(&Some(Basic::Bool))) {
        return Err(FuncError::Generic(format!("{name} cannot compare such values")));
    }
    Ok(())
}

/// `printf` whose verbs and values fit.
pub(super) fn printf(arguments: &[Value]) -> Result<Value, FuncError> {
    all_defined(arguments)?;
    let [Value::String(format), values @ ..] = arguments else {
        return Err(FuncError::Generic("printf begins with a format, a text".to_owned()));
    };
    let verbs = verbs(format).map_err(FuncError::Generic)?;
    let (wanted, given) = (verbs.len(), values.len());
    if wanted != given {
        return Err(FuncError::Generic(format!("printf: the format has {wanted} verbs, but there are {given} values")));
    }
    match verbs.iter().zip(values).find(|(verb, value)| !fits(**verb, value)) {
        Some((verb, value)) => Err(FuncError::Generic(format!("printf: %{verb} does not fit the value {value}"))),
        None => funcs::printf(arguments),
    }
}

/// The verbs of a format.
///
/// # Errors
/// In words, when there is one that nobody needs in a rule: pointers, Go's own syntax, numbered or counted arguments.
pub(super) fn verbs(format: &str) -> Result<Vec<char>, String> {
    let mut verbs = Vec::new();
    let mut rest = format;
    while let Some((_, after)) = rest.split_once('%') {
        let verb_at = after
            .find(|c: char| !(c.is_ascii_digit() || matches!(c, '+' | '-' | '#' | ' ' | '.')))
            .ok_or("printf: the format ends within a verb")?;
        let (manner, from_verb) = after.split_at(verb_at);
        let verb = from_verb.chars().next().unwrap_or('%');
        let is_known = "sqvdtxXobcUeEfFgG".contains(verb);
        let is_fit = !manner.contains('#') || matches!(verb, 'x' | 'X' | 'o' | 'q');
        match verb {
            '%' if manner.is_empty() => {}
            verb if is_known && is_fit => verbs.push(verb),
            verb => return Err(format!("printf: %{manner}{verb} is not supported")),
        }
        rest = &from_verb[verb.len_utf8()..];
    }
    Ok(verbs)
}

fn fits(verb: char, value: &Value) -> bool {
    match (verb, Basic::of(value)) {
        ('v', _) => true,
        (_, None) => verb == 's',
        (_, Some(Basic::Text)) => matches!(verb, 's' | 'q' | 'x' | 'X'),
        (_, Some(Basic::Integer)) => matches!(verb, 'd' | 'x' | 'X' | 'o' | 'b' | 'c' | 'U' | 'q'),
        (_, Some(Basic::Float)) => matches!(verb, 'e' | 'E' | 'f' | 'F' | 'g' | 'G'),
        (_, Some(Basic::Bool)) => verb == 't',
    }
}
