//! `/sys/class/watchdog`: the timers that restart a machine that hangs.

use crate::model::Family;

use super::visit::{Found, Outcome, Visit};

static NUMBERS: [(&str, Family); 7] = [
    ("access_cs0", Family::gauge("node_watchdog_access_cs0", "Whether the first boot code may be read (1).")),
    ("bootstatus", Family::gauge("node_watchdog_bootstatus", "The watchdog's status at boot.")),
    ("fw_version", Family::gauge("node_watchdog_fw_version", "The version of the watchdog's firmware.")),
    ("nowayout", Family::gauge("node_watchdog_nowayout", "Whether the watchdog cannot be stopped once it runs (1).")),
    (
        "pretimeout",
        Family::gauge("node_watchdog_pretimeout_seconds", "Seconds before its time-out at which the watchdog warns."),
    ),
    ("timeleft", Family::gauge("node_watchdog_timeleft_seconds", "Seconds until the watchdog restarts the machine.")),
    (
        "timeout",
        Family::gauge(
            "node_watchdog_timeout_seconds",
            "Seconds without a sign of life after which it restarts the machine.",
        ),
    ),
];
static INFO: Family = Family::gauge("node_watchdog_info", "1, with what the watchdog is in the labels.");

/// `node_watchdog_*`, as `node_exporter`'s collector `watchdog`.
pub(super) fn collect(visit: &mut Visit<'_>) -> Outcome {
    let Some(all) = visit.files.sys("class/watchdog") else { return Ok(Found::NotThere) };
    for name in all.names() {
        let Some(folder) = all.folder(&name) else { continue };
        let labels = visit.labels(&[("name", &name)]);
        for (file, family) in &NUMBERS {
            if let Some(value) = folder.number(file) {
                visit.point(family, &labels, value);
            }
        }
        let text = |file| folder.text(file).unwrap_or_default();
        let info = [
            ("name", &*name),
            ("identity", &*text("identity")),
            ("options", &*text("options")),
            ("pretimeout_governor", &*text("pretimeout_governor")),
            ("state", &*text("state")),
            ("status", &*text("status")),
        ];
        visit.labeled(&INFO, &info, 1.0);
    }
    Ok(Found::Seen)
}
