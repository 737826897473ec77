//! Routes: who is told of an alert when its rule does not say, by the alert's labels, as Alertmanager routes.

use super::alert::Labels;
use super::rule::AlertSelector;

/// One route.
#[derive(Debug, Clone)]
pub struct Route {
    /// The alerts it is for; its matchers only. Without any it is for all.
    pub selector: AlertSelector,
    /// Who is told; at least one.
    pub receivers: Vec<String>,
    /// Whether later routes are tried as well.
    pub continue_matching: bool,
}

/// All routes, in file order.
#[derive(Debug, Clone, Default)]
pub struct Routes(Vec<Route>);

impl Routes {
    /// Puts them in order.
    #[must_use]
    pub const fn new(routes: Vec<Route>) -> Self {
        Self(routes)
    }

    /// The routes in file order.
    #[must_use]
    pub fn all(&self) -> &[Route] {
        &self.0
    }

    /// Who is told of an alert with these labels: everybody on the routes that match, up to and including the first one
    /// without `continue`. `None` when no route is for it.
    #[must_use]
    pub fn receivers(&self, labels: &Labels) -> Option<Vec<String>> {
        let mut told: Vec<String> = Vec::new();
        for route in &self.0 {
            if !route.selector.matchers.iter().all(|matcher| matcher.matches(labels)) {
                continue;
            }
            add(&mut told, &route.receivers);
            if !route.continue_matching {
                break;
            }
        }
        (!told.is_empty()).then_some(told)
    }
}

/// Adds those that are not there yet.
pub fn add(receivers: &mut Vec<String>, more: &[String]) {
    for name in more {
        if !receivers.contains(name) {
            receivers.push(name.clone());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::matcher::Matcher;

    fn route(matchers: &str, receivers: &[&str], continue_matching: bool) -> Route {
        let matchers = if matchers.is_empty() { Vec::new() } else { Matcher::parse_list(matchers).unwrap() };
        let selector = AlertSelector { matchers, ..AlertSelector::default() };
        Route { selector, receivers: receivers.iter().map(|name| (*name).to_owned()).collect(), continue_matching }
    }

    #[test]
    fn the_first_route_that_matches_decides_unless_it_says_continue() {
        let routes = Routes::new(vec![
            route("severity=\"info\"", &["diary"], false),
            route("team=~\"db.*\"", &["dba", "diary"], true),
            route("team=~\"db.*\", severity=\"critical\"", &["on-call", "dba"], true),
            route("severity=\"critical\"", &["manager"], false),
            route("severity=\"critical\"", &["never"], false),
        ]);
        for (labels, expected) in [
            (&[("severity", "info"), ("team", "dbs")][..], Some(&["diary"][..])),
            (&[("team", "dbs"), ("severity", "warning")], Some(&["dba", "diary"])),
            (&[("team", "dbs"), ("severity", "critical")], Some(&["dba", "diary", "on-call", "manager"])),
            (&[("severity", "critical")], Some(&["manager"])),
            (&[("severity", "warning")], None),
        ] {
            let labels = labels.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
            let expected = expected.map(|names| names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>());
            assert_eq!(routes.receivers(&labels), expected, "{labels:?}");
        }
        let all = Routes::new(vec![route("", &["everybody"], false)]);
        assert_eq!(all.receivers(&Labels::new()), Some(vec!["everybody".to_owned()]));
        assert_eq!((routes.all().len(), routes.all()[0].receivers[0].as_str()), (5, "diary"));
    }
}
