//! `payload`: a body of the user's own. Every text in it is a template; what a template gives is read as YAML, so that
//! `'{{ toJson .Alerts }}'` is a list and not a text that looks like one.
//!
//! Alertmanager expands once more the templates that it finds in what a template gave. We do not: labels are not programs.

use serde_json::{Map, Value};

use crate::model::{Place, Problems};
use crate::notify::template::{Texts, check};
use crate::yaml::{self, Node};

/// How deep results of templates may be nested in each other.
const MAX_DEPTH: usize = 16;

/// A body, with templates.
#[derive(Debug, Clone, PartialEq)]
pub enum Payload {
    /// Neither text nor structure: a number, a truth value, nothing.
    Plain(Value),
    /// A template.
    Text(String),
    /// A list.
    List(Vec<Self>),
    /// A mapping; its keys are templates too.
    Map(Vec<(String, Self)>),
}

impl Payload {
    /// Reads the configuration's value and notes templates that are none.
    pub fn read(node: &Node, problems: &Problems) -> Self {
        let checked = |text: &str, at: &Place| {
            if let Err(complaint) = check(text) {
                problems.add(at, format!("`payload` is no template here: {complaint}"), "");
            }
            text.to_owned()
        };
        match &node.value {
            yaml::Value::Null => Self::Plain(Value::Null),
            yaml::Value::Scalar { text, quoted: false } => match plain(text) {
                Value::String(text) => Self::Text(checked(&text, &node.at)),
                plain => Self::Plain(plain),
            },
            yaml::Value::Scalar { text, .. } => Self::Text(checked(text, &node.at)),
            yaml::Value::List(items) => Self::List(items.iter().map(|item| Self::read(item, problems)).collect()),
            yaml::Value::Map(entries) => {
                let entry = |(key, at, value): &(String, Place, Node)| (checked(key, at), Self::read(value, problems));
                Self::Map(entries.iter().map(entry).collect())
            }
        }
    }

    /// The body for a notification.
    ///
    /// # Errors
    /// What is wrong with a template, in Go's words.
    pub fn expand(&self, texts: &Texts<'_>) -> Result<Value, String> {
        Ok(match self {
            Self::Plain(value) => value.clone(),
            Self::Text(text) => understood(&texts.text(text)?, 0),
            Self::List(items) => items.iter().map(|item| item.expand(texts)).collect::<Result<Vec<_>, _>>()?.into(),
            Self::Map(entries) => {
                let entry = |(key, value): &(String, Self)| Ok((texts.text(key)?, value.expand(texts)?));
                Value::Object(entries.iter().map(entry).collect::<Result<Map<_, _>, String>>()?)
            }
        })
    }
}

/// What a text means as YAML; itself, if it is none or a text there too.
fn understood(text: &str, depth: usize) -> Value {
    match yaml::parse(text, "payload") {
        Ok(node) if depth < MAX_DEPTH => match node.value {
            yaml::Value::Scalar { quoted: true, .. } => text.into(),
            yaml::Value::Scalar { text: inner, .. } => match plain(&inner) {
                Value::String(_) => text.into(),
                plain => plain,
            },
            value => of_yaml(value, depth),
        },
        _ => text.into(),
    }
}

fn of_yaml(value: yaml::Value, depth: usize) -> Value {
    match value {
        yaml::Value::Null => Value::Null,
        yaml::Value::Scalar { text, quoted: false } => plain(&text),
        yaml::Value::Scalar { text, .. } => understood(&text, depth + 1),
        yaml::Value::List(items) => items.into_iter().map(|item| of_yaml(item.value, depth)).collect(),
        yaml::Value::Map(entries) => {
            entries.into_iter().map(|(key, _, value)| (key, of_yaml(value.value, depth))).collect::<Map<_, _>>().into()
        }
    }
}

/// What an unquoted scalar is.
fn plain(text: &str) -> Value {
    match text {
        "true" | "True" | "TRUE" => return true.into(),
        "false" | "False" | "FALSE" => return false.into(),
        "" | "~" | "null" => return Value::Null,
        _ => {}
    }
    if let Ok(whole) = text.parse::<i64>() {
        return whole.into();
    }
    // `inf`, `nan` and hexadecimal numbers stay texts: JSON has none of them.
    let numeric = text.starts_with(|c: char| c.is_ascii_digit() || matches!(c, '-' | '+' | '.'));
    let number = text.parse::<f64>().ok().filter(|number| numeric && number.is_finite());
    match number {
        // As Go writes it: a whole number without a point.
        Some(number) if number.fract() == 0.0 && number.abs() < 1e15 => (number as i64).into(),
        Some(number) => number.into(),
        None => text.into(),
    }
}
