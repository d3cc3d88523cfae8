//! Receivers behind services that people are told by: what is sent, and what becomes of it when the service is busy, ill,
//! not there or not itself. The services are played.

mod passing;
mod refused;
mod story;

use std::time::Duration;

use serde_json::Value;
use tempfile::TempDir;

use crate::support::{Agent, HttpApp, Play, Recorder, Request};

/// On a busy machine.
const LIMIT: Duration = Duration::from_mins(1);
/// Stands in every URL, token and key.
const SECRET: &str = "s3cret0123456789";

/// A played service and the agent's way to it.
struct Service {
    /// As the agent's metrics call it: the integration and which of its kind.
    integration: (&'static str, &'static str),
    recorder: Recorder,
    /// The item under its list of channels.
    item: String,
    list: &'static str,
}

/// Each of the services, with answers as it gives them.
fn services() -> Vec<Service> {
    let title = "'{{ .Status }} {{ .GroupLabels.alertname }}'";
    let slack = format!(
        "timeout: 1s, channel: '#ops', username: '', icon_emoji: '', icon_url: '', color: '', title: {title}, title_link: '', \
         pretext: '', text: '{{{{ range .Alerts }}}}{{{{ .Annotations.long }}}}{{{{ end }}}}', fallback: '', callback_id: '', footer: ''"
    );
    let ok = |body: &'static str| Recorder::start(move |_| Play::json(200, body));
    let hook = Recorder::start(|_| Play::Answer(crate::support::Answer::new(200, "text/plain", "ok")));
    let api = ok(r#"{"ok":true,"channel":"C07","ts":"1795.0001"}"#);
    let discord = ok(r#"{"id":"4711","content":""}"#);
    let pagerduty = Recorder::start(|_| Play::json(202, r#"{"status":"success","message":"Event processed"}"#));
    let teams = Recorder::start(|_| Play::Answer(crate::support::Answer::new(202, "text/plain", "")));
    let telegram = ok(r#"{"ok":true,"result":{"message_id":815,"chat":{"id":-100}}}"#);
    let text = "'{{ range .Alerts }}{{ .Annotations.long }}{{ end }}'";
    vec![
        Service {
            integration: ("slack", "0"),
            item: format!("api_url: \"{}\", {slack}", hook.url(&format!("/services/T0/{SECRET}"))),
            recorder: hook,
            list: "slack_configs",
        },
        Service {
            integration: ("slack", "1"),
            item: format!("app_token: {SECRET}, app_url: \"{}\", {slack}", api.url("/api/chat.postMessage")),
            recorder: api,
            list: "slack_configs",
        },
        Service {
            integration: ("discord", "0"),
            item: format!(
                "timeout: 1s, webhook_url: \"{}\", title: {title}, message: {text}",
                discord.url(&format!("/api/webhooks/1/{SECRET}"))
            ),
            recorder: discord,
            list: "discord_configs",
        },
        Service {
            integration: ("pagerduty", "0"),
            item: format!(
                "timeout: 1s, routing_key: {SECRET}, url: \"{}\", client: c, client_url: '', description: {title}, \
                 details: {{firing: {text}, resolved: '', num_firing: '', num_resolved: ''}}",
                pagerduty.url("/v2/enqueue")
            ),
            recorder: pagerduty,
            list: "pagerduty_configs",
        },
        Service {
            integration: ("msteamsv2", "0"),
            item: format!(
                "timeout: 1s, webhook_url: \"{}\", title: {title}, text: {text}",
                teams.url(&format!("/workflows/x?sig={SECRET}"))
            ),
            recorder: teams,
            list: "msteamsv2_configs",
        },
        Service {
            integration: ("telegram", "0"),
            item: format!(
                "timeout: 1s, api_url: \"{}\", bot_token: '1:{SECRET}', chat_id: -100, \
                 message: '<b>{{{{ .Status }}}}</b> {{{{ range .Alerts }}}}{{{{ .Annotations.long }}}}{{{{ end }}}}'",
                telegram.url("")
            ),
            recorder: telegram,
            list: "telegram_configs",
        },
    ]
}

/// An application that answers 500, an agent that tells all services of it.
struct Stage {
    app: HttpApp,
    agent: Agent,
    services: Vec<Service>,
    _folder: TempDir,
}

impl Stage {
    /// `group_interval` is how soon the receivers hear of the end, and how long a message is tried.
    fn set(services: Vec<Service>, group_interval: &str) -> Self {
        let app = HttpApp::start();
        app.answer(500);
        let folder = tempfile::tempdir().expect("a folder");
        let rules = folder.path().join("rules.yml");
        let rule =
            format!("{{alert: AppDown, expr: probe_success == 0, annotations: {{long: \"{}\"}}}}", "x".repeat(30_000));
        std::fs::write(&rules, format!("groups: [{{name: g, rules: [{rule}]}}]")).expect("a file");
        let mut receiver = String::new();
        let mut list = "";
        for service in &services {
            if service.list != list {
                receiver.extend(["    ", service.list, ":\n"]);
                list = service.list;
            }
            receiver.extend(["    - {", &service.item, "}\n"]);
        }
        let agent = Agent::start(&format!(
            "global: {{scrape_interval: 500ms, scrape_timeout: 500ms, evaluation_interval: 500ms}}\n\
             targets: [{{name: app, url: \"{}\"}}]\n\
             rule_files: [\"{}\"]\n\
             alerting:\n  route: {{receiver: all, group_by: [alertname], group_wait: 0s, group_interval: {group_interval}}}\n  \
             receivers:\n  - name: all\n{receiver}",
            app.url("/health"),
            rules.display(),
        ));
        Self { app, agent, services, _folder: folder }
    }

    fn service(&self, integration: (&str, &str)) -> &Service {
        self.services.iter().find(|service| service.integration == integration).expect("one of the services")
    }

    /// No log and no metric holds what must stay secret.
    fn assert_discreet(&self) {
        let (log, metrics) = (self.agent.log(), self.agent.metrics_as("text/plain").body);
        assert!(!log.contains(SECRET), "{log}");
        assert!(!metrics.contains(SECRET), "{metrics}");
    }
}

impl Service {
    /// Waits until the service was asked for something.
    fn wait(&self, what: &str, matches: impl Fn(&Request, &Value) -> bool) -> (Request, Value) {
        let what = format!("{what} at {:?}", self.integration);
        let request = self.recorder.wait(&what, LIMIT, |request| matches(request, &json(request)));
        let body = json(&request);
        (request, body)
    }
}

fn json(request: &Request) -> Value {
    serde_json::from_str(&request.body).unwrap_or_default()
}
