//! Compiled patterns, each once: the rules of a file repeat the same few, and compiling one takes longer than reading a rule.

use std::cell::RefCell;
use std::collections::HashMap;

use crate::domain::matcher::{Matcher, MatcherError};
use crate::domain::regex::{Regex, RegexError};

/// What was compiled so far.
#[derive(Default)]
pub(super) struct Patterns {
    searches: RefCell<HashMap<String, Regex>>,
    matchers: RefCell<HashMap<String, Vec<Matcher>>>,
}

impl Patterns {
    /// As [`Regex::search`].
    pub fn search(&self, text: &str) -> Result<Regex, RegexError> {
        remembered(&self.searches, text, Regex::search)
    }

    /// As [`Matcher::parse_list`].
    pub fn matchers(&self, text: &str) -> Result<Vec<Matcher>, MatcherError> {
        // Without a pattern there is nothing to compile, and such matchers are often each rule's own.
        if text.contains('~') {
            remembered(&self.matchers, text, Matcher::parse_list)
        } else {
            Matcher::parse_list(text)
        }
    }
}

fn remembered<T: Clone, E>(
    known: &RefCell<HashMap<String, T>>,
    text: &str,
    compile: impl FnOnce(&str) -> Result<T, E>,
) -> Result<T, E> {
    if let Some(compiled) = known.borrow().get(text) {
        return Ok(compiled.clone());
    }
    let compiled = compile(text)?;
    known.borrow_mut().insert(text.to_owned(), compiled.clone());
    Ok(compiled)
}
