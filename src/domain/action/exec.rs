//! A command that is run in containers: a fixed list of arguments, none of which a shell ever sees.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use super::container::RestartContainer;
use super::{ActionRenderError, render_text};
use crate::domain::template::{AlertContext, Template};

/// Which command in which containers.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ExecInContainer<Text> {
    /// In which containers; of the rest nothing is set.
    pub containers: RestartContainer<Text>,
    /// The program and its arguments, at least the program. Each text is one argument, whatever is in it.
    pub command: Vec<Text>,
}

/// Most arguments, the program among them.
pub const MAX_ARGUMENTS: usize = 64;
/// Longest argument, in bytes.
const MAX_ARGUMENT: usize = 4096;

impl ExecInContainer<Template> {
    pub(super) fn render(&self, alert: AlertContext<'_>) -> Result<ExecInContainer<String>, ActionRenderError> {
        let mut command = Vec::with_capacity(self.command.len());
        for (index, argument) in self.command.iter().enumerate() {
            let field = format!("command[{index}]");
            let rendered = render_text(&field, argument, alert)?;
            if let Some(why) = unsafe_argument(argument, &rendered) {
                let rendered = rendered.chars().take(100).collect();
                return Err(ActionRenderError::Unsafe { field, rendered, why: why.to_owned() });
            }
            command.push(rendered);
        }
        Ok(ExecInContainer { containers: self.containers.render(alert)?, command })
    }
}

/// Why what came out of a template may not be an argument. What the rule's author wrote himself is meant.
fn unsafe_argument(template: &Template, rendered: &str) -> Option<&'static str> {
    if rendered.contains('\0') {
        return Some("holds a NUL, which no argument can");
    }
    if rendered.len() > MAX_ARGUMENT {
        return Some("is longer than 4096 bytes");
    }
    if template.is_literal() {
        return None;
    }
    if rendered.trim().is_empty() {
        return Some("is empty, and an empty argument may widen what the command does");
    }
    if rendered.starts_with('-') && !template.source().starts_with('-') {
        return Some(
            "would be taken for an option; put what stands before it into the same argument, or `--` before it",
        );
    }
    None
}

impl ExecInContainer<String> {
    /// In the notation of the rule language.
    pub(super) fn fields(&self) -> Map<String, Value> {
        let mut fields = self.containers.fields();
        fields.insert("command".into(), json!(self.command));
        fields
    }

    /// What is done, in words a person reads at night.
    pub(super) fn summary(&self) -> String {
        format!("run {} in {}", words(&self.command), self.containers.place())
    }
}

/// A command as a person reads it: arguments with anything but plain letters in them are quoted.
#[must_use]
pub fn words(command: &[String]) -> String {
    let is_plain = |argument: &&String| {
        !argument.is_empty()
            && argument.chars().all(|letter| letter.is_ascii_alphanumeric() || "-_./:=,@%+".contains(letter))
    };
    let shown =
        command.iter().map(|argument| if is_plain(&argument) { argument.clone() } else { format!("{argument:?}") });
    shown.collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::domain::action::ContainerSelector;
    use crate::domain::alert::{Alert, AlertStatus, Fingerprint, Labels};

    fn rendered(argument: &str, value: &str) -> Result<Vec<String>, String> {
        let labels = Labels::from([("x".to_owned(), value.to_owned())]);
        let alert = Alert {
            fingerprint: Fingerprint::of(&labels),
            status: AlertStatus::Firing,
            labels,
            annotations: Labels::new(),
            starts_at: crate::domain::Timestamp::UNIX_EPOCH,
            ends_at: None,
            generator_url: String::new(),
        };
        let text = |text: &str| Template::parse(text).unwrap();
        let exec = ExecInContainer {
            containers: RestartContainer {
                host: text("local"),
                selector: ContainerSelector::Name(text("ui")),
                stop_timeout: None::<Duration>,
                max: 1,
                min_healthy: None,
                then: Vec::new(),
                dependents: None,
            },
            command: vec![text("reload"), text(argument)],
        };
        exec.render(AlertContext { alert: &alert }).map(|exec| exec.command).map_err(|error| error.to_string())
    }

    #[test]
    fn a_template_is_one_argument_and_never_an_option() {
        let whole = rendered("{{ $labels.x }}", "a b; $(reboot) 'c' \"d\"").unwrap();
        assert_eq!(whole, ["reload", "a b; $(reboot) 'c' \"d\""]);
        assert_eq!(words(&whole), "reload \"a b; $(reboot) 'c' \\\"d\\\"\"");
        assert_eq!(rendered("--site={{ $labels.x }}", "-a").unwrap()[1], "--site=-a");
        assert_eq!(rendered("-v", "").unwrap()[1], "-v");
        for (argument, value, why) in [
            ("{{ $labels.x }}", "-rf", "taken for an option"),
            ("{{ $labels.x }}", " ", "is empty"),
            ("{{ $labels.x }}", "a\0b", "NUL"),
            ("{{ $labels.y }}", "", "$labels.y"),
        ] {
            let error = rendered(argument, value).unwrap_err();
            assert!(error.contains("command[1]") && error.contains(why), "{error}");
        }
        assert!(rendered("{{ $labels.x }}", &"x".repeat(4096)).is_ok());
        assert!(rendered("{{ $labels.x }}", &"x".repeat(4097)).unwrap_err().contains("4096"));
    }
}
