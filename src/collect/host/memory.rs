//! `/proc/meminfo`: every line under `node_exporter`'s spelling of it.

use crate::model::{Family, MetricKind};

use super::files::Files;
use super::{CollectError, Look};

/// A line of `/proc/meminfo`.
#[derive(Debug, Clone, PartialEq)]
pub(in crate::collect) struct Field {
    /// `Active_anon` for `Active(anon)`, without `node_exporter`'s `_bytes`.
    pub(in crate::collect) name: String,
    /// In bytes, or a count where the line has no unit.
    pub(in crate::collect) value: f64,
    /// Whether the line has a unit.
    is_bytes: bool,
}

/// Reads `/proc/meminfo`. Lines that do not look like one are left out.
pub(in crate::collect) fn parse(text: &str) -> Vec<Field> {
    text.lines().filter_map(field).collect()
}

fn field(line: &str) -> Option<Field> {
    let (name, rest) = line.split_once(':')?;
    let mut words = rest.split_ascii_whitespace();
    let value: f64 = words.next()?.parse().ok()?;
    let is_bytes = words.next() == Some("kB");
    let name = name.replace('(', "_").replace(')', "");
    Some(Field { name, value: if is_bytes { value * 1024.0 } else { value }, is_bytes })
}

/// `node_memory_*`, as `node_exporter`'s collector `meminfo`.
pub(super) fn collect(files: &Files, look: &mut Look) -> Result<(), CollectError> {
    for Field { name, value, is_bytes } in parse(&files.proc("meminfo")?) {
        let metric = format!("node_memory_{name}{}", if is_bytes { "_bytes" } else { "" });
        let help = format!("Memory information field {name}.");
        look.value(&Family::discovered(metric, MetricKind::Gauge, help), value);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kilobytes_become_bytes_and_counts_stay() {
        let fields = parse("MemTotal:       4030944 kB\nActive(anon):      12 kB\nHugePages_Total:       3\nbroken\n");
        let named: Vec<_> = fields.iter().map(|field| (field.name.as_str(), field.value, field.is_bytes)).collect();
        let expected = [("MemTotal", 4_127_686_656.0, true), ("Active_anon", 12_288.0, true)];
        assert_eq!(named[..2], expected);
        assert_eq!(named[2..], [("HugePages_Total", 3.0, false)]);
    }
}
