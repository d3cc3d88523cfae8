//! Reads every selector's samples once, for all the times a query will ask about.

use crate::model::{Millis, is_stale};
use crate::store::{Series, Snapshot};

use super::Options;
use super::error::EvalError;
use super::plan::{Expr, Selector, Shift};
use super::value::Run;

/// The series of each selector, sorted by labels, under the selector's number.
pub(super) struct Fetched(Vec<Vec<Run>>);

impl Fetched {
    pub(super) fn of(&self, selector: &Selector) -> &[Run] {
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
    series: Vec<Vec<Run>>,
}

impl Fetcher<'_> {
    fn expr(&mut self, plan: &Expr, span: (Millis, Millis)) -> Result<(), EvalError> {
        match plan {
            Expr::Number(_) | Expr::String(_) => Ok(()),
            Expr::Instant(selector) => {
                let (from, until) = self.shifted(selector.shift, span);
                let after = from - self.options.lookback;
                // At one time, only the latest sample counts.
                let latest = (from == until).then(|| self.snapshot.latest(&selector.matchers, after, until));
                match latest {
                    Some(latest) => self.keep(selector, latest),
                    None => self.keep(selector, self.snapshot.each(&selector.matchers, after, until)),
                }
            }
            Expr::Range(selector, range) => {
                let (from, until) = self.shifted(selector.shift, span);
                let after = Millis(from.0.saturating_sub(*range));
                // Staleness markers end a series for instant lookups; ranges skip them.
                let found = self.snapshot.each(&selector.matchers, after, until).filter_map(without_markers);
                self.keep(selector, found)
            }
            Expr::Subquery(subquery) => {
                let (from, until) = self.shifted(subquery.shift, span);
                let from = subquery.start(from.0, subquery.step(self.options.subquery_step));
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

    /// Counts while it reads, so that a query that asks for too much is stopped before memory is short.
    fn keep(&mut self, selector: &Selector, found: impl IntoIterator<Item = Series>) -> Result<(), EvalError> {
        let mut kept: Vec<Run> = Vec::new();
        for series in found {
            self.loaded += series.samples.len();
            if self.loaded > self.options.max_samples {
                let limit = self.options.max_samples;
                return Err(EvalError::TooMuch(format!("it reads more than {limit} samples")));
            }
            kept.push(series.into());
        }
        kept.sort_by(|a, b| a.labels.cmp(&b.labels));
        self.series[selector.id] = kept;
        Ok(())
    }
}

fn without_markers(mut series: Series) -> Option<Series> {
    series.samples.retain(|(_, value)| !is_stale(*value));
    (!series.samples.is_empty()).then_some(series)
}
