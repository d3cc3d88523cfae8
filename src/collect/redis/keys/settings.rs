//! Keys as users write them: `keys`, `streams` and `key_groups` of a Redis target.

use url::Url;

use crate::yaml::{Fields, Node, Value};

use super::{Group, Key, Wanted};

/// Patterns and names that one target may have of each sort.
const MOST: usize = 64;

/// Reads the three keys. A key is in `database` unless it names its own.
pub fn read(database: u16, fields: &mut Fields<'_>) -> Wanted {
    let keys = names("keys", database, fields);
    let streams = names("streams", database, fields);
    let mut groups: Vec<Group> = Vec::new();
    for node in fields.list("key_groups") {
        let Some(group) = group(node, database, fields) else { continue };
        if group.pattern.name.is_empty() {
            let way_out = "write a pattern such as `session:*`";
            fields.problems().add(&node.at, "the pattern of a group of keys is empty", way_out);
        } else if groups.iter().any(|known| known.pattern == group.pattern) {
            fields.problems().add(&node.at, format!("the group {} is named twice", group.pattern), "remove one");
        } else {
            groups.push(group);
        }
    }
    bounded("key_groups", &mut groups, fields);
    Wanted { keys, streams, groups }
}

fn names(word: &'static str, database: u16, fields: &mut Fields<'_>) -> Vec<Key> {
    let mut keys: Vec<Key> = fields.texts(word).iter().map(|text| Key::parse(text, database)).collect();
    if keys.iter().any(|key| key.name.is_empty()) {
        fields.wrong(word, format!("a name under `{word}` is empty"), "remove it");
    }
    bounded(word, &mut keys, fields);
    keys
}

/// A pattern, or `{pattern: …, limit: …}`.
fn group(node: &Node, database: u16, fields: &Fields<'_>) -> Option<Group> {
    if !matches!(node.value, Value::Map(_)) {
        let text = node.text().filter(|text| !text.is_empty());
        if text.is_none() {
            let way_out = "write a pattern such as `session:*`, or `{pattern: \"ai_api_limit:*\", limit: 100}`";
            fields.problems().add(&node.at, format!("a group of keys is {}", node.kind()), way_out);
        }
        return Some(Group { pattern: Key::parse(text?, database), limit: None });
    }
    let mut own = Fields::of(node, "a group of keys", fields.problems())?;
    let pattern = own.required("pattern");
    let limit = own.parsed("limit", |text| {
        let limit = text.parse().ok().filter(|limit: &f64| *limit > 0.0 && limit.is_finite());
        limit.ok_or_else(|| format!("`{text}` is not a number above 0"))
    });
    own.finish();
    Some(Group { pattern: Key::parse(&pattern?, database), limit })
}

fn bounded<T>(word: &str, all: &mut Vec<T>, fields: &Fields<'_>) {
    if all.len() > MOST {
        fields.wrong(word, format!("`{word}` has {} entries", all.len()), format!("keep at most {MOST}"));
        all.truncate(MOST);
    }
}

/// The database that a URL's path names, as `redis://cache/2`; else the first. An error says which part is no number.
pub fn database_of(url: &str) -> Result<u16, String> {
    // What is no URL at all is complained of where it is read.
    let Ok(url) = Url::parse(url) else { return Ok(0) };
    // A socket's path is no database; its parameter is.
    let named = url.query_pairs().find(|(name, _)| name == "db").map(|(_, value)| value.into_owned());
    let path = (!url.scheme().contains("unix")).then(|| url.path().trim_matches('/').to_owned());
    let Some(text) = named.or(path).filter(|text| !text.is_empty()) else { return Ok(0) };
    text.parse().map_err(|_| format!("`{text}` is not the number of a database"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_may_name_the_database() {
        for (url, database) in [
            ("redis://cache", 0),
            ("redis://cache:6379/2", 2),
            ("redis://cache/?db=4", 4),
            ("redis:///5", 5),
            ("redis+unix:///run/redis.sock?db=3", 3),
            ("redis+unix:///7", 0),
        ] {
            assert_eq!(database_of(url), Ok(database), "{url}");
        }
    }
}
