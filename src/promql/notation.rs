//! The notation in which tests write series: `up{job="app"}` with `0+10x3 _ stale 5`, as promtool and Prometheus' own
//! scripts read it.

use crate::model::{Labels, METRIC_NAME, is_valid_metric_name, stale_marker};

/// A series may be written with at most so many values: `1x1000000000` must not take the machine's memory.
const MOST_VALUES: usize = 2_000_000;

/// Reads a metric with its labels: `up{job="app"}`, `{"with.dots", job='app'}`, `{}` or nothing at all.
///
/// # Errors
/// What is wrong, with the column, counted from 1.
pub fn metric(text: &str) -> Result<Labels, String> {
    let mut reader = Reader { text, at: 0 };
    let mut pairs: Vec<(String, String)> = Vec::new();
    reader.spaces();
    if let Some(name) = reader.name(":") {
        pairs.push((METRIC_NAME.into(), name.into()));
    }
    reader.spaces();
    if reader.take('{') {
        reader.label_set(&mut pairs)?;
    }
    reader.spaces();
    if reader.peek().is_some() {
        return Err(reader.unexpected("behind the metric"));
    }
    let mut names: Vec<&str> = pairs.iter().map(|(name, _)| name.as_str()).collect();
    names.sort_unstable();
    let next = names.iter().skip(1);
    if let Some((twice, _)) = names.iter().zip(next).find(|(a, b)| a == b && **a != METRIC_NAME) {
        return Err(format!("label name {twice:?} is not unique"));
    }
    // A name before the braces wins over one inside of them.
    Ok(Labels::new(pairs.into_iter().rev()))
}

/// Reads the values at each step: `None` where there is no sample. A staleness marker stands for `stale`.
///
/// `a+bxn` is `a` and `n` more, each `b` greater than the one before; `axn` is `a` and `n` more of it; `_xn` is `n` gaps.
///
/// # Errors
/// What is wrong, with the column, counted from 1.
pub fn values(text: &str) -> Result<Vec<Option<f64>>, String> {
    let mut values = Vec::new();
    let mut reader = Reader { text, at: 0 };
    loop {
        reader.spaces();
        let Some(next) = reader.peek() else { return Ok(values) };
        let start = reader.at;
        if next == '{' {
            return Err(reader.wrong(start, "native histograms are not supported here; write numbers"));
        }
        let (first, step, times) = if reader.take('_') {
            let gaps = if reader.take('x') { reader.times()? } else { 1 };
            (None, 0.0, gaps)
        } else if reader.word("stale") {
            (Some(stale_marker()), 0.0, 1)
        } else {
            let first = reader.number()?;
            let step = if matches!(reader.peek(), Some('+' | '-')) { Some(reader.number()?) } else { None };
            if reader.take('x') {
                (Some(first), step.unwrap_or(0.0), reader.times()?.saturating_add(1))
            } else if step.is_some() {
                return Err(reader.unexpected("where `x` and how often is expected, as in `1+2x5`"));
            } else {
                (Some(first), 0.0, 1)
            }
        };
        if !matches!(reader.peek(), None | Some(' ' | '\t' | '\n' | '\r')) {
            return Err(reader.unexpected("in the values; write a space between two"));
        }
        if times > MOST_VALUES - values.len() {
            return Err(reader.wrong(start, &format!("more than {MOST_VALUES} values; write fewer")));
        }
        let mut value = first;
        for _ in 0..times {
            values.push(value);
            // As Prometheus does it: added up one by one, so that rounding is the same.
            value = value.map(|value| if step == 0.0 { value } else { value + step });
        }
    }
}

/// Reads on in a text.
struct Reader<'t> {
    text: &'t str,
    at: usize,
}

