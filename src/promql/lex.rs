//! Text to words: names, numbers, durations, quoted texts and signs, each with its place.

/// A word of a query.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Word {
    /// A name or a keyword; keywords are told by where they stand.
    Name(String),
    /// A number, and a duration in seconds, which is a number too.
    Number(f64),
    /// `5m`, in milliseconds.
    Duration(i64),
    /// A quoted text, unquoted.
    Text(String),
    /// `+`, `==`, `(`, …
    Sign(&'static str),
    End,
    /// What is no word, and why. Nothing follows it: what stands before it may be wrong too, and is to be told first.
    Bad(String),
}

/// A word and where it stands, in bytes.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Token {
    pub word: Word,
    pub start: usize,
    pub end: usize,
}

const SIGNS: [&str; 27] = [
    "==", "!=", "<=", ">=", "=~", "!~", "=", "<", ">", "+", "-", "*", "/", "%", "^", "@", "(", ")", "[", "]", "{", "}",
    ",", ":", "!", "~", "&",
];
/// Signs that the list holds only so that they get their own message.
const NEVER: [&str; 3] = ["!", "~", "&"];

/// All words of a query, the last one the end or bad.
pub(super) fn words(text: &str) -> Vec<Token> {
    let mut lexer = Lexer { text, at: 0, open: Vec::new() };
    let mut tokens = Vec::new();
    loop {
        lexer.skip_blank();
        let start = lexer.at;
        let word = lexer.next(start).unwrap_or_else(Word::Bad);
        let done = matches!(word, Word::End | Word::Bad(_));
        tokens.push(Token { word, start, end: lexer.at });
        if done {
            return tokens;
        }
    }
}

struct Lexer<'t> {
    text: &'t str,
    at: usize,
    /// The brackets that wait for their other half.
    open: Vec<char>,
}

impl Lexer<'_> {
    fn next(&mut self, start: usize) -> Result<Word, String> {
        let rest = &self.text[start..];
        let Some(first) = rest.chars().next() else {
            return match self.open.last() {
                Some(_) if self.open.contains(&'(') => Err("unclosed left parenthesis".into()),
                Some('[') => Err("unexpected end of input in duration expression".into()),
                Some(_) => Err("unexpected end of input inside braces".into()),
                None => Ok(Word::End),
            };
        };
        match first {
            '"' | '\'' | '`' => self.quoted(first).map(Word::Text),
            '0'..='9' => self.number(),
            '.' if rest[1..].starts_with(|c: char| c.is_ascii_digit()) => self.number(),
            _ if first.is_alphabetic() && self.open.last() == Some(&'[') => {
                Err(format!("unexpected character in duration expression: {first:?}"))
            }
            _ if first.is_ascii_alphabetic() || first == '_' => Ok(self.name(false)),
            ':' if self.open.last() != Some(&'[') => Ok(self.name(true)),
            _ => self.sign(first),
        }
    }

    fn skip_blank(&mut self) {
        loop {
            let rest = &self.text[self.at..];
            match rest.chars().next() {
                Some(' ' | '\t' | '\n' | '\r') => self.at += 1,
                Some('#') => self.at += rest.find('\n').unwrap_or(rest.len()),
                _ => return,
            }
        }
    }

    fn name(&mut self, colon: bool) -> Word {
        let named = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | ':');
        let rest = &self.text[self.at..];
        let length = rest.find(|c| !named(c)).unwrap_or(rest.len()).max(usize::from(colon));
        self.at += length;
        let name = &rest[..length];
        match name.to_ascii_lowercase().as_str() {
            "inf" if self.open.last() != Some(&'{') => Word::Number(f64::INFINITY),
            "nan" if self.open.last() != Some(&'{') => Word::Number(f64::NAN),
            _ => Word::Name(name.to_owned()),
        }
    }

    fn number(&mut self) -> Result<Word, String> {
        let rest = &self.text[self.at..];
        let hex = rest.starts_with("0x") || rest.starts_with("0X");
        let mut before = ' ';
        let length = rest.find(|c: char| {
            let signed_exponent = matches!(c, '+' | '-') && matches!(before, 'e' | 'E') && !hex;
            before = c;
            !(c.is_ascii_alphanumeric() || c == '.' || c == '_' || signed_exponent)
        });
        let text = &rest[..length.unwrap_or(rest.len())];
        self.at += text.len();
        match number(text) {
            Some(value) if value.is_infinite() => {
                return Err(format!("error parsing number: strconv.ParseFloat: parsing {text:?}: value out of range"));
            }
            Some(value) => return Ok(Word::Number(value)),
            None => {}
        }
        let is_duration = text.ends_with(|c: char| c.is_ascii_alphabetic()) && !text.contains(['.', '_']);
        match crate::model::parse_duration(text) {
            Ok(duration) if is_duration => match i64::try_from(duration.as_nanos()) {
                Ok(nanos) => Ok(Word::Duration(nanos / 1_000_000)),
                Err(_) => Err("duration out of range".into()),
            },
            _ if is_duration && text.chars().all(|c| c.is_ascii_digit() || "ywdhms".contains(c)) => {
                Err(format!("not a valid duration string: {text:?}"))
            }
            _ => Err(format!("bad number or duration syntax: {text:?}")),
        }
    }

    fn sign(&mut self, first: char) -> Result<Word, String> {
        let rest = &self.text[self.at..];
        let Some(sign) = SIGNS.iter().find(|sign| rest.starts_with(**sign)).filter(|sign| !NEVER.contains(*sign))
        else {
            if first == '!' {
                let next = rest.chars().nth(1).unwrap_or('\0');
                return Err(format!("unexpected character after '!': {next:?}"));
            }
            return Err(format!("unexpected character: {first:?}"));
        };
        self.at += sign.len();
        match first {
            '(' | '[' | '{' => self.open.push(first),
            ')' => match self.open.pop() {
                Some('(') => {}
                _ => return Err("unexpected right parenthesis ')'".into()),
            },
            ']' | '}' => {
                let wanted = if first == ']' { '[' } else { '{' };
                if self.open.pop() != Some(wanted) {
                    return Err(format!("unexpected right bracket '{first}'"));
                }
            }
            _ => {}
        }
        Ok(Word::Sign(sign))
    }

    /// Go's rules, in single quotes too.
    fn quoted(&mut self, quote: char) -> Result<String, String> {
        let start = self.at;
        let rest = &self.text[start + 1..];
        let mut bytes = Vec::new();
        let mut chars = rest.char_indices();
        while let Some((at, c)) = chars.next() {
            match c {
                _ if c == quote => {
                    self.at = start + 1 + at + 1;
                    // Bytes that `\xff` brought in need not be UTF-8.
                    return Ok(String::from_utf8_lossy(&bytes).into_owned());
                }
                '\\' if quote != '`' => {
                    let Some(taken) = unescape(&rest[at + 1..], quote, &mut bytes) else {
                        let next = rest[at + 1..].chars().next().unwrap_or('\0');
                        return Err(format!("unknown escape sequence U+{:04X} {next:?}", u32::from(next)));
                    };
                    for _ in 0..rest[at + 1..at + 1 + taken].chars().count() {
                        chars.next();
                    }
                }
                '\n' if quote != '`' => break,
                _ => bytes.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes()),
            }
        }
        Err(if quote == '`' { "unterminated raw string".into() } else { "unterminated quoted string".into() })
    }
}

