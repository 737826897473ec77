//! What the daemon tells of itself: logs and metrics. Knows nothing of HTTP or the store; others call its typed methods.

mod exposition;
mod launched;
mod log_writer;
mod logs;
mod metrics;
mod name_limit;
mod rejection;
mod services;
mod story;

pub use exposition::Exposition;
pub use launched::LaunchedAction;
pub use logs::{LogFormat, LogLevel, init_logs, log_subscriber};
pub use metrics::Metrics;
pub use rejection::Rejection;
pub use services::Service;
pub use story::heal_changed;
