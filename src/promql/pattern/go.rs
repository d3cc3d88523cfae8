//! Rewrites a regular expression of Go's syntax (RE2, with Perl's classes) into the `regex` crate's.
//!
//! What Go refuses and the crate would take is refused here; what both refuse is left to the crate. Everything that could mean
//! something else there is spelled out: characters by their number, classes by their ranges.

use std::fmt::Write as _;

/// Repetitions, also nested ones multiplied, may ask for so many copies.
const MAX_REPEAT: u32 = 1000;

/// The categories and scripts that are called otherwise than they are in the crate, or hold something else there.
const OTHER: &str = "[\\p{Cc}\\p{Cf}\\p{Co}]";
const CASED: &str = "[\\p{Lu}\\p{Ll}\\p{Lt}]";

type Checked<T> = Result<T, String>;

/// The same expression for the crate.
///
/// # Errors
/// What Go says of it, in few words.
pub(super) fn translate(pattern: &str) -> Checked<String> {
    let mut translator = Translator {
        rest: pattern,
        out: String::with_capacity(pattern.len() + 8),
        names: Vec::new(),
        copies: Copies::default(),
        after_repeat: false,
    };
    while !translator.rest.is_empty() {
        translator.token()?;
    }
    Ok(translator.out)
}

struct Translator<'p> {
    rest: &'p str,
    out: String,
    /// Of the groups so far.
    names: Vec<&'p str>,
    copies: Copies,
    /// Whether the last token was a repetition, behind which none may follow.
    after_repeat: bool,
}

