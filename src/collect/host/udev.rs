//! What udev knows of a disk: `/run/udev/data/bMAJOR:MINOR`.

/// The properties of one device. Empty where udev does not run, or our container does not see its files.
#[derive(Debug, Default)]
pub(super) struct Properties(String);

impl Properties {
    /// From the file's text, if there is one.
    pub(super) fn of(text: Option<String>) -> Self {
        Self(text.unwrap_or_default())
    }

    /// A property, such as `ID_MODEL`. One without a value is as one that is not there.
    pub(super) fn get(&self, name: &str) -> Option<&str> {
        let value = self.0.lines().find_map(|line| line.strip_prefix("E:")?.strip_prefix(name)?.strip_prefix('='))?;
        Some(value.trim()).filter(|value| !value.is_empty())
    }

    /// A property as a label's value: empty is absent.
    pub(super) fn label(&self, name: &str) -> &str {
        self.get(name).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn properties_begin_with_an_e() {
        let properties =
            Properties::of(Some("S:disk/by-id/x\nE:ID_MODEL=SAMSUNG\nE:ID_MODEL_ENC=x\nE:ID_WWN=\n".into()));
        assert_eq!(
            (properties.get("ID_MODEL"), properties.get("ID_WWN"), properties.label("ID_PATH")),
            (Some("SAMSUNG"), None, "")
        );
        assert_eq!(Properties::of(None).get("ID_MODEL"), None);
    }
}
