//! Reads every selector's samples once, for all the times a query will ask about.

use crate::model::{Millis, is_stale};
use crate::store::{Series, Snapshot};

use super::error::EvalError;
use super::plan::{Expr, Selector, Shift};
use super::{Options, eval::subquery_start};

/// The series of each selector, sorted by labels, under the selector's number.
pub(super) struct Fetched(Vec<Vec<Series>>);

impl Fetched {
    pub(super) fn of(&self, selector: &Selector) -> &[Series] {
        &self.0[selector.id]
    }
}

/// Reads for an evaluation at times within `bounds`.
pub(super) fn fetch(
    plan: &Expr,
    selectors: usize,
    snapshot: &Snapshot,
    bounds: (Millis, Millis),
    options: &Options,
) -> Result<Fetched, EvalError> {
    let mut fetcher = Fetcher {
        snapshot,
        bounds,
        options,
        loaded: 0,
        series: std::iter::repeat_with(Vec::new).take(selectors).collect(),
    };
    fetcher.expr(plan, bounds)?;
    Ok(Fetched(fetcher.series))
}

struct Fetcher<'s> {
    snapshot: &'s Snapshot,
    bounds: (Millis, Millis),
    options: &'s Options,
    loaded: usize,
    series: Vec<Vec<Series>>,
}

impl Fetcher<'_> {
    fn expr(&mut self, plan: &Expr, span: (Millis, Millis)) -> Result<(), EvalError> {
        match plan {
            Expr::Number(_) | Expr::String(_) => Ok(()),
            Expr::Instant(selector) => {
                let lookback = i64::try_from(self.options.lookback.as_millis()).unwrap_or(i64::MAX);
                self.select(selector, span, lookback, true)
            }
            Expr::Range(selector, range) => self.select(selector, span, *range, false),
            Expr::Subquery(subquery) => {
                let (from, until) = self.shifted(subquery.shift, span);
                let step = subquery_step(subquery.step, self.options);
                let from = subquery_start(from.0, subquery.range, step);
                self.expr(&subquery.inner, (Millis(from), until))
            }
            Expr::Negate(inner) => self.expr(inner, span),
            Expr::Binary(binary) => {
                self.expr(&binary.left, span)?;
                self.expr(&binary.right, span)
            }
            Expr::Aggregate(aggregate) => {
                aggregate.param.as_ref().map_or(Ok(()), |param| self.expr(param, span))?;
                self.expr(&aggregate.inner, span)
            }
            Expr::Call(call) => call.args.iter().try_for_each(|arg| self.expr(arg, span)),
        }
    }

    fn shifted(&self, shift: Shift, span: (Millis, Millis)) -> (Millis, Millis) {
        (shift.apply(span.0, self.bounds), shift.apply(span.1, self.bounds))
    }

    /// Staleness markers end a series for instant lookups; ranges skip them.
    fn select(
        &mut self,
        selector: &Selector,
        span: (Millis, Millis),
        back: i64,
        keep_stale: bool,
    ) -> Result<(), EvalError> {
        let (from, until) = self.shifted(selector.shift, span);
        let mut found = self.snapshot.select(&selector.matchers, Millis(from.0.saturating_sub(back)), until);
        if !keep_stale {
            for series in &mut found {
                series.samples.retain(|(_, value)| !is_stale(*value));
            }
            found.retain(|series| !series.samples.is_empty());
        }
        found.sort_by(|a, b| a.labels.cmp(&b.labels));
        self.loaded += found.iter().map(|series| series.samples.len()).sum::<usize>();
        if self.loaded > self.options.max_samples {
            let limit = self.options.max_samples;
            return Err(EvalError::TooMuch(format!("it reads more than {limit} samples")));
        }
        self.series[selector.id] = found;
        Ok(())
    }
}

/// The step of a subquery in milliseconds.
pub(super) fn subquery_step(step: Option<i64>, options: &Options) -> i64 {
    step.unwrap_or_else(|| i64::try_from(options.subquery_step.as_millis()).unwrap_or(i64::MAX)).max(1)
}
