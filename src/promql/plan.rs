//! The plan of a query: what the evaluator walks, whoever parsed it.

mod facts;

use std::time::Duration;

use crate::model::{METRIC_NAME, Millis};
use crate::store::{MatchOp, Matcher};

use super::functions::Function;

/// What kind of value an expression gives.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Scalar,
    Vector,
    Matrix,
    String,
}

impl Kind {
    /// As Prometheus calls it in error messages.
    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::Scalar => "scalar",
            Self::Vector => "instant vector",
            Self::Matrix => "range vector",
            Self::String => "string",
        }
    }
}

/// A node of the plan. Parentheses are gone.
#[derive(Debug, Clone)]
pub(super) enum Expr {
    Number(f64),
    String(String),
    /// `metric{…}`: the latest value within the lookback.
    Instant(Selector),
    /// `metric{…}[range]`
    Range(Selector, i64),
    /// `expr[range:step]`
    Subquery(Box<Subquery>),
    Negate(Box<Expr>),
    Binary(Box<Binary>),
    Aggregate(Box<Aggregate>),
    Call(Call),
}

/// Which series, and how their time is moved.
#[derive(Debug, Clone)]
pub(super) struct Selector {
    /// All conditions, that on `__name__` among them.
    pub matchers: Vec<Matcher>,
    pub shift: Shift,
}

impl Selector {
    /// The name of the metric, when it is asked for by `=`.
    pub(super) fn metric_name(&self) -> Option<&str> {
        let named = self.matchers.iter().find(|m| m.name == METRIC_NAME && matches!(m.op, MatchOp::Equal))?;
        Some(&named.value)
    }
}

/// Farther from 1970 than this, in milliseconds, nothing is looked for: differences of times fit 64 bits.
const FARTHEST: i64 = i64::MAX / 4;

/// `@` and `offset`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Shift {
    pub at: At,
    /// Milliseconds backwards; negative looks ahead.
    pub offset: i64,
}

/// Where an expression stands in time, before its offset.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) enum At {
    /// At the time of the evaluation.
    #[default]
    Now,
    /// `@ start()`
    Start,
    /// `@ end()`
    End,
    /// `@ 1609746000`
    Time(Millis),
}

impl Shift {
    /// The time looked at when the query asks about `now` within `bounds` (first and last step of the whole query).
    pub(super) fn apply(self, now: Millis, bounds: (Millis, Millis)) -> Millis {
        let base = match self.at {
            At::Now => now,
            At::Start => bounds.0,
            At::End => bounds.1,
            At::Time(at) => at,
        };
        Millis(base.0.saturating_sub(self.offset).clamp(-FARTHEST, FARTHEST))
    }
}

#[derive(Debug, Clone)]
pub(super) struct Subquery {
    pub inner: Expr,
    pub range: i64,
    /// `None`: the evaluation interval.
    pub step: Option<i64>,
    pub shift: Shift,
}

impl Subquery {
    /// Its step in milliseconds; `default` where it names none.
    pub(super) fn step(&self, default: Duration) -> i64 {
        self.step.unwrap_or_else(|| i64::try_from(default.as_millis()).unwrap_or(i64::MAX)).max(1)
    }

    /// Where its first step lies: the first multiple of the step behind the window's open left edge.
    pub(super) fn start(&self, until: i64, step: i64) -> i64 {
        let edge = until.saturating_sub(self.range);
        let first = edge.div_euclid(step).saturating_mul(step);
        if first <= edge { first.saturating_add(step) } else { first }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum BinaryOp {
    Add,
    Sub,
    Mul,
    Div,
    Mod,
    Pow,
    Atan2,
    Equal,
    NotEqual,
    Less,
    LessEqual,
    Greater,
    GreaterEqual,
    And,
    Or,
    Unless,
}

impl BinaryOp {
    /// As it is written.
    pub(super) fn as_str(self) -> &'static str {
        use BinaryOp::{
            Add, And, Atan2, Div, Equal, Greater, GreaterEqual, Less, LessEqual, Mod, Mul, NotEqual, Or, Pow, Sub,
            Unless,
        };
        match self {
            Add => "+",
            Sub => "-",
            Mul => "*",
            Div => "/",
            Mod => "%",
            Pow => "^",
            Atan2 => "atan2",
            Equal => "==",
            NotEqual => "!=",
            Less => "<",
            LessEqual => "<=",
            Greater => ">",
            GreaterEqual => ">=",
            And => "and",
            Or => "or",
            Unless => "unless",
        }
    }

    pub(super) fn is_comparison(self) -> bool {
        use BinaryOp::{Equal, Greater, GreaterEqual, Less, LessEqual, NotEqual};
        matches!(self, Equal | NotEqual | Less | LessEqual | Greater | GreaterEqual)
    }

    pub(super) fn is_set(self) -> bool {
        matches!(self, Self::And | Self::Or | Self::Unless)
    }
}

#[derive(Debug, Clone)]
pub(super) struct Binary {
    pub op: BinaryOp,
    pub left: Expr,
    pub right: Expr,
    /// Comparison gives 0 or 1 instead of filtering.
    pub bool: bool,
    pub matching: Matching,
}

/// How the two sides of a vector operation find each other.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Matching {
    pub labels: Grouping,
    pub cardinality: Cardinality,
}

