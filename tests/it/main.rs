//! The agent as its users meet it: the real process against real servers.
//!
//! One binary, so that it links once. A test starts what it needs on private ports in its own folder and ends it again.
//! A server that cannot be started fails the test; none is ever skipped.

mod support;

mod acknowledged;
mod alert_storm;
mod alertmanager_api;
mod alertmanager_differential;
mod alertmanagers;
mod amtool;
mod asked_for;
mod black_hole;
mod canary;
mod channels;
mod channels_survive_kill;
mod dashboard;
mod demo;
mod discovery;
mod docker_api;
mod docker_events;
mod docker_figures;
mod failure_table;
mod history_survives_kill;
mod hold_missing;
mod image;
mod incidents;
mod language_table;
mod layers;
mod ledger_survives_kill;
mod mail_server;
mod message_templates;
mod metrics_page;
mod outbox_survives_kill;
mod own_voice;
mod parity;
mod pgbouncer_faults;
mod postgres_faults;
mod postgres_hostile;
mod postgres_load;
mod postgres_pooled;
mod postgres_vectors;
mod probe_faults;
mod prometheus_api;
mod promql_differential;
mod redis_faults;
mod redis_keys;
mod redis_load;
mod reload;
mod remote_write;
mod rule_tests;
mod runbooks;
mod sns;
mod status_page;
mod test_receiver;
mod test_route;
mod why;
