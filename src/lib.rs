//! `autoheal`: repairs what it safely can, verifies the repair, and wakes a human only when it must.
//!
//! The way of an alert, which is also the reading order:
//!
//! 1. [`web`] takes Alertmanager's webhook, matches every alert against the rules of [`domain`] and answers 202
//!    once the [`store`] has committed what they ask for.
//! 2. [`engine`] looks at the heals that are due, asks [`domain::decide`], commits, and lets an [`action`] do the deed.
//!    Whether it helped is asked through [`verify`].
//! 3. Every change of a heal puts messages into the store's outbox; [`engine`] carries them through [`notify`].
//!
//! [`config`] turns files into checked values, [`app`] builds everything and is the only place that knows dry runs,
//! [`cli`] is one file per verb.

// Their macros end the program when nobody reads what it says.
#![warn(clippy::print_stdout, clippy::print_stderr)]

pub mod causes;
pub mod clock;
pub mod ids;
pub mod links;
pub mod secret;
pub mod slack_call;
pub mod stamp;
pub mod telemetry;
pub mod tls;
pub mod token;

pub mod domain;

pub mod store;

pub mod action;
pub mod notify;
pub mod verify;

pub mod engine;

pub mod config;

pub mod rehearse;

pub mod retell;

pub mod rule_test;

pub mod web;

pub mod app;

pub mod cli;
