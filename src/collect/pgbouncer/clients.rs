//! SHOW CLIENTS, counted: which application holds or waits for how many connections, and for how long already.
//!
//! Application names come from clients, so they are bounded: further ones count as [`OTHERS`].

use std::collections::BTreeMap;

use crate::collect::Look;
use crate::model::{Family, Labels, Suffix};

use super::console::Row;

static CONNECTIONS: Family = Family::gauge(
    "pgbouncer_client_connections",
    "Clients by database, user, application name and what they do: active, waiting, …",
);
static LONGEST_WAIT: Family = Family::gauge(
    "pgbouncer_client_longest_wait_seconds",
    "How long the client of this application that waits longest for a server has waited. Not in pgbouncer_exporter.",
);

/// The command.
pub const COMMAND: &str = "SHOW CLIENTS";
/// Its columns, in the order in which [`Clients::add`] reads them.
pub const COLUMNS: [&str; 6] = ["database", "user", "application_name", "state", "wait", "wait_us"];

/// Application names that keep their own series.
const MOST_APPLICATIONS: usize = 100;
/// Series in all. Databases and users are PgBouncer's own, but may be many.
const MOST_GROUPS: usize = 2000;
/// The label's value for names that are not UTF-8.
const UNREADABLE: &str = "(not UTF-8)";
/// The label's value for the applications beyond.
const OTHERS: &str = "other";

/// Clients of one kind.
type Group = [Box<str>; 4];

/// The clients counted so far.
#[derive(Default)]
pub struct Clients {
    groups: BTreeMap<Group, Count>,
    applications: std::collections::BTreeSet<Box<str>>,
    left_out: usize,
}

#[derive(Debug, Default, PartialEq)]
struct Count {
    clients: u64,
    longest_wait: Option<f64>,
}

impl Clients {
    /// Counts a row.
    pub fn add(&mut self, row: Row<'_>) {
        let text = |at| if row.is_unreadable(at) { UNREADABLE } else { row.text(at).unwrap_or_default() };
        // Other states show how long the last wait was, which is over.
        let waits = text(3) == "waiting";
        let wait = waits.then(|| Some(row.number(4)? + row.number(5).unwrap_or_default() * 1e-6)).flatten();
        self.count([text(0), text(1), text(2), text(3)], wait);
    }

    fn count(&mut self, [database, user, application, state]: [&str; 4], wait: Option<f64>) {
        let application = self.bounded(application);
        let group: Group = [database.into(), user.into(), application, state.into()];
        if self.groups.len() >= MOST_GROUPS && !self.groups.contains_key(&group) {
            self.left_out += 1;
            return;
        }
        let count = self.groups.entry(group).or_default();
        count.clients += 1;
        count.longest_wait = count.longest_wait.into_iter().chain(wait).reduce(f64::max);
    }

    fn bounded(&mut self, application: &str) -> Box<str> {
        if !self.applications.contains(application) {
            if self.applications.len() >= MOST_APPLICATIONS {
                return OTHERS.into();
            }
            self.applications.insert(application.into());
        }
        application.into()
    }

    /// Writes the counts. Says how many clients no series had room for.
    pub fn write(self, look: &mut Look) -> usize {
        for ([database, user, application, state], count) in self.groups {
            let names = [("database", database), ("user", user), ("application_name", application)];
            if let Some(wait) = count.longest_wait {
                look.point(&LONGEST_WAIT, Suffix::None, Labels::new(names.clone()), wait);
            }
            let labels = Labels::new(names.into_iter().chain([("state", state)]));
            look.point(&CONNECTIONS, Suffix::None, labels, count.clients as f64);
        }
        self.left_out
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clients_are_counted_by_application_and_the_longest_wait_stays() {
        let mut clients = Clients::default();
        clients.count(["orders", "app", "shop", "active"], None);
        clients.count(["orders", "app", "shop", "waiting"], Some(0.5));
        clients.count(["orders", "app", "shop", "waiting"], Some(2.5));
        let mut look = Look::new();
        assert_eq!(clients.write(&mut look), 0);
        let shop = [("database", "orders"), ("user", "app"), ("application_name", "shop")];
        assert_eq!(look.get("pgbouncer_client_longest_wait_seconds", &shop), Some(2.5));
        let state = |state| [shop.as_slice(), &[("state", state)]].concat();
        assert_eq!(look.get("pgbouncer_client_connections", &state("waiting")), Some(2.0));
        assert_eq!(look.get("pgbouncer_client_connections", &state("active")), Some(1.0));
    }

    #[test]
    fn nobody_waiting_is_no_wait_and_not_zero() {
        let mut clients = Clients::default();
        clients.count(["orders", "app", "shop", "active"], None);
        let mut look = Look::new();
        clients.write(&mut look);
        assert_eq!(look.blocks().len(), 1);
    }

    #[test]
    fn invented_application_names_grow_no_series() {
        let mut clients = Clients::default();
        for number in 0..5000 {
            clients.count(["orders", "app", &format!("worker-{number}"), "active"], None);
        }
        let mut look = Look::new();
        assert_eq!(clients.write(&mut look), 0);
        assert_eq!(look.len(), MOST_APPLICATIONS + 1);
        let others = [("database", "orders"), ("user", "app"), ("application_name", OTHERS), ("state", "active")];
        assert_eq!(look.get("pgbouncer_client_connections", &others), Some(4900.0));
    }
}
