//! Label sets: sorted, shared, cheap to clone.

use std::fmt;
use std::sync::{Arc, LazyLock};

/// The label that holds a series' metric name.
pub const METRIC_NAME: &str = "__name__";

/// A set of label pairs, sorted by name, without duplicates and without empty values
/// (an empty value means the label is absent, as everywhere in Prometheus).
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Labels(Arc<[(Arc<str>, Arc<str>)]>);

impl Labels {
    /// The empty set.
    pub fn empty() -> Self {
        // One for all: most of a host's series have none.
        static EMPTY: LazyLock<Labels> = LazyLock::new(|| Labels(Arc::from([])));
        EMPTY.clone()
    }

    /// Makes a set from pairs in any order. Of a name given twice, the later value stays.
    ///
    /// ```
    /// use sidewatch::model::Labels;
    /// let labels = Labels::new([("job", "app"), ("instance", "a:1"), ("job", "api"), ("gone", "")]);
    /// assert_eq!(labels.to_string(), r#"{instance="a:1", job="api"}"#);
    /// ```
    pub fn new<N: Into<Arc<str>>, V: Into<Arc<str>>>(pairs: impl IntoIterator<Item = (N, V)>) -> Self {
        let mut all: Vec<(Arc<str>, Arc<str>)> =
            pairs.into_iter().map(|(name, value)| (name.into(), value.into())).collect();
        all.sort_by(|a, b| a.0.cmp(&b.0));
        let mut kept: Vec<(Arc<str>, Arc<str>)> = Vec::with_capacity(all.len());
        for pair in all {
            match kept.last_mut() {
                Some(last) if last.0 == pair.0 => *last = pair,
                _ => kept.push(pair),
            }
        }
        kept.retain(|(_, value)| !value.is_empty());
        Self(kept.into())
    }

    /// The value of a label, if it is there.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.shared(name).map(AsRef::as_ref)
    }

    /// The value of a label as it is shared between sets.
    pub fn shared(&self, name: &str) -> Option<&Arc<str>> {
        let at = self.0.binary_search_by(|(other, _)| (**other).cmp(name)).ok()?;
        Some(&self.0[at].1)
    }

    /// The metric name, or "" for a series without one.
    pub fn metric_name(&self) -> &str {
        self.get(METRIC_NAME).unwrap_or_default()
    }

    /// The pairs in order of their names.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = (&str, &str)> + Clone {
        self.0.iter().map(|(name, value)| (&**name, &**value))
    }

    /// The pairs as they are shared, for building other sets without copying text.
    pub fn pairs(&self) -> &[(Arc<str>, Arc<str>)] {
        &self.0
    }

    /// Whether others hold this very set.
    pub fn is_shared(&self) -> bool {
        Arc::strong_count(&self.0) > 1
    }

    /// The same set, made of another's texts where they are equal: each text is in memory once then.
    #[must_use]
    pub fn of_texts(&self, other: &Self) -> Self {
        let same = |pair: &(Arc<str>, Arc<str>)| {
            let at = other.0.binary_search_by(|(name, _)| name.cmp(&pair.0)).ok()?;
            (other.0[at].1 == pair.1).then(|| other.0[at].clone())
        };
        Self(self.0.iter().map(|pair| same(pair).unwrap_or_else(|| pair.clone())).collect())
    }

    /// How many labels there are.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there is no label.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// This set with one label set; an empty value removes it.
    #[must_use]
    pub fn with(&self, name: &str, value: impl Into<Arc<str>>) -> Self {
        Self::new(self.0.iter().cloned().chain([(Arc::from(name), value.into())]))
    }

    /// This set without the labels for which `drop` holds.
    #[must_use]
    pub fn without(&self, drop: impl Fn(&str) -> bool) -> Self {
        Self(self.0.iter().filter(|(name, _)| !drop(name)).cloned().collect())
    }

    /// This set overlaid with another, whose values win.
    #[must_use]
    pub fn overlaid(&self, over: &Self) -> Self {
        if over.is_empty() {
            return self.clone();
        }
        Self::new(self.0.iter().chain(over.0.iter()).cloned())
    }
}

impl Default for Labels {
    fn default() -> Self {
        Self::empty()
    }
}

impl fmt::Display for Labels {
    /// As PromQL writes a selector's braces: `{a="b", c="d"}`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("{")?;
        for (at, (name, value)) in self.iter().enumerate() {
            if at > 0 {
                f.write_str(", ")?;
            }
            write!(f, "{name}={value:?}")?;
        }
        f.write_str("}")
    }
}

impl fmt::Debug for Labels {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// Whether a name may be a label's: `[a-zA-Z_][a-zA-Z0-9_]*`.
pub fn is_valid_label_name(name: &str) -> bool {
    name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
        && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
}

/// Whether a name may be a metric's: `[a-zA-Z_:][a-zA-Z0-9_:]*`.
pub fn is_valid_metric_name(name: &str) -> bool {
    name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_' || c == ':')
        && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_' || c == ':')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_label_with_an_empty_value_is_absent() {
        let labels = Labels::new([("a", "1"), ("b", "2")]).with("a", "");
        assert_eq!(labels.to_string(), r#"{b="2"}"#);
        assert_eq!(labels.get("a"), None);
    }

    #[test]
    fn the_overlay_wins() {
        let target = Labels::new([("job", "app"), ("instance", "i")]);
        let user = Labels::new([("job", "mine"), ("team", "x")]);
        assert_eq!(target.overlaid(&user).to_string(), r#"{instance="i", job="mine", team="x"}"#);
    }
}
