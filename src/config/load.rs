//! Reads all files, checks them against each other, and answers with a [`Config`] or with every problem there is.

mod approvers;
mod paths;
mod secrets;

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::diagnostic::{Diagnostic, Diagnostics, SourceFile};
use super::documents::{self, Document, Named};
use super::lint::{self, Findings, Linted, LintedRoute};
use super::names::Names;
use super::reader::Reader;
use super::rule_files::{self, AllRules, RuleFile};
use super::rules::Surroundings;
use super::sections::{self, Sections};
use super::sources::Sources;
use super::yaml::Node;
use super::{Config, WebFile, docker, receivers, routes, rules, web, web_file};
use crate::domain::route::Routes;
use crate::domain::rule::{HealRule, RuleSet};
use crate::secret::Secrets;

pub use self::paths::sort_paths;
pub(super) use self::secrets::read_secrets;

/// The ancestor's default, read from the working directory when no file is named.
const DEFAULT_CONFIG_FILE: &str = "autoheal.yml";
const DEFAULT_RULES: &str = "rules/";
const DEFAULT_STORE: &str = "sqlite:data/autoheal.db";

/// What the command line and the environment say about loading.
#[derive(Debug, Clone, Default)]
pub struct LoadOptions {
    /// `--config-file`: files, or directories whose `*.yml` and `*.yaml` are read in name order. When empty,
    /// `autoheal.yml` in the working directory is read if there is one; else the defaults apply.
    pub config_files: Vec<PathBuf>,
    /// Files or directories of rules that take the place of every `ruleFiles`.
    pub rule_files: Option<Vec<PathBuf>>,
    /// `--secrets-file`. When not given, `AUTOHEAL_SECRETS_FILE` from the environment, then `/run/autoheal/secrets` if
    /// it is there.
    pub secrets_file: Option<PathBuf>,
    /// `--insecure-secrets-file`: accept a secrets file that others can get at.
    pub insecure_secrets: bool,
    /// Leave every `${NAME}` unresolved without calling that a problem; what depends on one is then missing. For rule
    /// tests, which run where no secrets are.
    pub without_secrets: bool,
    /// Also look for what loads and yet is probably not meant.
    pub lint: bool,
    /// `--store`, wins over the files.
    pub store: Option<String>,
    /// `--listen-address`, wins over the files.
    pub listen_address: Option<String>,
    /// `--web-config-file`.
    pub web_config_file: Option<PathBuf>,
    /// The environment. Only `AUTOHEAL_SECRETS_FILE` and Docker's own variables are looked at.
    pub environment: BTreeMap<String, String>,
    /// Where relative paths of the command line and of the defaults start.
    pub working_dir: PathBuf,
    /// The default directory of rules when some were read from it before: at a reload it must still be there, because one
    /// that is moved away for a moment must not leave a daemon without rules.
    pub held_rules: Option<PathBuf>,
}

impl Config {
    /// Reads and checks everything. Answers with the warnings beside the result.
    ///
    /// # Errors
    /// Every problem of every file, when at least one is an error.
    pub fn load(options: &LoadOptions) -> Result<(Self, Diagnostics), Diagnostics> {
        Self::load_noting(options).0
    }

    /// As [`Config::load`], and says what was read for it, whether that went well or not.
    pub fn load_noting(options: &LoadOptions) -> (Result<(Self, Diagnostics), Diagnostics>, Sources) {
        let (problems, sources) = (RefCell::new(Diagnostics::default()), RefCell::new(Sources::default()));
        let secrets = read_secrets(options, &problems, &sources);
        let config = Loader { options, problems: &problems, secrets, sources: &sources }.load();
        let mut problems = problems.into_inner();
        problems.sort();
        let loaded = match config {
            Some(config) if !problems.has_errors() => Ok((config, problems)),
            _ => Err(problems),
        };
        (loaded, sources.into_inner())
    }
}

struct Loader<'o> {
    options: &'o LoadOptions,
    problems: &'o RefCell<Diagnostics>,
    secrets: Option<Secrets>,
    sources: &'o RefCell<Sources>,
}

