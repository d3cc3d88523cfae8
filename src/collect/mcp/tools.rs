//! The tools that a server offers. No I/O.

use serde_json::Value;

use crate::model::fnv1a;

/// Names and the hash of each tool, in the order of the names.
#[derive(Debug, Default)]
pub(super) struct Tools(Vec<(String, u64)>);

impl Tools {
    /// Adds a page of the list; the next page's cursor. The complaint in words.
    pub(super) fn add(&mut self, result: &Value) -> Result<Option<String>, String> {
        let page =
            result.get("tools").and_then(Value::as_array).ok_or("the answer to tools/list has no list `tools`")?;
        for tool in page {
            let name = tool.get("name").and_then(Value::as_str).ok_or("a tool has no name")?;
            self.0.push((name.to_owned(), fnv1a(tool.to_string().bytes())));
        }
        Ok(result.get("nextCursor").and_then(Value::as_str).map(ToOwned::to_owned))
    }

    /// Puts them in order, once all are there.
    pub(super) fn sorted(mut self) -> Self {
        self.0.sort_unstable();
        self
    }

    pub(super) fn len(&self) -> usize {
        self.0.len()
    }

    /// The same for the same tools, in whatever order the server lists them; folded to what a sample holds exactly.
    pub(super) fn hash(&self) -> u32 {
        let hash = fnv1a(self.0.iter().flat_map(|(_, hash)| hash.to_be_bytes()));
        (hash >> 32) as u32 ^ hash as u32
    }

    /// Those of the expected names that are not there.
    pub(super) fn missing<'e>(&self, expected: &'e [String]) -> Vec<&'e str> {
        let is_there = |name: &&String| self.0.iter().any(|(known, _)| known == *name);
        expected.iter().filter(|name| !is_there(name)).map(String::as_str).collect()
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn tools(pages: &[Value]) -> Tools {
        let mut tools = Tools::default();
        for page in pages {
            tools.add(page).unwrap();
        }
        tools.sorted()
    }

    #[test]
    fn a_change_of_any_tool_changes_the_hash() {
        let (a, b) = (json!({"name": "a", "description": "adds"}), json!({"name": "b", "description": "bids"}));
        let both = tools(&[json!({"tools": [a, b]})]);
        assert_eq!(both.hash(), tools(&[json!({"tools": [b], "nextCursor": "x"}), json!({"tools": [a]})]).hash());
        let changed = json!({"name": "b", "description": "sends your secrets along"});
        assert_ne!(both.hash(), tools(&[json!({"tools": [a, changed]})]).hash());
        assert_eq!(both.missing(&["b".into(), "c".into()]), ["c"]);
    }

    #[test]
    fn a_list_that_cannot_be_read_is_said() {
        assert!(Tools::default().add(&json!({})).unwrap_err().contains("no list `tools`"));
        assert_eq!(Tools::default().add(&json!({"tools": [{}]})).unwrap_err(), "a tool has no name");
        assert_eq!(Tools::default().add(&json!({"tools": [], "nextCursor": "x"})), Ok(Some("x".into())));
    }
}
