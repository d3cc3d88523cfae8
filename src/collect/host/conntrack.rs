//! Connection tracking: how full its table is, and what it could not do.

use crate::model::Family;

use super::visit::{Outcome, Visit};

static SIZES: [(&str, Family); 2] = [
    (
        "sys/net/netfilter/nf_conntrack_count",
        Family::gauge("node_nf_conntrack_entries", "Connections that are tracked now."),
    ),
    (
        "sys/net/netfilter/nf_conntrack_max",
        Family::gauge("node_nf_conntrack_entries_limit", "Connections that can be tracked."),
    ),
];

/// Columns of `/proc/net/stat/nf_conntrack`, a line each core. Gauges, because `node_exporter` calls them so.
static STATS: [(&str, Family); 8] = [
    ("found", Family::gauge("node_nf_conntrack_stat_found", "Look-ups that found a connection, since boot.")),
    ("invalid", Family::gauge("node_nf_conntrack_stat_invalid", "Packets that cannot be tracked, since boot.")),
    (
        "ignore",
        Family::gauge("node_nf_conntrack_stat_ignore", "Packets that belonged to a connection already, since boot."),
    ),
    ("insert", Family::gauge("node_nf_conntrack_stat_insert", "Connections that were entered, since boot.")),
    (
        "insert_failed",
        Family::gauge("node_nf_conntrack_stat_insert_failed", "Connections that could not be entered, since boot."),
    ),
    ("drop", Family::gauge("node_nf_conntrack_stat_drop", "Packets dropped because tracking failed, since boot.")),
    (
        "early_drop",
        Family::gauge("node_nf_conntrack_stat_early_drop", "Connections pushed out of a full table, since boot."),
    ),
    (
        "search_restart",
        Family::gauge(
            "node_nf_conntrack_stat_search_restart",
            "Look-ups begun anew because the table was resized, since boot.",
        ),
    ),
];

/// The sum of a column over the cores. The numbers are hexadecimal.
fn sum(text: &str, column: &str) -> Option<f64> {
    let mut lines = text.lines();
    let at = lines.next()?.split_ascii_whitespace().position(|name| name == column)?;
    let of = |line: &str| u64::from_str_radix(line.split_ascii_whitespace().nth(at)?, 16).ok();
    Some(lines.filter_map(of).sum::<u64>() as f64)
}

/// `node_nf_conntrack_*`, as `node_exporter`'s collector `conntrack`. Absent while nothing is tracked.
pub(super) fn collect(visit: &mut Visit<'_>) -> Outcome {
    let before = visit.len();
    for (file, family) in &SIZES {
        let text = visit.files.optional_proc(file)?;
        if let Some(count) = text.and_then(|text| text.trim().parse().ok()) {
            visit.value(family, count);
        }
    }
    // Kernels can be built without it.
    let text = visit.files.optional_init_proc("net/stat/nf_conntrack")?.unwrap_or_default();
    for (column, family) in &STATS {
        if let Some(count) = sum(&text, column) {
            visit.value(family, count);
        }
    }
    Ok(visit.found_since(before))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cores_are_added_up() {
        let text = "entries  clashres found new invalid ignore delete\n\
            0000244b  00000000 00000001 00000000 00000960 00000000 00000000\n\
            0000244b  00000000 00000002 00000000 000004d2 00000000 00000000\n";
        assert_eq!((sum(text, "found"), sum(text, "invalid")), (Some(3.0), Some(3634.0)));
        assert_eq!((sum(text, "drop"), sum("", "drop")), (None, None));
    }
}
