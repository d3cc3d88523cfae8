//! Where in a user's file something is wrong, and how all that is wrong is gathered.

use std::cell::RefCell;
use std::fmt;
use std::sync::Arc;

/// A place in a text: file, line and column, both counted from 1. Line 0 means the whole of it,
/// such as an environment variable.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Place {
    /// As the user named the file; `environment` for what came from there.
    pub file: Arc<str>,
    /// From 1.
    pub line: usize,
    /// From 1, in characters.
    pub column: usize,
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.line {
            0 => f.write_str(&self.file),
            line => write!(f, "{}:{line}:{}", self.file, self.column),
        }
    }
}

/// Something in a user's file that cannot be taken, and what would be right.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Problem {
    /// Where.
    pub at: Place,
    /// What is wrong. Never holds a secret.
    pub what: String,
    /// What would be right.
    pub way_out: String,
}

impl fmt::Display for Problem {
    /// `file:line:column: what; way out`
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.at, self.what)?;
        if self.way_out.is_empty() { Ok(()) } else { write!(f, "; {}", self.way_out) }
    }
}

/// Gathers every problem of a file, so that the user sees all of them at once.
#[derive(Debug, Default)]
pub struct Problems(RefCell<Vec<Problem>>);

impl Problems {
    /// Nothing wrong so far.
    pub fn new() -> Self {
        Self::default()
    }

    /// Notes one problem.
    pub fn add(&self, at: &Place, what: impl Into<String>, way_out: impl Into<String>) {
        self.0.borrow_mut().push(Problem { at: at.clone(), what: what.into(), way_out: way_out.into() });
    }

    /// Whether nothing is wrong.
    pub fn is_empty(&self) -> bool {
        self.0.borrow().is_empty()
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.0.borrow().len()
    }

    /// All of them in the order of their places.
    pub fn into_sorted(self) -> Vec<Problem> {
        let mut all = self.0.into_inner();
        all.sort();
        all.dedup();
        all
    }
}
