//! The demo's model calls: usage events as an app would post them, through the same meter.

use std::time::Duration;

use tokio::time;
use tracing::warn;

use crate::ingest::usage::parse_body;
use crate::model::Millis;

use super::Agent;

/// One simulated call of each model so often.
const EVERY: Duration = Duration::from_secs(2);

impl Agent {
    /// Starts the simulated calls. Only the demo does this.
    pub fn simulate_usage(&self) {
        let stop = self.0.supervisor.stop_token().clone();
        let meter = self.0.meter.clone();
        self.0.supervisor.spawn("simulated usage", stop.clone(), move || {
            let (meter, stop) = (meter.clone(), stop.clone());
            async move {
                let mut tick = time::interval(EVERY);
                while stop.run_until_cancelled(tick.tick()).await.is_some() {
                    let now = Millis::now();
                    let Ok(events) = parse_body(calls(now).as_bytes(), now) else { continue };
                    if let Err(why) = meter.take(events).await {
                        warn!(error = %why, "simulated usage was not taken");
                    }
                }
            }
        });
    }
}

/// A few calls, in the shapes in which the providers report them. Sizes drift with the clock.
fn calls(now: Millis) -> String {
    let drift = now.0 / 2000 % 50;
    serde_json::json!([
        {
            "provider": "openai", "model": "gpt-5-mini", "api": "openai.chat", "feature": "chat (simulated)",
            "duration_seconds": 0.8, "outcome": "ok",
            "usage": {
                "prompt_tokens": 900 + drift * 10, "completion_tokens": 150 + drift, "total_tokens": 1050 + drift * 11,
                "prompt_tokens_details": {"cached_tokens": 640}, "completion_tokens_details": {"reasoning_tokens": 90},
            },
        },
        {
            "provider": "anthropic", "model": "claude-haiku-4-5", "api": "anthropic.messages", "feature": "search (simulated)",
            "duration_seconds": 1.3, "outcome": "ok",
            "usage": {"input_tokens": 40, "cache_read_input_tokens": 9000, "output_tokens": 220 + drift},
        },
    ])
    .to_string()
}
