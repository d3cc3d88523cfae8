//! `sidewatch run`: the agent, until it is told to stop.

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use tokio::signal::unix::{SignalKind, signal};
use tracing::{info, warn};

use crate::app::Agent;
use crate::config::{Config, Source};
use crate::runtime::{heap, telemetry};

use super::{check, complain, runtime};

/// Runs until SIGTERM or SIGINT; SIGHUP reloads. Exit 1 when it cannot start.
pub fn run(config: Option<PathBuf>) -> ExitCode {
    heap::share_one();
    let source = Source::choose(config);
    let config = match source.load() {
        Ok(config) => config,
        Err(problems) => return check::report(&problems),
    };
    serve(source, config, |_| ())
}

/// Starts an agent and stays with it until a signal ends it.
pub fn serve(source: Source, config: Config, started: impl FnOnce(&Agent)) -> ExitCode {
    telemetry::start_logs(config.log);
    let runtime = runtime();
    let outcome = runtime.block_on(async {
        let agent = Agent::start(source, config).await?;
        started(&agent);
        wait(&agent).await.map_err(|error| error.to_string())?;
        Ok::<_, String>(agent.stop().await)
    });
    // Whatever still blocks a thread (a resolver, a dead mount) is not waited for.
    runtime.shutdown_timeout(Duration::from_millis(200));
    match outcome {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => {
            warn!("some tasks did not end in time");
            ExitCode::SUCCESS
        }
        Err(why) => {
            complain(format_args!("sidewatch: {why}"));
            ExitCode::FAILURE
        }
    }
}

async fn wait(agent: &Agent) -> std::io::Result<()> {
    let mut hangup = signal(SignalKind::hangup())?;
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    loop {
        tokio::select! {
            _ = hangup.recv() => {
                // What is wrong is logged where it is found.
                let _ = agent.reload().await;
            }
            _ = terminate.recv() => break,
            _ = interrupt.recv() => break,
        }
    }
    info!("stopping");
    Ok(())
}
