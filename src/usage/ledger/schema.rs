//! The ledger's file: how it is opened, its tables, and how older ones are brought up to date.

use std::fs::{DirBuilder, OpenOptions};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::Path;
use std::time::Duration;

use rusqlite::{Connection, OpenFlags};

use super::{LedgerError, LedgerPath};

/// How long SQLite waits for another process's lock; below the senders' patience.
const BUSY: Duration = Duration::from_millis(1500);

/// Each step brings the schema from its index to the next version (`PRAGMA user_version`). Never change a step.
pub(super) const MIGRATIONS: [&str; 2] = [
    "
CREATE TABLE usage (
    id TEXT NOT NULL PRIMARY KEY,
    at INTEGER NOT NULL,
    provider TEXT NOT NULL,
    model TEXT NOT NULL,
    api TEXT,
    service_tier TEXT NOT NULL,
    feature TEXT,
    team TEXT,
    outcome TEXT NOT NULL,
    duration_ms INTEGER,
    response_id TEXT,
    source TEXT NOT NULL,
    input INTEGER,
    audio_input INTEGER,
    image_input INTEGER,
    video_input INTEGER,
    cached_input INTEGER,
    cache_write INTEGER,
    cache_write_1h INTEGER,
    output INTEGER,
    reasoning INTEGER,
    audio_output INTEGER,
    image_output INTEGER,
    searches INTEGER,
    audio_ms INTEGER,
    cost_pico INTEGER,
    computed_pico INTEGER,
    priced INTEGER NOT NULL,
    unpriced_tokens INTEGER NOT NULL,
    raw TEXT
) STRICT;
CREATE INDEX usage_at ON usage (at);
",
    "
ALTER TABLE usage ADD COLUMN first_token_ms INTEGER;
ALTER TABLE usage ADD COLUMN estimated INTEGER NOT NULL DEFAULT 0;
",
];

/// Opens the writer's connection and brings the schema up to date.
pub fn open(path: &LedgerPath) -> Result<Connection, LedgerError> {
    let mut connection = match path {
        LedgerPath::Memory => Connection::open_in_memory()?,
        LedgerPath::File(path) => {
            create(path).map_err(|source| LedgerError::Open { path: path.clone(), source })?;
            Connection::open(path)?
        }
    };
    connection.busy_timeout(BUSY)?;
    connection.pragma_update_and_check(None, "journal_mode", "WAL", |_| Ok(()))?;
    connection.pragma_update(None, "synchronous", "FULL")?;
    migrate(&mut connection)?;
    Ok(connection)
}

/// Opens a connection that only reads.
pub fn open_reader(path: &Path) -> Result<Connection, LedgerError> {
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(path, flags)?;
    connection.busy_timeout(BUSY)?;
    Ok(connection)
}

/// Makes the folder and the file, readable by the owner alone: they tell who spends what.
fn create(path: &Path) -> std::io::Result<()> {
    if let Some(folder) = path.parent().filter(|folder| !folder.as_os_str().is_empty()) {
        DirBuilder::new().recursive(true).mode(0o700).create(folder)?;
    }
    OpenOptions::new().create(true).append(true).mode(0o600).open(path).map(drop)
}

fn migrate(connection: &mut Connection) -> Result<(), LedgerError> {
    let transaction = connection.transaction_with_behavior(rusqlite::TransactionBehavior::Immediate)?;
    let version: u32 = transaction.query_row("PRAGMA user_version", [], |row| row.get(0))?;
    let Some(steps) = MIGRATIONS.get(version as usize..) else {
        let source = std::io::Error::other(format!("it was written by a newer sidewatch (schema {version})"));
        return Err(LedgerError::Open { path: transaction.path().unwrap_or_default().into(), source });
    };
    for step in steps {
        transaction.execute_batch(step)?;
    }
    transaction.pragma_update(None, "user_version", MIGRATIONS.len() as u32)?;
    transaction.commit()?;
    Ok(())
}
