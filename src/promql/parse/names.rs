//! What names mean where: operators, aggregations, keywords.

use super::super::plan::{AggregateOp, BinaryOp};

/// How strongly an operator binds.
pub(super) fn strength(op: BinaryOp) -> u8 {
    match op {
        BinaryOp::Or => 1,
        BinaryOp::And | BinaryOp::Unless => 2,
        BinaryOp::Add | BinaryOp::Sub => 4,
        BinaryOp::Mul | BinaryOp::Div | BinaryOp::Mod | BinaryOp::Atan2 => 5,
        BinaryOp::Pow => 6,
        _ => 3,
    }
}

pub(super) fn operator(text: &str) -> Option<BinaryOp> {
    use BinaryOp::{
        Add, And, Atan2, Div, Equal, Greater, GreaterEqual, Less, LessEqual, Mod, Mul, NotEqual, Or, Pow, Sub, Unless,
    };
    let all =
        [Add, Sub, Mul, Div, Mod, Pow, Atan2, Equal, NotEqual, Less, LessEqual, Greater, GreaterEqual, And, Or, Unless];
    all.into_iter().find(|op| op.as_str() == text)
}

pub(super) fn is_operator(name: &str) -> bool {
    ["and", "or", "unless", "atan2"].iter().any(|word| name.eq_ignore_ascii_case(word))
}

pub(super) fn is_grouping(name: &str) -> bool {
    ["by", "without"].iter().any(|word| name.eq_ignore_ascii_case(word))
}

pub(super) fn is_keyword(name: &str) -> bool {
    const KEYWORDS: [&str; 11] =
        ["by", "without", "on", "ignoring", "group_left", "group_right", "bool", "offset", "start", "end", "step"];
    KEYWORDS.iter().any(|word| name.eq_ignore_ascii_case(word))
}

/// Most keywords may also be the name of a metric.
pub(super) fn is_never_a_metric(name: &str) -> bool {
    ["on", "ignoring", "group_left", "group_right", "bool", "atan2"].iter().any(|word| name.eq_ignore_ascii_case(word))
}

/// The aggregation of a name; `Err` where it is experimental.
pub(super) fn aggregate_op(name: &str) -> Option<Result<AggregateOp, ()>> {
    Some(Ok(match name.to_ascii_lowercase().as_str() {
        "sum" => AggregateOp::Sum,
        "avg" => AggregateOp::Avg,
        "min" => AggregateOp::Min,
        "max" => AggregateOp::Max,
        "count" => AggregateOp::Count,
        "group" => AggregateOp::Group,
        "stddev" => AggregateOp::Stddev,
        "stdvar" => AggregateOp::Stdvar,
        "topk" => AggregateOp::TopK,
        "bottomk" => AggregateOp::BottomK,
        "quantile" => AggregateOp::Quantile,
        "count_values" => AggregateOp::CountValues,
        "limitk" | "limit_ratio" => return Some(Err(())),
        _ => return None,
    }))
}