impl Translator<'_> {
    fn take(&mut self) -> Option<char> {
        let first = self.rest.chars().next()?;
        self.rest = &self.rest[first.len_utf8()..];
        Some(first)
    }

    fn take_prefix(&mut self, prefix: &str) -> bool {
        let after = self.rest.strip_prefix(prefix);
        self.rest = after.unwrap_or(self.rest);
        after.is_some()
    }

    fn token(&mut self) -> Checked<()> {
        let before = self.rest;
        let Some(first) = self.take() else { return Ok(()) };
        let was_repeat = std::mem::take(&mut self.after_repeat);
        let repeat = match first {
            '*' | '+' | '?' => Some(None),
            '{' => self.counted()?.map(Some),
            _ => None,
        };
        if let Some(counts) = repeat {
            let lazy = self.take_prefix("?");
            let text = &before[..before.len() - self.rest.len()];
            if was_repeat {
                return Err(format!("invalid nested repetition operator: `{text}`"));
            }
            if let Some((least, most)) = counts {
                self.copies.repeat(least, most).ok_or_else(|| format!("invalid repeat count: `{text}`"))?;
            }
            self.out.push_str(text.strip_suffix('?').filter(|_| lazy).unwrap_or(text));
            self.out.push_str(if lazy { "?" } else { "" });
            self.after_repeat = true;
            return Ok(());
        }
        match first {
            '(' => return self.open(),
            ')' => self.copies.close(),
            '|' => self.copies.next(),
            _ => {
                self.copies.next();
                match first {
                    '\\' => return self.escape(),
                    '[' => return self.class(),
                    '^' | '$' | '.' => {}
                    _ => {
                        push_char(&mut self.out, first);
                        return Ok(());
                    }
                }
            }
        }
        self.out.push(first);
        Ok(())
    }

    /// What stands behind a `{`, when that makes it a repetition: `2}`, `2,}`, `2,5}`.
    fn counted(&mut self) -> Checked<Option<(u32, Option<u32>)>> {
        let Some((inside, after)) = self.rest.split_once('}') else { return Ok(None) };
        let (least, most) = inside
            .split_once(',')
            .map_or((inside, Some(inside)), |(least, most)| (least, Some(most).filter(|most| !most.is_empty())));
        let is_count = |text: &str| {
            let digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
            digits && (text.len() == 1 || !text.starts_with('0'))
        };
        if !is_count(least) || !most.is_none_or(is_count) {
            return Ok(None);
        }
        let read = |text: &str| text.parse().ok().filter(|count| *count <= MAX_REPEAT);
        let wrong = || format!("invalid repeat count: `{{{inside}}}`");
        let least = read(least).ok_or_else(wrong)?;
        let most = most.map(|most| read(most).filter(|most| least <= *most).ok_or_else(wrong)).transpose()?;
        self.rest = after;
        Ok(Some((least, most)))
    }

    /// What stands behind a `(`.
    fn open(&mut self) -> Checked<()> {
        if !self.take_prefix("?") {
            self.copies.open();
            self.out.push('(');
            return Ok(());
        }
        if self.take_prefix("P<") || self.take_prefix("<") {
            let (name, after) = self.rest.split_once('>').unwrap_or((self.rest, ""));
            let is_name = !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
            if !is_name || after.len() == self.rest.len() {
                return Err(format!("invalid named capture: `(?<{name}>`"));
            }
            self.rest = after;
            self.copies.open();
            // The crate has no names that begin with a digit, nor one name twice.
            if name.starts_with(|c: char| c.is_ascii_digit()) || self.names.contains(&name) {
                self.out.push('(');
            } else {
                let _ = write!(self.out, "(?P<{name}>");
            }
            self.names.push(name);
            return Ok(());
        }
        self.flags()
    }

    /// What stands behind a `(?`: `i)`, `i-s:`.
    fn flags(&mut self) -> Checked<()> {
        let start = self.rest;
        let (mut on, mut off) = (String::new(), String::new());
        let (mut minus, mut said) = (false, false);
        loop {
            let next = self.take();
            let wrong =
                || format!("invalid or unsupported Perl syntax: `(?{}`", &start[..start.len() - self.rest.len()]);
            match next {
                Some(flag @ ('i' | 'm' | 's' | 'U')) => {
                    said = true;
                    let (set, other) = if minus { (&mut off, &mut on) } else { (&mut on, &mut off) };
                    other.retain(|c| c != flag);
                    if !set.contains(flag) {
                        set.push(flag);
                    }
                }
                Some('-') if !minus => (minus, said) = (true, false),
                Some(end @ (':' | ')')) if said || !minus => {
                    if end == ':' {
                        self.copies.open();
                    }
                    if end == ':' || !(on.is_empty() && off.is_empty()) {
                        let between = if off.is_empty() { "" } else { "-" };
                        let _ = write!(self.out, "(?{on}{between}{off}{end}");
                    }
                    return Ok(());
                }
                _ => return Err(wrong()),
            }
        }
    }

    /// What stands behind a `\` outside of a class.
    fn escape(&mut self) -> Checked<()> {
        match self.rest.chars().next() {
            // Go's word boundaries know ASCII alone; the crate has no such `\B`.
            Some('b') => self.out.push_str("(?-u:\\b)"),
            Some(c @ ('A' | 'B' | 'z')) => self.out.extend(['\\', c]),
            Some('Q') => {
                let (quoted, after) = self.rest[1..].split_once("\\E").unwrap_or((&self.rest[1..], ""));
                quoted.chars().for_each(|c| push_char(&mut self.out, c));
                self.rest = after;
                return Ok(());
            }
            _ => {
                if let Some(set) = self.set()? {
                    self.out.push_str(&set);
                } else {
                    let escaped = self.escaped()?;
                    push_char(&mut self.out, escaped);
                }
                return Ok(());
            }
        }
        self.take();
        Ok(())
    }

    /// `d`, `W`, `pL`, `p{Greek}` behind a `\`: a class that may stand within a class.
    fn set(&mut self) -> Checked<Option<String>> {
        let Some(first) = self.rest.chars().next() else { return Ok(None) };
        let perl = match first.to_ascii_lowercase() {
            'd' => "0-9",
            's' => "\\t\\n\\x0C\\r\\x20",
            'w' => "0-9A-Za-z_",
            'p' => {
                self.take();
                return self.named_set(first == 'P').map(Some);
            }
            _ => return Ok(None),
        };
        self.take();
        Ok(Some(format!("[{}{perl}]", if first.is_ascii_uppercase() { "^" } else { "" })))
    }

    /// What stands behind a `\p`.
    fn named_set(&mut self, mut negated: bool) -> Checked<String> {
        let name = if self.take_prefix("{") {
            let (name, after) = self.rest.split_once('}').ok_or("invalid character class range: `\\p{`")?;
            self.rest = after;
            let plain = name.strip_prefix('^');
            negated ^= plain.is_some();
            plain.unwrap_or(name)
        } else {
            let whole = self.rest;
            self.take();
            &whole[..whole.len() - self.rest.len()]
        };
        let is_word = name.starts_with(|c: char| c.is_ascii_uppercase())
            && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
        let set = match name {
            "Any" => "[\\x{0}-\\x{10FFFF}]".to_owned(),
            "C" => OTHER.to_owned(),
            "LC" => CASED.to_owned(),
            _ if is_word && name.len() <= 2 => format!("\\p{{gc={name}}}"),
            _ if is_word => format!("\\p{{sc={name}}}"),
            _ => return Err(format!("invalid character class range: `\\p{{{name}}}`")),
        };
        Ok(if negated { format!("[^{set}]") } else { set })
    }

    /// One character, spelled behind a `\`.
    fn escaped(&mut self) -> Checked<char> {
        let start = self.rest;
        let number = match self.take() {
            // A single digit but 0 would be a group before it.
            Some(first @ '1'..='7') if self.rest.starts_with(|c: char| ('0'..='7').contains(&c)) => self.octal(first),
            Some('0') => self.octal('0'),
            Some('x') => self.hexadecimal(),
            Some('a') => Some(7),
            Some('f') => Some(12),
            Some('n') => Some(10),
            Some('r') => Some(13),
            Some('t') => Some(9),
            Some('v') => Some(11),
            Some(c) if c.is_ascii() && !c.is_ascii_alphanumeric() => Some(u32::from(c)),
            _ => None,
        };
        let wrong = || format!("invalid escape sequence: `\\{}`", &start[..start.len() - self.rest.len()]);
        number.and_then(char::from_u32).ok_or_else(wrong)
    }

    /// At most three digits, the first one taken.
    fn octal(&mut self, first: char) -> Option<u32> {
        let mut number = first.to_digit(8)?;
        for _ in 0..2 {
            let Some(digit) = self.rest.chars().next().and_then(|c| c.to_digit(8)) else { break };
            self.take();
            number = number * 8 + digit;
        }
        Some(number)
    }

    /// `41` or `{263a}`.
    fn hexadecimal(&mut self) -> Option<u32> {
        let digits = if self.take_prefix("{") {
            let (digits, after) = self.rest.split_once('}')?;
            self.rest = after;
            digits
        } else {
            let digits = self.rest.get(..2)?;
            self.rest = &self.rest[2..];
            digits
        };
        let is_number = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_hexdigit());
        if is_number { u32::from_str_radix(digits, 16).ok() } else { None }
    }

    /// What stands behind a `[`.
    fn class(&mut self) -> Checked<()> {
        self.out.push('[');
        if self.take_prefix("^") {
            self.out.push('^');
        }
        let mut is_first = true;
        while is_first || !self.rest.starts_with(']') {
            is_first = false;
            if self.named_class()? {
                continue;
            }
            let start = self.rest;
            if self.take_prefix("\\") {
                if let Some(set) = self.set()? {
                    self.out.push_str(&set);
                    continue;
                }
                self.rest = start;
            }
            let low = self.class_char()?;
            let is_range = self.rest.starts_with('-') && !self.rest[1..].starts_with(']') && self.rest.len() > 1;
            if is_range {
                self.take();
                let high = self.class_char()?;
                if high < low {
                    let range = &start[..start.len() - self.rest.len()];
                    return Err(format!("invalid character class range: `{range}`"));
                }
                let _ = write!(self.out, "\\x{{{:X}}}-\\x{{{:X}}}", u32::from(low), u32::from(high));
            } else {
                let _ = write!(self.out, "\\x{{{:X}}}", u32::from(low));
            }
        }
        self.take();
        self.out.push(']');
        Ok(())
    }

    /// `[:alpha:]`, if that is next.
    fn named_class(&mut self) -> Checked<bool> {
        const NAMES: [&str; 14] = [
            "alnum", "alpha", "ascii", "blank", "cntrl", "digit", "graph", "lower", "print", "punct", "space", "upper",
            "word", "xdigit",
        ];
        let Some((name, after)) = self.rest.strip_prefix("[:").and_then(|rest| rest.split_once(":]")) else {
            return Ok(false);
        };
        if !NAMES.contains(&name.strip_prefix('^').unwrap_or(name)) {
            return Err(format!("invalid character class range: `[:{name}:]`"));
        }
        self.rest = after;
        let _ = write!(self.out, "[:{name}:]");
        Ok(true)
    }

    fn class_char(&mut self) -> Checked<char> {
        match self.take() {
            Some('\\') => self.escaped(),
            Some(c) => Ok(c),
            None => Err("missing closing ]".into()),
        }
    }
}

/// How often the last part would be copied, repetitions within it among that.
#[derive(Debug, Default)]
struct Copies {
    /// Of the last part.
    last: u32,
    /// The most of the parts before it, in this group.
    most: u32,
    /// The same of the groups around.
    around: Vec<u32>,
}

impl Copies {
    /// Another part begins.
    fn next(&mut self) {
        self.most = self.most.max(self.last);
        self.last = 1;
    }

    fn open(&mut self) {
        self.next();
        self.around.push(self.most);
        (self.last, self.most) = (1, 1);
    }

    fn close(&mut self) {
        self.last = self.most.max(self.last);
        self.most = self.around.pop().unwrap_or(1);
    }

    /// The last part is repeated; nothing if that is too often.
    fn repeat(&mut self, least: u32, most: Option<u32>) -> Option<()> {
        let times = most.unwrap_or(least);
        // Once, or not at all, copies nothing.
        let copies = self.last.max(1).saturating_mul(times.max(1));
        if times >= 2 && copies > MAX_REPEAT {
            return None;
        }
        self.last = copies;
        Some(())
    }
}

/// A character that means itself.
fn push_char(out: &mut String, c: char) {
    out.push_str(&regex::escape(c.encode_utf8(&mut [0; 4])));
}
