//! `sidewatch test rules`: unit tests of rules, in promtool's format.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use regex::Regex;

use crate::rules::unit_test::{Failure, load};

use super::{complain, say};

/// Runs the tests of each file; 1 when anything is not as expected.
pub fn rules(files: &[PathBuf], only: Option<&Regex>, diff: bool) -> ExitCode {
    let mut failed = false;
    for file in files {
        failed |= !passes(file, only, diff);
    }
    if failed { ExitCode::FAILURE } else { ExitCode::SUCCESS }
}

fn passes(file: &Path, only: Option<&Regex>, diff: bool) -> bool {
    say(format_args!("Unit Testing:  {}", file.display()));
    let suite = match load(file) {
        Ok(suite) => suite,
        Err(problems) => {
            let lines: Vec<_> = problems.iter().map(ToString::to_string).collect();
            complain(format_args!("  FAILED:\n{}\n", lines.join("\n")));
            return false;
        }
    };
    for pattern in &suite.missing {
        say(format_args!("  WARNING: no file match pattern {pattern}"));
    }
    let failures = suite.run(only);
    if failures.is_empty() {
        say("  SUCCESS\n");
        return true;
    }
    complain("  FAILED:");
    for failure in &failures {
        let text = if diff { Failure::diff(failure) } else { failure.to_string() };
        complain(format_args!("{text}\n"));
    }
    false
}
