//! Which files are read, in which order.

use std::cell::RefCell;
use std::fs::{self, File};
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use super::sources::Sources;

/// Larger files are refused before they are parsed.
const MAX_FILE_BYTES: u64 = 8 * 1024 * 1024;

/// Directories nested deeper than this are a loop of links.
const MAX_DEPTH: usize = 16;

/// A path that cannot be read, with the reason.
pub(super) type Unreadable = (PathBuf, io::Error);

/// A file as it is, or the `*.yml` and `*.yaml` of a directory in name order, without those further below.
pub(super) fn config_files(path: &Path, sources: &RefCell<Sources>) -> Result<Vec<PathBuf>, Unreadable> {
    let mut files = Vec::new();
    collect(path, 0, false, is_yaml, &mut files, sources)?;
    Ok(files)
}

/// A file as it is, or every `*.yml` and `*.yaml` at or below a directory in name order. Rule tests (`*.test.yml`) are
/// left out.
pub(super) fn rule_files(path: &Path, sources: &RefCell<Sources>) -> Result<Vec<PathBuf>, Unreadable> {
    let mut files = Vec::new();
    collect(path, 0, true, is_yaml, &mut files, sources)?;
    Ok(files)
}

/// A file as it is, or every file of rule tests at or below a directory in name order.
pub(super) fn test_files(path: &Path, sources: &RefCell<Sources>) -> Result<Vec<PathBuf>, Unreadable> {
    let mut files = Vec::new();
    collect(path, 0, true, is_rule_test, &mut files, sources)?;
    Ok(files)
}

fn collect(
    path: &Path,
    depth: usize,
    recursive: bool,
    is_ours: fn(&Path) -> bool,
    files: &mut Vec<PathBuf>,
    sources: &RefCell<Sources>,
) -> Result<(), Unreadable> {
    // Directories too: they change when a file comes or goes.
    sources.borrow_mut().note(path.to_owned());
    let unreadable = |error| (path.to_owned(), error);
    if !fs::metadata(path).map_err(unreadable)?.is_dir() {
        // A file that is named itself is read whatever its name; in a directory only YAML is ours.
        if depth == 0 || is_ours(path) {
            files.push(path.to_owned());
        }
        return Ok(());
    }
    if depth == MAX_DEPTH {
        return Err(unreadable(io::Error::other(format!("nested deeper than {MAX_DEPTH} directories"))));
    }
    let mut names = fs::read_dir(path)
        .and_then(|entries| entries.map(|entry| entry.map(|entry| entry.file_name())).collect::<Result<Vec<_>, _>>())
        .map_err(unreadable)?;
    names.sort();
    for name in names {
        // Editors hide their backups, and Kubernetes hides the real directory behind the links it shows.
        if name.as_encoded_bytes().starts_with(b".") {
            continue;
        }
        let entry = path.join(name);
        if !recursive && depth == 0 && entry.is_dir() {
            continue;
        }
        // A dangling link with another ending is none of our business.
        if entry.exists() || is_ours(&entry) {
            collect(&entry, depth + 1, recursive, is_ours, files, sources)?;
        }
    }
    Ok(())
}

fn stem(path: &Path) -> Option<&str> {
    let name = path.file_name()?.to_str()?;
    name.strip_suffix(".yml").or_else(|| name.strip_suffix(".yaml")).filter(|stem| !stem.is_empty())
}

fn is_yaml(path: &Path) -> bool {
    stem(path).is_some_and(|stem| stem.strip_suffix(".test").is_none())
}

fn is_rule_test(path: &Path) -> bool {
    stem(path).is_some_and(|stem| stem.strip_suffix(".test").is_some())
}

/// A file's text. A pipe or a device is refused before it is opened: it may have no end, or never begin.
pub(super) fn read(path: &Path) -> io::Result<String> {
    if !fs::metadata(path)?.is_file() {
        return Err(io::Error::other("it is not a regular file"));
    }
    let mut text = String::new();
    let length = File::open(path)?.take(MAX_FILE_BYTES + 1).read_to_string(&mut text)?;
    if length as u64 > MAX_FILE_BYTES {
        return Err(io::Error::other(format!("larger than {MAX_FILE_BYTES} bytes")));
    }
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn directories_are_read_in_name_order_without_tests_and_hidden_files() {
        let root = tempfile::tempdir().unwrap();
        for file in ["b.yaml", "a.yml", "a.test.yml", "notes.md", ".c.yml", ".yml", "sub/z.yml", "..data/a.yml"] {
            let path = root.path().join(file);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, "").unwrap();
        }
        let names = |files: Vec<PathBuf>| -> Vec<_> {
            files.iter().map(|file| file.strip_prefix(root.path()).unwrap().display().to_string()).collect()
        };
        let sources = RefCell::default();
        assert_eq!(names(rule_files(root.path(), &sources).unwrap()), ["a.yml", "b.yaml", "sub/z.yml"]);
        assert_eq!(names(config_files(root.path(), &sources).unwrap()), ["a.yml", "b.yaml"]);
        assert_eq!(names(rule_files(&root.path().join("a.test.yml"), &sources).unwrap()), ["a.test.yml"]);
        assert_eq!(names(test_files(root.path(), &sources).unwrap()), ["a.test.yml"]);
        assert_eq!(rule_files(&root.path().join("none"), &sources).unwrap_err().1.kind(), io::ErrorKind::NotFound);
    }
}
