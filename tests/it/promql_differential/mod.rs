//! The same data and the same questions to a real Prometheus and to the agent.
//!
//! In: series and expressions, both by chance from a seed. What must hold: equal answers up to a relative 1e-9, equal
//! labels, equal notes, equal kinds of errors; all that differs stands in `known.rs` with its reason.
//!
//! `SIDEWATCH_DIFFERENTIAL_COUNT` asks more, `SIDEWATCH_DIFFERENTIAL_SEED` something else.

pub mod answer;
pub mod data;
mod expression;
mod grammar;
mod known;
pub mod question;
pub mod race;
mod random;
mod selectors;
mod wrong;

use std::collections::BTreeMap;
use std::time::{SystemTime, UNIX_EPOCH};

use crate::support::{Agent, Kept, RealPrometheus, Written, peers, write_body, write_into};

use answer::{Answer, Difference};
use question::Question;
use race::{Answers, Course};

/// So many differences are shown; those after them are mostly the same again.
const SHOWN: usize = 20;

/// Both step through subqueries that name no step by this interval.
const INTERVAL: &str = "global: {evaluation_interval: 1m}";

#[test]
fn answers_are_those_of_prometheus() {
    let number = |name: &str, default: u64| {
        std::env::var(name).map_or(default, |text| text.parse().unwrap_or_else(|_| panic!("{name}={text}")))
    };
    let seed = number("SIDEWATCH_DIFFERENTIAL_SEED", 1);
    let count = number("SIDEWATCH_DIFFERENTIAL_COUNT", 4000) as usize;
    let end = recent_end();
    let slices = data::slices(&data::series(seed, end), end);
    let prometheus =
        RealPrometheus::start_with(&peers::newest("prometheus"), INTERVAL, &["--web.enable-remote-write-receiver"]);
    let agent = Agent::start(INTERVAL);
    write_to(prometheus.port(), &slices);
    write_to(agent.port(), &slices);

    let pair = || (Server::at(prometheus.port()), Server::at(agent.port()));
    let (mut theirs, mut ours) = pair();
    let overcome = race::overcome(end, &mut theirs, &mut ours);
    assert!(overcome.is_empty(), "no difference any more, so not to be excused: {overcome:#?}");
    let outcome = race::run(Course { seed, count, end }, vec![pair(), pair()]);

    let differences = outcome.differences;
    let mut kinds: BTreeMap<Difference, usize> = BTreeMap::new();
    for (kind, _) in &differences {
        *kinds.entry(*kind).or_default() += 1;
    }
    let shown: Vec<&str> = differences.iter().take(SHOWN).map(|(_, text)| &**text).collect();
    assert!(differences.is_empty(), "{} differ: {kinds:?}; among them\n\n{}", differences.len(), shown.join("\n\n"));
    // What is empty on both sides, or refused by both, shows little.
    assert!(outcome.telling * 2 > outcome.asked, "of {} only {} have an answer", outcome.asked, outcome.telling);
    assert!(outcome.refused * 20 > outcome.asked, "of {} only {} are refused", outcome.asked, outcome.refused);
    let missing: Vec<&str> = grammar::vocabulary().filter(|word| !outcome.met.contains(*word)).collect();
    assert!(missing.is_empty(), "never asked, or never answered with a value: {missing:?}");
    assert!(
        outcome.known.values().sum::<usize>() * 50 < outcome.asked,
        "the list of known differences excuses too much: {:?}",
        outcome.known
    );
}

/// A server with Prometheus' API.
struct Server {
    port: u16,
    connection: Kept,
}

impl Server {
    fn at(port: u16) -> Self {
        Self { port, connection: Kept::connect(port) }
    }
}

impl Answers for Server {
    fn ask(&mut self, question: &Question) -> Result<Answer, String> {
        let (path, form) = question.form();
        let Some(answer) = self.connection.post(path, "application/x-www-form-urlencoded", &form) else {
            self.connection = Kept::connect(self.port);
            return Err("no whole answer".into());
        };
        let body = serde_json::from_str(&answer.body).map_err(|error| format!("{error}: {}", answer.body))?;
        Answer::read(answer.status, &body)
    }
}

/// The end of the data: recent, and on a grid that is the same in each run.
fn recent_end() -> i64 {
    const GRID: u128 = 10 * 60_000;
    let now = SystemTime::now().duration_since(UNIX_EPOCH).expect("after 1970").as_millis();
    i64::try_from(now / GRID * GRID).expect("milliseconds")
}

fn write_to(port: u16, slices: &[Vec<Written>]) {
    for slice in slices {
        let answer = write_into(port, &write_body(slice));
        assert!(answer.status < 300, "{}: {}", answer.status, answer.body);
    }
}
