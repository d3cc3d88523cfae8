//! Go templates as Prometheus and Alertmanager expand them: what the texts of alerts (`rules`) and of messages (`notify`)
//! have in common.
//!
//! The engine is gotmpl; where it does otherwise than Go it is put right here: types with fields and methods (`member`),
//! numbers, times, `printf`, missing keys. What an expansion may take is bounded (`limit`).

mod display;
mod functions;
pub mod humanize;
mod layout;
mod limit;
pub mod member;
pub mod moment;
mod printf;
mod set;
pub mod span;
mod tree;

use gotmpl::{FuncMap, TemplateError, Value};

pub use display::{json, text as shown};
pub use functions::{add, add_with, go_functions, number, numbers, regex, text, texts, texts_of};
pub use limit::MAX_TEXT;
pub use set::Set;
pub use tree::{Tree, parse, parse_file};

/// Expands any text over any data.
///
/// # Errors
/// What is wrong with the template, in Go's words.
pub fn expand(text: &str, data: &Value, functions: FuncMap) -> Result<String, String> {
    let expanded = parse(text).and_then(|tree| {
        tree.check(&functions)?;
        Set::default().text(tree, data, functions)
    });
    expanded.map_err(|error| message(&error))
}

/// An error in Go's words.
pub fn message(error: &TemplateError) -> String {
    match error {
        TemplateError::Exec(message) => message.clone(),
        other => other.to_string(),
    }
}
