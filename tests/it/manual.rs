//! What the command line says of itself.

use std::process::Command;

fn autoheal(arguments: &[&str]) -> (i32, String) {
    let output = Command::new(env!("CARGO_BIN_EXE_autoheal")).args(arguments).output().unwrap();
    (output.status.code().unwrap(), String::from_utf8(output.stdout).unwrap())
}

const VERBS: [&str; 7] = ["serve", "check", "plan", "test", "entrypoint", "completions", "man"];

#[test]
fn every_shell_completes_every_verb_and_flag() {
    for shell in ["bash", "elvish", "fish", "powershell", "zsh"] {
        let (exit, script) = autoheal(&["completions", shell]);
        assert_eq!(exit, 0, "{shell}");
        for word in VERBS.into_iter().chain(["dry-run", "config-file", "strict"]) {
            assert!(script.contains(word), "{shell} does not complete {word}");
        }
    }
    assert_eq!(autoheal(&["completions", "tcsh"]).0, 2);
}

#[test]
fn the_manual_has_a_page_for_the_program_and_for_each_verb() {
    let (exit, page) = autoheal(&["man"]);
    assert_eq!(exit, 0);
    assert!(page.contains(".TH autoheal 1"), "{page}");
    for verb in VERBS {
        assert!(page.contains(&format!("autoheal\\-{verb}(1)")), "{verb} is not in the manual");
        let (exit, page) = autoheal(&["man", verb]);
        assert_eq!(exit, 0, "{verb}");
        assert!(page.contains(&format!("autoheal\\-{verb}")) && page.contains("\\-\\-config\\-file"), "{page}");
    }
    assert_eq!(autoheal(&["man", "nothing"]).0, 2);
}
