//! Puts samples and metadata together into blocks.

use std::borrow::Cow;
use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use super::{Format, Limits, Parsed, Wrong, line, unescape};
use crate::model::{Block, Family, Labels, METRIC_NAME, MetricKind, Point, Suffix};

/// The types of both formats.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Declared {
    Counter,
    Gauge,
    Histogram,
    Summary,
    Info,
    StateSet,
    GaugeHistogram,
    Unknown,
}

impl Declared {
    fn read(word: &str, format: Format) -> Option<Self> {
        let kind = match word {
            "counter" => Self::Counter,
            "gauge" => Self::Gauge,
            "histogram" => Self::Histogram,
            "summary" => Self::Summary,
            "untyped" | "unknown" => Self::Unknown,
            "info" if format == Format::OpenMetrics => Self::Info,
            "stateset" if format == Format::OpenMetrics => Self::StateSet,
            "gaugehistogram" if format == Format::OpenMetrics => Self::GaugeHistogram,
            _ => return None,
        };
        Some(kind)
    }
}

#[derive(Debug, Default)]
struct Metadata {
    kind: Option<Declared>,
    help: String,
}

/// A family of ours, and the name under which the page declared it.
struct Open {
    block: Block,
    declared_as: Box<str>,
}

/// Where a sample name belongs.
#[derive(Clone, Copy)]
struct Home {
    block: usize,
    suffix: Suffix,
}

pub(super) struct Assembly {
    format: Format,
    limits: Limits,
    metadata: HashMap<Box<str>, Metadata>,
    open: Vec<Open>,
    by_name: HashMap<Box<str>, usize>,
    homes: HashMap<Box<str>, Home>,
    /// The last sample's name: pages list a family's samples one after another.
    last: Option<(Box<str>, Home)>,
    texts: HashSet<Arc<str>>,
    pairs: Vec<(Arc<str>, Arc<str>)>,
    samples: usize,
}

impl Assembly {
    pub(super) fn new(format: Format, limits: Limits) -> Self {
        Self {
            format,
            limits,
            metadata: HashMap::new(),
            open: Vec::new(),
            by_name: HashMap::new(),
            homes: HashMap::new(),
            last: None,
            texts: HashSet::new(),
            pairs: Vec::new(),
            samples: 0,
        }
    }

    /// Notes a family's type. It counts for the samples that follow; the formats ask for that order.
    pub(super) fn declare_type(&mut self, name: &str, word: &str) -> Result<(), Wrong> {
        let short = || Wrong::Type(word.chars().take(32).collect());
        let kind = Declared::read(word, self.format).ok_or_else(short)?;
        self.metadata.entry(name.into()).or_default().kind = Some(kind);
        Ok(())
    }

    pub(super) fn declare_help(&mut self, name: &str, help: Cow<'_, str>) {
        self.metadata.entry(name.into()).or_default().help = help.into_owned();
    }

    pub(super) fn sample(&mut self, name: &str, rest: &str) -> Result<(), Wrong> {
        self.samples += 1;
        if self.samples > self.limits.samples {
            return Err(Wrong::TooManySamples(self.limits.samples));
        }
        let (labels, rest) = self.labels(rest)?;
        let value = line::value(rest, self.format)?;
        let home = self.home(name);
        self.open[home.block].block.points.push(Point { suffix: home.suffix, labels, value });
        Ok(())
    }

