//! Logs on standard error, as the Prometheus family writes them: logfmt by default, JSON on request.

use std::fmt;
use std::io;
use std::str::FromStr;
use std::sync::Arc;

use tracing::field::{Field, Visit};
use tracing::{Event, Level, Subscriber};
use tracing_subscriber::EnvFilter;
use tracing_subscriber::fmt::format::Writer;
use tracing_subscriber::fmt::time::FormatTime;
use tracing_subscriber::fmt::{FmtContext, FormatEvent, FormatFields, MakeWriter};
use tracing_subscriber::registry::LookupSpan;

use super::log_writer::Lossy;
use crate::clock::Clock;

/// The level or format is none we know.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{given:?} is none of {known}")]
pub struct UnknownName {
    given: String,
    known: &'static str,
}

/// The least important line that is written: `--log-level`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum LogLevel {
    /// Every decision.
    Debug,
    /// What an operator wants to read.
    #[default]
    Info,
    /// What may need looking at.
    Warn,
    /// What does.
    Error,
}

impl LogLevel {
    const fn as_level(self) -> Level {
        match self {
            Self::Debug => Level::DEBUG,
            Self::Info => Level::INFO,
            Self::Warn => Level::WARN,
            Self::Error => Level::ERROR,
        }
    }
}

impl FromStr for LogLevel {
    type Err = UnknownName;
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text {
            "debug" => Ok(Self::Debug),
            "info" => Ok(Self::Info),
            "warn" => Ok(Self::Warn),
            "error" => Ok(Self::Error),
            _ => Err(UnknownName { given: text.to_owned(), known: "debug, info, warn, error" }),
        }
    }
}

/// How a line is written: `--log-format`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum LogFormat {
    /// `key=value`, one line each.
    #[default]
    Logfmt,
    /// One JSON object a line.
    Json,
}

impl FromStr for LogFormat {
    type Err = UnknownName;
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text {
            "logfmt" => Ok(Self::Logfmt),
            "json" => Ok(Self::Json),
            _ => Err(UnknownName { given: text.to_owned(), known: "logfmt, json" }),
        }
    }
}

/// Logs of the whole process to standard error. The second call in one process changes nothing and answers `false`.
pub fn init_logs(level: LogLevel, format: LogFormat, clock: Arc<dyn Clock>) -> bool {
    let subscriber = log_subscriber(level, format, clock, io::stderr);
    tracing::subscriber::set_global_default(subscriber).is_ok()
}

/// A subscriber that writes to `writer`; [`init_logs`] for tests.
pub fn log_subscriber<W>(
    level: LogLevel,
    format: LogFormat,
    clock: Arc<dyn Clock>,
    writer: W,
) -> Box<dyn Subscriber + Send + Sync>
where
    W: for<'a> MakeWriter<'a> + Send + Sync + 'static,
{
    // Libraries at debug would drown our own lines, and HTTP clients might show headers there.
    let ours = level.as_level();
    let theirs = ours.min(Level::WARN);
    let filter = EnvFilter::new(format!("{theirs},autoheal={ours}"));
    let writer = Lossy::new(writer, format, Arc::clone(&clock));
    let builder = tracing_subscriber::fmt().with_env_filter(filter).with_writer(writer).with_ansi(false);
    // It would tell of its troubles on standard error, and end the program when that is what cannot be written to.
    let builder = builder.log_internal_errors(false);
    match format {
        LogFormat::Logfmt => Box::new(builder.event_format(Logfmt { clock }).finish()),
        LogFormat::Json => {
            Box::new(builder.json().flatten_event(true).with_target(false).with_timer(ByClock(clock)).finish())
        }
    }
}

/// The clock's seam as the JSON format wants it.
struct ByClock(Arc<dyn Clock>);

impl FormatTime for ByClock {
    fn format_time(&self, w: &mut Writer<'_>) -> fmt::Result {
        write!(w, "{:.3}", self.0.now())
    }
}

struct Logfmt {
    clock: Arc<dyn Clock>,
}

impl<S, N> FormatEvent<S, N> for Logfmt
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
{
    fn format_event(&self, _: &FmtContext<'_, S, N>, mut writer: Writer<'_>, event: &Event<'_>) -> fmt::Result {
        let level = match *event.metadata().level() {
            Level::ERROR => "error",
            Level::WARN => "warn",
            Level::INFO => "info",
            Level::DEBUG | Level::TRACE => "debug",
        };
        let mut fields = Fields::default();
        event.record(&mut fields);
        write!(writer, "ts={:.3} level={level} msg=", self.clock.now())?;
        write_value(&mut writer, &fields.message)?;
        writeln!(writer, "{}", fields.rest)
    }
}

