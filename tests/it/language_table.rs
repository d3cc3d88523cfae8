//! The tables of `docs/promql.md`: every item is shown by the rule-test file that it names, and no function is left out.

use std::collections::BTreeSet;
use std::path::Path;

use sidewatch::promql::{Query, function_names};
use sidewatch::yaml::{Node, Value, parse};

use crate::support::repository;

/// A row: the heading that it stands under, what is written, and the file that shows it.
struct Row {
    heading: String,
    written: String,
    shown_in: String,
}

#[test]
fn every_item_is_shown_by_the_file_it_names() {
    let rows = rows();
    assert!(rows.len() > 150, "the tables were not found: {} rows", rows.len());
    let wrong: Vec<_> = rows.iter().filter_map(|row| unshown(row).err()).collect();
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn the_table_of_functions_is_the_engines_own() {
    let of_table: BTreeSet<_> = rows().iter().filter(|row| row.heading == "Functions").map(function).collect();
    let of_engine: BTreeSet<_> = function_names().into_iter().map(str::to_owned).collect();
    let missing: Vec<_> = of_engine.difference(&of_table).collect();
    let unknown: Vec<_> = of_table.difference(&of_engine).collect();
    assert!(missing.is_empty() && unknown.is_empty(), "not in the table: {missing:?}; not in the engine: {unknown:?}");
}

#[test]
fn every_file_is_named_and_every_named_file_is_there() {
    let document = document();
    let folder = repository().join("tests/rules");
    let named: BTreeSet<_> = links(&document).map(str::to_owned).collect();
    for name in &named {
        assert!(folder.join(name).is_file(), "{name} is named and is not there");
    }
    let files = std::fs::read_dir(&folder).expect("the folder").map(|entry| entry.expect("an entry").path());
    for file in files.filter(|file| file.extension().is_some_and(|extension| extension == "yml")) {
        let name = file.file_name().expect("a name").to_string_lossy().into_owned();
        assert!(named.contains(&name), "docs/promql.md does not name {name}");
    }
}

#[test]
fn what_the_failing_files_say_is_refused_is_refused() {
    for name in ["no_expression.yml", "wrong_kind.yml", "behind_a_flag.yml", "other_version.yml"] {
        let mut expressions = Vec::new();
        texts_under(&tree(&repository().join("tests/rules/failing").join(name)), "expr", &mut expressions);
        assert!(expressions.len() > 5, "{name}");
        // Both are expressions, only no results of a test; `""` for a label is found when it is asked.
        expressions.retain(|text| !["x[5m]", "\"text\"", "count_values(\"\", x)"].contains(&text.as_str()));
        let accepted: Vec<_> = expressions.iter().filter(|text| Query::parse(text).is_ok()).collect();
        assert!(accepted.is_empty(), "{name}: {accepted:#?}");
    }
}

/// An error if the file does not show what the row promises.
fn unshown(row: &Row) -> Result<(), String> {
    let file = repository().join("tests/rules").join(&row.shown_in);
    let test = tree(&file);
    let mut texts = Vec::new();
    if row.heading == "Rules and templates" {
        all_texts(&test, &mut texts);
        let mut rule_files = Vec::new();
        texts_under(&test, "rule_files", &mut rule_files);
        // Patterns and the file that is missing on purpose are left out.
        for rules in rule_files.iter().map(|name| file.with_file_name(name)).filter(|rules| rules.is_file()) {
            all_texts(&tree(&rules), &mut texts);
        }
    } else {
        texts_under(&test, "expr", &mut texts);
    }
    let sought = if row.heading == "Functions" { format!("{}(", function(row)) } else { row.written.clone() };
    if texts.iter().any(|text| has_word(text, &sought)) {
        Ok(())
    } else {
        Err(format!("`{}` is not shown in {}", row.written, row.shown_in))
    }
}

fn function(row: &Row) -> String {
    row.written.split('(').next().unwrap_or_default().to_owned()
}

/// Whether a text has another in it, not as a part of a longer word.
fn has_word(text: &str, sought: &str) -> bool {
    let letter = |c: Option<char>| c.is_some_and(|c| c.is_alphanumeric() || c == '_');
    let (first, last) = (letter(sought.chars().next()), letter(sought.chars().last()));
    text.match_indices(sought).any(|(at, _)| {
        let before = letter(text[..at].chars().last());
        let after = letter(text[at + sought.len()..].chars().next());
        !(first && before || last && after)
    })
}

fn document() -> String {
    std::fs::read_to_string(repository().join("docs/promql.md")).expect("the document")
}

/// The names of the files behind the links into `tests/rules`, those in its folders left out.
fn links(text: &str) -> impl Iterator<Item = &str> {
    let ends = text.split("](../tests/rules/").skip(1).filter_map(|rest| rest.split(')').next());
    ends.filter(|name| !name.is_empty())
}

fn rows() -> Vec<Row> {
    let mut heading = String::new();
    let mut rows = Vec::new();
    for line in document().lines() {
        if let Some(text) = line.strip_prefix("## ") {
            text.clone_into(&mut heading);
        }
        let Some((written, rest)) = line.strip_prefix("| `").and_then(|line| line.split_once("` | ")) else { continue };
        let shown_in = links(rest).last().unwrap_or_else(|| panic!("`{written}` names no file")).to_owned();
        rows.push(Row { heading: heading.clone(), written: written.to_owned(), shown_in });
    }
    rows
}

fn tree(file: &Path) -> Node {
    let text = std::fs::read_to_string(file).unwrap_or_else(|error| panic!("{}: {error}", file.display()));
    parse(&text, &file.display().to_string()).unwrap_or_else(|problem| panic!("{problem}"))
}

/// The texts that stand under a key, wherever it is.
fn texts_under(node: &Node, key: &str, texts: &mut Vec<String>) {
    match &node.value {
        Value::Map(entries) => {
            for (name, _, value) in entries {
                if name == key { all_texts(value, texts) } else { texts_under(value, key, texts) }
            }
        }
        Value::List(items) => items.iter().for_each(|item| texts_under(item, key, texts)),
        Value::Null | Value::Scalar { .. } => {}
    }
}

/// All keys and texts.
fn all_texts(node: &Node, texts: &mut Vec<String>) {
    match &node.value {
        Value::Map(entries) => {
            for (name, _, value) in entries {
                texts.push(name.clone());
                all_texts(value, texts);
            }
        }
        Value::List(items) => items.iter().for_each(|item| all_texts(item, texts)),
        Value::Scalar { text, .. } => texts.push(text.clone()),
        Value::Null => {}
    }
}
