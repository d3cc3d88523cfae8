//! One container in one look: what the list, the inspect and the figures say of it.

use std::collections::HashMap;
use std::sync::Arc;

use crate::model::{Millis, Suffix};

use super::facts::Facts;
use super::families::LAST_SEEN;
use super::filesystem;
use super::labels::KnownLabels;
use super::local::{Found, Wanted};
use super::machine::Machine;
use super::question::{Answer, Answers, Question};
use super::usage::{self, Usage};
use super::wire::{State, Stats, Summary};
use super::{CollectError, Look, Reason, state};

/// A container as far as it was seen.
#[expect(clippy::struct_excessive_bools, reason = "each is a fact of its own about one look, and they combine freely")]
pub(super) struct Sight {
    /// 64 hexadecimal digits.
    pub(super) id: String,
    /// Without the API's leading slash.
    pub(super) name: String,
    /// What the list says; an image id once its tag has moved on.
    pub(super) image: String,
    /// The container's own labels, as they are.
    pub(super) labels: HashMap<String, String>,
    /// Seconds since the epoch.
    pub(super) created: i64,
    /// Its state at the time of the list.
    pub(super) state: State,
    /// The list's sentence about it: `Up 5 minutes (healthy)`.
    pub(super) status: String,
    /// What an inspect said, now or in an earlier look.
    pub(super) facts: Option<Arc<Facts>>,
    /// Whether `facts` are missing or may no longer hold: then they say who it is, but not how it is.
    pub(super) must_inspect: bool,
    /// Whether `facts` came in this look.
    pub(super) inspected: bool,
    /// Its control group, once it was seen.
    pub(super) group: Option<String>,
    /// What its files say while it runs.
    pub(super) found: Option<Found>,
    /// What the engine says it uses, where the files say nothing or less.
    stats: Option<Stats>,
    /// Bytes in its own layer, if they were asked for not long ago.
    pub(super) layer_bytes: Option<u64>,
    /// Whether they are to be asked for.
    pub(super) must_size: bool,
    /// Whether they were asked for in this look.
    pub(super) sized: bool,
    /// Whether it did not answer of late and is not asked in this look.
    pub(super) left_out: bool,
    /// Out-of-memory kills counted so far.
    pub(super) oom_events: Option<u64>,
    failures: Vec<CollectError>,
    hung: bool,
    gone: bool,
}

impl Sight {
    /// What the list says. A container without an id cannot be asked about.
    pub(super) fn of(summary: Summary) -> Option<Self> {
        let name = summary.name().to_owned();
        let id = summary.id?;
        Some(Self {
            name,
            image: summary.image.unwrap_or_default(),
            labels: summary.labels.unwrap_or_default(),
            created: summary.created.unwrap_or_default(),
            state: summary.state.unwrap_or_default(),
            status: summary.status.unwrap_or_default(),
            id,
            facts: None,
            must_inspect: true,
            inspected: false,
            group: None,
            found: None,
            stats: None,
            layer_bytes: None,
            must_size: false,
            sized: false,
            left_out: false,
            oom_events: None,
            failures: Vec::new(),
            hung: false,
            gone: false,
        })
    }

    /// Whether its control groups exist, so that there are figures.
    pub(super) fn has_figures(&self) -> bool {
        self.state.has_figures()
    }

    /// Whether a request about it timed out.
    pub(super) fn timed_out(&self) -> bool {
        self.hung
    }

    /// The inspect to be asked for, before its files are looked for; `None` when it is known.
    pub(super) fn who(&self) -> Option<Question> {
        let question = Question { id: self.id.clone(), inspect: true, figures: false, size: false };
        (self.must_inspect && !self.left_out).then_some(question)
    }

    /// What its files did not say; `None` when all is known.
    pub(super) fn what(&self) -> Option<Question> {
        let networks = self.found.as_ref().map(|found| found.usage.networks.is_some());
        let figures = self.has_figures() && networks != Some(true);
        let question = Question { id: self.id.clone(), inspect: false, figures, size: self.must_size };
        ((question.figures || question.size) && !self.left_out && !self.gone).then_some(question)
    }

