//! What a server answered, and whether two answers are the same.

use std::collections::BTreeMap;
use std::fmt;

use serde_json::Value;

/// How far two values may be apart, relative to the larger one.
const TOLERANCE: f64 = 1e-9;
/// Prometheus shows no more notes than these.
const MOST_NOTES: usize = 10;

type Labels = BTreeMap<String, String>;
/// Unix milliseconds and values.
type Samples = Vec<(i64, f64)>;

/// An answer of `/api/v1/query` or `/api/v1/query_range`.
#[derive(Debug, Clone)]
pub struct Answer {
    pub outcome: Outcome,
    pub warnings: Vec<String>,
    pub infos: Vec<String>,
}

/// The part that matters most.
#[derive(Debug, Clone)]
pub enum Outcome {
    Scalar(i64, f64),
    Text(i64, String),
    /// In the order that the server gave.
    Vector(Vec<(Labels, Samples)>),
    Matrix(Vec<(Labels, Samples)>),
    Refused {
        status: u16,
        kind: String,
        text: String,
    },
}

/// In what two answers differ.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Difference {
    /// One was refused, the other not.
    Refusal,
    /// Both were refused, as different errors.
    Error,
    /// Scalar, vector, …
    Type,
    /// Which series there are.
    Series,
    /// At which times a series has values.
    Times,
    Value,
    /// Of a sorted vector.
    Order,
    Warnings,
    Infos,
}

impl Answer {
    /// Reads a response.
    pub fn read(status: u16, body: &Value) -> Result<Self, String> {
        let notes = |name: &str| {
            let list = body[name].as_array().map_or(&[][..], Vec::as_slice);
            let mut texts: Vec<String> = list.iter().filter_map(|text| Some(text.as_str()?.to_owned())).collect();
            texts.sort();
            texts
        };
        let outcome = match body["status"].as_str() {
            Some("success") => Outcome::read(&body["data"])?,
            Some("error") => Outcome::Refused {
                status,
                kind: body["errorType"].as_str().ok_or("an error without a type")?.to_owned(),
                text: body["error"].as_str().ok_or("an error without a text")?.to_owned(),
            },
            _ => return Err("neither success nor error".into()),
        };
        Ok(Self { outcome, warnings: notes("warnings"), infos: notes("infos") })
    }

    /// The first thing in which another answer differs. `sorted`: the order of a vector counts.
    pub fn difference(&self, other: &Self, sorted: bool) -> Option<Difference> {
        let notes = |ours: &[String], theirs: &[String]| {
            // Of more, Prometheus leaves out any.
            ours.len().max(theirs.len()) <= MOST_NOTES && ours != theirs || ours.is_empty() != theirs.is_empty()
        };
        self.outcome.difference(&other.outcome, sorted).or_else(|| {
            if notes(&self.warnings, &other.warnings) {
                Some(Difference::Warnings)
            } else {
                notes(&self.infos, &other.infos).then_some(Difference::Infos)
            }
        })
    }

    /// An error's text.
    pub fn error(&self) -> Option<&str> {
        match &self.outcome {
            Outcome::Refused { text, .. } => Some(text),
            _ => None,
        }
    }

    /// Whether it is not an error.
    pub fn is_given(&self) -> bool {
        !matches!(self.outcome, Outcome::Refused { .. })
    }

    /// Whether there is a value in it.
    pub fn is_telling(&self) -> bool {
        match &self.outcome {
            Outcome::Vector(series) | Outcome::Matrix(series) => !series.is_empty(),
            Outcome::Refused { .. } => false,
            _ => true,
        }
    }
}

impl Outcome {
    fn read(data: &Value) -> Result<Self, String> {
        let result = &data["result"];
        let list = || result.as_array().ok_or("a result that is no list");
        match data["resultType"].as_str() {
            Some("scalar") => sample(result).map(|(time, value)| Self::Scalar(time, value)),
            Some("string") => {
                Ok(Self::Text(time(&result[0])?, result[1].as_str().ok_or("a text that is none")?.to_owned()))
            }
            Some("vector") => list()?
                .iter()
                .map(|one| Ok((labels(&one["metric"])?, vec![sample(&one["value"])?])))
                .collect::<Result<_, String>>()
                .map(Self::Vector),
            Some("matrix") => list()?
                .iter()
                .map(|one| {
                    let values = one["values"].as_array().ok_or("no list of values")?;
                    Ok((labels(&one["metric"])?, values.iter().map(sample).collect::<Result<_, String>>()?))
                })
                .collect::<Result<_, String>>()
                .map(Self::Matrix),
            other => Err(format!("the result type {other:?}")),
        }
    }

    fn difference(&self, other: &Self, sorted: bool) -> Option<Difference> {
        match (self, other) {
            (Self::Refused { kind, status, .. }, Self::Refused { kind: other_kind, status: other_status, .. }) => {
                ((kind, status) != (other_kind, other_status)).then_some(Difference::Error)
            }
            (Self::Refused { .. }, _) | (_, Self::Refused { .. }) => Some(Difference::Refusal),
            (Self::Scalar(at, value), Self::Scalar(other_at, other)) => {
                (at != other_at || !same(*value, *other)).then_some(Difference::Value)
            }
            (Self::Text(at, text), Self::Text(other_at, other)) => {
                ((at, text) != (other_at, other)).then_some(Difference::Value)
            }
            (Self::Vector(all), Self::Vector(others)) => {
                differing(all, others).or_else(|| (sorted && !same_order(all, others)).then_some(Difference::Order))
            }
            (Self::Matrix(all), Self::Matrix(others)) => differing(all, others),
            _ => Some(Difference::Type),
        }
    }
}

