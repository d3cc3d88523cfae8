//! What is played, and which differences are wanted.

use std::time::Duration;

/// A configuration and what happens under it.
pub struct Scenario {
    pub name: String,
    /// As `alertmanager.yml`; `HOOK/NAME` is the recorder's URL for a receiver.
    pub config: String,
    /// Further configurations, for `reload N`.
    pub others: &'static [&'static str],
    /// Lines of milliseconds, a verb and words ([`super::play`]).
    pub steps: String,
    /// The longest `group_interval`: so far messages may be apart.
    pub interval: Duration,
    /// Why the agent is meant to tell something else; nothing where it is not.
    pub wanted: Option<&'static str>,
}

fn same(name: &str, config: &str, others: &'static [&'static str], steps: &str) -> Scenario {
    Scenario {
        name: name.into(),
        config: config.into(),
        others,
        steps: steps.into(),
        interval: Duration::from_secs(2),
        wanted: None,
    }
}

/// What was thought of. No reminder is due at the very time of a flush: who is a millisecond late would tell, who is not would wait.
pub fn scripted() -> Vec<Scenario> {
    vec![
        same(
            "grouping by a label, by nothing and by all labels",
            r"
route:
  {receiver: label, group_by: [zone], group_wait: 1s, group_interval: 2s, repeat_interval: 1h, routes: [
    {receiver: label, continue: true},
    {receiver: all, group_by: ['...'], continue: true},
    {receiver: one, group_by: [nothing], continue: true}]}
receivers:
- {name: label, webhook_configs: [{url: HOOK/label}]}
- {name: all, webhook_configs: [{url: HOOK/all}]}
- {name: one, webhook_configs: [{url: HOOK/one}]}
",
            &[],
            "0 fire Down zone=a instance=1 @summary=first
         0 fire Down zone=b instance=2
         0 fire Slow instance=3
         2000 fire Down zone=a instance=4
         4000 resolve Down zone=a instance=1
         6000 resolve Down zone=a instance=4
         6000 resolve Slow instance=3
         9000 end",
        ),
        same(
            "reminders",
            r"
route: {receiver: a, group_by: [alertname], group_wait: 500ms, group_interval: 1s, repeat_interval: 2500ms}
receivers: [{name: a, webhook_configs: [{url: HOOK/a}]}]
",
            &[],
            "0 fire Down instance=1
         5000 fire Down instance=2
         9000 end",
        ),
        same(
            "alerts that come and go between the flushes",
            r"
route: {receiver: a, group_by: [alertname], group_wait: 1s, group_interval: 2s, repeat_interval: 1h}
receivers: [{name: a, webhook_configs: [{url: HOOK/a}]}]
",
            &[],
            "0 fire Brief x=1
         0 fire Down x=1
         400 resolve Brief x=1
         1800 resolve Down x=1
         2200 fire Down x=1 @note=again
         4000 fire Down x=2
         4300 resolve Down x=2
         6000 resolve Down x=1
         8000 fire Down x=1
         11000 end",
        ),
        same(
            "alerts that name their end, and old ones",
            r"
route: {receiver: a, group_by: [alertname], group_wait: 1s, group_interval: 2s, repeat_interval: 1h}
receivers: [{name: a, webhook_configs: [{url: HOOK/a}]}]
",
            &[],
            "0 fire Ending x=1 @until=4000
         0 fire Renewed x=1 @until=4000
         0 fire Old x=1 @since=60000
         2000 fire Renewed x=1 @until=6000
         2500 fire Old x=2 @since=60000
         10000 end",
        ),
        same(
            "nested routes, continue, the older matchers",
            r#"
route:
  receiver: root
  group_by: [alertname]
  group_wait: 1s
  group_interval: 2s
  routes:
  - matchers: [team="db"]
    receiver: db
    continue: true
    routes:
    - {matchers: ['severity=~"critical|page"'], receiver: pager, group_wait: 200ms, group_by: [severity, zone]}
    - {match: {severity: info}, receiver: nobody}
  - {match_re: {team: 'd.|web'}, match: {zone: a}, receiver: late, group_wait: 2s}
  - {matchers: [team!="db", '"odd name"!~"x.*"', zone=""], receiver: odd, group_by: []}
receivers:
- {name: root, webhook_configs: [{url: HOOK/root}]}
- {name: db, webhook_configs: [{url: HOOK/db}]}
- {name: pager, webhook_configs: [{url: HOOK/pager}]}
- {name: late, webhook_configs: [{url: HOOK/late}]}
- {name: odd, webhook_configs: [{url: HOOK/odd}]}
- {name: nobody}
"#,
            &[],
            "0 fire Down team=db severity=page zone=a
         0 fire Down team=db severity=warning zone=a
         0 fire Down team=db severity=info zone=b
         0 fire Down team=web zone=a
         0 fire Down team=web zone=b
         0 fire Down team=other
         4200 resolve Down team=db severity=page zone=a
         4200 resolve Down team=web zone=b
         8000 end",
        ),
        same(
            "inhibition that begins and ends",
            r#"
route: {receiver: a, group_by: [alertname], group_wait: 1s, group_interval: 2s, repeat_interval: 1h}
receivers: [{name: a, webhook_configs: [{url: HOOK/a}]}]
inhibit_rules:
- {source_matchers: [severity="critical"], target_matchers: [severity="warning"], equal: [zone]}
- {source_match: {both: 'yes'}, target_match_re: {both: 'y.*'}}
"#,
            &[],
            "0 fire Cause severity=critical zone=a
         0 fire Early severity=warning zone=a
         0 fire Early severity=warning zone=b
         0 fire Self both=yes
         2000 fire Told severity=warning zone=c
         4000 fire Cause severity=critical zone=c
         4000 fire Told severity=warning zone=d
         6000 resolve Cause severity=critical zone=a
         8000 resolve Cause severity=critical zone=c
         12000 end",
        ),
        same(
            "hours",
            r"
route:
  {receiver: root, group_by: [alertname], group_wait: 1s, group_interval: 2s, routes: [
    {receiver: muted, continue: true, mute_time_intervals: [never, always]},
    {receiver: active, continue: true, active_time_intervals: [never, always]},
    {receiver: inactive, continue: true, active_time_intervals: [never]},
    {receiver: open, continue: true, mute_time_intervals: [never]}]}
receivers:
- {name: root, webhook_configs: [{url: HOOK/root}]}
- {name: muted, webhook_configs: [{url: HOOK/muted}]}
- {name: active, webhook_configs: [{url: HOOK/active}]}
- {name: inactive, webhook_configs: [{url: HOOK/inactive}]}
- {name: open, webhook_configs: [{url: HOOK/open}]}
time_intervals:
- {name: never, time_intervals: [{years: ['1999']}]}
- {name: always, time_intervals: [{years: ['1999']}, {weekdays: ['sunday:saturday'], location: Europe/Berlin}]}
",
            &[],
            "0 fire Down x=1
         4000 resolve Down x=1
         6000 end",
        ),
        same(
            "more alerts than fit, ends that are not told, two channels",
            r"
route: {receiver: a, group_by: [tens], group_wait: 1s, group_interval: 2s, repeat_interval: 1h}
receivers:
- name: a
  webhook_configs: [{url: HOOK/three, max_alerts: 3}, {url: HOOK/silent, send_resolved: false}]
",
            &[],
            "0 fire Many @count=30 job=x
         2000 resolve Many n=3 tens=0 job=x
         4000 resolve Many n=4 tens=0 job=x
         4000 resolve Many @count=10 job=x
         6000 fire Many n=3 tens=0 job=x
         9000 end",
        ),
        same(
            "a reload that changes receivers, groups and routes",
            r#"
route: {receiver: a, group_by: [alertname], group_wait: 1s, group_interval: 2s, repeat_interval: 1h, routes: [
  {receiver: b, matchers: [team="b"]}]}
receivers: [{name: a, webhook_configs: [{url: HOOK/a}]}, {name: b, webhook_configs: [{url: HOOK/b}]}]
"#,
            &[r#"
route: {receiver: a, group_by: [alertname], group_wait: 1s, group_interval: 2s, repeat_interval: 1h, routes: [
  {receiver: c, matchers: [team="b"], group_by: [zone]}]}
receivers: [{name: a, webhook_configs: [{url: HOOK/a}]}, {name: c, webhook_configs: [{url: HOOK/c}]}]
"#],
            "0 fire Down team=a zone=x
         0 fire Down team=b zone=x
         0 fire Slow team=b zone=x
         3000 reload 0
         4000 fire Down team=a zone=y
         4000 fire Slow team=b zone=y
         6000 resolve Down team=b zone=x
         10000 end",
        ),
        same(
            "silences that begin, expire and are ended",
            r"
route: {receiver: a, group_by: [alertname], group_wait: 1s, group_interval: 2s, repeat_interval: 1h}
receivers: [{name: a, webhook_configs: [{url: HOOK/a}]}]
",
            &[],
            "0 fire Down x=1
         0 fire Down x=2
         0 silence 4000 x=1
         2000 fire Slow x=2
         4000 silence 60000 alertname=Slow
         4000 fire Slow x=3
         6000 resolve Down x=2
         8000 expire
         12000 end",
        ),
        same(
            "a reload that takes routes' hours, rules of inhibition and reminders",
            r#"
route:
  {receiver: a, group_by: [alertname], group_wait: 1s, group_interval: 2s, repeat_interval: 1h, routes: [
    {receiver: b, matchers: [team="b"], mute_time_intervals: [always]}]}
receivers: [{name: a, webhook_configs: [{url: HOOK/a}]}, {name: b, webhook_configs: [{url: HOOK/b}]}]
time_intervals: [{name: always, time_intervals: [{times: [{start_time: '00:00', end_time: '24:00'}]}]}]
inhibit_rules: [{source_matchers: [severity="critical"], target_matchers: [severity="warning"]}]
"#,
            &[r#"
route:
  {receiver: a, group_by: [alertname], group_wait: 1s, group_interval: 2s, repeat_interval: 3500ms, routes: [
    {receiver: b, matchers: [team="b"]}]}
receivers: [{name: a, webhook_configs: [{url: HOOK/a}]}, {name: b, webhook_configs: [{url: HOOK/b}]}]
"#],
            "0 fire Cause severity=critical
         0 fire Effect severity=warning
         0 fire Down team=b
         4000 reload 0
         6000 fire Down team=b x=2
         11000 end",
        ),
        Scenario {
            interval: Duration::from_secs(2),
            wanted: Some(
                "Alertmanager's log still has the alert as firing, since its end was not told: it would tell of it only when \
             the repeat interval is over. Ours tells at once.",
            ),
            ..same(
                "an alert that ends while it is inhibited, and fires again",
                r#"
route: {receiver: a, group_by: [alertname], group_wait: 1s, group_interval: 2s, repeat_interval: 1h}
receivers: [{name: a, webhook_configs: [{url: HOOK/a}]}]
inhibit_rules: [{source_matchers: [severity="critical"], target_matchers: [severity="warning"]}]
"#,
                &[],
                "0 fire Effect severity=warning
                2000 fire Cause severity=critical
                4000 resolve Effect severity=warning
                6000 resolve Cause severity=critical
                8000 fire Effect severity=warning
                11000 end",
            )
        },
    ]
}
