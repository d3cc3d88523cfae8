//! Unit tests of rules, in promtool's format.
//!
//! In: a test file and the rules it names. Out: [`Failure`]s, each with what was expected and what was got.
//!
//! Each test has its own empty store and its own time, so nothing here waits and no test sees another's series.
//! `spec` reads a file, `runner` plays a test, `report` says how it went; only [`load`] reads files.

mod report;
mod runner;
mod spec;

use std::path::Path;

use regex::Regex;

use crate::yaml::glob;

use super::file::{GroupSpec, read_file};
use crate::model::{Place, Problem, Problems};

pub use report::{Failure, Sample};
pub use spec::TestFile;

/// A test file with the rules that it names.
#[derive(Debug)]
pub struct Suite {
    file: TestFile,
    groups: Vec<GroupSpec>,
    /// Patterns that name no file: said, and no failure, as with promtool.
    pub missing: Vec<String>,
}

impl Suite {
    /// How many tests there are.
    pub fn len(&self) -> usize {
        self.file.tests.len()
    }

    /// Whether there is no test.
    pub fn is_empty(&self) -> bool {
        self.file.tests.is_empty()
    }

    /// Runs the tests whose names match, all without a pattern.
    pub fn run(&self, only: Option<&Regex>) -> Vec<Failure> {
        let chosen = self.file.tests.iter().filter(|test| only.is_none_or(|only| only.is_match(&test.name)));
        chosen.flat_map(|test| runner::run(&self.file, test, &self.groups)).collect()
    }
}

/// Reads a test file and the rule files it names.
///
/// # Errors
/// Every problem of any of the files.
pub fn load(path: &Path) -> Result<Suite, Vec<Problem>> {
    let problems = Problems::new();
    let name = path.display().to_string();
    let unreadable = |name: &str, error: &std::io::Error| {
        let at = Place { file: name.into(), line: 0, column: 0 };
        problems.add(&at, format!("cannot read the file: {error}"), "check the path and its rights");
    };
    let text = std::fs::read_to_string(path).unwrap_or_else(|error| {
        unreadable(&name, &error);
        String::new()
    });
    let file = spec::read(&name, &text, &problems);
    let (mut groups, mut missing) = (Vec::new(), Vec::new());
    let folder = path.parent().unwrap_or(Path::new(""));
    for pattern in &file.rule_files {
        let found: Vec<_> = glob::files(pattern, folder).unwrap_or_default();
        let found: Vec<_> = found.into_iter().filter(|path| path.exists()).collect();
        if found.is_empty() {
            missing.push(pattern.clone());
        }
        for path in found {
            let name = path.display().to_string();
            match std::fs::read_to_string(&path) {
                Ok(text) => groups.extend(read_file(&name, &text, &problems)),
                Err(error) => unreadable(&name, &error),
            }
        }
    }
    // Those that are not named in the order come first, as with promtool.
    groups.sort_by_key(|group| file.group_eval_order.iter().position(|name| **name == *group.name));
    if problems.is_empty() { Ok(Suite { file, groups, missing }) } else { Err(problems.into_sorted()) }
}

#[cfg(test)]
mod tests;
