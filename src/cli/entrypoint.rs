//! `autoheal entrypoint -- ARGS`: gathers a container's secrets into one file that only we can read, takes them out of
//! the environment, and becomes the daemon.

use std::convert::Infallible;
use std::ffi::{OsStr, OsString};
use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::secret::{Secret, Secrets, SecretsError, is_name};

const DEFAULT_SOURCE: &str = "/etc/autoheal/secrets";
const DEFAULT_FILE: &str = "/run/autoheal/secrets";
const FILE_VARIABLE: &str = "AUTOHEAL_SECRETS_FILE";
const PREFIX: &str = "AUTOHEAL_SECRET_";

/// A secret larger than this is a mistaken path.
const MAX_SECRET_BYTES: u64 = 64 * 1024;

/// What the command line says.
#[derive(Debug, Clone, Default, PartialEq, Eq, clap::Args)]
pub struct Arguments {
    /// A mounted file of NAME=VALUE lines [default: /etc/autoheal/secrets, if it is there]
    #[arg(long, value_name = "PATH")]
    pub secrets_source: Option<PathBuf>,
    /// The file to write [default: what `AUTOHEAL_SECRETS_FILE` says, then /run/autoheal/secrets]
    #[arg(long, value_name = "PATH")]
    pub secrets_file: Option<PathBuf>,
    /// What autoheal is then run with
    #[arg(last = true, value_name = "ARGS")]
    pub arguments: Vec<OsString>,
}

/// Variables as the process got them.
pub type Environment = Vec<(OsString, OsString)>;

