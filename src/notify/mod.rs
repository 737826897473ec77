//! Notifiers: how people are told. [`message`] renders purely; each notifier only carries.

pub mod alertmanager;
mod answer;
pub mod email;
pub mod grafana;
mod http;
pub mod mailgun;
pub mod message;
pub mod sample;
pub mod slack;
pub mod slack_bot;
pub mod webhook;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;

use crate::clock::Clock;
use crate::domain::calm::Calm;
use crate::domain::message::{Audience, Channel, Kinds, MessageKind};
use crate::secret::Secret;
use crate::store::Outgoing;
use crate::tls::TlsError;
use message::Pages;
use slack_bot::SlackBotSettings;

/// A message did not arrive.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NotifyError {
    /// The other side may take it later.
    #[error("{error}")]
    Retryable {
        /// What the other side said; never a secret.
        error: String,
        /// When it asked to be tried again.
        after: Option<Duration>,
    },
    /// The other side will never take it.
    #[error("{error}")]
    Permanent {
        /// What the other side said; never a secret.
        error: String,
    },
}

/// A message has arrived.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Receipt {
    /// What the other side said; never a secret.
    pub said: String,
    /// What the notifier wants to be shown with the heal's next message; `None` when nothing new.
    pub memory: Option<serde_json::Value>,
}

impl<T: Into<String>> From<T> for Receipt {
    fn from(said: T) -> Self {
        Self { said: said.into(), memory: None }
    }
}

/// How much a channel bears.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Pace {
    /// The time between messages on average.
    pub gap: Duration,
    /// How many may come in quick succession after a rest.
    pub burst: u32,
    /// When as many messages wait that each begin a story, they are sent as one.
    pub bundle_from: usize,
    /// After that further ones that begin a story gather this long before the next one is sent.
    pub gather: Duration,
}

impl Pace {
    /// What a mailbox bears: whatever comes, but many at once as one.
    pub const MAIL: Self = Self { gap: Duration::ZERO, burst: 1, bundle_from: 10, gather: Duration::from_secs(30) };
}

impl Default for Pace {
    /// Whatever comes, one by one.
    fn default() -> Self {
        Self { gap: Duration::ZERO, burst: 1, bundle_from: usize::MAX, gather: Duration::ZERO }
    }
}

/// Carries messages to one channel.
#[async_trait]
pub trait Notifier: Send + Sync {
    /// Delivers once, within the notifier's own time limits.
    ///
    /// # Errors
    /// Retryable or permanent, as the other side's answer tells.
    async fn send(&self, outgoing: &Outgoing) -> Result<Receipt, NotifyError>;

    /// Delivers several messages as one. Only asked for by a [`Pace`] that bundles.
    ///
    /// # Errors
    /// As [`Notifier::send`].
    async fn send_bundle(&self, outgoings: &[Outgoing]) -> Result<Receipt, NotifyError> {
        let mut receipt = Receipt::from("nothing to send");
        for outgoing in outgoings {
            receipt = self.send(outgoing).await?;
        }
        Ok(receipt)
    }

    /// Asks the other side whether it is there and would take messages of ours; tells nobody anything. Answers what it said,
    /// and `None` where it cannot be asked without a message.
    ///
    /// # Errors
    /// As [`Notifier::send`].
    async fn check(&self) -> Result<Option<String>, NotifyError> {
        Ok(None)
    }

    /// How much the channel bears.
    fn pace(&self) -> Pace {
        Pace::default()
    }
}

/// A notifier cannot be built from its settings.
#[derive(Debug, thiserror::Error)]
pub enum BuildError {
    /// The webhook's address is none. It is a secret, so it is not shown.
    #[error("webhookUrl is no http or https address")]
    WebhookUrl,
    /// A TLS option cannot be used.
    #[error(transparent)]
    Tls(#[from] TlsError),
}

/// One channel cannot be built.
#[derive(Debug, thiserror::Error)]
#[error("{channel}: {error}")]
pub struct ChannelError {
    /// The channel's name.
    pub channel: String,
    /// Why.
    #[source]
    pub error: BuildError,
}

/// One integration of a receiver, as configured.
#[derive(Debug, Clone)]
pub enum NotifierSettings {
    /// Slack incoming webhook.
    Slack(slack::SlackSettings),
    /// Slack with a bot token.
    SlackBot(SlackBotSettings),
    /// Mail over SMTP.
    Email(email::EmailSettings),
    /// Mail over Mailgun's HTTP API.
    Mailgun(mailgun::MailgunSettings),
    /// A signed JSON document.
    Webhook(webhook::WebhookSettings),
    /// An alert to Alertmanager.
    Alertmanager(alertmanager::AlertmanagerSettings),
    /// Annotations in Grafana.
    Grafana(grafana::GrafanaSettings),
}

impl NotifierSettings {
    const fn name(&self) -> &'static str {
        match self {
            Self::Slack(_) | Self::SlackBot(_) => "slack",
            Self::Email(_) => "email",
            Self::Mailgun(_) => "mailgun",
            Self::Webhook(_) => "webhook",
            Self::Alertmanager(_) => "alertmanager",
            Self::Grafana(_) => "grafana",
        }
    }

    /// Who says nothing else gets these messages.
    fn audience(&self) -> Audience {
        match self {
            Self::Slack(_) | Self::SlackBot(_) | Self::Webhook(_) => Audience::Everything,
            Self::Grafana(_) => only(|kind| kind == MessageKind::Started || kind.is_final()),
            // Ends too: they are when what it called for is over.
            Self::Alertmanager(_) => only(|kind| kind.needs_human() || kind.is_final()),
            Self::Email(_) | Self::Mailgun(_) => Audience::Ends,
        }
    }

