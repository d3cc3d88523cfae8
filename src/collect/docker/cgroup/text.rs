//! The few shapes in which control groups write figures.

/// The value of `key` in lines of `key value`.
pub(super) fn keyed(text: &str, key: &str) -> Option<u64> {
    text.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix(' ')?.trim().parse().ok())
}

/// A file of one number. `max`, which means no limit, is none.
pub(super) fn number(text: &str) -> Option<u64> {
    text.trim().parse().ok()
}

/// `253:0`
pub(super) fn device(text: &str) -> Option<(u64, u64)> {
    let (major, minor) = text.split_once(':')?;
    Some((major.parse().ok()?, minor.parse().ok()?))
}

/// The totals in microseconds of a pressure file's lines `some …` and `full …`.
pub(super) fn pressure(text: &str) -> [Option<u64>; 2] {
    ["some ", "full "].map(|kind| {
        let line = text.lines().find_map(|line| line.strip_prefix(kind))?;
        line.rsplit_once("total=")?.1.trim().parse().ok()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_the_whole_first_word() {
        let text = "total_rss_huge 1\ntotal_rss 2\nrss 3\n";
        assert_eq!(keyed(text, "rss"), Some(3));
        assert_eq!(keyed(text, "total_rss"), Some(2));
        assert_eq!(keyed(text, "total"), None);
        assert_eq!(number("max\n"), None);
    }

    #[test]
    fn pressure_is_the_totals() {
        let text =
            "some avg10=0.00 avg60=0.12 avg300=0.03 total=2500\nfull avg10=0.00 avg60=0.00 avg300=0.00 total=7\n";
        assert_eq!(pressure(text), [Some(2500), Some(7)]);
        assert_eq!(pressure("some avg10=0.00 avg60=0.00 avg300=0.00 total=4\n"), [Some(4), None]);
    }
}
