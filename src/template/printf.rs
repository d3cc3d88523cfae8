//! Go's `printf` for the kinds of values that templates have.
//!
//! The template engine's own takes any verb for any number and writes infinities as Rust does; Go is stricter.

use std::fmt::Write as _;

use gotmpl::{Result, TemplateError, Value};

use super::{display, member};
use crate::model::{hex, render_float, render_scientific, render_significant};

/// A number wider than this is refused: a template must not take the machine's memory.
const WIDEST: usize = 1000;

/// One verb with what stands between it and its `%`.
#[derive(Debug, Clone, Copy, Default)]
#[expect(clippy::struct_excessive_bools, reason = "each is one of the five flags of a verb")]
struct Verb {
    left: bool,
    plus: bool,
    space: bool,
    zero: bool,
    sharp: bool,
    width: Option<usize>,
    precision: Option<usize>,
}

/// `print`: a space between two of which neither is a text.
///
/// # Errors
/// It is too long.
pub fn print(args: &[Value]) -> Result<String> {
    let mut out = String::new();
    let is_text = |value: &Value| matches!(value, Value::String(_) | Value::Safe { .. });
    for (at, value) in args.iter().enumerate() {
        if at > 0 && !is_text(value) && !is_text(&args[at - 1]) {
            out.push(' ');
        }
        out += &plain(value)?;
    }
    Ok(out)
}

/// `println`: a space between any two, and a new line.
///
/// # Errors
/// It is too long.
pub fn println(args: &[Value]) -> Result<String> {
    Ok(args.iter().map(plain).collect::<Result<Vec<_>>>()?.join(" ") + "\n")
}

/// `printf` with its arguments, the format first.
pub fn printf(args: &[Value]) -> Result<Value> {
    let Some(Value::String(format)) = args.first() else {
        return Err(TemplateError::Exec("printf expects a format first".into()));
    };
    let mut args = args[1..].iter();
    let mut out = String::new();
    let mut rest = format.chars().peekable();
    while let Some(c) = rest.next() {
        if c != '%' {
            out.push(c);
            continue;
        }
        let mut verb = Verb::default();
        while let Some(flag) = rest.next_if(|c| "-+ 0#".contains(*c)) {
            match flag {
                '-' => verb.left = true,
                '+' => verb.plus = true,
                ' ' => verb.space = true,
                '0' => verb.zero = true,
                _ => verb.sharp = true,
            }
        }
        let mut size = |rest: &mut std::iter::Peekable<std::str::Chars<'_>>| {
            if rest.next_if_eq(&'*').is_some() {
                return args.next().and_then(Value::as_int).and_then(|size| usize::try_from(size).ok());
            }
            let mut digits = String::new();
            while let Some(digit) = rest.next_if(char::is_ascii_digit) {
                digits.push(digit);
            }
            digits.parse().ok()
        };
        verb.width = size(&mut rest);
        if rest.next_if_eq(&'.').is_some() {
            verb.precision = Some(size(&mut rest).unwrap_or(0));
        }
        if verb.width.max(verb.precision).is_some_and(|size| size > WIDEST) {
            return Err(TemplateError::Exec(format!("printf: a width of more than {WIDEST}")));
        }
        match rest.next() {
            None => out.push_str("%!(NOVERB)"),
            Some('%') => out.push('%'),
            Some(letter) => match args.next() {
                None => {
                    let _ = write!(out, "%!{letter}(MISSING)");
                }
                Some(value) => out.push_str(&verb.written(letter, value)?),
            },
        }
    }
    let extra = args.map(|value| Ok(format!("{}={}", go_type(value), plain(value)?))).collect::<Result<Vec<_>>>()?;
    if !extra.is_empty() {
        let _ = write!(out, "%!(EXTRA {})", extra.join(", "));
    }
    Ok(out.into())
}

impl Verb {
    fn written(self, letter: char, value: &Value) -> Result<String> {
        let text = match (letter, value) {
            ('t', Value::Bool(value)) => value.to_string(),
            ('q', Value::Int(value)) => format!("{:?}", character(*value)),
            ('e' | 'E' | 'f' | 'F' | 'g' | 'G', Value::Float(value)) => return Ok(self.float(letter, *value)),
            ('v', Value::Float(value)) => return Ok(self.float('g', *value)),
            ('d' | 'v', Value::Int(value)) => return Ok(self.integer(&value.unsigned_abs().to_string(), *value < 0)),
            ('b', Value::Int(value)) => return Ok(self.integer(&format!("{:b}", value.unsigned_abs()), *value < 0)),
            ('o', Value::Int(value)) => return Ok(self.integer(&format!("{:o}", value.unsigned_abs()), *value < 0)),
            ('x', Value::Int(value)) => return Ok(self.integer(&format!("{:x}", value.unsigned_abs()), *value < 0)),
            ('X', Value::Int(value)) => return Ok(self.integer(&format!("{:X}", value.unsigned_abs()), *value < 0)),
            ('c', Value::Int(value)) => character(*value).to_string(),
            ('U', Value::Int(value)) => format!("U+{value:04X}"),
            ('s', Value::String(text)) => self.cut(text),
            ('q', Value::String(text)) => format!("{:?}", self.cut(text)),
            ('x', Value::String(text)) => hex(&**text),
            ('X', Value::String(text)) => hex(&**text).to_uppercase(),
            ('T', value) => go_type(value).to_owned(),
            ('v', value) => self.cut(&plain(value)?),
            ('s', Value::List(_) | Value::Map(_) | Value::Safe { .. }) => self.cut(&plain(value)?),
            _ => format!("%!{letter}({}={})", go_type(value), plain(value)?),
        };
        Ok(self.padded(&text, ""))
    }

