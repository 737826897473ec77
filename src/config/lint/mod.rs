//! What loads and yet is probably not meant: looked for by `autoheal check` once everything else is right.
//!
//! Each finding is a warning with a code. `# autoheal: allow CODE` on its line, or on the line above, says that it is meant.

mod limits;
mod reach;
mod routes;
mod secrets;
mod selection;
mod targets;
mod times;

use std::cell::RefCell;
use std::ops::Range;
use std::sync::Arc;

use super::diagnostic::{Diagnostic, Diagnostics, Place, Severity, SourceFile};
use super::yaml::{Kind, Node};
use crate::domain::rule::HealRule;

/// A rule and where it is written.
pub(super) struct Linted<'a> {
    pub rule: &'a HealRule,
    pub node: &'a Node,
    pub file: &'a Arc<SourceFile>,
}

impl Linted<'_> {
    /// Where the value of a key of the rule stands; of the nearest key above it that is there.
    fn span(&self, path: &[&str]) -> &Range<usize> {
        let mut node = self.node;
        for key in path {
            match node.value(key) {
                Some(found) => node = found,
                None => break,
            }
        }
        &node.span
    }

    /// Where the rule's name stands.
    fn name_span(&self) -> &Range<usize> {
        self.span(&["metadata", "name"])
    }

    /// Where the rule says something about a label: in `labels`, or in the matcher that begins with its name.
    fn label_span(&self, label: &str) -> &Range<usize> {
        if let Some(found) = self.node.value("labels").and_then(|labels| labels.value(label)) {
            return &found.span;
        }
        let matchers = self.node.value("matchers").map_or(&[][..], |node| items(node));
        let about = matchers.iter().find(|node| node.written.trim_start_matches(['{', ' ', '"']).starts_with(label));
        about.map_or_else(|| self.name_span(), |node| &node.span)
    }

    /// The steps as written: those of `steps`, or the rule itself where it has one action.
    fn step_nodes(&self) -> &[Node] {
        self.node.value("steps").map_or(std::slice::from_ref(self.node), |steps| items(steps))
    }
}

/// The items of a list.
fn items(node: &Node) -> &[Node] {
    match &node.kind {
        Kind::List(items) => items,
        _ => &[],
    }
}

/// Where findings go.
pub(super) struct Findings<'a>(pub &'a RefCell<Diagnostics>);

impl Findings<'_> {
    fn add(
        &self,
        code: &'static str,
        (file, span): (&Arc<SourceFile>, &Range<usize>),
        message: impl Into<String>,
        label: impl Into<String>,
        help: Option<String>,
    ) {
        let place = Place::new(file, span);
        if is_allowed(file.text(), span.start, code) {
            return;
        }
        let (message, label) = (message.into(), label.into());
        let found =
            Diagnostic { severity: Severity::Warning, code: Some(code), place: Some(place), message, label, help };
        self.0.borrow_mut().push(found);
    }
}

/// Whether a comment on the line of `offset`, or on the one above, allows a finding.
fn is_allowed(text: &str, offset: usize, code: &str) -> bool {
    let end = text[offset..].find('\n').map_or(text.len(), |newline| offset + newline);
    let lines: Vec<_> = text[..end].rsplit('\n').take(2).collect();
    let above = lines.get(1).filter(|line| line.trim_start().starts_with('#'));
    lines.first().into_iter().chain(above).any(|line| {
        let allowed = line.rsplit_once("# autoheal: allow ").map_or("", |(_, codes)| codes);
        allowed.split([' ', ',']).any(|allowed| allowed == code)
    })
}

/// Looks at all rules of all files together.
pub(super) fn rules(rules: &[Linted<'_>], findings: &Findings<'_>) {
    reach::look(rules, findings);
    targets::look(rules, findings);
    times::look(rules, findings);
    limits::look(rules, findings);
}

pub(super) use self::routes::{LintedRoute, look as routes};
pub(super) use self::secrets::look as secrets;
