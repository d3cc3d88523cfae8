//! One line of a page, taken apart without copying.

use super::{Format, Wrong};

/// What a line says.
#[derive(Debug, PartialEq)]
pub(super) enum Line<'p> {
    /// Empty, a comment, or metadata that we do not keep (`# UNIT`).
    Nothing,
    /// `# EOF`
    End,
    /// `# TYPE name kind`
    Type { name: &'p str, kind: &'p str },
    /// `# HELP name text`, the text still escaped.
    Help { name: &'p str, text: &'p str },
    /// A sample; `rest` starts right behind the name.
    Sample { name: &'p str, rest: &'p str },
}

pub(super) fn read(line: &str, format: Format) -> Result<Line<'_>, Wrong> {
    let line = line.trim_start_matches(BLANK);
    if line.is_empty() {
        return Ok(Line::Nothing);
    }
    let Some(comment) = line.strip_prefix('#') else {
        let (name, rest) = name(line, true).ok_or(Wrong::Grammar("a metric's name must start the line"))?;
        return Ok(Line::Sample { name, rest });
    };
    if format == Format::OpenMetrics && comment.trim_end_matches(BLANK) == " EOF" {
        return Ok(Line::End);
    }
    metadata(comment.trim_start_matches(BLANK))
}

const BLANK: [char; 2] = [' ', '\t'];

fn metadata(comment: &str) -> Result<Line<'_>, Wrong> {
    let Some((word, rest)) = comment.split_once(BLANK) else { return Ok(Line::Nothing) };
    if !matches!(word, "TYPE" | "HELP") {
        return Ok(Line::Nothing);
    }
    let (name, rest) = name(rest.trim_start_matches(BLANK), true).ok_or(Wrong::Grammar("metadata without a name"))?;
    if !rest.is_empty() && !rest.starts_with(BLANK) {
        return Err(Wrong::Grammar("metadata for a name that is no metric's"));
    }
    if word == "TYPE" {
        return Ok(Line::Type { name, kind: rest.trim_matches(BLANK) });
    }
    Ok(Line::Help { name, text: rest.trim_start_matches(BLANK) })
}

/// Splits a name off the front; metric names may hold colons, label names may not.
pub(super) fn name(text: &str, colons: bool) -> Option<(&str, &str)> {
    let belongs = |b: u8| b.is_ascii_alphanumeric() || b == b'_' || (colons && b == b':');
    let end = text.bytes().position(|b| !belongs(b)).unwrap_or(text.len());
    let starts_well = end > 0 && !text.as_bytes()[0].is_ascii_digit();
    starts_well.then(|| text.split_at(end))
}

/// Splits the labels off a sample's rest, handing each pair (its value still escaped) to `take`. Gives what follows them.
pub(super) fn labels<'p>(
    rest: &'p str,
    mut take: impl FnMut(&'p str, &'p str) -> Result<(), Wrong>,
) -> Result<&'p str, Wrong> {
    let rest = rest.trim_start_matches(BLANK);
    let Some(mut rest) = rest.strip_prefix('{') else { return Ok(rest) };
    loop {
        rest = rest.trim_start_matches(BLANK);
        if let Some(after) = rest.strip_prefix('}') {
            return Ok(after);
        }
        let (key, after) = name(rest, false).ok_or(Wrong::Grammar("a label's name is expected"))?;
        let after = after.trim_start_matches(BLANK).strip_prefix('=').ok_or(Wrong::Grammar("a label without `=`"))?;
        let (value, after) = quoted(after.trim_start_matches(BLANK))?;
        take(key, value)?;
        rest = after.trim_start_matches(BLANK);
        match rest.strip_prefix(',') {
            Some(after) => rest = after,
            None if rest.starts_with('}') => {}
            None => return Err(Wrong::Grammar("`,` or `}` is expected behind a label")),
        }
    }
}

/// Splits `"…"` off the front, without the quotes.
fn quoted(text: &str) -> Result<(&str, &str), Wrong> {
    let inner = text.strip_prefix('"').ok_or(Wrong::Grammar("a label's value must stand in quotes"))?;
    let mut escaped = false;
    for (at, b) in inner.bytes().enumerate() {
        match b {
            _ if escaped => escaped = false,
            b'\\' => escaped = true,
            b'"' => return Ok((&inner[..at], &inner[at + 1..])),
            _ => {}
        }
    }
    Err(Wrong::Grammar("a label's value does not end"))
}

/// Reads what follows name and labels: the value, then perhaps a timestamp and an exemplar, both checked lightly and left.
pub(super) fn value(rest: &str, format: Format) -> Result<f64, Wrong> {
    let rest = match (format, rest.find(" # ")) {
        (Format::OpenMetrics, Some(exemplar)) => &rest[..exemplar],
        _ => rest,
    };
    let mut words = rest.split(BLANK).filter(|word| !word.is_empty());
    let value = number(words.next().ok_or(Wrong::Grammar("the sample has no value"))?)?;
    if let Some(time) = words.next() {
        let readable = match format {
            Format::Text => time.parse::<i64>().is_ok(),
            Format::OpenMetrics => number(time).is_ok_and(f64::is_finite),
        };
        if !readable {
            return Err(Wrong::Grammar("the sample's timestamp is no number"));
        }
    }
    match words.next() {
        None => Ok(value),
        Some(_) => Err(Wrong::Grammar("something follows the sample's timestamp")),
    }
}

fn number(word: &str) -> Result<f64, Wrong> {
    let number: f64 = word.parse().map_err(|_| Wrong::Grammar("the sample's value is no number"))?;
    // One NaN for all, so that nobody's page can hold the bits of the staleness marker.
    Ok(if number.is_nan() { f64::NAN } else { number })
}
