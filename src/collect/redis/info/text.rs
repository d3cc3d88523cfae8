//! INFO's text: `name:value` lines, and values that are lists of `a=1,b=2`.

use std::collections::HashMap;

/// INFO's fields in their order and by name. A field that stands twice counts once, by its last value: two points with
/// one identity are nobody's.
pub struct Info<'t> {
    fields: Vec<(&'t str, &'t str)>,
    by_name: HashMap<&'t str, &'t str>,
}

impl<'t> Info<'t> {
    /// Takes the text apart. Headings and what has no colon are passed over.
    pub fn parse(text: &'t str) -> Self {
        let mut fields: Vec<(&str, &str)> = Vec::with_capacity(256);
        let mut by_name = HashMap::with_capacity(256);
        for (name, value) in text.lines().filter_map(|line| line.trim().split_once(':')) {
            if name.starts_with('#') {
                continue;
            }
            if by_name.insert(name, value).is_some() {
                fields.retain(|(known, _)| *known != name);
            }
            fields.push((name, value));
        }
        Self { fields, by_name }
    }

    /// The fields in their order.
    pub fn fields(&self) -> impl Iterator<Item = (&'t str, &'t str)> + '_ {
        self.fields.iter().copied()
    }

    /// A field's value, or "" where it is absent.
    pub fn text(&self, name: &str) -> &'t str {
        self.by_name.get(name).copied().unwrap_or_default()
    }

    /// A field's number.
    pub fn number(&self, name: &str) -> Option<f64> {
        number(self.by_name.get(name)?)
    }
}

/// A number as INFO writes it; a status word is 1 for good and 0 for bad; a percent sign is dropped.
pub fn number(text: &str) -> Option<f64> {
    match text {
        "ok" | "true" => Some(1.0),
        "err" | "fail" | "false" => Some(0.0),
        _ => text.strip_suffix('%').unwrap_or(text).parse().ok().filter(|value: &f64| value.is_finite()),
    }
}

/// A part of `a=1,b=2`.
pub fn part_text<'t>(value: &'t str, name: &str) -> Option<&'t str> {
    value.split(',').filter_map(|part| part.split_once('=')).find(|(known, _)| *known == name).map(|(_, value)| value)
}

/// A part of `a=1,b=2` as a number.
pub fn part(value: &str, name: &str) -> Option<f64> {
    number(part_text(value, name)?)
}

/// Whether a name is a word and a number: `db0`, `slave12`.
pub fn is_numbered(name: &str, word: &str) -> bool {
    name.strip_prefix(word).is_some_and(|rest| !rest.is_empty() && rest.bytes().all(|byte| byte.is_ascii_digit()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_field_that_stands_twice_counts_once() {
        let info = Info::parse("# Server\r\na:1\r\nb:2\r\na:3\r\nno colon\r\n");
        assert_eq!(info.fields().collect::<Vec<_>>(), [("b", "2"), ("a", "3")]);
        assert_eq!((info.number("a"), info.text("c")), (Some(3.0), ""));
    }
}
