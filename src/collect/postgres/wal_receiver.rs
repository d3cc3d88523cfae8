//! A standby's stream from its primary: `pg_stat_wal_receiver`.

use crate::collect::Look;
use crate::model::Family;

use super::query::Query;
use super::rows::{Column, Table, add_columns};
use super::settings::Settings;

/// No row on a primary; what is not known yet is NULL. Positions are shown as the exporter shows them: the rest after
/// 4 PiB.
///
/// Up to 12 what was flushed is called `received_lsn`. The name that a version lacks is found in `absent` and is NULL:
/// SQL looks for a name in the inner query first.
pub const RECEIVER: Query = Query::new(
    "stat_wal_receiver",
    "SELECT w.* FROM (SELECT NULL::pg_lsn AS received_lsn, NULL::pg_lsn AS flushed_lsn) absent \
        CROSS JOIN LATERAL (SELECT trim(both '''' FROM substring(conninfo FROM '\\mhost=([^ ]*)')) AS upstream_host, \
        slot_name, status, (receive_start_lsn - '0/0'::pg_lsn) % (2^52)::bigint AS start, receive_start_tli AS start_tli, \
        (coalesce(flushed_lsn, received_lsn) - '0/0'::pg_lsn) % (2^52)::bigint AS flushed, received_tli, \
        extract(epoch FROM last_msg_send_time) AS sent_at, extract(epoch FROM last_msg_receipt_time) AS received_at, \
        (latest_end_lsn - '0/0'::pg_lsn) % (2^52)::bigint AS latest_end, extract(epoch FROM latest_end_time) AS ended_at, \
        substring(slot_name FROM 'repmgr_slot_([0-9]*)') AS upstream_node FROM pg_stat_wal_receiver) w",
    read,
)
.about_others();

const LABELS: [&str; 3] = ["slot_name", "status", "upstream_host"];

const fn total(name: &'static str, column: &'static str, help: &'static str) -> Column {
    Column::new(column, Family::counter(name, help))
}

const fn gauge(name: &'static str, column: &'static str, help: &'static str) -> Column {
    Column::new(column, Family::gauge(name, help))
}

static COLUMNS: [Column; 9] = [
    total("pg_stat_wal_receiver_receive_start_lsn", "start", "Where streaming began in the log, in bytes."),
    gauge("pg_stat_wal_receiver_receive_start_tli", "start_tli", "The timeline on which streaming began."),
    total("pg_stat_wal_receiver_flushed_lsn", "flushed", "Up to where the log is received and on disk, in bytes."),
    gauge("pg_stat_wal_receiver_received_tli", "received_tli", "The timeline of what was received last."),
    total(
        "pg_stat_wal_receiver_last_msg_send_time",
        "sent_at",
        "When the primary sent the last message, in seconds since the epoch.",
    ),
    total(
        "pg_stat_wal_receiver_last_msg_receipt_time",
        "received_at",
        "When the last message arrived, in seconds since the epoch.",
    ),
    total("pg_stat_wal_receiver_latest_end_lsn", "latest_end", "The end of the primary's log as last said, in bytes."),
    total("pg_stat_wal_receiver_latest_end_time", "ended_at", "When the primary said so, in seconds since the epoch."),
    gauge("pg_stat_wal_receiver_upstream_node", "upstream_node", "The primary's node number in repmgr's slot name."),
];

fn read(table: &Table, _: &Settings, look: &mut Look) {
    for row in table.rows() {
        add_columns(look, &COLUMNS, &row.labels(&LABELS), row);
    }
}
