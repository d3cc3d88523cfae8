//! The agent's own registry as blocks, so that its metrics go the way of every other target's.

use prometheus_client::encoding::text;
use prometheus_client::registry::Registry;

use super::{Format, Limits, parse};
use crate::model::Block;

/// What a registry of `prometheus-client` holds now.
///
/// The library offers no other way to its values than its own OpenMetrics page, so that page is read back.
pub fn gather(registry: &Registry) -> Vec<Block> {
    let mut page = String::new();
    if text::encode(&mut page, registry).is_err() {
        tracing::error!("a metric of the agent's own registry cannot be encoded; its metrics are missing");
        return Vec::new();
    }
    match parse(&page, Format::OpenMetrics, Limits::UNBOUNDED) {
        Ok(parsed) => parsed.blocks.into_iter().map(with_one_full_stop).collect(),
        Err(error) => {
            tracing::error!(%error, "the agent's own registry encodes to a page that cannot be read; its metrics are missing");
            Vec::new()
        }
    }
}

/// The library puts a full stop behind every help text, also behind one that has its own.
fn with_one_full_stop(mut block: Block) -> Block {
    if let Some(short) = block.family.help.strip_suffix("..") {
        block.family.help = format!("{short}.").into();
    }
    block
}

#[cfg(test)]
mod tests {
    use prometheus_client::metrics::counter::Counter;
    use prometheus_client::metrics::family::Family;
    use prometheus_client::metrics::histogram::Histogram;
    use prometheus_client::metrics::info::Info;
    use prometheus_client::registry::Unit;

    use super::*;
    use crate::model::{MetricKind, Suffix};

    #[test]
    fn a_registry_becomes_blocks_with_full_prometheus_names() {
        let mut registry = Registry::default();
        let requests = Family::<Vec<(String, String)>, Counter>::default();
        requests.get_or_create(&vec![("path".into(), "a\"b\\c\nd".into())]).inc_by(3);
        registry.register("llm_requests", "Requests", requests);
        let duration = Histogram::new([0.5, 1.0]);
        duration.observe(0.7);
        registry.register_with_unit("took", "Duration", Unit::Seconds, duration);
        registry.register("sidewatch_build", "Build.", Info::new(vec![("version", "1")]));

        let blocks = gather(&registry);
        let named = |name: &str| blocks.iter().find(|block| block.family.name == name).unwrap();
        let counter = named("llm_requests_total");
        assert_eq!(counter.family.kind, MetricKind::Counter);
        assert_eq!(counter.family.help, "Requests.");
        assert_eq!(counter.points[0].value.to_bits(), 3f64.to_bits());
        assert_eq!(counter.points[0].labels.get("path"), Some("a\"b\\c\nd"));
        let histogram = named("took_seconds");
        assert_eq!(histogram.family.kind, MetricKind::Histogram);
        let bucket = |le: &str| histogram.points.iter().find(|p| p.labels.get("le") == Some(le)).unwrap().value;
        assert_eq!((bucket("0.5"), bucket("1.0"), bucket("+Inf")), (0.0, 1.0, 1.0));
        assert!(histogram.points.iter().any(|p| p.suffix == Suffix::Sum && p.value.to_bits() == 0.7f64.to_bits()));
        let info = &named("sidewatch_build_info").family;
        assert_eq!((info.kind, &*info.help), (MetricKind::Gauge, "Build."));
    }
}
