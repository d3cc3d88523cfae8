//! How a target's labels come onto a point.

use std::cmp::Ordering;
use std::sync::Arc;

use crate::model::Labels;

/// The labels of a target over those of a point: the target's win, and a point's label of the same name becomes
/// `exported_<name>`, as in Prometheus with `honor_labels: false`.
///
/// ```
/// use sidewatch::{model::Labels, store::overlay};
/// let point = Labels::new([("job", "mail"), ("code", "200")]);
/// let target = Labels::new([("job", "app")]);
/// assert_eq!(overlay(&point, &target).to_string(), r#"{code="200", exported_job="mail", job="app"}"#);
/// ```
pub fn overlay(point: &Labels, target: &Labels) -> Labels {
    if point.is_empty() {
        return target.clone();
    }
    if target.is_empty() {
        return point.clone();
    }
    let renamed = point.pairs().iter().map(|(name, value)| match target.get(name) {
        None => (Arc::clone(name), Arc::clone(value)),
        Some(_) => (free_name(name, point, target), Arc::clone(value)),
    });
    Labels::new(renamed.chain(target.pairs().iter().cloned()))
}

/// `exported_` goes on until nobody has the name.
fn free_name(name: &str, point: &Labels, target: &Labels) -> Arc<str> {
    let mut free = format!("exported_{name}");
    while target.get(&free).is_some() || point.get(&free).is_some() {
        free.insert_str(0, "exported_");
    }
    free.into()
}

/// Whether no label of the point is also the target's: the usual case, in which the two sets merge as they are.
pub fn disjoint(point: &Labels, target: &Labels) -> bool {
    let (mut a, mut b) = (point.pairs().iter().peekable(), target.pairs().iter().peekable());
    while let (Some((x, _)), Some((y, _))) = (a.peek(), b.peek()) {
        match x.cmp(y) {
            Ordering::Less => a.next(),
            Ordering::Greater => b.next(),
            Ordering::Equal => return false,
        };
    }
    true
}

#[cfg(test)]
mod tests {
    use super::*;

    fn overlaid<const N: usize, const M: usize>(point: [(&str, &str); N], target: [(&str, &str); M]) -> String {
        overlay(&Labels::new(point), &Labels::new(target)).to_string()
    }

    #[test]
    fn clashing_labels_of_the_point_are_kept_as_exported() {
        assert_eq!(overlaid([("job", "a")], [("job", "b")]), r#"{exported_job="a", job="b"}"#);
        assert_eq!(overlaid([("job", "a")], [("job", "a")]), r#"{exported_job="a", job="a"}"#);
        let twice = overlaid([("exported_job", "x"), ("job", "a")], [("job", "b")]);
        assert_eq!(twice, r#"{exported_exported_job="a", exported_job="x", job="b"}"#);
    }
}
