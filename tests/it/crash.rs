//! Whatever happens to the process, the disk or the line: nothing accepted is lost, nothing is done twice.

mod commits;
mod hardship;
mod load;

/// Not a test: the life of a daemon with a fuse, in a process that the tests here start and mourn.
#[test]
fn child() {
    crate::support::crash::obey();
}

/// The name of the above.
const CHILD: &str = "crash::child";
