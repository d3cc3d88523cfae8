//! Takes a mapping apart key by key; whatever is wrong becomes a problem with its place and a way out.

use std::str::FromStr;
use std::time::Duration;

use crate::model::{Place, Problems, Secret, parse_duration};

use super::{Node, Value};

/// A mapping being read. Take the keys that are known, then call [`Fields::finish`]: what is left is unknown, and said so.
pub struct Fields<'n> {
    /// What the mapping is, for messages: "a target", "`server`".
    what: String,
    at: &'n Place,
    entries: &'n [(String, Place, Node)],
    taken: Vec<bool>,
    known: Vec<&'static str>,
    problems: &'n Problems,
}

impl<'n> Fields<'n> {
    /// Starts reading. Anything but a mapping is a problem and `None`; an absent value reads as an empty mapping.
    pub fn of(node: &'n Node, what: impl Into<String>, problems: &'n Problems) -> Option<Self> {
        let what = what.into();
        let entries: &[_] = match &node.value {
            Value::Map(entries) => entries,
            Value::Null => &[],
            _ => {
                problems.add(&node.at, format!("{what} is {}", node.kind()), "write a mapping: `key: value` lines");
                return None;
            }
        };
        Some(Self { what, at: &node.at, entries, taken: vec![false; entries.len()], known: Vec::new(), problems })
    }

