//! What a container's control group is called, by whose engine it is and how that names groups. cAdvisor uses it as the `id`.

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

/// The container's control group, which cAdvisor uses as its `id`.
pub(super) fn cgroup_path(id: &str, brand: Brand, driver: CgroupDriver, parent: Option<&str>) -> String {
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
}
