//! Amazon SNS, played by moto, which checks the signature.

use std::time::Duration;

use serde_json::Value;

use crate::support::{Agent, Answer, HttpApp, HttpServer, Inbox, Moto, wait_until};

const LIMIT: Duration = Duration::from_mins(1);

#[test]
fn a_topic_a_fifo_topic_and_a_wrong_key() {
    let inbox = Inbox::new();
    let taken = inbox.clone();
    let subscriber = HttpServer::start(move |request| {
        taken.put(serde_json::from_str::<Value>(&request.body).unwrap_or_default());
        Answer::new(200, "text/plain", "")
    });
    let moto = Moto::start(&subscriber.url("/"));
    let app = HttpApp::start();
    app.answer(500);
    let folder = tempfile::tempdir().expect("a folder");
    let rules = folder.path().join("rules.yml");
    let rule =
        "{alert: AppDown, expr: probe_success == 0, labels: {severity: critical}, annotations: {summary: 'a & b = ü'}}";
    std::fs::write(&rules, format!("groups: [{{name: g, rules: [{rule}]}}]")).expect("a file");
    let sns = |secret: &str, topic: &str| {
        format!(
            "{{api_url: '{}', sigv4: {{region: eu-central-1, access_key: {}, secret_key: '{secret}'}}, topic_arn: '{}', \
             subject: '{{{{ .Status }}}} {{{{ .GroupLabels.alertname }}}}', message: '{{{{ .CommonAnnotations.summary }}}}', \
             attributes: {{severity: '{{{{ .CommonLabels.severity }}}}'}}}}",
            moto.url(),
            moto.keys.0,
            Moto::topic(topic),
        )
    };
    let agent = Agent::start(&format!(
        "global: {{scrape_interval: 500ms, scrape_timeout: 500ms, evaluation_interval: 500ms}}\n\
         targets: [{{name: app, url: \"{}\"}}]\nrule_files: [\"{}\"]\n\
         alerting:\n  route: {{receiver: aws, group_by: [alertname], group_wait: 0s, group_interval: 1s}}\n  \
         receivers:\n  - name: aws\n    sns_configs: [{}, {}, {}]\n",
        app.url("/health"),
        rules.display(),
        sns(&moto.keys.1, "alerts"),
        sns(&moto.keys.1, "alerts.fifo"),
        sns("wrong-s3cret", "alerts"),
    ));
    let wait = |subject: &str| {
        inbox
            .wait(subject, std::time::Instant::now().checked_sub(LIMIT).unwrap(), LIMIT, |message: &Value| {
                message["Subject"] == subject
            })
            .what
    };
    let alarm = wait("firing AppDown");
    assert_eq!(alarm["Message"], "a & b = ü");
    app.answer(200);
    wait("resolved AppDown");
    let log = wait_until("the agent's log tells of both ways", LIMIT, || {
        let log = agent.log();
        (log.contains("aws/sns[1]") && log.contains("SignatureDoesNotMatch")).then_some(log)
    });
    let lines = |what: &str| log.lines().filter(|line| line.contains(what)).collect::<Vec<_>>().join("\n");
    assert!(lines("aws/sns[1]").contains("notified"), "{log}");
    assert!(!lines("aws/sns[2]").contains("\"notified\"") && !log.contains("s3cret"), "{log}");
    assert!(!log.contains(&moto.keys.1), "{log}");
}