#[derive(Debug, Clone, PartialEq)]
pub(super) enum Cardinality {
    OneToOne,
    /// `group_left(labels)`: the left side is many.
    GroupLeft(Vec<String>),
    /// `group_right(labels)`
    GroupRight(Vec<String>),
}

/// Labels that are kept, or left out.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Grouping {
    /// `by`, `on`
    Only(Vec<String>),
    /// `without`, `ignoring`; the metric's name is always left out.
    Without(Vec<String>),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum AggregateOp {
    Sum,
    Avg,
    Min,
    Max,
    Count,
    Group,
    Stddev,
    Stdvar,
    TopK,
    BottomK,
    Quantile,
    CountValues,
}

impl AggregateOp {
    /// Whether it takes a parameter before the vector.
    pub(super) fn has_param(self) -> bool {
        matches!(self, Self::TopK | Self::BottomK | Self::Quantile | Self::CountValues)
    }

    /// Of which type that is.
    pub(super) fn param_kind(self) -> Kind {
        if self == Self::CountValues { Kind::String } else { Kind::Scalar }
    }
}

#[derive(Debug, Clone)]
pub(super) struct Aggregate {
    pub op: AggregateOp,
    pub inner: Expr,
    pub param: Option<Expr>,
    /// Where the parameter stands in the text, in bytes.
    pub param_place: usize,
    pub grouping: Grouping,
}

#[derive(Debug, Clone)]
pub(super) struct Call {
    pub function: &'static Function,
    pub args: Vec<Expr>,
    /// Where each argument stands in the text, in bytes.
    pub places: Vec<usize>,
}

impl Expr {
    pub(super) fn kind(&self) -> Kind {
        match self {
            Self::Number(_) => Kind::Scalar,
            Self::String(_) => Kind::String,
            Self::Instant(_) | Self::Aggregate(_) => Kind::Vector,
            Self::Range(..) | Self::Subquery(_) => Kind::Matrix,
            Self::Negate(inner) => inner.kind(),
            Self::Binary(binary) => match (binary.left.kind(), binary.right.kind()) {
                (Kind::Scalar, Kind::Scalar) => Kind::Scalar,
                _ => Kind::Vector,
            },
            Self::Call(call) => call.function.returns,
        }
    }

    /// The text of an expression that the parser promised to be one.
    pub(super) fn text(&self) -> &str {
        if let Self::String(text) = self { text } else { "" }
    }

    /// Every selector with the range it reads, from left to right.
    pub(super) fn visit_selectors<'e>(&'e self, visit: &mut dyn FnMut(&'e Selector)) {
        match self {
            Self::Number(_) | Self::String(_) => {}
            Self::Instant(selector) | Self::Range(selector, _) => visit(selector),
            Self::Subquery(subquery) => subquery.inner.visit_selectors(visit),
            Self::Negate(inner) => inner.visit_selectors(visit),
            Self::Binary(binary) => {
                binary.left.visit_selectors(visit);
                binary.right.visit_selectors(visit);
            }
            Self::Aggregate(aggregate) => {
                if let Some(param) = &aggregate.param {
                    param.visit_selectors(visit);
                }
                aggregate.inner.visit_selectors(visit);
            }
            Self::Call(call) => call.args.iter().for_each(|arg| arg.visit_selectors(visit)),
        }
    }
}
