//! Timelines by chance: alerts, causes that inhibit and silences come and go at whole seconds, and all flushes are half-way
//! between. Reminders are due at no flush's very time: who is a millisecond late would tell, who is not would wait.
//!
//! What is known to differ is kept out: no alert ends while it is quiet, or soon before it is. So is what is chance in
//! Alertmanager itself: two routes with the same matchers and the same receiver, whose groups race for one entry of its log.

use std::fmt::Write as _;
use std::time::Duration;

use super::scenarios::Scenario;

/// Seconds from the first step to the last.
const LENGTH: usize = 9;
/// Within so many steps an end may not have been told yet.
const SOON: usize = 3;

const ROUTES: [&str; 4] = [
    "routes: []",
    "routes: [{receiver: b, matchers: [zone=x], continue: true, group_by: [zone]}, {receiver: c, matchers: [n=~\"1|2\"]}]",
    "routes: [{receiver: b, matchers: [alertname!=Cause], group_by: ['...'], routes: [
       {receiver: c, matchers: [zone=y], group_interval: 1s}]}]",
    "routes: [{receiver: b, group_by: [], continue: true, repeat_interval: 3500ms}, {receiver: c, group_wait: 1500ms}]",
];
const GROUPS: [&str; 3] = ["[alertname]", "[zone, alertname]", "[]"];

/// Numbers by chance, the same for the same seed (xorshift).
struct Chance(u64);

impl Chance {
    fn below(&mut self, limit: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 33) as usize % limit
    }

    fn of<'a>(&mut self, all: &[&'a str]) -> &'a str {
        all[self.below(all.len())]
    }
}

/// A part of the system, where causes inhibit effects and silences hold.
#[derive(Default)]
struct Zone {
    cause: bool,
    silent_until: usize,
    /// Which effects fire.
    firing: [bool; 3],
    /// When one last ended; nothing before the first.
    ended: Option<usize>,
}

/// One scenario.
pub fn scenario(seed: u64) -> Scenario {
    let mut chance = Chance(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1);
    let interval = 1 + chance.below(2);
    let config = format!(
        "route: {{receiver: a, group_by: {}, group_wait: 500ms, group_interval: {interval}s, repeat_interval: {}, {}}}\n\
         receivers:\n\
         - {{name: a, webhook_configs: [{{url: HOOK/a}}]}}\n\
         - {{name: b, webhook_configs: [{{url: HOOK/b}}, {{url: HOOK/b2, send_resolved: false, max_alerts: 2}}]}}\n\
         - {{name: c, webhook_configs: [{{url: HOOK/c}}]}}\n\
         inhibit_rules: [{{source_matchers: [alertname=Cause], target_matchers: [alertname=~\"Effect.*\"], equal: [zone]}}]\n",
        chance.of(&GROUPS),
        chance.of(&["1h", "4500ms"]),
        chance.of(&ROUTES),
    );
    let (mut zones, mut steps) = ([Zone::default(), Zone::default()], String::new());
    for second in 0..LENGTH {
        for (zone, name) in zones.iter_mut().zip(["x", "y"]) {
            let is_quiet = zone.cause || second <= zone.silent_until && zone.silent_until > 0;
            let ended_lately = zone.ended.is_some_and(|ended| ended + SOON >= second);
            let n = chance.below(3);
            let event = match chance.below(10) {
                0 | 1 if !zone.cause && !ended_lately => {
                    zone.cause = true;
                    format!("fire Cause zone={name}")
                }
                0..=2 if zone.cause => {
                    zone.cause = false;
                    // Its own end is told, being no effect.
                    format!("resolve Cause zone={name}")
                }
                3 if !is_quiet && !ended_lately => {
                    zone.silent_until = second + 3;
                    format!("silence 2500 zone={name} alertname=Effect{n}")
                }
                4..=6 if zone.firing[n] && !is_quiet => {
                    zone.firing[n] = false;
                    zone.ended = Some(second);
                    format!("resolve Effect{n} zone={name} n={n}")
                }
                4..=8 => {
                    zone.firing[n] = true;
                    format!("fire Effect{n} zone={name} n={n} @second={second}")
                }
                _ => continue,
            };
            let _ = writeln!(steps, "{} {event}", second * 1000);
        }
    }
    let _ = writeln!(steps, "{} end", (LENGTH + 3) * 1000);
    Scenario {
        name: format!("by chance, seed {seed}"),
        config,
        others: &[],
        steps,
        interval: Duration::from_secs(2),
        wanted: None,
    }
}
