//! Advice on how containers are set up, read off what an inspect tells. Pure: no I/O, no clock.
//!
//! In: inspects. Out: one series of `container_setting_advice_info` for each setting that will hurt one day, with the way out in words.
//!
//! Invariant: a secret is named, never shown; what cannot be known (a limit in a mounted file) brings no advice.

mod container;
mod environment;
mod pools;

use crate::model::{Family, Labels, Suffix};

use super::Look;
use super::events::Subject;
use super::sight::Sight;
use super::wire::Inspect;
use environment::Environment;
use pools::Pooling;

static ADVICE: Family = Family::gauge(
    "container_setting_advice_info",
    "1 for each setting of a running container that does not suit its work, with the advice in words (Sidewatch).",
);

/// Texts from inside the container are cut here, in bytes.
const MAX_TEXT: usize = 128;

/// What one inspect shows.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Findings {
    /// Whose settings they are.
    pub(super) subject: Subject,
    /// Labels of what can be said of it alone.
    alone: Vec<Labels>,
    /// What must be compared with others of its project.
    pooling: Pooling,
}

/// One piece of advice.
#[derive(Debug, PartialEq)]
struct Advice {
    /// The setting, as the user wrote it or would.
    setting: String,
    /// What it is now; empty where it is absent or a secret.
    value: String,
    /// What is wrong with that and what would be right.
    words: String,
}

impl Advice {
    fn new(setting: &str, value: &str, words: impl Into<String>) -> Self {
        Self { setting: printable(setting), value: printable(value), words: words.into() }
    }

    fn labels(self, subject: &Labels) -> Labels {
        subject.overlaid(&Labels::new([("setting", self.setting), ("value", self.value), ("advice", self.words)]))
    }
}

/// Bounded, and without control characters.
fn printable(text: &str) -> String {
    text[..text.floor_char_boundary(MAX_TEXT)].replace(char::is_control, " ")
}

impl Findings {
    /// Looks through an inspect.
    pub(super) fn of(inspect: &Inspect) -> Self {
        let name = inspect.name.as_deref().unwrap_or_default().trim_start_matches('/');
        let config = inspect.config.as_ref();
        let image = config.and_then(|config| config.image.as_deref()).unwrap_or_default();
        let none = std::collections::HashMap::new();
        let labels = config.and_then(|config| config.labels.as_ref()).unwrap_or(&none);
        let subject = Subject::of(name, image, labels);
        let shown = subject.labels();
        let environment = Environment::of(config.and_then(|config| config.env.as_deref()).unwrap_or_default());
        let mut advice = container::advise(inspect, labels);
        advice.extend(container::advise_on_redis(inspect, &environment));
        advice.extend(environment.advise());
        let pooling = Pooling::of(inspect, &subject.project, &environment);
        Self { alone: advice.into_iter().map(|advice| advice.labels(&shown)).collect(), subject, pooling }
    }
}

/// Adds the advice on all containers that run.
pub(super) fn fill(seen: &[Sight], look: &mut Look) {
    let running = seen.iter().filter(|sight| sight.has_figures()).filter_map(|sight| sight.facts.as_deref());
    let findings: Vec<&Findings> = running.map(|facts| &facts.findings).collect();
    for labels in findings.iter().flat_map(|findings| &findings.alone) {
        look.point(&ADVICE, Suffix::None, labels.clone(), 1.0);
    }
    let pooling: Vec<_> = findings.iter().map(|findings| &findings.pooling).collect();
    for (at, advice) in pools::compare(&pooling) {
        look.point(&ADVICE, Suffix::None, advice.labels(&findings[at].subject.labels()), 1.0);
    }
}

/// The program's name at the end of a path.
fn base(path: &str) -> &str {
    path.rsplit('/').next().unwrap_or_default()
}

/// An image's name without registry, tag and digest: `redis` of `registry:5000/library/redis:7@sha256:…`.
fn image_base(image: &str) -> &str {
    base(image.split('@').next().unwrap_or_default()).split(':').next().unwrap_or_default()
}

/// The command line that runs, entry point included, in words.
fn words(inspect: &Inspect) -> impl Iterator<Item = &str> {
    let arguments = inspect.args.iter().flatten().map(String::as_str);
    inspect.path.as_deref().into_iter().chain(arguments).flat_map(str::split_whitespace)
}

/// A server, by what it is started as and what its images are called; these hold its clients, too, which are no server.
struct Server {
    programs: &'static [&'static str],
    images: &'static [&'static str],
    clients: &'static [&'static str],
}

impl Server {
    /// Whether the command line or else the image names it.
    fn is_run_by(&self, inspect: &Inspect) -> bool {
        let image = inspect.config.as_ref().and_then(|config| config.image.as_deref()).unwrap_or_default();
        let named = |programs: &[&str]| words(inspect).any(|word| programs.contains(&base(word)));
        named(self.programs) || (self.images.contains(&image_base(image)) && !named(self.clients))
    }
}

#[cfg(test)]
mod tests;
