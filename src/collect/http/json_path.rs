//! The small part of `JSONPath` (RFC 9535) that names one value: `$.checks["database"].replicas[0]`.

use std::fmt;

use serde_json::Value;

/// A path to one value of a JSON document.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct JsonPath {
    text: String,
    steps: Vec<Step>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Step {
    Member(String),
    Item(usize),
}

impl JsonPath {
    /// Reads a path.
    ///
    /// # Errors
    /// A complaint in words about what is not understood.
    pub fn parse(text: &str) -> Result<Self, String> {
        let mut rest = text.strip_prefix('$').ok_or_else(|| format!("`{text}` does not start with `$`"))?;
        let mut steps = Vec::new();
        while !rest.is_empty() {
            let (step, after) = step(rest).map_err(|complaint| format!("`{text}`: {complaint}"))?;
            steps.push(step);
            rest = after;
        }
        Ok(Self { text: text.to_owned(), steps })
    }

    /// The value there, if there is one.
    pub fn find<'v>(&self, document: &'v Value) -> Option<&'v Value> {
        self.steps.iter().try_fold(document, |value, step| match step {
            Step::Member(name) => value.get(name),
            Step::Item(at) => value.get(at),
        })
    }
}

impl fmt::Display for JsonPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

/// Reads one step and gives back what follows it.
fn step(text: &str) -> Result<(Step, &str), String> {
    if let Some(rest) = text.strip_prefix('.') {
        let end = rest.find(['.', '[']).unwrap_or(rest.len());
        let (name, rest) = rest.split_at(end);
        return match name {
            "" => Err("a name is missing after `.`".into()),
            name if name.contains(['*', ']', '"', '\'']) => {
                Err(format!("`{name}` is not a plain name; write [\"{}\"]", name.replace('"', "")))
            }
            name => Ok((Step::Member(name.to_owned()), rest)),
        };
    }
    let Some(inner) = text.strip_prefix('[') else {
        return Err(format!("expected `.name`, `[0]` or `[\"name\"]` at `{text}`"));
    };
    if let Some(quote) = inner.chars().next().filter(|c| matches!(c, '"' | '\'')) {
        let (name, rest) = inner[1..].split_once(quote).ok_or("a quote is not closed")?;
        let rest = rest.strip_prefix(']').ok_or("`]` is missing")?;
        return Ok((Step::Member(name.to_owned()), rest));
    }
    let (number, rest) = inner.split_once(']').ok_or("`]` is missing")?;
    let at = number.parse().map_err(|_| format!("`[{number}]` is neither a number nor a quoted name"))?;
    Ok((Step::Item(at), rest))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn each_spelling_reaches_its_value() {
        let document = json!({"a": {"b": [{"c": 1}, "x"], "odd.name": true}});
        for (path, value) in [
            ("$.a.b[0].c", json!(1)),
            ("$.a.b[0][\"c\"]", json!(1)),
            ("$['a']['odd.name']", json!(true)),
            ("$.a.b[1]", json!("x")),
            ("$", document.clone()),
        ] {
            assert_eq!(JsonPath::parse(path).unwrap().find(&document), Some(&value), "{path}");
        }
        for path in ["$.a.z", "$.a.b[2]", "$.a.b.c", "$.a[0]"] {
            assert_eq!(JsonPath::parse(path).unwrap().find(&document), None, "{path}");
        }
    }

    #[test]
    fn a_path_not_understood_is_refused_in_words() {
        for (path, complaint) in [
            ("a.b", "`a.b` does not start with `$`"),
            ("$a", "`$a`: expected `.name`, `[0]` or `[\"name\"]` at `a`"),
            ("$..a", "`$..a`: a name is missing after `.`"),
            ("$.a[*]", "`$.a[*]`: `[*]` is neither a number nor a quoted name"),
            ("$.*", "`$.*`: `*` is not a plain name; write [\"*\"]"),
            ("$.a[\"b]", "`$.a[\"b]`: a quote is not closed"),
            ("$.a[1", "`$.a[1`: `]` is missing"),
        ] {
            assert_eq!(JsonPath::parse(path).unwrap_err(), complaint);
        }
    }
}
