//! The newest exporters and servers, as `tests/provide` has put them into the cache.

use std::path::{Path, PathBuf};

/// A program of the newest set: `postgres_exporter`, `redis_exporter`, `node_exporter`, `blackbox_exporter`,
/// `pgbouncer_exporter`, `prometheus`, `promtool`, `alertmanager`, `amtool`.
pub fn newest(program: &str) -> PathBuf {
    provided(&format!("peers/{program}"))
}

/// moto's server, from a Python environment of its own.
pub fn moto_server() -> PathBuf {
    provided("moto/bin/moto_server")
}

/// The root file system with PostgreSQL 18, pgvector, Redis 8 and Valkey, for `chroot`.
pub fn newest_root() -> PathBuf {
    provided("root")
}

/// What a path under that root is called inside it.
pub fn inside_newest(path: &Path) -> PathBuf {
    Path::new("/").join(path.strip_prefix(newest_root()).expect("a path under the root"))
}

fn provided(what: &str) -> PathBuf {
    let home = || PathBuf::from(std::env::var_os("HOME").expect("a home"));
    let cache = std::env::var_os("SIDEWATCH_TEST_CACHE").map(PathBuf::from);
    let cache = cache.or_else(|| Some(PathBuf::from(std::env::var_os("XDG_CACHE_HOME")?).join("sidewatch-test")));
    let path = cache.unwrap_or_else(|| home().join(".cache/sidewatch-test")).join(what);
    assert!(path.exists(), "{} is not there: run tests/provide", path.display());
    path
}
