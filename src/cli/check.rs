//! `sidewatch check config` and `sidewatch check rules`.

use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::ValueEnum;

use crate::config;
use crate::model::{Problem, Problems};
use crate::rules::{GroupSpec, duplicates, read_file};

use super::{complain, say};

/// As promtool's, for `--lint-fatal`.
const LINT_FOUND: u8 = 3;

/// What is looked at beyond what would keep rules from being loaded.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Lint {
    /// Every check.
    All,
    /// Rules that write the same series.
    DuplicateRules,
    /// No check.
    None,
}

/// Checks a configuration.
pub fn config(file: &Path) -> ExitCode {
    match config::load_file(file, &config::lookup) {
        Ok(config) => {
            let rules: usize = config.rules.iter().map(|group| group.rules.len()).sum();
            say(format_args!("{}: {} targets, {rules} rules, no problem", file.display(), config.targets.len()));
            ExitCode::SUCCESS
        }
        Err(problems) => report(&problems),
    }
}

/// Checks rule files, or standard input without any: 1 on any problem, 3 with `lint_fatal` when there are only duplicates.
pub fn rules(files: &[PathBuf], lint: Lint, lint_fatal: bool) -> ExitCode {
    let mut texts = Vec::new();
    if files.is_empty() {
        let mut text = String::new();
        let read = std::io::stdin().read_to_string(&mut text).map(|_| text);
        texts.push(("standard input".to_owned(), read));
    }
    texts.extend(files.iter().map(|file| (file.display().to_string(), std::fs::read_to_string(file))));
    let (mut broken, mut doubled) = (false, false);
    for (name, text) in texts {
        say(format_args!("Checking {name}"));
        let problems = Problems::new();
        let groups = match text {
            Ok(text) => read_file(&name, &text, &problems),
            Err(error) => {
                complain(format_args!("  FAILED:\n{name}: cannot read the file: {error}\n"));
                broken = true;
                continue;
            }
        };
        if !problems.is_empty() {
            complain("  FAILED:");
            report(&problems.into_sorted());
            broken = true;
        } else if lint != Lint::None && tell_duplicates(&groups) {
            doubled = true;
        } else {
            let rules: usize = groups.iter().map(|group| group.rules.len()).sum();
            say(format_args!("  SUCCESS: {rules} rules found"));
        }
        say("");
    }
    match (broken, doubled && lint_fatal) {
        (true, _) => ExitCode::FAILURE,
        (false, true) => ExitCode::from(LINT_FOUND),
        (false, false) => ExitCode::SUCCESS,
    }
}

/// Whether there are any.
fn tell_duplicates(groups: &[GroupSpec]) -> bool {
    let found = duplicates(groups);
    if found.is_empty() {
        return false;
    }
    complain(format_args!("  FAILED:\nlint error {} duplicate rule(s) found.", found.len()));
    for (name, labels) in &found {
        complain(format_args!("Metric: {name}\nLabel(s):"));
        for (label, value) in labels {
            complain(format_args!("\t{label}: {value}"));
        }
    }
    complain("Might cause inconsistency while recording expressions");
    true
}

/// Prints all problems, a line each.
pub fn report(problems: &[Problem]) -> ExitCode {
    for problem in problems {
        complain(problem);
    }
    let plural = if problems.len() == 1 { "problem" } else { "problems" };
    complain(format_args!("{} {plural}", problems.len()));
    ExitCode::FAILURE
}