    fn cut(self, text: &str) -> String {
        self.precision.map_or_else(|| text.to_owned(), |most| text.chars().take(most).collect())
    }

    fn integer(self, digits: &str, negative: bool) -> String {
        let digits = match self.precision {
            Some(least) => format!("{digits:0>least$}"),
            None => digits.to_owned(),
        };
        self.padded(&digits, self.sign(negative))
    }

    fn float(self, letter: char, value: f64) -> String {
        let sign = self.sign(value.is_sign_negative() && !value.is_nan());
        if !value.is_finite() {
            let text = if value.is_nan() { "NaN" } else { "Inf" };
            // An infinity always has its sign; zeros never stand before either.
            let sign = if value.is_infinite() && sign.is_empty() { "+" } else { sign };
            return Self { zero: false, ..self }.padded(text, sign);
        }
        let value = value.abs();
        let text = match (letter.to_ascii_lowercase(), self.precision) {
            ('f', precision) => format!("{value:.*}", precision.unwrap_or(6)),
            ('e', precision) => render_scientific(value, precision.unwrap_or(6)),
            (_, None) => render_float(value),
            (_, Some(digits)) => render_significant(value, digits.max(1)),
        };
        let text = if letter.is_ascii_uppercase() { text.to_uppercase() } else { text };
        self.padded(&text, sign)
    }

    fn sign(self, negative: bool) -> &'static str {
        match (negative, self.plus, self.space) {
            (true, ..) => "-",
            (_, true, _) => "+",
            (_, _, true) => " ",
            _ => "",
        }
    }

    fn padded(self, text: &str, sign: &str) -> String {
        let missing = self.width.unwrap_or(0).saturating_sub(text.chars().count() + sign.len());
        if self.left {
            format!("{sign}{text}{}", " ".repeat(missing))
        } else if self.zero {
            format!("{sign}{}{text}", "0".repeat(missing))
        } else {
            format!("{}{sign}{text}", " ".repeat(missing))
        }
    }
}

fn character(code: i64) -> char {
    u32::try_from(code).ok().and_then(char::from_u32).unwrap_or(char::REPLACEMENT_CHARACTER)
}

fn plain(value: &Value) -> Result<String> {
    display::text(value)
}

fn go_type(value: &Value) -> &'static str {
    member::type_name(value)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_written_as_go_writes_them() {
        let inf = || Value::Float(f64::INFINITY);
        // From Go's fmt: what promtool gives for the same in an annotation.
        for (format, args, expected) in [
            (
                "%d %5.1f|%-4s|%04d %q %t %x %%",
                vec![
                    Value::Int(7),
                    Value::Float(3.123_45),
                    "ab".into(),
                    Value::Int(42),
                    "q".into(),
                    Value::Bool(true),
                    Value::Int(255),
                ],
                "7   3.1|ab  |0042 \"q\" true ff %",
            ),
            ("%v %v %v", vec![Value::Float(1e6), Value::Float(123_456.0), Value::Float(1e21)], "1e+06 123456 1e+21"),
            (
                "%g %.3g %.3g %g",
                vec![Value::Float(1_234_567.0), Value::Float(1234.5), Value::Float(0.001_234), Value::Float(1e-7)],
                "1.234567e+06 1.23e+03 0.00123 1e-07",
            ),
            ("%.3e %E", vec![Value::Float(12.5), Value::Float(0.0)], "1.250e+01 0.000000E+00"),
            (
                "%f %g %e %5.1f|%05.1f",
                vec![inf(), inf(), inf(), Value::Float(f64::NEG_INFINITY), Value::Float(f64::NAN)],
                "+Inf +Inf +Inf  -Inf|  NaN",
            ),
            ("%d %s %f", vec![Value::Float(3.0), Value::Int(1), "x".into()], "%!d(float64=3) %!s(int=1) %!f(string=x)"),
            (
                "%+d % d %06.2f %-6d|%.2s|%*d",
                vec![
                    Value::Int(1),
                    Value::Int(2),
                    Value::Float(-1.5),
                    Value::Int(3),
                    "abc".into(),
                    Value::Int(4),
                    Value::Int(5),
                ],
                "+1  2 -01.50 3     |ab|   5",
            ),
            ("%s", vec![], "%!s(MISSING)"),
            ("x", vec![Value::Int(1)], "x%!(EXTRA int=1)"),
        ] {
            let all: Vec<Value> = std::iter::once(Value::from(format)).chain(args).collect();
            assert_eq!(printf(&all).unwrap().to_string(), expected, "{format}");
        }
        assert!(printf(&["%99999d".into(), Value::Int(1)]).is_err());
    }
}
