//! `sidewatch cost`: prices usage, JSON lines in, JSON lines out.

use std::io::{BufRead as _, Write as _};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use crate::model::{Place, Problems};
use crate::usage::cost_line::is_error;
use crate::usage::{PriceTable, cost_line, price};

use super::{check, complain};

/// Prices each line of standard input, in order; exit 1 at the end when one could not be read.
pub fn run(prices: &[PathBuf]) -> ExitCode {
    let table = match load(prices) {
        Ok(table) => table,
        Err(code) => return code,
    };
    let mut out = std::io::stdout().lock();
    let mut unreadable = false;
    for line in std::io::stdin().lock().lines() {
        let line = match line {
            Ok(line) if line.trim().is_empty() => continue,
            Ok(line) => line,
            Err(error) => {
                complain(format_args!("standard input: {error}"));
                return ExitCode::FAILURE;
            }
        };
        let answer = cost_line(&line, &table);
        unreadable |= is_error(&answer);
        // Whoever read our output may have gone: that is the end, not an error of ours.
        if writeln!(out, "{answer}").is_err() {
            break;
        }
    }
    if unreadable { ExitCode::FAILURE } else { ExitCode::SUCCESS }
}

/// The built-in prices with the files over them, later ones last.
fn load(files: &[PathBuf]) -> Result<PriceTable, ExitCode> {
    let problems = Problems::new();
    let places: Vec<Place> =
        files.iter().map(|file| Place { file: file.display().to_string().into(), line: 0, column: 0 }).collect();
    let table = price::load(files.iter().map(|file| file.as_path() as &Path).zip(&places), &problems);
    if problems.is_empty() { Ok(table) } else { Err(check::report(&problems.into_sorted())) }
}
