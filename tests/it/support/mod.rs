//! Real servers, small fakes, and the agent itself; each ends when dropped.

mod agent;
mod alertmanager;
mod app;
mod browser;
mod docker;
mod docker_proxy;
mod grpc;
mod http;
mod inbox;
mod moto;
mod nginx;
mod openai;
pub mod page;
pub mod peers;
mod pgbouncer;
mod podman;
mod postgres;
mod process;
mod prometheus;
mod random;
mod recorder;
mod redis;
mod remote_write;
mod silent;
mod smtp;
mod webhook;

pub use agent::{Agent, binary, command};
pub use alertmanager::RealAlertmanager;
pub use app::HttpApp;
pub use browser::Browser;
pub use docker::{BASE, DockerEngine};
pub use docker_proxy::DockerProxy;
pub use grpc::GrpcServer;
pub use http::{Answer, HttpServer, Kept, Request, get, post, request, send, send_within};
pub use inbox::Inbox;
pub use moto::Moto;
pub use nginx::NginxProxy;
pub use openai::{KEY, OpenAiServer};
pub use page::Page;
pub use pgbouncer::RealPgBouncer;
pub use podman::Podman;
pub use postgres::{PostgresSetup, RealPostgres, as_newest, as_postgres, program};
pub use process::{Running, free_port, run, run_with_input, try_run, wait_until};
pub use prometheus::RealPrometheus;
pub use random::Random;
pub use recorder::{Play, Recorder};
pub use redis::{RealRedis, RedisSetup};
pub use remote_write::{Written, write_body, write_into};
pub use silent::{BlackHole, Silent};
pub use smtp::{MailMood, SmtpSink};
pub use webhook::{Alert, WebhookSink};

use std::path::Path;

/// The checkout: shipped rules and the like are taken from there.
pub fn repository() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}
