//! `sidewatch probe`: looks at a target once and prints all of it.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use crate::collect::{Look, Target, runner};
use crate::config::{self, Source};
use crate::runtime::supervise::Supervisor;

use super::{Output, check, complain, runtime, say};

/// Looks once; exit 1 when the target is not healthy.
pub fn run(target: &str, config: Option<PathBuf>, format: Output) -> ExitCode {
    let loaded = if target.contains("://") { adhoc(target) } else { configured(target, config) };
    let target = match loaded {
        Ok(target) => target,
        Err(code) => return code,
    };
    let runtime = runtime();
    let outcome = runtime.block_on(async {
        let supervisor = Supervisor::new();
        let collector = target.kind.build(&supervisor)?;
        let seen = runner::look_now(&*collector, target.timeout).await;
        drop(collector);
        supervisor.stop(Duration::from_secs(1)).await;
        Ok::<_, String>(seen)
    });
    match outcome {
        Ok((look, took)) => {
            say(if format == Output::Json { json(&target, &look, took) } else { table(&target, &look, took) });
            if look.healthy { ExitCode::SUCCESS } else { ExitCode::FAILURE }
        }
        Err(why) => {
            complain(why);
            ExitCode::FAILURE
        }
    }
}

/// A URL alone is a configuration with one target.
fn adhoc(url: &str) -> Result<Target, ExitCode> {
    let text = format!("targets: [{{name: probe, url: {}}}]", serde_json::Value::from(url.replace('$', "$$")));
    let config = config::load_text(&text, "the URL", Path::new("."), &config::lookup)
        .map_err(|problems| check::report(&problems))?;
    config.targets.into_iter().next().ok_or(ExitCode::FAILURE)
}

fn configured(name: &str, config: Option<PathBuf>) -> Result<Target, ExitCode> {
    let config = Source::choose(config).load().map_err(|problems| check::report(&problems))?;
    let names: Vec<_> = config.targets.iter().map(|target| target.name.to_string()).collect();
    config.targets.into_iter().find(|target| &*target.name == name).ok_or_else(|| {
        complain(format_args!("no target is called `{name}`; targets: {}", names.join(", ")));
        ExitCode::from(2)
    })
}

fn table(target: &Target, look: &Look, took: Duration) -> String {
    let verdict = if look.healthy { "healthy" } else { "UNHEALTHY" };
    let mut out =
        format!("{} {} is {verdict}; looked for {:.1} ms\n", target.name, target.labels, took.as_secs_f64() * 1e3);
    for failure in &look.failures {
        let _ = writeln!(out, "  missed  {failure}");
    }
    for block in look.blocks() {
        for point in &block.points {
            let labels = if point.labels.is_empty() { String::new() } else { point.labels.to_string() };
            let _ = writeln!(out, "  {}{}{labels} {}", block.family.name, point.suffix.as_str(), point.value);
        }
    }
    out.truncate(out.trim_end().len());
    out
}

fn json(target: &Target, look: &Look, took: Duration) -> String {
    let samples = look.blocks().iter().flat_map(|block| {
        block.points.iter().map(|point| {
            let labels: serde_json::Map<_, _> = point.labels.iter().map(|(name, value)| (name.to_owned(), value.into())).collect();
            serde_json::json!({
                "name": format!("{}{}", block.family.name, point.suffix.as_str()), "labels": labels, "value": point.value.to_string(),
            })
        })
    });
    let failures = look
        .failures
        .iter()
        .map(|failure| serde_json::json!({"reason": failure.label(), "message": failure.to_string()}));
    serde_json::json!({
        "target": &*target.name, "healthy": look.healthy, "up": look.up, "duration_seconds": took.as_secs_f64(),
        "failures": failures.collect::<Vec<_>>(), "samples": samples.collect::<Vec<_>>(),
    })
    .to_string()
}
