use std::time::Duration;

use super::*;
use crate::model::{Alert, Transition};
use crate::notify::group::Groups;
use crate::notify::inhibit::InhibitRule;
use crate::notify::matcher::Matcher;
use crate::notify::settings::Settings;
use crate::notify::silence::Limits;
use crate::notify::{Route, fingerprint};
use crate::yaml::{Fields, parse};

/// One label's value is silenced.
struct Silence(&'static str);

impl Silencer for Silence {
    fn is_silenced(&self, labels: &Labels, _wall: Millis) -> bool {
        labels.get("name") == Some(self.0)
    }
}

fn routes() -> Route {
    let text = "route: {receiver: a, routes: [{matchers: [t=\"1\"], mute_time_intervals: [epoch]}]}\nreceivers: [{name: a}]\n\
                time_intervals: [{name: epoch, time_intervals: [{years: ['1970'], months: [january]}]}]\n";
    let (node, problems) = (parse(text, "f.yml").unwrap(), crate::model::Problems::new());
    let settings = Settings::read(Fields::of(&node, "`alerting`", &problems).unwrap());
    assert!(problems.is_empty(), "{problems:?}");
    settings.route.unwrap()
}

fn alert(labels: &str, ends_at: Option<Millis>) -> Alert {
    Alert {
        labels: Labels::new(labels.split(',').filter_map(|pair| pair.split_once('='))),
        annotations: Labels::empty(),
        starts_at: Millis(0),
        ends_at,
        value: 1.0,
        generator_url: String::new(),
    }
}

#[test]
fn inhibited_and_silenced_alerts_are_taken_out_and_ended_ones_named() {
    let rules = [InhibitRule {
        source: Matcher::parse_list("s=1").unwrap(),
        target: Matcher::parse_list("i=1").unwrap(),
        equal: vec![],
    }];
    let (mut inhibitor, mut groups, at) = (Inhibitor::new(&rules), Groups::default(), Millis(60_000));
    let firing = ["s=1,name=source", "i=1,name=target", "name=quiet", "name=loud"];
    for labels in firing {
        let (id, alert) = groups.apply(Transition::Firing(alert(labels, None)), &routes(), (at, at)).unwrap();
        inhibitor.note(id, &alert, at);
    }
    let ended = Transition::Resolved(alert("i=1,name=ended", Some(at)));
    let (ended, _) = groups.apply(ended, &routes(), (at, at)).unwrap();
    let mut batch = groups.due(at, at).remove(0);
    let quiet = hush(&mut batch, &inhibitor, &Silence("quiet"), at);
    assert_eq!(quiet, Quiet { muted_by: vec![], ended: vec![ended] });
    let mut left: Vec<_> = batch.alerts.iter().map(|(_, alert)| alert.labels.get("name").unwrap()).collect();
    left.sort_unstable();
    assert_eq!(left, ["loud", "source"]);
    groups.settle(&batch);
    assert_eq!(groups.alerts().len(), 4, "what is quiet keeps its place, what ended quietly does not");
    let shown = groups.active(&inhibitor, at);
    let inhibited = shown.iter().find(|active| active.inhibited_by.is_some()).unwrap();
    assert_eq!(inhibited.inhibited_by, Some(fingerprint(&alert("s=1,name=source", None).labels)));
}

#[test]
fn outside_its_hours_a_route_tells_nothing() {
    let (mut groups, january, february) = (Groups::default(), Millis(60_000), Millis(40 * 86_400_000));
    groups.apply(Transition::Firing(alert("t=1", None)), &routes(), (january, january)).unwrap();
    let mut batch = groups.due(january, january).remove(0);
    let quiet = hush(&mut batch, &Inhibitor::default(), &Silences::in_memory(Limits::default()), january);
    assert_eq!((quiet.muted_by.as_slice(), batch.alerts.len()), (&["epoch".into()][..], 0));
    let later = january + Duration::from_mins(5);
    let mut batch = groups.due(later, february).remove(0);
    assert_eq!(
        hush(&mut batch, &Inhibitor::default(), &Silences::in_memory(Limits::default()), february),
        Quiet::default()
    );
    assert_eq!(batch.alerts.len(), 1);
}