/// An event's message and its other fields, already written as ` key=value`.
#[derive(Default)]
struct Fields {
    message: String,
    rest: String,
}

impl Fields {
    fn take(&mut self, field: &Field, text: &str) {
        if field.name() == "message" {
            self.message.push_str(text);
            return;
        }
        self.rest.push(' ');
        self.rest.push_str(field.name().trim_start_matches("r#"));
        self.rest.push('=');
        // Writing to a String cannot fail.
        let _ = write_value(&mut self.rest, text);
    }
}

impl Visit for Fields {
    fn record_str(&mut self, field: &Field, value: &str) {
        self.take(field, value);
    }

    fn record_error(&mut self, field: &Field, value: &(dyn std::error::Error + 'static)) {
        self.take(field, &value.to_string());
    }

    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.take(field, &format!("{value:?}"));
    }
}

/// Writes a value bare when no reader could mistake it, else quoted. Control characters are escaped, so one event is one
/// line whatever a label holds.
fn write_value(out: &mut impl fmt::Write, value: &str) -> fmt::Result {
    let is_bare = |c: char| !c.is_whitespace() && !c.is_control() && !matches!(c, '"' | '=' | '\\');
    if !value.is_empty() && value.chars().all(is_bare) {
        return out.write_str(value);
    }
    out.write_char('"')?;
    for c in value.chars() {
        match c {
            '"' => out.write_str("\\\"")?,
            '\\' => out.write_str("\\\\")?,
            '\n' => out.write_str("\\n")?,
            '\r' => out.write_str("\\r")?,
            '\t' => out.write_str("\\t")?,
            // Line and paragraph separators break lines in some viewers.
            c if c.is_control() || matches!(c, '\u{2028}' | '\u{2029}') => write!(out, "\\u{:04x}", u32::from(c))?,
            c => out.write_char(c)?,
        }
    }
    out.write_char('"')
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use super::*;
    use crate::clock::Stopped;

    fn written(level: LogLevel, format: LogFormat, log: impl FnOnce()) -> String {
        let buffer = Arc::new(Mutex::new(Vec::new()));
        let sink = Arc::clone(&buffer);
        let subscriber =
            log_subscriber(level, format, Arc::new(Stopped("2026-11-22T07:02:00.5Z".parse().unwrap())), move || {
                Sink(Arc::clone(&sink))
            });
        tracing::subscriber::with_default(subscriber, log);
        String::from_utf8(buffer.lock().unwrap().clone()).unwrap()
    }

    struct Sink(Arc<Mutex<Vec<u8>>>);

    impl io::Write for Sink {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().extend_from_slice(bytes);
            Ok(bytes.len())
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn logfmt_is_one_line_whatever_a_label_holds() {
        let line = written(LogLevel::Info, LogFormat::Logfmt, || {
            tracing::info!(rule = "restart-ui", label = "a\n\"b\"\u{1b}[31m", count = 3, empty = "", "heal planned");
        });
        assert_eq!(
            line,
            "ts=2026-11-22T07:02:00.500Z level=info msg=\"heal planned\" rule=restart-ui \
             label=\"a\\n\\\"b\\\"\\u001b[31m\" count=3 empty=\"\"\n"
        );
    }

    #[test]
    fn json_carries_the_same_fields() {
        let line = written(LogLevel::Info, LogFormat::Json, || tracing::warn!(rule = "restart-ui", "held"));
        let object: serde_json::Value = serde_json::from_str(&line).unwrap();
        assert_eq!(object["timestamp"], "2026-11-22T07:02:00.500Z");
        assert_eq!(object["level"], "WARN");
        assert_eq!(object["message"], "held");
        assert_eq!(object["rule"], "restart-ui");
    }

    #[test]
    fn lines_below_the_level_and_chatter_of_libraries_are_left_out() {
        let lines = written(LogLevel::Info, LogFormat::Logfmt, || {
            tracing::debug!("a decision");
            tracing::info!(target: "hyper", "chatter");
            tracing::error!(target: "hyper", "trouble");
        });
        assert_eq!(lines, "ts=2026-11-22T07:02:00.500Z level=error msg=trouble\n");
        assert!("loud".parse::<LogLevel>().is_err() && "xml".parse::<LogFormat>().is_err());
    }
}
