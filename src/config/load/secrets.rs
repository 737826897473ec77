//! The secrets file: which one is read, and what is wrong with it.

use std::cell::RefCell;
use std::error::Error;
use std::io;
use std::path::PathBuf;

use super::LoadOptions;
use crate::config::diagnostic::{Diagnostic, Diagnostics};
use crate::config::sources::Sources;
use crate::secret::{Secrets, SecretsError};

const DEFAULT_SECRETS_FILE: &str = "/run/autoheal/secrets";

/// Reads the secrets; `None` when that failed, which is then an error.
pub(in crate::config) fn read_secrets(
    options: &LoadOptions,
    problems: &RefCell<Diagnostics>,
    sources: &RefCell<Sources>,
) -> Option<Secrets> {
    if options.without_secrets {
        return None;
    }
    let variable = options.environment.get("AUTOHEAL_SECRETS_FILE").filter(|path| !path.is_empty()).map(PathBuf::from);
    let named = options.secrets_file.clone().or(variable).map(|path| options.working_dir.join(path));
    let path = named.clone().unwrap_or_else(|| PathBuf::from(DEFAULT_SECRETS_FILE));
    sources.borrow_mut().note(path.clone());
    let push = |message: String| problems.borrow_mut().push(Diagnostic::error(message));
    match Secrets::read(&path, options.insecure_secrets) {
        Ok(secrets) => return Some(secrets),
        // Nobody asked for the default file, so it need not be there.
        Err(SecretsError::Unreadable { source, .. }) if named.is_none() && source.kind() == io::ErrorKind::NotFound => {
            return Some(Secrets::without_file(path));
        }
        Err(SecretsError::Lines { path, lines }) => {
            for line in lines {
                push(format!("secrets file {}: {line}", path.display()));
            }
        }
        Err(error) => {
            let cause = error.source().map(|cause| format!(": {cause}")).unwrap_or_default();
            push(format!("{error}{cause}"));
        }
    }
    None
}
