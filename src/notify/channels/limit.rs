//! Cutting texts to what a service takes, never inside its markup, with `…` where something is missing.
//!
//! Invariant: what comes back is never longer than asked for, and what fits comes back as it was.

use std::borrow::Cow;

const ELLIPSIS: char = '…';
/// Opens and closes a block of code in Slack's, Discord's and Telegram's markups.
const FENCE: &str = "```";

/// Cuts to so many characters.
pub(super) fn characters(text: &str, most: usize) -> Cow<'_, str> {
    cut(text, most, |text| text.chars().next().map_or(0, char::len_utf8))
}

/// Cuts to so many bytes.
pub(super) fn bytes(text: &str, most: usize) -> Cow<'_, str> {
    if text.len() <= most {
        return Cow::Borrowed(text);
    }
    let Some(room) = most.checked_sub(ELLIPSIS.len_utf8()) else {
        return Cow::Borrowed("");
    };
    Cow::Owned(format!("{}{ELLIPSIS}", &text[..text.floor_char_boundary(room)]))
}

/// Cuts Markdown to so many characters; a block of code that the cut leaves open is closed.
pub(super) fn markdown(text: &str, most: usize) -> Cow<'_, str> {
    closing_fence(text, most, characters)
}

/// Cuts Slack's markup to so many characters: `<…>` and `&amp;` stay whole.
pub(super) fn slack(text: &str, most: usize) -> Cow<'_, str> {
    closing_fence(text, most, |text, most| cut(text, most, slack_token))
}

/// No link is longer, in bytes: what begins like one and does not end is text, and is found out quickly.
const LINK: usize = 4096;

/// The length in bytes of what must not be cut at the beginning of a text in Slack's markup.
fn slack_token(text: &str) -> usize {
    let text = &text[..text.floor_char_boundary(LINK)];
    let closed = match text.chars().next() {
        Some('<') => text.find(['>', '\n']).filter(|end| text[*end..].starts_with('>')),
        Some('&') => text.find([';', ' ', '\n']).filter(|end| *end <= 5 && text[*end..].starts_with(';')),
        _ => None,
    };
    closed.map_or_else(|| text.chars().next().map_or(0, char::len_utf8), |end| end + 1)
}

/// Cuts with `shorten`; a block of code that the cut leaves open is closed.
pub(super) fn closing_fence<'t>(
    text: &'t str,
    most: usize,
    shorten: impl Fn(&'t str, usize) -> Cow<'t, str>,
) -> Cow<'t, str> {
    let short = shorten(text, most);
    if matches!(short, Cow::Borrowed(_)) || is_closed(&short) {
        return short;
    }
    // One more line, and the fence.
    let short = shorten(text, most.saturating_sub(FENCE.len() + 1));
    if is_closed(&short) { short } else { Cow::Owned(format!("{short}\n{FENCE}")) }
}

fn is_closed(text: &str) -> bool {
    text.matches(FENCE).count().is_multiple_of(2)
}

/// Cuts before the token that does not fit. `token` gives the first token's length in bytes.
fn cut(text: &str, most: usize, token: impl Fn(&str) -> usize) -> Cow<'_, str> {
    if text.chars().nth(most).is_none() {
        return Cow::Borrowed(text);
    }
    let Some(room) = most.checked_sub(1) else {
        return Cow::Borrowed("");
    };
    let (mut end, mut used) = (0, 0);
    loop {
        let next = &text[end..][..token(&text[end..])];
        used += next.chars().count();
        if next.is_empty() || used > room {
            return Cow::Owned(format!("{}{ELLIPSIS}", &text[..end]));
        }
        end += next.len();
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn what_fits_stays_as_it_is() {
        assert_eq!(characters("äöü", 3), "äöü");
        assert_eq!(bytes("äöü", 6), "äöü");
        assert_eq!(slack("a <http://x|y> &amp;", 20), "a <http://x|y> &amp;");
    }

    #[test]
    fn what_does_not_fit_ends_in_an_ellipsis() {
        assert_eq!(characters("äöüß", 3), "äö…");
        assert_eq!(bytes("äöüß", 6), "ä…");
        assert_eq!((characters("ab", 0), bytes("abc", 2)), ("".into(), "".into()));
    }

    #[test]
    fn markup_is_left_out_rather_than_cut() {
        assert_eq!(slack("see <http://x/long|this> now", 12), "see …");
        assert_eq!(slack("a < b and c d", 6), "a < b…");
        assert_eq!(slack("a&lt;b and more", 6), "a&lt;…");
        assert_eq!(slack("ab&lt;b and more", 6), "ab…");
        assert_eq!(markdown("```\nabcdefgh\n``` and", 13), "```\nabcd…\n```");
    }

    proptest! {
        #[test]
        fn nothing_is_longer_than_asked(text in "([a-c`ä<>&;| \n]|&amp;|```){0,60}", most in 8_usize..40) {
            for short in [characters(&text, most), markdown(&text, most), slack(&text, most)] {
                prop_assert!(short.chars().count() <= most);
            }
            prop_assert!(bytes(&text, most).len() <= most);
            if text.chars().count() <= most {
                prop_assert_eq!(slack(&text, most), text.as_str());
            }
        }
    }
}