impl Loader<'_> {
    /// `None` only beside an error.
    fn load(&self) -> Option<Config> {
        let before = self.problems.borrow().iter().len();
        let documents = self.read_all(self.config_paths());
        // What an unreadable file may have named is not reported as unknown.
        let incomplete = self.problems.borrow().iter().len() > before;
        let mut sections = Sections::new();
        for (file, root) in &documents {
            sections.add_templates(&self.reader(file), root, &self.options.working_dir);
        }
        sections.templates.check(|problem| self.push(problem));
        for (file, root) in &documents {
            sections.add(&self.reader(file), file, root, &self.options.working_dir);
        }
        if incomplete {
            sections.mark_incomplete();
        }
        if sections.host_names.is_empty() {
            self.add_local_host(&mut sections);
        }
        let default_receivers = sections
            .default_receivers
            .map_or_else(Vec::new, |(file, node)| sections.receiver_names.known_list(&self.reader(file), node));
        sections.awx.finish(self.problems);
        let fallback_receiver =
            sections.fallback_receiver.and_then(|(file, node)| sections.receiver_names.known(&self.reader(file), node));
        for (file, list) in &sections.receiver_lists {
            let (intervals, receivers) = (&sections.time_intervals, &mut sections.receivers);
            receivers::read_quiet_times(&self.reader(file), list, intervals, receivers);
        }
        for receiver in &mut sections.receivers {
            receiver.remind.get_or_insert(sections.remind);
        }
        let routes = self.load_routes(&sections);
        let paths = self.rule_paths(&sections, incomplete);
        let are_default = self.options.rule_files.is_none() && sections.rule_files.is_none();
        let held_rules = (are_default && !paths.is_empty()).then(|| self.default_rules());
        let web_file = self.web_file();
        let approvers = self.approvers(&sections, &web_file);
        let rules = self.load_rules(&sections, paths, &default_receivers, &approvers, &routes);
        if self.options.lint {
            lint::secrets(&documents, &Findings(self.problems));
        }
        let store = self.store(sections.store.take());
        if let Some(text) = &self.options.listen_address {
            match web::listen_address(text) {
                Some(address) => sections.web.listen_address = address,
                None => {
                    self.push(Diagnostic::error("--listen-address: nobody can listen there").help(web::LISTEN_ADDRESS));
                }
            }
        }
        Some(Config {
            rules: RuleSet::new(rules.rules),
            store: store?,
            docker_hosts: sections.hosts,
            awx_servers: sections.awx.into_servers(),
            http_servers: sections.http.servers,
            limits: sections.limits,
            page_paused_after: sections.page_paused_after,
            web: sections.web,
            web_file,
            receivers: sections.receivers,
            default_receivers,
            fallback_receiver,
            history: sections.history,
            alertmanager: sections.alertmanager,
            prometheus: sections.prometheus,
            has_ancestors_rules: rules.has_ancestors_rules,
            held_rules,
        })
    }

    fn web_file(&self) -> WebFile {
        let path = self.options.web_config_file.as_ref().map(|path| self.options.working_dir.join(path));
        path.and_then(|path| self.read(path))
            .map(|(file, root)| web_file::read(&self.reader(&file), &root))
            .unwrap_or_default()
    }

    fn note(&self, path: &Path) {
        self.sources.borrow_mut().note(path.to_owned());
    }

    fn push(&self, diagnostic: Diagnostic) {
        self.problems.borrow_mut().push(diagnostic);
    }

    fn reader<'r>(&'r self, file: &'r Arc<SourceFile>) -> Reader<'r> {
        Reader::new(file, self.secrets.as_ref(), self.problems, self.sources)
    }

    fn add_local_host(&self, sections: &mut Sections<'_>) {
        sections.host_names.add("local");
        match docker::from_environment(&self.options.environment) {
            Ok(host) => sections.hosts.push(host),
            Err(diagnostic) => self.push(diagnostic),
        }
    }

    fn store(&self, configured: Option<super::StoreLocation>) -> Option<super::StoreLocation> {
        let directory = &self.options.working_dir;
        let (text, origin) = match (&self.options.store, configured) {
            (Some(text), _) => (text.as_str(), "--store: "),
            (None, Some(location)) => return Some(location),
            (None, None) => (DEFAULT_STORE, ""),
        };
        sections::store_location(text, directory)
            .map_err(|message| self.push(Diagnostic::error(format!("{origin}{message}")).help("expected sqlite:PATH")))
            .ok()
    }

    fn load_routes(&self, sections: &Sections<'_>) -> Arc<Routes> {
        let read =
            |(file, node): &(&Arc<SourceFile>, &Node)| routes::read(&self.reader(file), node, &sections.receiver_names);
        Arc::new(Routes::new(sections.routes.iter().flat_map(read).collect()))
    }

    fn load_rules(
        &self,
        sections: &Sections<'_>,
        paths: Vec<PathBuf>,
        default_receivers: &[String],
        approvers: &Names,
        routes: &Arc<Routes>,
    ) -> AllRules {
        let around = Surroundings {
            hosts: &sections.host_names,
            awx: &sections.awx,
            http: &sections.http,
            receivers: &sections.receiver_names,
            approvers,
            default_receivers,
            routes,
            times: &sections.time_intervals,
            throttling: sections.throttling,
            has_prometheus: sections.has_prometheus,
        };
        let mut all = AllRules::new();
        for (file, node) in &sections.rules {
            all.add(file, rules::read(&self.reader(file), node, &around), self.problems);
        }
        let mut documents = Vec::new();
        for read in rule_files::read(self.named(paths), self.secrets.as_ref(), &around, self.options.lint) {
            match read {
                Ok(RuleFile { file, list, problems, sources, document }) => {
                    self.problems.borrow_mut().extend(problems);
                    self.sources.borrow_mut().extend(sources);
                    all.add(&file, list, self.problems);
                    documents.extend(document);
                }
                Err(problem) => self.push(problem),
            }
        }
        if all.is_empty() && !self.problems.borrow().has_errors() {
            self.push(Diagnostic::warning("there are no rules: alerts are taken in and nothing is done about them"));
        }
        if self.options.lint {
            self.lint(sections, &documents, &all.rules, routes);
        }
        all
    }

    fn lint(&self, sections: &Sections<'_>, documents: &[Document], loaded: &[HealRule], routes: &Routes) {
        let findings = Findings(self.problems);
        lint::secrets(documents, &findings);
        let of_files = documents.iter().filter_map(|(file, root)| Some((file, root.value("rules")?)));
        let lists = sections.rules.iter().copied().chain(of_files);
        let nodes: Vec<_> = lists.flat_map(|(file, list)| rules::nodes(list).map(move |node| (file, node))).collect();
        // Without errors every node has become one rule.
        if loaded.len() == nodes.len() && !self.problems.borrow().has_errors() {
            let linted = loaded.iter().zip(nodes).map(|(rule, (file, node))| Linted { rule, node, file });
            lint::rules(&linted.collect::<Vec<_>>(), &findings);
            let written = sections.routes.iter().flat_map(|(file, node)| rules::nodes(node).map(|node| (*file, node)));
            let linted = routes.all().iter().zip(written);
            let linted: Vec<_> = linted.map(|(route, (file, node))| LintedRoute { route, node, file }).collect();
            lint::routes(&linted, loaded.iter().any(|rule| rule.routes.is_some()), &findings);
        }
    }

    /// Notes paths that are about to be read, and says what people call them.
    fn named(&self, paths: Vec<PathBuf>) -> Vec<Named> {
        let named = |path: PathBuf| {
            self.note(&path);
            let name = self.name(&path);
            (path, name)
        };
        paths.into_iter().map(named).collect()
    }

    fn read_all(&self, paths: Vec<PathBuf>) -> Vec<Document> {
        let read = documents::read_all(self.named(paths));
        read.into_iter().filter_map(|document| document.map_err(|problem| self.push(problem)).ok()).collect()
    }

    fn read(&self, path: PathBuf) -> Option<Document> {
        self.read_all(vec![path]).pop()
    }

    /// A path as people in the working directory would write it.
    fn name(&self, path: &Path) -> String {
        path.strip_prefix(&self.options.working_dir).unwrap_or(path).display().to_string()
    }

    fn unreadable(&self, path: &Path, error: &io::Error) -> Diagnostic {
        Diagnostic::error(format!("{} cannot be read: {error}", self.name(path)))
    }
}
