//! What the server is: version, role, modules.

use crate::collect::Look;
use crate::model::{Family, Labels, Suffix};

use super::Info;
use super::text::part_text;

static INSTANCE: Family = Family::gauge("redis_instance_info", "What the server is, in labels; always 1.");
static SLAVE: Family = Family::gauge("redis_slave_info", "Whom the replica follows, in labels; always 1.");
static MODULE: Family = Family::gauge("redis_module_info", "A loaded module, in labels; always 1.");
static START: Family =
    Family::gauge("redis_start_time_seconds", "When the server started by its own clock, in seconds since the epoch.");

const LABELS: [&str; 13] = [
    "role",
    "redis_version",
    "redis_build_id",
    "redis_mode",
    "os",
    "maxmemory_policy",
    "tcp_port",
    "run_id",
    "process_id",
    "master_replid",
    "valkey_version",
    "valkey_release_stage",
    "availability_zone",
];

/// Adds the server's description.
pub fn read(info: &Info<'_>, look: &mut Look) {
    let mut labels = Labels::new(LABELS.iter().map(|name| (*name, info.text(name))));
    if info.text("redis_mode").is_empty() {
        labels = labels.with("redis_mode", info.text("server_mode"));
    }
    look.point(&INSTANCE, Suffix::None, labels, 1.0);
    if info.text("role") == "slave" {
        let labels = [
            ("master_host", info.text("master_host")),
            ("master_port", info.text("master_port")),
            ("read_only", info.text("slave_read_only")),
        ];
        look.labeled(&SLAVE, labels, 1.0);
    }
    if let (Some(now), Some(uptime)) = (info.number("server_time_usec"), info.number("uptime_in_seconds")) {
        look.value(&START, (now / 1e6).floor() - uptime);
    }
}

/// `module:name=search,ver=21005,api=1,filters=0,usedby=[],using=[ReJSON],options=[…]`: one line for each module, all
/// of the same name, so the text itself is read.
pub fn read_modules(text: &str, look: &mut Look) {
    for value in module_lines(text) {
        let label = |name| (name, part_text(value, name).unwrap_or_default());
        let labels = ["name", "ver", "api", "filters", "usedby", "using"].map(label);
        look.labeled(&MODULE, labels, 1.0);
    }
}

/// The names of the loaded modules.
pub fn module_names(text: &str) -> impl Iterator<Item = &str> {
    module_lines(text).filter_map(|value| part_text(value, "name"))
}

fn module_lines(text: &str) -> impl Iterator<Item = &str> {
    text.lines().filter_map(|line| line.trim().strip_prefix("module:"))
}
