//! Metrics that others leave in files.

use crate::model::Family;

use super::visit::{Found, Outcome, Visit};

static ERROR: Family =
    Family::gauge("node_textfile_scrape_error", "Whether a file with metrics could not be read (1).");

/// `node_textfile_scrape_error`, as `node_exporter`'s collector `textfile` without a folder: rules ask for it.
pub(super) fn collect(visit: &mut Visit<'_>) -> Outcome {
    visit.value(&ERROR, 0.0);
    Ok(Found::Seen)
}
