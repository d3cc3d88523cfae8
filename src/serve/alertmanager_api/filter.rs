//! What a request of the API asks for: matchers, flags, a pattern of receivers.

use axum::extract::FromRequestParts;
use axum::http::request::Parts as Head;
use regex::Regex;

use crate::model::Labels;
use crate::notify::matcher::{Matcher, all_take};
use crate::promql::pattern::unanchored;

use super::answer::ApiError;

/// One request may ask for so many matchers.
const MAX_MATCHERS: usize = 256;

/// What go-openapi takes for yes. Whatever else is no.
const YES: [&str; 12] = ["true", "1", "yes", "ok", "y", "on", "selected", "checked", "t", "enabled", "si", "oui"];

/// The parameters of a request's address.
#[derive(Debug, Default)]
pub struct Asked(Vec<(String, String)>);

impl<S: Send + Sync> FromRequestParts<S> for Asked {
    type Rejection = std::convert::Infallible;

    async fn from_request_parts(head: &mut Head, _: &S) -> Result<Self, Self::Rejection> {
        Ok(Self::read(head.uri.query().unwrap_or_default()))
    }
}

impl Asked {
    /// Reads what stands behind the question mark.
    pub fn read(query: &str) -> Self {
        let pairs = url::form_urlencoded::parse(query.as_bytes());
        Self(pairs.map(|(name, value)| (name.into_owned(), value.into_owned())).collect())
    }

    /// All values of a parameter.
    pub fn all<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a str> {
        self.0.iter().filter(move |(known, _)| known == name).map(|(_, value)| value.as_str())
    }

    /// The last value of a parameter.
    pub fn text(&self, name: &str) -> Option<&str> {
        self.0.iter().rev().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }

    /// A flag that is on unless it is turned off.
    pub fn flag(&self, name: &str) -> bool {
        match self.text(name) {
            None | Some("") => true,
            Some(text) => YES.contains(&text.to_lowercase().as_str()),
        }
    }

    /// The matchers of a parameter that may be given often.
    ///
    /// # Errors
    /// One that is none.
    pub fn matchers(&self, name: &str) -> Result<Vec<Matcher>, String> {
        if self.all(name).count() > MAX_MATCHERS {
            return Err(format!("more than {MAX_MATCHERS} matchers"));
        }
        self.all(name).map(Matcher::parse).collect()
    }

    /// Which alerts are asked for.
    ///
    /// # Errors
    /// A matcher or the pattern cannot be read.
    pub fn filter(&self) -> Result<Filter, ApiError> {
        let matchers = self.matchers("filter").map_err(ApiError::Bad)?;
        let pattern = self.text("receiver").filter(|text| !text.is_empty());
        let compile = |pattern: &str| {
            let wrong =
                |_| ApiError::Bad(format!("failed to parse receiver param: error parsing regexp: `^(?:{pattern})$`"));
            unanchored(&format!("^(?:{pattern})$")).map_err(wrong)
        };
        Ok(Filter {
            matchers,
            receiver: pattern.map(compile).transpose()?,
            active: self.flag("active"),
            silenced: self.flag("silenced"),
            inhibited: self.flag("inhibited"),
            muted: self.flag("muted"),
        })
    }
}

/// Which alerts are asked for.
#[derive(Debug)]
#[expect(clippy::struct_excessive_bools, reason = "each is a parameter of the API")]
pub struct Filter {
    matchers: Vec<Matcher>,
    receiver: Option<Regex>,
    /// Also those that nothing holds back.
    pub active: bool,
    /// Also those that a silence holds back.
    pub silenced: bool,
    /// Also those that another alert holds back.
    pub inhibited: bool,
    /// Also those that the time holds back.
    pub muted: bool,
}

impl Filter {
    /// Whether the labels are asked for.
    pub fn takes(&self, labels: &Labels) -> bool {
        all_take(&self.matchers, labels)
    }

    /// Whether a receiver's alerts are asked for.
    pub fn takes_receiver(&self, name: &str) -> bool {
        self.receiver.as_ref().is_none_or(|pattern| pattern.is_match(name))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parameters_are_read_as_alertmanager_reads_them() {
        let asked = Asked::read("filter=a%3Db&filter=c%21%3Dd&active=false&silenced=TRUE&inhibited=maybe&receiver=x.*");
        let filter = asked.filter().unwrap();
        assert_eq!((filter.active, filter.silenced, filter.inhibited, filter.muted), (false, true, false, true));
        assert!(filter.takes(&Labels::new([("a", "b")])) && !filter.takes(&Labels::new([("a", "b"), ("c", "d")])));
        assert!(filter.takes_receiver("xy") && !filter.takes_receiver("yx"));
        assert_eq!(Asked::read("filter=x").filter().unwrap_err(), ApiError::Bad("bad matcher format: x".into()));
        assert!(Asked::read("receiver=%28").filter().is_err());
    }
}
