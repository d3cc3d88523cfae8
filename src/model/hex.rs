use std::fmt::Write as _;

/// Bytes as lower-case hexadecimal digits, two for each.
pub fn hex(bytes: impl AsRef<[u8]>) -> String {
    let bytes = bytes.as_ref();
    bytes.iter().fold(String::with_capacity(2 * bytes.len()), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

#[cfg(test)]
mod tests {
    #[test]
    fn two_digits_for_each_byte() {
        assert_eq!(super::hex([0, 10, 255]), "000aff");
        assert_eq!(super::hex("az"), "617a");
    }
}
