//! `topk` and `bottomk`: at each step the best of each group, in a heap no larger than asked for.

use std::cmp::Ordering;
use std::collections::HashMap;

use super::super::error::EvalError;
use super::super::grid::{ABSENT, Grid, has_values, is_absent};
use super::super::number::{descending, nan_last};
use super::super::plan::{Aggregate, AggregateOp};
use super::super::tag::{Groups, Tag};
use super::{Evaluator, Sink};

/// A value and the number of the series that has it.
type Candidate = (f64, usize);

impl Evaluator<'_> {
    /// The series of an instant result come best first.
    pub(super) fn pick(&self, aggregation: &Aggregate, grid: Grid, sink: &mut Sink<'_>) -> Result<(), EvalError> {
        let param = aggregation.param.as_ref().map_or_else(|| Ok(Vec::new()), |param| self.scalar(param, grid))?;
        let order = if aggregation.op == AggregateOp::TopK { descending } else { nan_last };
        let mut best: Vec<Vec<Best>> = Vec::new();
        let mut sizes: Option<Vec<usize>> = None;
        let mut numbers = Groups::new(&aggregation.grouping);
        let mut tags: Vec<Option<Tag>> = Vec::new();
        self.each(&aggregation.inner, grid, &mut |tag, column| {
            if !has_values(column) {
                return Ok(());
            }
            let sizes = match &mut sizes {
                Some(sizes) => sizes,
                none => none.insert(sizes_of(&param)?),
            };
            let group = numbers.number(&tag);
            if group == best.len() {
                self.budget.hold(3 * grid.count)?;
                best.push(sizes.iter().map(|size| Best::new(*size)).collect());
            }
            let (mut taken, mut more) = (false, 0);
            for (best, value) in best[group].iter_mut().zip(column.iter()) {
                if !is_absent(*value) {
                    let before = best.heap.len();
                    taken |= best.offer((*value, tags.len()), order);
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
                for (value, series) in best.sorted(order) {
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

/// How many to take at each step.
fn sizes_of(param: &[f64]) -> Result<Vec<usize>, EvalError> {
    if param.iter().any(|k| k.is_nan()) {
        return Err(EvalError::data("Parameter value is NaN"));
    }
    let fits = |k: f64| k > i64::MIN as f64 && k < i64::MAX as f64;
    if let Some(k) = param.iter().find(|k| !fits(**k)) {
        return Err(EvalError::data(format!("Scalar value {} overflows int64", super::super::number::render_go(*k))));
    }
    Ok(param.iter().map(|k| if *k < 1.0 { 0 } else { *k as usize }).collect())
}

/// The best of one group at one step: a heap with the worst at its root.
struct Best {
    size: usize,
    heap: Vec<Candidate>,
}

impl Best {
    fn new(size: usize) -> Self {
        Self { size, heap: Vec::new() }
    }

    /// Whether it was taken in. Of equals, those that came first stay.
    fn offer(&mut self, candidate: Candidate, order: fn(f64, f64) -> Ordering) -> bool {
        if self.heap.len() < self.size {
            self.heap.push(candidate);
            self.rise(self.heap.len() - 1, order);
            return true;
        }
        if self.size == 0 || order(candidate.0, self.heap[0].0) != Ordering::Less {
            return false;
        }
        self.heap[0] = candidate;
        self.sink(order);
        true
    }

    fn rise(&mut self, mut at: usize, order: fn(f64, f64) -> Ordering) {
        while at > 0 && worse(self.heap[at], self.heap[(at - 1) / 2], order) {
            self.heap.swap(at, (at - 1) / 2);
            at = (at - 1) / 2;
        }
    }

    fn sink(&mut self, order: fn(f64, f64) -> Ordering) {
        let mut at = 0;
        loop {
            let children = (2 * at + 1)..(2 * at + 3).min(self.heap.len());
            let Some(worst) = children.reduce(|a, b| if worse(self.heap[b], self.heap[a], order) { b } else { a })
            else {
                return;
            };
            if worst >= self.heap.len() || !worse(self.heap[worst], self.heap[at], order) {
                return;
            }
            self.heap.swap(at, worst);
            at = worst;
        }
    }

    fn sorted(mut self, order: fn(f64, f64) -> Ordering) -> Vec<Candidate> {
        self.heap.sort_by(|a, b| order(a.0, b.0).then(a.1.cmp(&b.1)));
        self.heap
    }
}

/// Whether `a` goes before `b` does: worse by value, or come later.
fn worse(a: Candidate, b: Candidate, order: fn(f64, f64) -> Ordering) -> bool {
    order(a.0, b.0).then(a.1.cmp(&b.1)) == Ordering::Greater
}
