//! Mail over SMTP, always encrypted.
//!
//! lettre's pooled transport is not used, for two reasons. It has no time limit for reading, and a delivery that is
//! cancelled half-way goes back into its pool, where the late answer to one command is then taken for the answer to
//! the next one: a refused mail could pass as sent. And it gives up a mail when one of its recipients is refused.
//! A connection per mail costs little, since mails are few (docs/adr/0009-a-connection-per-mail.md).

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use lettre::message::Mailbox;
use lettre::transport::smtp::authentication::{Credentials, DEFAULT_MECHANISMS};
use lettre::transport::smtp::client::{
    AsyncSmtpConnection, Certificate, CertificateStore, Identity, TlsParameters, TlsParametersBuilder,
};
use lettre::transport::smtp::commands::{Data, Mail, Rcpt};
use lettre::transport::smtp::extension::{ClientId, MailParameter};
use lettre::transport::smtp::{Error as SmtpError, response::Response};
use uuid::Uuid;

use super::answer::Redactor;
use super::message::{Pages, mail, texts::Texts};
use super::{BuildError, Notifier, NotifyError, Pace, Receipt};
use crate::causes;
use crate::secret::Secret;
use crate::store::Outgoing;
use crate::tls::{ClientTls, TlsError};

/// The port on which TLS begins with the first byte.
const IMPLICIT_TLS_PORT: u16 = 465;
/// How long a connection to one address may take to be made.
const CONNECT_LIMIT: Duration = Duration::from_secs(10);
/// How long a whole delivery may take.
const SEND_LIMIT: Duration = Duration::from_secs(30);
/// How long we wait for a good-bye that changes nothing.
const QUIT_LIMIT: Duration = Duration::from_secs(2);
/// How many half-delivered mails are remembered.
const MAX_REMEMBERED: usize = 1000;

/// How mail is sent and to whom.
#[derive(Debug, Clone)]
pub struct EmailSettings {
    /// Recipients; at least one. Checked mailbox syntax.
    pub to: Vec<Mailbox>,
    /// Sender.
    pub from: Mailbox,
    /// SMTP host.
    pub host: String,
    /// SMTP port: 465 is TLS from the start, any other requires STARTTLS.
    pub port: u16,
    /// AUTH user name; itself may be secret.
    pub username: Option<Secret>,
    /// AUTH password.
    pub password: Option<Secret>,
    /// TLS options.
    pub tls: ClientTls,
    /// What people have written in place of the default texts.
    pub texts: Texts,
}

/// How one recipient of one mail stands.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Standing {
    /// The server has not said its last word.
    Open,
    /// The server took the mail for it.
    Delivered,
    /// The server will never take a mail for it.
    Refused(String),
}

/// Sends to one list of recipients through one mail server.
pub struct EmailNotifier {
    from: Mailbox,
    to: Vec<Mailbox>,
    host: String,
    port: u16,
    credentials: Option<Credentials>,
    tls: TlsParameters,
    implicit_tls: bool,
    redactor: Redactor,
    limit: Duration,
    pages: Pages,
    texts: Texts,
    /// Mails some recipients have and others wait for, so that a retry does not tell anybody twice.
    remembered: Mutex<BTreeMap<Uuid, Vec<Standing>>>,
}

impl EmailNotifier {
    /// Prepares TLS and credentials; nothing is sent.
    ///
    /// # Errors
    /// A TLS file cannot be used, or the machine trusts no authority.
    pub fn new(settings: &EmailSettings, pages: Pages) -> Result<Self, BuildError> {
        let secrets = [&settings.username, &settings.password].into_iter().flatten().map(Secret::expose);
        let credentials = settings.username.as_ref().map(|username| {
            let password = settings.password.as_ref().map_or("", Secret::expose);
            Credentials::new(username.expose().to_owned(), password.to_owned())
        });
        Ok(Self {
            from: settings.from.clone(),
            to: settings.to.clone(),
            host: settings.host.clone(),
            port: settings.port,
            credentials,
            tls: tls_parameters(&settings.host, &settings.tls)?,
            implicit_tls: settings.port == IMPLICIT_TLS_PORT,
            redactor: Redactor::new(secrets),
            limit: SEND_LIMIT,
            pages,
            texts: settings.texts.clone(),
            remembered: Mutex::default(),
        })
    }

    /// Sets how long a whole delivery may take.
    #[must_use]
    pub const fn with_limit(mut self, limit: Duration) -> Self {
        self.limit = limit;
        self
    }

    /// Begins TLS with the first byte on a port other than 465.
    #[must_use]
    pub const fn with_implicit_tls(mut self) -> Self {
        self.implicit_tls = true;
        self
    }

