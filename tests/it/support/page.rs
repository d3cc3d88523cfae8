//! A metrics page as a test reads it.

use std::collections::BTreeMap;

/// One line of it.
#[derive(Debug, Clone)]
pub struct Line {
    pub name: String,
    pub labels: BTreeMap<String, String>,
    pub value: f64,
}

/// All samples of a page in the text format.
#[derive(Debug, Clone)]
pub struct Page(pub Vec<Line>);

impl Page {
    /// Reads it; a line that is no sample is a panic.
    pub fn parse(text: &str) -> Self {
        let lines = text.lines().filter(|line| !line.is_empty() && !line.starts_with('#'));
        Self(lines.map(|line| parse_line(line).unwrap_or_else(|| panic!("no sample: {line}"))).collect())
    }

    /// Lines of that name whose labels hold all those given.
    pub fn find<'a>(&'a self, name: &'a str, labels: &'a [(&str, &str)]) -> impl Iterator<Item = &'a Line> {
        self.0.iter().filter(move |line| {
            line.name == name
                && labels.iter().all(|(name, value)| line.labels.get(*name).is_some_and(|found| found == value))
        })
    }

    /// The value of the only such line.
    pub fn value(&self, name: &str, labels: &[(&str, &str)]) -> Option<f64> {
        let mut found = self.find(name, labels);
        let first = found.next()?;
        assert!(found.next().is_none(), "more than one {name} {labels:?}");
        Some(first.value)
    }

    /// The sum over such lines; `None` when there is none, which is not zero.
    pub fn sum(&self, name: &str, labels: &[(&str, &str)]) -> Option<f64> {
        self.find(name, labels).map(|line| line.value).reduce(|sum, value| sum + value)
    }

    /// The names that start so.
    pub fn names(&self, prefix: &str) -> std::collections::BTreeSet<&str> {
        self.0.iter().map(|line| line.name.as_str()).filter(|name| name.starts_with(prefix)).collect()
    }
}

fn parse_line(line: &str) -> Option<Line> {
    let name_end = line.find(['{', ' '])?;
    let (name, rest) = line.split_at(name_end);
    let mut labels = BTreeMap::new();
    let rest = match rest.strip_prefix('{') {
        Some(inner) => parse_labels(inner, &mut labels)?,
        None => rest,
    };
    let value = rest.split_whitespace().next()?;
    let value = value.replace("Inf", "inf").parse().ok()?;
    Some(Line { name: name.to_owned(), labels, value })
}

/// Reads `a="b",c="d"}`; what follows is returned.
fn parse_labels<'a>(mut rest: &'a str, labels: &mut BTreeMap<String, String>) -> Option<&'a str> {
    loop {
        rest = rest.trim_start_matches([',', ' ']);
        if let Some(after) = rest.strip_prefix('}') {
            return Some(after);
        }
        let (name, quoted) = rest.split_once("=\"")?;
        let mut value = String::new();
        let mut chars = quoted.char_indices();
        let end = loop {
            match chars.next()? {
                (end, '"') => break end,
                (_, '\\') => value.push(match chars.next()?.1 {
                    'n' => '\n',
                    other => other,
                }),
                (_, other) => value.push(other),
            }
        };
        labels.insert(name.to_owned(), value);
        rest = &quoted[end + 1..];
    }
}
