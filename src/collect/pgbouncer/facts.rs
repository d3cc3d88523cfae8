//! The commands that tell one figure a row: SHOW LISTS and SHOW CONFIG; and SHOW VERSION.

use crate::collect::Look;
use crate::model::Family;

use super::console::Row;

/// One command whose rows are names and values.
pub struct Facts {
    /// The command.
    pub command: &'static str,
    /// The columns of name and value.
    pub columns: [&'static str; 2],
    known: &'static [(&'static str, Family)],
}

impl Facts {
    /// Adds a row's value, if it is a known one.
    pub fn read(&self, row: Row<'_>, look: &mut Look) {
        let family = self.known.iter().find(|(name, _)| row.text(0) == Some(name)).map(|(_, family)| family);
        if let Some((family, value)) = family.zip(row.number(1)) {
            look.value(family, value);
        }
    }
}

/// How many there are of what.
pub static LISTS: Facts = Facts {
    command: "SHOW LISTS",
    columns: ["list", "items"],
    known: &[
        ("databases", Family::gauge("pgbouncer_databases", "Databases known to PgBouncer.")),
        ("users", Family::gauge("pgbouncer_users", "Users known to PgBouncer.")),
        ("pools", Family::gauge("pgbouncer_pools", "Pools: pairs of a database and a user.")),
        ("free_clients", Family::gauge("pgbouncer_free_clients", "Places for clients that are made and free.")),
        ("used_clients", Family::gauge("pgbouncer_used_clients", "Clients connected, in any state.")),
        ("login_clients", Family::gauge("pgbouncer_login_clients", "Clients logging in.")),
        (
            "free_servers",
            Family::gauge("pgbouncer_free_servers", "Places for server connections that are made and free."),
        ),
        ("used_servers", Family::gauge("pgbouncer_used_servers", "Server connections, in any state.")),
        ("dns_names", Family::gauge("pgbouncer_cached_dns_names", "Host names in the DNS cache.")),
        ("dns_zones", Family::gauge("pgbouncer_cached_dns_zones", "DNS zones in the cache.")),
        ("dns_queries", Family::gauge("pgbouncer_in_flight_dns_queries", "DNS questions under way.")),
    ],
};

/// The settings.
pub static CONFIG: Facts = Facts {
    command: "SHOW CONFIG",
    columns: ["key", "value"],
    known: &[
        (
            "max_client_conn",
            Family::gauge("pgbouncer_config_max_client_connections", "max_client_conn: clients taken at most."),
        ),
        (
            "max_user_connections",
            Family::gauge(
                "pgbouncer_config_max_user_connections",
                "max_user_connections: server connections that one user may have; 0 for no limit.",
            ),
        ),
    ],
};

static VERSION_INFO: Family =
    Family::gauge("pgbouncer_version_info", "The version of PgBouncer in the label; always 1.");

/// SHOW VERSION.
pub const VERSION: (&str, [&str; 1]) = ("SHOW VERSION", ["version"]);

/// Adds the version.
pub fn read_version(row: Row<'_>, look: &mut Look) {
    if let Some(version) = row.text(0) {
        look.labeled(&VERSION_INFO, [("version", version)], 1.0);
    }
}
