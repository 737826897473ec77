//! What the command line says of itself.

use std::process::Command;

fn autoheal(arguments: &[&str]) -> (i32, String) {
    let output = Command::new(env!("CARGO_BIN_EXE_autoheal")).args(arguments).output().unwrap();
    (output.status.code().unwrap(), String::from_utf8(output.stdout).unwrap())
}

/// The verbs as `--help` lists them, so that a new one cannot be forgotten here.
fn verbs(of: &[&str]) -> Vec<String> {
    let (exit, help) = autoheal(&[of, &["--help"]].concat());
    assert_eq!(exit, 0);
    let listed = help.lines().skip_while(|line| *line != "Commands:").skip(1).take_while(|line| !line.is_empty());
    let verbs = listed.filter_map(|line| line.strip_prefix("  ")?.split(' ').next().map(str::to_owned));
    verbs.filter(|verb| !verb.is_empty() && verb != "help").collect()
}

#[test]
fn every_shell_completes_every_verb_and_flag() {
    for shell in ["bash", "elvish", "fish", "powershell", "zsh"] {
        let (exit, script) = autoheal(&["completions", shell]);
        assert_eq!(exit, 0, "{shell}");
        let words = [verbs(&[]), verbs(&["heals"]), verbs(&["notify"])].concat();
        assert!(words.len() > 20, "{words:?}");
        let flags = ["dry-run", "config-file", "strict", "explain", "as-test"].map(str::to_owned);
        for word in words.into_iter().chain(flags) {
            assert!(script.contains(&word), "{shell} does not complete {word}");
        }
    }
    assert_eq!(autoheal(&["completions", "tcsh"]).0, 2);
}

#[test]
fn the_manual_has_a_page_for_the_program_and_for_each_verb() {
    let (exit, page) = autoheal(&["man"]);
    assert_eq!(exit, 0);
    assert!(page.contains(".TH autoheal 1"), "{page}");
    for verb in verbs(&[]) {
        assert!(page.contains(&format!("autoheal\\-{verb}(1)")), "{verb} is not in the manual");
        let (exit, page) = autoheal(&["man", &verb]);
        assert_eq!(exit, 0, "{verb}");
        assert!(page.contains(&format!("autoheal\\-{verb}")) && page.contains("\\-\\-config\\-file"), "{page}");
    }
    assert_eq!(autoheal(&["man", "nothing"]).0, 2);
}
