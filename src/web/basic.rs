//! Basic authentication against bcrypt hashes, as exporter-toolkit does it.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use http::header::{AUTHORIZATION, HeaderMap};
use sha2::{Digest, Sha256};
use tokio::sync::Semaphore;

use crate::secret::Secret;

/// Credentials remembered as right. Comparing costs tens of milliseconds on purpose; Alertmanager shows the same ones
/// with every delivery.
const REMEMBERED: usize = 100;

/// How long a request waits for its turn to be compared.
const PATIENCE: Duration = Duration::from_secs(10);

/// Users and the hashes of their passwords.
pub struct Basic {
    users: BTreeMap<String, Secret>,
    /// Compared for users who do not exist, so that the time does not tell who does.
    stand_in: Secret,
    remembered: Mutex<VecDeque<[u8; 32]>>,
    turns: Arc<Semaphore>,
}

/// What became of a request's credentials.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// This user, with the right password.
    Known(String),
    /// No credentials, or wrong ones.
    Unknown,
    /// Too many are being compared already.
    Busy,
}

impl Basic {
    /// Authentication by these hashes; `None` without users.
    #[must_use]
    pub fn new(users: BTreeMap<String, Secret>) -> Option<Self> {
        // The cost stands behind the version: `$2y$12$…`.
        let stand_in = users.values().max_by(|a, b| a.expose().get(4..6).cmp(&b.expose().get(4..6)))?.clone();
        // Half of the processors, so that guessing passwords cannot keep heals waiting.
        let turns = std::thread::available_parallelism().map_or(1, |count| count.get().div_ceil(2));
        Some(Self { users, stand_in, remembered: Mutex::default(), turns: Arc::new(Semaphore::new(turns)) })
    }

    /// Checks the credentials of one request.
    pub async fn check(&self, headers: &HeaderMap) -> Verdict {
        let Some((user, password)) = credentials(headers) else { return Verdict::Unknown };
        let (hash, exists) = match self.users.get(&user) {
            Some(hash) => (hash.clone(), true),
            None => (self.stand_in.clone(), false),
        };
        let key = key(&user, hash.expose(), &password);
        if exists && self.remembers(&key) {
            return Verdict::Known(user);
        }
        let turn = Arc::clone(&self.turns).acquire_owned();
        let Ok(Ok(turn)) = tokio::time::timeout(PATIENCE, turn).await else { return Verdict::Busy };
        // Somebody with the same credentials may have had the turn before.
        if exists && self.remembers(&key) {
            return Verdict::Known(user);
        }
        let compared = tokio::task::spawn_blocking(move || {
            // A comparison cannot be stopped, so it keeps its turn even when the client has gone.
            let _turn = turn;
            bcrypt::verify(password, hash.expose()).unwrap_or(false)
        });
        let right = compared.await.unwrap_or(false);
        if !(exists && right) {
            return Verdict::Unknown;
        }
        self.remember(key);
        Verdict::Known(user)
    }

    fn remembers(&self, key: &[u8; 32]) -> bool {
        self.remembered.lock().unwrap_or_else(PoisonError::into_inner).contains(key)
    }

    fn remember(&self, key: [u8; 32]) {
        let mut remembered = self.remembered.lock().unwrap_or_else(PoisonError::into_inner);
        if remembered.contains(&key) {
            return;
        }
        if remembered.len() == REMEMBERED {
            remembered.pop_front();
        }
        remembered.push_back(key);
    }
}

/// User and password of a request. The name ends at the first colon; the password may hold more of them.
fn credentials(headers: &HeaderMap) -> Option<(String, Vec<u8>)> {
    let (scheme, encoded) = headers.get(AUTHORIZATION)?.as_bytes().split_at_checked("Basic ".len())?;
    if !scheme.eq_ignore_ascii_case(b"Basic ") {
        return None;
    }
    let mut user = STANDARD.decode(encoded.trim_ascii()).ok()?;
    let colon = user.iter().position(|byte| *byte == b':')?;
    let password = user.split_off(colon + 1);
    user.truncate(colon);
    Some((String::from_utf8(user).ok()?, password))
}

/// What is remembered of right credentials. Lengths keep two different triples from running together.
fn key(user: &str, hash: &str, password: &[u8]) -> [u8; 32] {
    let mut digest = Sha256::new();
    for part in [user.as_bytes(), hash.as_bytes(), password] {
        digest.update((part.len() as u64).to_le_bytes());
        digest.update(part);
    }
    digest.finalize().into()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(authorization: &str) -> HeaderMap {
        HeaderMap::from_iter([(AUTHORIZATION, authorization.parse().unwrap())])
    }

    fn basic(user: &str, password: &str) -> HeaderMap {
        headers(&format!("Basic {}", STANDARD.encode(format!("{user}:{password}"))))
    }

    fn users(names: &[(&str, &str)]) -> Basic {
        let hash = |password: &str| Secret::new(bcrypt::hash(password, 4).unwrap());
        Basic::new(names.iter().map(|(name, password)| ((*name).to_owned(), hash(password))).collect()).unwrap()
    }

    #[tokio::test]
    async fn only_the_right_password_of_a_user_who_exists_passes() {
        let basic_users = users(&[("prom", "p:w ü"), ("am", "other")]);
        for _ in 0..2 {
            for (head, verdict) in [
                (basic("prom", "p:w ü"), Verdict::Known("prom".to_owned())),
                (basic("am", "other"), Verdict::Known("am".to_owned())),
                (basic("prom", "other"), Verdict::Unknown),
                (basic("nobody", "other"), Verdict::Unknown),
                (basic("nobody", "p:w ü"), Verdict::Unknown),
                (basic("", ""), Verdict::Unknown),
                (headers("Basic !!!"), Verdict::Unknown),
                (headers("Basic cHJvbQ=="), Verdict::Unknown),
                (headers("Bearer x"), Verdict::Unknown),
                (HeaderMap::new(), Verdict::Unknown),
            ] {
                assert_eq!(basic_users.check(&head).await, verdict, "{head:?}");
            }
        }
        assert_eq!(basic_users.remembered.lock().unwrap().len(), 2, "failures are never remembered");
    }

    #[test]
    fn memory_is_bounded_and_forgets_the_oldest() {
        let basic_users = users(&[("prom", "x")]);
        let keys: Vec<_> = (0..=REMEMBERED).map(|n| key("prom", "hash", n.to_string().as_bytes())).collect();
        for key in &keys {
            basic_users.remember(*key);
        }
        assert!(!basic_users.remembers(&keys[0]));
        assert!(basic_users.remembers(&keys[1]) && basic_users.remembers(&keys[REMEMBERED]));
        assert_ne!(key("ab", "c", b""), key("a", "bc", b""));
    }
}
