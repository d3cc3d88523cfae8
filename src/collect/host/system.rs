//! The system as a whole: kernel, distribution, entropy, file handles, hung tasks, `SELinux`.

use crate::model::{Family, Labels};

use super::files::Files;
use super::visit::{Found, Outcome, Visit};

static BUILD_INFO: Family =
    Family::gauge("node_exporter_build_info", "1, with the version of Sidewatch, which stands in for node_exporter.");
static UNAME: Family = Family::gauge("node_uname_info", "1, with the kernel and the machine's name in the labels.");
static OS_INFO: Family = Family::gauge("node_os_info", "1, with the distribution's os-release file in the labels.");
static OS_VERSION: Family = Family::gauge("node_os_version", "The distribution's version: major.minor as a number.");
static ENTROPY_AVAILABLE: Family = Family::gauge("node_entropy_available_bits", "Bits of entropy that the kernel has.");
static ENTROPY_POOL: Family = Family::gauge("node_entropy_pool_size_bits", "Bits of entropy that the kernel can hold.");
static FILES_ALLOCATED: Family = Family::gauge("node_filefd_allocated", "Open file handles of all processes.");
static FILES_MAXIMUM: Family = Family::gauge("node_filefd_maximum", "File handles that can be open at most.");
static HUNG_TASKS: Family =
    Family::counter("node_kernel_hung_tasks_total", "Tasks that the kernel found hanging, since boot.");
static SELINUX: Family = Family::gauge("node_selinux_enabled", "Whether SELinux is on (1) or not (0).");
static SELINUX_MODE: Family =
    Family::gauge("node_selinux_current_mode", "What SELinux does with a breach: 1 forbids it, 0 only writes it down.");
static SELINUX_CONFIGURED: Family =
    Family::gauge("node_selinux_config_mode", "The same after the next boot; -1 when SELinux is to be off.");

/// `node_exporter_build_info`, from which dashboards list the instances.
pub(super) fn build_info(visit: &mut Visit<'_>) {
    let labels = [("branch", "sidewatch"), ("goos", "linux"), ("version", env!("CARGO_PKG_VERSION"))];
    visit.labeled(&BUILD_INFO, &labels, 1.0);
}

/// `node_uname_info`. The kernel is the host's for every container; the name is read from the host's files.
pub(super) fn uname(visit: &mut Visit<'_>) -> Outcome {
    let name = visit.files.host_name();
    let uname = rustix::system::uname();
    let text = |field: &'_ std::ffi::CStr| field.to_string_lossy().into_owned();
    let labels = [
        ("sysname", &*text(uname.sysname())),
        ("release", &*text(uname.release())),
        ("version", &*text(uname.version())),
        ("machine", &*text(uname.machine())),
        ("domainname", &*text(uname.domainname())),
        ("nodename", name.as_deref().unwrap_or_default()),
    ];
    visit.labeled(&UNAME, &labels, 1.0);
    Ok(Found::Seen)
}

/// The fields of os-release that become labels.
const OS_FIELDS: [(&str, &str); 12] = [
    ("BUILD_ID", "build_id"),
    ("ID", "id"),
    ("ID_LIKE", "id_like"),
    ("IMAGE_ID", "image_id"),
    ("IMAGE_VERSION", "image_version"),
    ("NAME", "name"),
    ("PRETTY_NAME", "pretty_name"),
    ("VARIANT", "variant"),
    ("VARIANT_ID", "variant_id"),
    ("VERSION", "version"),
    ("VERSION_CODENAME", "version_codename"),
    ("VERSION_ID", "version_id"),
];

/// `node_os_*`. A system without os-release has none.
pub(super) fn os(visit: &mut Visit<'_>) -> Outcome {
    let files = visit.files;
    let Some(text) = ["etc/os-release", "usr/lib/os-release"].iter().find_map(|place| files.root(place)) else {
        return Ok(Found::NotThere);
    };
    let of = |key: &str| os_field(&text, key).unwrap_or_default();
    visit.labeled(&OS_INFO, &OS_FIELDS.map(|(key, label)| (label, of(key))), 1.0);
    if let Some(version) = os_field(&text, "VERSION_ID").and_then(major_minor) {
        visit.labeled(&OS_VERSION, &[("id", of("ID")), ("id_like", of("ID_LIKE")), ("name", of("NAME"))], version);
    }
    Ok(Found::Seen)
}

fn os_field<'t>(text: &'t str, key: &str) -> Option<&'t str> {
    let value = text.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix('='))?;
    Some(value.trim().trim_matches(['"', '\'']))
}

/// `22.04.1` is 22.04.
fn major_minor(text: &str) -> Option<f64> {
    let end = text.match_indices('.').nth(1).map_or(text.len(), |(at, _)| at);
    text[..end].parse().ok()
}

