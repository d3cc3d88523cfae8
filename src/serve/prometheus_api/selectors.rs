//! `match[]`: which series a call is about. Any number of selectors, of which any may take a series.

use std::sync::atomic::{AtomicBool, Ordering};

use crate::promql::parse_selectors;
use crate::store::Matcher;

use super::QUERY_LIMIT;
use super::answer::ApiError;
use super::asking::Asking;

/// One request may ask for so many.
const MAX_SELECTORS: usize = 256;

/// Selectors as they are written. Reading them compiles patterns: off the threads that serve, unless there are none.
#[derive(Debug)]
pub struct SelectorTexts(Vec<String>);

/// Selectors that were read.
#[derive(Debug)]
pub struct Selectors(Vec<Vec<Matcher>>);

impl SelectorTexts {
    /// Each text once.
    ///
    /// # Errors
    /// Too many.
    pub fn new<'t>(texts: impl IntoIterator<Item = &'t str>) -> Result<Self, ApiError> {
        let mut texts: Vec<_> = texts.into_iter().map(str::to_owned).collect();
        texts.sort_unstable();
        texts.dedup();
        if texts.len() > MAX_SELECTORS {
            return Err(ApiError::parameter("match[]", format!("more than {MAX_SELECTORS} selectors")));
        }
        Ok(Self(texts))
    }

    /// Whether none is given.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Reads them.
    ///
    /// # Errors
    /// A text that is no selector, or one that takes series with no label at all.
    pub fn read(&self) -> Result<Selectors, ApiError> {
        let selectors = self.read_any()?;
        if selectors.iter().any(|matchers| matchers.iter().all(|matcher| matcher.takes_value(""))) {
            let why = "match[] must contain at least one non-empty matcher";
            return Err(ApiError::parameter("match[]", why));
        }
        Ok(selectors)
    }

    /// The same, also selectors that take every series.
    ///
    /// # Errors
    /// A text that is no selector.
    pub fn read_any(&self) -> Result<Selectors, ApiError> {
        let all = parse_selectors(self.0.iter().map(String::as_str));
        all.map(Selectors).map_err(|why| ApiError::parameter("match[]", why))
    }

    /// Reads them in the queue before the store, for calls that do not ask it.
    ///
    /// # Errors
    /// As `read`, or there was no place.
    pub async fn read_in(
        self,
        asking: &Asking,
        read: fn(&Self) -> Result<Selectors, ApiError>,
    ) -> Result<Selectors, ApiError> {
        if self.is_empty() {
            return Ok(Selectors(Vec::new()));
        }
        let answered = asking.ask(QUERY_LIMIT, move |_| read(&self).map(|read| read.0)).await?;
        Ok(Selectors(answered.found))
    }
}

impl Selectors {
    /// The conditions of each.
    pub fn iter(&self) -> impl Iterator<Item = &[Matcher]> {
        self.0.iter().map(Vec::as_slice)
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// What each of them finds, one after the other.
    ///
    /// # Errors
    /// Nobody waits for it any more.
    pub fn each<T>(&self, cancel: &AtomicBool, mut find: impl FnMut(&[Matcher]) -> Vec<T>) -> Result<Vec<T>, ApiError> {
        let mut all = Vec::new();
        for matchers in self.iter() {
            if cancel.load(Ordering::Relaxed) {
                return Err(ApiError::Timeout("nobody waits for the answer any more".into()));
            }
            all.extend(find(matchers));
        }
        Ok(all)
    }

    /// The same, sorted, each once.
    ///
    /// # Errors
    /// Nobody waits for it any more.
    pub fn merged<T: Ord>(
        &self,
        cancel: &AtomicBool,
        find: impl FnMut(&[Matcher]) -> Vec<T>,
    ) -> Result<Vec<T>, ApiError> {
        let mut all = self.each(cancel, find)?;
        all.sort_unstable();
        all.dedup();
        Ok(all)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn selectors_take_something() {
        let read = |texts: &[&str]| SelectorTexts::new(texts.iter().copied()).and_then(|texts| texts.read());
        assert_eq!(read(&["up", "{job=~\"a.*\"}", "up"]).map(|all| all.iter().count()).ok(), Some(2));
        for text in ["{}", "{job=\"\"}", "up[5m]", "up+1", "up(", "", "(up)", "+up", "up offset 0s", "up up", "on"] {
            assert!(matches!(read(&[text]), Err(ApiError::BadData(_))), "{text}");
        }
        for text in ["{}", "{job=\"\"}", "up{__name__=\"x\"}"] {
            assert!(SelectorTexts::new([text]).and_then(|texts| texts.read_any()).is_ok(), "{text}");
        }
    }

    #[test]
    fn who_does_not_wait_any_more_costs_one_selector_at_most() {
        let selectors = SelectorTexts::new(["a", "b", "c"]).and_then(|texts| texts.read()).unwrap();
        let cancel = AtomicBool::new(false);
        let mut asked = 0;
        let found = selectors.merged(&cancel, |_| {
            asked += 1;
            cancel.store(true, Ordering::Relaxed);
            vec![1]
        });
        assert_eq!(asked, 1);
        assert!(matches!(found, Err(ApiError::Timeout(_))));
    }
}
