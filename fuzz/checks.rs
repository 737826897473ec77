//! What must hold for any bytes from outside. The fuzz targets and the replay of their corpus call the same functions.
#![allow(dead_code, reason = "each fuzz target calls one of them")]

use std::collections::BTreeSet;
use std::fs;

use autoheal::config::{Config, LoadOptions};
use autoheal::domain::Timestamp;
use autoheal::domain::alert::{Alert, AlertStatus, Fingerprint, Labels};
use autoheal::domain::matcher::Matcher;
use autoheal::domain::template::{AlertContext, Template};
use autoheal::secret::Secrets;
use autoheal::web::payload;

/// An alert to match and to render for.
fn alert() -> Alert {
    let own = |pairs: &[(&str, &str)]| pairs.iter().map(|(name, value)| ((*name).into(), (*value).into())).collect();
    let labels: Labels = own(&[("alertname", "InstanceDown"), ("job", "ui"), ("instance", "web-1.example.com:9100")]);
    Alert {
        fingerprint: Fingerprint::of(&labels),
        status: AlertStatus::Firing,
        labels,
        annotations: own(&[("summary", "ui is down")]),
        starts_at: Timestamp::UNIX_EPOCH,
        ends_at: None,
        generator_url: "http://prometheus/graph?g0.expr=up".to_owned(),
    }
}

/// A delivery is taken or refused in words; what is taken has a name for every alert.
pub fn payload(data: &[u8]) {
    match payload::parse(data, Timestamp::UNIX_EPOCH) {
        Ok(delivery) => {
            for alert in &delivery.alerts {
                assert_eq!(alert.fingerprint.to_string().len(), 16, "{alert:?}");
            }
        }
        Err(error) => assert!(!error.to_string().is_empty()),
    }
}

/// What is taken for matchers can be written and read again; what is not is refused at a place within the text.
pub fn matcher(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    match Matcher::parse_list(text) {
        Ok(list) => {
            let written: Vec<String> = list.iter().map(ToString::to_string).collect();
            let again = Matcher::parse_list(&written.join(",")).unwrap_or_else(|error| panic!("{written:?}: {error}"));
            let rewritten: Vec<String> = again.iter().map(ToString::to_string).collect();
            assert_eq!(written, rewritten);
            for (matcher, twin) in list.iter().zip(&again) {
                assert_eq!(matcher.matches(&alert().labels), twin.matches(&alert().labels), "{matcher}");
            }
        }
        Err(error) => assert!(text.is_char_boundary(error.offset), "{error:?}"),
    }
}

/// A template renders or says why not, and never takes a place outside of itself for its mistake.
pub fn template(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    match Template::parse(text) {
        Ok(template) => {
            let first = template.render(AlertContext { alert: &alert() });
            assert_eq!(first, template.render(AlertContext { alert: &alert() }));
        }
        Err(error) => assert!(text.get(error.offset..error.offset + error.length).is_some(), "{error:?}"),
    }
}

/// A line of a secrets file is taken or refused without showing what it holds.
pub fn secrets(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    match Secrets::parse(text) {
        Ok(secrets) => assert!(!format!("{secrets:?}").contains("hunter2")),
        Err(errors) => assert!(!format!("{errors:?}").contains("hunter2"), "{errors:?}"),
    }
}

/// A file of rules loads or shows its problems; loaded rules match as a plain loop over them would.
pub fn rules(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    let directory = tempfile::tempdir().expect("a directory for the file");
    fs::write(directory.path().join("rules.yml"), text).expect("a file of rules");
    let options = LoadOptions {
        rule_files: Some(vec!["rules.yml".into()]),
        without_secrets: true,
        working_dir: directory.path().to_owned(),
        ..LoadOptions::default()
    };
    match Config::load(&options) {
        Ok((config, warnings)) => {
            drop(warnings.render(false));
            let alert = alert();
            let mut plain = Vec::new();
            for rule in config.rules.rules().iter().filter(|rule| rule.selector.matches(&alert)) {
                plain.push(rule.name.as_str());
                drop(rule.request(&alert));
                if !rule.continue_matching {
                    break;
                }
            }
            let indexed: Vec<&str> = config.rules.matching(&alert).map(|rule| rule.name.as_str()).collect();
            assert_eq!(indexed, plain);
            assert_eq!(plain.iter().collect::<BTreeSet<_>>().len(), plain.len(), "names are unique");
        }
        Err(problems) => assert!(problems.has_errors() && !problems.render(false).is_empty()),
    }
}
