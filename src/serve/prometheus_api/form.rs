//! Parameters as Go's `net/http` reads them: what is wrong in one pair costs that pair, and only some calls mind.

use std::borrow::Cow;

/// Names and values in their order, and what was wrong first.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Form {
    /// All that could be read.
    pub pairs: Vec<(String, String)>,
    /// Why a pair could not be read.
    pub wrong: Option<String>,
}

/// Reads `a=b&c=d`.
pub fn urlencoded(text: &[u8]) -> Form {
    let mut form = Form::default();
    for pair in text.split(|byte| *byte == b'&').filter(|pair| !pair.is_empty()) {
        match read_pair(pair) {
            Ok(pair) => form.pairs.push(pair),
            Err(why) => {
                form.wrong.get_or_insert(why);
            }
        }
    }
    form
}

fn read_pair(pair: &[u8]) -> Result<(String, String), String> {
    if pair.contains(&b';') {
        return Err("invalid semicolon separator in query".into());
    }
    let at = pair.iter().position(|byte| *byte == b'=');
    let (name, value) = at.map_or((pair, &[][..]), |at| (&pair[..at], &pair[at + 1..]));
    Ok((unescape(name)?, unescape(value)?))
}

fn unescape(text: &[u8]) -> Result<String, String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text;
    while let Some((first, after)) = rest.split_first() {
        rest = after;
        match first {
            b'+' => bytes.push(b' '),
            b'%' => {
                let digits = after.get(..2).filter(|digits| digits.iter().all(u8::is_ascii_hexdigit));
                let number = digits.and_then(|digits| std::str::from_utf8(digits).ok());
                let number = number.and_then(|digits| u8::from_str_radix(digits, 16).ok());
                let wrong = || {
                    let shown = String::from_utf8_lossy(&after[..after.len().min(2)]);
                    format!("invalid URL escape {:?}", format!("%{shown}"))
                };
                bytes.push(number.ok_or_else(wrong)?);
                rest = &after[2..];
            }
            other => bytes.push(*other),
        }
    }
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

/// Reads a form of parts, as `curl -F` sends it; files are passed over. One that breaks off has nothing.
pub fn multipart(content_type: &str, body: &[u8]) -> Vec<(String, String)> {
    let boundary = content_type.split(';').skip(1).find_map(|part| part.trim().strip_prefix("boundary="));
    let Some(boundary) = boundary.map(|text| text.trim_matches('"')).filter(|text| !text.is_empty()) else {
        return Vec::new();
    };
    read_parts(format!("--{boundary}").as_bytes(), body).unwrap_or_default()
}

fn read_parts(dashed: &[u8], body: &[u8]) -> Option<Vec<(String, String)>> {
    let mut pairs = Vec::new();
    let mut rest = body.strip_prefix(dashed)?;
    let end = [b"\r\n", dashed].concat();
    while !rest.starts_with(b"--") {
        let part = rest.strip_prefix(b"\r\n")?;
        let length = find(part, &end)?;
        let (part, after) = (&part[..length], &part[length + end.len()..]);
        let head = find(part, b"\r\n\r\n")?;
        if let Some(name) = name_of(&String::from_utf8_lossy(&part[..head])) {
            pairs.push((name, String::from_utf8_lossy(&part[head + 4..]).into_owned()));
        }
        rest = after;
    }
    Some(pairs)
}

/// The name of a part that is no file.
fn name_of(head: &str) -> Option<String> {
    let is_it =
        |line: &&str| line.split(':').next().is_some_and(|name| name.eq_ignore_ascii_case("content-disposition"));
    let line = head.split("\r\n").find(is_it)?;
    let parameter = |wanted: &str| {
        line.split(';').skip(1).find_map(|part| part.trim().strip_prefix(wanted)?.strip_prefix('=')).map(Cow::from)
    };
    if parameter("filename").is_some() {
        return None;
    }
    Some(parameter("name")?.trim_matches('"').to_owned())
}

fn find(text: &[u8], wanted: &[u8]) -> Option<usize> {
    text.windows(wanted.len()).position(|window| window == wanted)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pairs(all: &[(&str, &str)]) -> Vec<(String, String)> {
        all.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
    }

    #[test]
    fn a_pair_that_cannot_be_read_costs_nothing_but_itself() {
        for (text, wanted, wrong) in [
            ("a=b+c&d=%41%c3%bc", &[("a", "b c"), ("d", "Aü")][..], None),
            ("a&&b=&=c&a=d=e", &[("a", ""), ("b", ""), ("", "c"), ("a", "d=e")], None),
            ("a=%zz&b=1&c=%2", &[("b", "1")], Some("invalid URL escape \"%zz\"")),
            ("b=1&c=%2", &[("b", "1")], Some("invalid URL escape \"%2\"")),
            ("a=1;b=2&c=3&%=", &[("c", "3")], Some("invalid semicolon separator in query")),
            ("a=%+1", &[], Some("invalid URL escape \"%+1\"")),
        ] {
            let form = Form { pairs: pairs(wanted), wrong: wrong.map(str::to_owned) };
            assert_eq!(urlencoded(text.as_bytes()), form, "{text}");
        }
    }

    #[test]
    fn forms_of_parts_are_read() {
        let part =
            |name: &str, text: &str| format!("--X\r\nContent-Disposition: form-data; name={name}\r\n\r\n{text}\r\n");
        let body =
            part("\"query\"", "1+1\r\n2") + &part("file; filename=\"x\"", "no") + &part("\"time\"", "") + "--X--\r\n";
        let wanted = pairs(&[("query", "1+1\r\n2"), ("time", "")]);
        assert_eq!(multipart("multipart/form-data; boundary=X", body.as_bytes()), wanted);
        assert_eq!(multipart("multipart/form-data; boundary=\"X\"", body.as_bytes()), wanted);
        for end in 0..body.len() - 4 {
            assert!(multipart("multipart/form-data; boundary=X", &body.as_bytes()[..end]).is_empty(), "{end}");
        }
        for kind in ["multipart/form-data", "multipart/form-data; boundary=", "multipart/form-data; boundary=Y"] {
            assert!(multipart(kind, body.as_bytes()).is_empty(), "{kind}");
        }
    }
}
