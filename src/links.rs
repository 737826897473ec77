//! Links to approve an action from a message: made here, read here, worth something only to whom they were sent.
//!
//! A link names the heal, the attempt it is about, who it was sent to and when it ends, signed with a key of the
//! configuration. It is used up when the heal no longer waits for that attempt, which the store decides; so opening it
//! twice, or having a chat program look at it, does no harm. Looking is a GET and shows a page; only a POST acts.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use hmac::{Hmac, Mac};
use sha2::Sha256;
use uuid::Uuid;

use crate::domain::Timestamp;
use crate::domain::heal::{AttemptId, HealId};
use crate::secret::Secret;

/// Path below the external address.
pub const PATH: &str = "approvals";

const TAG: usize = 32;
const FIXED: usize = 16 + 16 + 8;
/// Keeps a key that is used elsewhere too from signing our tickets there.
const PURPOSE: &[u8] = b"autoheal approval link 1\0";

/// What a link is about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ticket {
    /// The heal that waits.
    pub heal: HealId,
    /// The attempt that would begin.
    pub attempt: AttemptId,
    /// When the link ends; whole seconds.
    pub expires_at: Timestamp,
    /// Who it was sent to: the «who» of the heal's story.
    pub by: String,
}

/// Why a link is worth nothing.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum LinkError {
    /// Not made by us, not with this key, or cut off on the way.
    #[error("this link is not one of ours, or was cut off on the way; open it from the message itself")]
    Forged,
    /// It has ended.
    #[error("this link ended at {0}")]
    Expired(Timestamp),
}

/// Makes links and reads them back.
#[derive(Debug, Clone)]
pub struct Links {
    key: Secret,
    external_url: String,
}

impl Links {
    /// Links below `external_url`, the address under which people reach us, signed with `key`.
    #[must_use]
    pub fn new(external_url: &str, key: Secret) -> Self {
        Self { key, external_url: external_url.trim_end_matches('/').to_owned() }
    }

    /// The address of a page where whoever has it can approve or deny the attempt.
    #[must_use]
    pub fn approval(&self, ticket: &Ticket) -> String {
        let mut bytes = Vec::with_capacity(FIXED + ticket.by.len() + TAG);
        bytes.extend_from_slice(ticket.heal.0.as_bytes());
        bytes.extend_from_slice(ticket.attempt.0.as_bytes());
        bytes.extend_from_slice(&ticket.expires_at.as_second().to_be_bytes());
        bytes.extend_from_slice(ticket.by.as_bytes());
        let tag = self.mac(&bytes).finalize().into_bytes();
        bytes.extend_from_slice(&tag);
        format!("{}/{PATH}/{}", self.external_url, URL_SAFE_NO_PAD.encode(bytes))
    }

    /// Reads the last part of a link's path.
    ///
    /// # Errors
    /// The link is not ours, or has ended.
    pub fn read(&self, text: &str, now: Timestamp) -> Result<Ticket, LinkError> {
        let bytes = URL_SAFE_NO_PAD.decode(text).map_err(|_| LinkError::Forged)?;
        let (signed, tag) = bytes.split_last_chunk::<TAG>().ok_or(LinkError::Forged)?;
        self.mac(signed).verify(tag.into()).map_err(|_| LinkError::Forged)?;
        let (fixed, by) = signed.split_at_checked(FIXED).ok_or(LinkError::Forged)?;
        let uuid = |bytes: &[u8]| Uuid::from_slice(bytes).map_err(|_| LinkError::Forged);
        let seconds = <[u8; 8]>::try_from(&fixed[32..]).map_err(|_| LinkError::Forged)?;
        let ticket = Ticket {
            heal: HealId(uuid(&fixed[..16])?),
            attempt: AttemptId(uuid(&fixed[16..32])?),
            expires_at: Timestamp::from_second(i64::from_be_bytes(seconds)).map_err(|_| LinkError::Forged)?,
            by: String::from_utf8(by.to_vec()).map_err(|_| LinkError::Forged)?,
        };
        if now >= ticket.expires_at { Err(LinkError::Expired(ticket.expires_at)) } else { Ok(ticket) }
    }

    fn mac(&self, bytes: &[u8]) -> Hmac<Sha256> {
        use hmac::digest::KeyInit;
        let key = self.key.expose().as_bytes();
        // A block, into which every key is turned, so that no length of key is an error.
        let mut block = [0; 64];
        if key.len() <= block.len() {
            block[..key.len()].copy_from_slice(key);
        } else {
            use sha2::Digest;
            block[..TAG].copy_from_slice(&Sha256::digest(key));
        }
        let mut mac = <Hmac<Sha256> as KeyInit>::new(&block.into());
        mac.update(PURPOSE);
        mac.update(bytes);
        mac
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    fn ticket() -> Ticket {
        let [heal, attempt] = [7, 8].map(Uuid::from_u128);
        Ticket { heal: HealId(heal), attempt: AttemptId(attempt), expires_at: at(100), by: "on-call".to_owned() }
    }

    fn links(key: &str) -> Links {
        Links::new("https://ops.example.com/autoheal/", Secret::new(key))
    }

    fn text(link: &str) -> &str {
        link.strip_prefix("https://ops.example.com/autoheal/approvals/").unwrap()
    }

    #[test]
    fn a_link_reads_back_until_it_ends() {
        for key in ["k", &"long".repeat(40)] {
            let link = links(key).approval(&ticket());
            assert_eq!(links(key).read(text(&link), at(99)), Ok(ticket()));
            assert_eq!(links(key).read(text(&link), at(100)), Err(LinkError::Expired(at(100))));
        }
    }

    #[test]
    fn anything_changed_or_signed_by_another_is_refused() {
        let link = links("k").approval(&ticket());
        let link = text(&link);
        assert_eq!(links("other").read(link, at(0)), Err(LinkError::Forged));
        assert_eq!(links(&"long".repeat(40)).read(link, at(0)), Err(LinkError::Forged));
        let mut bytes = URL_SAFE_NO_PAD.decode(link).unwrap();
        for index in 0..bytes.len() {
            bytes[index] ^= 1;
            let changed = URL_SAFE_NO_PAD.encode(&bytes);
            assert_eq!(links("k").read(&changed, at(0)), Err(LinkError::Forged), "byte {index}");
            bytes[index] ^= 1;
        }
        for short in ["", "x", "é", &link[..link.len() - 1], &link[..40]] {
            assert_eq!(links("k").read(short, at(0)), Err(LinkError::Forged), "{short:?}");
        }
    }
}