    /// What its files are to be found by.
    /// Where its own layer is kept nobody says, it is below the engine's `data_root`.
    pub(super) fn wanted(&self, data_root: Option<&str>) -> Option<Wanted> {
        let facts = self.facts.as_deref();
        self.has_figures().then(|| Wanted {
            id: self.id.clone(),
            cgroup_parent: facts.and_then(|facts| facts.cgroup_parent.clone()),
            pid: facts.filter(|_| !self.must_inspect || self.inspected).and_then(|facts| facts.pid),
            has_network: !facts.is_some_and(|facts| facts.borrows_network),
            layer: facts.and_then(|facts| facts.layer.as_deref()).or(data_root).map(str::to_owned),
        })
    }

    /// Takes in the answers. Without one to an inspect the last one's facts stay, but not its verdicts.
    pub(super) fn take(&mut self, answers: Answers) {
        if let Some(facts) = answers.inspect.and_then(|answer| self.taken("inspect", answer)) {
            self.facts = Some(Facts::of(facts));
            self.inspected = true;
        }
        if let Some(answer) = answers.figures {
            self.stats = self.taken("figures", answer);
        }
        if let Some(answer) = answers.size {
            // An engine may not know a size: that does not mean that the container is gone.
            let gone = self.gone;
            self.layer_bytes = self.taken("size", answer);
            (self.sized, self.gone) = (true, gone);
        }
    }

    /// What holds of the facts at this moment: health, restarts, the last exit. `None` when they may have changed unseen.
    pub(super) fn verdicts(&self) -> Option<&Facts> {
        self.facts.as_deref().filter(|_| self.inspected || !self.must_inspect)
    }

    fn taken<T>(&mut self, what: &str, answer: Answer<T>) -> Option<T> {
        match answer {
            Ok(Ok(answer)) => {
                self.gone |= answer.is_none();
                return answer;
            }
            Ok(Err(error)) => self.failures.push(error),
            Err(_) => {
                self.hung = true;
                let message = format!("the engine sent no {what} of container {} in time", self.name);
                self.failures.push(CollectError::new(Reason::Timeout, message));
            }
        }
        None
    }

    /// Adds to the look what was seen and what was not. A container that is gone leaves nothing.
    pub(super) fn fill(
        &mut self,
        machine: &Machine,
        known: &mut KnownLabels,
        devices: &usage::Devices,
        now: Millis,
        look: &mut Look,
    ) {
        self.failures.drain(..).for_each(|failure| look.missed(failure));
        if self.left_out {
            let message = format!("container {} was not asked about: it did not answer in the looks before", self.name);
            look.missed(CollectError::new(Reason::Timeout, message));
        }
        if self.gone {
            return;
        }
        let labels = known.of(self, machine);
        state::fill(self, labels, look);
        if let Some(facts) = self.facts.as_deref().filter(|_| self.has_figures()) {
            facts.fill_spec(labels, look);
        }
        let filesystem = self.found.as_ref().and_then(|found| found.filesystem.as_ref());
        filesystem::fill(self.layer_bytes, filesystem, labels, look);
        if let Some(usage) = usage_of(self.found.take(), self.stats.as_ref()) {
            let limited = self.facts.as_ref().is_some_and(|facts| facts.cpu_quota() != 0);
            usage.fill(limited, labels, devices, look);
            look.point(&LAST_SEEN, Suffix::None, labels.base.clone(), now.as_seconds().floor());
        }
    }
}

/// The files' figures, which are finer, and from the engine what they do not have.
fn usage_of(found: Option<Found>, stats: Option<&Stats>) -> Option<Usage> {
    let Some(Found { mut usage, .. }) = found else {
        return stats.map(usage::api::usage);
    };
    if usage.networks.is_none() {
        usage.networks = stats.and_then(|stats| stats.networks.as_ref()).map(usage::api::networks);
    }
    Some(usage)
}
