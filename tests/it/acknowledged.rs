//! From a message's link to silence: GET shows, POST acts, also over a restart; whoever asks hears who it was.

use std::sync::Arc;
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::outbox_survives_kill::Faults;
use crate::support::{Agent, Answer, HttpServer, Inbox, command, request, run, wait_until};

const LIMIT: Duration = Duration::from_secs(30);

/// What messages said, as the default texts have it.
struct Told {
    server: HttpServer,
    inbox: Inbox<Value>,
}

impl Told {
    fn start() -> Self {
        let inbox = Inbox::new();
        let taken = inbox.clone();
        let server = HttpServer::start(move |request| {
            taken.put(serde_json::from_str(&request.body).expect("JSON"));
            Answer::new(200, "text/plain", "ok")
        });
        Self { server, inbox }
    }

    fn wait(&self, what: &str, holds: impl Fn(&Value) -> bool) -> Value {
        self.inbox.wait(what, Instant::now(), LIMIT, holds).what
    }

    fn reminders(&self) -> usize {
        self.inbox.all().iter().filter(|message| text(&message.what).starts_with("Still, for ")).count()
    }
}

fn text(message: &Value) -> &str {
    message["text"].as_str().expect("a text")
}

#[test]
fn a_link_in_a_message_ends_the_reminders_and_a_restart_does_not_bring_them_back() {
    let (folder, faults, told) = (Arc::new(tempfile::tempdir().expect("a folder")), Faults::start(), Told::start());
    let watched = faults.config(&folder);
    let config = format!(
        "server: {{external_url: \"https://watch.example.org/sw\"}}\n{watched}alerting:\n  \
         route: {{receiver: hook, group_by: [alertname], group_wait: 0s, group_interval: 300ms, repeat_interval: 600ms}}\n  \
         receivers:\n  - name: hook\n    webhook_configs:\n    - url: \"{}\"\n      \
         payload: {{text: '{{{{ template \"__text_alerts\" . }}}}', url: '{{{{ .AcknowledgeURL }}}}'}}\n",
        told.server.url("/")
    );
    faults.begin(1);
    let mut agent = Agent::start_in(&folder, &config);
    let first = told.wait("a message with a link", |message| message["url"] != "");
    let link = first["url"].as_str().expect("a text");
    assert!(text(&first).contains(&format!("acknowledge: {link}\n")), "{first}");
    let path = link.strip_prefix("https://watch.example.org/sw").expect("where people reach the agent");
    told.wait("a reminder", |message| text(message).starts_with("Still, for "));

    // A scanner follows the link as often as it likes.
    let shown = agent.get(path);
    assert!(shown.status == 200 && shown.body.contains("<button>Acknowledge</button>"), "{}", shown.body);
    assert_eq!(agent.get("/api/v2/alerts/ack").json(), serde_json::json!([]));
    let form = [("content-type", "application/x-www-form-urlencoded"), ("origin", "null")];
    let done = request(agent.port(), "POST", path, &form, "by=ann").expect("an answer");
    assert!(done.status == 200 && done.body.contains("Acknowledged by ann"), "{}", done.body);

    let is_quiet = |agent: &Agent| {
        let before = told.reminders();
        // Many intervals, in each of which a reminder would be due.
        std::thread::sleep(Duration::from_secs(3));
        assert!(told.reminders() <= before + 1, "but for one that was under way:\n{}", agent.log());
    };
    is_quiet(&agent);
    agent.kill();
    let agent = Agent::start_in(&folder, &config);
    agent.wait_for("/readyz");
    wait_until("it fires", LIMIT, || agent.get("/api/v2/alerts").json()[0]["acknowledged"]["by"].as_str().map(drop));
    is_quiet(&agent);
    let why = run(command().args(["why", "Fault", "--url", &format!("http://127.0.0.1:{}", agent.port())]));
    assert!(why.contains("acknowledged by ann at "), "{why}");

    // Another joins the group: the message says who has the first, and its link is about the other alone.
    faults.begin(2);
    let both = told.wait("both", |message| text(message).starts_with("2 alerts firing"));
    assert!(text(&both).contains("  acknowledged by ann\n"), "{both}");
    assert!(both["url"].as_str().is_some_and(|url| url.contains("?alert=") && url != link), "{both}");
    faults.begin(3);
    let three = told.wait("three", |message| text(message).starts_with("3 alerts firing"));
    let group = three["url"].as_str().and_then(|url| url.strip_prefix("https://watch.example.org/sw")).expect("a link");
    assert!(group.contains("?group="), "{group}");
    let done = request(agent.port(), "POST", group, &form, "by=bob").expect("an answer").body;
    assert!(
        done.matches("Acknowledged by bob").count() == 2 && done.matches("Acknowledged by ann").count() == 1,
        "{done}"
    );
    is_quiet(&agent);

    // The alert of the first link ends and fires again: its old link says so, stores nothing, and leads to the new one.
    let old = |method: &str| request(agent.port(), method, path, &form, "by=cho").expect("an answer");
    faults.end(1);
    wait_until("it ends", LIMIT, || old("GET").body.contains("This does not fire any more.").then_some(()));
    faults.begin(1);
    wait_until("it fires again", LIMIT, || old("GET").body.contains("It fires again since ").then_some(()));
    let nothing = old("POST");
    assert!(nothing.status == 404 && nothing.body.contains("Nothing was acknowledged."), "{}", nothing.body);
    assert!(nothing.body.contains("While it did, it was acknowledged by ann."), "{}", nothing.body);
    let by = |name: &str| {
        agent.get("/api/v2/alerts/ack").json().as_array().map(|all| all.iter().filter(|one| one["by"] == name).count())
    };
    assert_eq!(by("cho"), Some(0), "{}", nothing.body);
    let anew = nothing.body.split("action='").nth(1).and_then(|rest| rest.split('\'').next()).expect("a button");
    let anew = format!("/acknowledge{}", anew.replace("&amp;", "&"));
    let done = request(agent.port(), "POST", &anew, &form, "by=cho").expect("an answer");
    assert!(done.status == 200 && done.body.contains("Acknowledged by cho") && by("cho") == Some(1), "{}", done.body);

    // With other groups, nobody knows what the group's link was about.
    let config = config.replace("group_by: [alertname]", "group_by: [instance]");
    agent.write_config(&config);
    assert_eq!(agent.post("/-/reload", "").expect("an answer").status, 200);
    wait_until("the group is gone", LIMIT, || {
        let said = agent.get(group).body;
        said.contains("None of this group is known any more").then_some(())
    });
    assert_eq!(request(agent.port(), "POST", group, &form, "").expect("an answer").status, 404);
}
