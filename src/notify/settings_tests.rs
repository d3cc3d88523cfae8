use super::*;
use crate::model::Problems;
use crate::notify::channels::ChannelKind;
use crate::notify::channels::email::Security;
use crate::yaml::parse;

fn read(text: &str) -> (Settings, Vec<String>) {
    let node = parse(text, "f.yml").unwrap();
    let problems = Problems::new();
    let settings = Settings::read(Fields::of(&node, "`alerting`", &problems).unwrap());
    (settings, problems.into_sorted().iter().map(ToString::to_string).collect())
}

const WHOLE: &str = r#"
global: {smtp_smarthost: "mail:587", smtp_from: sidewatch@example.org, smtp_auth_username: u, smtp_auth_password: s3cret}
route: {receiver: on-call, group_by: [alertname], group_wait: 1s}
receivers:
- name: on-call
  webhook_configs:
  - url: "http://hook:8080/t0ken"
  - {url: "https://h/t0ken", send_resolved: false, max_alerts: 3, http_config: {authorization: {credentials: s3cret}}}
  email_configs:
  - to: "oncall@example.org, Two <two@example.org>"
  - {to: x@example.org, smarthost: "mail:465"}
  - {to: x@example.org, require_tls: false, send_resolved: false, headers: {X-Team: shop}}
- name: "null"
"#;

#[test]
fn the_contracts_section_reads() {
    let (settings, problems) = read(WHOLE);
    assert_eq!(problems, [""; 0]);
    let route = settings.route.clone().unwrap();
    assert_eq!((route.receiver.as_str(), route.group_by), ("on-call", GroupBy::Labels(vec!["alertname".into()])));
    let timing = Timing { group_wait: Duration::from_secs(1), ..Timing::default() };
    assert_eq!(route.timing, timing);
    assert_eq!((timing.group_interval.as_secs(), timing.repeat_interval.as_secs()), (300, 14_400));
    assert!(settings.receivers[0].integrations.is_empty());
    let all = &settings.receivers[1].integrations;
    assert_eq!(
        all.iter().map(|integration| integration.send_resolved).collect::<Vec<_>>(),
        [true, false, true, true, false]
    );
    let security: Vec<_> = all[2..]
        .iter()
        .map(|integration| match &integration.channel {
            ChannelKind::Email(email) => email.security,
            ChannelKind::Webhook(_) => panic!(),
        })
        .collect();
    assert_eq!(security, [Security::StartTls, Security::ImplicitTls, Security::Plain]);
    assert_eq!(settings, read(WHOLE).0, "a reload sees that nothing changed");
}

#[test]
fn secrets_are_not_printed() {
    let shown = format!("{:?}", read(WHOLE).0);
    assert!(!shown.contains("s3cret") && !shown.contains("t0ken"), "{shown}");
}

#[test]
fn a_receiver_that_is_not_there_or_twice_is_named_with_its_place() {
    let (_, problems) = read("route: {receiver: on-cal}\nreceivers:\n- name: on-call\n- name: on-call\n");
    assert_eq!(
        problems,
        [
            "f.yml:1:19: there is no receiver `on-cal`; known: on-call",
            "f.yml:4:9: the receiver `on-call` is given twice; rename or join them",
        ]
    );
}

#[test]
fn a_mail_without_server_sender_or_recipient_says_what_is_missing() {
    let text = "route: {receiver: a}\nreceivers:\n- name: a\n  email_configs:\n  - headers: {Subject: '{{ nope }}'}\n";
    assert_eq!(
        read(text).1,
        [
            "f.yml:5:5: an email config has no `from`; add `from: …` here, or `smtp_from` under `global`",
            "f.yml:5:5: an email config has no `smarthost`; add `smarthost: …` here, or `smtp_smarthost` under `global`",
            "f.yml:5:5: an email config has no `to`; add `to: …`",
            "f.yml:5:24: the header `Subject` is no template: function \"nope\" not defined",
        ]
    );
}

#[test]
fn mail_addresses_and_servers_are_checked_where_they_stand() {
    let text = "route: {receiver: a}\nglobal: {smtp_smarthost: mail, smtp_from: nobody}\nreceivers:\n- name: a\n  \
                email_configs:\n  - to: \"a@b.c\\r\\nBcc: d@e.f\"\n";
    let problems = read(text).1;
    assert!(problems[0].starts_with("f.yml:2:26: `smtp_smarthost`: `mail` is not a mail server"), "{problems:?}");
    assert!(problems[1].starts_with("f.yml:2:43: `smtp_from`: `nobody` is not a mail address"), "{problems:?}");
    assert!(problems.iter().any(|said| said.contains("line breaks")), "{problems:?}");
}

#[test]
fn what_is_not_built_yet_says_so() {
    let text = "route: {receiver: a, routes: []}\nreceivers:\n- name: a\n  slack_configs: []\ninhibit_rules: []\nhold_missing: 1h\n";
    let problems = read(text).1;
    for key in ["routes", "slack_configs", "inhibit_rules", "hold_missing"] {
        assert!(problems.iter().any(|said| said.contains(&format!("`{key}` is not built yet"))), "{problems:?}");
    }
}

#[test]
fn a_section_without_a_route_or_with_zero_intervals_is_refused() {
    assert!(read("receivers: []\n").1[0].contains("`alerting` has no `route`"));
    let problems = read("route: {receiver: a, group_interval: 0s, repeat_interval: 0}\nreceivers: [{name: a}]\n").1;
    assert_eq!(problems.len(), 2, "{problems:?}");
}

#[test]
fn credentials_of_a_webhook_stand_in_one_place() {
    let text = |auth: &str| {
        format!(
            "receivers:\n- name: r\n  webhook_configs:\n  - {{url: 'http://u:s3cret@h/', http_config: {{{auth}}}}}\nroute: {{receiver: r}}"
        )
    };
    assert_eq!(read(&text("")).1, [""; 0]);
    let said = read(&text("bearer_token: x")).1.concat();
    assert!(said.contains("credentials are given twice") && !said.contains("s3cret"), "{said}");
}
