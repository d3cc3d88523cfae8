//! The file as users write it: read, substitute, check; every problem at once, each with its place and a way out.
//!
//! In: a file, or the environment alone. Out: a [`Config`] that can be built, or all its [`Problem`]s.
//!
//! Each part owns the reading of its own section; this module only composes them.

mod canary;
pub mod discovered;
mod environment;
pub mod shipped;
mod storage;
mod targets;

pub use storage::Storage;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use tracing::level_filters::LevelFilter;

use crate::collect::Target;
use crate::model::{Labels, Place, Problem, Problems, is_valid_label_name, render_duration};
use crate::notify;
use crate::rules::{GroupSpec, RuleKind};
use crate::runtime::telemetry::{LogSettings, OtlpSettings, parse_level};
use crate::serve;
use crate::usage;
use crate::yaml::{Environment, Fields, Node, parse, substitute};

pub use environment::lookup;

/// Where a configuration is looked for when none is named.
pub const DEFAULT_PATHS: [&str; 2] = ["./sidewatch.yml", "/etc/sidewatch/sidewatch.yml"];

/// A checked configuration.
#[derive(Debug, Clone)]
pub struct Config {
    /// Intervals and labels for everything.
    pub global: Global,
    /// Where the agent listens and what it is called.
    pub server: serve::Settings,
    /// How it logs.
    pub log: LogSettings,
    /// What it keeps, and where.
    pub storage: Storage,
    /// What it looks at.
    pub targets: Vec<Target>,
    /// What it alerts on.
    pub rules: Vec<GroupSpec>,
    /// Whom it tells.
    pub alerting: notify::Settings,
    /// How it prices and budgets.
    pub llm: usage::Settings,
    /// Where it sends its own traces and metrics.
    pub otlp_export: Option<OtlpSettings>,
}

/// The section `global:`.
#[derive(Debug, Clone, PartialEq)]
pub struct Global {
    /// From one look at a target to the next.
    pub scrape_interval: Duration,
    /// The longest one look may take.
    pub scrape_timeout: Duration,
    /// From one evaluation of the rules to the next.
    pub evaluation_interval: Duration,
    /// Put on alerts and exports, not on stored series.
    pub external_labels: Labels,
}

impl Default for Global {
    fn default() -> Self {
        Self {
            scrape_interval: Duration::from_secs(10),
            scrape_timeout: Duration::from_secs(5),
            evaluation_interval: Duration::from_secs(5),
            external_labels: Labels::empty(),
        }
    }
}

/// Where a configuration comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Source {
    /// A file.
    File(PathBuf),
    /// The environment alone.
    Environment,
}

impl Source {
    /// The file that is named, else the first default that exists, else the environment.
    pub fn choose(named: Option<PathBuf>) -> Self {
        let existing = || DEFAULT_PATHS.iter().map(PathBuf::from).find(|path| path.exists());
        named.or_else(existing).map_or(Self::Environment, Self::File)
    }

    /// Reads and checks it.
    ///
    /// # Errors
    /// Every problem, in order of their places.
    pub fn load(&self) -> Result<Config, Vec<Problem>> {
        match self {
            Self::File(path) => load_file(path, &lookup),
            Self::Environment => environment::load(&lookup),
        }
    }
}

/// Reads and checks a file.
///
/// # Errors
/// Every problem, in order of their places; an unreadable file is one.
pub fn load_file(path: &Path, environment: &Environment<'_>) -> Result<Config, Vec<Problem>> {
    let name = path.display().to_string();
    let text = std::fs::read_to_string(path).map_err(|error| {
        let at = Place { file: name.as_str().into(), line: 1, column: 1 };
        vec![Problem {
            at,
            what: format!("cannot read the file: {error}"),
            way_out: "check the path and its rights".into(),
        }]
    })?;
    load_text(&text, &name, path.parent().unwrap_or(Path::new(".")), environment)
}

/// Checks a configuration's text. Relative paths in it start at `folder`.
///
/// # Errors
/// Every problem, in order of their places.
pub fn load_text(text: &str, name: &str, folder: &Path, environment: &Environment<'_>) -> Result<Config, Vec<Problem>> {
    let problems = Problems::new();
    let mut root = parse(text, name).map_err(|problem| vec![problem])?;
    substitute(&mut root, environment, &problems);
    let config = read(&root, folder, environment, &problems);
    match config {
        Some(config) if problems.is_empty() => Ok(config),
        _ => Err(problems.into_sorted()),
    }
}

