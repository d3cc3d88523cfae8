//! Connection pools against what the project's PostgreSQL lets in.
//!
//! A pool's size is read off the environment, `max_connections` off the command line or the environment; where a file may say it, nothing is
//! compared. Behind a PgBouncer only its own pools reach the server.

use std::sync::Arc;

use super::super::wire::Inspect;
use super::environment::Environment;
use super::{Advice, Server, words};

/// PostgreSQL's own default.
const DEFAULT_MAX_CONNECTIONS: u32 = 100;
/// Kept back for superusers: `superuser_reserved_connections`.
const RESERVED: u32 = 3;

const POSTGRES: Server = Server {
    programs: &["postgres"],
    images: &["postgres", "postgresql", "pgvector", "postgis", "timescaledb"],
    clients: &[
        "psql",
        "pg_dump",
        "pg_dumpall",
        "pg_restore",
        "pg_basebackup",
        "pg_receivewal",
        "pg_isready",
        "pgbench",
        "createdb",
        "vacuumdb",
    ],
};
const PGBOUNCER: Server = Server { programs: &["pgbouncer"], images: &["pgbouncer"], clients: &["psql"] };

/// What one container has to do with pools.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Pooling {
    /// Compose's project; only containers of one project are compared.
    project: Arc<str>,
    role: Role,
    /// The setting that holds its largest pool, and the pool's size.
    pool: Option<(String, u32)>,
}

#[derive(Debug, Default, PartialEq)]
enum Role {
    /// Uses a server, or has nothing to do with one.
    #[default]
    Client,
    Pooler,
    /// A server and its `max_connections`, where that can be known.
    Server(Option<u32>),
}

impl Pooling {
    /// Reads one container.
    pub(super) fn of(inspect: &Inspect, project: &Arc<str>, environment: &Environment<'_>) -> Self {
        let role = if POSTGRES.is_run_by(inspect) {
            Role::Server(max_connections(inspect, environment))
        } else if PGBOUNCER.is_run_by(inspect) {
            Role::Pooler
        } else {
            Role::Client
        };
        let pool = match role {
            Role::Server(_) => None,
            _ => environment.pairs().filter_map(pool).max_by_key(|(_, size)| *size),
        };
        Self { project: Arc::clone(project), role, pool }
    }
}

/// `…POOL_SIZE=20`, or a URL's `connection_limit=20`.
fn pool((name, value): (&str, &str)) -> Option<(String, u32)> {
    let upper = name.to_ascii_uppercase();
    let of_something_else = ["MIN", "REDIS", "VALKEY", "HTTP", "THREAD", "WORKER", "CELERY"];
    let sized =
        ["POOL_SIZE", "POOL_MAX", "MAX_POOL", "DB_POOL", "MAX_DB_CONNECTIONS"].iter().any(|end| upper.ends_with(end));
    if sized && !of_something_else.iter().any(|word| upper.contains(word)) {
        return Some((name.to_owned(), value.trim().parse().ok()?));
    }
    if !value.starts_with("postgres") {
        return None;
    }
    let url = url::Url::parse(value).ok()?;
    let limits = ["connection_limit", "pool_size", "pool_max_conns"];
    let (limit, size) = url.query_pairs().find(|(key, _)| limits.contains(&&**key))?;
    Some((format!("{name} {limit}"), size.parse().ok()?))
}

/// As `postgres` reads its command line: `-c max_connections=N`, `--max-connections=N`, `-N N`.
fn max_connections(inspect: &Inspect, environment: &Environment<'_>) -> Option<u32> {
    let mut given = None;
    let mut words = words(inspect).peekable();
    while let Some(word) = words.next() {
        let setting = word.trim_start_matches("--").trim_start_matches("-c").replace('-', "_");
        match setting.split_once('=') {
            Some(("max_connections", value)) => given = value.parse().ok(),
            Some(("config_file", _)) => return None,
            _ if word == "-N" => given = words.peek().and_then(|value| value.parse().ok()),
            _ => {}
        }
    }
    let bitnami = || environment.pairs().find(|(name, _)| *name == "POSTGRESQL_MAX_CONNECTIONS")?.1.parse().ok();
    Some(given.or_else(bitnami).unwrap_or(DEFAULT_MAX_CONNECTIONS))
}

/// Advice by the place of the container it is for. A project with several servers is left alone: whose clients are whose is not known.
pub(super) fn compare(all: &[&Pooling]) -> Vec<(usize, Advice)> {
    let mut advice = Vec::new();
    for (at, server) in all.iter().enumerate() {
        let Role::Server(Some(limit)) = server.role else { continue };
        let same: Vec<_> = all.iter().enumerate().filter(|(_, other)| other.project == server.project).collect();
        let servers = same.iter().filter(|(_, other)| matches!(other.role, Role::Server(_))).count();
        if server.project.is_empty() || servers > 1 {
            continue;
        }
        let pooled = same.iter().any(|(_, other)| other.role == Role::Pooler);
        let reaching = same.iter().filter(|(_, other)| !pooled || other.role == Role::Pooler);
        let pools: Vec<_> = reaching.filter_map(|(at, other)| Some((*at, other.pool.as_ref()?))).collect();
        advice.extend(against(limit, at, &pools));
    }
    advice
}

fn against(limit: u32, server: usize, pools: &[(usize, &(String, u32))]) -> Vec<(usize, Advice)> {
    let room = limit.saturating_sub(RESERVED);
    let mut advice: Vec<_> = pools
        .iter()
        .filter(|(_, (_, size))| *size > room)
        .map(|(at, (setting, size))| {
            let words = format!(
                "the pool is larger than what PostgreSQL lets in (max_connections {limit}, {RESERVED} of them reserved): lower it, or \
                 put PgBouncer between"
            );
            (*at, Advice::new(setting, &size.to_string(), words))
        })
        .collect();
    let sum: u64 = pools.iter().map(|(_, (_, size))| u64::from(*size)).sum();
    if advice.is_empty() && sum > u64::from(room) {
        let words = format!(
            "the pools of this project add up to {sum} connections, {RESERVED} are reserved: lower them, raise max_connections, or put \
             PgBouncer between"
        );
        advice.push((server, Advice::new("max_connections", &limit.to_string(), words)));
    }
    advice
}
