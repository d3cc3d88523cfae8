//! The texts of messages: Go templates with Alertmanager's data and functions, its names for the default texts, and the
//! user's own files (`templates:`).
//!
//! Times are those of the notification, not of the clock: a message that is sent a second time is the same message.

mod data;
mod defaults;
mod files;
mod functions;

use gotmpl::{FuncMap, Value};

use crate::template::{self, Set};

use super::notification::Notification;

pub use files::Files;

/// The templates that a message's texts may use.
pub struct Templates {
    set: Set,
}

impl Default for Templates {
    fn default() -> Self {
        Self::new()
    }
}

impl Templates {
    /// With the default texts alone.
    pub fn new() -> Self {
        Self::with(&Files::default())
    }

    /// With the default texts, and the user's files, which may replace them.
    pub fn with(files: &Files) -> Self {
        let mut set = defaults::set();
        files.add_to(&mut set);
        Self { set }
    }

    /// A text expanded for a notification.
    ///
    /// # Errors
    /// What is wrong with the template, in Go's words.
    pub fn text(&self, text: &str, notification: &Notification) -> Result<String, String> {
        self.of(notification).text(text)
    }

    /// A text expanded as HTML: what is printed is escaped as HTML needs it where it stands.
    ///
    /// # Errors
    /// What is wrong with the template, in Go's words.
    pub fn html(&self, text: &str, notification: &Notification) -> Result<String, String> {
        self.of(notification).html(text)
    }

    /// For several texts of one message: its data are made once.
    pub fn of(&self, notification: &Notification) -> Texts<'_> {
        Texts { set: &self.set, data: data::of(notification), functions: functions::at(notification.at) }
    }
}

/// Expands texts for one notification.
pub struct Texts<'t> {
    set: &'t Set,
    data: Value,
    functions: FuncMap,
}

impl Texts<'_> {
    /// A text expanded.
    ///
    /// # Errors
    /// What is wrong with the template, in Go's words.
    pub fn text(&self, text: &str) -> Result<String, String> {
        if !text.contains("{{") {
            return Ok(text.to_owned());
        }
        let expanded = template::parse(text).and_then(|tree| {
            tree.check(&self.functions)?;
            self.set.text(tree, &self.data, self.functions.clone())
        });
        expanded.map_err(|error| template::message(&error))
    }

    /// A text expanded as HTML.
    ///
    /// # Errors
    /// What is wrong with the template, in Go's words.
    pub fn html(&self, text: &str) -> Result<String, String> {
        let expanded = template::parse(text).and_then(|tree| {
            tree.check(&self.functions)?;
            self.set.html(tree, &self.data, self.functions.clone())
        });
        expanded.map_err(|error| template::message(&error))
    }
}

/// Whether a text is a template: its syntax, and the names of its functions and variables.
///
/// # Errors
/// What is wrong, in Go's words.
pub fn check(text: &str) -> Result<(), String> {
    let functions = functions::at(crate::model::Millis(0));
    template::parse(text).and_then(|tree| tree.check(&functions)).map_err(|error| template::message(&error))
}

#[cfg(test)]
mod tests;
