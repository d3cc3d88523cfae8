//! What every part runs on: supervised tasks, the one loop, the HTTP client, TLS, telemetry.

pub mod every;
pub mod http_client;
pub mod own_metrics;
pub mod process;
pub mod supervise;
pub mod telemetry;
pub mod tls;
