//! The configuration as Alertmanager's API shows it: YAML that `amtool` reads, with `<secret>` where a secret stands.
//!
//! What only Sidewatch knows is there as a comment, since Alertmanager's programs refuse keys they do not know.

use std::fmt::Write as _;

use crate::yaml::{Node, Value};

/// What Alertmanager 0.33 has at the top.
const SECTIONS: [&str; 8] =
    ["global", "route", "receivers", "inhibit_rules", "time_intervals", "mute_time_intervals", "templates", "tracing"];

/// The kinds of channels that Alertmanager 0.33 has.
const CHANNELS: [&str; 18] = [
    "discord_configs",
    "email_configs",
    "incidentio_configs",
    "jira_configs",
    "mattermost_configs",
    "msteams_configs",
    "msteamsv2_configs",
    "opsgenie_configs",
    "pagerduty_configs",
    "pushover_configs",
    "rocketchat_configs",
    "slack_configs",
    "sns_configs",
    "telegram_configs",
    "victorops_configs",
    "webex_configs",
    "webhook_configs",
    "wechat_configs",
];

/// Keys of those channels that only Sidewatch has.
const OWN_KEYS: [&str; 4] = ["signing_secret", "signing_secret_file", "hmac_secret", "hmac_secret_file"];

/// Without a section nobody is told, which Alertmanager says by a receiver without channels.
const NOBODY: &str =
    "# There is no section `alerting`: nobody is told.\nroute:\n  receiver: nobody\nreceivers:\n- name: nobody\n";

/// Alerts may be handed to Alertmanagers alone.
const ONLY_HANDED_OVER: &str =
    "# There is no `route`: the agent itself tells nobody.\nroute:\n  receiver: nobody\nreceivers:\n- name: nobody\n";

/// The text for a section, or for none.
pub fn original(section: Option<&Node>) -> String {
    let Some(Node { value: Value::Map(entries), .. }) = section else { return NOBODY.into() };
    let mut text = String::new();
    for (key, _, node) in entries {
        write_entry(&mut text, "", key, node, &[]);
    }
    if !entries.iter().any(|(key, ..)| matches!(key.as_str(), "route" | "config_file")) {
        text.push_str(ONLY_HANDED_OVER);
    }
    text
}

/// One key with its value. `path` is the keys above it.
fn write_entry(text: &mut String, indent: &str, key: &str, node: &Node, path: &[&str]) {
    if is_own(key, path) {
        let mut own = String::new();
        write_value(&mut own, "", key, node, path);
        for line in own.lines() {
            let _ = writeln!(text, "{indent}# {line}");
        }
    } else {
        write_value(text, indent, key, node, path);
    }
}

fn write_value(text: &mut String, indent: &str, key: &str, node: &Node, path: &[&str]) {
    let path = [path, &[key]].concat();
    let key = scalar(key, false);
    match &node.value {
        Value::Map(entries) if !entries.is_empty() => {
            let _ = writeln!(text, "{indent}{key}:");
            let deeper = format!("{indent}  ");
            for (key, _, node) in entries {
                write_entry(text, &deeper, key, node, &path);
            }
        }
        Value::List(items) if !items.is_empty() => {
            let _ = writeln!(text, "{indent}{key}:");
            for item in items {
                write_item(text, indent, item, &path);
            }
        }
        _ => {
            let _ = writeln!(text, "{indent}{key}: {}", leaf(node, &path));
        }
    }
}

fn write_item(text: &mut String, indent: &str, item: &Node, path: &[&str]) {
    match &item.value {
        Value::Map(entries) if !entries.is_empty() => {
            let mut inner = String::new();
            let deeper = format!("{indent}  ");
            for (key, _, node) in entries {
                write_entry(&mut inner, &deeper, key, node, path);
            }
            // The first key stands beside the dash, unless it is a comment.
            let beside = inner.strip_prefix(&deeper).filter(|rest| !rest.starts_with('#'));
            let _ = match beside {
                Some(rest) => write!(text, "{indent}- {rest}"),
                None => write!(text, "{indent}-\n{inner}"),
            };
        }
        Value::List(items) => {
            let items: Vec<_> = items.iter().map(|item| leaf(item, path)).collect();
            let _ = writeln!(text, "{indent}- [{}]", items.join(", "));
        }
        _ => {
            let _ = writeln!(text, "{indent}- {}", leaf(item, path));
        }
    }
}

/// A value that stands on its key's line.
fn leaf(node: &Node, path: &[&str]) -> String {
    match &node.value {
        Value::Null => "null".into(),
        Value::Map(_) => "{}".into(),
        Value::List(_) => "[]".into(),
        Value::Scalar { .. } if is_secret(path) => "<secret>".into(),
        Value::Scalar { text, quoted } => scalar(&without_password(text), *quoted),
    }
}

