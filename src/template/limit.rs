//! How much an expansion may make: a text that doubles itself in a loop must not take the machine's memory.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use gotmpl::{FuncMap, TemplateError, Value};

/// The longest text, in bytes, that an expansion or a function gives.
pub const MAX_TEXT: usize = 1 << 20;
/// How many bytes all functions of one expansion give together.
const MAX_WORK: usize = 64 << 20;
/// More loop rounds than this end an expansion.
pub const MAX_ROUNDS: u64 = 100_000;

/// The error of a text beyond [`MAX_TEXT`].
pub fn too_long() -> TemplateError {
    TemplateError::Exec(format!("the text is longer than {MAX_TEXT} bytes"))
}

/// The same functions, which end the expansion when they give too much.
pub fn bounded(functions: FuncMap) -> FuncMap {
    let spent = Arc::new(AtomicUsize::new(0));
    let bound = |(name, function): (String, gotmpl::ValueFunc)| {
        let spent = Arc::clone(&spent);
        let bounded: gotmpl::ValueFunc = Arc::new(move |args: &[Value]| {
            let value = function(args)?;
            let size = match &value {
                Value::String(text) | Value::Safe { s: text, .. } => text.len(),
                Value::List(items) => items.len(),
                _ => 1,
            };
            let before = spent.fetch_add(size, Ordering::Relaxed);
            if size > MAX_TEXT {
                return Err(too_long());
            }
            if before.saturating_add(size) > MAX_WORK {
                return Err(TemplateError::Exec(format!("the template makes more than {MAX_WORK} bytes on its way")));
            }
            Ok(value)
        });
        (name, bounded)
    };
    functions.into_iter().map(bound).collect()
}

/// A text that takes no more than [`MAX_TEXT`].
#[derive(Default)]
pub struct Bounded {
    text: String,
    full: bool,
}

impl Bounded {
    /// What was written, if it fitted.
    pub fn finish(self, outcome: gotmpl::Result<()>) -> gotmpl::Result<String> {
        if self.full {
            return Err(too_long());
        }
        outcome.map(|()| self.text)
    }
}

impl fmt::Write for Bounded {
    fn write_str(&mut self, more: &str) -> fmt::Result {
        if self.text.len() + more.len() > MAX_TEXT {
            self.full = true;
            return Err(fmt::Error);
        }
        self.text.push_str(more);
        Ok(())
    }
}
