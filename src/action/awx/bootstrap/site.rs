//! Finds one thing on the server, makes it when it is missing, and puts right what differs. Whoever only looks has no hand to
//! change anything with.

use reqwest::Method;
use serde_json::{Map, Value, json};

use super::super::client::{Answer, Client};
use super::super::fault::{Fault, Kind};
use super::super::look::{self, Memory};
use super::super::model;
use super::PATIENCE;
use crate::action::words::cut;
use crate::secret::Secret;

/// Looks, and nothing else.
pub(super) struct Eyes<'c>(pub &'c Client);

/// Changes the server. There is none in a dry run.
pub(super) struct Hand<'c>(pub &'c Client);

/// Where something is, or that a dry run would have made it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Found {
    /// Its number.
    Number(u64),
    /// It is not there yet.
    Later,
}

impl Found {
    /// Its number, as far as there is one.
    pub const fn number(self) -> Option<u64> {
        match self {
            Self::Number(number) => Some(number),
            Self::Later => None,
        }
    }
}

/// One thing as it should be.
pub(super) struct Wish<'w> {
    /// What it is, for people: `project otus`.
    pub what: String,
    /// The list it is looked for in.
    pub list: String,
    /// What tells it from all others there.
    pub query: Vec<(&'static str, &'w str)>,
    /// The list it is added to.
    pub add_to: String,
    /// The folder it stands in by its number.
    pub folder: &'static str,
    /// Fields that make it what it is; sent when it is made, not compared.
    pub identity: Map<String, Value>,
    /// Fields that are compared and corrected. Null stands for what a dry run cannot know.
    pub fields: Map<String, Value>,
    /// Whom to ask for what when it is forbidden.
    pub ask_for: String,
}

impl Wish<'_> {
    /// The number of what was found or made.
    pub fn number(&self, row: &Value) -> Result<u64, String> {
        let said = || format!("{}: the server names no number for it; is this the address of an AWX API?", self.what);
        row.get("id").and_then(Value::as_u64).ok_or_else(said)
    }
}

/// What came of it all.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Tally {
    /// Things that were as wanted.
    pub unchanged: usize,
    /// Things that were made, or would be.
    pub created: usize,
    /// Things that were put right, or would be.
    pub corrected: usize,
    /// Things that could not be had.
    pub failed: usize,
}

/// One server, and what has happened to it.
pub(super) struct Site<'s> {
    pub eyes: Eyes<'s>,
    pub hand: Option<Hand<'s>>,
    pub memory: &'s Memory,
    /// Values that must not be told; a server quotes what it was sent.
    pub secrets: Vec<&'s Secret>,
    pub tally: Tally,
    pub tell: &'s mut (dyn FnMut(String) + Send),
}

impl Eyes<'_> {
    pub async fn get(&self, path: &str, query: &[(&str, &str)], doing: &str) -> Result<Answer, Fault> {
        self.0.get(path, query, doing, self.0.now() + PATIENCE).await
    }

    pub async fn rows(&self, path: &str, query: &[(&str, &str)], doing: &str) -> Result<Vec<Value>, Fault> {
        Ok(model::rows(&self.get(path, query, doing).await?.body))
    }
}

impl Hand<'_> {
    pub async fn post(&self, path: &str, body: &Value, doing: &str) -> Result<Answer, Fault> {
        self.0.change(Method::POST, path, body, doing, self.0.now() + PATIENCE).await
    }

    pub async fn patch(&self, path: &str, body: &Value, doing: &str) -> Result<Answer, Fault> {
        self.0.change(Method::PATCH, path, body, doing, self.0.now() + PATIENCE).await
    }
}

