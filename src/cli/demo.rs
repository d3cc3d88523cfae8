//! `sidewatch demo`: the agent on a simulated AI stack, in one process, with nothing else needed.

use std::net::{Ipv4Addr, SocketAddr};
use std::process::ExitCode;
use std::time::Duration;

use crate::collect::simulated::{Part, Settings as Simulated};
use crate::collect::{Kind, Target};
use crate::config::{Config, Global, Source, Storage, shipped};
use crate::model::{Labels, Millis};
use crate::runtime::telemetry::LogSettings;
use crate::serve::Settings as Server;
use crate::store::Limits;
use crate::{notify, usage};

use super::run::serve;
use super::say;

/// The demo lives faster than production, so that its story is seen.
const INTERVAL: Duration = Duration::from_secs(2);

/// Runs the demo until it is interrupted.
pub fn run(port: u16) -> ExitCode {
    serve(Source::Environment, config(port), |agent| {
        let url = format!("http://127.0.0.1:{}", agent.address().port());
        say(format_args!("Sidewatch watches a simulated stack. Everything it shows is marked simulated=\"true\"."));
        say(format_args!("  open     {url}/"));
        say(format_args!("  metrics  {url}/metrics"));
        say(format_args!("  health   {url}/health"));
        say(
            "The story repeats: all is well, the cache dies, the database runs out of connections, the app fails. Ctrl-C ends it.",
        );
        agent.simulate_usage();
    })
}

fn config(port: u16) -> Config {
    let global = Global {
        scrape_interval: INTERVAL,
        scrape_timeout: INTERVAL,
        evaluation_interval: INTERVAL,
        ..Global::default()
    };
    let listen = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
    let here = format!("127.0.0.1:{port}");
    let server = Server { listen, external_url: format!("http://{here}"), external_url_is_given: true, instance: here };
    let kept = Duration::from_hours(2);
    let storage = Storage { path: None, limits: Limits { retention: kept, max_series: 20_000 }, asked: kept };
    let start = Millis::now();
    let parts = [
        ("app", Part::App),
        ("postgres", Part::Postgres),
        ("redis", Part::Redis),
        ("openai", Part::Llm),
        ("containers", Part::Containers),
    ];
    Config {
        global,
        server,
        log: LogSettings::default(),
        storage,
        targets: parts.into_iter().map(|(name, part)| target(name, part, start)).collect(),
        rules: shipped::rules(),
        alerting: notify::Settings::default(),
        llm: usage::Settings::default(),
        otlp_export: None,
    }
}

fn target(name: &str, part: Part, start: Millis) -> Target {
    let kind = Kind::Simulated(Simulated { part, start });
    let labels = Labels::new([("job", kind.job(name)), ("instance", &kind.instance()), ("simulated", "true")]);
    Target { name: name.into(), interval: INTERVAL, timeout: INTERVAL, labels, kind }
}
