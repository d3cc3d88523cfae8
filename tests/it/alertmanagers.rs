//! `alerting.alertmanagers`: alerts handed to real Alertmanagers.

use std::sync::Arc;
use std::time::Duration;

use serde_json::Value;
use tempfile::TempDir;

use crate::support::{Agent, RealAlertmanager, WebhookSink, request, wait_until};

const PATIENCE: Duration = Duration::from_mins(1);

/// Fires while the file that the app's health is read from says so: rules over what is written.
const RULES: &str = r#"
groups:
- name: shop
  rules:
  - alert: QueueLong
    expr: shop_queue_length > 10
    labels: {severity: critical, queue: '{{ $labels.queue | toUpper }}'}
    annotations: {summary: 'The queue holds {{ $value }} orders', runbook_url: 'http://wiki/queue'}
"#;

const NOBODY: &str = "route: {receiver: nobody}\nreceivers: [{name: nobody}]\n";

fn config(alerting: &str) -> String {
    format!(
        "global: {{evaluation_interval: 500ms, external_labels: {{environment: test, severity: low}}}}\n\
         rule_files: [rules.yml]\nalerting:\n{alerting}\n"
    )
}
