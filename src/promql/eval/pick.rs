//! `topk` and `bottomk`: at each step the best of each group, in a heap no larger than asked for.

use std::collections::HashMap;

use super::super::error::EvalError;
use super::super::grid::{ABSENT, Grid, has_values, is_absent};
use super::super::number::{descending, nan_last};
use super::super::plan::{Aggregate, AggregateOp};
use super::super::tag::{Groups, Tag};
use super::{Evaluator, Sink};
use crate::model::render_float;

/// A value and the number of the series that has it.
type Candidate = (f64, usize);

impl Evaluator<'_> {
    /// The series of an instant result come best first.
    pub(super) fn pick(&self, aggregation: &Aggregate, grid: Grid, sink: &mut Sink<'_>) -> Result<(), EvalError> {
        let param = self.param(aggregation, grid)?;
        let top = aggregation.op == AggregateOp::TopK;
        let mut best: Vec<Vec<Best>> = Vec::new();
        let sizes = sizes_of(&param);
        let mut numbers = Groups::new(&aggregation.grouping);
        let mut tags: Vec<Option<Tag>> = Vec::new();
        self.each(&aggregation.inner, grid, &mut |tag, column| {
            if !has_values(column) {
                return Ok(());
            }
            let group = numbers.number(&tag);
            if group == best.len() {
                self.budget.hold(3 * grid.count)?;
                best.push(sizes.iter().map(|size| Best::new(size.unwrap_or(0))).collect());
            }
            let (mut taken, mut more) = (false, 0);
            for (step, (best, value)) in best[group].iter_mut().zip(column.iter()).enumerate() {
                if !is_absent(*value) {
                    if sizes[step].is_none() {
                        let k = render_float(param[step]);
                        return Err(EvalError::data(format!("Scalar value {k} overflows int64")));
                    }
                    let before = best.heap.len();
                    taken |= best.offer((*value, tags.len()), top);
                    more += best.heap.len() - before;
                }
            }
            if more > 0 {
                self.budget.hold(2 * more)?;
            }
            tags.push(taken.then_some(tag));
            Ok(())
        })?;
        let mut places: HashMap<usize, usize> = HashMap::new();
        let mut rows: Vec<(usize, Vec<f64>)> = Vec::new();
        for group in best {
            for (step, best) in group.into_iter().enumerate() {
                for (value, series) in best.sorted(top) {
                    let place = *places.entry(series).or_insert(rows.len());
                    if place == rows.len() {
                        self.budget.hold(grid.count)?;
                        rows.push((series, vec![ABSENT; grid.count]));
                    }
                    rows[place].1[step] = value;
                }
            }
        }
        for (series, mut column) in rows {
            if let Some(tag) = tags[series].take() {
                sink(tag, &mut column)?;
            }
        }
        Ok(())
    }
}

/// How many to take at each step; `None` where that is no number that counts, which is an error where there is anything.
fn sizes_of(param: &[f64]) -> Vec<Option<usize>> {
    if param.iter().all(|k| *k < 1.0) {
        return vec![Some(0); param.len()];
    }
    let fits = |k: f64| k > i64::MIN as f64 && k < i64::MAX as f64;
    param.iter().map(|k| fits(*k).then_some(if *k < 1.0 { 0 } else { *k as usize })).collect()
}

/// The best of one group at one step: a heap with the worst at its root. Which of equals stay is told by how Go's
/// `container/heap` moves them, so this one moves them alike.
struct Best {
    size: usize,
    heap: Vec<Candidate>,
}

impl Best {
    fn new(size: usize) -> Self {
        Self { size, heap: Vec::new() }
    }

    /// Whether it was taken in.
    fn offer(&mut self, candidate: Candidate, top: bool) -> bool {
        if self.heap.len() < self.size {
            self.heap.push(candidate);
            self.rise(top);
            return true;
        }
        let Some((worst, _)) = self.heap.first() else { return false };
        let better = if top { candidate.0 > *worst } else { candidate.0 < *worst };
        if !better && (!worst.is_nan() || candidate.0.is_nan()) {
            return false;
        }
        self.heap[0] = candidate;
        self.sink(top);
        true
    }

    /// Whether the candidate at `a` is nearer to the root than that at `b`.
    fn worse(&self, a: usize, b: usize, top: bool) -> bool {
        let (a, b) = (self.heap[a].0, self.heap[b].0);
        a.is_nan() || if top { a < b } else { a > b }
    }

    fn rise(&mut self, top: bool) {
        let mut at = self.heap.len() - 1;
        while at > 0 && self.worse(at, (at - 1) / 2, top) {
            self.heap.swap(at, (at - 1) / 2);
            at = (at - 1) / 2;
        }
    }

    fn sink(&mut self, top: bool) {
        let mut at = 0;
        loop {
            let (left, right) = (2 * at + 1, 2 * at + 2);
            if left >= self.heap.len() {
                return;
            }
            let child = if right < self.heap.len() && self.worse(right, left, top) { right } else { left };
            if !self.worse(child, at, top) {
                return;
            }
            self.heap.swap(child, at);
            at = child;
        }
    }

    fn sorted(mut self, top: bool) -> Vec<Candidate> {
        let order = if top { descending } else { nan_last };
        self.heap.sort_by(|a, b| order(a.0, b.0));
        self.heap
    }
}