impl Site<'_> {
    /// Tells one line.
    pub fn say(&mut self, line: &str) {
        let line = self.masked(line);
        (self.tell)(line);
    }

    /// Tells what could not be had, and counts it.
    pub fn fail(&mut self, error: &str) {
        self.tally.failed += 1;
        self.say(&format!("error: {error}"));
    }

    fn masked(&self, line: &str) -> String {
        self.secrets.iter().fold(line.to_owned(), |line, secret| mask(&line, secret.expose()))
    }

    /// What is told of something that was done, or that a dry run leaves undone.
    pub fn done(&self, done: &str) -> String {
        if self.hand.is_some() { done.to_owned() } else { format!("would be {done}") }
    }

    /// Has one thing there as it should be. Answers where it is, and how it was found before anything was changed.
    pub async fn ensure(&mut self, wish: &Wish<'_>) -> Result<(Found, Option<Value>), String> {
        let Some(row) = self.find(wish).await? else {
            let number = self.add(wish).await?;
            self.tally.created += 1;
            let line = format!("{}: {}", wish.what, self.done("created"));
            self.say(&line);
            return Ok((number, None));
        };
        let number = wish.number(&row)?;
        self.correct(wish, number, &row).await?;
        Ok((Found::Number(number), Some(row)))
    }

    /// Looks for the one thing that is meant; it must be there when it is only referred to.
    pub async fn find(&self, wish: &Wish<'_>) -> Result<Option<Value>, String> {
        let doing = format!("look for {}", wish.what);
        let rows = self.eyes.rows(&wish.list, &wish.query, &doing).await;
        let mut rows = rows.map_err(|fault| self.explain(&fault, &wish.ask_for))?;
        if rows.len() > 1 {
            return Err(format!("{}: there are {} of that name, and none is chosen by luck", wish.what, rows.len()));
        }
        Ok(rows.pop())
    }

    async fn add(&self, wish: &Wish<'_>) -> Result<Found, String> {
        let Some(hand) = &self.hand else { return Ok(Found::Later) };
        let fields = wish.identity.iter().chain(&wish.fields).filter(|(_, value)| !value.is_null());
        let body: Map<_, _> = fields.map(|(field, value)| (field.clone(), value.clone())).collect();
        let doing = format!("create {}", wish.what);
        let answer = hand.post(&wish.add_to, &Value::Object(body), &doing).await;
        let answer = answer.map_err(|fault| self.explain(&fault, &wish.ask_for))?;
        wish.number(&answer.body).map(Found::Number)
    }

    async fn correct(&mut self, wish: &Wish<'_>, number: u64, row: &Value) -> Result<(), String> {
        let differs = |(field, wanted): &(&String, &Value)| !wanted.is_null() && !is_same(&row[field.as_str()], wanted);
        let drift: Vec<_> = wish.fields.iter().filter(differs).collect();
        if drift.is_empty() {
            self.tally.unchanged += 1;
            self.say(&format!("{}: unchanged", wish.what));
            return Ok(());
        }
        if let Some(hand) = &self.hand {
            let body: Map<_, _> = drift.iter().map(|(field, value)| ((*field).clone(), (*value).clone())).collect();
            let path = format!("{}/{number}/", wish.folder);
            let patched = hand.patch(&path, &Value::Object(body), &format!("correct {}", wish.what)).await;
            patched.map_err(|fault| self.explain(&fault, &wish.ask_for))?;
        }
        let told = |(field, wanted): &(&String, &Value)| {
            format!("{field} {} → {}", shown(&row[field.as_str()]), shown(wanted))
        };
        let drift = drift.iter().map(told).collect::<Vec<_>>().join(", ");
        self.tally.corrected += 1;
        let line = format!("{}: {}: {drift}", wish.what, self.done("corrected"));
        self.say(&line);
        Ok(())
    }

    /// Has something be a part of something else: a host of a group, a credential of a template.
    pub async fn join(&mut self, path: &str, part: Found, what: &str, ask_for: &str) -> Result<(), String> {
        let doing = format!("look for {what}");
        if let (Some(number), false) = (part.number(), path.is_empty()) {
            let id = number.to_string();
            let rows = self.eyes.rows(path, &[("id", &id)], &doing).await;
            if !rows.map_err(|fault| self.explain(&fault, ask_for))?.is_empty() {
                self.tally.unchanged += 1;
                self.say(&format!("{what}: unchanged"));
                return Ok(());
            }
            if let Some(hand) = &self.hand {
                let joined = hand.post(path, &json!({"id": number}), &format!("add {what}")).await;
                joined.map_err(|fault| self.explain(&fault, ask_for))?;
            }
        }
        self.tally.created += 1;
        let line = format!("{what}: {}", self.done("added"));
        self.say(&line);
        Ok(())
    }

    /// A fault, and whom to ask for what.
    pub fn explain(&self, fault: &Fault, ask_for: &str) -> String {
        let Fault { place, doing, kind } = fault;
        // Before anything is added behind it: a quoted secret may be cut off at the end.
        let kind = match kind.clone() {
            Kind::Status { status, said, retry_after, request } => {
                Kind::Status { status, said: self.masked(&said), retry_after, request }
            }
            other => other,
        };
        match &kind {
            Kind::Status { status: 403, said, .. } => {
                let user = self.memory.known_user().unwrap_or_else(|| "we are there".to_owned());
                format!(
                    "could not {doing} on AWX {place}: HTTP 403: {said}; ask an administrator of that AWX {ask_for} (our user: {user})"
                )
            }
            Kind::Status { status: 400, said, .. } if said.contains("already exists") => format!(
                "could not {doing} on AWX {place}: {said}: it is there, but our user may not see it; ask an administrator of that AWX {ask_for}"
            ),
            Kind::Status { status: 400, said, .. } if said.contains("Playbook not found") => format!(
                "could not {doing} on AWX {place}: {said}: it was not in the repository when the project was last synchronised; push it, synchronise the project, and run this again"
            ),
            Kind::Hung(_) | Kind::Broken(_) | Kind::NoConnection(_) => {
                format!("{fault}; what is done stays done, run this again to go on")
            }
            _ => Fault { kind, ..fault.clone() }.to_string(),
        }
    }

    /// Who we are there, so that faults can say it.
    pub async fn see_who_we_are(&self) -> Result<(), String> {
        let client = self.eyes.0;
        look::user(client, self.memory, client.now() + PATIENCE).await.map_err(|fault| fault.to_string())?;
        Ok(())
    }
}