/// As it can be written in one line; in quotes unless it needs none.
fn scalar(text: &str, quoted: bool) -> String {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "_-./".contains(c);
    let plain =
        text.starts_with(|c: char| c.is_ascii_alphanumeric() || c == '_' || c == '/') && text.chars().all(is_plain);
    // JSON's quoting is YAML's too.
    if plain && !quoted { text.to_owned() } else { serde_json::Value::from(text).to_string() }
}

/// Whether only Sidewatch knows this key.
fn is_own(key: &str, path: &[&str]) -> bool {
    match path {
        [] => !SECTIONS.contains(&key),
        ["receivers"] => key.ends_with("_configs") && !CHANNELS.contains(&key),
        ["receivers", _] => OWN_KEYS.contains(&key),
        _ => false,
    }
}

/// Whether Alertmanager holds this value as a secret, or we do. Files' paths are none.
fn is_secret(path: &[&str]) -> bool {
    let key = path.last().copied().unwrap_or_default();
    let channel = if let ["receivers", channel, ..] = path { *channel } else { "" };
    if key.ends_with("_file") {
        return false;
    }
    let by_name = ["password", "secret", "token", "credentials", "api_key", "routing_key", "service_key", "user_key"];
    by_name.iter().any(|end| key.ends_with(end))
        || matches!(key, "secrets" | "secret_key" | "webhook_url" | "slack_api_url" | "token_id" | "bot_token")
        || matches!(path, ["canary", "ping" | "arrivals", "url"])
        || matches!(
            (channel, key),
            ("webhook_configs" | "ping_configs" | "googlechat_configs" | "incidentio_configs", "url")
                | ("slack_configs", "api_url")
                // Whoever knows a topic may read it and publish under it.
                | ("ntfy_configs", "topic")
        )
}

/// A URL without the password in it.
fn without_password(text: &str) -> String {
    match url::Url::parse(text) {
        Ok(mut url) if url.password().is_some() => match url.set_password(Some("xxxxx")) {
            Ok(()) => url.into(),
            Err(()) => "<secret>".into(),
        },
        _ => text.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_section_that_only_hands_alerts_over_is_one_that_alertmanagers_programs_read() {
        let text =
            "alertmanagers: ['http://u:pw@am:9093', {url: 'http://two', basic_auth: {username: u, password: hunter2}}]";
        insta::assert_snapshot!(original(Some(&crate::yaml::parse(text, "test").unwrap())), @r###"
        # alertmanagers:
        # - "http://u:xxxxx@am:9093/"
        # - url: "http://two"
        #   basic_auth:
        #     username: u
        #     password: <secret>
        # There is no `route`: the agent itself tells nobody.
        route:
          receiver: nobody
        receivers:
        - name: nobody
        "###);
    }

    #[test]
    fn the_text_says_what_holds_hides_secrets_and_keeps_our_own_keys_as_comments() {
        let node = crate::yaml::parse(
            r##"
global: {smtp_smarthost: "mail:25", smtp_auth_password: hunter2, smtp_auth_password_file: /run/x, opsgenie_api_url: "http://u:pw@h/"}
hold_missing: 1h
canary: {receivers: [on-call], arrivals: [{receiver: on-call, url: "http://h/k3y?q={id}"}], ping: {url: "http://h/k3y"}}
route: {receiver: on-call, group_by: ["..."], routes: [{matchers: ['team="db"', "a=~\"b|c\""], receiver: on-call, continue: true}]}
receivers:
- name: on-call
  ntfy_configs: [{url: "http://n", topic: s3cret-topic, token: tk_1}]
  webhook_configs: [{url: "http://h/secret", http_config: {authorization: {credentials: abc}, http_headers: {X: {secrets: [s3]}}}, max_alerts: 5}]
  slack_configs: [{api_url: "https://hooks/1", channel: "#a", send_resolved: false, title: "two\nlines"}]
- {name: "null"}
inhibit_rules: []
"##,
            "test",
        )
        .unwrap();
        insta::assert_snapshot!(original(Some(&node)), @r###"
        global:
          smtp_smarthost: "mail:25"
          smtp_auth_password: <secret>
          smtp_auth_password_file: /run/x
          opsgenie_api_url: "http://u:xxxxx@h/"
        # hold_missing: 1h
        # canary:
        #   receivers:
        #   - on-call
        #   arrivals:
        #   - receiver: on-call
        #     url: <secret>
        #   ping:
        #     url: <secret>
        route:
          receiver: on-call
          group_by:
          - "..."
          routes:
          - matchers:
            - "team=\"db\""
            - "a=~\"b|c\""
            receiver: on-call
            continue: true
        receivers:
        - name: on-call
          # ntfy_configs:
          # - url: "http://n"
          #   topic: <secret>
          #   token: <secret>
          webhook_configs:
          - url: <secret>
            http_config:
              authorization:
                credentials: <secret>
              http_headers:
                X:
                  secrets:
                  - <secret>
            max_alerts: 5
          slack_configs:
          - api_url: <secret>
            channel: "#a"
            send_resolved: false
            title: "two\nlines"
        - name: "null"
        inhibit_rules: []
        "###);
    }
}
