//! How fast a series changes: `rate`, `increase`, `delta`, their instant forms, `changes`, `resets`.

use super::super::error::EvalError;
use super::super::eval::{Evaluator, Rolling, Sample, Sink, Window};
use super::super::grid::Grid;
use super::super::notes::{Note, Noted};
use super::super::plan::{Call, Expr, Kind};
use super::super::tag::Tag;
use super::{ApplyVector, Function};

pub(super) const FUNCTIONS: &[Function] = &[
    of_window("rate", |e, c, grid, sink| counted(e, c, grid, sink, true)),
    of_window("increase", |e, c, grid, sink| counted(e, c, grid, sink, false)),
    of_window("delta", |e, c, grid, sink| {
        e.roll(c, 0, grid, sink, &mut |w: &Window<'_>| extrapolated(w, &[], false, false))
    }),
    of_window("irate", |e, c, grid, sink| e.roll(c, 0, grid, sink, &mut |w: &Window<'_>| last_two(w, true))),
    of_window("idelta", |e, c, grid, sink| e.roll(c, 0, grid, sink, &mut |w: &Window<'_>| last_two(w, false))),
    of_window("changes", |e, c, grid, sink| e.roll(c, 0, grid, sink, &mut Count::new(differ))),
    of_window("resets", |e, c, grid, sink| e.roll(c, 0, grid, sink, &mut Count::new(|before, now| now < before))),
];

const fn of_window(name: &'static str, apply: ApplyVector) -> Function {
    Function::vector(name, &[Kind::Matrix], apply)
}

fn counted(
    evaluator: &Evaluator<'_>,
    call: &Call,
    grid: Grid,
    sink: &mut Sink<'_>,
    per_second: bool,
) -> Result<(), EvalError> {
    let noted = &evaluator.noted;
    // Prometheus has lost the place of a subquery by the time it speaks of it.
    let place = if matches!(call.args[0], Expr::Subquery(_)) { 0 } else { call.places[0] };
    let mut rate = Rate { per_second, falls: Falls::default(), noted, place, doubted: Doubt::None };
    evaluator.roll(call, 0, grid, sink, &mut rate)
}

/// Where a counter fell, so that it need not be looked for in each window anew.
#[derive(Default)]
struct Falls {
    /// The place of the sample behind each fall, and the value before it.
    all: Vec<(usize, f64)>,
    from: usize,
    to: usize,
}

impl Falls {
    fn of(&mut self, samples: &[Sample]) {
        self.all.clear();
        (self.from, self.to) = (0, 0);
        for (place, pair) in samples.windows(2).enumerate() {
            if pair[1].1 < pair[0].1 {
                self.all.push((place + 1, pair[0].1));
            }
        }
    }

    /// Those between two samples of the window. Windows come in order.
    fn within(&mut self, window: &Window<'_>) -> &[(usize, f64)] {
        while self.all.get(self.to).is_some_and(|(place, _)| *place < window.to) {
            self.to += 1;
        }
        while self.from < self.to && self.all[self.from].0 <= window.from {
            self.from += 1;
        }
        &self.all[self.from..self.to]
    }
}

/// Whether the series at hand looks like a counter by its name.
enum Doubt {
    None,
    /// It does not: the name, and whether that was said.
    Of(String, bool),
}

struct Rate<'n> {
    per_second: bool,
    falls: Falls,
    noted: &'n Noted,
    /// Where the argument stands.
    place: usize,
    doubted: Doubt,
}

impl Rolling for Rate<'_> {
    fn begin(&mut self, tag: &Tag, samples: &[Sample]) {
        self.falls.of(samples);
        let name = tag.metric_name();
        let is_counter = ["_total", "_sum", "_count", "_bucket"].iter().any(|end| name.ends_with(end));
        match &self.doubted {
            Doubt::Of(known, _) if known == name => {}
            _ if name.is_empty() || is_counter => self.doubted = Doubt::None,
            _ => self.doubted = Doubt::Of(name.to_owned(), false),
        }
    }

    fn value(&mut self, window: &Window<'_>) -> Option<f64> {
        let falls = self.falls.within(window);
        let value = extrapolated(window, falls, true, self.per_second)?;
        if let Doubt::Of(name, said @ false) = &mut self.doubted {
            self.noted.add(self.place, Note::NotACounter(name.clone()));
            *said = true;
        }
        Some(value)
    }
}

/// Counts the samples of a window that differ from the one before in some way.
struct Count {
    counts: fn(f64, f64) -> bool,
    /// How many up to each sample.
    running: Vec<u32>,
}

impl Count {
    fn new(counts: fn(f64, f64) -> bool) -> Self {
        Self { counts, running: Vec::new() }
    }
}

impl Rolling for Count {
    fn begin(&mut self, _: &Tag, samples: &[Sample]) {
        self.running.clear();
        let mut count = 0;
        self.running.push(count);
        for pair in samples.windows(2) {
            count += u32::from((self.counts)(pair[0].1, pair[1].1));
            self.running.push(count);
        }
    }

    fn value(&mut self, window: &Window<'_>) -> Option<f64> {
        Some(f64::from(self.running[window.to - 1] - self.running[window.from]))
    }
}

/// Two NaN are no change.
#[expect(clippy::float_cmp, reason = "any difference is a change")]
fn differ(before: f64, now: f64) -> bool {
    now != before && !(now.is_nan() && before.is_nan())
}

/// The change within the window, stretched to the window's edges where the samples reach close to them.
fn extrapolated(window: &Window<'_>, falls: &[(usize, f64)], is_counter: bool, per_second: bool) -> Option<f64> {
    let [first, .., last] = window.samples else {
        return None;
    };
    let intervals = (window.samples.len() - 1) as f64;
    let mut change = last.1 - first.1;
    // A counter that fell had started again from zero: what it had before is added.
    for (_, before) in falls {
        change += before;
    }
    let sampled = (last.0.0 - first.0.0) as f64 / 1000.0;
    let mean_interval = sampled / intervals;
    let threshold = mean_interval * 1.1;
    let mut to_start = (first.0.0 - window.after) as f64 / 1000.0;
    let mut to_end = (window.until - last.0.0) as f64 / 1000.0;
    if to_start >= threshold {
        to_start = mean_interval / 2.0;
    }
    if is_counter && change > 0.0 && first.1 >= 0.0 {
        // It cannot have been below zero: stretch no further than to where it was zero.
        to_start = to_start.min(sampled * (first.1 / change));
    }
    if to_end >= threshold {
        to_end = mean_interval / 2.0;
    }
    let mut factor = (sampled + to_start + to_end) / sampled;
    if per_second {
        factor /= (window.until - window.after) as f64 / 1000.0;
    }
    Some(change * factor)
}

/// The change between the last two samples.
fn last_two(window: &Window<'_>, is_rate: bool) -> Option<f64> {
    let [.., before, last] = window.samples else {
        return None;
    };
    let seconds = (last.0.0 - before.0.0) as f64 / 1000.0;
    if seconds <= 0.0 {
        return None;
    }
    let change = if is_rate && last.1 < before.1 { last.1 } else { last.1 - before.1 };
    Some(if is_rate { change / seconds } else { change })
}
