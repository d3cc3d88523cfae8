//! Who may use whom: the layers that `ARCHITECTURE.md` draws, read off the `use crate::` lines.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use crate::support::repository;

/// Each part with the parts that it may use. Everybody may use `model`.
const ALLOWED: [(&str, &[&str]); 16] = [
    ("model", &[]),
    ("yaml", &[]),
    ("exposition", &["store"]),
    ("store", &[]),
    ("runtime", &["exposition", "store", "yaml"]),
    ("usage", &["yaml"]),
    ("promql", &["store"]),
    ("collect", &["exposition", "runtime", "store", "yaml"]),
    ("template", &["promql"]),
    ("notify", &["promql", "runtime", "template", "yaml"]),
    ("ingest", &["store", "usage"]),
    ("rules", &["promql", "runtime", "store", "template", "yaml"]),
    ("serve", &["collect", "exposition", "ingest", "notify", "promql", "rules", "runtime", "store", "usage", "yaml"]),
    ("config", &["collect", "notify", "rules", "runtime", "serve", "store", "usage", "yaml"]),
    ("app", &["collect", "config", "ingest", "notify", "rules", "runtime", "serve", "store", "usage"]),
    ("cli", &["app", "collect", "config", "notify", "promql", "rules", "runtime", "serve", "store", "usage"]),
];

#[test]
fn parts_use_only_the_parts_below_them() {
    let source = repository().join("src");
    let allowed: BTreeMap<_, _> = ALLOWED.into_iter().collect();
    let mut wrong = Vec::new();
    for file in rust_files(&source) {
        let inside = file.strip_prefix(&source).expect("a file of the source");
        let part = inside.components().next().expect("a name").as_os_str().to_string_lossy().replace(".rs", "");
        if matches!(part.as_str(), "main" | "lib") {
            continue;
        }
        let Some(may_use) = allowed.get(part.as_str()) else {
            wrong.push(format!("{part} has no place in the drawing"));
            continue;
        };
        let text = std::fs::read_to_string(&file).expect("readable");
        for used in uses(&text) {
            if used != part && used != "model" && !may_use.contains(&used.as_str()) {
                wrong.push(format!("{} uses {used}", inside.display()));
            }
        }
    }
    wrong.dedup();
    assert!(wrong.is_empty(), "{wrong:#?}");
}

/// The parts named as `crate::<part>` outside tests, whose modules end each file.
fn uses(text: &str) -> Vec<String> {
    let code = text.split("#[cfg(test)]\nmod tests {").next().unwrap_or_default();
    let code = code.lines().filter(|line| !line.trim_start().starts_with("//"));
    let mentions = code.flat_map(|line| {
        line.match_indices("crate::").map(|(at, word)| line[at + word.len()..].to_owned()).collect::<Vec<_>>()
    });
    let name = |rest: String| rest.chars().take_while(|c| c.is_ascii_lowercase() || *c == '_').collect::<String>();
    mentions.map(name).filter(|name| !name.is_empty()).collect()
}

fn rust_files(folder: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for entry in std::fs::read_dir(folder).expect("a folder") {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            files.extend(rust_files(&path));
        } else if path.extension().is_some_and(|extension| extension == "rs") && !path.ends_with("tests.rs") {
            files.push(path);
        }
    }
    files
}
