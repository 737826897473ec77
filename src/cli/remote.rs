//! A running daemon as the command line talks to it.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use bytes::Bytes;
use clap::{Args, ValueEnum};
use reqwest::{Certificate, Client, Method, StatusCode, Url};
use serde_json::Value;

use super::Exit;
use super::say::say;
use crate::causes;
use crate::secret::Secret;

const DEFAULT_URL: &str = "http://127.0.0.1:9099";
/// A daemon answers within its own limit of 30 s or says that it cannot.
const TIMEOUT: Duration = Duration::from_secs(40);

/// Where the daemon is and how to get in.
#[derive(Debug, Clone, Args)]
pub struct RemoteArgs {
    /// The daemon's address; without it what `AUTOHEAL_URL` says, then <http://127.0.0.1:9099>
    #[arg(long, value_name = "URL")]
    url: Option<String>,
    /// File with the token to show; without it what `AUTOHEAL_TOKEN_FILE` says, else the token in `AUTOHEAL_TOKEN`
    #[arg(long, value_name = "PATH")]
    token_file: Option<PathBuf>,
    /// Authorities to trust instead of the system's (PEM)
    #[arg(long, value_name = "PATH")]
    ca_file: Option<PathBuf>,
    /// How to print the answer
    #[arg(long, value_enum, default_value_t = Output::Text)]
    pub output: Output,
}

/// How answers are printed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Output {
    /// For people
    Text,
    /// For programs
    Json,
}

/// A daemon to talk to.
pub struct Remote {
    client: Client,
    url: Url,
    token: Option<Secret>,
    runtime: tokio::runtime::Runtime,
}

impl RemoteArgs {
    /// Gets ready to talk; nothing is sent yet. Prints what is in the way.
    pub fn connect(&self, environment: &BTreeMap<String, String>) -> Result<Remote, Exit> {
        self.try_connect(environment).map_err(|error| {
            say(error);
            Exit::Usage
        })
    }

    fn try_connect(&self, environment: &BTreeMap<String, String>) -> Result<Remote, String> {
        let variable = |name: &str| environment.get(name).filter(|value| !value.is_empty());
        let url = self.url.as_ref().or_else(|| variable("AUTOHEAL_URL")).map_or(DEFAULT_URL, String::as_str);
        let mut url: Url =
            url.parse().map_err(|error| format!("{url:?} is no address: {error}; write for example {DEFAULT_URL}"))?;
        if !matches!(url.scheme(), "http" | "https") || !url.has_host() {
            return Err(format!("the address must begin with http:// or https://, for example {DEFAULT_URL}"));
        }
        // Without it the last part of the path would be replaced, not extended.
        if !url.path().ends_with('/') {
            url.set_path(&format!("{}/", url.path()));
        }
        let token_file = self.token_file.clone().or_else(|| variable("AUTOHEAL_TOKEN_FILE").map(PathBuf::from));
        let token = match token_file {
            Some(path) => {
                let text = std::fs::read_to_string(&path)
                    .map_err(|error| format!("token file {} cannot be read: {error}", path.display()))?;
                Some(Secret::new(text.trim()))
            }
            None => variable("AUTOHEAL_TOKEN").map(|token| Secret::new(token.trim())),
        };
        let mut builder = Client::builder().timeout(TIMEOUT).redirect(reqwest::redirect::Policy::none());
        if let Some(path) = &self.ca_file {
            let read = std::fs::read(path).map_err(|error| error.to_string());
            let trusted = read.and_then(|pem| Certificate::from_pem_bundle(&pem).map_err(|error| error.to_string()));
            builder = builder.tls_certs_only(trusted.map_err(|error| format!("{}: {error}", path.display()))?);
        } else if url.scheme() == "http" {
            // Loading the system's authorities fails where there are none, and plain HTTP needs none.
            builder = builder.tls_certs_only([]);
        }
        let client = builder.build().map_err(|error| format!("the client cannot be built: {error}"))?;
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        let runtime = runtime.map_err(|error| format!("the async runtime cannot be started: {error}"))?;
        Ok(Remote { client, url, token, runtime })
    }
}

impl Remote {
    /// Asks for something.
    pub fn get(&self, path: &str, query: &[(&str, String)]) -> Result<Value, Exit> {
        let mut url = self.address(path)?;
        if !query.is_empty() {
            url.query_pairs_mut().extend_pairs(query);
        }
        self.call(Method::GET, url, None)
    }

    /// Tells it to do something.
    pub fn post(&self, path: &str, body: &Value) -> Result<Value, Exit> {
        self.call(Method::POST, self.address(path)?, Some(body))
    }

    /// Asks for a text.
    pub fn text(&self, path: &str) -> Result<String, Exit> {
        let bytes = self.ask(Method::GET, self.address(path)?, None)?;
        Ok(String::from_utf8_lossy(&bytes).into_owned())
    }

    fn address(&self, path: &str) -> Result<Url, Exit> {
        self.url.join(path).map_err(|error| {
            say(format_args!("{path:?} cannot be part of an address: {error}"));
            Exit::Usage
        })
    }

    fn call(&self, method: Method, url: Url, body: Option<&Value>) -> Result<Value, Exit> {
        let bytes = self.ask(method, url, body)?;
        serde_json::from_slice(&bytes).map_err(|_| {
            say(format_args!("{} answered, but not as autoheal does; is the address right?", self.shown()));
            Exit::Failure
        })
    }

    fn ask(&self, method: Method, url: Url, body: Option<&Value>) -> Result<Bytes, Exit> {
        let mut request = self.client.request(method, url);
        if let Some(token) = &self.token {
            request = request.bearer_auth(token.expose());
        }
        if let Some(body) = body {
            request = request.header("content-type", "application/json").body(body.to_string());
        }
        let answer = self.runtime.block_on(async {
            let response = request.send().await?;
            Ok::<_, reqwest::Error>((response.status(), response.bytes().await?))
        });
        match answer {
            Ok((status, bytes)) if status.is_success() => Ok(bytes),
            Ok((status, bytes)) => {
                say(self.refused(status, &bytes));
                Err(Exit::Failure)
            }
            Err(error) => {
                let said = causes::told(&error.without_url());
                say(format_args!(
                    "{} cannot be asked: {said}; is the daemon running there? Give its address with --url",
                    self.shown()
                ));
                Err(Exit::Failure)
            }
        }
    }

    fn refused(&self, status: StatusCode, body: &[u8]) -> String {
        let problem: Value = serde_json::from_slice(body).unwrap_or_default();
        let detail = problem["detail"].as_str().map(super::told::clean);
        let hint = match status {
            StatusCode::UNAUTHORIZED if self.token.is_none() => "; give a token with --token-file",
            _ => "",
        };
        let detail = detail.unwrap_or_else(|| format!("{} answered {status}", self.shown()));
        format!("{detail}{hint}")
    }

    /// The address without a password that may stand in it.
    fn shown(&self) -> String {
        let mut url = self.url.clone();
        // Neither can fail: the address has a host.
        let _ = url.set_password(None);
        let _ = url.set_username("");
        url.to_string()
    }
}
