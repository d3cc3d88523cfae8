//! Sorted lists of series, and what they have in common.

use super::index::SeriesId;

/// What is in both lists. The shorter one is gone through; the longer one is leapt through.
pub(super) fn intersection(short: &[SeriesId], long: &[SeriesId]) -> Vec<SeriesId> {
    let mut rest = long;
    let mut both = Vec::with_capacity(short.len());
    for id in short {
        rest = &rest[leap(rest, *id)..];
        match rest.first() {
            Some(found) if found == id => both.push(*id),
            Some(_) => {}
            None => break,
        }
    }
    both
}

/// How many are less than `id`: leaps that double, then the half of the last leap, and so on.
fn leap(list: &[SeriesId], id: SeriesId) -> usize {
    let mut end = 1;
    while end < list.len() && list[end] < id {
        end *= 2;
    }
    let from = end / 2;
    from + list[from..list.len().min(end + 1)].partition_point(|other| *other < id)
}

/// Everything of lists that have nothing in common.
pub(super) fn union<'l>(lists: impl Iterator<Item = &'l [SeriesId]>) -> Vec<SeriesId> {
    let mut all = Vec::new();
    lists.for_each(|list| all.extend_from_slice(list));
    all.sort_unstable();
    all
}

/// Takes sorted `gone` out of a list.
pub(super) fn subtract(list: &mut Vec<SeriesId>, gone: &[SeriesId]) {
    if let [one] = gone {
        // The usual case, which need not touch what is before.
        if let Ok(at) = list.binary_search(one) {
            list.remove(at);
        }
        return;
    }
    let mut gone = gone.iter().peekable();
    list.retain(|id| {
        while gone.next_if(|next| *next < id).is_some() {}
        gone.peek() != Some(&id)
    });
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn lists_are_sets(
            a in prop::collection::btree_set(0u32..300, 0..100), b in prop::collection::btree_set(0u32..300, 0..100)
        ) {
            let list = |set: &BTreeSet<u32>| set.iter().copied().collect::<Vec<_>>();
            let (la, lb) = (list(&a), list(&b));
            prop_assert_eq!(intersection(&la, &lb), a.intersection(&b).copied().collect::<Vec<_>>());
            let mut left = la.clone();
            subtract(&mut left, &lb);
            let only: Vec<_> = a.difference(&b).copied().collect();
            prop_assert_eq!(&left, &only);
            prop_assert_eq!(union([lb.as_slice(), &only].into_iter()), a.union(&b).copied().collect::<Vec<_>>());
        }
    }
}
