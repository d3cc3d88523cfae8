//! The section `storage:`.

use std::path::PathBuf;
use std::time::Duration;

use crate::model::render_duration;
use crate::store::Limits;
use crate::yaml::Fields;

/// With a folder, history is kept for so long unless the file says otherwise.
const RETENTION: Duration = Duration::from_hours(24);
/// Without a folder, it is kept in memory for so long at most.
const MEMORY_RETENTION: Duration = Duration::from_hours(2);

/// What the agent keeps, and where.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Storage {
    /// The folder of the ledger and the history; `None` for `path: none`: everything in memory.
    pub path: Option<PathBuf>,
    /// What the history may hold.
    pub limits: Limits,
    /// `retention` as it is written. History in memory keeps less of it; [`Storage::shortfall`] says so.
    pub asked: Duration,
}

impl Default for Storage {
    fn default() -> Self {
        let path = std::env::var_os("SIDEWATCH_DATA").map_or_else(|| PathBuf::from("./sidewatch-data"), PathBuf::from);
        Self { path: Some(path), limits: Limits { retention: RETENTION, max_series: 200_000 }, asked: RETENTION }
    }
}

impl Storage {
    /// Reads `storage: {path, retention, max_series}`.
    ///
    /// Without a folder `retention` holds up to two hours.
    pub fn read(mut fields: Fields<'_>) -> Self {
        let default = Self::default();
        let path = match fields.text("path") {
            None => default.path,
            Some(path) if path == "none" => None,
            Some(path) if path.is_empty() => {
                fields.wrong("path", "`path` is empty", "write a folder, or `none` for memory only");
                None
            }
            Some(path) => Some(path.into()),
        };
        let retention =
            fields.duration("retention").unwrap_or(if path.is_some() { RETENTION } else { MEMORY_RETENTION });
        if retention < Duration::from_mins(1) {
            fields.wrong(
                "retention",
                "`retention` is shorter than a minute: no rule could be evaluated",
                "write 10m or more",
            );
        }
        let max_series = fields.number("max_series").unwrap_or(default.limits.max_series);
        if max_series == 0 {
            fields.wrong("max_series", "`max_series` is zero: nothing could be stored", "write 10000 or more");
        }
        fields.finish();
        let kept = if path.is_some() { retention } else { retention.min(MEMORY_RETENTION) };
        Self { path, limits: Limits { retention: kept, max_series }, asked: retention }
    }

    /// What to tell the user when less is kept than the file asks for.
    pub fn shortfall(&self) -> Option<String> {
        (self.asked > self.limits.retention).then(|| {
            let (asked, kept) = (render_duration(self.asked), render_duration(self.limits.retention));
            format!("storage.retention is {asked}, but without a folder (`path: none`) history is kept in memory, for {kept}")
        })
    }
}
