use super::super::testing::{firing, json, read, resolved, settings};
use super::*;

fn channel(more: &str) -> Telegram {
    let settings: Settings = settings(&format!("{{bot_token: '1:s3cret', chat_id: -100, {more}}}"));
    let endpoint = Endpoint::new(parse_url(&settings.api_url).unwrap(), &settings.http, settings.timeout).unwrap();
    Telegram { settings, endpoint, templates: Arc::new(Templates::new()) }
}

const MESSAGE: &str = r#"message: '<b>{{ .Status }}</b> {{ (index .Alerts 0).Labels.db }}: {{ (index .Alerts 0).Annotations.summary }} <a href="{{ (index .Alerts 0).GeneratorURL }}">graph</a>'"#;

#[test]
fn a_message_as_it_is_sent() {
    let silent = channel(&format!("{MESSAGE}, disable_notifications: true, message_thread_id: 7"));
    insta::assert_snapshot!("telegram_firing", json(&silent.message(&firing("a<b"), Size::Whole).unwrap()));
    let again = Notification { possible_duplicate: true, ..resolved("app") };
    insta::assert_snapshot!("telegram_resolved", json(&channel(MESSAGE).message(&again, Size::Whole).unwrap()));
}

#[test]
fn a_text_is_cut_with_its_markup_whole() {
    let config = "message: '<b>{{ (index .Alerts 0).Labels.db }}</b>'";
    let text = |size| channel(config).message(&firing(&"<".repeat(5000)), size).unwrap().text;
    let whole = text(Size::Whole);
    assert!(whole.ends_with("&lt;…</b>"));
    assert_eq!(html::plain(&whole).chars().count(), 4096);
    assert_eq!(html::plain(&text(Size::Short)).chars().count(), 1024);
    let markdown = channel("message: '{{ (index .Alerts 0).Labels.db }}', parse_mode: MarkdownV2");
    let again = Notification { possible_duplicate: true, ..firing(&"x".repeat(5000)) };
    let text = markdown.message(&again, Size::Whole).unwrap().text;
    assert!(text.chars().count() <= 4097 && text.ends_with("arrived\\."), "the backslash is not seen: {text}");
}

#[test]
fn parse_mode_may_be_none() {
    let plain = channel("message: x, parse_mode: ''");
    assert!(!json(&plain.message(&firing("x"), Size::Whole).unwrap()).contains("parse_mode"));
}

#[test]
fn what_is_wrong_is_said() {
    let said = |text: &str| read::<Settings>(text, "").1.join("\n");
    assert_eq!(
        said("{}"),
        "f.yml:1:1: there is no `bot_token`; add it here, or `telegram_bot_token` to `global`\n\
         f.yml:1:1: there is no `chat_id`; add `chat_id: …`: a number"
    );
    assert!(said("{bot_token: t, chat_id: '@ops'}").starts_with("f.yml:1:25: the chat's id is no number"));
    assert!(said("{bot_token: t, chat_id: 1, parse_mode: html}").contains("`html` is none of HTML"));
    let (from_global, problems) =
        read::<Settings>("chat_id: 5", "{telegram_bot_token: t, telegram_api_url: 'http://h/'}");
    assert_eq!(problems, [""; 0]);
    assert_eq!(from_global.unwrap().api_url.expose(), "http://h/");
}

#[test]
fn a_message_of_another_chat_is_not_edited() {
    let channel = channel("message: x");
    let receipt = channel.receipt(815);
    assert_eq!((channel.message_id(&receipt), channel.message_id("-101/815")), (Some(815), None));
}
