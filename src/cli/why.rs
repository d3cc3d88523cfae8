//! `sidewatch why`: why an alert fires, does not, or is not heard of.
//!
//! Asks a running agent, by the same APIs as everybody: the rule and its alerts (`/api/v1/rules`), what keeps them quiet
//! (`/api/v2/alerts/groups`), the values that the rule compares (`/api/v1/query`), and which receivers fail.

use std::fmt::Write as _;
use std::process::ExitCode;
use std::time::Duration;

use clap::Args;
use serde_json::{Value, json};

use crate::model::{Millis, render_duration};
use crate::notify::{CANARY_FAILING, NOTIFICATIONS_FAILING};
use crate::promql::{Comparison, Query};

use super::server::{Server, text};
use super::{Output, complain, health, say, shown};

/// So many values are shown of a rule that does not hold.
const SHOWN: usize = 20;

/// Which alert, and whom to ask.
#[derive(Debug, Args)]
pub struct Question {
    /// The alert's name.
    alert: String,
    /// The agent's address; default: the configured port on this machine.
    #[arg(long)]
    url: Option<String>,
    /// How the answer is printed.
    #[arg(long, value_enum, default_value_t = Output::Table)]
    format: Output,
}

/// Prints what is known; 1 when no rule has the name, or nobody answers.
pub fn run(question: &Question) -> ExitCode {
    let address = question.url.clone().unwrap_or_else(health::own_address);
    let found = Server::at(&address).and_then(|server| rules(&server, &question.alert));
    let rules = match found {
        Ok(rules) => rules,
        Err(why) => {
            complain(format_args!("{}: {why}", shown(&address)));
            return ExitCode::FAILURE;
        }
    };
    match question.format {
        Output::Json => say(Value::from(rules)),
        Output::Table => say(rules.iter().map(told).collect::<Vec<_>>().join("\n").trim_end()),
    }
    ExitCode::SUCCESS
}

/// Each rule of this name: what it asks, its alerts with what keeps them quiet, or the values that it compares.
fn rules(server: &Server, name: &str) -> Result<Vec<Value>, String> {
    let named = alerting_rules(server, &[("type", "alert"), ("rule_name[]", name)])?;
    if named.is_empty() {
        let mut known: Vec<_> = alerting_rules(server, &[("type", "alert")])?;
        known.sort_by_key(|rule| text(&rule["name"]));
        let known: Vec<_> = known.iter().map(|rule| text(&rule["name"])).collect();
        return Err(format!("no rule is called {name}; there are: {}", known.join(", ")));
    }
    let told = told_of(&server.get("api/v2/alerts/groups", &[("filter", &format!("alertname={name:?}"))])?, &named);
    // Their labels `receiver` and `integration` say who takes nothing.
    let failing = format!("alertname=~\"{NOTIFICATIONS_FAILING}|{CANARY_FAILING}\"");
    let failing = server.get("api/v2/alerts", &[("filter", &failing)])?;
    named.into_iter().map(|rule| one(server, &rule, &told, &failing)).collect()
}

/// What the groups of the notifier hold of one alert: the alert as it is in each, with the receiver.
struct Heard {
    /// The rule's alert that it is.
    own: Option<Value>,
    alert: Value,
    receivers: Vec<Value>,
}

/// Each alert of the groups once. It is the rule's alert whose labels are among its own; external labels are added on the way,
/// so of several the one with most labels.
fn told_of(groups: &Value, rules: &[Value]) -> Vec<Heard> {
    let firing: Vec<_> = rules.iter().flat_map(|rule| rule["alerts"].as_array().into_iter().flatten()).collect();
    let mut all: Vec<Heard> = Vec::new();
    for group in groups.as_array().into_iter().flatten() {
        for alert in group["alerts"].as_array().into_iter().flatten() {
            let receiver = json!({
                "name": group["receiver"]["name"], "muted_by": alert["status"]["mutedBy"],
                "waits": alert["waits"].as_bool().unwrap_or_default(),
            });
            if let Some(known) = all.iter_mut().find(|known| known.alert["fingerprint"] == alert["fingerprint"]) {
                known.receivers.push(receiver);
                continue;
            }
            let is_it = |own: &&&Value| {
                let mut labels = own["labels"].as_object().into_iter().flatten();
                labels.all(|(name, value)| alert["labels"][name] == *value)
            };
            let own = firing.iter().filter(is_it).max_by_key(|own| own["labels"].as_object().map(serde_json::Map::len));
            let own = own.map(|own| own["labels"].clone());
            all.push(Heard { own, alert: alert.clone(), receivers: vec![receiver] });
        }
    }
    all
}

