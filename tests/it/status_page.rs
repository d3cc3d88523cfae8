//! The page at `/` in a real browser, as wide as a telephone: what fires and what becomes of it, and the forms.

use std::time::Duration;

use serde_json::{Value, json};

use crate::support::{Agent, Browser, WebhookSink, request, wait_until};

const LIMIT: Duration = Duration::from_secs(30);

fn config(folder: &std::path::Path, sink: &WebhookSink) -> String {
    let rules =
        "groups: [{name: g, rules: [{alert: Soon, expr: vector(1), for: 1h, annotations: {summary: not yet}}]}]\n";
    std::fs::write(folder.join("rules.yml"), rules).expect("our folder");
    format!(
        "targets: []\nrule_files: [\"{}\"]\nglobal: {{evaluation_interval: 1s}}\nalerting:\n  \
         route:\n    receiver: hook\n    group_by: ['...']\n    group_wait: 0s\n    group_interval: 1s\n    routes:\n    \
         - {{matchers: [alertname=Slow], receiver: hook, group_wait: 1h}}\n    - {{matchers: [alertname=Lost], receiver: lost}}\n  \
         inhibit_rules: [{{source_matchers: [alertname=Parent], target_matchers: [alertname=Child]}}]\n  \
         receivers: [{{name: hook, webhook_configs: [{{url: \"{}\"}}]}}, {{name: lost, webhook_configs: [{{url: \"{}/x\"}}]}}]\n",
        folder.join("rules.yml").display(),
        sink.url(),
        refusing()
    )
}

/// Where nobody takes a message, for good.
fn refusing() -> String {
    let server = crate::support::HttpServer::start(|_| crate::support::Answer::new(404, "text/plain", "no such hook"));
    let url = server.url("");
    // Until the test's end.
    std::mem::forget(server);
    url
}

/// Whether the page's text holds it by and by; the page is opened anew each time.
fn shows(browser: &Browser, agent: &Agent, what: &str) {
    let mut last = String::new();
    let seen = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
        wait_until(what, LIMIT, || {
            browser.open(&format!("http://127.0.0.1:{}/", agent.port()));
            last = browser.text();
            last.contains(what).then_some(())
        });
    }));
    assert!(seen.is_ok(), "the page never shows `{what}`:\n{last}");
}

/// Fills in the first form of an alert's entry that goes to `action`, and sends it by its button.
fn send(browser: &Browser, entry: &str, action: &str, fields: &[(&str, &str)]) {
    let fields: Value =
        fields.iter().map(|(name, value)| ((*name).to_owned(), json!(value))).collect::<serde_json::Map<_, _>>().into();
    let sent = browser.run(&format!(
        "const entry = [...document.querySelectorAll('.entry')].find(it =>\
         it.innerText.includes({entry:?}) && it.querySelector('form[action=\"{action}\"]'));\
         const form = entry.querySelector('form[action=\"{action}\"]');\
         for (let box = form; box; box = box.parentElement) if (box.tagName === 'DETAILS') box.open = true;\
         for (const [name, value] of Object.entries({fields})) form.elements[name].value = value;\
         form.querySelector('button').click(); return true;"
    ));
    assert_eq!(sent, true);
}

#[test]
fn alerts_are_acknowledged_and_silenced_from_a_telephone() {
    let (folder, sink) = (tempfile::tempdir().expect("a folder"), WebhookSink::start());
    let agent = Agent::start(&config(folder.path(), &sink));
    let long = "x".repeat(300);
    let alerts = json!([
        {"labels": {"alertname": "Queue", "where": long}, "annotations": {"summary": "<b>long</b> & slow"}},
        {"labels": {"alertname": "Parent"}}, {"labels": {"alertname": "Child"}}, {"labels": {"alertname": "Slow"}},
        {"labels": {"alertname": "Lost"}}, {"labels": {"alertname": "Unseen"}, "annotations": {"held": "no data since noon"}},
    ]);
    assert_eq!(agent.post("/api/v2/alerts", &alerts.to_string()).expect("an answer").status, 200);

    let browser = Browser::start(400);
    shows(&browser, &agent, "lost is not told: notifications to it fail");
    shows(&browser, &agent, "Soon: waiting for");
    let text = browser.text();
    for expected in [
        "Queue: firing for",
        "<b>long</b> & slow",
        "inhibited by Parent",
        "waiting for others of its group",
        "Unseen: held for",
        "held: no data since noon",
        "it fires in 59m",
        "clientError: answered 404",
        "Nothing is silenced.",
    ] {
        assert!(text.contains(expected), "`{expected}` is missing:\n{text}");
    }
    let widths = browser.run("return [document.documentElement.scrollWidth, window.innerWidth]");
    assert_eq!(widths, json!([400, 400]), "nothing is beside the screen");

    send(&browser, "Queue: firing", "page/acknowledge", &[("by", "ann <a>")]);
    shows(&browser, &agent, "acknowledged by ann <a>");
    assert_eq!(agent.get("/api/v2/alerts/ack").json()[0]["by"], "ann <a>");
    let shown = agent.get("/api/v2/alerts?filter=alertname%3DQueue").json();
    assert_eq!(shown[0]["acknowledged"]["by"], "ann <a>", "{shown}");

    let matchers = "alertname=Parent";
    send(
        &browser,
        "Parent: firing",
        "page/silence",
        &[("matchers", matchers), ("comment", "we know"), ("by", "bob"), ("for", "8h")],
    );
    shows(&browser, &agent, "silenced by bob for another 7h59m");
    let silences = agent.get("/api/v2/silences").json();
    assert_eq!((&silences[0]["comment"], &silences[0]["createdBy"]), (&json!("we know"), &json!("bob")));
    send(&browser, "we know", "page/expire", &[]);
    shows(&browser, &agent, "Nothing is silenced.");

    // What a form says wrongly is told, and what comes from elsewhere is refused.
    send(&browser, "Parent: firing", "page/silence", &[("matchers", "{"), ("comment", "x"), ("by", "bob")]);
    wait_until("the refusal", LIMIT, || browser.text().contains("Nothing was done:").then_some(()));

    // Who may not change anything gets no buttons, and is told why.
    let strange =
        request(agent.port(), "GET", "/", &[("origin", "http://elsewhere.example")], "").expect("an answer").body;
    assert!(strange.contains("This page only shows: ") && !strange.contains("<form"), "{strange}");

    // A proxy may have put the agent behind a path: nothing on the page leads to the root.
    let page = agent.get("/").body;
    assert!(page.contains("action=page/silence") && !page.contains("=/"), "{page}");
    let form = [("content-type", "application/x-www-form-urlencoded")];
    let silence = "matchers=a%3Db&for=1h&comment=x&by=y";
    let done = request(agent.port(), "POST", "/page/silence", &form, silence).expect("an answer");
    assert_eq!((done.status, done.header("location")), (303, Some("../#silences")));
    let foreign = [("content-type", "application/x-www-form-urlencoded"), ("origin", "http://elsewhere.example")];
    for path in ["/page/acknowledge", "/page/silence", "/page/expire"] {
        assert_eq!(request(agent.port(), "POST", path, &foreign, "").expect("an answer").status, 403, "{path}");
    }
}
