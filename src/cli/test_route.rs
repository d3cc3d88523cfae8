//! `sidewatch test route`: whom an alert reaches, as `amtool config routes` shows it.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Args;

use crate::config::Source;
use crate::model::Labels;
use crate::notify::Route;
use crate::notify::matcher::{Matcher, Operator, all_take, render_list};

use super::{complain, say};

/// An alert's labels, and what to show of its way.
#[derive(Debug, Args)]
pub struct Question {
    /// The alert's labels, as LABEL=VALUE.
    #[arg(value_name = "LABEL=VALUE", required_unless_present = "tree", value_parser = label)]
    labels: Vec<(String, String)>,
    /// The configuration file. Without: ./sidewatch.yml, /etc/sidewatch/sidewatch.yml, else the environment.
    #[arg(long, short, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Show the routes on the way; without labels, all routes.
    #[arg(long)]
    tree: bool,
    /// Exit 1 when the receivers are others than these, given with commas between.
    #[arg(long = "verify.receivers", value_name = "NAMES")]
    verify: Option<String>,
}

/// A label as a matcher with `=` is written, quotes and all.
fn label(text: &str) -> Result<(String, String), String> {
    let matcher = Matcher::parse(text)?;
    if matcher.operator() == Operator::Equal {
        Ok((matcher.name().to_owned(), matcher.value().to_owned()))
    } else {
        Err("write it as LABEL=VALUE".into())
    }
}

/// Prints the receivers, with commas between; 1 when they are not those that were expected.
pub fn run(question: Question) -> ExitCode {
    let config = match Source::choose(question.config).load() {
        Ok(config) => config,
        Err(problems) => {
            problems.iter().for_each(complain);
            return ExitCode::FAILURE;
        }
    };
    let Some(root) = config.alerting.route else {
        complain("the configuration has no `alerting`: nobody is told");
        return ExitCode::FAILURE;
    };
    let whole = question.tree && question.labels.is_empty();
    let labels = Labels::new(question.labels);
    if whole {
        say(format_args!("Routing tree:\n.\n{}", draw(&shown(&root), "", true)));
        return ExitCode::SUCCESS;
    }
    if question.tree {
        say(format_args!("Matching routes:\n.\n{}\n", draw(&matching(&root, &labels), "", true)));
    }
    let receivers: Vec<_> = root.taking(&labels).iter().map(|route| route.receiver.as_str()).collect();
    let receivers = receivers.join(",");
    say(&receivers);
    if question.verify.is_some_and(|expected| expected != receivers) {
        say("WARNING: Expected receivers did not match resolved receivers.");
        return ExitCode::FAILURE;
    }
    ExitCode::SUCCESS
}

/// A line of a tree, and those inside it.
struct Line {
    text: String,
    inside: Vec<Line>,
}

fn name(route: &Route) -> String {
    if route.matchers.is_empty() { "default-route".into() } else { render_list(&route.matchers) }
}

/// A route with all inside it.
fn shown(route: &Route) -> Line {
    let on = if route.goes_on { "  continue: true" } else { "" };
    let text = format!("{}{on}  receiver: {}", name(route), route.receiver);
    Line { text, inside: route.routes.iter().map(shown).collect() }
}

/// A route with what takes an alert inside it; the receiver where its way ends.
fn matching(route: &Route, labels: &Labels) -> Line {
    let mut inside = Vec::new();
    for child in route.routes.iter().filter(|child| all_take(&child.matchers, labels)) {
        inside.push(matching(child, labels));
        if !child.goes_on {
            break;
        }
    }
    let ends = if inside.is_empty() { format!("  receiver: {}", route.receiver) } else { String::new() };
    Line { text: name(route) + &ends, inside }
}

/// A line with all inside it, as trees are drawn.
fn draw(line: &Line, indent: &str, is_last: bool) -> String {
    let (mark, below) = if is_last { ("└── ", "    ") } else { ("├── ", "│   ") };
    let mut out = format!("{indent}{mark}{}\n", line.text);
    let indent = format!("{indent}{below}");
    for (at, inside) in line.inside.iter().enumerate() {
        out += &draw(inside, &indent, at + 1 == line.inside.len());
    }
    out
}
