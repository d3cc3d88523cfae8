//! The labels by which a container's series are known: `id`, `name`, `image` and one per Docker label, as cAdvisor's.
//!
//! In: what is known of a container. Out: shared label sets, kept from look to look while they stay the same, because a container has some
//! sixty series in each look.
//!
//! Invariant: what is kept are the sets that the last look used, no more.

use std::collections::HashMap;

use tracing::warn;

use crate::collect::web::without_credentials;
use crate::model::Labels;

use super::identity;
use super::machine::Machine;
use super::sight::Sight;

/// Docker labels beyond this are left out, in the order of their names.
const MAX_LABELS: usize = 64;
/// Longer label names are left out: cut short they could collide.
const MAX_NAME: usize = 128;
/// Longer label values are cut here, in bytes.
const MAX_VALUE: usize = 512;

/// A container's labels, the same on each of its series.
#[derive(Debug)]
pub(super) struct ContainerLabels {
    /// Without any label of a single family.
    pub(super) base: Labels,
    /// With such labels, in the order in which the last look asked for them, which the next will ask for in the same.
    more: Vec<Labels>,
    /// How many of them this look has used.
    used: usize,
}

impl ContainerLabels {
    /// With nothing beyond the common ones yet.
    pub(super) fn new(base: Labels) -> Self {
        Self { base, more: Vec::new(), used: 0 }
    }

    /// The same with labels of one family, such as `interface`.
    pub(super) fn and<const N: usize>(&mut self, more: [(&str, &str); N]) -> Labels {
        let given = more.iter().filter(|(_, value)| !value.is_empty()).count();
        let same = |labels: &Labels| {
            labels.len() == self.base.len() + given
                && more.iter().all(|(name, value)| labels.get(name).unwrap_or_default() == *value)
        };
        match self.more[self.used..].iter().position(same) {
            Some(ahead) => self.more.swap(self.used, self.used + ahead),
            None => self.more.insert(self.used, self.base.overlaid(&Labels::new(more))),
        }
        self.used += 1;
        self.more[self.used - 1].clone()
    }

    /// Forgets what this look did not use.
    fn end_look(&mut self) {
        self.more.truncate(self.used);
        self.used = 0;
    }
}

/// The label sets of all containers and of the machine.
#[derive(Debug)]
pub(super) struct KnownLabels {
    containers: HashMap<String, Known>,
    root: ContainerLabels,
}

#[derive(Debug)]
struct Known {
    name: String,
    image: String,
    group: String,
    labels: ContainerLabels,
    seen: bool,
}

impl KnownLabels {
    /// A container's labels. Its `id` is its control group where it is seen, else what the engine calls its like.
    pub(super) fn of(&mut self, sight: &Sight, machine: &Machine) -> &mut ContainerLabels {
        let facts = sight.facts.as_deref();
        let image = facts.and_then(|facts| facts.image.as_deref()).unwrap_or(&sight.image);
        let parent = facts.and_then(|facts| facts.cgroup_parent.as_deref());
        let named = || identity::cgroup_path(&sight.id, machine.brand, machine.cgroup_driver, parent);
        let group = sight.group.clone().unwrap_or_else(named);
        // Docker's labels of a container never change; the rest may.
        let same = |known: &Known| known.name == sight.name && known.image == image && known.group == group;
        if !self.containers.get(&sight.id).is_some_and(same) {
            let labels = ContainerLabels::new(base(sight, image, &group));
            let (name, image) = (sight.name.clone(), image.to_owned());
            self.containers.insert(sight.id.clone(), Known { name, image, group: group.clone(), labels, seen: true });
        }
        let known = self.containers.entry(sight.id.clone());
        let known = known.or_insert_with(|| unreachable!("it was put there if it was not"));
        known.seen = true;
        &mut known.labels
    }

    /// The machine's, which is the container `/`.
    pub(super) fn root(&mut self) -> &mut ContainerLabels {
        &mut self.root
    }

    /// Forgets what this look did not use.
    pub(super) fn end_look(&mut self) {
        self.root.end_look();
        self.containers.retain(|_, known| std::mem::take(&mut known.seen));
        self.containers.values_mut().for_each(|known| known.labels.end_look());
    }
}

impl Default for KnownLabels {
    fn default() -> Self {
        Self { containers: HashMap::new(), root: ContainerLabels::new(Labels::new([("id", "/")])) }
    }
}

