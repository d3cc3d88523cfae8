//! Takes Alertmanager webhooks.

use std::time::{Duration, Instant};

use serde_json::Value;

use super::inbox::{Arrival, Inbox};
use super::{Answer, HttpServer};

/// A receiver that answers 200 and remembers.
pub struct WebhookSink {
    server: HttpServer,
    inbox: Inbox<Value>,
}

impl WebhookSink {
    pub fn start() -> Self {
        let inbox = Inbox::new();
        let taken = inbox.clone();
        let server = HttpServer::start(move |request| match serde_json::from_str(&request.body) {
            Ok(value) => {
                taken.put(value);
                Answer::new(200, "text/plain", "ok")
            }
            Err(_) => Answer::new(400, "text/plain", "no JSON"),
        });
        Self { server, inbox }
    }

    pub fn url(&self) -> String {
        self.server.url("/hook")
    }

    /// Waits for a message after `since` that holds the alert in that state; the alert's object within it.
    pub fn wait(&self, alert: Alert<'_>, status: &str, since: Instant, limit: Duration) -> Arrival<Value> {
        let what = format!("a webhook with {alert:?} {status}");
        let mut arrival = self.inbox.wait(&what, since, limit, |message| find(message, alert, status).is_some());
        arrival.what = find(&arrival.what, alert, status).expect("it matched").clone();
        arrival
    }

    /// How many messages hold the alert in that state.
    pub fn count(&self, alert: Alert<'_>, status: &str) -> usize {
        self.inbox.all().iter().filter(|arrival| find(&arrival.what, alert, status).is_some()).count()
    }
}

/// An alert's name, and the container it is about where it is about one: others on the machine may be ill too.
#[derive(Debug, Clone, Copy)]
pub struct Alert<'a>(pub &'a str, pub Option<&'a str>);

fn find<'a>(message: &'a Value, Alert(alert, container): Alert<'_>, status: &str) -> Option<&'a Value> {
    assert_eq!(message["version"], "4", "Alertmanager's webhook format");
    let alerts = message["alerts"].as_array().expect("a list of alerts");
    alerts.iter().find(|found| {
        let labels = &found["labels"];
        labels["alertname"] == alert && found["status"] == status && container.is_none_or(|name| labels["name"] == name)
    })
}
