//! Rule tests: stories told to rules on virtual time, through the store and the decisions of the daemon.
//!
//! `world` is where a story happens, `judge` compares what is expected, `report` tells people.

mod judge;
mod report;
mod world;

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::Arc;

use self::judge::{Line, Seen, Verdict};
use self::world::World;
use crate::config::{Config, Diagnostics, LoadOptions, Place, RuleTest, RuleTests, read_rule_tests};
use crate::domain::decide::Policy;
use crate::domain::duration;
use crate::domain::heal::{Heal, HealId};
use crate::domain::message::{Audience, Channel};
use crate::domain::rule::{HealRule, RuleSet};

pub use self::report::Report;

/// Who is told by rules for which nobody is configured: tests of messages must not depend on the configuration at hand.
const NOBODY_IN_PARTICULAR: &str = "default";

/// What came of one file of tests.
#[derive(Debug)]
pub struct FileReport {
    /// The file, as people name it.
    pub name: String,
    /// Its tests, in file order.
    pub tests: Vec<TestReport>,
    /// Rules of the file under test for which no test begins a heal.
    pub untested: Vec<String>,
}

/// What came of one test.
#[derive(Debug)]
pub struct TestReport {
    /// Its name.
    pub name: String,
    /// Where it went wrong first; `None` when all went as expected.
    pub failure: Option<Failure>,
}

/// How a test failed.
#[derive(Debug)]
pub struct Failure {
    /// Where.
    pub place: Place,
    /// In one sentence.
    pub message: String,
    /// When, after the beginning of the test.
    pub after: String,
    /// What was expected and found, line by line; empty when there is nothing to compare.
    lines: Vec<Line>,
    /// What the heal went through.
    story: Vec<String>,
}

/// Runs one file of tests. `options` say where the configuration is that the rules refer to; secrets are not needed.
///
/// # Errors
/// Every problem of the file, the rules or the configuration.
pub async fn run(path: &Path, options: &LoadOptions) -> Result<FileReport, Diagnostics> {
    let file = read_rule_tests(path, &options.working_dir)?;
    let options = LoadOptions {
        rule_files: Some(file.rule_files.clone()),
        without_secrets: true,
        web_config_file: None,
        ..options.clone()
    };
    let (config, _) = Config::load(&options)?;
    Ok(run_file(&file, &config).await)
}

async fn run_file(file: &RuleTests, config: &Config) -> FileReport {
    let rules = RuleSet::new(config.rules.rules().iter().map(|rule| with_receivers(rule)).collect());
    let policy = Arc::new(Policy { receivers: receivers(&rules), ..config.policy(false) });
    let mut tested = BTreeSet::new();
    let mut tests = Vec::new();
    for test in &file.tests {
        let failure = match World::new(rules.clone(), Arc::clone(&policy), test.start) {
            Ok(mut world) => {
                let failure = tell(test, &mut world, &mut tested).await;
                world.close().await;
                failure
            }
            Err(error) => test.events.first().map(|event| failure(&event.place, format!("{error:#}"))),
        };
        tests.push(TestReport { name: test.name.clone(), failure });
    }
    let untested = rules.rules().iter().map(|rule| rule.name.clone()).filter(|name| !tested.contains(name)).collect();
    FileReport { name: file.file.name().to_owned(), tests, untested }
}

fn with_receivers(rule: &HealRule) -> HealRule {
    let mut rule = rule.clone();
    if rule.receivers.is_empty() {
        rule.receivers.push(NOBODY_IN_PARTICULAR.to_owned());
    }
    rule
}

/// Every receiver as one channel that wants everything: what is sent where is the configuration's business.
fn receivers(rules: &RuleSet) -> BTreeMap<String, Vec<Channel>> {
    let routed = |rule: &'_ HealRule| {
        rule.routes
            .clone()
            .into_iter()
            .flat_map(|routes| routes.all().iter().flat_map(|route| route.receivers.clone()).collect::<Vec<_>>())
    };
    let names: BTreeSet<String> =
        rules.rules().iter().flat_map(|rule| rule.receivers.iter().cloned().chain(routed(rule))).collect();
    let channel = |name: &String| Channel::new(name.clone(), Audience::Everything);
    names.into_iter().map(|name| (name.clone(), vec![channel(&name)])).collect()
}

/// Tells a story; answers where it first goes otherwise than expected.
async fn tell(test: &RuleTest, world: &mut World, tested: &mut BTreeSet<String>) -> Option<Failure> {
    let mut seen = Seen::new();
    for event in &test.events {
        if let Some(happening) = &event.happening
            && let Err(stuck) = world.happen(happening, judge::choose).await
        {
            return Some(Failure {
                after: duration::format(world.elapsed()),
                ..failure(&event.place, stuck.to_string())
            });
        }
        let heals = match world.heals().await {
            Ok(heals) => heals,
            Err(error) => return Some(failure(&event.place, error.to_string())),
        };
        tested.extend(heals.iter().map(|heal| heal.rule.clone()));
        let mut failed = None;
        for expectation in &event.expectations {
            match judge::judge(expectation, &heals, world.told(), &mut seen) {
                Verdict::NoHeal(message) => failed = failed.or(Some(failure(&expectation.place, message))),
                Verdict::Compared(lines, about) if lines.iter().any(|line| !line.holds) => {
                    failed =
                        failed.or_else(|| Some(unexpected(expectation.place.clone(), lines, about, &heals, world)));
                }
                Verdict::Compared(..) => {}
            }
        }
        if let Some(failed) = failed {
            return Some(Failure { after: duration::format(world.elapsed()), ..failed });
        }
    }
    None
}

fn failure(place: &Place, message: String) -> Failure {
    Failure { place: place.clone(), message, after: String::new(), lines: Vec::new(), story: Vec::new() }
}

fn unexpected(place: Place, lines: Vec<Line>, about: Option<HealId>, heals: &[Heal], world: &World) -> Failure {
    let wrong: Vec<_> = lines.iter().filter(|line| !line.holds).collect();
    let message = match wrong[..] {
        [line] => format!("{} is not as expected", line.key),
        _ => format!("{} are not as expected", wrong.iter().map(|line| line.key).collect::<Vec<_>>().join(", ")),
    };
    let place = wrong.first().map_or(place, |line| line.place.clone());
    let heal = heals.iter().find(|heal| Some(heal.id) == about);
    let story = heal.map(|heal| story(heal, world)).unwrap_or_default();
    Failure { place, message, after: String::new(), lines, story }
}

fn story(heal: &Heal, world: &World) -> Vec<String> {
    let entries = heal.timeline.iter().map(|entry| {
        let after = crate::domain::elapsed(world.began(), entry.at);
        format!("{:>8}  {}: {}", duration::format(after), entry.what, entry.reason)
    });
    entries.collect()
}
