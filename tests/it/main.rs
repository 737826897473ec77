//! All integration tests, one binary: a file per behaviour, on real parts wherever a user would have them.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on should stop where it stands")]

mod alertmanager;
mod awx;
mod check;
mod commands;
mod config;
mod conformance;
mod container;
mod crash;
mod deliver;
mod dry_run;
mod evidence;
mod fuzz;
mod harm;
mod lifecycle;
mod main_job;
mod manual;
mod notify_email;
mod notify_mailgun;
mod notify_programs;
mod notify_slack;
mod notify_slack_bot;
mod orders;
mod pages;
mod payloads;
mod push;
mod reload;
mod rule_test;
mod schema;
mod secrets;
mod store_contract;
mod store_sqlite;
mod storm;
mod support;
mod tidy;
mod web;
