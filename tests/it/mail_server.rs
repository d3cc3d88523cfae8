//! Mail through a real server: STARTTLS, a login, a refusal that passes, and conversations.

use std::io::{BufRead as _, BufReader};
use std::process::{Child, ChildStdout, Command, Stdio};
use std::sync::{Arc, Mutex};

use serde_json::Value;
use sidewatch::model::{Alert, Labels, Millis, Problems};
use sidewatch::notify::channels::{Channel, FailureReason, Retry};
use sidewatch::notify::{Notification, Reason, Settings, Templates};
use sidewatch::yaml::{Fields, parse};

use crate::support;

/// The server; `support/mail_server.py` says its moods.
pub struct MailServer {
    child: Child,
    lines: Option<std::io::Lines<BufReader<ChildStdout>>>,
    folder: tempfile::TempDir,
    port: u16,
}

impl MailServer {
    fn start() -> Self {
        Self::start_as("second")
    }

    /// Starts it in a mood.
    pub fn start_as(mood: &str) -> Self {
        let (folder, port) = (tempfile::tempdir().expect("a folder"), support::free_port());
        let path = |name: &str| folder.path().join(name).display().to_string();
        let made = Command::new("openssl")
            .args(["req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=localhost"])
            .args(["-addext", "subjectAltName=DNS:localhost", "-addext", "basicConstraints=critical,CA:FALSE"])
            .args(["-keyout", &path("key.pem"), "-out", &path("cert.pem")])
            .output()
            .expect("openssl runs");
        assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
        let script = path("mail_server.py");
        std::fs::write(&script, include_str!("support/mail_server.py")).expect("written");
        std::fs::write(path("mood"), mood).expect("written");
        let mut child = Command::new("python3")
            .args([&script, &port.to_string(), &path("cert.pem"), &path("key.pem"), &path("mood")])
            .stdout(Stdio::piped())
            .spawn()
            .expect("python3 runs");
        let mut lines = BufReader::new(child.stdout.take().expect("piped")).lines();
        assert_eq!(lines.next().expect("aiosmtpd starts").expect("a line"), "ready");
        Self { child, lines: Some(lines), folder, port }
    }

    /// Its mood from now on.
    pub fn set_mood(&self, mood: &str) {
        // At once, so that nobody reads half of it.
        let (next, path) = (self.folder.path().join("next"), self.folder.path().join("mood"));
        std::fs::write(&next, mood).expect("written");
        std::fs::rename(next, path).expect("renamed");
    }

    /// `global` of `alerting` for it, with a login.
    pub fn global(&self) -> String {
        let certificate = self.folder.path().join("cert.pem");
        format!(
            "smtp_smarthost: 'localhost:{}', smtp_from: s@example.org, smtp_tls_config: {{ca_file: {}}}, \
             smtp_auth_username: sidewatch, smtp_auth_password: s3cret",
            self.port,
            certificate.display()
        )
    }

    /// All that it sees from now on, as it comes.
    pub fn collect(&mut self) -> Arc<Mutex<Vec<Value>>> {
        let attempts = Arc::<Mutex<Vec<Value>>>::default();
        let (seen, lines) = (Arc::clone(&attempts), self.lines.take().expect("not collected yet"));
        std::thread::spawn(move || {
            for line in lines.map_while(Result::ok) {
                seen.lock().expect("no panic").push(serde_json::from_str(&line).expect("JSON"));
            }
        });
        attempts
    }

    /// The channel of `email_configs` with further keys.
    fn channel(&self, more: &str) -> Arc<dyn Channel> {
        let certificate = self.folder.path().join("cert.pem");
        let text = format!(
            "global: {{smtp_smarthost: 'localhost:{}', smtp_from: s@example.org, smtp_tls_config: {{ca_file: {}}}}}\n\
             route: {{receiver: a}}\nreceivers:\n- name: a\n  email_configs:\n  - to: 'a@example.org, b@example.org'\n{more}",
            self.port,
            certificate.display()
        );
        let (node, problems) = (parse(&text, "f.yml").expect("YAML"), Problems::new());
        let settings =
            Settings::read_in(Fields::of(&node, "`alerting`", &problems).expect("a mapping"), self.folder.path());
        assert!(problems.is_empty(), "{problems:?}");
        settings.receivers[0].integrations[0].build(&Arc::new(Templates::new())).expect("a channel")
    }