fn differing(all: &[(Labels, Samples)], others: &[(Labels, Samples)]) -> Option<Difference> {
    let by_labels = |series: &[(Labels, Samples)]| -> Vec<(Labels, Samples)> {
        let mut sorted = series.to_vec();
        sorted.sort_by(|a, b| a.0.cmp(&b.0));
        sorted
    };
    let (all, others) = (by_labels(all), by_labels(others));
    if all.len() != others.len() || all.iter().zip(&others).any(|(one, other)| one.0 != other.0) {
        return Some(Difference::Series);
    }
    all.iter().zip(&others).find_map(|((_, samples), (_, others))| {
        if samples.len() != others.len() || samples.iter().zip(others).any(|(one, other)| one.0 != other.0) {
            return Some(Difference::Times);
        }
        samples.iter().zip(others).any(|(one, other)| !same(one.1, other.1)).then_some(Difference::Value)
    })
}

/// Equal values may stand in any order.
fn same_order(all: &[(Labels, Samples)], others: &[(Labels, Samples)]) -> bool {
    all.iter().zip(others).all(|(one, other)| same(one.1[0].1, other.1[0].1))
}

fn same(one: f64, other: f64) -> bool {
    // The signs of zeros do not count, those of infinities do.
    let equal = one.is_nan() && other.is_nan() || one.total_cmp(&other).is_eq();
    equal || one.is_finite() && other.is_finite() && (one - other).abs() <= TOLERANCE * one.abs().max(other.abs())
}

fn labels(metric: &Value) -> Result<Labels, String> {
    let pair = |(name, value): (&String, &Value)| {
        Ok((name.clone(), value.as_str().ok_or("a label without a text")?.to_owned()))
    };
    metric.as_object().ok_or("a metric that is no object")?.iter().map(pair).collect()
}

fn sample(pair: &Value) -> Result<(i64, f64), String> {
    let text = pair[1].as_str().ok_or("a value that is no text")?;
    Ok((time(&pair[0])?, text.parse().map_err(|_| format!("the value {text}"))?))
}

fn time(seconds: &Value) -> Result<i64, String> {
    Ok((seconds.as_f64().ok_or("a time that is no number")? * 1000.0).round() as i64)
}

impl fmt::Display for Answer {
    /// A line for each series, the first few.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.outcome {
            Outcome::Scalar(at, value) => write!(f, "scalar {value:?} at {at}")?,
            Outcome::Text(_, text) => write!(f, "string {text:?}")?,
            Outcome::Refused { status, kind, text } => write!(f, "refused: {status} {kind}: {text}")?,
            Outcome::Vector(series) | Outcome::Matrix(series) => {
                let word = if matches!(self.outcome, Outcome::Vector(_)) { "vector" } else { "matrix" };
                write!(f, "{word} of {}", series.len())?;
                for (labels, samples) in series.iter().take(12) {
                    let labels: Vec<String> = labels.iter().map(|(name, value)| format!("{name}={value:?}")).collect();
                    write!(f, "\n      {{{}}}", labels.join(", "))?;
                    for (at, value) in samples.iter().take(8) {
                        write!(f, " {value:?} @{at}")?;
                    }
                    if samples.len() > 8 {
                        write!(f, " … {} in all", samples.len())?;
                    }
                }
            }
        }
        for warning in &self.warnings {
            write!(f, "\n      warning: {warning}")?;
        }
        for info in &self.infos {
            write!(f, "\n      info: {info}")?;
        }
        Ok(())
    }
}

#[test]
fn answers_differ_in_what_is_not_equal() {
    let answer = |value: &str, job: &str, note: &str| {
        let body = serde_json::json!({
            "status": "success",
            "data": {"resultType": "vector", "result": [{"metric": {"job": job}, "value": [12.5, value]}]},
            "infos": [note],
        });
        Answer::read(200, &body).expect("an answer")
    };
    let base = answer("1000000000", "a", "n");
    let difference = |other: &Answer| base.difference(other, true);
    assert_eq!(difference(&answer("1000000000.1", "a", "n")), None);
    assert_eq!(difference(&answer("1000000010", "a", "n")), Some(Difference::Value));
    assert_eq!(difference(&answer("NaN", "a", "n")), Some(Difference::Value));
    assert_eq!(difference(&answer("+Inf", "a", "n")), Some(Difference::Value));
    assert_eq!(difference(&answer("1000000000", "b", "n")), Some(Difference::Series));
    assert_eq!(difference(&answer("1000000000", "a", "other")), Some(Difference::Infos));
    let refused = |kind: &str| {
        let body = serde_json::json!({"status": "error", "errorType": kind, "error": "why"});
        Answer::read(422, &body).expect("an answer")
    };
    assert_eq!(difference(&refused("execution")), Some(Difference::Refusal));
    assert_eq!(refused("timeout").difference(&refused("execution"), true), Some(Difference::Error));
}

#[test]
fn the_order_of_a_sorted_vector_counts() {
    let vector = |values: [&str; 2]| {
        let one = |(job, value): (&str, &str)| serde_json::json!({"metric": {"job": job}, "value": [1, value]});
        let result: Vec<_> = ["a", "b"].into_iter().zip(values).map(one).collect();
        let mut result = serde_json::json!({"status": "success", "data": {"resultType": "vector", "result": result}});
        let straight = Answer::read(200, &result).expect("an answer");
        result["data"]["result"].as_array_mut().expect("a list").reverse();
        (straight, Answer::read(200, &result).expect("an answer"))
    };
    let (straight, turned) = vector(["1", "2"]);
    assert_eq!(straight.difference(&turned, false), None);
    assert_eq!(straight.difference(&turned, true), Some(Difference::Order));
    let (straight, turned) = vector(["1", "1"]);
    assert_eq!(straight.difference(&turned, true), None);
}
