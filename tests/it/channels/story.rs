//! An alert fires and ends, at services that are well.

use super::{SECRET, Stage, services};

#[test]
fn the_end_of_an_alert_is_told_in_each_services_own_way() {
    let stage = Stage::set(services(), "1s");
    let asked = |integration| {
        let (request, _) = stage.service(integration).wait("a message", |_, _| true);
        format!("{} {}", request.method, request.path)
    };
    assert_eq!(asked(("slack", "0")), format!("POST /services/T0/{SECRET}"));
    assert_eq!(asked(("slack", "1")), "POST /api/chat.postMessage");
    assert_eq!(asked(("discord", "0")), format!("POST /api/webhooks/1/{SECRET}?wait=true"));
    assert_eq!(asked(("pagerduty", "0")), "POST /v2/enqueue");
    assert_eq!(asked(("msteamsv2", "0")), format!("POST /workflows/x?sig={SECRET}"));
    assert_eq!(asked(("telegram", "0")), format!("POST /bot1:{SECRET}/sendMessage"));
    let (request, _) = stage.service(("slack", "1")).wait("a message", |_, _| true);
    assert_eq!(request.header("authorization"), Some(format!("Bearer {SECRET}").as_str()));
    let (_, trigger) = stage.service(("pagerduty", "0")).wait("a trigger", |_, body| body["event_action"] == "trigger");

    // Each answers; then the application is well again.
    std::thread::sleep(std::time::Duration::from_millis(500));
    stage.app.answer(200);

    let ended = |title: &serde_json::Value| title.as_str().is_some_and(|title| title.starts_with("resolved"));
    let slack = |_: &_, body: &serde_json::Value| ended(&body["attachments"][0]["title"]);
    let (hook, _) = stage.service(("slack", "0")).wait("a second message", slack);
    assert_eq!(hook.method, "POST", "an incoming webhook cannot edit");
    let (update, body) = stage.service(("slack", "1")).wait("an edit", slack);
    assert_eq!(update.path, "/api/chat.update");
    assert_eq!((&body["channel"], &body["ts"]), (&"C07".into(), &"1795.0001".into()));
    let (patch, _) = stage.service(("discord", "0")).wait("an edit", |_, body| ended(&body["embeds"][0]["title"]));
    assert_eq!((patch.method, patch.path), ("PATCH".into(), format!("/api/webhooks/1/{SECRET}/messages/4711")));
    let (_, resolve) = stage.service(("pagerduty", "0")).wait("a resolve", |_, body| body["event_action"] == "resolve");
    assert_eq!(resolve["dedup_key"], trigger["dedup_key"]);
    let card = |body: &serde_json::Value| body["attachments"][0]["content"]["body"][0].clone();
    let (_, body) = stage.service(("msteamsv2", "0")).wait("a second card", |_, body| ended(&card(body)["text"]));
    assert_eq!(card(&body)["color"], "Good");
    let (edit, body) = stage
        .service(("telegram", "0"))
        .wait("an edit", |_, body| body["text"].as_str().is_some_and(|text| text.starts_with("<b>resolved</b>")));
    assert_eq!((edit.path, &body["message_id"]), (format!("/bot1:{SECRET}/editMessageText"), &815.into()));
    stage.assert_discreet();
}

#[test]
fn a_message_that_cannot_be_edited_is_followed_by_another() {
    use crate::support::{Play, Recorder, Request};
    let mut services = services();
    services.retain(|service| [("slack", "1"), ("discord", "0"), ("telegram", "0")].contains(&service.integration));
    for service in &mut services {
        let edits = |request: &Request| {
            request.method == "PATCH"
                || request.path.ends_with("chat.update")
                || request.path.ends_with("editMessageText")
        };
        let gone = match service.integration.0 {
            "slack" => (200, r#"{"ok":false,"error":"message_not_found"}"#),
            "discord" => (404, r#"{"message":"Unknown Message","code":10008}"#),
            _ => (400, r#"{"ok":false,"error_code":400,"description":"Bad Request: message to edit not found"}"#),
        };
        let posted = match service.integration.0 {
            "slack" => r#"{"ok":true,"channel":"C07","ts":"1795.0001"}"#,
            "discord" => r#"{"id":"4711"}"#,
            _ => r#"{"ok":true,"result":{"message_id":815}}"#,
        };
        let old = service.recorder.url("");
        service.recorder =
            Recorder::start(
                move |request| {
                    if edits(request) { Play::json(gone.0, gone.1) } else { Play::json(200, posted) }
                },
            );
        service.item = service.item.replace(&old, &service.recorder.url(""));
    }
    let stage = Stage::set(services, "1s");
    for service in &stage.services {
        service.wait("a message", |_, _| true);
    }
    std::thread::sleep(std::time::Duration::from_millis(500));
    stage.app.answer(200);
    let (_, thread) = stage
        .service(("slack", "1"))
        .wait("a reply", |request, body| !body["thread_ts"].is_null() && request.method == "POST");
    assert_eq!((&thread["thread_ts"], &thread["reply_broadcast"]), (&"1795.0001".into(), &true.into()));
    stage.service(("discord", "0")).wait("a second message", |request, body| {
        request.method == "POST" && body["embeds"][0]["title"] == "resolved AppDown"
    });
    let (_, reply) = stage.service(("telegram", "0")).wait("a reply", |_, body| !body["reply_parameters"].is_null());
    assert_eq!(reply["reply_parameters"]["message_id"], 815);
    stage.assert_discreet();
}
