//! `command:` of `execInContainer`: a list of arguments, none of which a shell may take apart.

use super::reader::{Reader, Schema};
use super::rules::template;
use super::yaml::Node;
use crate::domain::action::MAX_ARGUMENTS;
use crate::domain::template::Template;

/// Programs that take a script as an argument.
const SHELLS: [&str; 8] = ["sh", "ash", "bash", "dash", "ksh", "zsh", "busybox", "fish"];

/// Reads the arguments.
pub(super) fn read_command(reader: &Reader<'_>, node: &Node, schema: &Schema) -> Option<Vec<Template>> {
    let before = reader.error_count();
    // What else is wrong with the action has been said.
    let Some(node) = node.value("command") else {
        reader.error(&node.span, format!("{} needs `command`", schema.what), "`command` is missing");
        return None;
    };
    let list = reader.list(node, "arguments, as in [nginx, -s, reload]; no shell reads them");
    let command: Vec<_> = list.iter().filter_map(|node| template(reader, node)).collect();
    if reader.error_count() > before || command.len() < list.len() {
        return None;
    }
    if command.first().is_none_or(|program| program.source().trim().is_empty()) {
        reader.error(&node.span, "`command` names no program", "expected for example [nginx, -s, reload]");
        return None;
    }
    if command.len() > MAX_ARGUMENTS {
        reader.error(&node.span, "these are too many arguments", format!("at most {MAX_ARGUMENTS}"));
        return None;
    }
    if let Some(script) = script(&command).filter(|script| !command[*script].is_literal()) {
        reader.error_with_help(
            &list[script].span,
            "a template in a shell's script lets whoever sets an alert's label run what he likes",
            "the shell takes this apart",
            Some("pass it as an argument: [sh, -c, 'touch \"$1\"', sh, '{{ $labels.file }}']".to_owned()),
        );
        return None;
    }
    Some(command)
}

/// Where the script stands, when the command is a shell with one.
fn script(command: &[Template]) -> Option<usize> {
    let name = |argument: &Template| argument.source().rsplit('/').next().unwrap_or_default().to_owned();
    command.iter().position(|argument| SHELLS.contains(&name(argument).as_str()))?;
    let is_flag = |argument: &Template| {
        let text = argument.source();
        text.starts_with('-') && !text.starts_with("--") && text.contains('c')
    };
    command.iter().position(is_flag).map(|flag| flag + 1).filter(|script| *script < command.len())
}
