//! The world in which the recordings were made.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Value, json};

use super::world::{Faults, Pace, Play, Template, Thing, User, World};

const ADMIN: u64 = 1;
pub const BOT: u64 = 2;
const NOBODY: u64 = 3;
const VIEWER: u64 = 4;
const OPS: u64 = 1;
const LAB: u64 = 2;

/// Everything a launch can be asked for.
pub const PROMPTS: [&str; 16] = [
    "scm_branch",
    "variables",
    "tags",
    "diff_mode",
    "skip_tags",
    "job_type",
    "limit",
    "verbosity",
    "inventory",
    "credential",
    "execution_environment",
    "labels",
    "forks",
    "job_slice_count",
    "timeout",
    "instance_groups",
];

fn thing(id: u64, name: &str, organization: u64, users: &[u64]) -> Thing {
    Thing { id, name: name.to_owned(), organization, users: users.iter().copied().collect() }
}

fn template(id: u64, name: &str, prompts: &[&str]) -> Template {
    Template {
        id,
        name: name.to_owned(),
        is_workflow: false,
        organization: OPS,
        project: Some(6),
        inventory: Some(1),
        playbook: "restart.yml".to_owned(),
        prompts: prompts.iter().map(|prompt| (*prompt).to_owned()).collect(),
        survey: Vec::new(),
        limit: String::new(),
        variables: Map::new(),
        passwords: Vec::new(),
        missing_nodes: Vec::new(),
        allow_simultaneous: false,
        runners: BTreeSet::from([BOT]),
        readers: BTreeSet::from([VIEWER]),
        play: Play::Good,
        runs_for: None,
        fickle: None,
        has_no_revision: false,
    }
}

fn question(variable: &str, kind: &str, required: bool, range: Option<(u64, u64)>, choices: Option<Value>) -> Value {
    let (min, max) = (range.map(|range| range.0), range.map(|range| range.1));
    let mut name = variable.to_owned();
    name[..1].make_ascii_uppercase();
    let mut question = json!({
        "variable": variable, "type": kind, "required": required, "min": min, "max": max, "default": "",
        "question_name": name, "question_description": "",
    });
    if let Some(choices) = choices {
        question["choices"] = choices;
    }
    question
}

fn templates() -> Vec<Template> {
    let survey = vec![
        question("service", "multiplechoice", true, None, Some(json!(["nginx", "postgres"]))),
        question("count", "integer", true, Some((1, 5)), None),
        question("note", "text", false, Some((0, 20)), None),
        question("secret", "password", false, Some((0, 20)), None),
    ];
    let fails = Play::Fails { host: "web2", message: "disk still full on web2" };
    let colour = json!({"service": "postgres", "colour": "red"});
    vec![
        template(7, "Restart service", &[]),
        template(8, "Restart service prompted", &PROMPTS[1..]),
        Template { playbook: "slow.yml".into(), ..template(9, "Slow job", &["variables"]) },
        Template {
            playbook: "slow.yml".into(),
            allow_simultaneous: true,
            ..template(10, "Slow job parallel", &["variables"])
        },
        Template { playbook: "fail.yml".into(), play: fails, ..template(11, "Fails on web2", &["limit"]) },
        Template { survey, ..template(13, "Survey restart", &[]) },
        Template { inventory: None, ..template(14, "No inventory", &["inventory"]) },
        Template {
            organization: LAB,
            project: Some(16),
            inventory: Some(3),
            play: Play::Broken,
            runners: BTreeSet::new(),
            readers: BTreeSet::new(),
            ..template(17, "Restart service", &[])
        },
        Template { is_workflow: true, project: None, inventory: None, ..template(18, "Heal web", &["variables"]) },
        Template { is_workflow: true, project: None, inventory: None, ..template(19, "Heal web silent", &[]) },
        Template {
            limit: "web1".into(),
            variables: colour.as_object().cloned().unwrap_or_default(),
            runners: BTreeSet::new(),
            ..template(20, "Limited by default", &["variables", "limit"])
        },
        Template { play: Play::NoHosts, playbook: "nohosts.yml".into(), ..template(21, "Matches no group", &[]) },
        Template { allow_simultaneous: true, ..template(30, "Restart anywhere", &["variables", "limit"]) },
        Template { play: Play::Chatty, ..template(31, "Chatty", &[]) },
    ]
}

pub fn world() -> World {
    let user = |id, name, password, tokens: &[(&'static str, &'static str)]| User {
        id,
        name,
        password,
        is_superuser: id == ADMIN,
        tokens: tokens.to_vec(),
    };
    World {
        users: vec![
            user(ADMIN, "admin", super::ADMIN_PASSWORD, &[]),
            user(BOT, "alertbot", super::PASSWORD, &[(super::TOKEN, "write"), (super::READ_TOKEN, "read")]),
            user(NOBODY, "nobody", "nobody-passw0rd", &[(super::NOBODY_TOKEN, "write")]),
            user(VIEWER, "viewer", "viewer-passw0rd", &[(super::VIEWER_TOKEN, "write")]),
        ],
        organizations: vec![thing(OPS, "Ops", OPS, &[BOT]), thing(LAB, "Lab", LAB, &[])],
        projects: vec![thing(6, "ops-playbooks", OPS, &[BOT]), thing(16, "lab-playbooks", LAB, &[])],
        inventories: vec![
            thing(1, "Fleet", OPS, &[BOT]),
            thing(2, "Secret fleet", OPS, &[]),
            thing(3, "LabFleet", LAB, &[]),
            thing(4, "Spare", OPS, &[BOT]),
        ],
        credentials: vec![thing(1, "ops-ssh", OPS, &[BOT])],
        labels: vec![thing(1, "autoheal", OPS, &[BOT])],
        templates: templates(),
        jobs: BTreeMap::new(),
        pace: Pace::default(),
        faults: Faults::default(),
        calls: Vec::new(),
        next_job: 2,
        grounds: super::build::Grounds {
            sync_takes: Some(std::time::Duration::from_millis(40)),
            ..super::build::Grounds::default()
        },
    }
}