fn alerting_rules(server: &Server, parameters: &[(&str, &str)]) -> Result<Vec<Value>, String> {
    let answer = server.get("api/v1/rules", parameters)?;
    let groups = answer["data"]["groups"].as_array().ok_or_else(|| format!("no rules: {}", answer["error"]))?;
    let rules = groups.iter().flat_map(|group| {
        let rules = group["rules"].as_array().into_iter().flatten();
        rules.map(|rule| {
            let mut rule = rule.clone();
            rule["file"] = group["file"].clone();
            rule["group"] = group["name"].clone();
            rule
        })
    });
    Ok(rules.collect())
}

fn one(server: &Server, rule: &Value, told: &[Heard], failing: &Value) -> Result<Value, String> {
    let mut out = json!({
        "alert": rule["name"], "file": rule["file"], "group": rule["group"], "expr": rule["query"],
        "for_seconds": rule["duration"], "error": rule["lastError"],
    });
    let alerts: Vec<_> = rule["alerts"].as_array().into_iter().flatten().collect();
    if alerts.is_empty() {
        out["compared"] = compared(server, &text(&rule["query"]))?;
    }
    let hold = rule["duration"].as_f64().unwrap_or_default();
    let alerts: Result<Vec<_>, String> =
        alerts.into_iter().map(|alert| quiet(server, alert, hold, (told, failing))).collect();
    out["alerts"] = alerts?.into();
    Ok(out)
}

/// The values that the expression compares with a number at its end.
fn compared(server: &Server, expression: &str) -> Result<Value, String> {
    let Some(comparison) = Comparison::at_end_of(expression).filter(|found| Query::parse(found.left).is_ok()) else {
        return Ok(Value::Null);
    };
    let answer = server.get("api/v1/query", &[("query", comparison.left)])?;
    let value = |element: &Value| json!({"labels": element["metric"], "value": element["value"][1]});
    let values: Vec<_> = answer["data"]["result"].as_array().into_iter().flatten().map(value).collect();
    let limit = format!("{} {}", comparison.operator, comparison.limit);
    Ok(json!({"what": comparison.left, "limit": limit, "values": values}))
}

/// An alert, with how long it still waits or what keeps it from being heard of.
fn quiet(server: &Server, alert: &Value, hold: f64, (told, failing): (&[Heard], &Value)) -> Result<Value, String> {
    let mut out = alert.clone();
    let since = text(&alert["activeAt"]).parse::<jiff::Timestamp>().map_or(0, jiff::Timestamp::as_millisecond);
    let lasting = Millis::now().since(Millis(since));
    out["for_seconds"] = lasting.as_secs().into();
    if alert["state"] == "pending" {
        out["fires_in_seconds"] = Duration::from_secs_f64(hold).saturating_sub(lasting).as_secs().into();
        return Ok(out);
    }
    // An alert of others may have the same labels and more: what has fewest beside its own is meant.
    let own = told.iter().filter(|heard| heard.own.as_ref() == Some(&alert["labels"]));
    let Some(heard) = own.min_by_key(|heard| heard.alert["labels"].as_object().map(serde_json::Map::len)) else {
        return Ok(out);
    };
    let (heard, routes) = (&heard.alert, &heard.receivers);
    let mut silences = Vec::new();
    for id in heard["status"]["silencedBy"].as_array().into_iter().flatten() {
        let silence = server.get(&format!("api/v2/silence/{}", text(id)), &[])?;
        silences.push(json!({
            "id": id, "until": silence["endsAt"], "by": silence["createdBy"], "comment": silence["comment"],
        }));
    }
    let receivers: Vec<_> =
        heard["receivers"].as_array().into_iter().flatten().map(|one| one["name"].clone()).collect();
    let of_receivers = |alert: &&Value| receivers.contains(&alert["labels"]["receiver"]);
    let failures = failing.as_array().into_iter().flatten().filter(of_receivers);
    out["failing"] = failures
        .map(|alert| {
            let labels = &alert["labels"];
            let what = &alert["annotations"]["summary"];
            json!({"receiver": labels["receiver"], "integration": labels["integration"], "what": what})
        })
        .collect();
    out["silenced_by"] = silences.into();
    out["inhibited_by"] = heard["status"]["inhibitedBy"].clone();
    out["routes"] = routes.clone().into();
    out["acknowledged"] = heard["acknowledged"].clone();
    out["receivers"] = receivers.into();
    Ok(out)
}

