//! Which targets containers may add, of those that ask.
//!
//! In: who asks, the configured targets, the rules for what a label may say. Out: targets and complaints. Pure: no I/O, no clock.
//!
//! Invariant: a container never changes or shadows a target of the configuration, nor another container's.

use std::sync::Arc;

use crate::collect::{Complaint, Target, docker::Found};
use crate::config::{Global, discovered};

/// Targets from containers beyond this are refused.
pub const MAX_TARGETS: usize = 100;

/// Reads each container's labels; the first of two that clash stays.
pub fn choose(found: &[Found], configured: &[Target], global: &Global) -> (Vec<Target>, Vec<Complaint>) {
    let (mut targets, mut complaints) = (Vec::<Target>::new(), Vec::new());
    for found in found {
        let mut complain = |what: String| complaints.push(Complaint { container: Arc::clone(&found.container), what });
        let target = match discovered::read(found, global) {
            Ok(target) => target,
            Err(problems) => {
                problems.into_iter().for_each(&mut complain);
                continue;
            }
        };
        // Replicas of one service carry the same labels: they are one target, not a mistake.
        if targets.contains(&target) {
            continue;
        }
        if let Some(what) =
            clash(&target, configured, "the configuration").or_else(|| clash(&target, &targets, "a container"))
        {
            complain(what);
        } else if targets.len() >= MAX_TARGETS {
            complain(format!("there are {MAX_TARGETS} targets from containers already; this one is not looked at"));
        } else {
            targets.push(target);
        }
    }
    (targets, complaints)
}

/// Why a target cannot stand beside these.
fn clash(target: &Target, others: &[Target], whose: &str) -> Option<String> {
    if others.iter().any(|other| other.name == target.name) {
        return Some(format!(
            "{whose} already has a target `{}`; give this one its own sidewatch.name, with {{container}} where several share the label",
            target.name
        ));
    }
    let identity = |target: &Target| [target.labels.shared("job").cloned(), target.labels.shared("instance").cloned()];
    let same = others.iter().find(|other| identity(other) == identity(target))?;
    Some(format!(
        "`{}` and {whose}'s `{}` would have the same job and instance, so their series would be one; remove one of them",
        target.name, same.name
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chosen(containers: &[(&str, &[(&str, &str)])], configured: &str) -> (Vec<String>, Vec<String>) {
        let found: Vec<_> = containers.iter().map(|(name, labels)| Found::example(name, labels)).collect();
        let config =
            crate::config::load_text(configured, "sidewatch.yml", std::path::Path::new("."), &|_| Ok(None)).unwrap();
        let (targets, complaints) = choose(&found, &config.targets, &config.global);
        (
            targets.iter().map(|target| target.name.to_string()).collect(),
            complaints.iter().map(ToString::to_string).collect(),
        )
    }

    #[test]
    fn the_configuration_comes_first_and_nothing_is_shadowed() {
        let configured = "targets: [{name: app, url: \"http://app:3000/\"}]";
        let (targets, complaints) = chosen(
            &[
                ("one", &[("url", "http://one/"), ("name", "app")]),
                ("two", &[("url", "http://app:3000/"), ("name", "other")]),
                ("three", &[("url", "redis://three")]),
            ],
            configured,
        );
        assert_eq!(targets, ["three"]);
        assert!(
            complaints[0].starts_with("container one: the configuration already has a target `app`"),
            "{complaints:?}"
        );
        assert!(complaints[1].contains("same job and instance"), "{complaints:?}");
    }

    #[test]
    fn replicas_with_the_same_labels_are_one_target() {
        let labels: &[(&str, &str)] = &[("url", "http://app:3000/"), ("name", "app")];
        assert_eq!(chosen(&[("app-1", labels), ("app-2", labels)], ""), (vec!["app".to_owned()], vec![]));
        let (targets, complaints) = chosen(&[("a", labels), ("b", &[("url", "http://other/"), ("name", "app")])], "");
        assert_eq!((targets.len(), complaints.len()), (1, 1), "two that differ are a mistake");
    }

    #[test]
    fn there_are_not_more_than_so_many() {
        let all: Vec<_> = (0..150).map(|n| (format!("c{n}"), [("url", format!("http://c{n}/"))])).collect();
        let all: Vec<(&str, Vec<(&str, &str)>)> = all
            .iter()
            .map(|(name, labels)| (name.as_str(), labels.iter().map(|(k, v)| (*k, v.as_str())).collect()))
            .collect();
        let all: Vec<(&str, &[(&str, &str)])> = all.iter().map(|(name, labels)| (*name, labels.as_slice())).collect();
        let (targets, complaints) = chosen(&all, "");
        assert_eq!((targets.len(), complaints.len()), (MAX_TARGETS, 50));
    }
}
