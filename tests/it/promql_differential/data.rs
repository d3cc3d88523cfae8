//! The series that both are asked about: small, and with everything in them that answers may depend on.

use crate::support::Written;

use super::random::Random;

/// How long the data reach back.
pub const SPAN: i64 = 60 * 60_000;
const INTERVAL: i64 = 15_000;

/// The staleness marker by its bits.
const STALE: f64 = f64::from_bits(0x7ff0_0000_0000_0002);

/// How a series' values go on.
#[derive(Debug, Clone, Copy)]
enum Course {
    /// A counter in whole steps up to the given one, that starts again every so many samples.
    Counter(i64, usize),
    /// A counter of seconds.
    Seconds,
    /// A gauge around a value.
    Noisy(f64),
    /// Whole numbers of few values, so that there are equal ones.
    Steps,
    Constant(f64),
    /// One of these after the other.
    Cycle(&'static [f64]),
    /// Unix seconds.
    Clock,
}

/// When a series has samples.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Presence {
    Always,
    /// Each sample up to two seconds late.
    Jittered,
    /// Every 30 s.
    Slow,
    /// Begins in the middle.
    Late,
    /// Ends in the middle with a staleness marker.
    Ended,
    /// Ends in the middle without one.
    Lost,
    /// Comes and goes: runs with a marker at the end of each, and longer gaps than the lookback.
    Coming,
    /// One in ten samples is missing.
    Holes,
    /// A single sample.
    Once,
}

/// All series, with samples between `end - SPAN` and `end`.
pub fn series(seed: u64, end: i64) -> Vec<Written> {
    let mut all = Maker { random: Random::new(seed, u64::MAX), end, made: Vec::new() };
    all.counters();
    all.gauges();
    all.histograms();
    all.particular();
    all.made.sort_by(|a, b| a.labels.cmp(&b.labels));
    all.made
}

struct Maker {
    random: Random,
    end: i64,
    made: Vec<Written>,
}

impl Maker {
    fn counters(&mut self) {
        for (j, job) in ["api", "web", "db"].into_iter().enumerate() {
            for instance in ["a:1", "b:1"] {
                let at = [("job", job), ("instance", instance)];
                for (c, code) in ["200", "404", "500"].into_iter().enumerate() {
                    let presence = match (j, c) {
                        (0, 1) => Presence::Jittered,
                        (1, 2) => Presence::Coming,
                        (2, 0) => Presence::Holes,
                        _ => Presence::Always,
                    };
                    let course = Course::Counter(40 >> (2 * c), 70 + 20 * j);
                    self.add("d_requests_total", &[at[0], at[1], ("code", code)], course, presence);
                }
                let presence = if j == 1 { Presence::Late } else { Presence::Slow };
                self.add("d_busy_seconds_total", &at, Course::Seconds, presence);
                self.add("d_errors_total", &at, Course::Counter([0, 1, 2][j], 100_000), Presence::Always);
            }
        }
    }

    fn gauges(&mut self) {
        for (j, job) in ["api", "web", "db"].into_iter().enumerate() {
            for (i, instance) in ["a:1", "b:1"].into_iter().enumerate() {
                let at = [("job", job), ("instance", instance)];
                let presence = [Presence::Always, Presence::Jittered, Presence::Slow][(i + j) % 3];
                self.add("d_temperature", &[at[0], at[1], ("zone", "north")], Course::Noisy(20.5), presence);
                self.add("d_level", &at, Course::Steps, Presence::Always);
                let version = if i == 0 { "1.2" } else { "1.10" };
                self.add(
                    "d_build_info",
                    &[at[0], at[1], ("version", version)],
                    Course::Constant(1.0),
                    Presence::Always,
                );
            }
            self.add("d_limit", &[("job", job)], Course::Constant(7.5 * j as f64), Presence::Always);
        }
        for (name, presence) in [
            ("late", Presence::Late),
            ("ended", Presence::Ended),
            ("lost", Presence::Lost),
            ("coming", Presence::Coming),
            ("holes", Presence::Holes),
            ("once", Presence::Once),
        ] {
            self.add("d_passing", &[("how", name), ("job", "api")], Course::Noisy(-3.0), presence);
        }
    }

