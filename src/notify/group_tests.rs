use super::*;
use crate::notify::channels::IntegrationId;
use crate::notify::notification::Reason;
use crate::notify::route::GroupBy;
use crate::notify::sent::{SentLog, States};

const WAIT: i64 = 5_000;
const INTERVAL: i64 = 60_000;
const REPEAT: i64 = 600_000;

fn route() -> Route {
    let timing = Timing {
        group_wait: Duration::from_millis(WAIT as u64),
        group_interval: Duration::from_millis(INTERVAL as u64),
        repeat_interval: Duration::from_millis(REPEAT as u64),
    };
    Route::root("on-call".into(), GroupBy::Labels(vec!["alertname".into()]), timing)
}

fn alert(name: &str, instance: &str) -> Alert {
    Alert {
        labels: Labels::new([("alertname", name), ("instance", instance)]),
        annotations: Labels::empty(),
        starts_at: Millis(0),
        ends_at: None,
        value: 1.0,
        generator_url: String::new(),
    }
}

/// Timers and wall clock agree here.
fn both(at: i64) -> (Millis, Millis) {
    (Millis(at), Millis(at))
}

/// Groups with one integration that always succeeds, as `dispatch` would drive it.
struct Rig {
    groups: Groups,
    log: SentLog,
    to: IntegrationId,
    send_resolved: bool,
    route: Route,
}

impl Rig {
    fn new(send_resolved: bool) -> Self {
        let to = IntegrationId { receiver: "on-call".into(), kind: "webhook", index: 0 };
        Self { groups: Groups::default(), log: SentLog::default(), to, send_resolved, route: route() }
    }

    fn fire(&mut self, at: i64, name: &str, instance: &str) {
        let alert = Alert { starts_at: Millis(at), ..alert(name, instance) };
        assert!(self.groups.apply(Transition::Firing(alert), &self.route, both(at)).is_some());
    }

    fn resolve(&mut self, at: i64, name: &str, instance: &str) {
        let ended = Alert { ends_at: Some(Millis(at)), ..alert(name, instance) };
        assert!(self.groups.apply(Transition::Resolved(ended), &self.route, both(at)).is_some());
    }

    fn active(&self) -> Vec<ActiveAlert> {
        self.groups.active(&Inhibitor::default(), Millis(0))
    }

    /// Plays on until a time; says when was told what: "time reason firing/resolved".
    fn until(&mut self, end: i64) -> Vec<String> {
        let mut told = Vec::new();
        while let Some(next) = self.groups.next_due().filter(|next| next.0 <= end) {
            for batch in self.groups.due(next, next) {
                let states = States::of(&batch);
                if let Some(reason) = self.log.reason(&batch, &states, &self.to, self.send_resolved) {
                    let (firing, resolved) = (states.firing.len(), states.resolved.len());
                    if self.send_resolved || firing > 0 {
                        told.push(format!("{} {reason:?} {firing}/{resolved}", next.0 / 1000));
                    }
                    self.log.told(&batch, states, &self.to, (None, batch.at));
                }
                self.groups.settle(&batch);
            }
        }
        told
    }
}

#[test]
fn a_first_alert_waits_for_others_of_its_group() {
    let mut rig = Rig::new(true);
    rig.fire(0, "Down", "a");
    rig.fire(4_000, "Down", "b");
    rig.fire(4_000, "Slow", "a");
    assert_eq!(rig.until(10_000), ["5 First 2/0", "9 First 1/0"]);
}

#[test]
fn changes_of_a_known_group_wait_for_its_interval() {
    let mut rig = Rig::new(true);
    rig.fire(0, "Down", "a");
    assert_eq!(rig.until(5_000), ["5 First 1/0"]);
    rig.fire(6_000, "Down", "b");
    assert_eq!(rig.until(64_999), [""; 0]);
    assert_eq!(rig.until(65_000), ["65 NewAlerts 2/0"]);
    rig.resolve(70_000, "Down", "a");
    assert_eq!(rig.until(125_000), ["125 SomeResolved 1/1"]);
    rig.resolve(126_000, "Down", "b");
    assert_eq!(rig.until(185_000), ["185 AllResolved 0/1"]);
    assert_eq!(rig.groups.next_due(), None);
    assert!(rig.active().is_empty() && rig.groups.alerts.is_empty());
}