/// The secrets could not be gathered, or the daemon not started. Names variables and files, never a value.
#[derive(Debug, thiserror::Error)]
pub enum EntrypointError {
    /// The mounted file is unusable.
    #[error(transparent)]
    Source(#[from] SecretsError),
    /// A variable does not name a secret.
    #[error("variable {0}: what follows {PREFIX} must be made of A-Z, 0-9 and _, and not begin with a digit")]
    Name(String),
    /// A variable's value is not UTF-8.
    #[error("variable {0}: its value is not UTF-8")]
    NotText(String),
    /// A file named by a variable cannot be used.
    #[error("variable {variable}: {} cannot be read", path.display())]
    File {
        /// The variable.
        variable: String,
        /// The file it names.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// A value spans lines, which the file cannot hold.
    #[error("secret {0}: its value has more than one line")]
    Lines(String),
    /// The file cannot be written.
    #[error("secrets file {}: cannot be written", path.display())]
    Write {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The daemon did not start.
    #[error("autoheal cannot be started")]
    Start(#[source] io::Error),
}

/// Writes the secrets file and becomes the daemon. Returns only when that failed.
///
/// # Errors
/// A source that is unusable, a file that cannot be written, a daemon that cannot be started.
pub fn run(arguments: &Arguments, environment: Environment) -> Result<Infallible, EntrypointError> {
    let environment = prepare(arguments, environment)?;
    let program = std::env::current_exe().map_err(EntrypointError::Start)?;
    let error = Command::new(program).args(&arguments.arguments).env_clear().envs(environment).exec();
    Err(EntrypointError::Start(error))
}

/// Writes the secrets file and answers with the environment for the daemon: without secrets, with the file's path.
///
/// Later sources win: the mounted file, `AUTOHEAL_SECRET_<NAME>` variables, files named by `AUTOHEAL_SECRET_<NAME>_FILE`.
/// An empty variable counts as not given, because compose files pass optional variables on as empty ones; a secret that
/// is needed is then missed at its place in the configuration. The file is written even when there are no secrets.
///
/// # Errors
/// A source that is unusable, or a file that cannot be written.
pub fn prepare(arguments: &Arguments, environment: Environment) -> Result<Environment, EntrypointError> {
    let path = secrets_file(arguments, &environment);
    let (given, mut kept): (Environment, Environment) =
        environment.into_iter().partition(|(name, _)| name.as_encoded_bytes().starts_with(PREFIX.as_bytes()));

    let mut secrets = read_source(arguments.secrets_source.as_deref())?;
    let (mut plain, mut files) = (Vec::new(), Vec::new());
    for (variable, value) in given.into_iter().filter(|(_, value)| !value.is_empty()) {
        let variable = variable.to_string_lossy().into_owned();
        let name = &variable[PREFIX.len()..];
        let (name, found) = match name.strip_suffix("_FILE") {
            Some(name) => (name.to_owned(), &mut files),
            None => (name.to_owned(), &mut plain),
        };
        if !is_name(&name) {
            return Err(EntrypointError::Name(variable));
        }
        found.push((variable, name, value));
    }
    for (variable, name, value) in plain {
        let value = value.into_string().map_err(|_| EntrypointError::NotText(variable))?;
        secrets.insert(name, Secret::new(value));
    }
    for (variable, name, path) in files {
        let path = PathBuf::from(path);
        let value = read_value(&path).map_err(|source| EntrypointError::File { variable, path, source })?;
        secrets.insert(name, value);
    }

    let text = secrets.to_file_text().map_err(EntrypointError::Lines)?;
    write(&path, text.expose()).map_err(|source| EntrypointError::Write { path: path.clone(), source })?;
    kept.retain(|(name, _)| name != FILE_VARIABLE);
    kept.push((FILE_VARIABLE.into(), path.into_os_string()));
    Ok(kept)
}

fn secrets_file(arguments: &Arguments, environment: &Environment) -> PathBuf {
    let variable = environment.iter().find(|(name, value)| name == FILE_VARIABLE && !value.is_empty());
    arguments
        .secrets_file
        .clone()
        .unwrap_or_else(|| variable.map_or_else(|| PathBuf::from(DEFAULT_FILE), |(_, path)| PathBuf::from(path)))
}

/// A mounted file may be readable by others, as mounts often are; it is outside our hands. One that was not asked for may
/// also be absent.
fn read_source(named: Option<&Path>) -> Result<Secrets, SecretsError> {
    match Secrets::read(named.unwrap_or(Path::new(DEFAULT_SOURCE)), true) {
        Err(SecretsError::Unreadable { source, .. }) if named.is_none() && source.kind() == io::ErrorKind::NotFound => {
            Ok(Secrets::default())
        }
        read => read,
    }
}

/// A file's content without the line end that editors and `echo` put there.
fn read_value(path: &Path) -> io::Result<Secret> {
    let mut text = String::new();
    let length = File::open(path)?.take(MAX_SECRET_BYTES + 1).read_to_string(&mut text)?;
    if length as u64 > MAX_SECRET_BYTES {
        return Err(io::Error::other(format!("larger than {MAX_SECRET_BYTES} bytes")));
    }
    let value = text.strip_suffix('\n').unwrap_or(&text);
    Ok(Secret::new(value.strip_suffix('\r').unwrap_or(value)))
}

/// Puts a file in place at once: a reader sees the old one or the new one, and nobody else sees either.
fn write(path: &Path, text: &str) -> io::Result<()> {
    let directory = path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    fs::DirBuilder::new().recursive(true).mode(0o700).create(directory)?;
    let mut name = OsString::from(".");
    name.push(path.file_name().unwrap_or(OsStr::new("secrets")));
    name.push(format!(".{}", std::process::id()));
    let temporary = directory.join(name);
    // A container's first process has the same number at every start, so a crash may have left this name behind.
    match fs::remove_file(&temporary) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let written = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o400)
        .open(&temporary)
        .and_then(|mut file| file.write_all(text.as_bytes()).and_then(|()| file.sync_all()))
        .and_then(|()| fs::rename(&temporary, path));
    if written.is_err() {
        // The error that stopped us matters more than one of cleaning up after it.
        let _ = fs::remove_file(&temporary);
        return written;
    }
    File::open(directory)?.sync_all()
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    fn environment(pairs: &[(&str, &str)]) -> Environment {
        pairs.iter().map(|(name, value)| (OsString::from(name), OsString::from(value))).collect()
    }

    struct Container(tempfile::TempDir);

    impl Container {
        fn new() -> Self {
            Self(tempfile::tempdir().unwrap())
        }

        fn path(&self, name: &str) -> PathBuf {
            self.0.path().join(name)
        }

        fn mount(&self, name: &str, text: &str) -> String {
            fs::write(self.path(name), text).unwrap();
            self.path(name).display().to_string()
        }

        fn prepare(&self, variables: &[(&str, &str)]) -> Result<Environment, EntrypointError> {
            let source = self.path("source");
            let arguments = Arguments {
                secrets_source: source.exists().then_some(source),
                secrets_file: Some(self.path("run/secrets")),
                arguments: Vec::new(),
            };
            prepare(&arguments, environment(variables))
        }

        fn secrets(&self) -> Secrets {
            Secrets::read(&self.path("run/secrets"), false).unwrap()
        }
    }

    #[test]
    fn later_sources_win_and_the_file_is_ours_alone() {
        let container = Container::new();
        container.mount("source", "A=file\nB=file\nC=file\n");
        let file = container.mount("c", "from file\r\n");
        let variables = [
            ("AUTOHEAL_SECRET_C_FILE", file.as_str()),
            ("AUTOHEAL_SECRET_B", "variable"),
            ("AUTOHEAL_SECRET_C", "variable"),
            ("AUTOHEAL_SECRET_A", ""),
            ("AUTOHEAL_SECRETS_FILE", "/elsewhere"),
            ("PATH", "/bin"),
        ];
        for _ in 0..2 {
            let kept = container.prepare(&variables).unwrap();
            let path = container.path("run/secrets");
            assert_eq!(kept, environment(&[("PATH", "/bin"), ("AUTOHEAL_SECRETS_FILE", path.to_str().unwrap())]));
            let secrets = container.secrets();
            for (name, value) in [("A", "file"), ("B", "variable"), ("C", "from file")] {
                assert_eq!(secrets.get(name).unwrap().expose(), value, "{name}");
            }
            assert_eq!(fs::metadata(path).unwrap().permissions().mode() & 0o7777, 0o400);
            assert_eq!(fs::read_dir(container.path("run")).unwrap().count(), 1, "nothing is left behind");
        }
    }

    #[test]
    fn without_any_source_the_file_is_empty() {
        let container = Container::new();
        container.prepare(&[]).unwrap();
        assert_eq!(container.secrets().names().count(), 0);
    }

    #[test]
    fn what_is_wrong_is_named_and_no_value_is_shown() {
        let container = Container::new();
        let lines = container.mount("lines", "hunter2\nhunter2\n");
        for (variable, value, expected) in [
            ("AUTOHEAL_SECRET_KEY", "hunter2\nhunter2", "secret KEY: its value has more than one line"),
            ("AUTOHEAL_SECRET_KEY_FILE", &lines, "secret KEY: its value has more than one line"),
            ("AUTOHEAL_SECRET_key", "hunter2", "variable AUTOHEAL_SECRET_key: what follows"),
            ("AUTOHEAL_SECRET_", "hunter2", "variable AUTOHEAL_SECRET_: what follows"),
            ("AUTOHEAL_SECRET_KEY_FILE", "/none", "variable AUTOHEAL_SECRET_KEY_FILE: /none cannot be read"),
        ] {
            let message = container.prepare(&[(variable, value)]).unwrap_err().to_string();
            assert!(message.starts_with(expected), "{message}");
            assert!(!message.contains("hunter2"), "{message}");
        }
        container.mount("source", "A=1\nhunter2\n");
        let message = container.prepare(&[]).unwrap_err().to_string();
        assert!(message.ends_with("line 2: expected NAME=VALUE"), "{message}");
        assert!(!container.path("run/secrets").exists());
    }
}
