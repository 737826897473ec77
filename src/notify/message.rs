//! Texts: what a message says, rendered purely for Slack, plain mail and HTML mail.
