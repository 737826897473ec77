//! The sections of all configuration files put together: later scalars win, hosts, receivers and rules add up.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use super::awx::AwxSection;
use super::diagnostic::{Place, SourceFile};
use super::http_servers::HttpSection;
use super::names::Names;
use super::reader::{Reader, Schema};
use super::receivers::Templates;
use super::rules::Throttling;
use super::time_intervals::TimeIntervals;
use super::yaml::{Kind, Node};
use super::{StoreLocation, WebSettings, docker, endpoint, precautions, receivers, rules, web};
use crate::action::container::DockerHost;
use crate::domain::guard::Limits;
use crate::domain::rule_policy::Flapping;
use crate::notify::ReceiverSettings;
use crate::verify::Endpoint;

const CONFIGURATION: Schema = Schema {
    what: "the configuration",
    keys: &[
        "ruleFiles",
        "store",
        "docker",
        "throttling",
        "limits",
        "pause",
        "web",
        "receivers",
        "templates",
        "defaultReceivers",
        "fallbackReceiver",
        "reminderInterval",
        "routes",
        "history",
        "rules",
        "awx",
        "http",
        "alertmanager",
        "prometheus",
        "timeIntervals",
    ],
    unsupported: &[],
    strict: false,
};
const LIMITS: Schema =
    Schema { what: "`limits`", keys: &["concurrent", "perHour", "windows"], unsupported: &["storm"], strict: false };

const PAUSE: Schema = Schema { what: "`pause`", keys: &["pageAfter"], unsupported: &[], strict: false };

const DAY: Duration = Duration::from_hours(24);

/// Whether a mapping's key makes its file a configuration rather than a file of rules.
pub(super) fn is_configuration_key(key: &str) -> bool {
    key != "rules" && CONFIGURATION.keys.contains(&key)
}

/// A path from `ruleFiles`.
#[derive(Debug)]
pub(super) struct RulePath {
    /// Made absolute by the directory of its file.
    pub path: PathBuf,
    /// Where it is written.
    pub place: Place,
}

/// What all configuration files say together.
pub(super) struct Sections<'n> {
    /// `None` when no file has the key.
    pub rule_files: Option<Vec<RulePath>>,
    pub store: Option<StoreLocation>,
    pub hosts: Vec<DockerHost>,
    pub host_names: Names,
    pub awx: AwxSection,
    pub http: HttpSection,
    pub throttling: Throttling,
    pub limits: Limits,
    pub page_paused_after: Duration,
    pub web: WebSettings,
    pub receivers: Vec<ReceiverSettings>,
    pub receiver_names: Names,
    /// As written, for what is read once all time intervals are known.
    pub receiver_lists: Vec<(&'n Arc<SourceFile>, &'n Node)>,
    /// Read before anything else, because receivers of any file may use them.
    pub templates: Templates,
    /// Read once all receivers are known.
    pub default_receivers: Option<(&'n Arc<SourceFile>, &'n Node)>,
    pub fallback_receiver: Option<(&'n Arc<SourceFile>, &'n Node)>,
    /// Read once all receivers are known.
    pub routes: Vec<(&'n Arc<SourceFile>, &'n Node)>,
    /// How often receivers are reminded that do not say otherwise.
    pub remind: Duration,
    pub history: Duration,
    pub time_intervals: TimeIntervals,
    pub alertmanager: Option<Endpoint>,
    pub prometheus: Option<Endpoint>,
    /// Whether a file has the key, be it with errors, or may have it.
    pub has_prometheus: bool,
    /// Read once all hosts and receivers are known.
    pub rules: Vec<(&'n Arc<SourceFile>, &'n Node)>,
}

impl<'n> Sections<'n> {
    /// The defaults.
    pub fn new() -> Self {
        Self {
            rule_files: None,
            store: None,
            hosts: Vec::new(),
            host_names: Names::new("docker host"),
            awx: AwxSection::new(),
            http: HttpSection::new(),
            throttling: Throttling { interval: Duration::from_hours(1), flapping: Some(Flapping::default()) },
            limits: Limits::default(),
            page_paused_after: Duration::from_mins(30),
            web: WebSettings::default(),
            receivers: Vec::new(),
            receiver_names: Names::new("receiver"),
            receiver_lists: Vec::new(),
            templates: Templates::default(),
            default_receivers: None,
            fallback_receiver: None,
            routes: Vec::new(),
            remind: Duration::ZERO,
            history: 90 * DAY,
            time_intervals: TimeIntervals::new(),
            alertmanager: None,
            prometheus: None,
            has_prometheus: false,
            rules: Vec::new(),
        }
    }

    /// Misses nothing from now on, because a file that may say it cannot be read.
    pub fn mark_incomplete(&mut self) {
        self.host_names.mark_incomplete();
        self.receiver_names.mark_incomplete();
        self.time_intervals.mark_incomplete();
        self.awx.mark_incomplete();
        self.http.names.mark_incomplete();
        self.has_prometheus = true;
    }

    /// Reads the templates that one file names.
    pub fn add_templates(&mut self, reader: &Reader<'_>, root: &Node, working_dir: &Path) {
        if let Some(node) = root.value("templates")
            && !matches!(node.kind, Kind::Nothing)
        {
            self.templates.read(reader, node, working_dir);
        }
    }