    /// Connects, encrypts and logs in.
    async fn connect(&self) -> Result<AsyncSmtpConnection, NotifyError> {
        let hello = ClientId::default();
        let implicit = self.implicit_tls.then(|| self.tls.clone());
        let server = (self.host.as_str(), self.port);
        let mut connection = AsyncSmtpConnection::connect_tokio1(server, Some(CONNECT_LIMIT), &hello, implicit, None)
            .await
            .map_err(|error| self.failed("could not be reached", &error))?;
        if !connection.is_encrypted() {
            if !connection.can_starttls() {
                // Somebody on the way may have taken the offer out; the next try may be spared that.
                let error = format!("{} offers no STARTTLS; nothing is sent unencrypted", self.server());
                return Err(NotifyError::Retryable { error, after: None });
            }
            let upgraded = connection.starttls(self.tls.clone(), &hello).await;
            upgraded.map_err(|error| self.failed("could not begin TLS", &error))?;
        }
        if let Some(credentials) = &self.credentials {
            let accepted = connection.auth(DEFAULT_MECHANISMS, credentials).await;
            accepted.map_err(|error| self.failed("refused the login", &error))?;
        }
        Ok(connection)
    }

    /// One transaction with everybody who has not got the mail yet.
    async fn transact(
        &self,
        connection: &mut AsyncSmtpConnection,
        mail: &[u8],
        standings: &mut [Standing],
    ) -> Result<Transaction, NotifyError> {
        let is_ascii = self
            .to
            .iter()
            .chain([&self.from])
            .all(|mailbox| mailbox.email.user().is_ascii() && mailbox.email.domain().is_ascii());
        let options = if is_ascii { vec![] } else { vec![MailParameter::SmtpUtfEight] };
        let sender = connection.command(Mail::new(Some(self.from.email.clone()), options)).await;
        sender.map_err(|error| self.failed("refused the sender", &error))?;

        let mut accepted = Vec::new();
        let mut deferred = Vec::new();
        for (standing, mailbox) in standings.iter_mut().zip(&self.to) {
            if *standing != Standing::Open {
                continue;
            }
            match connection.command(Rcpt::new(mailbox.email.clone(), vec![])).await {
                Ok(_) => accepted.push(standing),
                Err(error) if error.is_permanent() => {
                    *standing = Standing::Refused(format!("{}: {}", mailbox.email, self.said(&error)));
                }
                Err(error) if error.is_transient() => {
                    deferred.push(format!("{}: {}", mailbox.email, self.said(&error)));
                }
                Err(error) => return Err(self.failed("broke off", &error)),
            }
        }
        let mut answer = None;
        if !accepted.is_empty() {
            let ready = connection.command(Data).await;
            ready.map_err(|error| self.failed("refused the message", &error))?;
            let taken = connection.message(mail).await;
            answer = Some(taken.map_err(|error| self.failed("refused the message", &error))?);
            for standing in accepted {
                *standing = Standing::Delivered;
            }
        }
        Ok(Transaction { answer, deferred })
    }

    /// What it comes to when some recipients have the mail, some never will, and some must wait.
    fn conclude(&self, id: Uuid, done: Transaction, standings: Vec<Standing>) -> Result<String, NotifyError> {
        let refused: Vec<_> = standings
            .iter()
            .filter_map(|standing| if let Standing::Refused(said) = standing { Some(said.as_str()) } else { None })
            .collect();
        let delivered = standings.iter().filter(|standing| **standing == Standing::Delivered).count();
        let mut remembered = self.remembered.lock().unwrap_or_else(PoisonError::into_inner);
        remembered.remove(&id);
        if !done.deferred.is_empty() {
            let problems = [done.deferred.iter().map(String::as_str).collect(), refused].concat().join("; ");
            let error = format!("{} took the mail for {delivered} of {}: {problems}", self.server(), self.to.len());
            remembered.insert(id, standings);
            while remembered.len() > MAX_REMEMBERED {
                remembered.pop_first();
            }
            return Err(NotifyError::Retryable { error, after: None });
        }
        let problems = refused.join("; ");
        match done.answer {
            _ if delivered == 0 => {
                let error = format!("{} refused every recipient: {problems}", self.server());
                Err(NotifyError::Permanent { error })
            }
            answer => {
                let said = answer
                    .map_or_else(|| "taken at an earlier try".to_owned(), |answer| self.redactor.show(&words(&answer)));
                Ok(if refused.is_empty() { said } else { format!("{said}, but refused {problems}") })
            }
        }
    }