#[test]
fn an_unchanged_group_is_repeated() {
    let mut rig = Rig::new(true);
    rig.fire(0, "Down", "a");
    assert_eq!(rig.until(1_300_000), ["5 First 1/0", "605 Repeat 1/0", "1205 Repeat 1/0"]);
}

#[test]
fn what_comes_and_goes_within_the_wait_is_not_told() {
    let mut rig = Rig::new(true);
    rig.fire(0, "Down", "a");
    rig.resolve(3_000, "Down", "a");
    assert_eq!(rig.until(600_000), [""; 0]);
    assert_eq!(rig.groups.next_due(), None);
}

#[test]
fn an_alert_that_ends_and_fires_again_between_flushes_is_no_news() {
    let mut rig = Rig::new(true);
    rig.fire(0, "Down", "a");
    rig.until(5_000);
    rig.resolve(10_000, "Down", "a");
    rig.fire(20_000, "Down", "a");
    assert_eq!(rig.until(130_000), [""; 0]);
    rig.resolve(130_001, "Down", "a");
    assert_eq!(rig.until(200_000), ["185 AllResolved 0/1"]);
}

#[test]
fn a_new_incident_after_the_end_waits_only_the_group_wait() {
    let mut rig = Rig::new(true);
    rig.fire(0, "Down", "a");
    rig.until(5_000);
    rig.resolve(6_000, "Down", "a");
    assert_eq!(rig.until(66_000), ["65 AllResolved 0/1"]);
    rig.fire(70_000, "Down", "a");
    assert_eq!(rig.until(76_000), ["75 First 1/0"]);
}

#[test]
fn without_send_resolved_ends_are_noted_but_not_told() {
    let mut rig = Rig::new(false);
    rig.fire(0, "Down", "a");
    rig.fire(0, "Down", "b");
    rig.until(5_000);
    rig.resolve(6_000, "Down", "a");
    assert_eq!(rig.until(65_000), [""; 0]);
    rig.resolve(66_000, "Down", "b");
    assert_eq!(rig.until(125_000), [""; 0]);
    rig.fire(130_000, "Down", "b");
    assert_eq!(rig.until(135_000), ["135 First 1/0"]);
}

#[test]
fn an_end_that_could_not_be_told_stays_for_a_day() {
    let mut rig = Rig::new(true);
    rig.fire(0, "Down", "a");
    rig.until(5_000);
    rig.resolve(6_000, "Down", "a");
    // Flushed, but never settled: the receiver is dead.
    assert_eq!(rig.groups.due(Millis(65_000), Millis(65_000)).len(), 1);
    assert_eq!(rig.groups.forget_untold(Millis(80_000_000), Millis(80_000_000)), 0);
    assert_eq!(rig.groups.due(Millis(80_000_000), Millis(80_000_000)).len(), 1);
    assert_eq!(rig.groups.forget_untold(Millis(86_406_000), Millis(86_406_000)), 1);
    assert_eq!(rig.groups.next_due(), None);
}

#[test]
fn a_transition_after_the_flush_is_not_settled_with_it() {
    let mut rig = Rig::new(true);
    rig.fire(0, "Down", "a");
    rig.until(5_000);
    rig.resolve(6_000, "Down", "a");
    let batch = rig.groups.due(Millis(65_000), Millis(65_000)).remove(0);
    rig.fire(65_500, "Down", "a");
    rig.groups.settle(&batch);
    assert_eq!(rig.active().len(), 1);
}

#[test]
fn a_reload_makes_all_groups_anew_and_old_ones_due_at_once() {
    let mut rig = Rig::new(true);
    rig.fire(0, "Down", "a");
    assert_eq!(rig.until(5_000), ["5 First 1/0"]);
    rig.fire(8_000, "Down", "b");
    rig.fire(8_000, "Slow", "a");
    rig.groups.reroute(&route(), both(10_000));
    assert_eq!(rig.until(20_000), ["10 NewAlerts 2/0", "15 First 1/0"]);
    let mut other = route();
    other.group_by = GroupBy::All;
    rig.groups.reroute(&other, both(21_000));
    assert_eq!(rig.groups.next_due(), Some(Millis(21_000)));
    assert_eq!(rig.active()[0].group_labels.len(), 2);
}

