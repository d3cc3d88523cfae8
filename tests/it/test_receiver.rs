//! `sidewatch test receiver`, beside servers that take the message and that do not.

use std::sync::{Arc, Mutex};

use serde_json::Value;

use crate::support::{Answer, HttpServer, command, try_run};

/// A server that keeps what it is sent and answers with a status.
fn server(status: u16) -> (HttpServer, Arc<Mutex<Vec<Value>>>) {
    let bodies = Arc::new(Mutex::new(Vec::new()));
    let kept = Arc::clone(&bodies);
    let server = HttpServer::start(move |request| {
        kept.lock().expect("no panic").push(serde_json::from_str(&request.body).expect("JSON"));
        Answer::new(status, "text/plain", "so it is")
    });
    (server, bodies)
}

#[test]
fn a_receiver_is_tried_channel_by_channel() {
    let ((good, taken), (bad, _)) = (server(200), server(400));
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("sidewatch.yml");
    let config = format!(
        "alerting:\n  route: {{receiver: good}}\n  receivers:\n  - {{name: good, webhook_configs: [{{url: '{}'}}]}}\n  \
         - {{name: mixed, webhook_configs: [{{url: '{}'}}, {{url: '{}'}}]}}\n  - {{name: none}}\n",
        good.url("/"),
        bad.url("/s3cret"),
        good.url("/"),
    );
    std::fs::write(&file, config).expect("our folder");
    let tried = |words: &[&str]| try_run(command().args(["test", "receiver"]).args(words).arg("--config").arg(&file));
    assert_eq!(tried(&["good"]), (true, "good/webhook[0]: taken\n".into()));
    let first = taken.lock().expect("no panic").remove(0);
    assert_eq!(
        (&first["status"], &first["alerts"][0]["labels"]["alertname"]),
        (&"firing".into(), &"SidewatchTest".into())
    );
    let (well, said) = tried(&["mixed", "--end"]);
    assert_eq!((well, said.lines().count()), (false, 2), "{said}");
    assert!(said.starts_with("mixed/webhook[0]: answered 400 Bad Request: so it is (clientError)\n"), "{said}");
    assert!(!said.contains("s3cret"), "{said}");
    let statuses: Vec<_> = taken.lock().expect("no panic").iter().map(|body| body["status"].clone()).collect();
    assert_eq!(statuses, ["firing", "resolved"]);
    for (name, words) in [("none", "has no channel"), ("nobody", "known: good, mixed, none")] {
        let (well, said) = tried(&[name]);
        assert!(!well && said.contains(words), "{said}");
    }
}