impl<'t> Reader<'t> {
    fn rest(&self) -> &'t str {
        &self.text[self.at..]
    }

    fn peek(&self) -> Option<char> {
        self.rest().chars().next()
    }

    fn take(&mut self, wanted: char) -> bool {
        let is = self.peek() == Some(wanted);
        self.at += if is { wanted.len_utf8() } else { 0 };
        is
    }

    fn take_while(&mut self, is: impl Fn(char) -> bool) -> &'t str {
        let rest = self.rest();
        let end = rest.find(|c| !is(c)).unwrap_or(rest.len());
        self.at += end;
        &rest[..end]
    }

    fn spaces(&mut self) {
        self.take_while(|c| c.is_ascii_whitespace());
    }

    /// The very word, with no letter or digit behind it.
    fn word(&mut self, word: &str) -> bool {
        let is = self.rest().strip_prefix(word).is_some_and(|rest| !rest.starts_with(|c: char| c.is_alphanumeric()));
        self.at += if is { word.len() } else { 0 };
        is
    }

    fn name(&mut self, also: &str) -> Option<&'t str> {
        self.peek().filter(|c| c.is_ascii_alphabetic() || *c == '_' || also.contains(*c))?;
        Some(self.take_while(|c| c.is_ascii_alphanumeric() || c == '_' || also.contains(c)))
    }

    /// What stands between the braces, the closing one included.
    fn label_set(&mut self, pairs: &mut Vec<(String, String)>) -> Result<(), String> {
        loop {
            self.spaces();
            if self.take('}') {
                return Ok(());
            }
            let quoted = matches!(self.peek(), Some('"' | '\'' | '`'));
            let name = if quoted { self.string()? } else { self.name("").unwrap_or_default().to_owned() };
            if name.is_empty() {
                return Err(self.unexpected("in the label set; write name=\"value\""));
            }
            self.spaces();
            if self.take('=') {
                self.spaces();
                pairs.push((name, self.string()?));
            } else if quoted && pairs.iter().all(|(name, _)| name != METRIC_NAME) {
                pairs.push((METRIC_NAME.into(), name));
            } else {
                return Err(self.unexpected("in label set, expected \"=\""));
            }
            self.spaces();
            if !self.take(',') && self.peek() != Some('}') {
                return Err(self.unexpected("in label set, expected \",\" or \"}\""));
            }
        }
    }

    /// A text in quotes, with Go's escapes unless the quotes are backticks.
    fn string(&mut self) -> Result<String, String> {
        let start = self.at;
        let Some(quote @ ('"' | '\'' | '`')) = self.peek() else {
            return Err(self.unexpected("where a text in quotes is expected"));
        };
        self.at += 1;
        let mut bytes = Vec::new();
        loop {
            let Some(c) = self.peek() else {
                return Err(self.wrong(start, "the quotes are not closed"));
            };
            self.at += c.len_utf8();
            match c {
                c if c == quote => break,
                '\\' if quote != '`' => self.escape(&mut bytes)?,
                c => bytes.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes()),
            }
        }
        String::from_utf8(bytes).map_err(|_| self.wrong(start, "the text is not UTF-8"))
    }

    fn escape(&mut self, bytes: &mut Vec<u8>) -> Result<(), String> {
        let start = self.at - 1;
        let wrong = |reader: &Self| reader.wrong(start, "an unknown escape");
        let c = self.peek().ok_or_else(|| wrong(self))?;
        let (skip, digits, radix) = match c {
            'x' => (1, 2, 16),
            'u' => (1, 4, 16),
            'U' => (1, 8, 16),
            '0'..='7' => (0, 3, 8),
            _ => (1, 0, 10),
        };
        self.at += if skip == 1 { c.len_utf8() } else { 0 };
        if digits == 0 {
            let byte = match c {
                'a' => 7,
                'b' => 8,
                'f' => 12,
                'n' => b'\n',
                'r' => b'\r',
                't' => b'\t',
                'v' => 11,
                '\\' | '"' | '\'' => c as u8,
                _ => return Err(wrong(self)),
            };
            bytes.push(byte);
            return Ok(());
        }
        let code = self.rest().get(..digits).and_then(|text| u32::from_str_radix(text, radix).ok());
        let code = code.ok_or_else(|| wrong(self))?;
        self.at += digits;
        if matches!(c, 'u' | 'U') {
            let c = char::from_u32(code).ok_or_else(|| wrong(self))?;
            bytes.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes());
        } else {
            bytes.push(u8::try_from(code).map_err(|_| wrong(self))?);
        }
        Ok(())
    }

    /// A number with its sign: decimal, with an exponent, in eights behind a zero, `Inf` or `NaN`.
    fn number(&mut self) -> Result<f64, String> {
        let start = self.at;
        let sign = if self.take('-') { -1.0 } else { 1.0 };
        if sign > 0.0 {
            self.take('+');
        }
        let digits = self.at;
        for (word, value) in [("inf", f64::INFINITY), ("nan", f64::NAN)] {
            let found = self.rest().get(..3).is_some_and(|text| text.eq_ignore_ascii_case(word));
            if found && !self.rest()[3..].starts_with(|c: char| c.is_ascii_alphanumeric()) {
                self.at += 3;
                return Ok(sign * value);
            }
        }
        let digit = |c: char| c.is_ascii_digit() || c == '_';
        let whole = self.take_while(digit);
        let mut plain = true;
        if self.take('.') {
            plain = false;
            self.take_while(digit);
        }
        if matches!(self.peek(), Some('e' | 'E')) && self.at > digits {
            plain = false;
            self.at += 1;
            let _ = self.take('-') || self.take('+');
            self.take_while(digit);
        }
        let text = self.text[digits..self.at].replace('_', "");
        let octal = plain && whole.len() > 1 && whole.starts_with('0');
        let read = if octal { i64::from_str_radix(&text, 8).ok().map(|value| value as f64) } else { text.parse().ok() };
        read.map(|value: f64| sign * value).ok_or_else(|| {
            self.at = start;
            self.unexpected("in series values, expected number or \"stale\"")
        })
    }

    /// How often, behind an `x`.
    fn times(&mut self) -> Result<usize, String> {
        let start = self.at;
        let digits = self.take_while(|c| c.is_ascii_digit());
        digits.parse().map_err(|_| self.wrong(start, "how often is expected here: a whole number"))
    }

    fn unexpected(&self, place: &str) -> String {
        let what = match self.rest().split_ascii_whitespace().next() {
            Some(word) if self.peek().is_some_and(|c| !c.is_ascii_whitespace()) => format!("{word:?}"),
            _ if self.peek().is_some() => "a space".to_owned(),
            _ => "end of input".to_owned(),
        };
        self.wrong(self.at, &format!("unexpected {what} {place}"))
    }

    fn wrong(&self, at: usize, what: &str) -> String {
        format!("1:{}: parse error: {what}", self.text[..at].chars().count() + 1)
    }
}

