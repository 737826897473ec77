//! What keeps a rule from doing harm: who must approve.

use std::time::Duration;

use super::reader::{Mapping, Reader, Schema};
use crate::domain::pause::Pause;
use crate::domain::rule::{ApprovalPolicy, Mode, RulePolicy};

const APPROVAL: Schema =
    Schema { what: "`approval`", keys: &["expiresAfter", "approvers"], unsupported: &[], strict: true };

/// An approval that is waited for longer than this is forgotten by everybody.
const LONGEST_APPROVAL: Duration = Duration::from_hours(7 * 24);

/// Reads all of it. What has errors is left at its default; an error refuses the whole configuration anyway.
pub(super) fn read(reader: &Reader<'_>, rule: &Mapping<'_>, mode: Mode) -> RulePolicy {
    RulePolicy { approval: read_approval(reader, rule, mode).unwrap_or_default() }
}

fn read_approval(reader: &Reader<'_>, rule: &Mapping<'_>, mode: Mode) -> Option<ApprovalPolicy> {
    let node = rule.get("approval")?;
    let approval = reader.mapping(node, &APPROVAL)?;
    if mode != Mode::Ask {
        reader.error(&node.span, "`approval` stands in a rule that asks nobody", "needs `mode: ask`");
    }
    let mut policy = ApprovalPolicy::default();
    if let Some(after) = approval.get("expiresAfter") {
        policy.expires_after = reader.duration(after, Duration::from_secs(1)..=LONGEST_APPROVAL)?;
    }
    if let Some(names) = approval.get("approvers") {
        let list = reader.list(names, "names");
        if list.is_empty() {
            reader.error(
                &names.span,
                "`approvers` names nobody",
                "remove the key to let everybody approve who may at all",
            );
        }
        for name in list {
            let text = reader.word(name, "this name")?;
            if text.chars().count() > Pause::MAX_NAME {
                reader.error(&name.span, "this name is too long", format!("at most {} characters", Pause::MAX_NAME));
            }
            policy.approvers.push(text.to_owned());
        }
    }
    Some(policy)
}
