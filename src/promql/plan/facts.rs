//! What can be told of an expression without looking at any data.

use super::{AggregateOp, At, Binary, BinaryOp, Cardinality, Expr, Grouping, Kind};
use crate::model::METRIC_NAME;
use crate::promql::functions::Names;

impl Expr {
    /// Whether its value is the same at every step: all data are pinned by `@`, and nothing asks for the time.
    pub(in crate::promql) fn is_fixed(&self) -> bool {
        match self {
            Self::Number(_) | Self::String(_) => true,
            Self::Instant(selector) | Self::Range(selector, _) => selector.shift.at != At::Now,
            // What a subquery holds is asked about at its own times; only where these are pinned is it the same.
            Self::Subquery(subquery) => subquery.shift.at != At::Now,
            Self::Negate(inner) => inner.is_fixed(),
            Self::Binary(binary) => binary.left.is_fixed() && binary.right.is_fixed(),
            Self::Aggregate(aggregate) => {
                aggregate.inner.is_fixed() && aggregate.param.as_ref().is_none_or(Self::is_fixed)
            }
            Self::Call(call) => !call.function.tells_time && call.args.iter().all(Self::is_fixed),
        }
    }

    /// Whether all of its series have the same metric name, or none: then no two become equal when names are dropped.
    pub(in crate::promql) fn has_one_name(&self) -> bool {
        match self {
            Self::Number(_) | Self::String(_) | Self::Negate(_) => true,
            Self::Instant(selector) | Self::Range(selector, _) => selector.metric_name().is_some(),
            Self::Subquery(subquery) => subquery.inner.has_one_name(),
            Self::Aggregate(aggregate) => match (aggregate.op, &aggregate.grouping) {
                (AggregateOp::TopK | AggregateOp::BottomK, _) => aggregate.inner.has_one_name(),
                (AggregateOp::CountValues, _) => false,
                (_, Grouping::Only(names)) => !names.iter().any(|name| name == METRIC_NAME),
                (_, Grouping::Without(_)) => true,
            },
            Self::Binary(binary) => binary.has_one_name(),
            Self::Call(call) => match call.function.names {
                Names::Dropped => true,
                Names::Kept => call.args.iter().all(Self::has_one_name),
                Names::Rewritten => false,
            },
        }
    }

    /// Whether the order of an instant result means something.
    pub(in crate::promql) fn is_ordered(&self) -> bool {
        match self {
            Self::Aggregate(aggregate) => matches!(aggregate.op, AggregateOp::TopK | AggregateOp::BottomK),
            Self::Call(call) => {
                matches!(call.function.name, "sort" | "sort_desc") || call.args.iter().any(Self::is_ordered)
            }
            Self::Negate(inner) => inner.is_ordered(),
            Self::Binary(binary) => binary.left.is_ordered() || binary.right.is_ordered(),
            _ => false,
        }
    }
}

impl Binary {
    /// Whether a comparison drops elements and leaves the others as they are.
    pub(in crate::promql) fn filters(&self) -> bool {
        self.op.is_comparison() && !self.bool
    }

    /// The side whose labels the result has.
    pub(in crate::promql) fn many(&self) -> &Expr {
        match (&self.matching.cardinality, self.left.kind()) {
            (Cardinality::GroupRight(_), _) | (_, Kind::Scalar) => &self.right,
            _ => &self.left,
        }
    }

    fn has_one_name(&self) -> bool {
        let renames = match &self.matching.cardinality {
            Cardinality::OneToOne => false,
            Cardinality::GroupLeft(include) | Cardinality::GroupRight(include) => {
                include.iter().any(|name| name == METRIC_NAME)
            }
        };
        match self.op {
            BinaryOp::Or => false,
            BinaryOp::And | BinaryOp::Unless => self.left.has_one_name(),
            _ => !renames && (!self.filters() || self.many().has_one_name()),
        }
    }
}
