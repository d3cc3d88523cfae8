//! What may follow an expression: `[5m]`, `[5m:1m]`, `offset 5m`, `@ 1609746000`.

use super::super::lex::Word;
use super::super::plan::{At, Expr, Shift, Subquery};
use super::{MAX_DEPTH, Parsed, Parser, Part};
use crate::model::Millis;

impl Parser<'_> {
    /// A primary with what may follow it: `[…]`, `offset`, `@`.
    pub(super) fn postfixed(&mut self) -> Parsed<Part> {
        let mut part = self.primary()?;
        loop {
            let at = self.peek().start;
            if self.take_sign("[") {
                part = self.bracket(part, at)?;
            } else if self.take_name("offset") {
                let offset = self.duration(true)?;
                self.shift(&mut part, |shift| shift.offset = offset, true)?;
            } else if self.take_sign("@") {
                let time = self.at_time(part.start)?;
                self.shift(&mut part, |shift| shift.at = time, false)?;
            } else {
                return Ok(part);
            }
        }
    }

    /// `[5m]` makes a range of a selector, `[5m:1m]` a subquery of any vector.
    fn bracket(&mut self, part: Part, at: usize) -> Parsed<Part> {
        let range = self.duration(false)?;
        if self.take_sign(":") {
            let step = if self.is_sign("]") { None } else { Some(self.duration(false)?) };
            self.expect_sign("]", "subquery selector")?;
            self.check_subquery(&part.expr, part.start)?;
            let subquery = Subquery { inner: part.expr, range, step, shift: Shift::default() };
            let (start, depth) = (part.start, part.depth + 1);
            if depth > MAX_DEPTH {
                return self.too_deep();
            }
            let expr = Expr::Subquery(Box::new(subquery));
            return Ok(Part { expr, start, inside: start, depth, in_parens: false, shifted: (false, false) });
        }
        if !self.is_sign("]") {
            return self.unexpected("subquery or range, expected \":\" or \"]\"");
        }
        match part.expr {
            Expr::Instant(_) if part.shifted.0 => self.fail(at, "no offset modifiers allowed before range"),
            Expr::Instant(_) if part.shifted.1 => self.fail(at, "no @ modifiers allowed before range"),
            Expr::Instant(selector) if !part.in_parens => {
                self.take();
                Ok(Part { expr: Expr::Range(selector, range), ..part })
            }
            _ => self.fail(at, "ranges only allowed for vector selectors"),
        }
    }

    /// A duration in milliseconds; only an offset may be zero or negative.
    fn duration(&mut self, is_offset: bool) -> Parsed<i64> {
        let start = self.peek().start;
        let mut sign = 1;
        while self.is_sign("-") || self.is_sign("+") {
            sign = if self.take().word == Word::Sign("-") { -sign } else { sign };
        }
        let millis = match self.peek().word {
            Word::Duration(millis) => millis,
            Word::Number(seconds) => {
                // As many nanoseconds as fit 64 bits.
                if seconds.is_nan() || seconds.abs() > 9_223_372_036.0 {
                    return self.fail(start, "duration out of range");
                }
                ((seconds * 1e9).round() as i64) / 1_000_000
            }
            Word::Sign("(") => return self.fail(start, "experimental duration expression is not enabled"),
            _ if is_offset => return self.unexpected("offset, expected number or duration"),
            _ => return self.unexpected("subquery selector, expected number or duration"),
        };
        self.take();
        if !is_offset {
            if ["+", "-", "*", "/", "%", "^"].iter().any(|sign| self.is_sign(sign)) {
                return self.fail(start, "experimental duration expression is not enabled");
            }
            if sign * millis <= 0 {
                return self.fail(start, "duration must be greater than 0");
            }
        }
        Ok(sign * millis)
    }

    /// What follows an `@` behind the expression that begins at `start`.
    fn at_time(&mut self, start: usize) -> Parsed<At> {
        for (name, at) in [("start", At::Start), ("end", At::End)] {
            if self.take_name(name) {
                self.expect_sign("(", "@, expected timestamp")?;
                self.expect_sign(")", "@, expected timestamp")?;
                return Ok(at);
            }
        }
        let mut sign = 1.0;
        if self.is_sign("-") || self.is_sign("+") {
            sign = if self.take().word == Word::Sign("-") { -1.0 } else { 1.0 };
        }
        let seconds = match self.peek().word {
            Word::Number(seconds) => sign * seconds,
            Word::Duration(millis) => sign * (millis as f64 / 1000.0),
            _ => return self.unexpected("@, expected timestamp"),
        };
        self.take();
        if seconds.is_nan() || seconds.is_infinite() || seconds.abs() >= i64::MAX as f64 / 1000.0 {
            return self.fail(start, format!("timestamp out of bounds for @ modifier: {seconds:.6}"));
        }
        Ok(At::Time(Millis::from_seconds(seconds)))
    }

    fn shift(&self, part: &mut Part, set: impl FnOnce(&mut Shift), is_offset: bool) -> Parsed<()> {
        let at = part.start;
        let shift = match &mut part.expr {
            Expr::Instant(selector) | Expr::Range(selector, _) if !part.in_parens => &mut selector.shift,
            Expr::Subquery(subquery) if !part.in_parens => &mut subquery.shift,
            _ => {
                let what = if is_offset { "offset" } else { "@" };
                let allowed = "must be preceded by an instant vector selector or range vector selector or a subquery";
                return self.fail(at, format!("{what} modifier {allowed}"));
            }
        };
        set(shift);
        let given = if is_offset { &mut part.shifted.0 } else { &mut part.shifted.1 };
        if std::mem::replace(given, true) {
            let what = if is_offset { "offset" } else { "@ <timestamp>" };
            return self.fail(at, format!("{what} may not be set multiple times"));
        }
        Ok(())
    }
}
