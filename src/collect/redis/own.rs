//! What `redis_exporter` tells of its own scrapes, told of our looks.

use std::time::Duration;

use crate::collect::{CollectError, Look};
use crate::model::{Family, Labels, MetricKind, Suffix};

use super::connection::Connection;

static CONNECT: Family = Family::gauge(
    "redis_exporter_last_scrape_connect_time_seconds",
    "How long the last connecting and logging in took, in seconds; the connection is kept from look to look.",
);
static PING: Family = Family::gauge(
    "redis_exporter_last_scrape_ping_time_seconds",
    "How long the server took to answer the PING after the last connecting, in seconds.",
);
static LAST: Family =
    Family::gauge("redis_exporter_last_scrape_duration_seconds", "How long this look took, in seconds.");
static ERROR: Family =
    Family::gauge("redis_exporter_last_scrape_error", "Whether this look failed; the class of the error in `err`.");
static DURATION: Family =
    Family::new("redis_exporter_scrape_duration_seconds", MetricKind::Summary, "How long looks took, in seconds.");
static SCRAPES: Family =
    Family::counter("redis_exporter_scrapes_total", "Looks at this server since the agent's start.");
static REQUEST_ERRORS: Family = Family::counter(
    "redis_target_scrape_request_errors_total",
    "Scrapes of a target that does not exist: none, since targets are configured.",
);

/// Counts looks.
#[derive(Debug, Default)]
pub struct Own {
    looks: u64,
    took: Duration,
}

impl Own {
    /// Counts a look and adds the figures to it. `failed` is why the server is not up.
    pub fn show(&mut self, took: Duration, failed: Option<&CollectError>, look: &mut Look) {
        self.looks += 1;
        self.took += took;
        look.value(&SCRAPES, self.looks as f64);
        look.value(&REQUEST_ERRORS, 0.0);
        look.value(&LAST, took.as_secs_f64());
        look.point(&DURATION, Suffix::Sum, Labels::empty(), self.took.as_secs_f64());
        look.point(&DURATION, Suffix::Count, Labels::empty(), self.looks as f64);
        let class = failed.map_or("", |error| error.reason().as_str());
        look.labeled(&ERROR, [("err", class)], f64::from(u8::from(failed.is_some())));
    }
}

/// Adds how long connecting took.
pub fn show_connection(connection: &Connection, look: &mut Look) {
    look.value(&CONNECT, connection.connect_time.as_secs_f64());
    if let Some(time) = connection.ping_time {
        look.value(&PING, time.as_secs_f64());
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::collect::Reason;

    #[test]
    fn an_error_is_told_by_its_class_alone() {
        let (mut own, mut look) = (Own::default(), Look::new());
        own.show(Duration::from_millis(500), None, &mut Look::new());
        own.show(Duration::from_secs(1), Some(&CollectError::new(Reason::Timeout, "at 10.0.0.1")), &mut look);
        assert_eq!(look.get("redis_exporter_last_scrape_error", &[("err", "timeout")]), Some(1.0));
        assert_eq!(look.get("redis_exporter_scrapes_total", &[]), Some(2.0));
        let summary = &look.blocks().iter().find(|block| block.family.kind == MetricKind::Summary).unwrap().points;
        assert_eq!((summary[0].value, summary[1].value), (1.5, 2.0));
    }
}
