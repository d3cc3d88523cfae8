//! Counts what happened to each container, by name and service, since the agent first asked.
//!
//! Invariant: the sum over all series of an action only grows. Containers that are gone keep their counts until too many are; then the
//! counts of those who went first are added to the series `name="other"`.

use std::collections::HashMap;
use std::sync::Arc;

use crate::model::{Family, Labels, Millis, Suffix};

use super::super::Look;
use super::event::{Action, Event, Subject};

/// Containers that are gone and keep series of their own.
const MAX_GONE: usize = 100;

/// Shown from zero on, so that `increase()` sees the first one: what rules ask for. Each of these is a series of each container.
const FROM_ZERO: [Action; 5] = [Action::Start, Action::Die, Action::Oom, Action::Kill, Action::Restart];
/// Likewise, of containers with a health check.
const CHECKED_FROM_ZERO: [Action; 1] = [Action::Unhealthy];

static EVENTS: Family = Family::counter(
    "container_events_total",
    "What happened to the container since the agent first asked, by the engine's word for it (Sidewatch).",
);
static LAST_EXIT: Family =
    Family::gauge("container_last_exit_code", "What the container exited with when it last died (Sidewatch).");

/// The counts of all containers.
#[derive(Debug, Default)]
pub(super) struct Tally {
    rows: HashMap<Subject, Row>,
    other: Vec<Cell>,
}

#[derive(Debug)]
struct Row {
    base: Labels,
    cells: Vec<Cell>,
    last_exit: Option<i64>,
    /// Of the last event, or when it was last listed.
    last: Millis,
}

#[derive(Debug)]
struct Cell {
    action: Action,
    labels: Labels,
    count: u64,
}

impl Tally {
    /// Counts one event.
    pub(super) fn count(&mut self, event: &Event) {
        let row = self.row(&event.subject, event.at);
        row.last_exit = event.exit_code.or(row.last_exit);
        let base = row.base.clone();
        add(&mut row.cells, event.action, 1, &base);
    }

    /// Whom a listed container's events are counted for. Once its image's tag has moved on, a list says the image's id; events go on to
    /// say the name.
    pub(super) fn known(&self, listed: Subject) -> Subject {
        if !is_image_id(&listed.image) {
            return listed;
        }
        let same = |known: &&Subject| {
            (&known.name, &known.project, &known.service) == (&listed.name, &listed.project, &listed.service)
        };
        self.rows.keys().find(same).cloned().unwrap_or(listed)
    }

    /// Notes the containers that are there and whether they have a health check, at zero if nothing happened to them yet; forgets who went
    /// first when too many are gone.
    pub(super) fn keep(&mut self, present: &HashMap<Subject, bool>, now: Millis) {
        for (subject, checked) in present {
            let row = self.row(subject, now);
            row.last = now;
            if *checked {
                row.show(&CHECKED_FROM_ZERO);
            }
        }
        let gone =
            |(subject, row): (&Subject, &Row)| (!present.contains_key(subject)).then(|| (row.last, subject.clone()));
        let mut gone: Vec<_> = self.rows.iter().filter_map(gone).collect();
        if gone.len() <= MAX_GONE {
            return;
        }
        gone.sort_unstable_by_key(|(last, _)| *last);
        gone.truncate(gone.len() - MAX_GONE);
        let base = Labels::new([("name", "other")]);
        for (_, subject) in gone {
            for cell in self.rows.remove(&subject).into_iter().flat_map(|row| row.cells) {
                add(&mut self.other, cell.action, cell.count, &base);
            }
        }
    }

    fn row(&mut self, subject: &Subject, at: Millis) -> &mut Row {
        self.rows.entry(subject.clone()).or_insert_with(|| {
            let mut row = Row { base: subject.labels(), cells: Vec::new(), last_exit: None, last: at };
            row.show(&FROM_ZERO);
            row
        })
    }

    /// Adds the counts to a look.
    pub(super) fn fill(&self, look: &mut Look) {
        let cells = self.rows.values().flat_map(|row| &row.cells).chain(&self.other);
        for cell in cells {
            look.point(&EVENTS, Suffix::None, cell.labels.clone(), cell.count as f64);
        }
        for row in self.rows.values() {
            if let Some(code) = row.last_exit {
                look.point(&LAST_EXIT, Suffix::None, row.base.clone(), code as f64);
            }
        }
    }
}

