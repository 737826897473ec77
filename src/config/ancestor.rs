//! What somebody who comes from openshift/autoheal should know: its files load, and where the same file does something else here.

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
    "Kubernetes is not asked: `credentialsRef`, `tlsRef` and `batchJob` are refused by name, and there is no --kubeconfig.",
];
