//! Whether the parts of an expression are of the types they must be, in Prometheus' words.

use super::super::plan::{Aggregate, Binary, Call, Cardinality, Expr, Grouping, Kind};
use super::{Parsed, Parser};

impl Parser<'_> {
    fn expect_kind(&self, expr: &Expr, wanted: Kind, place: usize, context: &str) -> Parsed<()> {
        if expr.kind() == wanted {
            return Ok(());
        }
        let (wanted, got) = (wanted.as_str(), expr.kind().as_str());
        self.fail(place, format!("expected type {wanted} in {context}, got {got}"))
    }

    pub(super) fn check_call(&self, call: &Call, start: usize) -> Parsed<()> {
        let (name, wanted, got) = (call.function.name, call.function.args, call.args.len());
        let wrong = |how: &str, number: usize| {
            self.fail(start, format!("expected {how}{number} argument(s) in call to {name:?}, got {got}"))
        };
        if call.function.variadic == 0 {
            if got != wanted.len() {
                return wrong("", wanted.len());
            }
        } else {
            let least = wanted.len() - 1;
            if got < least {
                return wrong("at least ", least);
            }
            let most = usize::try_from(call.function.variadic).map(|more| least + more);
            if let Ok(most) = most
                && got > most
            {
                return wrong("at most ", most);
            }
        }
        for (at, (arg, place)) in call.args.iter().zip(&call.places).enumerate() {
            let kind = wanted[at.min(wanted.len() - 1)];
            self.expect_kind(arg, kind, *place, &format!("call to function {name:?}"))?;
        }
        Ok(())
    }

    pub(super) fn check_aggregate(&self, aggregate: &Aggregate, inner_start: usize) -> Parsed<()> {
        self.expect_kind(&aggregate.inner, Kind::Vector, inner_start, "aggregation expression")?;
        let Some(param) = &aggregate.param else { return Ok(()) };
        self.expect_kind(param, aggregate.op.param_kind(), aggregate.param_place, "aggregation parameter")
    }

    pub(super) fn check_unary(&self, inner: &Expr, start: usize) -> Parsed<()> {
        if matches!(inner.kind(), Kind::Scalar | Kind::Vector) {
            return Ok(());
        }
        let got = inner.kind().as_str();
        self.fail(
            start,
            format!("unary expression only allowed on expressions of type scalar or instant vector, got {got:?}"),
        )
    }

    pub(super) fn check_subquery(&self, inner: &Expr, start: usize) -> Parsed<()> {
        if inner.kind() == Kind::Vector {
            return Ok(());
        }
        // Here alone Prometheus uses the short names.
        let got = match inner.kind() {
            Kind::Matrix => "matrix",
            other => other.as_str(),
        };
        self.fail(start, format!("subquery is only allowed on instant vector, got {got} instead"))
    }

    pub(super) fn check_binary(
        &self,
        binary: &Binary,
        op_start: usize,
        start: usize,
        has_matching: bool,
    ) -> Parsed<()> {
        let op = binary.op.as_str();
        let (left, right) = (binary.left.kind(), binary.right.kind());
        let scalars = [left, right].into_iter().filter(|kind| *kind == Kind::Scalar).count();
        if binary.op.is_comparison() && scalars == 2 && !binary.bool {
            return self.fail(op_start, "comparisons between scalars must use BOOL modifier");
        }
        if binary.op.is_set() && scalars > 0 {
            return self.fail(start, format!("set operator {op:?} not allowed in binary scalar expression"));
        }
        let fitting = |kind| matches!(kind, Kind::Scalar | Kind::Vector);
        if !fitting(left) || !fitting(right) {
            return self.fail(start, "binary expression must contain only scalar and instant vector types");
        }
        if scalars > 0 && has_matching {
            return self.fail(start, "vector matching only allowed between instant vectors");
        }
        let include = match &binary.matching.cardinality {
            Cardinality::OneToOne => return Ok(()),
            Cardinality::GroupLeft(include) | Cardinality::GroupRight(include) => include,
        };
        if binary.op.is_set() {
            return self.fail(start, format!("no grouping allowed for {op:?} operation"));
        }
        if let Grouping::Only(on) = &binary.matching.labels
            && let Some(twice) = on.iter().find(|name| include.contains(name))
        {
            return self.fail(op_start, format!("label {twice:?} must not occur in ON and GROUP clause at once"));
        }
        Ok(())
    }
}
