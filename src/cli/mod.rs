//! The command line: one file per command, each a thin caller of the parts.
//!
//! Exit codes: 0 all is well, 1 the answer is no, 2 wrong usage.

mod check;
mod cost;
mod demo;
mod health;
mod probe;
mod query;
mod run;
mod server;
mod silence;
mod test;
mod test_receiver;
mod test_route;
mod why;

use std::io::Write as _;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Parser, Subcommand, ValueEnum};

/// One sidecar that watches an AI application: its parts, its containers, its tokens and its money.
#[derive(Debug, Parser)]
#[command(name = "sidewatch", version, arg_required_else_help = true)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run the agent. Without --config: ./sidewatch.yml, /etc/sidewatch/sidewatch.yml, else the environment.
    Run {
        /// The configuration file.
        #[arg(long, short, value_name = "FILE")]
        config: Option<PathBuf>,
    },
    /// Run the agent on a simulated AI stack; nothing else is needed. Prints the URL to open.
    Demo {
        /// The port to listen on.
        #[arg(long, default_value_t = crate::serve::settings::DEFAULT_PORT)]
        port: u16,
    },
    /// Check files before they are used.
    #[command(subcommand)]
    Check(Check),
    /// Test what is written before it is used.
    #[command(subcommand)]
    Test(Test),
    /// Look at a target once and print every phase, timing, metric and why it failed.
    Probe {
        /// A target's name in the configuration, or a URL.
        target: String,
        /// The configuration file.
        #[arg(long, short, value_name = "FILE")]
        config: Option<PathBuf>,
        /// How the result is printed.
        #[arg(long, value_enum, default_value_t = Output::Table)]
        format: Output,
    },
    /// Ask a running agent, or any Prometheus, in PromQL; exit 1 with the server's error.
    Query(query::Question),
    /// Tell why an alert fires, does not, or is not heard of: its values, its rule, and what keeps it quiet.
    Why(why::Question),
    /// Set, change, end and list silences of a running agent, or of any Alertmanager, as amtool does.
    #[command(subcommand)]
    Silence(silence::Command),
    /// Price usage: JSON lines on standard input, JSON lines out; exit 1 at the end when one could not be read.
    Cost {
        /// Price files over the built-in ones; later files win.
        #[arg(long, value_name = "FILE")]
        prices: Vec<PathBuf>,
    },
    /// Ask a running agent whether it is alive; exit 0 or 1. The image's HEALTHCHECK.
    Health {
        /// The agent's address; default: the configured port on this machine.
        #[arg(long)]
        url: Option<String>,
    },
}

#[derive(Debug, Subcommand)]
enum Check {
    /// Print every problem of a configuration with its place and a way out; exit 1 on any.
    Config {
        /// The configuration file.
        file: PathBuf,
    },
    /// Check rule files as promtool does; exit 1 on any problem.
    Rules {
        /// Rule files; without any, standard input.
        files: Vec<PathBuf>,
        /// What is looked at beyond what would keep rules from being loaded.
        #[arg(long, value_enum, default_value_t = check::Lint::DuplicateRules)]
        lint: check::Lint,
        /// Exit 3 when such a look finds anything.
        #[arg(long)]
        lint_fatal: bool,
    },
}

#[derive(Debug, Subcommand)]
enum Test {
    /// Run unit tests of rules, in promtool's format; exit 1 when anything is not as expected.
    Rules {
        /// Test files.
        #[arg(required = true)]
        files: Vec<PathBuf>,
        /// Run only tests whose names match.
        #[arg(long, value_name = "REGEX")]
        run: Option<regex::Regex>,
        /// Show what differs line by line.
        #[arg(long)]
        diff: bool,
    },
    /// Print which receivers an alert with these labels reaches.
    Route(test_route::Question),
    /// Send one test alert through a receiver and print what came back; exit 1 when a channel did not take it.
    Receiver(test_receiver::Question),
}

/// How results are printed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Output {
    /// For people.
    Table,
    /// For programs.
    Json,
}

/// Parses the arguments and runs the command. Clap itself exits with 2 on wrong usage.
pub fn main() -> ExitCode {
    match Arguments::parse().command {
        Command::Run { config } => run::run(config),
        Command::Demo { port } => demo::run(port),
        Command::Check(Check::Config { file }) => check::config(&file),
        Command::Check(Check::Rules { files, lint, lint_fatal }) => check::rules(&files, lint, lint_fatal),
        Command::Test(Test::Rules { files, run, diff }) => test::rules(&files, run.as_ref(), diff),
        Command::Test(Test::Route(question)) => test_route::run(question),
        Command::Test(Test::Receiver(question)) => test_receiver::run(&question),
        Command::Probe { target, config, format } => probe::run(&target, config, format),
        Command::Query(question) => query::run(&question),
        Command::Why(question) => why::run(&question),
        Command::Silence(command) => silence::run(command),
        Command::Cost { prices } => cost::run(&prices),
        Command::Health { url } => health::run(url),
    }
}

/// The runtime of every command that waits for something: two workers, since the machine is shared with the app.
fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .max_blocking_threads(32)
        .enable_all()
        .build()
        .expect("the operating system gives us threads")
}

/// Prints one line on standard error.
#[expect(clippy::print_stderr, reason = "a command speaks to the terminal")]
fn complain(line: impl std::fmt::Display) {
    eprintln!("{line}");
}

/// Prints one line on standard output. A reader that has gone (`| head`) has seen what it wanted.
fn say(line: impl std::fmt::Display) {
    let _ = writeln!(std::io::stdout(), "{line}");
}

/// An address as it may be printed: who asks, and with which password, is nobody's business.
fn shown(address: &str) -> String {
    let (scheme, rest) = address.split_once("://").map_or(("", address), |(scheme, rest)| (scheme, rest));
    // The last one, wherever it stands: an address that cannot be read may have a password anywhere before it.
    let Some((_, host)) = rest.rsplit_once('@') else { return address.to_owned() };
    let between = if scheme.is_empty() { "" } else { "://" };
    format!("{scheme}{between}***@{host}")
}

#[cfg(test)]
mod tests {
    use super::shown;

    #[test]
    fn credentials_are_not_printed() {
        for (address, wanted) in [
            ("http://user:s3cret@host:9640/x", "http://***@host:9640/x"),
            ("user:s3cret@host", "***@host"),
            ("http://user:s3/cr@t@host", "http://***@host"),
            ("http://host:9640", "http://host:9640"),
            ("host", "host"),
        ] {
            assert_eq!(shown(address), wanted);
        }
    }
}
