//! Redis' patterns for key names: `*`, `?`, `[a-z]`, `[^x]`, and `\\` before a character that stands for itself.

/// Whether a name stands for many keys.
pub fn is_pattern(name: &[u8]) -> bool {
    name.iter().any(|byte| matches!(byte, b'*' | b'?' | b'['))
}

/// Whether a key's name is like the pattern. Time is at most the product of both lengths.
pub fn matches(pattern: &[u8], name: &[u8]) -> bool {
    let (mut at, mut in_name) = (0, 0);
    // Where to go on if what follows the last star does not fit here.
    let mut star: Option<(usize, usize)> = None;
    loop {
        if pattern.get(at) == Some(&b'*') {
            star = Some((at + 1, in_name));
            at += 1;
            continue;
        }
        match name.get(in_name) {
            None if at == pattern.len() => return true,
            None => return false,
            Some(byte) => {
                if let Some(length) = one(&pattern[at..], *byte) {
                    at += length;
                    in_name += 1;
                    continue;
                }
            }
        }
        let Some((after, from)) = star else { return false };
        star = Some((after, from + 1));
        (at, in_name) = (after, from + 1);
    }
}

/// How many bytes of the pattern stand for this one byte; `None` if they do not.
fn one(pattern: &[u8], byte: u8) -> Option<usize> {
    match *pattern.first()? {
        b'?' => Some(1),
        b'[' => class(pattern, byte),
        b'\\' if pattern.len() > 1 => (pattern[1] == byte).then_some(2),
        literal => (literal == byte).then_some(1),
    }
}

/// `[abc]`, `[a-z]`, `[^abc]`; a class that is not closed ends with the pattern, as in Redis.
fn class(pattern: &[u8], byte: u8) -> Option<usize> {
    let negated = pattern.get(1) == Some(&b'^');
    let mut at = 1 + usize::from(negated);
    let mut found = false;
    while let Some(&first) = pattern.get(at).filter(|byte| **byte != b']') {
        match (first, pattern.get(at + 1), pattern.get(at + 2)) {
            (b'\\', Some(&escaped), _) => {
                found |= escaped == byte;
                at += 2;
            }
            (_, Some(b'-'), Some(&last)) => {
                found |= (first.min(last)..=first.max(last)).contains(&byte);
                at += 3;
            }
            _ => {
                found |= first == byte;
                at += 1;
            }
        }
    }
    (found != negated).then_some((at + 1).min(pattern.len()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_matched_as_redis_does() {
        for (pattern, name, wanted) in [
            ("*", "", true),
            ("session:*", "session:", true),
            ("session:*", "sessions:1", false),
            ("a*b*c", "aXbYbZc", true),
            ("a*b*c", "aXbYbZ", false),
            ("h?llo", "hallo", true),
            ("h?llo", "hllo", false),
            ("h[ae]llo", "hello", true),
            ("h[^e]llo", "hello", false),
            ("h[a-c]llo", "hbllo", true),
            ("h[c-a]llo", "hbllo", true),
            (r"h\*llo", "h*llo", true),
            (r"h\*llo", "hxllo", false),
            ("[abc", "b", true),
            ("", "", true),
            ("", "x", false),
        ] {
            assert_eq!(matches(pattern.as_bytes(), name.as_bytes()), wanted, "{pattern} {name}");
        }
        assert!(is_pattern(b"a[b]") && !is_pattern(b"chat-events"));
    }

    #[test]
    fn a_pattern_of_stars_takes_no_time() {
        let (pattern, name) = ("a*".repeat(200) + "b", "a".repeat(2000));
        assert!(!matches(pattern.as_bytes(), name.as_bytes()));
    }
}
