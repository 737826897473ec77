//! Harm scenarios: what goes wrong at night, told on the real program with real containers. In each, nothing is done
//! that should not have been, and a human is told once.

mod clock;
mod night;
mod people;
mod selection;
mod symptoms;

use std::time::Duration;

use serde_json::{Value, json};

use crate::support::daemon::{Daemon, Home, alert, delivery, eventually};
use crate::support::engine::{Container, Engine, Recipe, unique};
use crate::support::office::Office;
use crate::support::wait;
use crate::support::watch::Watch;

/// Everything a scenario needs: containers that are watched, people who are told, and a daemon's folder.
pub struct Scene {
    engine: Engine,
    office: Office,
    home: Home,
    watch: Watch,
    name: String,
}

/// What came of it.
#[derive(Debug)]
pub struct Outcome {
    /// What was done to containers, beside their own dying: `start`, `restart`, `stop`, `unpause`.
    pub deeds: Vec<(String, String)>,
    /// The subjects of all mails.
    pub mails: Vec<String>,
    /// The titles of all posts to the chat, which is told of every step.
    pub chat: Vec<String>,
}

impl Scene {
    /// `rules` may name `SCENE`, the value of the label `scene` that every container here carries.
    pub fn new(rules: &str) -> Self {
        Self::with("", rules)
    }

    pub fn with(config: &str, rules: &str) -> Self {
        let (engine, office, name) = (Engine::get(), Office::open(), unique("harm"));
        let docker = format!("docker: {{hosts: [{{name: local, address: '{}'}}]}}\n", engine.address);
        let home = Home::new(&format!("{docker}{config}{}", office.receivers()), &rules.replace("SCENE", &name));
        home.secrets(&Office::secrets());
        let watch = wait(Watch::of(&engine, "scene", &name));
        Self { engine, office, home, watch, name }
    }

    /// A container; what happens to it until [`Scene::begins`] does not count.
    pub fn container(&self, recipe: Recipe) -> Container {
        wait(self.engine.run(recipe.label("scene", &self.name)))
    }

    /// Starts the daemon; what is done from now on counts.
    pub fn begins(&mut self) -> Daemon {
        wait(self.watch.news());
        self.home.start()
    }

    /// What was done since the last time this was asked.
    pub fn deeds(&mut self) -> Vec<(String, String)> {
        let news = wait(self.watch.news()).into_iter();
        news.filter(|(_, action)| ["start", "restart", "stop", "unpause"].contains(&action.as_str())).collect()
    }

    /// Stops the daemon when everything has been sent, and tells everything.
    pub fn ends(self, daemon: Daemon) -> Outcome {
        eventually("everything has been sent", || daemon.json("/api/v1/status")["outbox"]["waiting"] == 0);
        assert!(daemon.terminate().success());
        self.closes()
    }

    /// Tells everything, when no daemon runs any more.
    pub fn closes(mut self) -> Outcome {
        let deeds = self.deeds();
        let (mails, posts) = self.office.close();
        let subject = |mail: &Value| crate::support::smtp::header(mail, "Subject").join("");
        let title = |post: &Value| post["attachments"][0]["title"].as_str().unwrap_or_default().to_owned();
        Outcome { deeds, mails: mails.iter().map(subject).collect(), chat: posts.iter().map(title).collect() }
    }
}

impl Outcome {
    /// Nothing was done, and a human is called once.
    pub fn is_harmless_and_told_once(&self) {
        assert_eq!(self.deeds, Vec::<(String, String)>::new());
        assert_eq!(self.told(), ["human needed"], "{self:?}");
    }

    /// What the mailbox was told, mail by mail, without the numbers: `human needed`, `healed`, `firing`. Whoever is called
    /// by mail is called in the chat as well, and as often.
    pub fn told(&self) -> Vec<String> {
        let is_call = |title: &&String| title.contains("human needed") || title.contains("approval needed");
        let calls = |titles: &[String]| titles.iter().filter(is_call).count();
        assert_eq!(calls(&self.mails), calls(&self.chat), "{self:?}");
        let words = |subject: &String| match subject.split_once(" — ") {
            Some((_, words)) => words.split(',').next().unwrap().split(" after ").next().unwrap().to_owned(),
            // A plain notification says only how the alerts stand.
            None => subject.trim_start_matches('[').split([':', ']']).next().unwrap().to_lowercase(),
        };
        self.mails.iter().map(words).collect()
    }

    /// How often something was done.
    pub fn count(&self, deed: &str) -> usize {
        self.deeds.iter().filter(|(_, action)| action == deed).count()
    }
}

/// Posts an alert that began just now.
pub fn tell(daemon: &Daemon, status: &str, labels: &Value) {
    tell_aged(daemon, status, labels, Duration::ZERO);
}

pub fn tell_aged(daemon: &Daemon, status: &str, labels: &Value, age: Duration) {
    assert_eq!(daemon.post(delivery(&[alert(status, labels, age)])), Some(202));
}

/// The labels of an alert about a container.
pub fn down(container: &str) -> Value {
    json!({"alertname": "ServiceDown", "container": container})
}

/// A rule that restarts the container an alert names.
pub const BY_NAME: &str = r#"
rules:
- metadata: {name: restart}
  labels: {alertname: ^ServiceDown$}
  steps:
  - restartContainer: {name: "{{ $labels.container }}", stopTimeout: 1s}
    attempts: 2
    backoff: {initial: 100ms}
    verify: {within: 2s}
"#;