#[test]
fn alerts_are_bounded() {
    let mut groups = Groups::default();
    let mut apply = |transition| groups.apply(transition, &route(), both(0)).is_some();
    for at in 0..MAX_ALERTS {
        assert!(apply(Transition::Firing(alert("Many", &at.to_string()))));
    }
    assert!(!apply(Transition::Firing(alert("Many", "one more"))));
    assert!(apply(Transition::Still(alert("Many", "0"))), "a known one is no more");
}

#[test]
fn an_old_alert_makes_a_new_group_that_does_not_wait() {
    let mut rig = Rig::new(true);
    assert!(rig.groups.apply(Transition::Firing(alert("Down", "a")), &rig.route, both(60_000)).is_some());
    assert_eq!(rig.until(60_000), ["60 First 1/0"]);
}

#[test]
fn an_alert_that_names_its_end_fires_until_then() {
    let mut rig = Rig::new(true);
    let until = |end| Transition::Firing(Alert { ends_at: Some(Millis(end)), ..alert("Down", "a") });
    rig.groups.apply(until(60_000), &rig.route, both(0));
    assert_eq!(rig.until(5_000), ["5 First 1/0"]);
    rig.groups.apply(until(120_000), &rig.route, both(30_000));
    assert_eq!(rig.until(119_999), [""; 0]);
    assert_eq!(rig.until(200_000), ["125 AllResolved 0/1"]);
    assert!(rig.groups.alerts.is_empty());
}

#[test]
fn routes_with_the_same_matchers_have_groups_of_their_own() {
    let root = route();
    let child = |receiver: &str| Route { receiver: receiver.into(), goes_on: true, ..root.child(vec![]) };
    let tree = root.clone().with(vec![child("a"), child("b")]);
    let mut groups = Groups::default();
    groups.apply(Transition::Firing(alert("Down", "a")), &tree, both(60_000));
    let due = groups.due(Millis(60_000), Millis(60_000));
    let told: Vec<_> = due.iter().map(|batch| format!("{} {}", batch.receiver, batch.key)).collect();
    assert_eq!(told, [r#"a {}/{}:{alertname="Down"}"#, r#"b {}/{}:{alertname="Down"}"#]);
    for batch in &due {
        groups.settle(batch);
    }
    assert_eq!(groups.active(&Inhibitor::default(), Millis(0)).len(), 2);
}

#[test]
fn reasons_are_alertmanagers_words() {
    assert_eq!(Reason::Repeat.as_str(), "repeat interval elapsed");
}

#[test]
fn receivers_are_known_in_the_order_of_the_routes() {
    let inner = |name: String| {
        let key = format!("{{}}/{{}}/{name}");
        Route { receiver: name, goes_on: true, id: key.clone(), key, ..route() }
    };
    let tree = route().with((0..12).rev().map(|at| inner(at.to_string())).collect());
    let mut groups = Groups::default();
    groups.apply(Transition::Firing(alert("Down", "a")), &tree, both(0));
    for _ in 0..2 {
        let mut active = groups.active(&Inhibitor::default(), Millis(0));
        active.sort_by_key(|active| active.place);
        let order: Vec<_> = active.iter().map(|active| &*active.receiver).collect();
        assert_eq!(order, ["11", "10", "9", "8", "7", "6", "5", "4", "3", "2", "1", "0"]);
        groups.reroute(&tree, both(0));
    }
}

#[test]
fn an_alert_from_before_a_restart_goes_on_since_the_time_that_was_told() {
    let mut rig = Rig::new(true);
    let mut since = |at: i64, word: fn(Alert) -> Transition, starts_at: i64| {
        let alert = Alert { starts_at: Millis(starts_at), ..alert("Down", "a") };
        rig.groups.apply(word(alert), &rig.route, both(at));
        if at == 20_768 {
            rig.groups.await_word();
        }
        rig.groups.active(&Inhibitor::default(), Millis(at))[0].alert.starts_at.0
    };
    assert_eq!(since(20_768, Transition::Firing, 20_768), 20_768, "told");
    assert_eq!(since(40_000, Transition::Still, 13_000), 20_768, "the rule's history knows another start");
    assert_eq!(since(50_000, Transition::Still, 13_000), 20_768, "and names it each time");
    assert_eq!(since(60_000, Transition::Firing, 60_000), 60_000, "it fires anew");
    assert_eq!(since(70_000, Transition::Still, 13_000), 13_000, "this one is known to fire since then");
}
