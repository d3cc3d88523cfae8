//! What every part runs on: supervised tasks, the one loop, the HTTP client, TLS, telemetry.

pub mod connect;
pub mod http_client;
pub mod resolve;
pub mod supervise;
pub mod tls;

#[cfg(test)]
pub(crate) mod test_server;
