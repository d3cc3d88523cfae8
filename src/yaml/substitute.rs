//! `${NAME}` inside values, put in after parsing, so that a value can never change the file's structure.

use crate::model::{Place, Problems};

use super::{Node, Value};

/// Where variables come from: the process's environment, or a test's map. An error is a variable that is given but cannot be had.
pub type Environment<'e> = dyn Fn(&str) -> Result<Option<String>, String> + 'e;

/// Replaces `${NAME}`, `${NAME:-default}` and `$$` in every scalar of the tree.
/// A variable that is not set and has no default is a problem at its place; so is a `$` that starts nothing.
pub fn substitute(node: &mut Node, environment: &Environment<'_>, problems: &Problems) {
    match &mut node.value {
        Value::Null => {}
        Value::Scalar { text, .. } => {
            if text.contains('$') {
                *text = expand(text, &node.at, environment, problems);
            }
        }
        Value::List(items) => items.iter_mut().for_each(|item| substitute(item, environment, problems)),
        Value::Map(entries) => entries.iter_mut().for_each(|(_, _, value)| substitute(value, environment, problems)),
    }
}

fn expand(text: &str, at: &Place, environment: &Environment<'_>, problems: &Problems) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(dollar) = rest.find('$') {
        out.push_str(&rest[..dollar]);
        rest = &rest[dollar + 1..];
        if let Some(after) = rest.strip_prefix('$') {
            out.push('$');
            rest = after;
        } else if let Some((inside, after)) = rest.strip_prefix('{').and_then(|r| r.split_once('}')) {
            rest = after;
            let (name, default) =
                inside.split_once(":-").map_or((inside, None), |(name, default)| (name, Some(default)));
            // As a shell does: with `:-` an empty variable takes the default too.
            let value = environment(name).unwrap_or_else(|complaint| {
                problems.add(at, complaint, "check the path and its rights");
                Some(String::new())
            });
            match (value, default) {
                (Some(value), None) => out.push_str(&value),
                (Some(value), Some(_)) if !value.is_empty() => out.push_str(&value),
                (_, Some(default)) => out.push_str(default),
                (None, None) => problems.add(
                    at,
                    format!("the variable {name} is not set"),
                    format!("set it, or give a default: ${{{name}:-default}}"),
                ),
            }
        } else {
            problems.add(at, "this `$` starts no variable", "write `${NAME}`, or `$$` for a dollar sign");
        }
    }
    out.push_str(rest);
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::yaml::parse;

    fn expanded(text: &str) -> (String, Vec<String>) {
        let problems = Problems::new();
        let mut node = parse(text, "f.yml").unwrap();
        let environment = |name: &str| match name {
            "HOST" => Ok(Some("db".to_owned())),
            "EMPTY" => Ok(Some(String::new())),
            "UNREADABLE" => Err("cannot read the file of UNREADABLE".to_owned()),
            _ => Ok(None),
        };
        substitute(&mut node, &environment, &problems);
        let problems = problems.into_sorted().iter().map(ToString::to_string).collect();
        (node.text().unwrap_or_default().to_owned(), problems)
    }

    #[test]
    fn variables_defaults_and_dollars() {
        assert_eq!(expanded("\"${HOST}:${PORT:-5432}/$${EMPTY}${EMPTY:-x}${EMPTY}\"").0, "db:5432/${EMPTY}x");
    }

    #[test]
    fn a_missing_variable_names_its_place_and_the_way_out() {
        let (_, problems) = expanded("a${NOPE}");
        assert_eq!(problems, ["f.yml:1:1: the variable NOPE is not set; set it, or give a default: ${NOPE:-default}"]);
        assert_eq!(
            expanded("${UNREADABLE:-x}").1,
            ["f.yml:1:1: cannot read the file of UNREADABLE; check the path and its rights"]
        );
        assert!(expanded("a$b").1[0].contains("write `${NAME}`"));
    }
}
