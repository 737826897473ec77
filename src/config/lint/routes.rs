//! Routes that no alert ever takes.

use std::sync::Arc;

use super::selection::{is_within, labels, values};
use super::{Findings, Place};
use crate::config::diagnostic::SourceFile;
use crate::config::yaml::Node;
use crate::domain::route::Route;

/// A route and where it is written.
pub(in crate::config) struct LintedRoute<'a> {
    pub route: &'a Route,
    pub node: &'a Node,
    pub file: &'a Arc<SourceFile>,
}

impl LintedRoute<'_> {
    /// Where its matchers stand, or all of it.
    fn span(&self) -> &std::ops::Range<usize> {
        self.node.value("matchers").map_or(&self.node.span, |node| &node.span)
    }
}

/// Looks at all routes together; `is_used` says whether any rule leaves it to them who is told.
pub(in crate::config) fn look(routes: &[LintedRoute<'_>], is_used: bool, findings: &Findings<'_>) {
    if let Some(first) = routes.first().filter(|_| !is_used) {
        let message = "no rule leaves it to the routes who is told";
        let help = Some("every rule names `receivers` of its own; remove them where a route is to decide".to_owned());
        findings.add("unused-routes", (first.file, &first.node.span), message, "never asked", help);
        return;
    }
    for (index, linted) in routes.iter().enumerate() {
        let selector = &linted.route.selector;
        let place = (linted.file, linted.span());
        if let Some(label) =
            labels(selector).into_iter().find(|label| values(selector, label).is_some_and(|values| values.is_empty()))
        {
            let message = format!("this route can never match: no value of `{label}` meets all it asks for");
            findings.add("unreachable-route", place, message, "contradicts itself", None);
            continue;
        }
        let stops = |earlier: &&LintedRoute<'_>| {
            !earlier.route.continue_matching && is_within(selector, &earlier.route.selector)
        };
        if let Some(stopper) = routes[..index].iter().find(stops) {
            let at = Place::new(stopper.file, stopper.span());
            let message = "this route is never taken: an earlier one takes all its alerts and does not say `continue`";
            let help = Some(format!("that route is at {at}; move this one before it, or give that one continue: true"));
            findings.add("unreachable-route", place, message, "unreachable", help);
        }
    }
}