impl Row {
    /// Shows actions, at zero if there was none.
    fn show(&mut self, actions: &[Action]) {
        for action in actions {
            add(&mut self.cells, *action, 0, &self.base);
        }
    }
}

fn is_image_id(image: &str) -> bool {
    let digits = image.strip_prefix("sha256:").unwrap_or(image);
    digits.len() >= 12 && digits.bytes().all(|byte| byte.is_ascii_hexdigit())
}

fn add(cells: &mut Vec<Cell>, action: Action, count: u64, base: &Labels) {
    if let Some(cell) = cells.iter_mut().find(|cell| cell.action == action) {
        cell.count += count;
        return;
    }
    cells.push(Cell { action, labels: base.with("action", Arc::from(action.as_str())), count });
}

#[cfg(test)]
mod tests {
    use super::*;

    fn event(name: &str, action: &str, at: i64) -> Event {
        let line = serde_json::json!({"Action": action, "timeNano": at, "Actor": {"ID": name, "Attributes":
            {"name": name, "exitCode": "7", "com.docker.compose.project": "shop"}}});
        Event::read(line.to_string().as_bytes()).unwrap()
    }

    fn count(tally: &Tally, labels: &[(&str, &str)]) -> Option<f64> {
        let mut look = Look::new();
        tally.fill(&mut look);
        look.get("container_events_total", labels)
    }

    #[test]
    fn each_death_is_counted_and_the_last_exit_is_known() {
        let mut tally = Tally::default();
        (0..3).for_each(|at| tally.count(&event("a", "die", at)));
        tally.count(&event("a", "start", 5));
        let shop = ("container_label_com_docker_compose_project", "shop");
        assert_eq!(count(&tally, &[("name", "a"), shop, ("action", "die")]), Some(3.0));
        for action in ["oom", "kill", "restart"] {
            assert_eq!(count(&tally, &[("name", "a"), shop, ("action", action)]), Some(0.0), "from zero on");
        }
        assert_eq!(count(&tally, &[("name", "a"), shop, ("action", "pause")]), None);
        let mut look = Look::new();
        tally.fill(&mut look);
        assert_eq!(look.get("container_last_exit_code", &[("name", "a"), shop]), Some(7.0));
    }

    #[test]
    fn verdicts_of_a_health_check_are_shown_where_there_is_one() {
        let mut tally = Tally::default();
        let [with, without] = ["with", "without"].map(|name| Subject { name: name.into(), ..Subject::default() });
        tally.keep(&HashMap::from([(with, true), (without, false)]), Millis(1));
        let verdicts = |name| count(&tally, &[("name", name), ("action", "health_status: unhealthy")]);
        assert_eq!((verdicts("with"), verdicts("without")), (Some(0.0), None));
    }

    #[test]
    fn an_image_that_lost_its_tag_is_counted_under_its_name() {
        let mut tally = Tally::default();
        let known = Subject { name: "a".into(), image: "shop:1".into(), ..Subject::default() };
        tally.keep(&HashMap::from([(known.clone(), false)]), Millis(1));
        assert_eq!(tally.known(Subject { image: "sha256:0123456789abcdef".into(), ..known.clone() }), known);
        let other = Subject { image: "shop:2".into(), ..known };
        assert_eq!(tally.known(other.clone()), other);
    }

    #[test]
    fn who_went_first_is_counted_with_the_others() {
        let mut tally = Tally::default();
        for number in 0..300_i64 {
            tally.count(&event(&format!("job-{number}"), "die", number * 1_000_000));
        }
        let here = HashMap::from([(event("job-0", "die", 0).subject, false)]);
        tally.keep(&here, Millis(500));
        assert_eq!(tally.rows.len(), MAX_GONE + 1);
        assert_eq!(count(&tally, &[("name", "other"), ("action", "die")]), Some(199.0));
        tally.keep(&here, Millis(501));
        assert_eq!(count(&tally, &[("name", "other"), ("action", "die")]), Some(199.0));
    }
}
