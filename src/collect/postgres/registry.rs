//! Every question, in the order in which they are asked: what tells most first, what costs most last.
//!
//! A new question is a line here.

use super::query::Query;
use super::{
    activity, advice, background, blocking, buffercache, checkpointer, connections, database, idle, indexes, locks,
    parameters, replication, server, statements, tables, vacuum, vector, wal_receiver, wraparound,
};

/// All of them. Which ones a server is asked depends on its version, its extensions and the role's rights.
pub static ALL: &[&Query] = &[
    &activity::ACTIVITY,
    &connections::CONNECTIONS,
    &connections::SLOTS,
    &blocking::BLOCKED,
    &background::LONG_TRANSACTIONS,
    &replication::STANDBYS,
    &wal_receiver::RECEIVER,
    &idle::IDLE,
    &vacuum::PROGRESS,
    &vacuum::AUTOMATIC,
    &server::SERVER,
    &parameters::PARAMETERS,
    &database::STATISTICS,
    &database::CONFLICTS,
    &database::ROLES,
    &locks::LOCKS,
    &replication::ROLE,
    &replication::SLOTS,
    &background::WRITER,
    &checkpointer::CHECKPOINTER,
    &background::LOCATION,
    &background::ARCHIVER,
    &tables::ACCESS,
    &tables::BLOCKS,
    &background::WAL,
    &database::LIMITS,
    &wraparound::WRAPAROUND,
    &checkpointer::BY_SESSIONS,
    &statements::STATEMENTS,
    &indexes::INDEXES,
    &buffercache::SUMMARY,
    &vector::SEARCH,
    &advice::ADVICE,
    &tables::SIZES,
    &vector::INDEXES,
    &database::SIZES,
];
