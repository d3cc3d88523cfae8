//! Names that a server gives as bytes, written as text.

use std::borrow::Cow;

/// The bytes as text: what is not UTF-8 as `\xff`, so that names which differ stay apart.
pub fn readable(bytes: &[u8]) -> Cow<'_, str> {
    if let Ok(text) = std::str::from_utf8(bytes) {
        return Cow::Borrowed(text);
    }
    let chunk = |chunk: std::str::Utf8Chunk<'_>| format!("{}{}", chunk.valid(), chunk.invalid().escape_ascii());
    Cow::Owned(bytes.utf8_chunks().map(chunk).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_differ_in_a_bad_byte_differ_as_text() {
        assert_eq!(readable("wä\\x".as_bytes()), "wä\\x", "what is UTF-8 stays as it is");
        assert_eq!(readable(b"k\xff-\xc3"), "k\\xff-\\xc3");
        assert_ne!(readable(b"k\xfe"), readable(b"k\xff"));
    }
}