    fn histograms(&mut self) {
        let bounds = ["0.1", "0.25", "0.5", "1", "2.5", "+Inf"];
        for job in ["api", "web"] {
            for instance in ["a:1", "b:1"] {
                let at = [("job", job), ("instance", instance)];
                self.buckets("d_latency", &at, &bounds, false);
            }
        }
        // What is wrong with histograms in the wild.
        self.buckets("d_odd_latency", &[("job", "twice")], &["0.5", "1", "1.0", "+Inf"], false);
        self.buckets("d_odd_latency", &[("job", "shrinking")], &["0.5", "1", "2", "+Inf"], true);
        self.buckets("d_odd_latency", &[("job", "open")], &["0.5", "1", "2"], false);
        self.buckets("d_odd_latency", &[("job", "negative")], &["-1", "-0.5", "0", "2", "+Inf"], false);
        self.buckets("d_odd_latency", &[("job", "lonely")], &["+Inf"], false);
        self.buckets("d_odd_latency", &[("job", "wordy")], &["low", "1", "+Inf"], false);
        self.add("d_odd_latency_bucket", &[("job", "bare")], Course::Counter(5, 1000), Presence::Always);
    }

    /// Buckets of a histogram with their sum and count, all written at the same times. `shrinking`: a later bucket may hold less.
    fn buckets(&mut self, name: &str, labels: &[(&str, &str)], bounds: &[&str], shrinking: bool) {
        let times: Vec<i64> = self.grid().collect();
        let mut counts = vec![0.0; bounds.len()];
        let mut columns = vec![Vec::new(); bounds.len()];
        let (mut sum, mut sums) = (0.0, Vec::new());
        for (n, time) in times.iter().enumerate() {
            if n == 150 {
                counts.fill(0.0);
                sum = 0.0;
            }
            for _ in 0..self.random.below(6) {
                let falls = self.random.below(bounds.len());
                sum += (falls as f64 + 1.0) * 0.3;
                for count in &mut counts[falls..] {
                    *count += 1.0;
                }
            }
            if shrinking && self.random.percent(20) {
                counts[2] = counts[1] - 1.0;
            }
            for (column, count) in columns.iter_mut().zip(&counts) {
                column.push((*time, *count));
            }
            sums.push((*time, sum));
        }
        let counted = columns.last().expect("a bound").clone();
        for (bound, samples) in bounds.iter().zip(columns) {
            let labels: Vec<_> = labels.iter().copied().chain([("le", *bound)]).collect();
            self.push(&format!("{name}_bucket"), &labels, samples);
        }
        self.push(&format!("{name}_sum"), labels, sums);
        self.push(&format!("{name}_count"), labels, counted);
    }

