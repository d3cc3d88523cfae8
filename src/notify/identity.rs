//! Names for alerts and groups, spelled as Prometheus and Alertmanager spell them, so that what receivers
//! keep (fingerprints, group keys) stays valid when Sidewatch takes Alertmanager's place.

use std::fmt::Write as _;

use sha2::{Digest as _, Sha256};

use crate::model::{Labels, fnv1a, hex};

/// Stands between names and values; it cannot occur in UTF-8.
const SEPARATOR: u8 = 0xff;

/// A label set's fingerprint: FNV-1a over the sorted pairs, as `LabelSet.Fingerprint` of Prometheus' `common/model`.
///
/// ```
/// use sidewatch::{model::Labels, notify::fingerprint};
/// assert_eq!(format!("{:016x}", fingerprint(&Labels::empty())), "cbf29ce484222325");
/// ```
pub fn fingerprint(labels: &Labels) -> u64 {
    let texts = labels.iter().flat_map(|(name, value)| [name, value]);
    fnv1a(texts.flat_map(|text| text.bytes().chain([SEPARATOR])))
}

/// A fingerprint as it is written in a webhook's body and in API v2.
pub(super) fn render_fingerprint(labels: &Labels) -> String {
    format!("{:016x}", fingerprint(labels))
}

/// Alertmanager passes the receiver's name through `regexp.QuoteMeta`, and consumers have come to expect it.
pub(super) fn quote_meta(name: &str) -> String {
    let mut out = String::with_capacity(name.len());
    for c in name.chars() {
        if r"\.+*?()|[]{}^$".contains(c) {
            out.push('\\');
        }
        out.push(c);
    }
    out
}

/// A group's key: the route's own key and the group's labels, `{}:{alertname="X"}`.
pub(super) fn group_key(route: &str, labels: &Labels) -> String {
    let mut key = format!("{route}:{{");
    for (at, (name, value)) in labels.iter().enumerate() {
        let comma = if at > 0 { ", " } else { "" };
        let _ = write!(key, "{comma}{name}={}", go_quoted(value));
    }
    key.push('}');
    key
}

/// A text in double quotes as Go's `%q` writes it.
pub(super) fn go_quoted(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 2);
    out.push('"');
    for c in text.chars() {
        let _ = match c {
            '"' | '\\' => write!(out, "\\{c}"),
            '\u{7}' => write!(out, "\\a"),
            '\u{8}' => write!(out, "\\b"),
            '\u{b}' => write!(out, "\\v"),
            '\u{c}' => write!(out, "\\f"),
            '\n' => write!(out, "\\n"),
            '\r' => write!(out, "\\r"),
            '\t' => write!(out, "\\t"),
            c if c < ' ' || c == '\u{7f}' => write!(out, "\\x{:02x}", c as u32),
            c if is_printable(c) => write!(out, "{c}"),
            c if (c as u32) < 0x1_0000 => write!(out, "\\u{:04x}", c as u32),
            c => write!(out, "\\U{:08x}", c as u32),
        };
    }
    out.push('"');
    out
}

/// Whether a character beyond ASCII's controls shows; Rust's own escaping knows the same Unicode classes as Go's.
fn is_printable(c: char) -> bool {
    c == '\'' || c.escape_debug().len() == 1
}

/// The first `digits` hexadecimal digits of the SHA-256 of some texts, kept apart from each other.
pub(super) fn digest(parts: &[&str], digits: usize) -> String {
    let mut hash = Sha256::new();
    for part in parts {
        hash.update(part.as_bytes());
        hash.update([SEPARATOR]);
    }
    let mut text = hex(hash.finalize());
    text.truncate(digits);
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The values are what an Alertmanager 0.25.0 sent for these labels.
    #[test]
    fn fingerprints_and_group_keys_are_alertmanagers() {
        let pool = Labels::new([("alertname", "PgPool"), ("severity", "critical"), ("instance", "b:1"), ("db", "app")]);
        assert_eq!(render_fingerprint(&pool), "f5c507583261bb9a");
        let odd = pool.with("instance", "a:1").with("db", "a\"b\n\u{1}é");
        assert_eq!(render_fingerprint(&odd), "ff1fc6a93a67e900");
        let weird = Labels::new([("alertname", "we\"ird\n\u{1}é\u{200b}")]);
        assert_eq!(render_fingerprint(&weird), "b331de5dd0f29321");
        assert_eq!(group_key("{}", &weird), r#"{}:{alertname="we\"ird\n\x01é\u200b"}"#);
    }

    #[test]
    fn a_group_without_labels_has_a_key_too() {
        assert_eq!(group_key("{}", &Labels::empty()), "{}:{}");
        assert_eq!(group_key("{}", &Labels::new([("b", "2"), ("a", "1")])), r#"{}:{a="1", b="2"}"#);
    }
}
