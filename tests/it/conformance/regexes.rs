//! Regular expressions are what Go takes for one, and match the same texts.

use std::collections::BTreeSet;

use autoheal::domain::regex::Regex;
use proptest::strategy::{Strategy, ValueTree};
use proptest::test_runner::TestRunner;

use super::table;
use crate::support::amtool;

/// Texts that tell the dialects apart.
const TEXTS: [&str; 48] = [
    "a",
    "aa",
    "aaa",
    "b",
    "ab",
    "aab",
    "abc",
    "a b",
    "ba",
    "A",
    "DOWN",
    "down",
    "x",
    "xx",
    "x{",
    "x}",
    "{foo",
    "a{,2}",
    "a{01}",
    "a{1,b}",
    "7",
    "42",
    "\u{663}",
    "_",
    "-",
    "&",
    "~",
    "[",
    "]",
    "^",
    ",",
    "\\",
    "\t",
    "\u{b}",
    "\n",
    "a\n",
    "\n\n",
    "a\nb\nc",
    "\u{e9}",
    "\u{e9}a",
    "\u{a0}",
    "\u{3b1}",
    "\u{212a}",
    "\u{17f}",
    "<a>",
    "a.b",
    "a.bb",
    "\u{1f4a9}",
];

/// A matcher on a label of its own.
fn matcher(number: usize, pattern: &str) -> String {
    format!("l{number}=~\"{}\"", pattern.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n"))
}

fn accepted(patterns: &[String]) -> Vec<bool> {
    let one = |pattern: &String| amtool::routes(&[matcher(0, pattern)]);
    amtool::accepts(&patterns.iter().map(one).collect::<Vec<_>>())
}

/// Compares what patterns match, each of which both take: as a whole, and searched for anywhere.
fn match_the_same(patterns: &[String]) {
    let anywhere = |pattern: &String| format!("(?s:.*)(?:{pattern})(?s:.*)");
    let asked: Vec<String> = patterns.iter().cloned().chain(patterns.iter().map(anywhere)).collect();
    let configuration = amtool::routes(&(0..asked.len()).map(|at| matcher(at, &asked[at])).collect::<Vec<_>>());
    let whole = patterns.iter().map(|pattern| Regex::anchored(pattern).unwrap());
    let regexes: Vec<Regex> = whole.chain(patterns.iter().map(|pattern| Regex::search(pattern).unwrap())).collect();
    for text in TEXTS {
        let value = text.replace('\\', "\\\\").replace('\n', "\\n");
        let labels: Vec<String> = (0..asked.len()).map(|at| format!("l{at}=\"{value}\"")).collect();
        let mut theirs = amtool::receivers(&configuration, &labels);
        theirs.remove("nobody");
        let ours: BTreeSet<String> =
            (0..asked.len()).filter(|at| regexes[*at].is_match(text)).map(|at| format!("r{at}")).collect();
        let differing: Vec<&str> = ours
            .symmetric_difference(&theirs)
            .filter_map(|receiver| receiver[1..].parse::<usize>().ok())
            .map(|at| asked[at].as_str())
            .collect();
        assert!(differing.is_empty(), "{text:?}: {differing:?}");
    }
}

#[test]
fn go_and_we_agree_on_what_a_pattern_is_and_what_it_matches() {
    let patterns = table("regexes");
    for (pattern, judged) in patterns.iter().zip(accepted(&patterns)) {
        assert_eq!((Regex::anchored(pattern).is_ok(), judged), (true, true), "{pattern}");
    }
    match_the_same(&patterns);
    let refused = table("regexes-refused");
    for (pattern, judged) in refused.iter().zip(accepted(&refused)) {
        assert_eq!((Regex::anchored(pattern).is_ok(), judged), (false, false), "{pattern}");
    }
}

/// Go glues its anchors on before it reads a pattern. So these become others there; here they are refused.
fn only_whole_when_glued(pattern: &str) -> bool {
    let said = |error: autoheal::domain::regex::RegexError| error.message;
    Regex::anchored(pattern)
        .err()
        .map(said)
        .is_some_and(|message| message == "unexpected )" || message == "\\Q is never closed by \\E")
}

#[test]
fn go_and_we_agree_on_patterns_nobody_thought_of() {
    let alphabet = "(a|b|ab|x|\\.|\\*|\\+|\\?|\\||\\^|\\$|\\(|\\)|\\[|\\]|\\{|\\}|,|-|:|0|1|2|\\\\d|\\\\w|\\\\s|\\\\b|\\\\B|\\\\W|\\\\\\.|\\\\A|\\\\z|\\\\n|&|~|\u{e9}|\\(\\?i|\\(\\?:|\\[\\^|\\{2\\}|\\{1,|\\\\pL|\\[:alpha:\\]){1,7}";
    let strategy = proptest::string::string_regex(alphabet).unwrap();
    // The same patterns every time, so that nobody's change is blamed for a pattern that chance brought.
    let mut runner = TestRunner::deterministic();
    let mut patterns: Vec<String> = (0..700).map(|_| strategy.new_tree(&mut runner).unwrap().current()).collect();
    patterns.retain(|pattern| !only_whole_when_glued(pattern));
    let mut both = Vec::new();
    for (pattern, judged) in patterns.iter().zip(accepted(&patterns)) {
        assert_eq!(Regex::anchored(pattern).map_err(|error| error.message).is_ok(), judged, "{pattern}");
        both.extend(judged.then(|| pattern.clone()));
    }
    assert!(both.len() > 100, "{}", both.len());
    match_the_same(&both);
}
