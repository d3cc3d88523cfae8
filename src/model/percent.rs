//! Percent-encoding, as the parts of a URL are written (RFC 3986, section 2.1).

/// Undoes percent-encoding, as in the user and password of a URL. What is not valid stays as it is written, and so does `+`.
pub fn percent_decode(text: &str) -> String {
    let bytes = text.as_bytes();
    let mut out = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while at < bytes.len() {
        let digit = |offset: usize| bytes.get(at + offset).and_then(|byte| char::from(*byte).to_digit(16));
        let code = (bytes[at] == b'%').then(|| Some(digit(1)? * 16 + digit(2)?)).flatten();
        if let Some(byte) = code.and_then(|code| u8::try_from(code).ok()) {
            out.push(byte);
            at += 3;
        } else {
            out.push(bytes[at]);
            at += 1;
        }
    }
    String::from_utf8_lossy(&out).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percent_signs_decode_where_they_can() {
        assert_eq!(percent_decode("p%40ss%2Fw%C3%A4"), "p@ss/wä");
        assert_eq!(percent_decode("a&b=c+d"), "a&b=c+d");
        assert_eq!(percent_decode("100%"), "100%");
        assert_eq!(percent_decode("%zz%é%+1"), "%zz%é%+1");
    }
}
