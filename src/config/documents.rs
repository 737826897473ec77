//! Files read and parsed side by side, because that is most of what loading many rules takes.

use std::num::NonZero;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;

use super::diagnostic::{Diagnostic, SourceFile};
use super::files;
use super::yaml::{self, Node};

/// A file that is YAML.
pub(super) type Document = (Arc<SourceFile>, Node);

/// A file to read: where it is, and what people call it.
pub(super) type Named = (PathBuf, String);

/// Reads files; answers in their order.
pub(super) fn read_all(files: Vec<Named>) -> Vec<Result<Document, Diagnostic>> {
    each(files, read)
}

/// Does something with each file; answers in their order.
pub(super) fn each<T: Send>(files: Vec<Named>, with: impl Fn(Named) -> T + Sync) -> Vec<T> {
    let processors = thread::available_parallelism().map_or(1, NonZero::get);
    let readers = processors.min(files.len());
    if readers < 2 {
        return files.into_iter().map(with).collect();
    }
    let waiting = Mutex::new(files.into_iter().enumerate());
    let done = Mutex::new(Vec::new());
    let work = || {
        loop {
            // The lock is let go before the work begins.
            let next = waiting.lock().unwrap_or_else(PoisonError::into_inner).next();
            let Some((position, file)) = next else { return };
            let result = with(file);
            done.lock().unwrap_or_else(PoisonError::into_inner).push((position, result));
        }
    };
    thread::scope(|scope| {
        for _ in 0..readers {
            scope.spawn(work);
        }
    });
    let mut done = done.into_inner().unwrap_or_else(PoisonError::into_inner);
    done.sort_by_key(|(position, _)| *position);
    done.into_iter().map(|(_, result)| result).collect()
}

/// Reads one file.
pub(super) fn read((path, name): Named) -> Result<Document, Diagnostic> {
    let text = files::read(&path).map_err(|error| Diagnostic::error(format!("{name} cannot be read: {error}")))?;
    yaml::read(path, name, text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_arrive_in_their_order_with_each_ones_problem_in_its_place() {
        let directory = tempfile::tempdir().unwrap();
        let files: Vec<Named> = (0..50)
            .map(|number| {
                let path = directory.path().join(number.to_string());
                match number % 5 {
                    0 => {}
                    1 => std::fs::write(&path, "a: [").unwrap(),
                    _ => std::fs::write(&path, format!("n: {number}")).unwrap(),
                }
                (path, number.to_string())
            })
            .collect();
        for (number, document) in read_all(files).into_iter().enumerate() {
            match (number % 5, document) {
                (0, Err(problem)) => assert!(problem.message.starts_with(&format!("{number} cannot")), "{problem}"),
                (1, Err(problem)) => assert_eq!(problem.place.unwrap().file.name(), number.to_string()),
                (2.., Ok((_, root))) => assert_eq!(root.entries()[0].value.written, number.to_string()),
                (_, other) => panic!("{number}: {other:?}"),
            }
        }
    }
}
