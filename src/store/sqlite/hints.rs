//! Where rows are: an index that lives in memory.
//!
//! An index on disk over values that come in no order dirties a page of its own for each new alert, which costs more than
//! all the rest of taking the alert in. One process owns the file, so it keeps such an index itself, built when the file is
//! opened. It only hints: every row is in it, and what it names is read and compared, so that neither a transaction that was
//! undone nor a row that was deleted can mislead anybody.

use std::cell::RefCell;
use std::collections::HashMap;
use std::hash::Hash;

/// The rows that may hold a key.
pub(super) struct Hints<Key>(RefCell<Rows<Key>>);

struct Rows<Key> {
    first: HashMap<Key, i64>,
    /// Only for keys that more than one row has.
    further: HashMap<Key, Vec<i64>>,
}

impl<Key> Default for Hints<Key> {
    fn default() -> Self {
        Self(RefCell::new(Rows { first: HashMap::new(), further: HashMap::new() }))
    }
}

impl<Key: Copy + Eq + Hash> Hints<Key> {
    pub(super) fn add(&self, key: Key, row: i64) {
        let Rows { first, further } = &mut *self.0.borrow_mut();
        if *first.entry(key).or_insert(row) == row {
            return;
        }
        let further = further.entry(key).or_default();
        if !further.contains(&row) {
            further.push(row);
        }
    }

    pub(super) fn of(&self, key: Key) -> Vec<i64> {
        let rows = self.0.borrow();
        let further = rows.further.get(&key).into_iter().flatten();
        rows.first.get(&key).into_iter().chain(further).copied().collect()
    }

    /// Keeps of a key's rows only those that are still wanted.
    pub(super) fn retain(&self, key: Key, mut is_wanted: impl FnMut(i64) -> bool) {
        let mut wanted = self.of(key);
        wanted.retain(|row| is_wanted(*row));
        let Rows { first, further } = &mut *self.0.borrow_mut();
        first.remove(&key);
        further.remove(&key);
        let mut wanted = wanted.into_iter();
        first.extend(wanted.next().map(|row| (key, row)));
        if wanted.len() > 0 {
            further.insert(key, wanted.collect());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_knows_each_of_its_rows_once_until_it_is_not_wanted_any_more() {
        let hints = Hints::default();
        for (key, row) in [('a', 1), ('a', 2), ('a', 1), ('a', 2), ('a', 3), ('b', 4)] {
            hints.add(key, row);
        }
        assert_eq!((hints.of('a'), hints.of('b'), hints.of('c')), (vec![1, 2, 3], vec![4], vec![]));
        hints.retain('a', |row| row != 1);
        assert_eq!((hints.of('a'), hints.of('b')), (vec![2, 3], vec![4]));
        hints.retain('a', |row| row == 3);
        hints.retain('b', |_| false);
        assert_eq!((hints.of('a'), hints.of('b')), (vec![3], vec![]));
        hints.add('b', 5);
        assert_eq!(hints.of('b'), [5]);
    }
}
