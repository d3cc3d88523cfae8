//! `deriv` and `predict_linear`: a straight line through a window's samples.

use crate::model::Millis;

use super::super::eval::Window;
use super::super::number::Sum;
use super::super::plan::Kind;
use super::Function;

pub(super) const FUNCTIONS: &[Function] = &[
    Function::vector("deriv", &[Kind::Matrix], |e, c, grid, sink| {
        e.roll(c, 0, grid, sink, &mut |w: &Window<'_>| {
            // The first sample's time as origin keeps the numbers small.
            (w.samples.len() > 1).then(|| line(w.samples, w.samples[0].0).0)
        })
    }),
    Function::vector("predict_linear", &[Kind::Matrix, Kind::Scalar], |e, c, grid, sink| {
        let ahead = e.scalar(&c.args[1], grid)?;
        e.roll(c, 0, grid, sink, &mut |w: &Window<'_>| {
            (w.samples.len() > 1).then(|| {
                let (slope, intercept) = line(w.samples, w.at);
                slope * ahead[w.step] + intercept
            })
        })
    })
    .tells_time(),
];

/// Slope per second, and value at `origin`, by least squares.
#[expect(clippy::float_cmp, reason = "a constant series has the slope 0 exactly")]
fn line(samples: &[(Millis, f64)], origin: Millis) -> (f64, f64) {
    let first = samples[0].1;
    if samples.iter().all(|(_, value)| *value == first) {
        return if first.is_infinite() { (f64::NAN, f64::NAN) } else { (0.0, first) };
    }
    let (mut xs, mut ys, mut xys, mut squares) = (Sum::default(), Sum::default(), Sum::default(), Sum::default());
    for (time, y) in samples {
        let x = time.0.saturating_sub(origin.0) as f64 / 1000.0;
        xs = xs.plus(x);
        ys = ys.plus(*y);
        xys = xys.plus(x * y);
        squares = squares.plus(x * x);
    }
    let n = samples.len() as f64;
    let (xs, ys) = (xs.sum + xs.lost, ys.sum + ys.lost);
    let covariance = (xys.sum + xys.lost) - xs * ys / n;
    let variance = (squares.sum + squares.lost) - xs * xs / n;
    let slope = covariance / variance;
    (slope, ys / n - slope * xs / n)
}