    async fn deliver(&self, id: Uuid, mail: Result<Vec<u8>, lettre::error::Error>) -> Result<String, NotifyError> {
        let mail =
            mail.map_err(|error| NotifyError::Permanent { error: format!("the mail cannot be composed: {error}") })?;
        let remembered = self.remembered.lock().unwrap_or_else(PoisonError::into_inner).get(&id).cloned();
        let mut standings = remembered.unwrap_or_else(|| vec![Standing::Open; self.to.len()]);
        let mut connection = self.connect().await?;
        let done = self.transact(&mut connection, &mail, &mut standings).await?;
        // The mail is in the server's hands; how it takes our good-bye changes nothing.
        drop(tokio::time::timeout(QUIT_LIMIT, connection.quit()).await);
        self.conclude(id, done, standings)
    }

    async fn within_limit(
        &self,
        id: Uuid,
        mail: Result<Vec<u8>, lettre::error::Error>,
    ) -> Result<Receipt, NotifyError> {
        match tokio::time::timeout(self.limit, self.deliver(id, mail)).await {
            Ok(result) => result.map(Receipt::from),
            Err(_) => Err(self.too_slow()),
        }
    }

    fn too_slow(&self) -> NotifyError {
        let error = format!("{} did not finish within {:?}", self.server(), self.limit);
        NotifyError::Retryable { error, after: None }
    }

    fn server(&self) -> String {
        format!("mail server {}:{}", self.host, self.port)
    }

    /// Only a 5xx is the server's last word. Everything else, also what lettre counts neither as permanent nor as
    /// transient, such as a certificate that does not fit, may pass.
    fn failed(&self, what: &str, error: &SmtpError) -> NotifyError {
        let said = format!("{} {what}: {}", self.server(), self.said(error));
        if error.is_permanent() {
            NotifyError::Permanent { error: said }
        } else {
            NotifyError::Retryable { error: said, after: None }
        }
    }

    fn said(&self, error: &SmtpError) -> String {
        let source = std::error::Error::source(error);
        let said = match (error.status(), source) {
            (Some(code), Some(source)) => format!("{code} {source}"),
            _ => causes::told(error),
        };
        self.redactor.show(&said)
    }
}

/// What one transaction came to.
struct Transaction {
    /// The server's answer to the message, when there was anybody to send it to.
    answer: Option<Response>,
    /// Recipients to be tried again, with what was said.
    deferred: Vec<String>,
}

fn words(answer: &Response) -> String {
    format!("{} {}", answer.code(), answer.message().collect::<Vec<_>>().join(" "))
}

fn tls_parameters(host: &str, tls: &ClientTls) -> Result<TlsParameters, TlsError> {
    let mut builder: TlsParametersBuilder = TlsParameters::builder(host.to_owned());
    let explain = |error: SmtpError| TlsError::explain(&error);
    if let Some(authorities) = tls.authorities()? {
        builder = builder.certificate_store(CertificateStore::None);
        for authority in authorities {
            builder = builder.add_root_certificate(Certificate::from_der(authority.to_vec()).map_err(explain)?);
        }
    }
    if let Some(identity) = tls.identity()? {
        // lettre's rustls side takes the certificate's bytes as they are, so they must be DER in spite of the
        // function's name; it has no room for the rest of the chain.
        let leaf = identity.chain.first().map(|der| der.to_vec()).unwrap_or_default();
        builder = builder.identify_with(Identity::from_pem(&leaf, &identity.pem.key).map_err(explain)?);
    }
    builder.build().map_err(explain)
}

#[async_trait]
impl Notifier for EmailNotifier {
    async fn send(&self, outgoing: &Outgoing) -> Result<Receipt, NotifyError> {
        self.within_limit(outgoing.id, mail::compose(outgoing, &self.from, &self.to, &self.pages, &self.texts)).await
    }

    async fn send_bundle(&self, outgoings: &[Outgoing]) -> Result<Receipt, NotifyError> {
        let mail = mail::compose_bundle(outgoings, &self.from, &self.to, &self.pages);
        self.within_limit(mail::bundle_id(outgoings), mail).await
    }

    async fn check(&self) -> Result<Option<String>, NotifyError> {
        let greeted = async {
            let mut connection = self.connect().await?;
            drop(tokio::time::timeout(QUIT_LIMIT, connection.quit()).await);
            Ok::<(), NotifyError>(())
        };
        match tokio::time::timeout(self.limit, greeted).await {
            Ok(greeted) => greeted.map(|()| Some(format!("{} lets us in, encrypted", self.server()))),
            Err(_) => Err(self.too_slow()),
        }
    }

    fn pace(&self) -> Pace {
        Pace::MAIL
    }
}