/// `node_entropy_*`.
pub(super) fn entropy(visit: &mut Visit<'_>) -> Outcome {
    let files = [("entropy_avail", &ENTROPY_AVAILABLE), ("poolsize", &ENTROPY_POOL)];
    for (file, family) in files {
        let text = visit.files.proc(&format!("sys/kernel/random/{file}"))?;
        if let Ok(bits) = text.trim().parse() {
            visit.value(family, bits);
        }
    }
    Ok(Found::Seen)
}

/// `node_filefd_*`: `allocated free maximum`.
pub(super) fn file_descriptors(visit: &mut Visit<'_>) -> Outcome {
    let text = visit.files.proc("sys/fs/file-nr")?;
    let mut numbers = text.split_ascii_whitespace().map(str::parse);
    if let (Some(Ok(allocated)), Some(Ok(maximum))) = (numbers.next(), numbers.nth(1)) {
        visit.value(&FILES_ALLOCATED, allocated);
        visit.value(&FILES_MAXIMUM, maximum);
    }
    Ok(Found::Seen)
}

/// `node_kernel_hung_tasks_total`. Kernels before 6.15 do not count them.
pub(super) fn hung_tasks(visit: &mut Visit<'_>) -> Outcome {
    let before = visit.len();
    let text = visit.files.optional_proc("sys/kernel/hung_task_detect_count")?;
    if let Some(count) = text.and_then(|text| text.trim().parse().ok()) {
        visit.value(&HUNG_TASKS, count);
    }
    Ok(visit.found_since(before))
}

/// `node_selinux_*`.
pub(super) fn selinux(visit: &mut Visit<'_>) -> Outcome {
    let mode = visit.files.sys("fs/selinux").and_then(|folder| folder.number("enforce"));
    visit.value(&SELINUX, f64::from(mode.is_some()));
    let Some(mode) = mode else { return Ok(Found::Seen) };
    visit.value(&SELINUX_MODE, mode);
    if let Some(configured) = configured_mode(visit.files) {
        visit.value(&SELINUX_CONFIGURED, configured);
    }
    Ok(Found::Seen)
}

fn configured_mode(files: &Files) -> Option<f64> {
    let text = files.root("etc/selinux/config")?;
    match text.lines().find_map(|line| line.trim().strip_prefix("SELINUX="))?.trim() {
        "enforcing" => Some(1.0),
        "permissive" => Some(0.0),
        _ => Some(-1.0),
    }
}

static DMI: Family = Family::gauge("node_dmi_info", "1, with what the firmware says of the machine in the labels.");

/// Files below `/sys/class/dmi/id` and their labels.
const DMI_FILES: [(&str, &str); 19] = [
    ("bios_date", "bios_date"),
    ("bios_release", "bios_release"),
    ("bios_vendor", "bios_vendor"),
    ("bios_version", "bios_version"),
    ("board_asset_tag", "board_asset_tag"),
    ("board_name", "board_name"),
    ("board_serial", "board_serial"),
    ("board_vendor", "board_vendor"),
    ("board_version", "board_version"),
    ("chassis_asset_tag", "chassis_asset_tag"),
    ("chassis_serial", "chassis_serial"),
    ("chassis_vendor", "chassis_vendor"),
    ("chassis_version", "chassis_version"),
    ("product_family", "product_family"),
    ("product_name", "product_name"),
    ("product_serial", "product_serial"),
    ("product_sku", "product_sku"),
    ("product_uuid", "product_uuid"),
    ("product_version", "product_version"),
];

/// `node_dmi_info`, read once: the firmware does not change while the machine runs.
pub(super) fn dmi(visit: &mut Visit<'_>) -> Outcome {
    Ok(visit.constant(&DMI, |files| {
        let folder = files.sys("class/dmi/id")?;
        let read = |(file, label)| Some((label, folder.text(file)?));
        let vendor = folder.text("sys_vendor").map(|vendor| ("system_vendor", vendor));
        Some(Labels::new(DMI_FILES.into_iter().filter_map(read).chain(vendor)))
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn os_release_fields_are_unquoted() {
        let text = "PRETTY_NAME=\"Debian GNU/Linux 12 (bookworm)\"\nID=debian\nVERSION_ID='12'\n";
        assert_eq!(os_field(text, "PRETTY_NAME").unwrap(), "Debian GNU/Linux 12 (bookworm)");
        assert_eq!(os_field(text, "ID").unwrap(), "debian");
        assert_eq!(os_field(text, "NAME"), None);
        assert_eq!(
            (major_minor("12"), major_minor("22.04.1"), major_minor("rolling")),
            (Some(12.0), Some(22.04), None)
        );
    }
}
