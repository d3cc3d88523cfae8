//! `/proc/vmstat`: page faults, swapping, kills for lack of memory.

use crate::model::{Family, MetricKind};

use super::visit::{Found, Outcome, Visit};

/// `node_exporter`'s default `^(oom_kill|pgpg|pswp|pg.*fault).*`.
fn is_kept(name: &str) -> bool {
    let fault = name.strip_prefix("pg").is_some_and(|rest| rest.contains("fault"));
    fault || ["oom_kill", "pgpg", "pswp"].iter().any(|start| name.starts_with(start))
}

fn parse(text: &str) -> impl Iterator<Item = (&str, f64)> {
    text.lines()
        .filter_map(|line| line.split_once(' '))
        .filter(|(name, _)| is_kept(name))
        .filter_map(|(name, value)| Some((name, value.trim().parse().ok()?)))
}

fn family(name: &str) -> Family {
    let help = format!("The kernel's counter {name} of /proc/vmstat.");
    Family::discovered(format!("node_vmstat_{name}"), MetricKind::Unknown, help)
}

/// `node_vmstat_*`, as `node_exporter`'s collector `vmstat`.
pub(super) fn collect(visit: &mut Visit<'_>) -> Outcome {
    for (name, value) in parse(&visit.files.proc("vmstat")?) {
        visit.discovered("vmstat", name, family, value);
    }
    Ok(Found::Seen)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn faults_swapping_and_kills_are_kept() {
        let text = "nr_free_pages 1\npgpgin 2\npswpout 3\npgfault 4\npgmajfault 5\npgalloc_dma 6\noom_kill 7\n";
        let kept: Vec<_> = parse(text).map(|(name, _)| name).collect();
        assert_eq!(kept, ["pgpgin", "pswpout", "pgfault", "pgmajfault", "oom_kill"]);
    }
}