/// Whether a field says what it should. Variables are kept as text, in JSON or in YAML.
fn is_same(found: &Value, wanted: &Value) -> bool {
    if found == wanted {
        return true;
    }
    let (Value::String(found), Value::String(wanted)) = (found, wanted) else { return false };
    let read = |text: &str| {
        let value: Option<Value> = serde_yaml::from_str(text).ok();
        value.map(|value| if value.is_null() { json!({}) } else { value })
    };
    matches!((read(found), read(wanted)), (Some(found @ Value::Object(_)), Some(wanted)) if found == wanted)
}

/// Takes a secret out of what a server said: as it is, as JSON writes it, squeezed into one line, or cut off at the end.
fn mask(line: &str, secret: &str) -> String {
    const SHORTEST: usize = 4;
    let quoted = Value::from(secret).to_string();
    let squeezed = secret.split_whitespace().collect::<Vec<_>>().join(" ");
    let mut line = line.to_owned();
    for form in [quoted.trim_matches('"'), &squeezed, secret] {
        line = line.replace(form, "[secret]");
        let whole = line.trim_end_matches('…');
        let begun = form.char_indices().rev().map(|(at, _)| &form[..at]).take_while(|begun| begun.len() >= SHORTEST);
        if let Some(begun) = begun.into_iter().find(|begun| whole.ends_with(begun)).filter(|_| whole.len() < line.len())
        {
            line = format!("{}[secret]…", &whole[..whole.len() - begun.len()]);
        }
    }
    line
}

fn shown(value: &Value) -> String {
    match value {
        Value::String(text) if text.is_empty() => "«»".to_owned(),
        Value::String(text) => cut(text, 60),
        Value::Null => "nothing".to_owned(),
        other => cut(&other.to_string(), 60),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_is_not_told_in_any_form() {
        let key = "-----BEGIN KEY-----\nabc def\nghi\n-----END KEY-----";
        for said in [
            format!("bad key {key}"),
            format!("bad key {}", Value::from(key)),
            format!("bad key {}", cut(key, 1000)),
            format!("bad key {}", cut(key, 30)),
            cut(&format!("bad key {}", Value::from(key)), 40),
        ] {
            let masked = mask(&said, key);
            assert!(masked.starts_with("bad key") && masked.contains("[secret]"), "{said}: {masked}");
            assert!(!masked.contains("abc") && !masked.contains("BEGIN"), "{said}: {masked}");
        }
        assert_eq!(mask("nothing of it", key), "nothing of it");
    }

    #[test]
    fn variables_are_compared_by_what_they_say() {
        for (found, wanted, same) in [
            (json!("---\na: 1\nb: [x]\n"), json!(r#"{"a":1,"b":["x"]}"#), true),
            (json!(""), json!("{}"), true),
            (json!("---\n"), json!("{}"), true),
            (json!("a: 2"), json!(r#"{"a":1}"#), false),
            (json!("web1"), json!("web2"), false),
            (json!("1"), json!("1.0"), false),
            (json!(1), json!("1"), false),
            (json!("a: ["), json!("{}"), false),
        ] {
            assert_eq!(is_same(&found, &wanted), same, "{found} {wanted}");
        }
    }
}
