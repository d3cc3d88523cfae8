//! Go's regular expressions (RE2) on the `regex` crate, with a bound on what they take.

mod go;

use regex::{Regex, RegexBuilder};

/// How much memory a pattern's program may take, in bytes; those of usual rules take some kilobytes.
const MAX_PROGRAM: usize = 512 << 10;
/// How much the programs of all patterns of a request may take, in bytes.
const MAX_PROGRAMS: usize = 4 << 20;
/// The sizes that a program is tried with: it counts as the first one that it fits, since nobody tells its own.
const SIZES: [usize; 4] = [MAX_PROGRAM / 64, MAX_PROGRAM / 16, MAX_PROGRAM / 4, MAX_PROGRAM];
/// How many label matchers a request may have.
pub(super) const MAX_MATCHERS: usize = 1000;

/// What the selectors of one request may still take.
#[derive(Debug)]
pub(super) struct Allowance {
    matchers: usize,
    programs: usize,
}

impl Default for Allowance {
    fn default() -> Self {
        Self { matchers: MAX_MATCHERS, programs: MAX_PROGRAMS }
    }
}

impl Allowance {
    /// Whether there may be one more matcher.
    pub(super) fn matcher(&mut self) -> bool {
        let left = self.matchers.checked_sub(1);
        self.matchers = left.unwrap_or(0);
        left.is_some()
    }

    /// As [`anchored`], as long as there is room.
    pub(super) fn anchored(&mut self, pattern: &str) -> Result<Regex, regex::Error> {
        let pattern = whole(pattern)?;
        for size in SIZES.into_iter().filter(|size| *size <= self.programs) {
            match bounded(&pattern, size) {
                Ok(regex) => {
                    self.programs -= size;
                    return Ok(regex);
                }
                Err(regex::Error::CompiledTooBig(_)) => {}
                Err(error) => return Err(error),
            }
        }
        Err(regex::Error::CompiledTooBig(self.programs.min(MAX_PROGRAM)))
    }
}

/// Compiles a pattern as `PromQL` takes it: anchored at both ends, `.` takes newlines too.
///
/// # Errors
/// A pattern that is no regular expression.
pub fn anchored(pattern: &str) -> Result<Regex, regex::Error> {
    bounded(&whole(pattern)?, MAX_PROGRAM)
}

fn whole(pattern: &str) -> Result<String, regex::Error> {
    Ok(format!("^(?s:{})$", translated(pattern)?))
}

fn translated(pattern: &str) -> Result<String, regex::Error> {
    go::translate(pattern).map_err(regex::Error::Syntax)
}

/// Compiles a pattern as Go's `regexp` would, not anchored.
///
/// # Errors
/// A pattern that is no regular expression.
pub fn unanchored(pattern: &str) -> Result<Regex, regex::Error> {
    bounded(&translated(pattern)?, MAX_PROGRAM)
}

/// Few characters can ask for a program of megabytes: such a pattern is refused.
fn bounded(pattern: &str, size: usize) -> Result<Regex, regex::Error> {
    RegexBuilder::new(pattern).size_limit(size).dfa_size_limit(MAX_PROGRAM).build()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_patterns_of_a_request_share_what_they_may_take() {
        let mut allowance = Allowance::default();
        let large = r"[a-z]{900}";
        let taken = (0..1000).take_while(|_| allowance.anchored(large).is_ok()).count();
        assert!((4..100).contains(&taken), "{taken}");
        assert!(Allowance::default().anchored(large).is_ok());
        let mut allowance = Allowance::default();
        let usual = (0..400).filter(|n| allowance.anchored(&format!("(app|web)-{n}.*")).is_ok()).count();
        assert_eq!(usual, 400);
    }

    #[test]
    fn patterns_mean_what_they_mean_in_go() {
        for (pattern, text, takes) in [
            ("5..", "503", true),
            ("a|b", "ab", false),
            (r"\d+", "٣", false),
            (r"\w+", "é", false),
            (r"[\w-]+", "a-b", true),
            (r"[^\s]+", "a\u{a0}b", true),
            ("a.b", "a\nb", true),
            ("[[]x", "[x", true),
            ("[[:alpha:]]+", "abc", true),
            ("[[:alpha:]0]+", "ab0", true),
            ("a{b}", "a{b}", true),
            ("a{,2}", "a{,2}", true),
            ("a{2}", "aa", true),
            (r"\Qa.b\E.", "a.bc", true),
            ("[a&&b]+", "a&b", true),
            ("", "", true),
        ] {
            assert_eq!(anchored(pattern).unwrap().is_match(text), takes, "{pattern} on {text}");
        }
        assert!(anchored("(").is_err());
    }

    /// Patterns as Prometheus 3.5.3 took them, and which of the words at the top match; `-` is a pattern that it refused.
    #[test]
    fn patterns_match_what_they_match_in_prometheus() {
        let mut lines = include_str!("testdata/patterns.test").lines().filter(|line| !line.starts_with("# "));
        let read = |text: &str| serde_json::from_str::<Vec<String>>(text).expect("a list of texts");
        let words = read(lines.next().expect("the words"));
        let mut wrong = Vec::new();
        for line in lines {
            let (pattern, wanted) = line.rsplit_once('\t').expect("a pattern and what it matches");
            let found = anchored(pattern).map_or_else(
                |_| None,
                |regex| Some(words.iter().filter(|word| regex.is_match(word)).cloned().collect::<Vec<_>>()),
            );
            let wanted = (wanted != "-").then(|| read(wanted));
            if found != wanted {
                wrong.push(format!("{pattern}: {found:?}, not {wanted:?}"));
            }
        }
        assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    }

    proptest::proptest! {
        #[test]
        fn no_pattern_is_a_panic(pattern in r"[\\\[\](){}*+?|^$.:a-e0-9PQ<>üi-]{0,12}") {
            let _ = (anchored(&pattern), unanchored(&pattern));
        }
    }
}
