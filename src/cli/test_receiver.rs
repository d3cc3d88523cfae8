//! `sidewatch test receiver`: one test notification through a receiver, and what came back.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Args;

use crate::config::Source;
use crate::model::Millis;
use crate::notify::Plan;

use super::{check, complain, runtime, say};

/// Which receiver.
#[derive(Debug, Args)]
pub struct Question {
    /// The receiver's name in the configuration.
    name: String,
    /// The configuration file. Without: ./sidewatch.yml, /etc/sidewatch/sidewatch.yml, else the environment.
    #[arg(long, short, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Send the alert's end, too, so that nothing stays open where incidents are kept.
    #[arg(long)]
    end: bool,
}

/// Prints a line for each channel; 1 when one of them did not take the message, or there is none.
pub fn run(question: &Question) -> ExitCode {
    let config = match Source::choose(question.config.clone()).load() {
        Ok(config) => config,
        Err(problems) => return check::report(&problems),
    };
    let plan = match Plan::build(&config.alerting) {
        Ok(plan) => plan,
        Err(why) => {
            complain(why);
            return ExitCode::FAILURE;
        }
    };
    let trial = plan.try_receiver(&question.name, &config.server.external_url, Millis::now(), question.end);
    let Some(trials) = runtime().block_on(trial) else {
        let known: Vec<_> = config.alerting.receivers.iter().map(|receiver| receiver.name.as_str()).collect();
        complain(format_args!("there is no receiver `{}`; known: {}", question.name, known.join(", ")));
        return ExitCode::FAILURE;
    };
    if trials.is_empty() {
        complain(format_args!("the receiver `{}` has no channel: nobody is told", question.name));
        return ExitCode::FAILURE;
    }
    let mut all_well = true;
    for trial in trials {
        match trial.outcome {
            Ok(Some(receipt)) => say(format_args!("{}: taken, {receipt}", trial.to)),
            Ok(None) => say(format_args!("{}: taken", trial.to)),
            Err(error) => {
                all_well = false;
                say(format_args!("{}: {} ({})", trial.to, error, error.reason.as_str()));
            }
        }
    }
    if all_well { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
