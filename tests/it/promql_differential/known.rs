//! Every difference that is left, with its reason. Nothing else may differ.

use super::answer::{Answer, Difference, Outcome};
use super::question::Question;

/// Prometheus walks what operators and most functions give in the order of a hash table, another each time. Which of equal
/// values `topk` takes then is left to chance, and so may be the last digits of a sum.
pub const UNSTEADY: &str = "Prometheus itself answers otherwise when it is asked again";

/// How often it is, until it does.
pub fn asked_again(question: &Question) -> usize {
    // Few equal values come in few orders.
    if question.expression.contains("topk") || question.expression.contains("bottomk") { 60 } else { 8 }
}

/// A difference that stands.
pub struct Known {
    /// Why it stays.
    pub reason: &'static str,
    /// An expression that differs for that reason, at a time before the data's end in milliseconds.
    pub example: (&'static str, i64),
    /// Whether a difference is this one: the question, Prometheus' answer, the agent's.
    pub is: fn(&Question, Difference, &Answer, &Answer) -> bool,
}

/// All of them.
pub const KNOWN: &[Known] = &[
    Known {
        reason: "Go's logarithms of numbers below 2.2e-308 are wrong on amd64: ln(5e-324) is -744.4, not -709.1",
        example: ("ln(d_odd{kind=\"tiny\"})", 30_000),
        is: |question, difference, _, _| {
            let smallest = question.expression.contains("d_odd") || question.expression.contains("__name__");
            difference == Difference::Value && smallest && has_any(question, &["ln", "log2", "log10"])
        },
    },
    Known {
        reason: "the last digits of Go's own powers and trigonometry are not those of C's library; seen where something \
                 makes much of them: a remainder, a rounding, a comparison, a text, a difference, an angle of many turns",
        example: ("count_values(\"v\", exp(vector(3.1)))", 0),
        is: |question, difference, _, _| {
            let in_values = matches!(difference, Difference::Value | Difference::Series | Difference::Times);
            in_values && has_any(question, TRANSCENDENTAL) && has_any(question, MAGNIFYING)
        },
    },
    Known {
        reason: "Prometheus finds no sample for timestamp() of a selector with both @ and an offset of at least the \
                 lookback, though the selector itself has a value",
        example: ("timestamp(d_level @ end() offset 5m)", 0),
        is: |question, difference, _, _| {
            let in_series = matches!(difference, Difference::Series | Difference::Times | Difference::Value);
            in_series
                && has_any(question, &["timestamp"])
                && has_any(question, &["@"])
                && has_any(question, &["offset"])
        },
    },
    Known {
        reason: "Prometheus takes a space and a letter in brackets for a colon: x[20 m] is a subquery over 20 seconds \
                 there; it is refused here",
        example: ("d_level[20 m]", 0),
        is: |question, difference, _, agent| {
            let refused_here = matches!(&agent.outcome, Outcome::Refused { .. });
            difference == Difference::Refusal
                && refused_here
                && has_letter_behind_blank_in_brackets(&question.expression)
        },
    },
];

/// As in `[20 m]`, and as in none of what Prometheus means by brackets.
fn has_letter_behind_blank_in_brackets(expression: &str) -> bool {
    expression.split('[').skip(1).any(|rest| {
        let inside = rest.split([']', ':']).next().unwrap_or_default();
        inside
            .chars()
            .zip(inside.chars().skip(1))
            .any(|(blank, letter)| blank.is_whitespace() && letter.is_alphabetic())
    })
}

const TRANSCENDENTAL: &[&str] = &[
    "^", "exp", "ln", "log2", "log10", "acos", "acosh", "asin", "asinh", "atan", "atanh", "atan2", "cos", "cosh",
    "sin", "sinh", "tan", "tanh",
];
const MAGNIFYING: &[&str] = &[
    "%",
    "floor",
    "ceil",
    "round",
    "==",
    "!=",
    "<",
    ">",
    "<=",
    ">=",
    "count_values",
    "-",
    "delta",
    "idelta",
    "irate",
    "rate",
    "deriv",
    "stddev",
    "stdvar",
    "stddev_over_time",
    "stdvar_over_time",
    "sin",
    "cos",
    "tan",
    "changes",
    "^",
    "resets",
    "topk",
    "bottomk",
];

fn has_any(question: &Question, words: &[&str]) -> bool {
    question.words().any(|word| words.contains(&word))
}

/// The reason why a difference may be, if there is one.
pub fn reason(
    question: &Question,
    difference: Difference,
    prometheus: &Answer,
    agent: &Answer,
) -> Option<&'static str> {
    KNOWN.iter().find(|known| (known.is)(question, difference, prometheus, agent)).map(|known| known.reason)
}
