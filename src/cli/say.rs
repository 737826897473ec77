//! Words on standard error. Where nobody reads them any more, or the disk is full, they are lost: what the program does and
//! answers stays what it is.

use std::fmt::Display;
use std::io::{self, Write};

/// Says what went wrong, in the program's name.
pub fn say(what: impl Display) {
    // See above.
    let _ = writeln!(io::stderr(), "autoheal: {what}");
}

/// Shows problems that are drawn already.
pub fn show(drawn: &str) {
    // See above.
    let _ = io::stderr().write_all(drawn.as_bytes());
}
