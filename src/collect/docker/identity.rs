//! The labels by which a container's series are known: `id`, `name`, `image` and one per Docker label, as cAdvisor's.

use std::collections::HashMap;

use crate::collect::web::without_credentials;
use crate::model::Labels;

use super::machine::Machine;
use super::sight::Sight;

/// Docker labels beyond this are left out, in the order of their names.
const MAX_LABELS: usize = 64;
/// Longer label names are left out: cut short they could collide.
const MAX_NAME: usize = 128;
/// Longer label values are cut here, in bytes.
const MAX_VALUE: usize = 512;

/// A container's labels, the same on each of its series.
pub(super) struct ContainerLabels {
    /// Without any label of a single family.
    pub(super) base: Labels,
}

impl ContainerLabels {
    /// The same with labels of one family, such as `interface`.
    pub(super) fn and<const N: usize>(&self, more: [(&str, &str); N]) -> Labels {
        self.base.overlaid(&Labels::new(more))
    }
}

/// How an engine names control groups.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum CgroupDriver {
    /// `/docker/<id>`
    Cgroupfs,
    /// `/system.slice/docker-<id>.scope`
    Systemd,
}

/// Whose conventions hold.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub(super) enum Brand {
    /// Docker, and what imitates it.
    #[default]
    Docker,
    /// Podman, whose groups have other names.
    Podman,
}

/// The labels of a container. Its `id` is its control group where it is seen, else what the engine calls its like.
pub(super) fn labels(sight: &Sight, machine: &Machine) -> ContainerLabels {
    let image = sight.facts.as_ref().and_then(|facts| facts.image.as_deref()).unwrap_or(&sight.image);
    let parent = sight.facts.as_ref().and_then(|facts| facts.cgroup_parent.as_deref());
    let named = || cgroup_path(&sight.id, machine.brand, machine.cgroup_driver, parent);
    let cgroup = sight.group.clone().unwrap_or_else(named);
    let own = [("id", cgroup.as_str()), ("name", sight.name.as_str()), ("image", image)];
    let docker = sight.labels.iter().map(|(name, value)| (name.as_str(), value.as_str()));
    ContainerLabels { base: Labels::new(docker.chain(own)) }
}

/// All that a container's control group may be called.
pub(super) fn possible_paths(id: &str, parent: Option<&str>) -> [String; 4] {
    let path = |brand, driver| cgroup_path(id, brand, driver, parent);
    [
        path(Brand::Docker, CgroupDriver::Cgroupfs),
        path(Brand::Docker, CgroupDriver::Systemd),
        path(Brand::Podman, CgroupDriver::Cgroupfs),
        path(Brand::Podman, CgroupDriver::Systemd),
    ]
}

/// Docker's labels as Prometheus can hold them, in a fixed order, bounded in number and length.
pub(super) fn bounded(labels: HashMap<String, String>) -> Vec<(String, String)> {
    let mut all: Vec<_> = labels.into_iter().filter(|(name, _)| name.len() <= MAX_NAME).collect();
    all.sort_unstable();
    all.truncate(MAX_LABELS);
    // A label that names a target may hold its password, which is nobody's to see.
    let shown = |name: &str, value: String| if name == "sidewatch.url" { without_credentials(&value) } else { value };
    all.into_iter().map(|(name, value)| (label_name(&name), cut(shown(&name, value)))).collect()
}

/// `com.docker.compose.service` is `container_label_com_docker_compose_service`.
fn label_name(name: &str) -> String {
    let word = name.chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '_' });
    "container_label_".chars().chain(word).collect()
}

fn cut(mut value: String) -> String {
    value.truncate(value.floor_char_boundary(MAX_VALUE));
    value
}

/// The container's control group, which cAdvisor uses as its `id`.
fn cgroup_path(id: &str, brand: Brand, driver: CgroupDriver, parent: Option<&str>) -> String {
    let (folder, slice, prefix) = match brand {
        Brand::Docker => ("docker", "system.slice", "docker-"),
        Brand::Podman => ("libpod_parent", "machine.slice", "libpod-"),
    };
    match driver {
        CgroupDriver::Cgroupfs => {
            let prefix = if brand == Brand::Podman { prefix } else { "" };
            format!("/{}/{prefix}{id}", parent.unwrap_or(folder).trim_matches('/'))
        }
        CgroupDriver::Systemd => format!("{}/{prefix}{id}.scope", slice_path(parent.unwrap_or(slice))),
    }
}

/// A slice's place in the tree: `a-b.slice` lies in `a.slice`.
fn slice_path(slice: &str) -> String {
    let name = slice.trim_matches('/').trim_end_matches(".slice");
    let ends = name.match_indices('-').map(|(at, _)| at).chain([name.len()]);
    ends.flat_map(|end| ["/", &name[..end], ".slice"]).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_id_is_the_control_group() {
        let docker = |driver, parent| cgroup_path("ab", Brand::Docker, driver, parent);
        assert_eq!(docker(CgroupDriver::Cgroupfs, None), "/docker/ab");
        assert_eq!(docker(CgroupDriver::Cgroupfs, Some("/mine")), "/mine/ab");
        assert_eq!(docker(CgroupDriver::Systemd, None), "/system.slice/docker-ab.scope");
        let nested = docker(CgroupDriver::Systemd, Some("app-web.slice"));
        assert_eq!(nested, "/app.slice/app-web.slice/docker-ab.scope");
        let podman = |driver| cgroup_path("ab", Brand::Podman, driver, None);
        assert_eq!(podman(CgroupDriver::Cgroupfs), "/libpod_parent/libpod-ab");
        assert_eq!(podman(CgroupDriver::Systemd), "/machine.slice/libpod-ab.scope");
    }

    #[test]
    fn labels_are_bounded_in_number_and_length() {
        let many = (0..200).map(|n| (format!("org.example/{n:03}"), "é".repeat(400))).collect();
        let kept = bounded(many);
        assert_eq!(kept.len(), MAX_LABELS);
        assert_eq!(kept[1].0, "container_label_org_example_001");
        assert_eq!(kept[1].1.len(), MAX_VALUE);
        let target = bounded(HashMap::from([("sidewatch.url".into(), "redis://:hush@cache".into())]));
        assert_eq!(target[0].1, "redis://cache");
        assert!(bounded(HashMap::from([("x".repeat(300), String::new())])).is_empty());
    }
}