    /// Adds what one file says.
    pub fn add(&mut self, reader: &Reader<'_>, file: &'n Arc<SourceFile>, root: &'n Node, working_dir: &Path) {
        // An empty file, or one with everything commented out, says nothing.
        if matches!(root.kind, Kind::Nothing) {
            return;
        }
        let Some(top) = reader.mapping(root, &CONFIGURATION) else { return };
        if let Some(node) = top.get("ruleFiles") {
            self.rule_files.get_or_insert_default().extend(read_rule_files(reader, node));
        }
        if let Some(node) = top.get("store") {
            self.store = read_store(reader, node, working_dir).or(self.store.take());
        }
        if let Some(node) = top.get("docker") {
            docker::read(reader, node, &mut self.host_names, &mut self.hosts);
        }
        if let Some(node) = top.get("awx") {
            self.awx.add(reader, node);
        }
        if let Some(node) = top.get("http") {
            self.http.add(reader, node);
        }
        if let Some(read) = top.get("throttling").and_then(|node| rules::read_throttling(reader, node)) {
            self.throttling = Throttling { flapping: read.flapping.or(self.throttling.flapping), ..read };
        }
        if let Some(node) = top.get("limits") {
            read_limits(reader, node, &mut self.limits);
        }
        let pause = top.get("pause").and_then(|node| reader.mapping(node, &PAUSE));
        if let Some(node) = pause.as_ref().and_then(|pause| pause.get("pageAfter")) {
            let after = reader.duration(node, Duration::from_secs(1)..=31 * DAY);
            self.page_paused_after = after.unwrap_or(self.page_paused_after);
        }
        if let Some(node) = top.get("web") {
            web::read(reader, node, &mut self.web);
        }
        if let Some(node) = top.get("receivers") {
            receivers::read(reader, node, &mut self.receiver_names, &self.templates, &mut self.receivers);
            self.receiver_lists.push((file, node));
        }
        if let Some(node) = top.get("timeIntervals") {
            self.time_intervals.read(reader, node);
        }
        if let Some(node) = top.get("alertmanager") {
            self.alertmanager = endpoint::read_alertmanager(reader, node).or(self.alertmanager.take());
        }
        if let Some(node) = top.get("prometheus") {
            self.has_prometheus = true;
            self.prometheus = endpoint::read_prometheus(reader, node).or(self.prometheus.take());
        }
        if let Some(history) = top.get("history").and_then(|node| reader.duration(node, DAY..=36500 * DAY)) {
            self.history = history;
        }
        if let Some(node) = top.get("reminderInterval") {
            self.remind = receivers::read_reminder_interval(reader, node).unwrap_or(self.remind);
        }
        self.fallback_receiver = top.get("fallbackReceiver").map(|node| (file, node)).or(self.fallback_receiver);
        self.default_receivers = top.get("defaultReceivers").map(|node| (file, node)).or(self.default_receivers);
        self.routes.extend(top.get("routes").map(|node| (file, node)));
        self.rules.extend(top.get("rules").map(|node| (file, node)));
    }
}

fn read_rule_files(reader: &Reader<'_>, node: &Node) -> Vec<RulePath> {
    let directory = reader.file.path().parent().unwrap_or(Path::new(""));
    let paths = reader.list_or_one(node, "path").iter();
    paths
        .filter_map(|node| {
            let path = directory.join(reader.word(node, "this path")?);
            Some(RulePath { path, place: reader.place(&node.span) })
        })
        .collect()
}

fn read_limits(reader: &Reader<'_>, node: &Node, limits: &mut Limits) {
    let Some(section) = reader.mapping(node, &LIMITS) else { return };
    if let Some(value) = section.get("concurrent").and_then(|node| reader.integer(node, &(1..=1000))) {
        limits.concurrent = value;
    }
    if let Some(value) = section.get("perHour").and_then(|node| reader.integer(node, &(1..=1_000_000))) {
        limits.per_hour = value;
    }
    if let Some(node) = section.get("windows") {
        limits.windows = precautions::read_windows(reader, node);
    }
}

fn read_store(reader: &Reader<'_>, node: &Node, working_dir: &Path) -> Option<StoreLocation> {
    // The text may hold a database password; neither it nor a part of it is shown.
    match store_location(&reader.text(node)?, working_dir) {
        Ok(location) => Some(location),
        Err(message) => {
            reader.error(&node.span, message, "expected sqlite:PATH");
            None
        }
    }
}

/// Parses a store location. A relative path starts at the working directory, because the store belongs to the running
/// process, not to the configuration, which may stand in a directory nobody can write to.
pub(super) fn store_location(text: &str, working_dir: &Path) -> Result<StoreLocation, &'static str> {
    if text.starts_with("postgres://") || text.starts_with("postgresql://") {
        return Err("PostgreSQL is not supported by this version");
    }
    let path = text.strip_prefix("sqlite:").ok_or("this is not a store")?;
    if path == ":memory:" {
        return Ok(StoreLocation::Memory);
    }
    let path = path.strip_prefix("//").unwrap_or(path);
    if path.is_empty() || path.ends_with('/') {
        return Err("this store has no file name");
    }
    Ok(StoreLocation::Sqlite(working_dir.join(path)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_store_is_a_file_below_the_working_directory() {
        let sqlite = |path: &str| Ok(StoreLocation::Sqlite(PathBuf::from(path)));
        for (text, expected) in [
            ("sqlite:data/autoheal.db", sqlite("/srv/data/autoheal.db")),
            ("sqlite:/var/lib/autoheal.db", sqlite("/var/lib/autoheal.db")),
            ("sqlite:///var/lib/autoheal.db", sqlite("/var/lib/autoheal.db")),
            ("sqlite::memory:", Ok(StoreLocation::Memory)),
            ("postgres://u:p@db/autoheal", Err("PostgreSQL is not supported by this version")),
            ("sqlite:", Err("this store has no file name")),
            ("data/autoheal.db", Err("this is not a store")),
        ] {
            assert_eq!(store_location(text, Path::new("/srv")), expected, "{text:?}");
        }
    }
}
