//! Matchers are what Alertmanager takes for one, and mean the same.

use std::collections::BTreeSet;

use autoheal::domain::alert::Labels;
use autoheal::domain::matcher::Matcher;

use super::table;
use crate::support::amtool;

fn verdicts(lists: &[String]) -> Vec<bool> {
    amtool::accepts(&lists.iter().map(|list| amtool::routes(std::slice::from_ref(list))).collect::<Vec<_>>())
}

fn all_are(name: &str, lists: &[String], ours: bool, theirs: bool) {
    for (list, judged) in lists.iter().zip(verdicts(lists)) {
        assert_eq!((Matcher::parse_list(list).is_ok(), judged), (ours, theirs), "{name}: {list:?}");
    }
}

#[test]
fn alertmanager_and_we_agree_on_what_a_matcher_is() {
    all_are("accepted", &table("matchers"), true, true);
    all_are("refused", &table("matchers-refused"), false, false);
    // Releases before 0.27 know the classic syntax only.
    let knows_utf8 = verdicts(&["\"a b\"=c".to_owned()]) == [true];
    all_are("UTF-8", &table("matchers-utf8"), true, knows_utf8);
}

#[test]
fn alertmanager_and_we_match_the_same_alerts() {
    let lists = table("matchers");
    let configuration = amtool::routes(&lists);
    for pairs in [
        &[][..],
        &[("job", "ui")],
        &[("job", "ui post")],
        &[("a", "b")],
        &[("a", "b"), ("c", "d")],
        &[("a", "x,y"), ("c", "d,e")],
        &[("a", "it's")],
        &[("a", "x{y")],
        &[("a", "12")],
        &[("a", "\\t"), ("job", "comment")],
        &[("a", "\t")],
        &[("a", "\\d"), ("c", "\\")],
        &[("a", "b=c"), ("job", "uix")],
        &[("a", "\""), ("c", "~b")],
        &[("a", "b\\"), ("c", "=b")],
        &[("a:b", "x"), ("_", "y"), ("job", "xui")],
    ] {
        let labels: Labels = pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        let ours: BTreeSet<String> = (0..lists.len())
            .filter(|number| {
                Matcher::parse_list(&lists[*number]).unwrap().iter().all(|matcher| matcher.matches(&labels))
            })
            .map(|number| format!("r{number}"))
            .collect();
        let written: Vec<String> = labels
            .iter()
            .map(|(name, value)| format!("{name}=\"{}\"", value.replace('\\', "\\\\").replace('"', "\\\"")))
            .collect();
        let mut theirs = amtool::receivers(&configuration, &written);
        theirs.remove("nobody");
        let differing: Vec<&String> = ours.symmetric_difference(&theirs).collect();
        assert!(differing.is_empty(), "{labels:?}: {differing:?}\n{configuration}");
    }
}
