//! Why deliveries are not accepted, as a metric tells it.

/// Why a delivery was not accepted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Rejection {
    /// The body is over the limit; Alertmanager never repeats such a delivery.
    TooLarge,
    /// The body is no webhook delivery.
    BadPayload,
    /// No token, or not one of ours.
    Unauthorized,
    /// A browser sent it from a foreign page.
    ForeignOrigin,
    /// Start-up is not finished.
    NotReady,
    /// More waits than we take in.
    Busy,
    /// The store refused.
    Store,
    /// It took too long.
    TimedOut,
}

impl Rejection {
    pub(super) const fn as_str(self) -> &'static str {
        match self {
            Self::TooLarge => "too_large",
            Self::BadPayload => "bad_payload",
            Self::Unauthorized => "unauthorized",
            Self::ForeignOrigin => "foreign_origin",
            Self::NotReady => "not_ready",
            Self::Busy => "busy",
            Self::Store => "store",
            Self::TimedOut => "timed_out",
        }
    }
}