/// For people.
fn told(rule: &Value) -> String {
    let mut out = format!("{} ({}, group {})\n", text(&rule["alert"]), text(&rule["file"]), text(&rule["group"]));
    let hold = Duration::from_secs_f64(rule["for_seconds"].as_f64().unwrap_or_default());
    let hold = if hold.is_zero() { String::new() } else { format!(", for {}", render_duration(hold)) };
    let _ = writeln!(out, "  rule: {}{hold}", text(&rule["expr"]));
    if !rule["error"].is_null() {
        let _ = writeln!(out, "  error: {}", text(&rule["error"]));
    }
    let alerts = rule["alerts"].as_array().map_or(&[][..], Vec::as_slice);
    if alerts.is_empty() {
        out.push_str("  it does not fire: its condition does not hold\n");
        values(&mut out, &rule["compared"]);
    }
    for alert in alerts {
        state(&mut out, alert);
    }
    out
}

fn values(out: &mut String, compared: &Value) {
    let all = compared["values"].as_array().map_or(&[][..], Vec::as_slice);
    if !compared.is_null() && all.is_empty() {
        let _ = writeln!(out, "  there is no value of {}: nothing that is watched shows it", text(&compared["what"]));
    }
    for one in all.iter().take(SHOWN) {
        let (value, limit) = (text(&one["value"]), text(&compared["limit"]));
        let _ = writeln!(out, "    {}  {value}, it would fire at {limit}", series(&one["labels"]));
    }
    if all.len() > SHOWN {
        let _ = writeln!(out, "    … and {} more", all.len() - SHOWN);
    }
}

fn state(out: &mut String, alert: &Value) {
    let seconds = |value: &Value| render_duration(Duration::from_secs(value.as_u64().unwrap_or_default()));
    let (lasting, value) = (seconds(&alert["for_seconds"]), text(&alert["value"]));
    let _ = writeln!(out, "  {} for {lasting}, value {value}: {}", text(&alert["state"]), series(&alert["labels"]));
    if !alert["fires_in_seconds"].is_null() {
        let _ = writeln!(out, "    it waits: it fires in {} if it still holds", seconds(&alert["fires_in_seconds"]));
        return;
    }
    if !alert["annotations"]["held"].is_null() {
        let _ = writeln!(out, "    held: {}", text(&alert["annotations"]["held"]));
    }
    let each = |name: &str| alert[name].as_array().into_iter().flatten().cloned().collect::<Vec<_>>();
    for silence in each("silenced_by") {
        let [id, until, by, comment] = ["id", "until", "by", "comment"].map(|name| text(&silence[name]));
        let _ = writeln!(out, "    silenced until {until} by {by}: {comment} ({id})");
    }
    for by in each("inhibited_by") {
        let _ = writeln!(out, "    inhibited by the alert {}", text(&by));
    }
    if !alert["acknowledged"].is_null() {
        let [by, at] = ["by", "at"].map(|name| text(&alert["acknowledged"][name]));
        let _ = writeln!(out, "    acknowledged by {by} at {at}: no reminders");
    }
    for failure in each("failing") {
        let [receiver, integration, what] = ["receiver", "integration", "what"].map(|name| text(&failure[name]));
        let _ = writeln!(out, "    {receiver}/{integration} fails: {what}");
    }
    let routes = each("routes");
    if routes.is_empty() {
        out.push_str("    no receiver hears of it: it is not in any group yet\n");
        return;
    }
    let muted = |route: &Value| route["muted_by"].as_array().into_iter().flatten().map(text).collect::<Vec<_>>();
    for route in routes.iter().filter(|route| !muted(route).is_empty()) {
        let _ = writeln!(out, "    {} is muted by the time interval {}", text(&route["name"]), muted(route).join(", "));
    }
    let is_quiet = ["silenced_by", "inhibited_by"].iter().any(|name| !each(name).is_empty());
    let open: Vec<_> = routes.iter().filter(|route| !is_quiet && muted(route).is_empty()).collect();
    if open.is_empty() {
        out.push_str("    nobody is told while that lasts\n");
    }
    for (waits, what) in [(false, "told to"), (true, "waiting for others of its group before it is told to")] {
        let those = open.iter().filter(|route| route["waits"] == waits).map(|route| text(&route["name"]));
        let those = those.collect::<Vec<_>>().join(", ");
        if !those.is_empty() {
            let _ = writeln!(out, "    {what} {those}");
        }
    }
}

fn series(labels: &Value) -> String {
    let pairs = labels.as_object().into_iter().flatten().filter(|(name, _)| *name != "alertname");
    let pairs: Vec<_> = pairs.map(|(name, value)| format!("{name}={:?}", text(value))).collect();
    format!("{{{}}}", pairs.join(", "))
}
