//! What somebody who comes from openshift/autoheal should know: its files load, and where the same file does something else here.

use super::awx::AwxSection;
use super::reader::{Mapping, Reader};
use super::yaml::{Kind, Node};

/// The ancestor's action on Kubernetes. It is read, so that the rest of its file works, and never done.
pub(super) const BATCH_JOB: &str = "batchJob";

/// The keys of a rule that only its files have, or that its files write directly into a rule.
pub(super) const MARKS: [&str; 4] = ["apiVersion", "kind", "awxJob", "batchJob"];

/// What is different on purpose, each as a sentence.
pub const DIFFERENCES: [&str; 12] = [
    "Every alert of a delivery is looked at; the ancestor stopped at the first one that had a generatorURL.",
    "Matching rules apply in the order of the files, each for itself; there the first failure cancelled the others.",
    "A rule remembers per rule and target, and a failure is tried again; there all rules shared one memory of texts, and a failure counted as done.",
    "A label that the alert does not have, or a failing function, refuses the action; there `<no value>` or the raw text went out. Texts in lists are filled in, too.",
    "A rule that selects nothing in particular may not act; there it matched every alert.",
    "Names are required and unique, and unknown keys, bad patterns and bad templates are errors at load; there they were passed over in silence.",
    "A rule has one action; there `awxJob` won over `batchJob` without a word.",
    "A job template's name must mean one template, and a limit may not come out empty; there every template of that name was launched, on every host.",
    "A job that failed or was canceled counts as failed, and a heal counts only once the alert has resolved; there nobody looked.",
    "`jobStatusCheckInterval` is the longest pause between two looks and cannot be 0; `insecure` keeps its value when a later file does not name it.",
    "Without authentication only loopback is listened on, and a body that is no delivery is answered with 400; there everybody got 200.",
    "Kubernetes is not asked: the heals of a rule with `batchJob`, and of one whose AWX server has nothing but a `credentialsRef`, are refused by name and a human is told; `tlsRef` is passed over; there is no --kubeconfig.",
];

/// What a rule asks for and nobody here can do; told as a warning at its place, too.
pub(super) fn unsupported(reader: &Reader<'_>, rule: &Mapping<'_>, awx: &AwxSection) -> Option<String> {
    if let Some(span) = rule.key_span(BATCH_JOB) {
        let why = "`batchJob` is a Job of Kubernetes, which autoheal does not run; let the rule do it by `awxJob`, or remove it";
        let label = "its alerts are refused by name and a human is told";
        reader.warning(span, "`batchJob` is read and never done", label);
        return Some(why.to_owned());
    }
    let jobs = rule.get("steps").map_or(&[][..], |steps| match &steps.kind {
        Kind::List(items) => items.as_slice(),
        _ => &[],
    });
    let in_steps = jobs.iter().flat_map(Node::entries).filter(|entry| entry.key == "awxJob");
    let job = rule.get("awxJob").or_else(|| in_steps.map(|entry| &entry.value).next())?;
    let named = job.value("server").map(|node| node.written.as_str());
    awx.refusal(named).map(str::to_owned)
}
