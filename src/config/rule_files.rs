//! Files of rules, each read and checked on its own and side by side, because there may be many; put together in their order.

use std::cell::RefCell;
use std::sync::Arc;

use super::diagnostic::{Diagnostic, Diagnostics, Place, SourceFile};
use super::documents::{self, Document, Named};
use super::names::Names;
use super::reader::{Reader, Schema};
use super::rules::{self, RuleList, Surroundings};
use super::sources::Sources;
use super::yaml::{Kind, Node};
use crate::domain::rule::HealRule;
use crate::secret::Secrets;

const RULE_FILE: Schema = Schema { what: "a file of rules", keys: &["rules"], unsupported: &[], strict: false };

/// One file, as far as it can be understood without the others.
pub(super) struct RuleFile {
    pub file: Arc<SourceFile>,
    pub list: RuleList,
    pub problems: Diagnostics,
    /// Files that its rules name.
    pub sources: Sources,
    /// As written, when that is still wanted: it is many times as large as the rules.
    pub document: Option<Document>,
}

/// Reads files of rules; answers in their order, for each that cannot be read with the reason.
pub(super) fn read(
    files: Vec<Named>,
    secrets: Option<&Secrets>,
    around: &Surroundings<'_>,
    keep_documents: bool,
) -> Vec<Result<RuleFile, Diagnostic>> {
    documents::each(files, |named| {
        let (file, root) = documents::read(named)?;
        let (problems, sources) = (RefCell::default(), RefCell::default());
        let list = read_file(&Reader::new(&file, secrets, &problems, &sources), &root, around);
        let document = keep_documents.then(|| (Arc::clone(&file), root));
        Ok(RuleFile { file, list, problems: problems.into_inner(), sources: sources.into_inner(), document })
    })
}

fn read_file(reader: &Reader<'_>, root: &Node, around: &Surroundings<'_>) -> RuleList {
    if matches!(root.kind, Kind::Nothing) {
        reader.warning(&root.span, "this file has no rules", "expected `rules:`");
        return RuleList::default();
    }
    let top = reader.mapping(root, &RULE_FILE);
    top.and_then(|top| Some(rules::read(reader, top.get("rules")?, around))).unwrap_or_default()
}

/// The rules of all files.
pub(super) struct AllRules {
    names: Names,
    /// In the order in which they are tried.
    pub rules: Vec<HealRule>,
    /// Whether one of them is written as for the ancestor.
    pub has_ancestors_rules: bool,
}

impl AllRules {
    /// No rules yet.
    pub fn new() -> Self {
        Self { names: Names::new("rule"), rules: Vec::new(), has_ancestors_rules: false }
    }

    /// Whether none is there, not even one with mistakes.
    pub fn is_empty(&self) -> bool {
        self.names.is_empty()
    }

    /// Adds what a file has, and notes where it takes a name that an earlier rule has.
    pub fn add(&mut self, file: &Arc<SourceFile>, list: RuleList, problems: &RefCell<Diagnostics>) {
        for (name, span) in &list.names {
            if let Err(problem) = self.names.take(name, Place::new(file, span)) {
                problems.borrow_mut().push(problem);
            }
        }
        self.rules.extend(list.rules);
        self.has_ancestors_rules |= list.has_ancestors_rules;
    }
}
