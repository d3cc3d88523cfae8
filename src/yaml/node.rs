//! The tree: scalars as text, lists and mappings, each with its place.

use std::collections::HashMap;
use std::sync::Arc;

use saphyr_parser::{Event, Parser, ScalarStyle, Span};

use crate::model::{Place, Problem};

/// Nesting beyond this is refused: no configuration is deeper, and recursion stays bounded.
const MAX_DEPTH: usize = 64;
/// Nodes beyond this are refused, aliases counted each time they are used (a "billion laughs" file ends here).
const MAX_NODES: usize = 200_000;

/// The tags that change nothing about a value.
const CORE_TAGS: [&str; 7] = ["str", "int", "float", "bool", "null", "seq", "map"];

/// A value of a YAML file and where it stands.
#[derive(Debug, Clone, PartialEq)]
pub struct Node {
    /// Where it starts.
    pub at: Place,
    /// What it is.
    pub value: Value,
}

/// What a YAML value is. Scalars stay text; the reader who knows the key decides what they mean.
#[derive(Debug, Clone, PartialEq)]
pub enum Value {
    /// Nothing written, `~` or `null`.
    Null,
    /// Any other scalar; `quoted` tells `"5"` from `5`.
    Scalar {
        /// The text, unescaped.
        text: String,
        /// Written in quotes or as a block.
        quoted: bool,
    },
    /// A sequence.
    List(Vec<Node>),
    /// A mapping in the order of the file, keys with their places.
    Map(Vec<(String, Place, Node)>),
}

impl Node {
    /// The scalar's text, if it is one.
    pub fn text(&self) -> Option<&str> {
        match &self.value {
            Value::Scalar { text, .. } => Some(text),
            _ => None,
        }
    }

    fn into_map(self) -> Option<Vec<(String, Place, Node)>> {
        match self.value {
            Value::Map(entries) => Some(entries),
            _ => None,
        }
    }

    /// What kind of value this is, for a message.
    pub fn kind(&self) -> &'static str {
        match self.value {
            Value::Null => "nothing",
            Value::Scalar { .. } => "a single value",
            Value::List(_) => "a list",
            Value::Map(_) => "a mapping",
        }
    }
}

/// Parses one YAML document. An empty file is [`Value::Null`].
///
/// # Errors
/// Broken YAML, a key given twice, a second document, and files that are too deep or too large.
pub fn parse(text: &str, file: &str) -> Result<Node, Problem> {
    let mut builder =
        Builder { file: file.into(), parser: Parser::new_from_str(text), anchors: HashMap::new(), nodes: 0 };
    builder.document()
}

struct Builder<'t> {
    file: Arc<str>,
    parser: Parser<'t, saphyr_parser::StrInput<'t>>,
    anchors: HashMap<usize, Node>,
    nodes: usize,
}

impl<'t> Builder<'t> {
    fn place(&self, span: Span) -> Place {
        Place { file: Arc::clone(&self.file), line: span.start.line().max(1), column: span.start.col() + 1 }
    }

    fn next(&mut self) -> Result<(Event<'t>, Span), Problem> {
        match self.parser.next_event() {
            Some(Ok(event)) => Ok(event),
            Some(Err(error)) => {
                let at = Place {
                    file: Arc::clone(&self.file),
                    line: error.marker().line().max(1),
                    column: error.marker().col() + 1,
                };
                Err(problem(
                    at,
                    format!("this is not YAML: {}", error.info()),
                    "check the indentation and quotes before this place",
                ))
            }
            None => Ok((Event::StreamEnd, Span::default())),
        }
    }

    fn document(&mut self) -> Result<Node, Problem> {
        let mut root = None;
        loop {
            let (event, span) = self.next()?;
            match event {
                Event::StreamEnd => break,
                Event::StreamStart | Event::DocumentStart(_) | Event::DocumentEnd | Event::Nothing => {}
                event if root.is_none() => root = Some(self.node(event, span, 0)?),
                _ => {
                    let at = self.place(span);
                    return Err(problem(at, "a second YAML document starts here", "keep one document per file"));
                }
            }
        }
        Ok(root.unwrap_or_else(|| Node {
            at: Place { file: Arc::clone(&self.file), line: 1, column: 1 },
            value: Value::Null,
        }))
    }

    fn node(&mut self, event: Event<'t>, span: Span, depth: usize) -> Result<Node, Problem> {
        let at = self.place(span);
        self.nodes += 1;
        if depth > MAX_DEPTH || self.nodes > MAX_NODES {
            return Err(problem(at, "the file is nested too deeply or too large", "split it"));
        }
        if let Event::Scalar(.., Some(tag)) | Event::SequenceStart(_, Some(tag)) | Event::MappingStart(_, Some(tag)) =
            &event
            && !(tag.is_yaml_core_schema() && CORE_TAGS.contains(&tag.suffix.as_str()))
        {
            return Err(problem(at, format!("the tag `{}{}` means nothing here", tag.handle, tag.suffix), "remove it"));
        }
        let (anchor, value) = match event {
            Event::Scalar(text, style, anchor, _) => {
                let quoted = style != ScalarStyle::Plain;
                let null = !quoted && matches!(&*text, "" | "~" | "null" | "Null" | "NULL");
                (anchor, if null { Value::Null } else { Value::Scalar { text: text.into_owned(), quoted } })
            }
            Event::SequenceStart(anchor, _) => (anchor, self.list(depth)?),
            Event::MappingStart(anchor, _) => (anchor, self.map(depth)?),
            Event::Alias(anchor) => {
                let Some(known) = self.anchors.get(&anchor).cloned() else {
                    return Err(problem(at, "this alias names no anchor", "define the anchor above it"));
                };
                self.nodes += count(&known);
                return Ok(known);
            }
            _ => return Err(problem(at, "a value is missing here", "write one")),
        };
        let node = Node { at, value };
        if anchor > 0 {
            self.anchors.insert(anchor, node.clone());
        }
        Ok(node)
    }

