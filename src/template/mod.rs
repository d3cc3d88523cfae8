//! Go templates as Prometheus and Alertmanager expand them: what the texts of alerts (`rules`) and of messages (`notify`)
//! have in common.
//!
//! The engine is gotmpl; where it prints otherwise than Go it is put right here: numbers, times, `printf`, missing keys.

mod functions;
pub mod humanize;
pub mod moment;
mod printf;
mod tree;

use gotmpl::{FuncMap, TemplateError, Value};

pub use functions::{add, number, numbers, regex, text, texts};
pub use tree::{MAIN, Tree, parse};

/// Expands any text over any data.
///
/// # Errors
/// What is wrong with the template, in Go's words.
pub fn expand(text: &str, data: &Value, functions: FuncMap) -> Result<String, String> {
    let expanded = parse(text).and_then(|tree| {
        tree.check(&functions)?;
        tree.into_template(functions).execute_template_to_string(MAIN, data)
    });
    expanded.map_err(|error| match error {
        TemplateError::Exec(message) => message,
        other => other.to_string(),
    })
}
