//! How fast a series changes: `rate`, `increase`, `delta`, their instant forms, `changes`, `resets`.

use super::{Function, Window, windows};

pub(super) const FUNCTIONS: &[Function] = &[
    Function::vector("rate", |e, c, at| windows(e, &c.args[0], at, false, |w| extrapolated(w, true, true))),
    Function::vector("increase", |e, c, at| windows(e, &c.args[0], at, false, |w| extrapolated(w, true, false))),
    Function::vector("delta", |e, c, at| windows(e, &c.args[0], at, false, |w| extrapolated(w, false, false))),
    Function::vector("irate", |e, c, at| windows(e, &c.args[0], at, false, |w| last_two(w, true))),
    Function::vector("idelta", |e, c, at| windows(e, &c.args[0], at, false, |w| last_two(w, false))),
    Function::vector("changes", |e, c, at| windows(e, &c.args[0], at, false, |w| Some(count(w, differ)))),
    Function::vector("resets", |e, c, at| {
        windows(e, &c.args[0], at, false, |w| Some(count(w, |before, now| now < before)))
    }),
];

/// Two NaN are no change.
#[expect(clippy::float_cmp, reason = "any difference is a change")]
fn differ(before: f64, now: f64) -> bool {
    now != before && !(now.is_nan() && before.is_nan())
}

/// The change within the window, stretched to the window's edges where the samples reach close to them.
fn extrapolated(window: &Window<'_>, is_counter: bool, per_second: bool) -> Option<f64> {
    let [first, .., last] = window.samples else {
        return None;
    };
    let intervals = (window.samples.len() - 1) as f64;
    let mut change = last.1 - first.1;
    if is_counter {
        // A counter that fell had started again from zero: what it had before is added.
        for pair in window.samples.windows(2).filter(|pair| pair[1].1 < pair[0].1) {
            change += pair[0].1;
        }
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

fn count(window: &Window<'_>, counts: impl Fn(f64, f64) -> bool) -> f64 {
    window.samples.windows(2).filter(|pair| counts(pair[0].1, pair[1].1)).count() as f64
}
