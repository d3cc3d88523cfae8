//! Replication: what this server is, who reads from it, what it keeps for them.

use crate::collect::{Look, TargetSettings as _};
use crate::model::{Family, MetricKind, Suffix};

use super::query::Query;
use super::rows::{Column, Table, add_columns};
use super::settings::Settings;

/// Primary or standby, and how far behind. On a primary the lag is 0 by definition, as in the exporter.
pub const ROLE: Query = Query::new(
    "replication",
    "SELECT pg_is_in_recovery() AS is_replica, \
        CASE WHEN NOT pg_is_in_recovery() OR pg_last_wal_receive_lsn() = pg_last_wal_replay_lsn() THEN 0 \
        ELSE greatest(0, extract(epoch FROM now() - pg_last_xact_replay_timestamp())) END AS lag, \
        greatest(0, extract(epoch FROM now() - pg_last_xact_replay_timestamp())) AS last_replay",
    |table, _, look| each(table, look, &[], &ROLE_COLUMNS),
);

/// The write-ahead log that slots hold back.
pub const SLOTS: Query = Query::new(
    "replication_slots",
    "SELECT s.*, h.head - '0/0' AS current, s.confirmed_flush_lsn - '0/0' AS confirmed, \
        h.head - s.restart_lsn AS held \
        FROM pg_replication_slots s, (SELECT CASE WHEN pg_is_in_recovery() THEN pg_last_wal_receive_lsn() \
        ELSE pg_current_wal_lsn() END AS head) h",
    read_slots,
);

/// The standbys that read from here.
pub const STANDBYS: Query = Query::new(
    "stat_replication",
    "SELECT r.application_name, host(r.client_addr) AS client_addr, r.pid, r.state, s.slot_name, \
        h.head - '0/0' AS current, h.head - r.replay_lsn AS behind, extract(epoch FROM r.reply_time) AS replied_at \
        FROM pg_stat_replication r LEFT JOIN pg_replication_slots s ON s.active_pid = r.pid, \
        (SELECT CASE WHEN pg_is_in_recovery() THEN pg_last_wal_receive_lsn() \
        ELSE pg_current_wal_lsn() END AS head) h",
    read_standbys,
)
.about_others();

const STANDBY_LABELS: [&str; 5] = ["application_name", "client_addr", "pid", "slot_name", "state"];
const SLOT_LABELS: [&str; 2] = ["slot_name", "slot_type"];

static ROLE_COLUMNS: [Column; 3] = [
    Column::new("is_replica", Family::gauge("pg_replication_is_replica", "Whether the server is a standby.")),
    Column::new("lag", Family::gauge("pg_replication_lag_seconds", "How far the standby is behind, in seconds.")),
    Column::new(
        "last_replay",
        Family::gauge("pg_replication_last_replay_seconds", "How long ago a transaction was replayed, in seconds."),
    ),
];

static SLOT_COLUMNS: [Column; 4] = [
    Column::new(
        "current",
        Family::gauge(
            "pg_replication_slots_slot_current_wal_lsn",
            "The end of the server's write-ahead log, in bytes.",
        ),
    ),
    Column::new(
        "confirmed",
        Family::gauge(
            "pg_replication_slots_slot_confirmed_flush_lsn",
            "What the slot's reader has confirmed, in bytes.",
        ),
    ),
    Column::new(
        "active",
        Family::gauge("pg_replication_slots_slot_is_active", "Whether somebody reads from the slot."),
    ),
    Column::new(
        "safe_wal_size",
        Family::gauge(
            "pg_replication_slots_safe_wal_size_bytes",
            "What can be written before the slot is lost, in bytes.",
        ),
    ),
];

/// The same facts under the names of versions before 0.20.
static OLD_SLOT_COLUMNS: [Column; 4] = [
    Column::new(
        "current",
        Family::gauge("pg_replication_slot_slot_current_wal_lsn", "The end of the server's write-ahead log, in bytes."),
    ),
    Column::new(
        "confirmed",
        Family::gauge(
            "pg_replication_slot_slot_confirmed_flush_lsn",
            "What the slot's reader has confirmed, in bytes.",
        ),
    ),
    Column::new("active", Family::gauge("pg_replication_slot_slot_is_active", "Whether somebody reads from the slot.")),
    Column::new(
        "safe_wal_size",
        Family::gauge(
            "pg_replication_slot_safe_wal_size_bytes",
            "What can be written before the slot is lost, in bytes.",
        ),
    ),
];

static HELD_COLUMNS: [Column; 2] = [
    Column::new("active", Family::gauge("pg_replication_slots_active", "Whether somebody reads from the slot.")),
    Column::new(
        "held",
        Family::gauge("pg_replication_slots_pg_wal_lsn_diff", "Write-ahead log held back for the slot, in bytes."),
    ),
];

static WAL_STATUS: Family =
    Family::gauge("pg_replication_slots_wal_status", "Whether the slot's log is still there, in a label; always 1.");
static OLD_WAL_STATUS: Family =
    Family::gauge("pg_replication_slot_wal_status", "Whether the slot's log is still there, in a label; always 1.");

static STANDBY_COLUMNS: [Column; 3] = [
    Column::new(
        "current",
        Family::gauge("pg_stat_replication_pg_current_wal_lsn_bytes", "The end of the write-ahead log, in bytes."),
    ),
    Column::new(
        "behind",
        Family::gauge("pg_stat_replication_pg_wal_lsn_diff", "What the standby has not yet replayed, in bytes."),
    ),
    Column::new(
        "replied_at",
        Family::new(
            "pg_stat_replication_reply_time",
            MetricKind::Unknown,
            "When the standby sent its last reply, in seconds since the epoch.",
        ),
    ),
];

fn each(table: &Table, look: &mut Look, labels: &[&'static str], columns: &[Column]) {
    for row in table.rows() {
        add_columns(look, columns, &row.labels(labels), row);
    }
}

fn read_standbys(table: &Table, settings: &Settings, look: &mut Look) {
    let server = settings.instance();
    for row in table.rows() {
        add_columns(look, &STANDBY_COLUMNS, &row.labels_at(&server, &STANDBY_LABELS), row);
    }
}

fn read_slots(table: &Table, settings: &Settings, look: &mut Look) {
    let server = settings.instance();
    each(table, look, &SLOT_LABELS, &SLOT_COLUMNS);
    each(table, look, &SLOT_LABELS, &OLD_SLOT_COLUMNS);
    for row in table.rows() {
        add_columns(look, &HELD_COLUMNS, &row.labels_at(&server, &["database", "slot_name"]), row);
    }
    for row in table.rows().filter(|row| row.text("wal_status").is_some()) {
        let labels = row.labels(&["slot_name", "slot_type", "wal_status"]);
        look.point(&WAL_STATUS, Suffix::None, labels.clone(), 1.0);
        look.point(&OLD_WAL_STATUS, Suffix::None, labels, 1.0);
    }
}
