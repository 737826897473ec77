//! Reading a body without ever holding more than promised.

use std::time::Duration;

use bytes::{Buf, BufMut, Bytes, BytesMut};
use futures_util::{Stream, StreamExt, pin_mut};
use http::StatusCode;
use tokio::sync::SemaphorePermit;
use tokio::task::JoinError;
use warp::reply::Response;

use super::{WebState, layers, reply};

/// A body up to this size is taken without asking: as many as requests run at once fit into memory.
const SMALL: usize = 256 * 1024;
/// Larger bodies wait for one of these, so that they cannot fill the memory together.
pub const LARGE_BODIES: usize = 8;
/// How long the next piece of a large body may take to come: whoever stalls must not hold one of those places from others.
const STALL: Duration = Duration::from_secs(5);
/// Bodies from this size on are read on a thread of their own, so that other requests need not wait for them.
const READ_ASIDE: usize = 512 * 1024;

/// A body, and the permission to hold it when it is large.
pub struct Body<'a> {
    /// The bytes.
    pub bytes: Bytes,
    _permit: Option<SemaphorePermit<'a>>,
}

impl Body<'_> {
    /// What `work` makes of the bytes, on a thread of its own when they are many; `None` as for [`aside`].
    pub async fn read_by<T: Send + 'static>(self, work: impl FnOnce(&[u8]) -> T + Send + 'static) -> Option<T> {
        if self.bytes.len() < READ_ASIDE {
            return Some(work(&self.bytes));
        }
        let bytes = self.bytes.clone();
        aside(move || work(&bytes)).await
    }
}

/// Does long work on a thread of its own, so that other requests need not wait for it; `None` when the runtime is being
/// shut down and took the thread away.
pub async fn aside<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Option<T> {
    match tokio::task::spawn_blocking(work).await.map_err(JoinError::try_into_panic) {
        Ok(done) => Some(done),
        Err(Ok(panic)) => std::panic::resume_unwind(panic),
        Err(Err(_cancelled)) => None,
    }
}

/// The body was not read.
#[derive(Debug, PartialEq, Eq)]
pub enum BodyError {
    /// It is over the limit.
    TooLarge,
    /// The connection broke.
    Broken(String),
    /// It is large, and its sender stopped sending.
    Stalled,
}

impl BodyError {
    /// What the sender is told.
    pub fn answer(&self, state: &WebState) -> Response {
        match self {
            Self::TooLarge => layers::too_large(state.loaded().max_body_bytes),
            Self::Broken(error) => {
                reply::problem(StatusCode::BAD_REQUEST, &format!("the body could not be read: {error}"))
            }
            Self::Stalled => {
                let detail = format!("nothing came of a large body for {} s, and it was given up", STALL.as_secs());
                reply::unavailable(&detail)
            }
        }
    }
}

/// Reads a whole body, at most `web.maxBodyBytes` of it. A body that comes in one piece is not copied.
pub async fn read<S, B>(state: &WebState, stream: S) -> Result<Body<'_>, BodyError>
where
    S: Stream<Item = Result<B, warp::Error>>,
    B: Buf,
{
    pin_mut!(stream);
    let limit = state.loaded().max_body_bytes;
    let (mut single, mut joined, mut permit) = (Bytes::new(), BytesMut::new(), None);
    loop {
        let next = if permit.is_none() {
            stream.next().await
        } else {
            tokio::time::timeout(STALL, stream.next()).await.map_err(|_elapsed| BodyError::Stalled)?
        };
        let Some(piece) = next else { break };
        let mut piece = piece.map_err(|error| BodyError::Broken(error.to_string()))?;
        let length = single.len() + joined.len() + piece.remaining();
        if length > limit {
            return Err(BodyError::TooLarge);
        }
        if length > SMALL && permit.is_none() {
            // The semaphore is never closed; were it, the body would merely not be counted.
            permit = state.0.large_bodies.acquire().await.ok();
        }
        if single.is_empty() && joined.is_empty() {
            single = piece.copy_to_bytes(piece.remaining());
        } else {
            joined.extend_from_slice(&std::mem::take(&mut single));
            joined.put(piece);
        }
    }
    let bytes = if joined.is_empty() { single } else { joined.freeze() };
    Ok(Body { bytes, _permit: permit })
}
