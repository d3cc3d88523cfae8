//! Times written by Go's layouts: the reference time `Mon Jan 2 15:04:05 MST 2006` spelled as the result should look.

use std::fmt::Write as _;

use jiff::Zoned;

/// The pieces of a layout, longer ones before those that they begin with.
const PIECES: [(&str, Piece); 34] = [
    ("January", Piece::By("%B")),
    ("Monday", Piece::By("%A")),
    ("2006", Piece::By("%Y")),
    ("Jan", Piece::Word("%b")),
    ("Mon", Piece::Word("%a")),
    ("MST", Piece::By("%Z")),
    ("Z07:00:00", Piece::Offset { colons: true, seconds: true, minutes: true, zulu: true }),
    ("Z070000", Piece::Offset { colons: false, seconds: true, minutes: true, zulu: true }),
    ("Z07:00", Piece::Offset { colons: true, seconds: false, minutes: true, zulu: true }),
    ("Z0700", Piece::Offset { colons: false, seconds: false, minutes: true, zulu: true }),
    ("Z07", Piece::Offset { colons: false, seconds: false, minutes: false, zulu: true }),
    ("-07:00:00", Piece::Offset { colons: true, seconds: true, minutes: true, zulu: false }),
    ("-070000", Piece::Offset { colons: false, seconds: true, minutes: true, zulu: false }),
    ("-07:00", Piece::Offset { colons: true, seconds: false, minutes: true, zulu: false }),
    ("-0700", Piece::Offset { colons: false, seconds: false, minutes: true, zulu: false }),
    ("-07", Piece::Offset { colons: false, seconds: false, minutes: false, zulu: false }),
    ("__2", Piece::By("%_3j")),
    ("002", Piece::By("%j")),
    ("_2006", Piece::Year),
    ("_2", Piece::By("%e")),
    ("01", Piece::By("%m")),
    ("02", Piece::By("%d")),
    ("03", Piece::By("%I")),
    ("04", Piece::By("%M")),
    ("05", Piece::By("%S")),
    ("06", Piece::By("%y")),
    ("15", Piece::By("%H")),
    ("PM", Piece::By("%p")),
    ("pm", Piece::By("%P")),
    ("1", Piece::By("%-m")),
    ("2", Piece::By("%-d")),
    ("3", Piece::By("%-I")),
    ("4", Piece::By("%-M")),
    ("5", Piece::By("%-S")),
];

#[derive(Clone, Copy)]
enum Piece {
    /// In `strftime`'s notation.
    By(&'static str),
    /// The same, unless a small letter follows: `Month` is no `Mon`.
    Word(&'static str),
    /// An underscore and the year.
    Year,
    /// How far the zone is from UTC; `zulu`: nothing but a `Z` where it is not.
    Offset { colons: bool, seconds: bool, minutes: bool, zulu: bool },
}

/// The time in a layout.
pub fn format(at: &Zoned, layout: &str) -> String {
    let mut out = String::new();
    let mut rest = layout;
    while let Some(c) = rest.chars().next() {
        if let Some(length) = fraction(at, rest, &mut out) {
            rest = &rest[length..];
        } else if let Some((text, piece)) = PIECES.iter().find(|(text, piece)| begins(rest, text, *piece)) {
            write(&mut out, at, *piece);
            rest = &rest[text.len()..];
        } else {
            out.push(c);
            rest = &rest[c.len_utf8()..];
        }
    }
    out
}

fn begins(rest: &str, text: &str, piece: Piece) -> bool {
    let after = || rest[text.len()..].starts_with(|c: char| c.is_ascii_lowercase());
    rest.starts_with(text) && !(matches!(piece, Piece::Word(_)) && after())
}

fn write(out: &mut String, at: &Zoned, piece: Piece) {
    match piece {
        Piece::By(format) | Piece::Word(format) => {
            let _ = write!(out, "{}", at.strftime(format));
        }
        Piece::Year => {
            let _ = write!(out, "_{:04}", at.year());
        }
        Piece::Offset { colons, seconds, minutes, zulu } => {
            let offset = at.offset().seconds();
            if zulu && offset == 0 {
                out.push('Z');
                return;
            }
            let (sign, size) = (if offset < 0 { '-' } else { '+' }, offset.unsigned_abs());
            let colon = if colons { ":" } else { "" };
            let _ = write!(out, "{sign}{:02}", size / 3600);
            if minutes {
                let _ = write!(out, "{colon}{:02}", size / 60 % 60);
            }
            if seconds {
                let _ = write!(out, "{colon}{:02}", size % 60);
            }
        }
    }
}

/// `.000` writes so many digits of the second's fraction, `.999` drops zeros at the end. Gives back the piece's length.
fn fraction(at: &Zoned, rest: &str, out: &mut String) -> Option<usize> {
    let mark = rest.chars().next().filter(|c| matches!(c, '.' | ','))?;
    let digit = rest[1..].chars().next().filter(|c| matches!(c, '0' | '9'))?;
    let count = rest[1..].chars().take_while(|c| *c == digit).count();
    if rest[1 + count..].starts_with(|c: char| c.is_ascii_digit()) {
        return None;
    }
    let digits = format!("{:09}", at.subsec_nanosecond());
    let digits = &digits[..count.min(9)];
    let digits = if digit == '9' { digits.trim_end_matches('0') } else { digits };
    if !digits.is_empty() {
        out.push(mark);
        out.push_str(digits);
    }
    Some(1 + count)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_written_by_go_layouts() {
        let at: Zoned = "2024-02-09T03:04:56.5+00:00[UTC]".parse().unwrap();
        let there: Zoned = "2024-07-09T03:04:56.123+05:30[Asia/Kolkata]".parse().unwrap();
        for (at, layout, expected) in [
            (&at, "2006-01-02T15:04:05Z07:00", "2024-02-09T03:04:56Z"),
            (&at, "Mon Jan _2 15:04:05 MST 2006", "Fri Feb  9 03:04:56 UTC 2024"),
            (&at, "Monday, 2 January 06 3:4:5.000 PM", "Friday, 9 February 24 3:4:56.500 AM"),
            (&at, "15:04 -0700 100%", "03:04 +0000 200%"),
            (&at, "Month 05.999999 05,00 .9x", "Month 56.5 56,50 .5x"),
            (&there, "15:04 MST -07:00 Z07:00 Z0700 -07", "03:04 IST +05:30 +05:30 +0530 +05"),
        ] {
            assert_eq!(format(at, layout), expected, "{layout}");
        }
    }
}