    /// Where the mapping starts.
    pub fn at(&self) -> &'n Place {
        self.at
    }

    /// The problems being gathered.
    pub fn problems(&self) -> &'n Problems {
        self.problems
    }

    /// Takes a key's value; `None` when the key is absent or has no value.
    pub fn take(&mut self, key: &'static str) -> Option<&'n Node> {
        self.known.push(key);
        let at = self.entries.iter().position(|(name, ..)| name == key)?;
        self.taken[at] = true;
        let node = &self.entries[at].2;
        (node.value != Value::Null).then_some(node)
    }

    /// Whether a key is written, whatever its value.
    pub fn has(&self, key: &str) -> bool {
        self.entries.iter().any(|(name, ..)| name == key)
    }

    /// Where a key's value stands, or the mapping's own place when it is absent.
    pub fn place_of(&self, key: &str) -> &'n Place {
        self.entries.iter().find(|(name, ..)| name == key).map_or(self.at, |(_, _, node)| &node.at)
    }

    /// Notes a problem at a key's value.
    pub fn wrong(&self, key: &str, what: impl Into<String>, way_out: impl Into<String>) {
        self.problems.add(self.place_of(key), what, way_out);
    }

    /// A text value.
    pub fn text(&mut self, key: &'static str) -> Option<String> {
        let node = self.take(key)?;
        self.scalar(key, node).map(ToOwned::to_owned)
    }

    /// A text value that must be there.
    pub fn required(&mut self, key: &'static str) -> Option<String> {
        let node = self.take(key);
        if node.is_none() {
            self.problems.add(self.place_of(key), format!("{} has no `{key}`", self.what), format!("add `{key}: …`"));
        }
        self.scalar(key, node?).map(ToOwned::to_owned)
    }

    /// A value read by a function that says what it expects: `Err` is the whole complaint.
    pub fn parsed<T>(&mut self, key: &'static str, read: impl FnOnce(&str) -> Result<T, String>) -> Option<T> {
        let node = self.take(key)?;
        let text = self.scalar(key, node)?;
        read(text).map_err(|complaint| self.problems.add(&node.at, format!("`{key}`: {complaint}"), "")).ok()
    }

    /// A duration as Prometheus writes it.
    pub fn duration(&mut self, key: &'static str) -> Option<Duration> {
        self.parsed(key, parse_duration)
    }

    /// `true` or `false`.
    pub fn bool(&mut self, key: &'static str) -> Option<bool> {
        self.parsed(key, |text| match text {
            "true" => Ok(true),
            "false" => Ok(false),
            _ => Err(format!("`{text}` is neither true nor false")),
        })
    }

    /// A number of any kind.
    pub fn number<T: FromStr>(&mut self, key: &'static str) -> Option<T> {
        self.parsed(key, |text| text.parse().map_err(|_| format!("`{text}` is not a number that fits here")))
    }

    /// The items of a list; empty when absent. A single value is refused, so that a forgotten dash is seen.
    pub fn list(&mut self, key: &'static str) -> &'n [Node] {
        let Some(node) = self.take(key) else {
            return &[];
        };
        let Value::List(items) = &node.value else {
            self.problems.add(&node.at, format!("`{key}` is {}", node.kind()), format!("write a list: `{key}: [ … ]`"));
            return &[];
        };
        items
    }

    /// A list of texts.
    pub fn texts(&mut self, key: &'static str) -> Vec<String> {
        self.list(key).iter().filter_map(|item| self.scalar(key, item).map(ToOwned::to_owned)).collect()
    }

    /// A mapping of texts to texts, with the places of the values.
    pub fn text_map(&mut self, key: &'static str) -> Vec<(String, String, &'n Place)> {
        let Some(node) = self.take(key) else {
            return Vec::new();
        };
        let Value::Map(entries) = &node.value else {
            self.problems.add(
                &node.at,
                format!("`{key}` is {}", node.kind()),
                format!("write `{key}: {{name: value}}`"),
            );
            return Vec::new();
        };
        let pair = |(name, _, value): &'n (String, Place, Node)| {
            let text = if value.value == Value::Null { "" } else { self.scalar(name, value)? };
            Some((name.clone(), text.to_owned(), &value.at))
        };
        entries.iter().filter_map(pair).collect()
    }

    /// A nested mapping; an absent one reads as `None`.
    pub fn section(&mut self, key: &'static str) -> Option<Fields<'n>> {
        let node = self.take(key)?;
        Fields::of(node, format!("`{key}`"), self.problems)
    }

    /// A secret under `key`, or in the file that `<key>_file` names (its last newline is dropped). Both at once is a problem.
    pub fn secret(&mut self, key: &'static str, file_key: &'static str) -> Option<Secret> {
        let direct = self.text(key);
        let path = self.text(file_key);
        match (direct, path) {
            (Some(_), Some(_)) => {
                self.wrong(file_key, format!("both `{key}` and `{file_key}` are given"), "keep one of them");
                None
            }
            (Some(value), None) => Some(Secret::new(value)),
            (None, Some(path)) => match std::fs::read_to_string(&path) {
                Ok(value) => Some(Secret::new(value.strip_suffix('\n').unwrap_or(&value).trim_end_matches('\r'))),
                Err(error) => {
                    self.wrong(
                        file_key,
                        format!("cannot read the secret file {path}: {error}"),
                        "check the path and its rights",
                    );
                    None
                }
            },
            (None, None) => None,
        }
    }

    /// A key that the product's contract names but that is not built yet: using it is an error that says so.
    pub fn not_built(&mut self, key: &'static str) {
        self.known.push(key);
        if let Some(at) = self.entries.iter().position(|(name, ..)| name == key) {
            self.taken[at] = true;
            self.problems.add(&self.entries[at].1, format!("`{key}` is not built yet"), "remove it");
        }
    }

    /// Takes every key that starts with `x-`: users keep their anchors there, as in Compose files.
    pub fn skip_extensions(&mut self) {
        for ((name, ..), taken) in self.entries.iter().zip(&mut self.taken) {
            *taken |= name.starts_with("x-");
        }
    }

    /// Ends the reading: every key that nobody took is unknown.
    pub fn finish(self) {
        for ((name, at, _), _) in self.entries.iter().zip(&self.taken).filter(|(_, taken)| !**taken) {
            let near = self.known.iter().map(|known| (distance(known, name), *known)).min();
            let way_out = match near {
                Some((steps, known)) if steps <= 2.max(name.len() / 3) => {
                    format!("did you mean `{known}`?")
                }
                _ if self.known.is_empty() => "remove it".into(),
                _ => {
                    let mut known = self.known.clone();
                    known.sort_unstable();
                    format!("known here: {}", known.join(", "))
                }
            };
            self.problems.add(at, format!("unknown key `{name}` in {}", self.what), way_out);
        }
    }

    fn scalar(&self, key: &str, node: &'n Node) -> Option<&'n str> {
        let text = node.text();
        if text.is_none() {
            self.problems.add(&node.at, format!("`{key}` is {}", node.kind()), format!("write one value: `{key}: …`"));
        }
        text
    }
}

/// Levenshtein's distance, for "did you mean".
fn distance(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.chars().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, y) in b.iter().enumerate() {
            let replaced = diagonal + usize::from(x != *y);
            diagonal = row[j + 1];
            row[j + 1] = replaced.min(row[j] + 1).min(diagonal + 1);
        }
    }
    row[b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::yaml::parse;

    #[test]
    fn all_problems_come_together_with_places() {
        let node = parse("url: x\nintervall: 5s\ntimeout: 5\nlabels: 3\n", "f.yml").unwrap();
        let problems = Problems::new();
        let mut fields = Fields::of(&node, "a target", &problems).unwrap();
        assert_eq!(fields.required("url").unwrap(), "x");
        assert_eq!(fields.required("name"), None);
        fields.duration("interval");
        fields.duration("timeout");
        fields.text_map("labels");
        fields.finish();
        let said: Vec<_> = problems.into_sorted().iter().map(ToString::to_string).collect();
        assert_eq!(
            said,
            [
                "f.yml:1:1: a target has no `name`; add `name: …`",
                "f.yml:2:1: unknown key `intervall` in a target; did you mean `interval`?",
                "f.yml:3:10: `timeout`: `5` is not a duration: write a number and a unit, such as 15s, 1h30m or 500ms",
                "f.yml:4:9: `labels` is a single value; write `labels: {name: value}`",
            ]
        );
    }
}
