//! The section `storage:`.

use std::path::PathBuf;
use std::time::Duration;

use crate::model::render_duration;
use crate::store::Limits;
use crate::yaml::Fields;

/// Without a folder, history is kept in memory for so long.
const MEMORY_RETENTION: Duration = Duration::from_hours(2);

/// What the agent keeps, and where.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Storage {
    /// The folder of the ledger; `None` for `path: none`: everything in memory.
    pub path: Option<PathBuf>,
    /// What the history may hold.
    pub limits: Limits,
    /// `retention` as it is written. History in memory keeps less of it; [`Storage::shortfall`] says so.
    pub asked: Duration,
}

impl Default for Storage {
    fn default() -> Self {
        let path = std::env::var_os("SIDEWATCH_DATA").map_or_else(|| PathBuf::from("./sidewatch-data"), PathBuf::from);
        Self {
            path: Some(path),
            limits: Limits { retention: MEMORY_RETENTION, max_series: 200_000 },
            asked: MEMORY_RETENTION,
        }
    }
}

impl Storage {
    /// Reads `storage: {path, retention, max_series}`.
    ///
    /// History lives in memory until the disk store is built, so `retention` holds up to two hours for now.
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
        let retention = fields.duration("retention").unwrap_or(MEMORY_RETENTION);
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
        Self { path, limits: Limits { retention: retention.min(MEMORY_RETENTION), max_series }, asked: retention }
    }

    /// What to tell the user when less is kept than the file asks for.
    pub fn shortfall(&self) -> Option<String> {
        (self.asked > self.limits.retention).then(|| {
            let (asked, kept) = (render_duration(self.asked), render_duration(self.limits.retention));
            format!("storage.retention is {asked}, but history is kept in memory so far, for {kept}")
        })
    }
}
