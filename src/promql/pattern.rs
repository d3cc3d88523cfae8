//! Go's regular expressions (RE2) in the words of the `regex` crate.
//!
//! Differences bridged: `\d \w \s \b` are ASCII in RE2; inside a class `[`, `&&`, `--` and `~~` mean themselves;
//! a `{` that opens no repetition means itself; `\Q…\E` quotes.

use std::fmt::Write as _;

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
        let pattern = whole(pattern);
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
    bounded(&whole(pattern), MAX_PROGRAM)
}

fn whole(pattern: &str) -> String {
    format!("^(?s:{})$", translate(pattern))
}

/// Compiles a pattern as Go's `regexp` would, not anchored.
///
/// # Errors
/// A pattern that is no regular expression.
pub fn unanchored(pattern: &str) -> Result<Regex, regex::Error> {
    bounded(&translate(pattern), MAX_PROGRAM)
}

/// Few characters can ask for a program of megabytes: such a pattern is refused.
fn bounded(pattern: &str, size: usize) -> Result<Regex, regex::Error> {
    RegexBuilder::new(pattern).size_limit(size).dfa_size_limit(MAX_PROGRAM).build()
}

fn translate(pattern: &str) -> String {
    let mut out = String::with_capacity(pattern.len() + 8);
    let mut rest = pattern;
    let mut in_class = false;
    while let Some(c) = rest.chars().next() {
        rest = &rest[c.len_utf8()..];
        match c {
            '\\' => rest = escape(rest, in_class, &mut out),
            '[' if in_class && rest.starts_with(':') => out.push('['),
            '[' if in_class => out.push_str("\\["),
            '[' => {
                in_class = true;
                out.push('[');
                if let Some(after) = rest.strip_prefix('^') {
                    out.push('^');
                    rest = after;
                }
                // A bracket that closes at once means itself.
                if let Some(after) = rest.strip_prefix(']') {
                    out.push_str("\\]");
                    rest = after;
                }
            }
            ']' if in_class => {
                // The end of `[:alpha:]` is not the end of the class around it.
                in_class = out.ends_with(':') && out.rfind("[:").is_some_and(|at| at > 0 && at + 2 < out.len());
                out.push(']');
            }
            '&' | '~' | '-' if in_class && rest.starts_with(c) => {
                let _ = write!(out, "\\{c}");
            }
            '{' if !in_class && !opens_repetition(rest) => out.push_str("\\{"),
            _ => out.push(c),
        }
    }
    out
}

/// What follows a backslash.
fn escape<'p>(rest: &'p str, in_class: bool, out: &mut String) -> &'p str {
    let Some(c) = rest.chars().next() else {
        out.push('\\');
        return rest;
    };
    let after = &rest[c.len_utf8()..];
    let set = match c.to_ascii_lowercase() {
        'd' => "0-9",
        'w' => "0-9A-Za-z_",
        's' => "\\t\\n\\x0C\\r\\x20",
        _ => "",
    };
    if !set.is_empty() {
        let caret = if c.is_ascii_uppercase() { "^" } else { "" };
        let _ = if in_class && caret.is_empty() { write!(out, "{set}") } else { write!(out, "[{caret}{set}]") };
        return after;
    }
    match c {
        'b' if !in_class => out.push_str("(?-u:\\b)"),
        'Q' if !in_class => {
            let (quoted, after) = after.split_once("\\E").unwrap_or((after, ""));
            out.push_str(&regex::escape(quoted));
            return after;
        }
        _ => {
            out.push('\\');
            out.push(c);
        }
    }
    after
}

/// Whether what follows a `{` makes it a repetition: `2}`, `2,}`, `2,5}`.
fn opens_repetition(rest: &str) -> bool {
    let Some((inside, _)) = rest.split_once('}') else {
        return false;
    };
    let (from, to) = inside.split_once(',').unwrap_or((inside, ""));
    !from.is_empty() && from.chars().chain(to.chars()).all(|c| c.is_ascii_digit())
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
}
