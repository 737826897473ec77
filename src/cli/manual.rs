//! `autoheal completions SHELL` and `autoheal man [VERB]`: what the command line says of itself.

use std::io::{self, Write};

use clap::Command;
use clap_complete::Shell;

use super::say::say;
use super::{Exit, fail};

const PROGRAM: &str = "autoheal";

/// Prints the completions of a shell.
pub fn completions(shell: Shell, mut command: Command) -> Exit {
    let mut text = Vec::new();
    clap_complete::generate(shell, &mut command, PROGRAM, &mut text);
    print(&text)
}

/// Prints the manual page of the program, or of a verb.
pub fn page(verb: Option<&str>, mut command: Command) -> Exit {
    // Flags that hold for every verb belong into each verb's page, too.
    command.build();
    let found = verb.map_or(Some(&command), |verb| command.find_subcommand(verb));
    let Some(found) = found else {
        say(format_args!("there is no verb {}", verb.unwrap_or_default()));
        return Exit::Usage;
    };
    let mut text = Vec::new();
    match clap_mangen::Man::new(found.clone()).render(&mut text) {
        Ok(()) => print(&text),
        Err(error) => fail(&error),
    }
}

fn print(text: &[u8]) -> Exit {
    match io::stdout().lock().write_all(text) {
        Ok(()) => Exit::Success,
        Err(error) => fail(&error),
    }
}