fn read(root: &Node, folder: &Path, environment: &Environment<'_>, problems: &Problems) -> Option<Config> {
    let mut fields = Fields::of(root, "the configuration", problems)?;
    let global = fields.section("global").map(read_global).unwrap_or_default();
    let server = fields.section("server").map(serve::Settings::read).unwrap_or_default();
    let level = read_log_level(environment, problems);
    let log = match fields.section("log") {
        Some(section) => LogSettings::read(section, level),
        None => level.map_or_else(LogSettings::default, |level| LogSettings { level, ..LogSettings::default() }),
    };
    let storage = fields.section("storage").map(Storage::read).unwrap_or_default();
    let targets = targets::read(fields.list("targets"), &global, problems);
    let mut rules = read_rules(&mut fields, folder, problems);
    let mut alerting = match fields.take("alerting") {
        Some(node) => {
            let section = Fields::of(node, "`alerting`", problems);
            let settings = section.map(|section| notify::Settings::read_in(section, folder))?;
            // With `config_file`, it is that file's.
            let original = Some(settings.original.clone()).filter(|text| !text.is_empty());
            notify::Settings { original: original.unwrap_or_else(|| notify::original(Some(node))), ..settings }
        }
        None => notify::Settings::default(),
    };
    rules.extend(alerting.canary.iter().flat_map(|canary| canary::rules(canary.interval)));
    alerting.first_words = first_words(&rules, global.evaluation_interval);
    let llm = match fields.take("llm") {
        Some(node) => {
            let mut section = Fields::of(node, "`llm`", problems)?;
            let settings = usage::Settings::read(&mut section, folder);
            section.finish();
            settings
        }
        None => usage::Settings::default(),
    };
    let otlp_export = fields.section("otlp_export").and_then(OtlpSettings::read);
    fields.not_built("remote_write");
    fields.skip_extensions();
    fields.finish();
    Some(Config { global, server, log, storage, targets, rules, alerting, llm, otlp_export })
}

/// A rule's alert ends when four evaluations have not spoken of it, as `endsAt` is in Prometheus.
fn first_words(groups: &[GroupSpec], default_interval: Duration) -> BTreeMap<String, Duration> {
    let mut words: BTreeMap<String, Duration> = BTreeMap::new();
    for group in groups {
        let within = group.interval.unwrap_or(default_interval) * 4;
        for rule in &group.rules {
            if let RuleKind::Alert { name, .. } = &rule.kind {
                let known = words.entry(name.clone()).or_default();
                *known = within.max(*known);
            }
        }
    }
    words
}

/// `LOG_LEVEL`, which holds where the file names no level.
fn read_log_level(environment: &Environment<'_>, problems: &Problems) -> Option<LevelFilter> {
    let read = environment("LOG_LEVEL").and_then(|level| level.as_deref().map(parse_level).transpose());
    read.unwrap_or_else(|complaint| {
        let at = Place { file: "the environment variable LOG_LEVEL".into(), line: 0, column: 0 };
        problems.add(&at, complaint, "");
        None
    })
}

/// Without `rule_files`, or with nothing written there, the shipped rules hold: an agent without rules would watch and say nothing.
fn read_rules(fields: &mut Fields<'_>, folder: &Path, problems: &Problems) -> Vec<GroupSpec> {
    match fields.take("rule_files") {
        None => shipped::rules(),
        Some(_) => crate::rules::load(fields.list("rule_files"), folder, problems),
    }
}

fn read_global(mut fields: Fields<'_>) -> Global {
    let default = Global::default();
    let scrape_interval = fields.duration("scrape_interval").unwrap_or(default.scrape_interval);
    let timeout = fields.duration("scrape_timeout");
    let scrape_timeout = timeout.unwrap_or_else(|| default.scrape_timeout.min(scrape_interval));
    check_times(&fields, ("scrape_interval", scrape_interval), ("scrape_timeout", scrape_timeout));
    let evaluation_interval = fields.duration("evaluation_interval").unwrap_or(default.evaluation_interval);
    if evaluation_interval < SHORTEST {
        fields.wrong(
            "evaluation_interval",
            format!("{} is too short", render_duration(evaluation_interval)),
            "write at least 100ms",
        );
    }
    let pairs = fields.text_map("external_labels");
    for (name, _, at) in &pairs {
        if !is_valid_label_name(name) || name.starts_with("__") {
            fields.problems().add(at, format!("`{name}` is no label name"), "use letters, digits and underscores");
        }
    }
    fields.finish();
    let external_labels = Labels::new(pairs.into_iter().map(|(name, value, _)| (name, value)));
    Global { scrape_interval, scrape_timeout, evaluation_interval, external_labels }
}

