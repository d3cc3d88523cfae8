//! Writes the page of `/metrics`.
//!
//! In: what every source shows now. Out: text 0.0.4 or OpenMetrics 1.0.0.
//!
//! Invariants: each family stands on the page once, with the metadata of its first source; each series at most once, with
//! the value of its first source; names and labels are those of the store in both formats.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::hash::BuildHasher as _;
use std::ops::Range;
use std::sync::Arc;

use super::Format;
use super::families::{Gathered, gather, open_metrics_type};
use crate::model::{Family, Labels, Millis, Point, is_stale, is_valid_label_name, write_float};
use crate::store::{self, Picture};

/// What page is asked for.
#[derive(Debug, Clone, Copy, Default)]
pub struct Options<'o> {
    /// Its format.
    pub format: Format,
    /// Only series of this job (`?job=`).
    pub job: Option<&'o str>,
    /// Write the times of collection, but on none of the agent's own series: those are of now, whenever they are asked for.
    pub timestamps: bool,
}

/// Families of the agent's own, which never carry timestamps.
const WITHOUT_TIMES: [&str; 3] = ["sidewatch_", "process_", "llm_"];

/// How long a piece of a page grows before it is handed on, but for a family that is longer by itself. Short enough that
/// the allocator gives its memory to whoever comes next.
const PIECE: usize = 32 << 10;

/// Writes the page, a piece after the other: thousands of series need no megabyte in one place.
pub fn encode(pictures: &[Arc<Picture>], options: Options<'_>, mut hand_on: impl FnMut(&str)) {
    let families = gather(pictures, options.job);
    let mut piece = String::with_capacity(PIECE + PIECE / 4);
    let out = &mut piece;
    for gathered in families.values() {
        if out.len() >= PIECE {
            hand_on(out);
            out.clear();
        }
        let start = out.len();
        match options.format {
            Format::Text => write_text_metadata(out, gathered.family),
            Format::OpenMetrics => {
                let (name, kind) = open_metrics_type(gathered.family, &families);
                write_open_metrics_metadata(out, gathered.family, name, kind);
            }
        }
        let head = out.len();
        write_family(out, gathered, options);
        if out.len() == head {
            out.truncate(start);
        }
    }
    if options.format == Format::OpenMetrics {
        out.push_str("# EOF\n");
    }
    hand_on(out);
}

fn write_text_metadata(out: &mut String, family: &Family) {
    if !family.help.is_empty() {
        push_all(out, &["# HELP ", &family.name, " "]);
        write_escaped(out, &family.help, false);
        out.push('\n');
    }
    push_all(out, &["# TYPE ", &family.name, " ", family.kind.text_name(), "\n"]);
}

fn write_open_metrics_metadata(out: &mut String, family: &Family, name: &str, kind: &str) {
    push_all(out, &["# TYPE ", name, " ", kind, "\n"]);
    if !family.help.is_empty() {
        push_all(out, &["# HELP ", name, " "]);
        write_escaped(out, &family.help, true);
        out.push('\n');
    }
}

fn write_family(out: &mut String, gathered: &Gathered<'_>, options: Options<'_>) {
    let mut written = gathered.may_repeat().then(Written::default);
    let timed = options.timestamps && !WITHOUT_TIMES.iter().any(|own| gathered.family.name.starts_with(own));
    for (picture, block) in &gathered.shares {
        for point in block.points.iter().filter(|point| !is_stale(point.value)) {
            let start = out.len();
            push_all(out, &[&gathered.family.name, point.suffix.as_str()]);
            let of_job = write_series(out, point, &picture.labels, options.job);
            let new = start..out.len();
            if !of_job || written.as_mut().is_some_and(|written| !written.take(out, new)) {
                out.truncate(start);
                continue;
            }
            out.push(' ');
            write_float(out, point.value);
            if timed {
                write_time(out, picture.at, options.format);
            }
            out.push('\n');
        }
    }
}

/// Writes the labels of a point under its target's. False when they are of another job than the wanted one.
fn write_series(out: &mut String, point: &Point, target: &Labels, job: Option<&str>) -> bool {
    if store::disjoint(&point.labels, target) {
        write_labels(out, &point.labels, target);
        // A target with another job than the wanted one was left out before.
        return job.is_none() || target.get("job").or_else(|| point.labels.get("job")) == job;
    }
    let all = store::overlay(&point.labels, target);
    write_labels(out, &all, &Labels::empty());
    job.is_none() || all.get("job") == job
}

/// Merges two sorted label sets without a common name onto the page.
fn write_labels(out: &mut String, a: &Labels, b: &Labels) {
    let (mut a, mut b) = (a.iter().peekable(), b.iter().peekable());
    let mut separator = '{';
    loop {
        let next = match (a.peek(), b.peek()) {
            (Some(x), Some(y)) if x.0 <= y.0 => a.next(),
            (Some(_), None) => a.next(),
            _ => b.next(),
        };
        let Some((name, value)) = next else { break };
        // As with families: one name that the formats do not allow would cost the whole page.
        if !is_valid_label_name(name) {
            continue;
        }
        out.push(separator);
        push_all(out, &[name, "=\""]);
        write_escaped(out, value, true);
        out.push('"');
        separator = ',';
    }
    if separator == ',' {
        out.push('}');
    }
}

fn write_time(out: &mut String, at: Millis, format: Format) {
    out.push(' ');
    match format {
        Format::Text => out.push_str(&at.0.to_string()),
        Format::OpenMetrics => {
            use std::fmt::Write as _;
            let _ = write!(out, "{}.{:03}", at.0.div_euclid(1000), at.0.rem_euclid(1000));
        }
    }
}

fn push_all(out: &mut String, texts: &[&str]) {
    for text in texts {
        out.push_str(text);
    }
}

/// Escapes backslashes, line feeds and, where asked, quotes.
pub fn write_escaped(out: &mut String, text: &str, quotes: bool) {
    let mut rest = text;
    while let Some(at) = rest.bytes().position(|b| matches!(b, b'\\' | b'\n') || (quotes && b == b'"')) {
        out.push_str(&rest[..at]);
        out.push_str(match rest.as_bytes()[at] {
            b'\\' => "\\\\",
            b'\n' => "\\n",
            _ => "\\\"",
        });
        rest = &rest[at + 1..];
    }
    out.push_str(rest);
}

/// The series of one family that stand on the page already, by their place there.
#[derive(Default)]
struct Written {
    at: HashMap<u64, Range<usize>>,
}

impl Written {
    /// Notes the series at `new`; false when the same text was noted before.
    fn take(&mut self, page: &str, new: Range<usize>) -> bool {
        let hash = self.at.hasher().hash_one(&page[new.clone()]);
        match self.at.entry(hash) {
            Entry::Occupied(known) => page[known.get().clone()] != page[new],
            Entry::Vacant(free) => {
                free.insert(new);
                true
            }
        }
    }
}

#[cfg(test)]
mod tests;
