//! Refusals that last: one attempt, a reason, and no secret in what is said of it.

use super::{LIMIT, SECRET, Stage, services};
use crate::support::{Play, Recorder, Request, wait_until};

/// How each service refuses, and what the metric calls it. The answers repeat what they were asked, secrets and all.
fn refusal(integration: (&str, &str), request: &Request) -> (Play, &'static str) {
    let echo = format!("{} {:?}", request.path, request.header("authorization"));
    let echo = format!("{echo} key {SECRET}").replace('"', "'");
    let text = |status| Play::Answer(crate::support::Answer::new(status, "text/plain", format!("no_service {echo}")));
    match integration {
        ("slack", "0") => (text(404), "clientError"),
        ("slack", _) => {
            (Play::json(200, &format!(r#"{{"ok":false,"error":"invalid_auth","x":"{echo}"}}"#)), "authError")
        }
        ("discord", _) => (Play::json(401, &format!(r#"{{"message":"{echo}","code":0}}"#)), "authError"),
        ("pagerduty", _) => {
            (Play::json(400, &format!(r#"{{"status":"invalid event","errors":["{echo}"]}}"#)), "clientError")
        }
        ("telegram", _) => {
            (Play::json(403, &format!(r#"{{"ok":false,"error_code":403,"description":"{echo}"}}"#)), "authError")
        }
        _ => (text(400), "clientError"),
    }
}

#[test]
fn what_is_refused_for_good_is_asked_once() {
    let mut services = services();
    for service in &mut services {
        let (old, integration) = (service.recorder.url(""), service.integration);
        service.recorder = Recorder::start(move |request| refusal(integration, request).0);
        service.item = service.item.replace(&old, &service.recorder.url(""));
    }
    let stage = Stage::set(services, "5m");
    for service in &stage.services {
        let (request, _) = service.wait("a message", |_, _| true);
        let (_, reason) = refusal(service.integration, &request);
        let labels = [("integration", service.integration.0), ("reason", reason)];
        wait_until(&format!("{:?} failed for {reason}", service.integration), LIMIT, || {
            stage.agent.metrics().sum("sidewatch_notifications_failed_total", &labels).filter(|failed| *failed >= 1.0)
        });
    }
    std::thread::sleep(std::time::Duration::from_secs(2));
    for service in &stage.services {
        // Of the others' failures it is told, as it is one of those that are left to be told.
        let mut asked = service.recorder.requests();
        asked.retain(|request| ["AppDown", "xxxx"].iter().any(|of_it| request.what.body.contains(of_it)));
        assert_eq!(asked.len(), 1, "{:?} was asked again", service.integration);
    }
    assert!(
        stage.agent.log().contains("***"),
        "what was said is in the log, without the secrets: {}",
        stage.agent.log()
    );
    stage.assert_discreet();
}

#[test]
fn a_text_that_telegram_cannot_parse_comes_without_its_markup() {
    let mut services = services();
    services.retain(|service| service.integration.0 == "telegram");
    let error =
        r#"{"ok":false,"error_code":400,"description":"Bad Request: can't parse entities: Unexpected end tag"}"#;
    services[0].recorder.play([Play::json(400, error)]);
    let stage = Stage::set(services, "5m");
    let (_, body) = stage.services[0].wait("a plain message", |_, body| body["parse_mode"].is_null());
    assert!(body["text"].as_str().is_some_and(|text| text.starts_with("firing xxx")), "{body}");
}
