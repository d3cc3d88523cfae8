use super::super::testing::{firing, json, read, resolved, settings};
use super::*;

const WHOLE: &str = r"
webhook_url: https://discord.com/api/webhooks/1/s3cret
content: '<@&77> <@!78> look: {{ (index .Alerts 0).Labels.db }}'
title: '{{ .GroupLabels.alertname }} {{ .Status }}'
message: '{{ range .Alerts }}{{ .Annotations.summary }}{{ end }}'
username: Sidewatch
avatar_url: https://example.org/a.png
";

fn channel(text: &str) -> Discord {
    let settings: Settings = settings(text);
    let endpoint = Endpoint::new(parse_url(&settings.webhook_url).unwrap(), &settings.http, settings.timeout).unwrap();
    Discord { settings, endpoint, templates: Arc::new(Templates::new()) }
}

#[test]
fn a_message_as_it_is_sent() {
    let channel = channel(WHOLE);
    insta::assert_snapshot!("discord_firing", json(&channel.message(&firing("app"), Size::Whole).unwrap()));
    let again = Notification { possible_duplicate: true, ..resolved("app") };
    insta::assert_snapshot!("discord_resolved", json(&channel.message(&again, Size::Whole).unwrap()));
    assert_eq!(channel.url_of("9").as_str(), "https://discord.com/api/webhooks/1/s3cret/messages/9");
}

#[test]
fn only_the_configuration_pings() {
    assert_eq!(Mentions::of("{{ .X }} <@5"), Mentions { parse: vec![], users: vec!["5".into()], roles: vec![] });
    assert_eq!(Mentions::of("<@{{ .X }}> a@here").parse, ["everyone"]);
    let message =
        channel("{webhook_url: 'http://h/', message: '{{ (index .Alerts 0).Annotations.summary }}', title: x}");
    let message = message.message(&firing("app"), Size::Whole).unwrap();
    assert!(message.embeds[0].description.contains("@everyone"));
    assert_eq!(message.allowed_mentions, Mentions { parse: vec![], users: vec![], roles: vec![] });
}

#[test]
fn texts_are_cut_to_discords_limits() {
    let text = "{{ (index .Alerts 0).Labels.db }}";
    let channel =
        channel(&format!("{{webhook_url: 'http://h/', title: '{text}', message: '{text}', content: '{text}'}}"));
    let lengths = |size| {
        let message = channel.message(&firing(&"ä".repeat(10_000)), size).unwrap();
        let [embed] = message.embeds;
        [embed.title, embed.description, message.content].map(|text| {
            assert!(text.ends_with('…'));
            text.chars().count()
        })
    };
    assert_eq!(lengths(Size::Whole), [256, 4096, 2000]);
    assert_eq!(lengths(Size::Short), [64, 1024, 500]);
}

#[test]
fn what_is_wrong_is_said_without_the_secret() {
    let said = |text| read::<Settings>(text, "").1.join("\n");
    assert_eq!(
        said("{}"),
        "f.yml:1:1: there is no `webhook_url`; add `webhook_url: https://…` or `webhook_url_file: …`"
    );
    assert_eq!(
        said("webhook_url: 'ftp://h/s3cret'"),
        "f.yml:1:14: `webhook_url` is neither http:// nor https://; write `https://…`"
    );
    assert!(said("{webhook_url: 'http://h/', title: '{{ .X'}").starts_with("f.yml:1:35: `title`: not a template: "));
    assert!(said("{webhook_url: 'http://h/', titel: x}").contains("did you mean `title`?"));
}
