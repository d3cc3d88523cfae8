//! What is asked: an expression, and when.

use std::fmt;

use super::data::SPAN;
use super::random::Random;

/// A time or times.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum When {
    /// Unix milliseconds.
    Instant(i64),
    Range {
        start: i64,
        end: i64,
        step: i64,
    },
}

impl When {
    /// A time near the data that end at `end`: on the grid, off it, before the first and behind the last sample.
    pub fn instant(random: &mut Random, end: i64) -> Self {
        let early = if random.percent(5) { -SPAN - 120_000 } else { -SPAN + 600_000 };
        let at = random.between(early, 420_000);
        let at = match random.below(4) {
            0 => at.div_euclid(15_000) * 15_000,
            1 => at.div_euclid(60_000) * 60_000,
            2 => at.div_euclid(1000) * 1000,
            _ => at,
        };
        Self::Instant(end + at)
    }

    /// Times with an odd step, or with the data's own.
    pub fn range(random: &mut Random, end: i64) -> Self {
        let Self::Instant(start) = Self::instant(random, end - 600_000) else { unreachable!("an instant") };
        let step = [15_000, 30_000, 60_000, 7_000, 61_300, 1, 100_000, 400_000][random.below(8)];
        let steps = random.between(0, 45);
        // What is left over behind the last step must not matter.
        let rest = random.between(0, 1) * (step / 2);
        Self::Range { start, end: start + steps * step + rest, step }
    }
}

/// An expression with its time.
#[derive(Debug, Clone)]
pub struct Question {
    pub expression: String,
    pub when: When,
}

impl Question {
    /// `expression` may hold times relative to the end of the data, as `@ <-1500>`.
    pub fn new(expression: &str, when: When, end: i64) -> Self {
        let mut text = String::with_capacity(expression.len());
        let mut rest = expression;
        while let Some((before, after)) = rest.split_once("@ <") {
            let (relative, behind) = after.split_once('>').unwrap_or((after, ""));
            let Ok(relative) = relative.parse::<i64>() else { break }; // Damaged.
            text += before;
            text += "@ ";
            text += &seconds(end + relative);
            rest = behind;
        }
        Self { expression: text + rest, when }
    }

    /// The path and the form to POST.
    pub fn form(&self) -> (&'static str, String) {
        let mut form = url::form_urlencoded::Serializer::new(String::new());
        form.append_pair("query", &self.expression);
        match self.when {
            When::Instant(at) => ("/api/v1/query", form.append_pair("time", &seconds(at)).finish()),
            When::Range { start, end, step } => {
                form.append_pair("start", &seconds(start)).append_pair("end", &seconds(end));
                ("/api/v1/query_range", form.append_pair("step", &seconds(step)).finish())
            }
        }
    }

    /// The words of the expression, and its operators.
    pub fn words(&self) -> impl Iterator<Item = &str> {
        let between = [' ', '(', ')', ',', '[', ']', '{', '}'];
        self.expression.split(between).filter(|word| !word.is_empty())
    }

    /// Whether the order of its answer is defined. That of groups is not.
    pub fn is_sorted(&self) -> bool {
        let sorts = ["sort(", "sort_desc(", "topk(", "bottomk("];
        let grouped = ["by", "without"].iter().any(|word| self.expression.contains(word));
        matches!(self.when, When::Instant(_)) && !grouped && sorts.iter().any(|name| self.expression.starts_with(name))
    }
}

fn seconds(millis: i64) -> String {
    let sign = if millis < 0 { "-" } else { "" };
    format!("{sign}{}.{:03}", millis.unsigned_abs() / 1000, millis.unsigned_abs() % 1000)
}

impl fmt::Display for Question {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.when {
            When::Instant(at) => write!(f, "{}\n    at {}", self.expression, seconds(at)),
            When::Range { start, end, step } => write!(
                f,
                "{}\n    from {} to {} every {}",
                self.expression,
                seconds(start),
                seconds(end),
                seconds(step)
            ),
        }
    }
}
