//! `sidewatch check config` and `sidewatch check rules`.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use crate::config;
use crate::model::{Problem, Problems};
use crate::rules::read_file;

use super::{complain, say};

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

/// Checks rule files.
pub fn rules(files: &[PathBuf]) -> ExitCode {
    let problems = Problems::new();
    for file in files {
        let name = file.display().to_string();
        match std::fs::read_to_string(file) {
            Ok(text) => {
                let rules: usize = read_file(&name, &text, &problems).iter().map(|group| group.rules.len()).sum();
                say(format_args!("Checking {name}\n  {rules} rules found\n"));
            }
            Err(error) => {
                complain(format_args!("{name}: cannot read the file: {error}"));
                return ExitCode::FAILURE;
            }
        }
    }
    if problems.is_empty() { ExitCode::SUCCESS } else { report(&problems.into_sorted()) }
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