/// Nothing repeats faster than this.
const SHORTEST: Duration = Duration::from_millis(100);

/// An interval must be long enough to mean something, and a time-out must fit into it.
fn check_times(
    fields: &Fields<'_>,
    (interval_key, interval): (&str, Duration),
    (timeout_key, timeout): (&str, Duration),
) {
    if interval < SHORTEST {
        fields.wrong(
            interval_key,
            format!("{} is too short for `{interval_key}`", render_duration(interval)),
            "write at least 100ms",
        );
    } else if timeout.is_zero() {
        fields.wrong(timeout_key, format!("`{timeout_key}` is zero: no look could end in time"), "write 1s or more");
    } else if timeout > interval {
        let what = format!(
            "`{timeout_key}` ({}) is longer than `{interval_key}` ({}): looks would overlap",
            render_duration(timeout),
            render_duration(interval)
        );
        fields.wrong(timeout_key, what, format!("write at most {}", render_duration(interval)));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Each file under `tests/bad_config` stands beside the snapshot of what is said about it.
    #[test]
    fn bad_configurations_get_all_their_problems_with_a_place_and_a_way_out() {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/bad_config");
        let mut files: Vec<_> = std::fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().path()).collect();
        files.retain(|path| path.extension().is_some_and(|extension| extension == "yml"));
        files.sort();
        assert!(files.len() >= 50);
        let mut settings = insta::Settings::clone_current();
        settings.set_snapshot_path(&folder);
        settings.set_prepend_module_to_snapshot(false);
        settings.set_omit_expression(true);
        settings.bind(|| {
            for path in files {
                let text = std::fs::read_to_string(&path).unwrap();
                let problems = load_text(&text, "sidewatch.yml", &folder, &|_| Ok(None)).expect_err(&text);
                let said = problems.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n");
                let said = said.replace(&folder.display().to_string(), ".");
                insta::assert_snapshot!(path.file_stem().unwrap().to_str().unwrap(), said);
            }
        });
    }

    #[test]
    fn the_contracts_own_example_reads_up_to_what_is_not_built_yet() {
        let text = "
global: {scrape_interval: 10s, scrape_timeout: 5s, evaluation_interval: 5s, external_labels: {environment: production}}
server: {listen: \"0.0.0.0:9640\", external_url: \"http://sidewatch:9640\", instance: shop-1}
log: {level: info, format: json}
storage: {path: none, retention: 24h, max_series: 200000}
targets:
  - {name: app, url: \"http://app:3000/health\", expect: {status: [200], json: {\"$.checks.database\": ok}, max_duration: 2s}}
  - {name: app-metrics, kind: prometheus, url: \"http://app:9090/metrics\"}
  - {name: orders, url: \"${DATABASE_URL}\", databases: [orders, vectors]}
  - {name: cache, url: \"${REDIS_URL:-redis://cache:6379}\"}
  - {name: docker, kind: docker, url: \"unix:///var/run/docker.sock\"}
  - {name: host, kind: host, procfs: /host/proc, sysfs: /host/sys, rootfs: /host}
  - {name: openai, kind: llm, provider: openai, url: \"https://api.openai.com/v1\", api_key: \"${OPENAI_API_KEY}\"}
";
        let environment = |name: &str| match name {
            "DATABASE_URL" => Ok(Some("postgres://watch:secret@db:5432/orders".to_owned())),
            "OPENAI_API_KEY" => Ok(Some("sk-1".to_owned())),
            _ => Ok(None),
        };
        let config = load_text(text, "sidewatch.yml", Path::new("."), &environment).unwrap();
        let identity = |name: &str| {
            let target = config.targets.iter().find(|target| &*target.name == name).unwrap();
            (target.labels.get("job").unwrap().to_owned(), target.labels.get("instance").unwrap().to_owned())
        };
        assert_eq!(identity("app"), ("blackbox".into(), "http://app:3000/health".into()));
        assert_eq!(identity("app-metrics").0, "app-metrics");
        assert_eq!(identity("orders"), ("postgres".into(), "db:5432".into()));
        assert_eq!(identity("cache"), ("redis".into(), "cache:6379".into()));
        assert_eq!(identity("docker").0, "cadvisor");
        assert_eq!(identity("host").0, "node");
        assert_eq!(identity("openai").0, "llm");
        assert!(!format!("{config:?}").contains("secret"), "a password was printed");
        assert!(!format!("{config:?}").contains("sk-1"), "a key was printed");
    }
}
