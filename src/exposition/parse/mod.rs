//! Reads a page of metrics into blocks.
//!
//! In: the page's text and its format. Out: [`Parsed`], or the first line that cannot be read.
//!
//! As in Prometheus, a page with one unreadable line is refused whole: half a page looks like vanished series.
//! Timestamps and exemplars are read over; the look's time is the samples' time.

mod assembly;
mod line;

use std::borrow::Cow;

use super::Format;
use crate::model::Block;
use assembly::Assembly;
use line::Line;

/// What a page may hold at most.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Samples on the page.
    pub samples: usize,
    /// Labels on one sample.
    pub labels: usize,
    /// Bytes of one line.
    pub line: usize,
}

impl Limits {
    /// For pages that the agent itself wrote.
    pub const UNBOUNDED: Self = Self { samples: usize::MAX, labels: 256, line: usize::MAX };
}

impl Default for Limits {
    /// Generous for an app's page, small beside the store's own limit.
    fn default() -> Self {
        Self { samples: 50_000, labels: 64, line: 64 << 10 }
    }
}

/// A page that was read.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Parsed {
    /// Families in the order of their first samples; families without samples are left out.
    pub blocks: Vec<Block>,
    /// How many samples the page held, repeated ones among them.
    pub samples: usize,
    /// Samples left out because their series stood on the page before. Prometheus keeps the first one, too.
    pub duplicates: usize,
}

/// Why a page cannot be taken, and from which line on.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("line {line}: {what}")]
pub struct ParseError {
    /// From 1.
    pub line: usize,
    /// What is wrong there.
    pub what: Wrong,
}

/// What can be wrong with a line. Nothing of the page is repeated but short names.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Wrong {
    /// The page holds more samples than allowed.
    #[error("the page has more than {0} samples")]
    TooManySamples(usize),
    /// The sample has more labels than allowed.
    #[error("the sample has more than {0} labels")]
    TooManyLabels(usize),
    /// The line is longer than allowed.
    #[error("the line is longer than {0} bytes")]
    LineTooLong(usize),
    /// The same label twice on one sample.
    #[error("the label `{0}` is given twice")]
    LabelTwice(String),
    /// A `# TYPE` line with a type that the format does not have.
    #[error("`{0}` is not a metric type")]
    Type(String),
    /// The line does not follow the grammar.
    #[error("{0}")]
    Grammar(&'static str),
}

/// Reads a page.
///
/// ```
/// use sidewatch::exposition::{Format, Limits, parse};
/// let page = "# TYPE jobs counter\njobs_total{queue=\"mail\"} 3\n# EOF\n";
/// let parsed = parse(page, Format::OpenMetrics, Limits::default()).unwrap();
/// assert_eq!(parsed.blocks[0].family.name, "jobs_total");
/// assert_eq!(parsed.blocks[0].points[0].value, 3.0);
/// ```
pub fn parse(page: &str, format: Format, limits: Limits) -> Result<Parsed, ParseError> {
    let mut assembly = Assembly::new(format, limits);
    let mut ended = false;
    let mut count = 0;
    for (at, text) in page.lines().enumerate() {
        count = at + 1;
        let wrong = |what| ParseError { line: count, what };
        if ended {
            return Err(wrong(Wrong::Grammar("nothing may follow `# EOF`")));
        }
        if text.len() > limits.line {
            return Err(wrong(Wrong::LineTooLong(limits.line)));
        }
        ended = take_line(&mut assembly, text, format).map_err(wrong)?;
    }
    if format == Format::OpenMetrics && !ended {
        return Err(ParseError { line: count.max(1), what: Wrong::Grammar("the page does not end with `# EOF`") });
    }
    Ok(assembly.finish())
}

/// Takes one line; says whether it was the end.
fn take_line(assembly: &mut Assembly, text: &str, format: Format) -> Result<bool, Wrong> {
    match line::read(text, format)? {
        Line::Nothing => {}
        Line::End => return Ok(true),
        Line::Type { name, kind } => assembly.declare_type(name, kind)?,
        Line::Help { name, text } => assembly.declare_help(name, unescape(text)),
        Line::Sample { name, rest } => assembly.sample(name, rest)?,
    }
    Ok(false)
}

/// Undoes `\\`, `\n` and `\"`; other backslashes stay, as in Prometheus.
fn unescape(text: &str) -> Cow<'_, str> {
    let Some(first) = text.find('\\') else { return Cow::Borrowed(text) };
    let mut plain = String::with_capacity(text.len());
    plain.push_str(&text[..first]);
    let mut rest = text[first..].chars();
    while let Some(c) = rest.next() {
        let escaped = (c == '\\').then(|| rest.clone().next()).flatten();
        let meant = match escaped {
            Some('\\') => '\\',
            Some('n') => '\n',
            Some('"') => '"',
            _ => {
                plain.push(c);
                continue;
            }
        };
        rest.next();
        plain.push(meant);
    }
    Cow::Owned(plain)
}

#[cfg(test)]
mod tests;
