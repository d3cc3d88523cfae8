//! Every question, in the order in which they are asked: what tells most first, what costs most last.
//!
//! A new question is a line here.

use super::query::Query;
use super::{activity, background, database, locks, parameters, replication, server, tables};

/// All of them. Which ones a server is asked depends on its version, its extensions and the role's rights.
pub static ALL: &[&Query] = &[
    &activity::ACTIVITY,
    &background::LONG_TRANSACTIONS,
    &replication::STANDBYS,
    &tables::VACUUMS,
    &server::SERVER,
    &parameters::PARAMETERS,
    &database::STATISTICS,
    &database::CONFLICTS,
    &database::ROLES,
    &locks::LOCKS,
    &replication::ROLE,
    &replication::SLOTS,
    &background::WRITER,
    &background::CHECKPOINTER,
    &background::ARCHIVER,
    &tables::ACCESS,
    &tables::BLOCKS,
    &background::WAL,
    &database::LIMITS,
    &tables::SIZES,
    &database::SIZES,
];