    fn particular(&mut self) {
        let cycles: [(&str, &'static [f64]); 9] = [
            ("nan", &[f64::NAN]),
            ("some_nan", &[1.0, f64::NAN, 3.0, 2.0, f64::NAN]),
            ("inf", &[f64::INFINITY]),
            ("minus_inf", &[f64::NEG_INFINITY]),
            ("both_inf", &[f64::INFINITY, 1.0, f64::NEG_INFINITY, 0.0]),
            ("zero", &[0.0, -0.0]),
            ("huge", &[1.7e308, 1.6e308, -1.7e308]),
            ("tiny", &[5e-324, 1e-300, -2e-310]),
            ("cancelling", &[1e16, 1.0, -1e16, 3.0, 1e100, -1e100]),
        ];
        for (kind, cycle) in cycles {
            self.add("d_odd", &[("kind", kind)], Course::Cycle(cycle), Presence::Always);
        }
        self.add("d_clock_seconds", &[("job", "api")], Course::Clock, Presence::Always);
        self.add(
            "d_clock_seconds",
            &[("job", "db")],
            Course::Cycle(&[0.0, 1.5e9, 951_782_400.0, -1.0, 1e12]),
            Presence::Slow,
        );
        // Labels that some have and others have not.
        self.add("d_mixed", &[], Course::Steps, Presence::Always);
        self.add("d_mixed", &[("left", "x")], Course::Steps, Presence::Always);
        self.add("d_mixed", &[("right", "y z/\"\\\u{e9}")], Course::Noisy(4.0), Presence::Always);
        self.add("d_mixed", &[("left", "x"), ("right", "y")], Course::Constant(2.5), Presence::Late);
        self.add("d.dotted", &[("a label", "v"), ("job", "api")], Course::Noisy(1.0), Presence::Always);
        self.add("d.dotted", &[("a label", "w"), ("job", "web")], Course::Noisy(2.0), Presence::Always);
    }

    fn add(&mut self, name: &str, labels: &[(&str, &str)], course: Course, presence: Presence) {
        let mut samples = Vec::new();
        let (mut value, mut here) = (0.0, true);
        for (n, time) in self.grid().enumerate() {
            value = self.go_on(course, value, n, time);
            let middle = n == 120;
            let was_here = here;
            here = match presence {
                Presence::Always | Presence::Jittered => true,
                Presence::Slow => n % 2 == 0,
                Presence::Late => n >= 120,
                Presence::Ended | Presence::Lost => n < 120,
                Presence::Coming => (n / 35) % 2 == 0,
                Presence::Holes => !self.random.percent(10),
                Presence::Once => middle,
            };
            let late = if presence == Presence::Jittered { self.random.between(0, 2_000) } else { 0 };
            if here {
                samples.push((time + late, value));
            } else if was_here && matches!(presence, Presence::Ended | Presence::Coming) {
                samples.push((time, STALE));
            }
        }
        self.push(name, labels, samples);
    }

    fn go_on(&mut self, course: Course, before: f64, n: usize, time: i64) -> f64 {
        match course {
            Course::Counter(_, again) if n.is_multiple_of(again) => self.random.below(3) as f64,
            Course::Counter(most, _) => before + self.random.between(0, most) as f64,
            Course::Seconds => before + self.random.fraction() * 15.0,
            Course::Noisy(around) => around + (self.random.fraction() - 0.5) * 9.0,
            Course::Steps => self.random.between(-2, 6) as f64,
            Course::Constant(value) => value,
            Course::Cycle(values) => values[n % values.len()],
            Course::Clock => (time / 1000) as f64,
        }
    }

    fn grid(&self) -> impl Iterator<Item = i64> + use<> {
        let end = self.end;
        (0..SPAN / INTERVAL).map(move |n| end - SPAN + (n + 1) * INTERVAL)
    }

    fn push(&mut self, name: &str, labels: &[(&str, &str)], samples: Vec<(i64, f64)>) {
        let all = labels.iter().copied().chain([("__name__", name)]);
        let mut labels: Vec<(String, String)> = all.map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
        labels.sort();
        self.made.push(Written { labels, samples });
    }
}

/// Cut by time, for servers that take samples in order of time alone.
pub fn slices(all: &[Written], end: i64) -> Vec<Vec<Written>> {
    const SLICE: i64 = 10 * 60_000;
    let of_slice = |from: i64| {
        let within = |series: &Written| {
            let samples: Vec<_> =
                series.samples.iter().filter(|(time, _)| *time > from && *time <= from + SLICE).copied().collect();
            (!samples.is_empty()).then(|| Written { labels: series.labels.clone(), samples })
        };
        all.iter().filter_map(within).collect()
    };
    // One more: what is late comes after the end.
    (0..=SPAN / SLICE).map(|n| of_slice(end - SPAN + n * SLICE)).collect()
}