    /// What the server saw next.
    fn attempt(&mut self) -> Value {
        let lines = self.lines.as_mut().expect("not collected");
        serde_json::from_str(&lines.next().expect("an attempt").expect("a line")).expect("JSON")
    }
}

impl Drop for MailServer {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn notification(ends_at: Option<Millis>) -> Notification {
    let alert = Alert {
        labels: Labels::new([("alertname", "PgFull"), ("instance", "db:5432")]),
        annotations: Labels::new([("summary", "connections: 97 %, größer als sonst")]),
        starts_at: Millis(1_795_230_245_120),
        ends_at,
        value: 0.97,
        generator_url: String::new(),
    };
    Notification {
        receiver: "a".into(),
        integration: ("email", 0),
        group_key: r#"{}:{alertname="PgFull"}"#.into(),
        group_labels: Labels::new([("alertname", "PgFull")]),
        alerts: vec![Arc::new(alert)],
        reason: Reason::First,
        external_url: "http://sidewatch:9640".into(),
        receipt: None,
        possible_duplicate: false,
        asides: sidewatch::notify::Asides::default(),
        at: ends_at.unwrap_or(Millis(1_795_230_250_000)),
    }
}

pub fn header(attempt: &Value, name: &str) -> String {
    let text = attempt["text"].as_str().expect("a text").replace("\r\n ", " ");
    let line = text.lines().find(|line| line.to_lowercase().starts_with(&format!("{name}:")));
    line.unwrap_or_else(|| panic!("no {name} in {text}")).split_once(':').expect("a colon").1.trim().to_owned()
}

#[tokio::test]
async fn mail_goes_out_over_tls_with_a_login_and_comes_again_after_a_refusal_that_passes() {
    let mut server = MailServer::start();
    let channel = server.channel("    auth_username: sidewatch\n    auth_password: s3cret\n");
    let (firing, over) = (notification(None), notification(Some(Millis(1_795_230_900_000))));

    let refused = channel.send(&firing).await.expect_err("451");
    assert_eq!((refused.reason, refused.retry), (FailureReason::ServerError, Retry::Backoff), "{refused}");
    channel.send(&firing).await.expect("250");
    let (first, second) = (server.attempt(), server.attempt());
    assert_eq!((&first["taken"], &second["taken"]), (&false.into(), &true.into()));
    assert_eq!(header(&first, "message-id"), header(&second, "message-id"), "the same message both times");
    assert_eq!((&second["tls"], second["user"].as_str()), (&true.into(), Some("sidewatch")));
    assert_eq!(second["to"], serde_json::json!(["a@example.org", "b@example.org"]));

    let _ = channel.send(&over).await;
    let ended = server.attempt();
    assert_ne!(header(&ended, "message-id"), header(&first, "message-id"));
    for name in ["references", "in-reply-to"] {
        assert_eq!(header(&ended, name), header(&first, name), "one conversation");
    }
    assert_eq!(header(&ended, "subject"), "[RESOLVED] PgFull (db:5432)");
}

#[tokio::test]
async fn a_wrong_password_is_not_tried_again_and_is_nowhere_seen() {
    let server = MailServer::start();
    let channel = server.channel("    auth_username: sidewatch\n    auth_password: wr0ng\n");
    let refused = channel.send(&notification(None)).await.expect_err("535");
    assert_eq!((refused.reason, refused.retry), (FailureReason::AuthError, Retry::Never), "{refused}");
    assert!(!refused.to_string().contains("wr0ng"), "{refused}");
}

#[tokio::test]
async fn a_server_that_is_not_trusted_gets_no_password() {
    let mut server = MailServer::start();
    let other = MailServer::start();
    // The other server's certificate is not this one's.
    std::fs::copy(other.folder.path().join("cert.pem"), server.folder.path().join("cert.pem")).expect("copied");
    let channel = server.channel("    auth_username: sidewatch\n    auth_password: s3cret\n");
    channel.send(&notification(None)).await.expect_err("an unknown certificate");
    server.child.kill().expect("killed");
    assert!(server.lines.as_mut().expect("not collected").next().is_none(), "nothing was handed over");
}