fn base(sight: &Sight, image: &str, group: &str) -> Labels {
    let own = [("id", group), ("name", &sight.name), ("image", image)];
    let own = own.map(|(name, value)| (name.to_owned(), value.to_owned()));
    let docker = bounded(&sight.labels);
    if docker.len() < sight.labels.len() {
        let left_out = sight.labels.len() - docker.len();
        warn!(
            container = sight.name,
            left_out, "labels beyond {MAX_LABELS}, or with names beyond {MAX_NAME} bytes, are not shown"
        );
    }
    Labels::new(docker.into_iter().chain(own))
}

/// Docker's labels as Prometheus can hold them, in a fixed order, bounded in number and length.
fn bounded(labels: &HashMap<String, String>) -> Vec<(String, String)> {
    let mut all: Vec<_> = labels.iter().filter(|(name, _)| name.len() <= MAX_NAME).collect();
    all.sort_unstable();
    all.truncate(MAX_LABELS);
    all.into_iter().map(|(name, value)| (label_name(name), shown(name, value))).collect()
}

/// A label that names a target may hold its password, which is nobody's to see.
fn shown(name: &str, value: &str) -> String {
    let mut value = if name == "sidewatch.url" { without_credentials(value) } else { value.to_owned() };
    value.truncate(value.floor_char_boundary(MAX_VALUE));
    value
}

/// `com.docker.compose.service` is `container_label_com_docker_compose_service`.
fn label_name(name: &str) -> String {
    let word = name.chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '_' });
    "container_label_".chars().chain(word).collect()
}

#[cfg(test)]
mod tests {
    use super::super::identity::Brand;
    use super::super::wire::Summary;
    use super::*;

    #[test]
    fn labels_are_bounded_in_number_and_length() {
        let many = (0..200).map(|n| (format!("org.example/{n:03}"), "é".repeat(400))).collect();
        let kept = bounded(&many);
        assert_eq!(kept.len(), MAX_LABELS);
        assert_eq!(kept[1].0, "container_label_org_example_001");
        assert_eq!(kept[1].1.len(), MAX_VALUE);
        let target = bounded(&HashMap::from([("sidewatch.url".into(), "redis://:hush@cache".into())]));
        assert_eq!(target[0].1, "redis://cache");
        assert!(bounded(&HashMap::from([("x".repeat(300), String::new())])).is_empty());
    }

    fn is_same(a: &Labels, b: &Labels) -> bool {
        std::ptr::eq(a.pairs(), b.pairs())
    }

    #[test]
    fn the_next_look_gets_the_same_sets_and_what_it_does_not_use_is_forgotten() {
        let mut labels = ContainerLabels::new(Labels::new([("name", "web")]));
        let first = ["running", "exited"].map(|state| labels.and([("state", state)]));
        assert_eq!(first[0].to_string(), r#"{name="web", state="running"}"#);
        let both = labels.and([("state", "running"), ("more", "1")]);
        labels.end_look();
        let running = labels.and([("state", "running")]);
        assert!(is_same(&running, &first[0]));
        let eth0 = labels.and([("interface", "eth0")]);
        assert!(is_same(&labels.and([("more", "1"), ("state", "running")]), &both), "another came between");
        labels.end_look();
        assert_eq!(labels.more.len(), 3);
        assert!(is_same(&labels.and([("interface", "eth0")]), &eth0), "in another order");
        labels.end_look();
        assert_eq!(labels.more.len(), 1);
    }

    #[test]
    fn a_new_name_is_shown_at_once_and_who_is_gone_is_forgotten() {
        let machine = Machine::unknown(Brand::Docker);
        let sight = |name: &str| {
            let labels = Some(HashMap::from([("team".to_owned(), "a".to_owned())]));
            let names = Some(vec![format!("/{name}")]);
            Sight::of(Summary { id: Some("ab".into()), names, labels, ..Default::default() }).unwrap()
        };
        let mut known = KnownLabels::default();
        let first = known.of(&sight("web"), &machine).base.clone();
        assert_eq!(first.to_string(), r#"{container_label_team="a", id="/docker/ab", name="web"}"#);
        known.end_look();
        assert!(is_same(&known.of(&sight("web"), &machine).base, &first));
        assert_eq!(known.of(&sight("api"), &machine).base.get("name"), Some("api"));
        known.end_look();
        known.end_look();
        assert!(known.containers.is_empty());
    }
}
