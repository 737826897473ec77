//! Configuration: files to checked values. Reads everything, collects every problem with its place, and hands out
//! parts; nothing below `app` sees a whole [`Config`].
//!
//! The way of a file: `files` says which ones are read, `documents` reads them side by side (`rule_files` checks their rules so, too), `parse` turns each into `yaml` values that know their places,
//! `sections` puts the sections of all configuration files together, and one module per section (`docker`, `receivers`,
//! `rules` with `steps` and `verify`, `endpoint`, `time_intervals`, `web`, and `web_file` for the file beside them) checks them through the `reader`, which writes every misfit down and goes on.

mod ancestor;
mod awx;
mod awx_bootstrap;
mod awx_job;
mod diagnostic;
mod docker;
mod documents;
mod endpoint;
mod exec;
mod files;
mod http_job;
mod http_presets;
mod http_request;
mod http_servers;
mod lint;
mod load;
mod names;
mod parse;
mod patterns;
mod precautions;
mod reader;
mod receivers;
mod reference;
mod routes;
mod rule_files;
mod rule_tests;
mod rules;
mod scalars;
mod sections;
mod sources;
mod spot;
mod steps;
mod suggest;
mod time_intervals;
mod tree;
mod verify;
mod web;
mod web_file;
mod yaml;

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

use http::HeaderMap;

use crate::action::awx::AwxServer;
use crate::action::container::DockerHost;
use crate::action::http::HttpServer;
use crate::domain::decide::Policy;
use crate::domain::guard::Limits;
use crate::domain::rule::RuleSet;
use crate::links::Links;
use crate::notify::{self, ReceiverSettings};
use crate::secret::Secret;
use crate::tls::server::ServerTls;
use crate::token::Token;
use crate::verify::Endpoint;

pub use self::ancestor::DIFFERENCES;
pub use self::awx_bootstrap::read_awx_bootstrap;
pub use self::diagnostic::{Diagnostic, Diagnostics, FindSecrets, Place, Severity, SourceFile};
pub use self::load::{LoadOptions, sort_paths};
pub use self::rule_tests::{
    ActionEnd, Expectation, Happening, HealChoice, RuleTest, RuleTests, TestAlert, TestEvent, Testimony, Wanted,
    read_rule_tests, rule_test_files,
};
pub use self::sources::Sources;
pub use self::web::{LISTEN_ADDRESS, listen_address};

/// The ancestor's port.
const DEFAULT_PORT: u16 = 9099;

/// Everything the files say, checked.
#[derive(Debug)]
pub struct Config {
    /// Compiled rules.
    pub rules: RuleSet,
    /// Where the store is.
    pub store: StoreLocation,
    /// Docker hosts by name.
    pub docker_hosts: Vec<DockerHost>,
    /// AWX servers by name.
    pub awx_servers: Vec<AwxServer>,
    /// Servers that actions speak to by HTTP, by name.
    pub http_servers: Vec<HttpServer>,
    /// Limits over all rules.
    pub limits: Limits,
    /// After how long a pause that holds heals back is too long.
    pub page_paused_after: Duration,
    /// Web interface.
    pub web: WebSettings,
    /// What `--web-config-file` says.
    pub web_file: WebFile,
    /// Who can be told.
    pub receivers: Vec<ReceiverSettings>,
    /// Who is told when nobody else is named.
    pub default_receivers: Vec<String>,
    /// Who is told what another receiver will never take.
    pub fallback_receiver: Option<String>,
    /// How long ended heals are kept.
    pub history: Duration,
    /// Whom alerts are compared with.
    pub alertmanager: Option<Endpoint>,
    /// Where `PromQL` is asked.
    pub prometheus: Option<Endpoint>,
    /// Whether a rule is written as for openshift/autoheal, so that people should know [`DIFFERENCES`].
    pub has_ancestors_rules: bool,
    /// The default directory of rules, when rules were read from it; see [`LoadOptions::held_rules`].
    pub held_rules: Option<PathBuf>,
}

impl Config {
    /// What holds for all heals under this configuration.
    #[must_use]
    pub fn policy(&self, dry_run: bool) -> Policy {
        let receivers = notify::channels(&self.receivers);
        Policy {
            limits: self.limits.clone(),
            rules: self.rules.policies(),
            receivers,
            alertmanager: None,
            page_paused_after: Some(self.page_paused_after),
            dry_run,
        }
    }
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
    /// Tokens of `bearerTokens`, which are good for everything.
    pub bearer_tokens: Vec<Secret>,
    /// Tokens of `tokens`, with names and scopes.
    pub tokens: Vec<Token>,
    /// Largest accepted body in bytes.
    pub max_body_bytes: usize,
    /// The address under which people reach us, for links in messages.
    pub external_url: Option<String>,
    /// Signs the links by which a message can approve; without it there are none.
    pub link_key: Option<Secret>,
}

/// Web interface settings from the file that exporter-toolkit's format is for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WebFile {
    /// TLS; without it, plain text.
    pub tls: Option<ServerTls>,
    /// Whether HTTP/2 is spoken beside HTTP/1.1.
    pub http2: bool,
    /// Headers for every answer.
    pub headers: HeaderMap,
    /// Users who may do anything, by name with the bcrypt hash of their password.
    pub users: BTreeMap<String, Secret>,
}

impl WebSettings {
    /// What makes and reads links to approve; `None` without both a key and an address.
    #[must_use]
    pub fn links(&self) -> Option<Links> {
        Some(Links::new(self.external_url.as_deref()?, self.link_key.clone()?))
    }

    /// Every token callers may show. Those without a name of their own are known by their number.
    #[must_use]
    pub fn all_tokens(&self) -> Vec<Token> {
        let numbered = self.bearer_tokens.iter().enumerate();
        let unnamed =
            numbered.map(|(index, value)| Token::for_everything(&format!("bearer token {}", index + 1), value.clone()));
        unnamed.chain(self.tokens.iter().cloned()).collect()
    }
}

impl Default for WebFile {
    fn default() -> Self {
        Self { tls: None, http2: true, headers: HeaderMap::new(), users: BTreeMap::new() }
    }
}

impl Default for WebSettings {
    fn default() -> Self {
        Self {
            listen_address: SocketAddr::new(Ipv4Addr::LOCALHOST.into(), DEFAULT_PORT),
            bearer_tokens: Vec::new(),
            tokens: Vec::new(),
            max_body_bytes: 32 * 1024 * 1024,
            external_url: None,
            link_key: None,
        }
    }
}