/// What a backslash makes of the characters behind it, and how many bytes these are.
fn unescape(rest: &str, quote: char, bytes: &mut Vec<u8>) -> Option<usize> {
    let first = rest.chars().next()?;
    let simple = match first {
        'a' => 7,
        'b' => 8,
        'f' => 12,
        'n' => b'\n',
        'r' => b'\r',
        't' => b'\t',
        'v' => 11,
        '\\' => b'\\',
        _ if first == quote => quote as u8,
        _ => 0,
    };
    if simple != 0 {
        bytes.push(simple);
        return Some(1);
    }
    let (skip, digits, radix) = match first {
        'x' => (1, 2, 16),
        'u' => (1, 4, 16),
        'U' => (1, 8, 16),
        '0'..='7' => (0, 3, 8),
        _ => return None,
    };
    let code = u32::from_str_radix(rest.get(skip..skip + digits)?, radix).ok()?;
    if digits <= 3 {
        bytes.push(u8::try_from(code).ok()?);
    } else {
        bytes.extend_from_slice(char::from_u32(code)?.encode_utf8(&mut [0; 4]).as_bytes());
    }
    Some(skip + digits)
}

/// A number as Go's `ParseInt` with base 0 and `ParseFloat` read it: `0x1f`, `017`, `1_000`, `1e3`, `.5`.
pub(super) fn number(text: &str) -> Option<f64> {
    let proper = |digits: &str, alphabet: fn(char) -> bool| {
        !digits.is_empty() && digits.chars().all(|c| alphabet(c) || c == '_') && !digits.ends_with('_')
    };
    if text.contains("__") {
        return None;
    }
    let plain = text.replace('_', "");
    if let Some(digits) = text.strip_prefix("0x").or_else(|| text.strip_prefix("0X")) {
        let value = proper(digits, |c| c.is_ascii_hexdigit()).then(|| u64::from_str_radix(&plain[2..], 16))?;
        return value.ok().map(|value| value as f64);
    }
    let octal = text.len() > 1 && text.starts_with('0') && proper(text, |c| ('0'..='7').contains(&c));
    if octal && let Ok(value) = i64::from_str_radix(&plain, 8) {
        return Some(value as f64);
    }
    let number_like = plain.starts_with(|c: char| c.is_ascii_digit() || c == '.')
        && plain.chars().all(|c| c.is_ascii_digit() || matches!(c, '.' | 'e' | 'E' | '+' | '-'))
        && !text.ends_with('_');
    if number_like { plain.parse().ok() } else { None }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_read_as_go_reads_them() {
        for (text, value) in
            [("1_000", 1000.0), ("0x1F", 31.0), ("010", 8.0), ("089", 89.0), ("1e3", 1000.0), (".5", 0.5), ("5.", 5.0)]
        {
            assert_eq!(number(text), Some(value), "{text}");
        }
        for text in ["1__0", "1_", "0x", "1.2.3", "1e", "5m"] {
            assert_eq!(number(text), None, "{text}");
        }
    }

    #[test]
    fn a_colon_is_a_sign_in_brackets_and_part_of_a_name_elsewhere() {
        let of = |text| words(text).into_iter().map(|token| token.word).collect::<Vec<_>>();
        assert_eq!(of("a:b")[0], Word::Name("a:b".into()));
        assert_eq!(
            of("x[5m:1m]")[1..6],
            [Word::Sign("["), Word::Duration(300_000), Word::Sign(":"), Word::Duration(60_000), Word::Sign("]")]
        );
        assert_eq!(of(r#""a\n\x41\u00e9\"""#)[0], Word::Text("a\nAé\"".into()));
        assert_eq!(of("`a\\n`")[0], Word::Text("a\\n".into()));
    }
}