    /// Whether people read it; a program has no sleep and wants no digest.
    const fn is_for_people(&self) -> bool {
        matches!(self, Self::Slack(_) | Self::SlackBot(_) | Self::Email(_) | Self::Mailgun(_))
    }

    /// How often it is told again while a human is needed, whatever people want.
    const fn refresh(&self) -> Option<Duration> {
        match self {
            Self::Alertmanager(_) => Some(alertmanager::REFRESH),
            _ => None,
        }
    }

    fn build(&self, pages: Pages, clock: &Arc<dyn Clock>) -> Result<Arc<dyn Notifier>, BuildError> {
        Ok(match self {
            Self::Slack(settings) => Arc::new(slack::SlackNotifier::new(settings, pages)?),
            Self::SlackBot(settings) => Arc::new(slack_bot::SlackBotNotifier::new(settings, pages)?),
            Self::Email(settings) => Arc::new(email::EmailNotifier::new(settings, pages)?),
            Self::Mailgun(settings) => Arc::new(mailgun::MailgunNotifier::new(settings, pages)?),
            Self::Webhook(settings) => Arc::new(webhook::WebhookNotifier::new(settings, pages, Arc::clone(clock))?),
            Self::Alertmanager(settings) => Arc::new(alertmanager::AlertmanagerNotifier::new(settings, pages)?),
            Self::Grafana(settings) => Arc::new(grafana::GrafanaNotifier::new(settings, pages)?),
        })
    }
}

fn only(wants: impl Fn(MessageKind) -> bool) -> Audience {
    Audience::Only(MessageKind::ALL.into_iter().filter(|kind| wants(*kind)).collect())
}

/// One receiver, as configured.
#[derive(Debug, Clone)]
pub struct ReceiverSettings {
    /// The name rules use.
    pub name: String,
    /// Which messages it gets; `None` leaves it to each integration.
    pub events: Option<Kinds>,
    /// How often it is reminded while a human is needed; nothing or zero is never.
    pub remind: Option<Duration>,
    /// When it is left alone.
    pub calm: Calm,
    /// Its integrations, each becoming the channel `<name>/<integration>`.
    pub integrations: Vec<NotifierSettings>,
}

impl ReceiverSettings {
    /// The bots whose buttons answer by themselves, with what Slack signs its calls with.
    pub fn answering_bots(&self) -> impl Iterator<Item = (&Secret, &SlackBotSettings)> {
        self.integrations.iter().filter_map(|integration| match integration {
            NotifierSettings::SlackBot(settings) => Some((settings.signing_secret.as_ref()?, settings)),
            _ => None,
        })
    }

    /// The integrations with their channels. A second integration of the same kind is numbered, because a channel's
    /// name is what the outbox remembers.
    pub fn channels(&self) -> impl Iterator<Item = (Channel, &NotifierSettings)> {
        self.integrations.iter().enumerate().map(|(index, integration)| {
            let kind = integration.name();
            let earlier = self.integrations[..index].iter().filter(|earlier| earlier.name() == kind).count();
            let name = match earlier {
                0 => format!("{}/{kind}", self.name),
                _ => format!("{}/{kind}-{}", self.name, earlier + 1),
            };
            let audience = self.events.map_or_else(|| integration.audience(), Audience::Only);
            let wanted = self.remind.filter(|every| !every.is_zero());
            let remind = integration.refresh().or(wanted);
            (Channel { remind, ..Channel::new(name, audience) }, integration)
        })
    }
}

/// The channels of every receiver, by receiver name.
#[must_use]
pub fn channels(receivers: &[ReceiverSettings]) -> BTreeMap<String, Vec<Channel>> {
    let of = |receiver: &ReceiverSettings| receiver.channels().map(|(channel, _)| channel).collect();
    receivers.iter().map(|receiver| (receiver.name.clone(), of(receiver))).collect()
}

/// When each channel is left alone, by channel name.
#[must_use]
pub fn calm(receivers: &[ReceiverSettings]) -> BTreeMap<String, Calm> {
    let of = |receiver: &ReceiverSettings| {
        let people = receiver.channels().filter(|(_, integration)| integration.is_for_people());
        people.map(|(channel, _)| (channel.name, receiver.calm.clone())).collect::<Vec<_>>()
    };
    receivers.iter().flat_map(of).collect()
}

/// Whoever carries messages, and who stands in for a channel that will never take one.
#[derive(Default)]
pub struct Carriers {
    /// By channel name.
    pub notifiers: BTreeMap<String, Arc<dyn Notifier>>,
    /// The fallback receiver's channels.
    pub fallback: Vec<Channel>,
    /// When each channel is left alone.
    pub calm: BTreeMap<String, Calm>,
}

/// Builds the notifier of every channel, by channel name; `pages` is where messages lead to.
///
/// # Errors
/// Every channel that cannot be built, not only the first.
pub fn build(
    receivers: &[ReceiverSettings],
    pages: &Pages,
    clock: &Arc<dyn Clock>,
) -> Result<BTreeMap<String, Arc<dyn Notifier>>, Vec<ChannelError>> {
    let mut notifiers = BTreeMap::new();
    let mut errors = Vec::new();
    for receiver in receivers {
        let pages = pages.of_receiver(&receiver.name);
        for (channel, settings) in receiver.channels() {
            match settings.build(pages.clone(), clock) {
                Ok(notifier) => drop(notifiers.insert(channel.name, notifier)),
                Err(error) => errors.push(ChannelError { channel: channel.name, error }),
            }
        }
    }
    if errors.is_empty() { Ok(notifiers) } else { Err(errors) }
}
