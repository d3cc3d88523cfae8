//! `/proc/loadavg`: how many tasks ran or waited, over one, five and fifteen minutes.

use crate::model::Family;

use super::visit::{Found, Outcome, Visit};

static LOADS: [Family; 3] = [
    Family::gauge("node_load1", "Tasks that ran or waited for CPU or disk, averaged over 1 minute."),
    Family::gauge("node_load5", "Tasks that ran or waited for CPU or disk, averaged over 5 minutes."),
    Family::gauge("node_load15", "Tasks that ran or waited for CPU or disk, averaged over 15 minutes."),
];

/// `node_load*`, as `node_exporter`'s collector `loadavg`.
pub(super) fn collect(visit: &mut Visit<'_>) -> Outcome {
    let text = visit.files.proc("loadavg")?;
    for (family, word) in LOADS.iter().zip(text.split_ascii_whitespace()) {
        if let Ok(load) = word.parse() {
            visit.value(family, load);
        }
    }
    Ok(Found::Seen)
}
