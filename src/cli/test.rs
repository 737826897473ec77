//! `autoheal test PATH…`: tells the stories of `*.test.yml` to the rules, on virtual time.

use std::io::{self, Write};
use std::path::PathBuf;

use clap::Args;

use super::Exit;
use super::output::{self, Format};
use crate::config::{Diagnostics, LoadOptions, rule_test_files};
use crate::rule_test::{self, Report};

/// Which tests to run.
#[derive(Debug, Clone, Default, Args)]
pub struct TestArgs {
    /// Files of rule tests (*.test.yml), or directories of them
    #[arg(required = true, value_name = "PATH")]
    pub paths: Vec<PathBuf>,
    /// How to print the failures
    #[arg(long, value_enum, default_value_t)]
    pub output: Format,
}

/// Runs every test below the paths and prints to `out`: 0 when all went as expected, 1 when not, 2 when a file is wrong.
///
/// # Errors
/// `out` cannot be written to, or no runtime can be started.
pub fn run(options: &LoadOptions, args: &TestArgs, color: bool, out: &mut dyn Write) -> io::Result<Exit> {
    let files = match rule_test_files(&args.paths, &options.working_dir) {
        Ok(files) => files,
        Err(problems) => {
            output::write(&problems, args.output, color, out)?;
            return Ok(Exit::Usage);
        }
    };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build()?;
    let mut report = Report::default();
    let mut problems = Diagnostics::default();
    for file in &files {
        match runtime.block_on(rule_test::run(file, options)) {
            Ok(tested) => report.add(tested),
            Err(wrong) => wrong.into_iter().for_each(|problem| problems.push(problem.clone())),
        }
    }
    let exit = match (problems.is_empty(), report.passed()) {
        (false, _) => Exit::Usage,
        (true, false) => Exit::Failure,
        (true, true) => Exit::Success,
    };
    if args.output == Format::Text {
        output::write(&problems, Format::Text, color, out)?;
        out.write_all(report.render(color).as_bytes())?;
    } else {
        report.problems().for_each(|problem| problems.push(problem));
        output::write(&problems, args.output, color, out)?;
    }
    Ok(exit)
}