    fn labels<'p>(&mut self, rest: &'p str) -> Result<(Labels, &'p str), Wrong> {
        let Self { pairs, texts, limits, .. } = self;
        pairs.clear();
        let rest = line::labels(rest, |name, value| {
            if pairs.len() == limits.labels {
                return Err(Wrong::TooManyLabels(limits.labels));
            }
            if name == METRIC_NAME || pairs.iter().any(|(other, _)| **other == *name) {
                return Err(Wrong::LabelTwice(name.chars().take(64).collect()));
            }
            pairs.push((shared(texts, name), shared(texts, &unescape(value))));
            Ok(())
        })?;
        if pairs.is_empty() {
            return Ok((Labels::empty(), rest));
        }
        Ok((Labels::new(pairs.drain(..)), rest))
    }

    fn home(&mut self, name: &str) -> Home {
        if let Some((_, home)) = self.last.as_ref().filter(|(last, _)| **last == *name) {
            return *home;
        }
        let home = match self.homes.get(name) {
            Some(home) => *home,
            None => self.find_home(name),
        };
        self.last = Some((name.into(), home));
        home
    }

    fn find_home(&mut self, name: &str) -> Home {
        let (family, kind, suffix, declared_as) = self.resolve(name);
        let block = self.by_name.get(family).copied().unwrap_or_else(|| {
            let empty = Block { family: Family::discovered(family.into(), kind, String::new()), points: Vec::new() };
            self.open.push(Open { block: empty, declared_as: declared_as.into() });
            self.by_name.insert(family.into(), self.open.len() - 1);
            self.open.len() - 1
        });
        let home = Home { block, suffix };
        self.homes.insert(name.into(), home);
        home
    }

    /// Which family a sample belongs to: its name and type here, the sample's suffix, the name on the page.
    fn resolve<'n>(&self, name: &'n str) -> (&'n str, MetricKind, Suffix, &'n str) {
        let kind_of = |name: &str| self.metadata.get(name).and_then(|metadata| metadata.kind);
        if let Some(kind) = kind_of(name) {
            return (name, self.kind_under_own_name(kind), Suffix::None, name);
        }
        for (ending, suffix) in [("_bucket", Suffix::Bucket), ("_sum", Suffix::Sum), ("_count", Suffix::Count)] {
            let Some(base) = name.strip_suffix(ending) else { continue };
            match kind_of(base) {
                Some(Declared::Histogram) => return (base, MetricKind::Histogram, suffix, base),
                Some(Declared::Summary) if suffix != Suffix::Bucket => {
                    return (base, MetricKind::Summary, suffix, base);
                }
                _ => {}
            }
        }
        if self.format == Format::OpenMetrics
            && let Some((kind, base)) = open_metrics_part(name, kind_of)
        {
            return (name, kind, Suffix::None, base);
        }
        (name, MetricKind::Unknown, Suffix::None, name)
    }

    fn kind_under_own_name(&self, kind: Declared) -> MetricKind {
        match kind {
            // An OpenMetrics counter's samples end in `_total`; one that does not is nobody's.
            Declared::Counter if self.format == Format::OpenMetrics => MetricKind::Unknown,
            Declared::Counter => MetricKind::Counter,
            Declared::Gauge | Declared::Info | Declared::StateSet => MetricKind::Gauge,
            Declared::Histogram => MetricKind::Histogram,
            Declared::Summary => MetricKind::Summary,
            Declared::GaugeHistogram | Declared::Unknown => MetricKind::Unknown,
        }
    }

    pub(super) fn finish(self) -> Parsed {
        let Self { open, mut metadata, samples, .. } = self;
        let mut duplicates = 0;
        let mut blocks = Vec::with_capacity(open.len());
        for Open { mut block, declared_as } in open {
            if let Some(known) = metadata.get_mut(&declared_as) {
                block.family.help = Cow::Owned(known.help.clone());
            }
            duplicates += drop_duplicates(&mut block.points);
            blocks.push(block);
        }
        Parsed { blocks, samples, duplicates }
    }
}

/// The samples of OpenMetrics that Prometheus keeps under their full names.
fn open_metrics_part(name: &str, kind_of: impl Fn(&str) -> Option<Declared>) -> Option<(MetricKind, &str)> {
    let parts = [
        ("_total", Declared::Counter, MetricKind::Counter),
        ("_info", Declared::Info, MetricKind::Gauge),
        ("_bucket", Declared::GaugeHistogram, MetricKind::Gauge),
        ("_gcount", Declared::GaugeHistogram, MetricKind::Gauge),
        ("_gsum", Declared::GaugeHistogram, MetricKind::Gauge),
    ];
    parts.into_iter().find_map(|(ending, declared, kind)| {
        let base = name.strip_suffix(ending)?;
        (kind_of(base) == Some(declared)).then_some((kind, base))
    })
}

/// The page's texts repeat: one copy of each.
fn shared(texts: &mut HashSet<Arc<str>>, text: &str) -> Arc<str> {
    if let Some(known) = texts.get(text) {
        return Arc::clone(known);
    }
    let new: Arc<str> = text.into();
    texts.insert(Arc::clone(&new));
    new
}

/// Keeps the first of points with the same suffix and labels. Says how many went.
fn drop_duplicates(points: &mut Vec<Point>) -> usize {
    if points.len() < 2 {
        return 0;
    }
    let before = points.len();
    let mut seen = HashSet::with_capacity(before);
    points.retain(|point| seen.insert((point.suffix, point.labels.clone())));
    before - points.len()
}
