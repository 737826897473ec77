//! The seeded simulator: `decide` in a world that is out to make it do harm, with a check of the promises after every step.
//!
//! What it cannot see, because it is not `decide`'s: that a 2xx follows the commit and secrets stay secret (promises 1 and 8
//! in full); `crash`, `store_contract` and `secrets` show these on real parts.
//!
//! `AUTOHEAL_SIMULATION_STEPS=10000000` runs longer, `AUTOHEAL_SIMULATION_SEED=42` repeats one world.

mod chance;
mod planted;
mod promises;
mod record;
mod world;

use std::collections::BTreeMap;
use std::time::Duration;

use autoheal::domain::decide::{Policy, decide};
use autoheal::domain::guard::{Limits, Window};
use autoheal::domain::heal::Outcome;
use autoheal::domain::message::{Audience, Channel};
use autoheal::domain::pause::AlertMatchers;
use autoheal::domain::rule::Mode;
use autoheal::domain::rule_policy::{ApprovalPolicy, Flapping, RuleLimits, RulePolicies, RulePolicy, StormLimit};
use autoheal::store::DecideFn;

use world::World;

/// A promise that did not hold.
#[derive(Debug)]
pub struct Violation(String);

/// Steps of one world before it comes to rest and the next one begins.
const STEPS_OF_A_WORLD: u64 = 2_000;
const STEPS: u64 = 100_000;

fn policy(dry_run: bool) -> Policy {
    let remind = Some(Duration::from_mins(20));
    let channel = Channel { remind, ..Channel::new("on-call/slack", Audience::Everything) };
    let storm = Some(StormLimit { targets: 3, within: Duration::from_mins(2), hold: Duration::from_mins(5) });
    let restart = RulePolicy {
        limits: RuleLimits {
            concurrent: Some(2),
            per_hour: Some(8),
            windows: vec![Window { actions: 3, within: Duration::from_mins(10) }],
            storm,
        },
        flapping: Some(Flapping { relapses: 2, within: Duration::from_hours(6) }),
        ..RulePolicy::default()
    };
    let blocked_by = vec![AlertMatchers::parse(vec!["alertname=NodeDown".to_owned()]).unwrap()];
    let approval = ApprovalPolicy { expires_after: Duration::from_mins(10), approvers: Vec::new() };
    let rules = [
        ("restart", restart),
        ("recreate", RulePolicy { blocked_by, ..RulePolicy::default() }),
        ("ask", RulePolicy { mode: Mode::Ask, approval, ..RulePolicy::default() }),
        ("shadow", RulePolicy { mode: Mode::Shadow, ..RulePolicy::default() }),
    ];
    Policy {
        limits: Limits {
            concurrent: 3,
            per_hour: 20,
            windows: [(8, 15), (60, 720)]
                .map(|(actions, minutes)| Window { actions, within: Duration::from_mins(minutes) })
                .into(),
        },
        rules: RulePolicies::new(rules.map(|(name, rule)| (name.to_owned(), rule))),
        receivers: BTreeMap::from([("on-call".to_owned(), vec![channel])]),
        dry_run,
        ..Policy::default()
    }
}

/// What became of a world: how its heals ended, and how many deeds were done in it.
#[derive(Default)]
struct Tally {
    ends: BTreeMap<&'static str, usize>,
    deeds: u32,
}

/// Runs one world; answers with the step at which a promise broke.
fn run(seed: u64, steps: u64, policy: Policy, decide: DecideFn, tally: &mut Tally) -> Result<(), String> {
    let mut world = World::new(seed, policy, decide);
    for step in 0..steps {
        let happened = world.step();
        happened.map_err(|Violation(text)| format!("seed {seed}, step {step}: {text}"))?;
    }
    for heal in world.record.heals.values() {
        *tally.ends.entry(heal.outcome().map_or("open", Outcome::as_str)).or_default() += 1;
    }
    let rested = world.comes_to_rest();
    tally.deeds += world.deeds_done;
    rested.map_err(|Violation(text)| format!("seed {seed}, coming to rest: {text}"))
}

fn number(name: &str) -> Option<u64> {
    #[expect(clippy::disallowed_methods, reason = "how long a test runs is the business of who starts it")]
    let text = std::env::var(name).ok()?;
    Some(text.parse().unwrap_or_else(|_| panic!("{name} must be a number, not {text:?}")))
}

#[test]
fn no_promise_is_broken_whatever_happens() {
    let steps = number("AUTOHEAL_SIMULATION_STEPS").unwrap_or(STEPS);
    let only = number("AUTOHEAL_SIMULATION_SEED");
    let seeds = only.map_or(0..steps.div_ceil(STEPS_OF_A_WORLD), |seed| seed..seed + 1);
    let mut tally = Tally::default();
    for seed in seeds {
        if let Err(broken) = run(seed, STEPS_OF_A_WORLD, policy(false), decide, &mut tally) {
            panic!("{broken}\nagain with AUTOHEAL_SIMULATION_SEED={seed}");
        }
    }
    // A world in which nothing happens would keep every promise.
    if only.is_none() {
        for end in ["healed", "recovered", "exhausted", "suppressed", "shadowed", "cancelled", "expired"] {
            assert!(tally.ends.contains_key(end), "no heal ended {end}: {:?}", tally.ends);
        }
        assert!(tally.deeds > 500, "{} deeds were done", tally.deeds);
    }
}

#[test]
fn in_a_dry_run_nothing_is_done_and_nobody_told() {
    let mut tally = Tally::default();
    for seed in 0..5 {
        if let Err(broken) = run(seed, STEPS_OF_A_WORLD, policy(true), decide, &mut tally) {
            panic!("{broken}");
        }
    }
    assert_eq!(tally.deeds, 0);
}
