//! Parses the command line, calls `cli`, maps errors to exit codes.

fn main() {}
