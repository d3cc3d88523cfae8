//! The system as a whole: clock, kernel, distribution, entropy, file handles.

use crate::model::{Family, Millis};

use super::files::Files;
use super::{CollectError, Look};

static TIME: Family = Family::gauge("node_time_seconds", "System time in seconds since epoch (1970).");
static BUILD_INFO: Family =
    Family::gauge("node_exporter_build_info", "1, with the version of Sidewatch, which stands in for node_exporter.");
static UNAME: Family =
    Family::gauge("node_uname_info", "Labeled system information as provided by the uname system call.");
static OS_INFO: Family =
    Family::gauge("node_os_info", "A metric with a constant '1' value labeled by the fields of os-release.");
static OS_VERSION: Family =
    Family::gauge("node_os_version", "Metric containing the major.minor part of the OS version.");
static ENTROPY_AVAILABLE: Family = Family::gauge("node_entropy_available_bits", "Bits of available entropy.");
static ENTROPY_POOL: Family = Family::gauge("node_entropy_pool_size_bits", "Bits of entropy pool.");
static FILES_ALLOCATED: Family = Family::gauge("node_filefd_allocated", "File descriptor statistics: allocated.");
static FILES_MAXIMUM: Family = Family::gauge("node_filefd_maximum", "File descriptor statistics: maximum.");

/// `node_time_seconds`.
pub(super) fn time(now: Millis, look: &mut Look) {
    look.value(&TIME, now.as_seconds());
}

/// `node_exporter_build_info`, from which dashboards list the instances.
pub(super) fn build_info(look: &mut Look) {
    let labels = [("branch", "sidewatch"), ("goos", "linux"), ("version", env!("CARGO_PKG_VERSION"))];
    look.labeled(&BUILD_INFO, labels, 1.0);
}

/// `node_uname_info`, from the files behind the system call.
pub(super) fn uname(files: &Files, look: &mut Look) -> Result<(), CollectError> {
    let of = |name: &str| files.proc(&format!("sys/kernel/{name}")).map(|text| text.trim().to_owned());
    let labels = [
        ("sysname", of("ostype")?),
        ("release", of("osrelease")?),
        ("version", of("version")?),
        ("domainname", of("domainname")?),
        ("nodename", files.host_name().unwrap_or_default()),
        ("machine", std::env::consts::ARCH.to_owned()),
    ];
    look.labeled(&UNAME, labels.each_ref().map(|(name, value)| (*name, value.as_str())), 1.0);
    Ok(())
}

/// The fields of os-release that become labels.
const OS_FIELDS: [&str; 12] = [
    "BUILD_ID",
    "ID",
    "ID_LIKE",
    "IMAGE_ID",
    "IMAGE_VERSION",
    "NAME",
    "PRETTY_NAME",
    "VARIANT",
    "VARIANT_ID",
    "VERSION",
    "VERSION_CODENAME",
    "VERSION_ID",
];

/// `node_os_*`. A system without os-release has none.
#[expect(clippy::unnecessary_wraps, reason = "one of the collectors, which may fail")]
pub(super) fn os(files: &Files, look: &mut Look) -> Result<(), CollectError> {
    let places = ["etc/os-release", "usr/lib/os-release"];
    let Some(text) = places.iter().find_map(|place| std::fs::read_to_string(files.rootfs.join(place)).ok()) else {
        return Ok(());
    };
    let of = |key: &str| os_field(&text, key);
    let labels = OS_FIELDS.map(|key| (key.to_ascii_lowercase(), of(key).unwrap_or_default()));
    look.labeled(&OS_INFO, labels.each_ref().map(|(name, value)| (name.as_str(), value.as_str())), 1.0);
    if let Some(version) = of("VERSION_ID").and_then(|text| major_minor(&text)) {
        let of = |key: &str| of(key).unwrap_or_default();
        look.labeled(&OS_VERSION, [("id", &*of("ID")), ("id_like", &*of("ID_LIKE")), ("name", &*of("NAME"))], version);
    }
    Ok(())
}

fn os_field(text: &str, key: &str) -> Option<String> {
    let value = text.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix('='))?;
    Some(value.trim().trim_matches(['"', '\'']).to_owned())
}

/// `22.04.1` is 22.04.
fn major_minor(text: &str) -> Option<f64> {
    let parts: Vec<_> = text.split('.').take(2).collect();
    parts.join(".").parse().ok()
}

/// `node_entropy_*`.
pub(super) fn entropy(files: &Files, look: &mut Look) -> Result<(), CollectError> {
    for (file, family) in [("entropy_avail", &ENTROPY_AVAILABLE), ("poolsize", &ENTROPY_POOL)] {
        let text = files.optional_proc(&format!("sys/kernel/random/{file}"))?;
        if let Some(bits) = text.and_then(|text| text.trim().parse().ok()) {
            look.value(family, bits);
        }
    }
    Ok(())
}

/// `node_filefd_*`: `allocated free maximum`.
pub(super) fn file_descriptors(files: &Files, look: &mut Look) -> Result<(), CollectError> {
    let text = files.proc("sys/fs/file-nr")?;
    let numbers: Vec<f64> = text.split_ascii_whitespace().filter_map(|word| word.parse().ok()).collect();
    if let [allocated, _, maximum] = numbers[..] {
        look.value(&FILES_ALLOCATED, allocated);
        look.value(&FILES_MAXIMUM, maximum);
    }
    Ok(())
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
