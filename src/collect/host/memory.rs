//! `/proc/meminfo`: every line under `node_exporter`'s spelling of it.

use crate::model::{Family, MetricKind};

use super::visit::{Found, Outcome, Visit};

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
    let field = |line| {
        let Line { name, value, is_bytes } = Line::read(line)?;
        Some(Field { name: spelled(name), value, is_bytes })
    };
    text.lines().filter_map(field).collect()
}

struct Line<'t> {
    name: &'t str,
    value: f64,
    is_bytes: bool,
}

impl<'t> Line<'t> {
    fn read(line: &'t str) -> Option<Self> {
        let (name, rest) = line.split_once(':')?;
        let mut words = rest.split_ascii_whitespace();
        let value: f64 = words.next()?.parse().ok()?;
        let is_bytes = words.next() == Some("kB");
        Some(Self { name, value: if is_bytes { value * 1024.0 } else { value }, is_bytes })
    }

    fn family(&self) -> Family {
        let name = format!("node_memory_{}{}", spelled(self.name), if self.is_bytes { "_bytes" } else { "" });
        let unit = if self.is_bytes { "in bytes" } else { "a count of pages" };
        Family::discovered(name, MetricKind::Gauge, format!("What /proc/meminfo says of {}, {unit}.", self.name))
    }
}

/// `Active(anon)` is `Active_anon`.
fn spelled(name: &str) -> String {
    name.replace('(', "_").replace(')', "")
}

/// `node_memory_*`, as `node_exporter`'s collector `meminfo`; of the file's lines that it has come to leave out, too.
pub(super) fn collect(visit: &mut Visit<'_>) -> Outcome {
    let text = visit.files.proc("meminfo")?;
    for line in text.lines().filter_map(Line::read) {
        visit.discovered("meminfo", line.name, |_| line.family(), line.value);
    }
    Ok(Found::Seen)
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
