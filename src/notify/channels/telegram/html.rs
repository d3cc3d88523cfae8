//! Telegram's HTML: tags, `&lt;` and the like, text. Cut with its tags closed, or turned into plain text.
//!
//! Telegram counts characters after it has taken the markup out, and bounds the bytes before that.

use std::borrow::Cow;

const ELLIPSIS: &str = "…";
/// No tag and no entity is longer, in bytes: what begins like one and does not end is text, and is found out quickly.
const TAG: usize = 4096;
const ENTITY: usize = 10;

enum Token<'t> {
    Open {
        name: &'t str,
        whole: &'t str,
    },
    Close {
        whole: &'t str,
    },
    /// An entity or a character: one character to see.
    Text {
        whole: &'t str,
    },
}

/// Cuts to so many visible characters and to so many bytes in all; open tags are closed.
pub fn cut(text: &str, characters: usize, bytes: usize) -> Cow<'_, str> {
    let seen = tokens(text).filter(|token| matches!(token, Token::Text { .. })).count();
    if seen <= characters && text.len() <= bytes {
        return Cow::Borrowed(text);
    }
    let (mut out, mut open, mut seen, mut closing) = (String::new(), Vec::new(), 0, 0);
    for token in tokens(text) {
        let (whole, more_closing, visible) = match &token {
            Token::Open { name, whole } => (*whole, name.len() + 3, 0),
            Token::Close { whole } => (*whole, 0, 0),
            Token::Text { whole } => (*whole, 0, 1),
        };
        let too_many = seen + visible >= characters;
        if too_many || out.len() + whole.len() + closing + more_closing + ELLIPSIS.len() > bytes {
            break;
        }
        match token {
            Token::Open { name, .. } => open.push(name),
            Token::Close { .. } => {
                closing -= open.pop().map_or(0, |name: &str| name.len() + 3);
            }
            Token::Text { .. } => {}
        }
        out += whole;
        seen += visible;
        closing += more_closing;
    }
    out += ELLIPSIS;
    for name in open.iter().rev() {
        out.extend(["</", name, ">"]);
    }
    Cow::Owned(out)
}

/// What the markup shows; links with their addresses behind them.
pub fn plain(text: &str) -> String {
    let (mut out, mut addresses) = (String::with_capacity(text.len()), Vec::new());
    for token in tokens(text) {
        match token {
            Token::Open { name, whole } => addresses.push(if name == "a" { address(whole) } else { None }),
            Token::Close { .. } => {
                if let Some(address) = addresses.pop().flatten() {
                    out.extend([" (", &plain(address), ")"]);
                }
            }
            Token::Text { whole } => match entity(whole) {
                Some(c) => out.push(c),
                None => out += whole,
            },
        }
    }
    out
}

/// Text that must not be taken for markup.
pub fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

fn address(tag: &str) -> Option<&str> {
    let (_, rest) = tag.split_once("href=")?;
    let quote = rest.chars().next().filter(|c| matches!(c, '"' | '\''))?;
    rest[1..].split(quote).next()
}

fn entity(text: &str) -> Option<char> {
    let name = text.strip_prefix('&')?.strip_suffix(';')?;
    match name {
        "lt" => Some('<'),
        "gt" => Some('>'),
        "amp" => Some('&'),
        "quot" => Some('"'),
        _ => {
            let number = name.strip_prefix('#')?;
            let code = match number.strip_prefix('x') {
                Some(hex) => u32::from_str_radix(hex, 16),
                None => number.parse(),
            };
            code.ok().and_then(char::from_u32)
        }
    }
}

fn tokens(text: &str) -> impl Iterator<Item = Token<'_>> {
    let mut rest = text;
    std::iter::from_fn(move || {
        let first = rest.chars().next()?;
        let tag_end = || {
            let opens = rest[1..].starts_with(|c: char| c.is_ascii_alphabetic() || c == '/');
            let window = &rest[..rest.floor_char_boundary(TAG)];
            window.find('>').filter(|_| opens).map(|end| end + 1)
        };
        let entity_end = || {
            let window = &rest[..rest.floor_char_boundary(ENTITY)];
            let end = window.find(';')? + 1;
            entity(&window[..end]).map(|_| end)
        };
        let end = match first {
            '<' => tag_end(),
            '&' => entity_end(),
            _ => None,
        };
        let (whole, after) = rest.split_at(end.unwrap_or(first.len_utf8()));
        rest = after;
        if first != '<' || end.is_none() {
            return Some(Token::Text { whole });
        }
        if whole.starts_with("</") {
            return Some(Token::Close { whole });
        }
        let name = whole[1..].split(|c: char| c == '>' || c.is_ascii_whitespace()).next().unwrap_or_default();
        Some(Token::Open { name, whole })
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn markup_is_not_counted_and_is_closed() {
        let text = r#"<b>abc</b> <a href="http://x/?a=1&amp;b=2">de&lt;f</a>"#;
        assert_eq!(cut(text, 8, 1000), text);
        assert_eq!(cut(text, 7, 1000), r#"<b>abc</b> <a href="http://x/?a=1&amp;b=2">de…</a>"#);
        assert_eq!(cut(text, 3, 1000), "<b>ab…</b>");
        assert_eq!(cut(text, 100, 20), "<b>abc</b> …");
        assert_eq!(cut("<pre><code class=\"x\">abc</code></pre>", 2, 1000), "<pre><code class=\"x\">a…</code></pre>");
    }

    #[test]
    fn without_markup_the_words_and_addresses_stay() {
        let text = r#"<b>a &lt; b &amp;&#65;</b> 1 < 2 &nbsp; <a href="http://x/?a&amp;b">look</a>"#;
        assert_eq!(plain(text), "a < b &A 1 < 2 &nbsp; look (http://x/?a&b)");
        assert_eq!(plain(&escape("<a href=\"x\">&lt;")), "<a href=\"x\">&lt;");
    }

    proptest! {
        #[test]
        fn what_is_cut_fits_and_is_closed(words in proptest::collection::vec("[a-z]{1,5}|&lt;|<b>x</b>|<i>ä<b>y</b></i>", 0..30), most in 1_usize..30, bytes in 40_usize..200) {
            let text = words.concat();
            let short = cut(&text, most, bytes);
            prop_assert!(plain(&short).chars().count() <= most && short.len() <= bytes, "{short}");
            prop_assert_eq!(short.matches("<b>").count(), short.matches("</b>").count());
            prop_assert_eq!(short.matches("<i>").count(), short.matches("</i>").count());
        }
    }
}
