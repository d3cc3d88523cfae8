//! What every part runs on: supervised tasks, the one loop, the HTTP client, TLS, telemetry.

pub mod connect;
pub mod every;
pub mod heap;
pub mod http_client;
pub mod journal;
pub mod own_metrics;
pub mod process;
pub mod resolve;
pub mod supervise;
pub mod telemetry;
pub mod tls;

#[cfg(test)]
pub(crate) mod test_server;