/// Writes labels as Prometheus does: names that are no plain ones in quotes.
pub fn render_labels(labels: &Labels) -> String {
    let pair = |(name, value): (&str, &str)| {
        let plain = is_valid_metric_name(name) && !name.contains(':');
        if plain { format!("{name}={value:?}") } else { format!("{name:?}={value:?}") }
    };
    format!("{{{}}}", labels.iter().map(pair).collect::<Vec<_>>().join(", "))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::is_stale;

    fn shown(text: &str) -> String {
        let one = |value: &Option<f64>| match value {
            None => "_".to_owned(),
            Some(value) if is_stale(*value) => "stale".into(),
            Some(value) => value.to_string(),
        };
        values(text).map_or_else(|error| error, |all| all.iter().map(one).collect::<Vec<_>>().join(" "))
    }

    #[test]
    fn values_expand_as_in_promtool() {
        for (text, expected) in [
            ("", ""),
            ("0x3", "0 0 0 0"),
            ("1+2x3 _x2 7", "1 3 5 7 _ _ 7"),
            ("1-2x2", "1 -1 -3"),
            ("-1-1x1", "-1 -2"),
            ("+1+1x1", "1 2"),
            ("1e3+1e2x2", "1000 1100 1200"),
            ("1e3x1", "1000 1000"),
            (".5+.5x1", "0.5 1"),
            ("_ stale  1\n2", "_ stale 1 2"),
            ("NaN nan Inf -inf", "NaN NaN inf -inf"),
            ("_x0 1x0", "1"),
            ("1_000 010", "1000 8"),
            ("0+0.1x3", "0 0.1 0.2 0.30000000000000004"),
        ] {
            assert_eq!(shown(text), expected, "{text}");
        }
    }

    #[test]
    fn what_promtool_refuses_is_refused_with_its_place() {
        for (text, error) in [
            ("1x", "1:3: parse error: how often is expected here: a whole number"),
            ("1 2,", "1:4: parse error: unexpected \",\" in the values; write a space between two"),
            ("1+2", "1:4: parse error: unexpected end of input where `x` and how often is expected, as in `1+2x5`"),
            ("1 + 2", "1:3: parse error: unexpected \"+\" in series values, expected number or \"stale\""),
            ("{{schema:0}}", "1:1: parse error: native histograms are not supported here; write numbers"),
            ("1x99999999", "1:1: parse error: more than 2000000 values; write fewer"),
        ] {
            assert_eq!(values(text).unwrap_err(), error, "{text}");
        }
        for text in ["a", "1x2x3", "stalex3", "STALE", "--1", "- 1", "1x-2", "1+-2x2", "0X3", "1-x3", "1x3.5", "_x"] {
            assert!(values(text).is_err(), "{text}");
        }
    }

    #[test]
    fn metrics_are_read_with_every_kind_of_quotes() {
        for (text, expected) in [
            ("x", r#"{__name__="x"}"#),
            (" a:b{c='d',} ", r#"{__name__="a:b", c="d"}"#),
            (r#"{"a.b", "my.l"=`\n`, e="\x41\u00e9\"", f=""}"#, "{__name__=\"a.b\", e=\"Aé\\\"\", \"my.l\"=\"\\\\n\"}"),
            (r#"{__name__="y"}"#, r#"{__name__="y"}"#),
            (r#"x{__name__="y"}"#, r#"{__name__="x"}"#),
            ("{}", "{}"),
            ("", "{}"),
        ] {
            assert_eq!(metric(text).map(|labels| render_labels(&labels)).as_deref(), Ok(expected), "{text}");
        }
        for text in
            ["x y", "x{", "x{a}", "x{a!=\"b\"}", "x{a=b}", "x{a=\"1\",a=\"2\"}", "1", "x{a=\"\\q\"}", "{\"a\" \"b\"}"]
        {
            assert!(metric(text).is_err(), "{text}");
        }
    }
}
