//! `/proc/loadavg`.

use crate::model::Family;

use super::files::Files;
use super::{CollectError, Look};

static LOADS: [Family; 3] = [
    Family::gauge("node_load1", "1m load average."),
    Family::gauge("node_load5", "5m load average."),
    Family::gauge("node_load15", "15m load average."),
];

/// `node_load*`, as `node_exporter`'s collector `loadavg`.
pub(super) fn collect(files: &Files, look: &mut Look) -> Result<(), CollectError> {
    let text = files.proc("loadavg")?;
    for (family, load) in LOADS.iter().zip(text.split_ascii_whitespace().filter_map(|word| word.parse().ok())) {
        look.value(family, load);
    }
    Ok(())
}
