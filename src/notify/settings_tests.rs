use super::*;
use crate::model::Problems;
use crate::notify::channels::ChannelKind;
use crate::notify::channels::email::Security;
use crate::notify::{GroupBy, Timing};
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
    let names: Vec<_> = settings.receivers.iter().map(|receiver| receiver.name.as_str()).collect();
    assert_eq!(names, ["on-call", "null"], "as in the file");
    assert!(settings.receivers[1].integrations.is_empty());
    let all = &settings.receivers[0].integrations;
    assert_eq!(
        all.iter().map(|integration| integration.send_resolved).collect::<Vec<_>>(),
        [true, false, true, true, false]
    );
    let security: Vec<_> = all[2..]
        .iter()
        .map(|integration| match &integration.channel {
            ChannelKind::Email(email) => email.security,
            _ => panic!(),
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
    let text = "route: {receiver: a}\nreceivers:\n- name: a\n  webex_configs: []\ntracing: {}\n";
    let problems = read(text).1;
    for key in ["webex_configs", "tracing"] {
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

const TREE: &str = r#"
route:
  receiver: all
  group_by: [alertname]
  routes:
  - matchers: [team="db", severity=~"critical|page"]
    receiver: db
    group_by: ['...']
    mute_time_intervals: [nights]
    routes:
    - {match: {b: '2'}, match_re: {a: 'x|y'}, group_wait: 1s, group_by: []}
  - {receiver: db, active_time_intervals: [nights, weekends], continue: true}
receivers: [{name: all}, {name: db}]
time_intervals:
- name: nights
  time_intervals: [{times: [{start_time: '22:00', end_time: '24:00'}], location: Europe/Berlin}]
mute_time_intervals:
- name: weekends
  time_intervals: [{weekdays: ['saturday', 'sunday'], months: [1:3], years: ['2026'], days_of_month: ['-3:-1']}]
inhibit_rules:
- {name: n, source_matchers: [severity="critical"], target_matchers: ['severity="warning"'], equal: [cluster]}
- {source_match: {a: '1'}, target_match_re: {b: '2|3'}}
"#;

#[test]
fn routes_inherit_what_they_do_not_say() {
    let (settings, problems) = read(TREE);
    assert_eq!(problems, [""; 0]);
    let root = settings.route.unwrap();
    let (db, second) = (&root.routes[0], &root.routes[1]);
    assert_eq!(db.key, r#"{}/{severity=~"critical|page",team="db"}"#);
    assert_eq!((db.receiver.as_str(), &db.group_by, db.timing), ("db", &GroupBy::All, Timing::default()));
    assert_eq!((db.hours.muted[0].name.as_ref(), db.hours.active.len(), db.goes_on), ("nights", 0, false));
    let inner = &db.routes[0];
    assert_eq!(inner.key, r#"{}/{severity=~"critical|page",team="db"}/{a=~"^(?:x|y)$",b="2"}"#);
    assert_eq!(
        (inner.receiver.as_str(), &inner.group_by),
        ("db", &GroupBy::Labels(vec![])),
        "an empty list is said too"
    );
    assert_eq!((inner.timing.group_wait.as_secs(), inner.hours.muted.len()), (1, 0), "hours are not inherited");
    assert_eq!((second.key.as_str(), second.hours.active.len(), second.goes_on), ("{}/{}", 2, true));
    assert_eq!(settings.inhibit_rules.len(), 2);
    assert_eq!(settings.inhibit_rules[0].equal, ["cluster"]);
}

#[test]
fn mistakes_in_routes_rules_and_intervals_have_their_places() {
    let text = r#"
route:
  receiver: a
  matchers: [x=1]
  mute_time_intervals: [n]
  routes:
  - {receiver: b, matchers: ['x'], group_by: [x, x]}
  - {match_re: {x: '('}, mute_time_intervals: [nowhen], contineu: true}
receivers: [{name: a}]
inhibit_rules: [{source_matchers: ['a=~"["'], sources: []}]
time_intervals:
- {name: n, time_intervals: [{times: [{start_time: '9:00'}], weekdays: [mon], months: ['13'], location: Nowhere}]}
- {name: n}
"#;
    let problems = read(text).1;
    assert_eq!(
        problems,
        [
            "f.yml:4:13: the root route takes everything, so it has no `matchers`; remove it",
            "f.yml:5:24: the root route takes everything, so it has no `mute_time_intervals`; remove it",
            "f.yml:7:16: there is no receiver `b`; known: a",
            "f.yml:7:30: bad matcher format: x; write it as label=\"value\", with =, !=, =~ or !~",
            "f.yml:7:46: `group_by` names `x` twice; keep one of them",
            "f.yml:8:20: `(` is not a regular expression",
            "f.yml:8:48: there is no time interval `nowhen`; known: n",
            "f.yml:8:57: unknown key `contineu` in a route; did you mean `continue`?",
            "f.yml:10:36: `[` is not a regular expression; write it as label=\"value\", with =, !=, =~ or !~",
            "f.yml:10:47: unknown key `sources` in an inhibition rule; known here: equal, name, source_match, \
             source_match_re, source_matchers, target_match, target_match_re, target_matchers",
            "f.yml:12:39: an item of `times` has no `end_time`; write both, such as '09:00' and '17:00'",
            "f.yml:12:52: `start_time`: `9:00` is no time of day; write it as 09:30, up to 24:00",
            "f.yml:12:73: `mon` is no day of the week; write sunday to saturday",
            "f.yml:12:88: `13` is no month; write january to december, or 1 to 12",
            "f.yml:12:105: `location`: `Nowhere` is no time zone; write a name of the IANA database, such as Europe/Berlin",
            "f.yml:13:10: the time interval `n` is given twice; rename or join them",
        ]
    );
}

#[test]
fn a_file_of_alertmanagers_stands_for_the_whole_schema() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("am.yml"), TREE).unwrap();
    let read = |text: &str| {
        let node = parse(text, "f.yml").unwrap();
        let problems = Problems::new();
        let fields = Fields::of(&node, "`alerting`", &problems).unwrap();
        let settings = Settings::read_in(fields, folder.path());
        (settings, problems.into_sorted().iter().map(ToString::to_string).collect::<Vec<_>>())
    };
    let (mut of_file, said) = read("config_file: am.yml\n");
    assert!(of_file.original.contains("route:\n"), "the API shows the file, not the section: {}", of_file.original);
    of_file.original.clear();
    assert_eq!((of_file, said), (self::read(TREE).0, vec![]));
    let said = read("config_file: am.yml\nroute: {receiver: all}\n").1;
    assert_eq!(
        said,
        ["f.yml:2:8: `route` is given beside `config_file`, which holds the whole schema; move it into that file"]
    );
    assert!(read("config_file: none.yml\n").1[0].contains("none.yml"), "a file that is not there");
    std::fs::write(folder.path().join("bad.yml"), "route: {receiver: x}\nreceivers: [{name: y}]\n").unwrap();
    assert!(read("config_file: bad.yml\n").1[0].ends_with("bad.yml:1:19: there is no receiver `x`; known: y"));
}

/// As programs write them that write every key.
#[test]
fn a_root_that_narrows_nothing_may_say_so() {
    let text = "receivers: [{name: a}]\nroute: {receiver: a, continue: false, matchers: [], match: {}, mute_time_intervals: []}\n";
    assert_eq!(read(text).1, [""; 0]);
    let text = "receivers: [{name: a}]\nroute: {receiver: a, continue: true}\ninhibit_rules: [{equal: ['']}]\n";
    assert_eq!(read(text).1.len(), 2);
}

const TWO: &str = "route: {receiver: a, routes: [{matchers: [severity=none], receiver: 'null'}]}\nreceivers:\n\
    - {name: a, webhook_configs: [{url: 'http://h/'}]}\n- {name: 'null'}\n";

#[test]
fn a_canary_reads_with_its_defaults_and_goes_where_it_can_arrive() {
    let (settings, problems) = read(&format!("{TWO}canary: {{receivers: [a], ping: {{url: 'https://hc/k3y'}}}}\n"));
    assert_eq!(problems, [""; 0]);
    let canary = settings.canary.unwrap();
    assert_eq!((canary.interval, canary.ping.is_some()), (Duration::from_mins(15), true));
    assert!(!format!("{canary:?}").contains("k3y"));
    assert_eq!(read(TWO).0.canary, None);
}

#[test]
fn a_canary_that_cannot_arrive_says_so_with_its_place() {
    let of = |canary: &str| read(&format!("{TWO}canary: {canary}\n")).1;
    let no_channel = "the receiver `null` has no channel, so no canary can arrive there; name those that have one as the \
                      canary's `receivers`";
    assert_eq!(of("{}"), [format!("f.yml:5:9: {no_channel}")], "where the routes lead it");
    assert_eq!(of("{receivers: ['null']}"), [format!("f.yml:5:21: {no_channel}")]);
    assert_eq!(of("{receivers: [b]}"), ["f.yml:5:21: there is no receiver `b`; known: a, null"]);
    assert_eq!(
        of("{receivers: [a], interval: 100ms, every: 5}"),
        [
            "f.yml:5:36: a canary needs a longer `interval`; write at least 1s, better some minutes",
            "f.yml:5:43: unknown key `every` in `canary`; known here: arrivals, interval, ping, receivers",
        ]
    );
    let arrivals = |item: &str| of(&format!("{{receivers: [a], arrivals: [{item}]}}"));
    assert_eq!(
        arrivals("{receiver: a, url: 'http://m/?q={id}'}"),
        ["f.yml:5:36: there is no receiver `a` with a channel `email`; known receivers: a, null"]
    );
    assert_eq!(
        arrivals("{receiver: a, integration: webhook, url: 'http://m/', contains: found}"),
        [
            "f.yml:5:78: neither `url` nor `contains` names the message, so any would do; put `{id}` where the message's id \
          belongs"
        ]
    );
    let found = "{receiver: a, integration: webhook, url: 'http://m/{id}'}";
    assert_eq!(
        arrivals(&format!("{found}, {found}")),
        ["f.yml:5:36: it is said twice where messages of `a` by `webhook` arrive; say it once: one place is asked"]
    );
    assert_eq!(of("{receivers: [a, a]}"), ["f.yml:5:21: the receiver `a` is named twice; name it once"]);
    assert_eq!(arrivals("{receiver: a, integration: webhook, url: 'http://m/messages'}"), [""; 0]);
    let chat = TWO.replace("webhook_configs: [{url: 'http://h/'}]", "ntfy_configs: [{url: 'http://n/', topic: t}]");
    assert_eq!(
        read(&format!(
            "{chat}canary: {{receivers: [a], arrivals: [{{receiver: a, integration: ntfy, url: 'http://m/{{id}}'}}]}}\n"
        ))
        .1,
        [
            "f.yml:5:36: messages by `ntfy` hold no id, so none can be looked for; remove it: its answer counts; `email` and \
          `webhook` can be looked for"
        ]
    );
}

#[test]
fn a_canary_that_nobody_gets_says_so_with_its_place() {
    let said = read("alertmanagers: ['http://am:9093']\ncanary: {interval: 5m}\n").1;
    assert_eq!(
        said,
        [
            "f.yml:2:9: nobody is told of alerts here, so the canary goes nowhere: it is not handed to Alertmanagers; add `route` \
          and `receivers` to `alerting`, or remove `canary`"
        ]
    );
}

#[test]
fn who_only_hands_alerts_over_needs_no_route() {
    let (settings, said) = read("alertmanagers: ['http://am:9093']\nglobal: {resolve_timeout: 1m}\n");
    assert_eq!((said, settings.route), (vec![], None));
    assert_eq!(settings.handover.alertmanagers.len(), 1);
    let said = read("alertmanagers: ['http://am:9093']\nreceivers: [{name: a}]\n").1;
    assert!(said[0].contains("`alerting` has no `route`"), "{said:?}");
    let (settings, said) = read("alertmanagers: []\nreceivers: [{name: a}]\nroute: {receiver: a}\n");
    assert_eq!((said, settings.handover), (vec![], handover::Settings::default()));
}
