//! Where our own pages are, and the buttons that lead there and elsewhere.

use super::text::{link, percent};
use crate::domain::heal::{Heal, Phase};
use crate::domain::message::Message;
use crate::links::{Links, Ticket};
use crate::slack_call::Question;

/// Something to press.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Button {
    /// What it says.
    pub text: &'static str,
    /// Its name for programs.
    pub id: &'static str,
    /// Where it leads.
    pub url: String,
    /// `primary` or `danger` when it should stand out.
    pub style: Option<&'static str>,
}

/// Where our own pages are, for links in messages; nowhere when nobody has said under which address people reach us.
#[derive(Debug, Clone, Default)]
pub struct Pages {
    base: Option<String>,
    approvals: Option<Links>,
    /// Whether a button of a chat can answer by itself.
    buttons_answer: bool,
    /// Who is told: whoever opens a link to approve is known by this name.
    pub(super) receiver: String,
}

impl Pages {
    /// Pages below this address.
    #[must_use]
    pub fn new(external_url: Option<&str>) -> Self {
        let base = external_url.and_then(|url| link(url.trim_end_matches('/'))).map(str::to_owned);
        Self { base, ..Self::default() }
    }

    /// With links by which a message can approve; without them people approve elsewhere.
    #[must_use]
    pub fn with_approvals(self, approvals: Option<Links>) -> Self {
        Self { approvals, ..self }
    }

    /// With buttons that answer by themselves where the form has such: Slack tells us who pressed them.
    #[must_use]
    pub fn with_answering_buttons(self) -> Self {
        Self { buttons_answer: true, ..self }
    }

    /// What a button that answers by itself carries, when an answer is waited for.
    pub(super) fn question(&self, message: &Message) -> Option<Question> {
        let Phase::AwaitingApproval { attempt, .. } = message.heal.phase else { return None };
        self.buttons_answer.then(|| Question { heal: message.heal.id, attempt, receiver: self.receiver.clone() })
    }

    /// As this receiver gets them.
    #[must_use]
    pub fn of_receiver(&self, name: &str) -> Self {
        Self { receiver: name.to_owned(), ..self.clone() }
    }

    /// The page on which the attempt that waits is approved or denied.
    pub(super) fn approval(&self, message: &Message) -> Option<String> {
        let Phase::AwaitingApproval { attempt, expires_at, .. } = message.heal.phase else { return None };
        let by = self.receiver.clone();
        let ticket = Ticket { heal: message.heal.id, attempt, expires_at, by };
        Some(self.approvals.as_ref()?.approval(&ticket))
    }

    /// The list of heals.
    pub(super) fn heals(&self) -> Option<String> {
        self.base.as_ref().map(|base| format!("{base}/"))
    }

    /// One heal with its story.
    pub(super) fn heal(&self, heal: &Heal) -> Option<String> {
        self.base.as_ref().map(|base| format!("{base}/heals/{}", heal.id))
    }
}

/// Where a person goes from here.
pub(super) fn buttons(message: &Message, pages: &Pages) -> Vec<Button> {
    /// Slack takes no longer address.
    const MAX: usize = 2900;
    let heal = &message.heal;
    let button = |text, id, url: Option<String>| {
        url.filter(|url| url.len() <= MAX).map(|url| Button { text, id, url, style: None })
    };
    [
        button("Approve or deny", "approval", pages.approval(message))
            .map(|button| Button { style: Some("primary"), ..button }),
        button("Runbook", "runbook", link(&heal.runbook).map(str::to_owned)),
        button("Open heal", "heal", pages.heal(heal)),
        button("Alertmanager", "alertmanager", alertmanager_link(heal)),
    ]
    .into_iter()
    .flatten()
    .collect()
}

/// Alertmanager's list, filtered to the alert's name.
pub(super) fn alertmanager_link(heal: &Heal) -> Option<String> {
    let base = link(heal.external_url.trim_end_matches('/')).filter(|base| base.len() <= 200)?;
    let name = heal.alerts.first().map(|alert| alert.name()).filter(|name| !name.is_empty() && name.len() <= 100);
    Some(name.map_or_else(
        || format!("{base}/#/alerts"),
        // The filter is a matcher, whose text is quoted as in Alertmanager's own interface.
        |name| {
            let quoted = name.replace('\\', "\\\\").replace('"', "\\\"");
            format!("{base}/#/alerts?filter={}", percent(&format!("{{alertname=\"{quoted}\"}}")))
        },
    ))
}
