//! Failures that pass: each is outlived, none is hurried, and what was too large comes again shorter.

use std::time::Duration;

use super::{LIMIT, Stage, services};
use crate::support::{Play, wait_until};

/// As each service says that it is busy, in its body.
fn busy(service: &str) -> Play {
    match service {
        "discord" => Play::json(429, r#"{"message":"You are being rate limited.","retry_after":1.5,"global":false}"#),
        "telegram" => Play::json(
            429,
            r#"{"ok":false,"error_code":429,"description":"Too Many Requests","parameters":{"retry_after":2}}"#,
        ),
        "slack" => Play::json(200, r#"{"ok":false,"error":"ratelimited"}"#),
        "msteamsv2" => Play::Answer(crate::support::Answer::new(
            200,
            "text/plain",
            "Webhook message delivery failed with error: Microsoft Teams endpoint returned HTTP error 429",
        )),
        _ => Play::json(429, r#"{"status":"throttled"}"#),
    }
}

#[test]
fn every_failure_that_passes_is_outlived() {
    let services = services();
    for service in &services {
        service.recorder.play([
            Play::busy(2, "{}"),
            Play::BusyUntil(4),
            busy(service.integration.0),
            Play::Close,
            Play::page(200),
            Play::Hang,
            Play::json(500, "{}"),
            Play::json(413, "{}"),
        ]);
    }
    let stage = Stage::set(services, "5m");
    for service in &stage.services {
        let requests = wait_until(&format!("all is through at {:?}", service.integration), LIMIT, || {
            Some(service.recorder.requests()).filter(|requests| requests.len() >= 9)
        });
        let waits: Vec<_> = requests.windows(2).map(|pair| pair[1].at - pair[0].at).collect();
        assert!(waits[0] >= Duration::from_secs(2), "{:?}: {waits:?}", service.integration);
        // A date has whole seconds, so up to one of the four is lost.
        assert!(waits[1] >= Duration::from_secs(3), "{:?}: {waits:?}", service.integration);
        if matches!(service.integration.0, "discord" | "telegram") {
            assert!(waits[2] >= Duration::from_millis(1500), "{:?}: {waits:?}", service.integration);
        }
        let lengths: Vec<_> = requests.iter().map(|request| request.what.body.len()).collect();
        assert!(lengths[8] < lengths[7], "after 413 comes a shorter one: {lengths:?}");
        let (integration, index) = service.integration;
        let labels = [("receiver", "all"), ("integration", integration), ("index", index)];
        let delivered = wait_until(&format!("{integration} is told"), LIMIT, || {
            let page = stage.agent.metrics();
            let line = page.find("sidewatch_notifications_total", &labels[..2]).map(|line| line.value).sum::<f64>();
            (line >= 1.0).then_some(line)
        });
        assert!(delivered >= 1.0);
    }
    std::thread::sleep(Duration::from_millis(500));
    for service in &stage.services {
        assert_eq!(service.recorder.requests().len(), 9, "{:?} took the last one", service.integration);
    }
    stage.assert_discreet();
}