    fn list(&mut self, depth: usize) -> Result<Value, Problem> {
        let mut items = Vec::new();
        loop {
            let (event, span) = self.next()?;
            if matches!(event, Event::SequenceEnd) {
                return Ok(Value::List(items));
            }
            items.push(self.node(event, span, depth + 1)?);
        }
    }

    fn map(&mut self, depth: usize) -> Result<Value, Problem> {
        let mut entries: Vec<(String, Place, Node)> = Vec::new();
        let mut merged = Vec::new();
        loop {
            let (event, span) = self.next()?;
            let at = self.place(span);
            let key = match event {
                Event::MappingEnd => return Ok(Value::Map(merge(entries, merged))),
                Event::Scalar(text, ..) => text.into_owned(),
                _ => {
                    return Err(problem(at, "a key must be a plain word", "write `key: value`"));
                }
            };
            if let Some((_, first, _)) = entries.iter().find(|(known, ..)| *known == key) {
                let way_out = format!("keep one of them; the first is on line {}", first.line);
                return Err(problem(at, format!("the key `{key}` is given twice"), way_out));
            }
            let (event, span) = self.next()?;
            let node = self.node(event, span, depth + 1)?;
            match node.value {
                // YAML 1.1's merge key, as Compose and Prometheus know it.
                Value::Map(more) if key == "<<" => merged.push(more),
                Value::List(all) if key == "<<" => merged.extend(all.into_iter().filter_map(Node::into_map)),
                _ => entries.push((key, at, node)),
            }
        }
    }
}

/// The mapping's own keys win over merged ones, earlier merged ones over later ones.
fn merge(mut own: Vec<(String, Place, Node)>, merged: Vec<Vec<(String, Place, Node)>>) -> Vec<(String, Place, Node)> {
    for entry in merged.into_iter().flatten() {
        if !own.iter().any(|(known, ..)| *known == entry.0) {
            own.push(entry);
        }
    }
    own
}

fn problem(at: Place, what: impl Into<String>, way_out: impl Into<String>) -> Problem {
    Problem { at, what: what.into(), way_out: way_out.into() }
}

fn count(node: &Node) -> usize {
    1 + match &node.value {
        Value::List(items) => items.iter().map(count).sum(),
        Value::Map(entries) => entries.iter().map(|(_, _, node)| count(node)).sum(),
        Value::Null | Value::Scalar { .. } => 0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_value_knows_its_place() {
        let Value::Map(root) = parse("a: 1\nb:\n  - {c: \"x\"}\n", "f.yml").unwrap().value else { panic!() };
        assert_eq!(root[1].1.to_string(), "f.yml:2:1");
        let Value::List(items) = &root[1].2.value else { panic!() };
        let Value::Map(inner) = &items[0].value else { panic!() };
        assert_eq!(inner[0].2.at.to_string(), "f.yml:3:9");
        assert_eq!(inner[0].2.value, Value::Scalar { text: "x".into(), quoted: true });
    }

    #[test]
    fn a_doubled_key_is_refused_with_both_places() {
        let problem = parse("a: 1\nb: 2\na: 3\n", "f.yml").unwrap_err();
        assert_eq!(
            problem.to_string(),
            "f.yml:3:1: the key `a` is given twice; keep one of them; the first is on line 1"
        );
    }

    #[test]
    fn merge_keys_bring_what_is_not_there() {
        let text = "base: &b {name: app, interval: 5s}\nother: {<<: *b, name: two}\n";
        let Value::Map(root) = parse(text, "f.yml").unwrap().value else { panic!() };
        let Value::Map(other) = &root[1].2.value else { panic!() };
        let pairs: Vec<_> = other.iter().map(|(key, _, node)| (key.as_str(), node.text().unwrap())).collect();
        assert_eq!(pairs, [("name", "two"), ("interval", "5s")]);
    }

    #[test]
    fn a_tag_of_somebody_elses_is_refused() {
        assert!(parse("targets: !!python/object:os.system []\n", "f.yml").unwrap_err().what.contains("python"));
    }

    #[test]
    fn a_bomb_of_aliases_is_refused() {
        let mut text = String::from("a0: &a0 [x,x,x,x,x,x,x,x,x,x]\n");
        for level in 1..10 {
            let refs = vec![format!("*a{}", level - 1); 10].join(",");
            text = format!("{text}a{level}: &a{level} [{refs}]\n");
        }
        assert!(parse(&text, "f.yml").unwrap_err().what.contains("too large"));
    }
}
