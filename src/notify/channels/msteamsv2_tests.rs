use super::super::testing::{firing, json, read, resolved, settings};
use super::*;

fn channel(text: &str) -> Teams {
    let settings: Settings = settings(text);
    let endpoint = Endpoint::new(parse_url(&settings.webhook_url).unwrap(), &settings.http, settings.timeout).unwrap();
    Teams { settings, endpoint, templates: Arc::new(Templates::new()) }
}

#[test]
fn a_card_as_it_is_sent() {
    let channel = channel(
        "{webhook_url: 'https://h/s3cret', title: '{{ .Status }}', text: '{{ (index .Alerts 0).Annotations.summary }}'}",
    );
    insta::assert_snapshot!("msteamsv2_firing", json(&channel.message(&firing("app"), Size::Whole).unwrap()));
    let again = Notification { possible_duplicate: true, ..resolved("app") };
    insta::assert_snapshot!("msteamsv2_resolved", json(&channel.message(&again, Size::Whole).unwrap()));
}

#[test]
fn a_card_is_never_larger_than_teams_takes() {
    let channel = channel("{webhook_url: 'https://h/', title: x, text: '{{ (index .Alerts 0).Labels.db }}'}");
    for text in ["x", "ä", "\"", "\u{1}"] {
        let lengths = [Size::Whole, Size::Short].map(|size| {
            let message = channel.message(&firing(&text.repeat(50_000)), size).unwrap();
            assert!(message.attachments[0].content.body[1].text.ends_with('…'));
            message.length()
        });
        assert!((27_900..=28_000).contains(&lengths[0]), "{text:?}: {lengths:?}");
        assert!((6900..=7000).contains(&lengths[1]), "{text:?}: {lengths:?}");
    }
}

#[test]
fn a_workflow_needs_its_url() {
    let (none, problems) = read::<Settings>("{title: x}", "");
    assert_eq!(none, None);
    assert_eq!(
        problems,
        ["f.yml:1:1: there is no `webhook_url`; add `webhook_url: https://…` or `webhook_url_file: …`"]
    );
}
