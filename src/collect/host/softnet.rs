//! `/proc/net/softnet_stat`: how each core got along with the packets that came in.

use crate::model::Family;

use super::visit::{Found, Outcome, Visit};

/// Columns by their index, hexadecimal. Old kernels lack the last ones.
static COLUMNS: [(usize, Family); 7] = [
    (0, Family::counter("node_softnet_processed_total", "Packets that the core took in.")),
    (1, Family::counter("node_softnet_dropped_total", "Packets that the core dropped because its queue was full.")),
    (
        2,
        Family::counter(
            "node_softnet_times_squeezed_total",
            "How often the core's time for packets ended before the packets did.",
        ),
    ),
    (8, Family::counter("node_softnet_cpu_collision_total", "How often the core found a device locked while sending.")),
    (9, Family::counter("node_softnet_received_rps_total", "How often another core woke this one for packets.")),
    (
        10,
        Family::counter(
            "node_softnet_flow_limit_count_total",
            "Packets dropped because one flow filled the core's queue.",
        ),
    ),
    (11, Family::gauge("node_softnet_backlog_len", "Packets that wait in the core's queue.")),
];

/// The column with the core's number; before kernel 5.14 it is the line's.
const CORE: usize = 12;

/// `node_softnet_*`, as `node_exporter`'s collector `softnet`.
pub(super) fn collect(visit: &mut Visit<'_>) -> Outcome {
    let text = visit.files.init_proc("net/softnet_stat")?;
    for (line, at) in text.lines().zip(0..) {
        let (columns, known) = parse(line);
        let core = if known > CORE { columns[CORE] } else { at };
        let labels = visit.labels(&[("cpu", &core.to_string())]);
        for (column, family) in COLUMNS.iter().filter(|(column, _)| *column < known) {
            visit.point(family, &labels, columns[*column] as f64);
        }
    }
    Ok(Found::Seen)
}

/// The columns that we use, and how many of them the line has.
fn parse(line: &str) -> ([u64; CORE + 1], usize) {
    let mut columns = [0; CORE + 1];
    let mut known = 0;
    let words = line.split_ascii_whitespace().map_while(|word| u64::from_str_radix(word, 16).ok());
    for (column, value) in columns.iter_mut().zip(words) {
        *column = value;
        known += 1;
    }
    (columns, known)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_hexadecimal_and_an_old_kernel_has_fewer() {
        let line = "00119746 00000000 0000000c 00000000 00000000 00000000 00000000 00000000 00000000 00000000 00000000 \
            00000000 00000001 00000000 00000000";
        let (columns, known) = parse(line);
        assert_eq!((columns[0], columns[2], columns[CORE], known), (0x11_9746, 12, 1, 13));
        assert_eq!(parse("0000000a 00000001 00000000").1, 3);
    }
}
