//! Configuration: files to checked values. Reads everything, collects every problem with its place, and hands out
//! parts; nothing below `app` sees a whole [`Config`].

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use crate::action::container::DockerHost;
use crate::domain::guard::Limits;
use crate::domain::rule::RuleSet;
use crate::notify::ReceiverSettings;
use crate::secret::Secret;

/// Everything the files say, checked.
#[derive(Debug)]
pub struct Config {
    /// Compiled rules.
    pub rules: RuleSet,
    /// Where the store is.
    pub store: StoreLocation,
    /// Docker hosts by name.
    pub docker_hosts: Vec<DockerHost>,
    /// Limits over all rules.
    pub limits: Limits,
    /// Web interface.
    pub web: WebSettings,
    /// Who can be told.
    pub receivers: Vec<ReceiverSettings>,
    /// How long ended heals are kept.
    pub history: Duration,
}

/// Where the store is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum StoreLocation {
    /// A `SQLite` file, created with its directory.
    Sqlite(PathBuf),
    /// In memory, for dry runs and tests.
    Memory,
}

/// Web interface settings from the configuration file.
#[derive(Debug, Clone)]
pub struct WebSettings {
    /// Where to listen.
    pub listen_address: SocketAddr,
    /// Tokens accepted as `Authorization: Bearer`.
    pub bearer_tokens: Vec<Secret>,
    /// Largest accepted body in bytes.
    pub max_body_bytes: usize,
}
