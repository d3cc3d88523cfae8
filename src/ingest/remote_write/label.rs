//! What labels of a written series may be, and their texts, each made once for a request.

use std::collections::HashMap;
use std::sync::Arc;

use crate::model::METRIC_NAME;

/// So many texts are kept. A usual request has some hundreds; one made to hurt has millions, each a few bytes long.
const MAX_TEXTS: usize = 10_000;

/// Texts of a request: the same names and values stand in most of its series.
#[derive(Debug, Default)]
pub(super) struct Texts<'b>(HashMap<&'b str, Arc<str>>);

impl<'b> Texts<'b> {
    /// The text, shared with whoever asked for it before.
    pub(super) fn get(&mut self, text: &'b str) -> Arc<str> {
        if self.0.len() == MAX_TEXTS {
            self.0.clear();
        }
        Arc::clone(self.0.entry(text).or_insert_with(|| text.into()))
    }
}

/// Checks what the specification asks of senders: a metric's name, names in order, each once and not empty. Text in
/// UTF-8 was asked for by the reader.
///
/// # Errors
/// What is wrong, with the series.
pub(super) fn check(labels: &[(&str, &str)]) -> Result<(), String> {
    let wrong = |what: &str| Err(format!("{what} in {}", shown(labels)));
    if labels.iter().any(|(name, _)| name.is_empty()) {
        return wrong("a label without a name");
    }
    for pair in labels.windows(2) {
        if pair[0].0 == pair[1].0 {
            return wrong(&format!("label {:?} twice", pair[0].0));
        }
        if pair[0].0 > pair[1].0 {
            return wrong(&format!("labels out of order ({:?} before {:?})", pair[0].0, pair[1].0));
        }
    }
    match labels.binary_search_by(|(name, _)| (*name).cmp(METRIC_NAME)) {
        Ok(at) if !labels[at].1.is_empty() => Ok(()),
        _ => wrong("no metric name"),
    }
}

/// The series for a reader of errors, cut where it is long.
fn shown(labels: &[(&str, &str)]) -> String {
    const MOST: usize = 300;
    let mut text = String::from("{");
    for (at, (name, value)) in labels.iter().enumerate() {
        if text.len() > MOST {
            text.push('…');
            break;
        }
        let start = if at == 0 { "" } else { ", " };
        let short: String = value.chars().take(MOST).collect();
        text.extend([start, &name.chars().take(MOST).collect::<String>(), "=", &format!("{short:?}")]);
    }
    text.push('}');
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_are_shared_and_bounded() {
        let all: Vec<_> = (0..3 * MAX_TEXTS).map(|n| n.to_string()).collect();
        let mut texts = Texts::default();
        assert!(Arc::ptr_eq(&texts.get("a"), &texts.get("a")));
        for text in &all {
            assert_eq!(&*texts.get(text), text);
            assert!(texts.0.len() <= MAX_TEXTS);
        }
    }
}
