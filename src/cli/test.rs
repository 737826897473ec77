//! `autoheal test PATH…`: tells the stories of `*.test.yml` to the rules, on virtual time.

use std::io::{self, Write};
use std::path::PathBuf;

use clap::Args;

use super::Exit;
use crate::config::{Diagnostics, LoadOptions, rule_test_files};
use crate::rule_test::{self, Report};

/// Which tests to run.
#[derive(Debug, Args)]
pub struct TestArgs {
    /// Files of rule tests (*.test.yml), or directories of them
    #[arg(required = true, value_name = "PATH")]
    pub(super) paths: Vec<PathBuf>,
}

/// Runs every test below `paths` and prints to `out`: 0 when all went as expected, 1 when not, 2 when a file is wrong.
///
/// # Errors
/// `out` cannot be written to, or no runtime can be started.
pub fn run(options: &LoadOptions, paths: &[PathBuf], color: bool, out: &mut dyn Write) -> io::Result<Exit> {
    let files = match rule_test_files(paths, &options.working_dir) {
        Ok(files) => files,
        Err(problems) => return wrong(&problems, color, out),
    };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build()?;
    let mut report = Report::default();
    let mut is_wrong = false;
    for file in &files {
        match runtime.block_on(rule_test::run(file, options)) {
            Ok(tested) => report.add(tested),
            Err(problems) => {
                wrong(&problems, color, out)?;
                is_wrong = true;
            }
        }
    }
    out.write_all(report.render(color).as_bytes())?;
    Ok(match (is_wrong, report.passed()) {
        (true, _) => Exit::Usage,
        (false, false) => Exit::Failure,
        (false, true) => Exit::Success,
    })
}

fn wrong(problems: &Diagnostics, color: bool, out: &mut dyn Write) -> io::Result<Exit> {
    out.write_all(problems.render(color).as_bytes())?;
    Ok(Exit::Usage)
}
