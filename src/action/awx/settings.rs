//! How an AWX server is reached.

use std::fmt;
use std::time::Duration;

use reqwest::Url;

use crate::secret::Secret;
use crate::tls::{ClientTls, TlsError};

/// One server.
#[derive(Debug, Clone)]
pub struct AwxServer {
    /// The name rules use.
    pub name: String,
    /// Where its API is.
    pub root: ApiRoot,
    /// Who we are there.
    pub auth: AwxAuth,
    /// Whom we trust.
    pub tls: AwxTls,
    /// Requests go through here; it may carry a password.
    pub proxy: Option<Secret>,
    /// The project of templates whose rule names none.
    pub project: Option<String>,
    /// How long things may take.
    pub times: AwxTimes,
}

/// Who we are on a server.
#[derive(Debug, Clone)]
pub enum AwxAuth {
    /// A user with a password; works on every version.
    Basic {
        /// The user's name.
        username: Secret,
        /// The password.
        password: Secret,
    },
    /// A personal or a gateway token.
    Bearer(Secret),
}

/// TLS towards a server.
#[derive(Debug, Clone, Default)]
pub struct AwxTls {
    /// Files, as for every client.
    pub files: ClientTls,
    /// Authorities written into the configuration (PEM), beside those of the file.
    pub ca_certs: Option<String>,
    /// Believe any certificate.
    pub insecure: bool,
}

/// How long things may take.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AwxTimes {
    /// Until a connection stands.
    pub connect: Duration,
    /// Any request but a launch.
    pub request: Duration,
    /// A launch: servers need a second each, and more when many come at once.
    pub launch: Duration,
    /// How long after a launch whose answer was lost a job may still appear: longer than the server and the proxies before it
    /// keep a request.
    pub lost_answer: Duration,
    /// How long a job may wait in the queue.
    pub pending: Duration,
    /// How long the output of an ended job may take to be complete; that of one whose worker was lost never is.
    pub output: Duration,
    /// The longest pause between two looks at a job.
    pub longest_poll: Duration,
}

impl Default for AwxTimes {
    fn default() -> Self {
        Self {
            connect: Duration::from_secs(5),
            request: Duration::from_secs(15),
            launch: Duration::from_secs(30),
            lost_answer: Duration::from_mins(2),
            pending: Duration::from_mins(10),
            output: Duration::from_secs(30),
            longest_poll: Duration::from_secs(15),
        }
    }
}

/// The address of an API up to but without its version: `https://awx.example.com/api/`, or `…/api/controller/` behind the
/// platform's gateway.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ApiRoot(Url);

impl ApiRoot {
    /// Reads an address with or without path, version and last slash.
    ///
    /// # Errors
    /// What an address must look like.
    pub fn parse(text: &str) -> Result<Self, &'static str> {
        const EXPECTED: &str = "expected an address such as https://awx.example.com/api";
        let mut url = Url::parse(text.trim()).map_err(|_| EXPECTED)?;
        if !matches!(url.scheme(), "http" | "https") || !url.has_host() {
            return Err(EXPECTED);
        }
        if !url.username().is_empty() || url.password().is_some() {
            return Err("user and password belong into `credentials`, not into the address");
        }
        if url.query().is_some() || url.fragment().is_some() {
            return Err("expected an address without ? and #, such as https://awx.example.com/api");
        }
        let path = url.path().trim_end_matches('/');
        let path = path.strip_suffix("/v2").unwrap_or(path).to_owned();
        let path = if path.is_empty() { "/api/".to_owned() } else { format!("{path}/") };
        url.set_path(&path);
        Ok(Self(url))
    }

    /// An address below the version.
    pub(super) fn join(&self, path: &str) -> Url {
        let mut url = self.0.clone();
        url.set_path(&format!("{}v2/{path}", self.0.path()));
        url
    }

    /// Whether requests go without TLS.
    pub(super) fn is_plain(&self) -> bool {
        self.0.scheme() == "http"
    }

    /// Where people look at a job.
    pub(super) fn page(&self, is_workflow: bool, id: u64) -> String {
        let kind = if is_workflow { "workflow" } else { "playbook" };
        let origin = self.0.origin().ascii_serialization();
        // The gateway has pages of its own.
        if self.0.path().contains("/controller/") {
            format!("{origin}/execution/jobs/{kind}/{id}")
        } else {
            format!("{origin}/#/jobs/{kind}/{id}")
        }
    }
}

impl fmt::Display for ApiRoot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0.as_str().trim_end_matches('/'))
    }
}

/// A server cannot be set up.
#[derive(Debug, thiserror::Error)]
pub enum AwxServerError {
    /// A TLS option cannot be used.
    #[error("awx server {server}: {source}")]
    Tls {
        /// The server's name.
        server: String,
        /// What is wrong.
        source: TlsError,
    },
    /// The proxy's address is none.
    #[error("awx server {server}: proxy is not an address such as http://proxy.example.com:3128")]
    Proxy {
        /// The server's name.
        server: String,
    },
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_taken_with_and_without_its_path() {
        for (text, expected) in [
            ("https://awx.example.com", "https://awx.example.com/api"),
            ("https://awx.example.com/api", "https://awx.example.com/api"),
            ("https://awx.example.com/api/", "https://awx.example.com/api"),
            ("https://awx.example.com/api/v2/", "https://awx.example.com/api"),
            ("http://h:8052/tower/api", "http://h:8052/tower/api"),
            ("https://aap/api/controller", "https://aap/api/controller"),
        ] {
            assert_eq!(ApiRoot::parse(text).unwrap().to_string(), expected, "{text}");
        }
        for bad in ["", "awx.example.com/api", "ftp://awx/api", "https://u:p@awx/api", "https://awx/api?x=1"] {
            assert!(ApiRoot::parse(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn people_find_a_job_on_the_page_of_their_platform() {
        let page = |text: &str, is_workflow| ApiRoot::parse(text).unwrap().page(is_workflow, 15);
        assert_eq!(page("https://awx/api", false), "https://awx/#/jobs/playbook/15");
        assert_eq!(page("https://awx/api", true), "https://awx/#/jobs/workflow/15");
        assert_eq!(page("https://aap/api/controller", false), "https://aap/execution/jobs/playbook/15");
    }
}
