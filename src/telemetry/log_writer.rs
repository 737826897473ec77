//! Where log lines go. A disk that is full or a pipe that nobody reads must not end the daemon: healing goes on, lines are
//! lost, and the first one that can be written again says how many.

use std::io;
use std::sync::{Arc, Mutex, PoisonError};

use tracing_subscriber::fmt::MakeWriter;

use super::LogFormat;
use crate::clock::Clock;

/// Writers that never fail.
pub(super) struct Lossy<W> {
    writer: W,
    format: LogFormat,
    clock: Arc<dyn Clock>,
    loss: Mutex<Loss>,
}

/// What could not be written.
#[derive(Default)]
struct Loss {
    lines: u64,
    /// The last line that was begun has no end.
    is_torn: bool,
}

impl<W> Lossy<W> {
    pub(super) fn new(writer: W, format: LogFormat, clock: Arc<dyn Clock>) -> Self {
        Self { writer, format, clock, loss: Mutex::default() }
    }

    /// Tells of lost lines, then writes this one.
    fn write(&self, out: &mut impl io::Write, line: &[u8]) {
        let mut loss = self.loss.lock().unwrap_or_else(PoisonError::into_inner);
        if loss.tell(out, |lines| self.told(lines)).and_then(|()| loss.put(out, line)).is_err() {
            loss.lines += 1;
        }
    }

    /// The line that tells of lost ones, as the others look.
    fn told(&self, lines: u64) -> String {
        let now = self.clock.now();
        let message = "earlier lines of this log could not be written and are lost";
        match self.format {
            LogFormat::Logfmt => format!("ts={now:.3} level=warn msg=\"{message}\" lines={lines}\n"),
            LogFormat::Json => {
                let timestamp = format!("{now:.3}");
                let line =
                    serde_json::json!({"timestamp": timestamp, "level": "WARN", "message": message, "lines": lines});
                format!("{line}\n")
            }
        }
    }
}

impl Loss {
    fn tell(&mut self, out: &mut impl io::Write, told: impl FnOnce(u64) -> String) -> io::Result<()> {
        if self.is_torn {
            self.put(out, b"\n")?;
        }
        if self.lines > 0 {
            self.put(out, told(self.lines).as_bytes())?;
            self.lines = 0;
        }
        Ok(())
    }

    fn put(&mut self, out: &mut impl io::Write, line: &[u8]) -> io::Result<()> {
        let mut rest = line;
        while !rest.is_empty() {
            match out.write(rest) {
                Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
                Ok(written) => {
                    rest = &rest[written..];
                    self.is_torn = !rest.is_empty();
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }
}

/// A writer for one line.
pub(super) struct Line<'l, W, Out> {
    lossy: &'l Lossy<W>,
    out: Out,
}

impl<'l, W: MakeWriter<'l> + 'l> MakeWriter<'l> for Lossy<W> {
    type Writer = Line<'l, W, W::Writer>;

    fn make_writer(&'l self) -> Self::Writer {
        Line { lossy: self, out: self.writer.make_writer() }
    }
}

impl<W, Out: io::Write> io::Write for Line<'_, W, Out> {
    /// Lines come whole.
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        self.lossy.write(&mut self.out, line);
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        // Nothing is kept back here, and whoever cannot be written to cannot be told of it.
        let _ = self.out.flush();
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use super::*;
    use crate::clock::Stopped;

    /// A disk with room for so many bytes.
    struct Disk {
        written: Vec<u8>,
        room: usize,
    }

    struct Sink(Arc<Mutex<Disk>>);

    impl io::Write for Sink {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            let mut disk = self.0.lock().unwrap();
            let fits = bytes.len().min(disk.room);
            if fits == 0 {
                return Err(io::ErrorKind::StorageFull.into());
            }
            disk.room -= fits;
            disk.written.extend_from_slice(&bytes[..fits]);
            Ok(fits)
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    fn after_a_full_disk(format: LogFormat) -> String {
        let disk = Arc::new(Mutex::new(Disk { written: Vec::new(), room: 10 }));
        let sink = Arc::clone(&disk);
        let lossy = Lossy::new(
            move || Sink(Arc::clone(&sink)),
            format,
            Arc::new(Stopped("2026-11-22T07:02:00.5Z".parse().unwrap())),
        );
        for line in ["first\n", "second\n", "third\n"] {
            lossy.make_writer().write_all(line.as_bytes()).unwrap();
        }
        disk.lock().unwrap().room = 1000;
        for line in ["fourth\n", "fifth\n"] {
            lossy.make_writer().write_all(line.as_bytes()).unwrap();
        }
        String::from_utf8(disk.lock().unwrap().written.clone()).unwrap()
    }

    #[test]
    fn lost_lines_are_counted_and_told_once_there_is_room() {
        assert_eq!(
            after_a_full_disk(LogFormat::Logfmt),
            "first\nseco\nts=2026-11-22T07:02:00.500Z level=warn \
             msg=\"earlier lines of this log could not be written and are lost\" lines=2\nfourth\nfifth\n"
        );
        let lines = after_a_full_disk(LogFormat::Json);
        let told: serde_json::Value = serde_json::from_str(lines.lines().nth(2).unwrap()).unwrap();
        assert_eq!((&told["level"], &told["lines"]), (&"WARN".into(), &2.into()));
    }
}
