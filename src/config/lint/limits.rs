//! Limits side by side of which one never holds anything, because another is reached first.

use std::ops::Range;
use std::time::Duration;

use super::{Findings, Linted, items};
use crate::domain::duration;
use crate::domain::guard::Window;

const HOUR: Duration = Duration::from_hours(1);

pub(super) fn look(rules: &[Linted<'_>], findings: &Findings<'_>) {
    for linted in rules {
        let windows = windows(linted);
        for (window, span) in &windows {
            let Some((other, _)) = windows.iter().find(|(other, _)| is_reached_first(*other, *window)) else {
                continue;
            };
            let label = format!("{} come first", words(*other));
            let message = format!("{} are never reached", words(*window));
            findings.add("idle-window", (linted.file, span), message, label, None);
        }
    }
}

/// The windows of a rule as written, `perHour` among them.
fn windows<'r>(linted: &'r Linted<'_>) -> Vec<(Window, &'r Range<usize>)> {
    let limits = &linted.rule.policy.limits;
    let node = linted.node.value("limits");
    let at = |key: &str| node.and_then(|node| node.value(key));
    let hour = limits.per_hour.zip(at("perHour"));
    let hour = hour.map(|(actions, node)| (Window { actions, within: HOUR }, &node.span));
    let spans = at("windows").map_or(&[][..], items).iter().map(|node| &node.span);
    hour.into_iter().chain(limits.windows.iter().copied().zip(spans)).collect()
}

/// Whether `other` holds whenever `window` would.
fn is_reached_first(other: Window, window: Window) -> bool {
    if other == window {
        return false;
    }
    if other.within >= window.within {
        return other.actions <= window.actions;
    }
    let times = window.within.as_nanos().div_ceil(other.within.as_nanos().max(1));
    u128::from(other.actions) * times <= u128::from(window.actions)
}

fn words(window: Window) -> String {
    format!("{} actions within {}", window.actions, duration::format(window.within))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_window_is_idle_when_another_always_comes_first() {
        let window = |actions, minutes| Window { actions, within: Duration::from_mins(minutes) };
        for (other, other_window, expected) in [
            (window(3, 10), window(20, 1440), false),
            (window(20, 1440), window(3, 10), false),
            (window(5, 1440), window(10, 10), true),
            (window(5, 60), window(5, 60), false),
            (window(4, 60), window(5, 60), true),
            (window(1, 10), window(6, 60), true),
            (window(1, 10), window(5, 60), false),
            (window(1, 7), window(8, 50), true),
        ] {
            assert_eq!(is_reached_first(other, other_window), expected, "{other:?} before {other_window:?}");
        }
    }
}
