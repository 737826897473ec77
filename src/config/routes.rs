//! `routes:` — who is told of an alert whose rule names nobody.

use super::names::Names;
use super::reader::{Reader, Schema};
use super::rules::read_matchers;
use super::yaml::Node;
use crate::domain::route::Route;
use crate::domain::rule::AlertSelector;

const ROUTE: Schema =
    Schema { what: "a route", keys: &["matchers", "receivers", "continue"], unsupported: &[], strict: true };

/// Reads the routes of one file; every receiver is known by then.
pub(super) fn read(reader: &Reader<'_>, node: &Node, receivers: &Names) -> Vec<Route> {
    reader.list(node, "routes").iter().filter_map(|node| read_route(reader, node, receivers)).collect()
}

fn read_route(reader: &Reader<'_>, node: &Node, names: &Names) -> Option<Route> {
    let before = reader.error_count();
    let route = reader.mapping(node, &ROUTE)?;
    let matchers = route.get("matchers").map_or(&[][..], |node| {
        let matchers = reader.list(node, "matchers");
        if node.len() == 0 && reader.error_count() == before {
            // Empty never widens: whoever means every alert leaves the key out.
            reader.error(&node.span, "this list of matchers is empty", "name at least one, or remove the key");
        }
        matchers
    });
    let matchers = matchers.iter().flat_map(|node| read_matchers(reader, node)).collect();
    let receivers = reader.require(&route, "receivers", ROUTE.what).map(|node| {
        let problems = reader.error_count();
        let receivers = names.known_list(reader, node);
        if node.len() == 0 && reader.error_count() == problems {
            reader.error(&node.span, "this route tells nobody", "name at least one receiver");
        }
        receivers
    });
    let continue_matching = route.get("continue").and_then(|node| reader.boolean(node)).unwrap_or_default();
    let selector = AlertSelector { matchers, ..AlertSelector::default() };
    let route = Route { selector, receivers: receivers?, continue_matching };
    (reader.error_count() == before).then_some(route)
}
