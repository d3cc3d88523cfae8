//! For the tests of every kind: settings read as the configuration reads them, and one look.

use std::time::Duration;

use tokio::time::Instant;

use crate::model::Problems;
use crate::yaml::{Fields, parse};

use super::{Collect, Look, TargetSettings};

/// The settings, or every complaint. `keys` is the target's YAML; `url` in it, as the other common keys, is not the kind's.
pub fn read<S: TargetSettings>(url: &str, keys: &str) -> Result<S, Vec<String>> {
    let node = parse(keys, "f.yml").unwrap();
    let problems = Problems::new();
    let mut fields = Fields::of(&node, "a target", &problems).unwrap();
    fields.take("url");
    let settings = S::read(url, &mut fields);
    fields.finish();
    let said: Vec<_> = problems.into_sorted().iter().map(ToString::to_string).collect();
    if said.is_empty() { Ok(settings.unwrap()) } else { Err(said) }
}

/// One look of a probe, whose verdict must be in `probe_success` too.
pub async fn probe_once(probe: &impl Collect, within: Duration) -> Look {
    let look = probe.look(Instant::now() + within).await;
    assert_eq!(look.get("probe_success", &[]), Some(f64::from(u8::from(look.healthy))));
    look
}

/// Its failures in words.
pub fn said(look: &Look) -> Vec<String> {
    look.failures.iter().map(ToString::to_string).collect()
}
