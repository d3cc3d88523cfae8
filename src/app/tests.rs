//! Nothing that hangs holds up anything else: shown on a paused clock, where any delay would be exact.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use axum::body::Body;
use axum::http::Request;
use prometheus_client::registry::Registry;
use tokio::time::{self, Instant};
use tower::ServiceExt as _;

use crate::collect::{Board, Collect, CollectError, Happenings, Kind, Look, Target, runner, simulated};
use crate::model::{Labels, Millis, Point, Suffix};
use crate::notify::{self, Notifier};
use crate::rules::runner::Rules;
use crate::runtime::own_metrics::{LookMetrics, Own, QueryMetrics, RuleMetrics, ServeMetrics, WriteMetrics};
use crate::runtime::supervise::Supervisor;
use crate::serve::{self, Asking, Door, Parts};
use crate::store::{Limits, Picture, Store};
use crate::usage::{LedgerPath, Meter, PriceTable};

/// Takes the connection, so to say, and never answers.
struct BlackHole;

#[async_trait]
impl Collect for BlackHole {
    async fn look(&self, _deadline: Instant) -> Look {
        std::future::pending().await
    }

    fn unanswered(&self, error: CollectError) -> Look {
        let mut look = Look::new();
        look.unhealthy(error);
        look
    }
}

const RULES: &str = "groups: [{name: g, interval: 5s, rules: [{alert: Down, expr: up == 0}]}]";

#[tokio::test(start_paused = true)]
async fn black_holed_targets_delay_no_evaluation_and_no_answer() {
    let supervisor = Supervisor::new();
    let mut registry = Registry::default();
    let limits = Limits { retention: Duration::from_mins(10), max_series: 10_000 };
    let store = Store::new(limits);
    let board = Board::new(store.clone(), LookMetrics::register(&mut registry));
    let rules = Rules::new(store.clone(), RuleMetrics::register(&mut registry), "http://sidewatch:9640");
    let problems = crate::model::Problems::new();
    let specs = crate::rules::read_file("rules.yml", RULES, &problems);
    assert!(problems.is_empty(), "{problems:?}");
    rules.replace(&specs, Duration::from_secs(5), &Labels::empty());
    rules.start(&supervisor, Arc::new(|_, _| ()));
    for number in 0..50 {
        let kind = Kind::Simulated(simulated::Settings { part: simulated::Part::App, start: Millis(0) });
        let (interval, timeout) = (Duration::from_secs(10), Duration::from_secs(5));
        let target = Target { name: format!("hole-{number}").into(), interval, timeout, labels: Labels::empty(), kind };
        runner::start(
            &supervisor,
            Arc::new(target),
            Arc::new(BlackHole),
            board.clone(),
            supervisor.stop_token().clone(),
        );
    }

    let meter = Meter::open(&LedgerPath::Memory, PriceTable::built_in(), Vec::new(), &mut Registry::default()).unwrap();
    let notify_metrics = notify::Metrics::register(&mut Registry::default());
    let notifier =
        Notifier::start(&notify::Settings::default(), notify_metrics, &supervisor, "http://sidewatch:9640").unwrap();
    let metrics = ServeMetrics::register(&mut registry);
    let asking = Asking::new(QueryMetrics::register(&mut registry));
    let writes = WriteMetrics::register(&mut registry);
    let own = Own::new(registry, "test", Vec::new());
    let door = Door::closed();
    door.open(Parts {
        settings: Arc::default(),
        store,
        board,
        happenings: Happenings::default(),
        own: own.clone(),
        meter,
        rules,
        notifier,
        reload: Arc::new(|| Box::pin(async { Ok(()) })),
        metrics,
        limits,
        asking,
        writes,
    });

    // Ten minutes, with answers asked for at odd moments: while looks hang, and while they are given up.
    for path in ["/metrics", "/health", "/healthz", "/"].into_iter().cycle().take(120) {
        time::sleep(Duration::from_millis(4999)).await;
        let asked = Instant::now();
        let request = Request::get(path).body(Body::empty()).unwrap();
        serve::router(door.clone()).oneshot(request).await.unwrap();
        assert_eq!(asked.elapsed(), Duration::ZERO, "{path} waited for something");
    }
    let (evaluations, late) = counted(&own.picture(Millis(0)), "sidewatch_rule_group_delay_seconds");
    assert!((119..=121).contains(&evaluations) && late == 0, "{evaluations} evaluations, {late} of them late");
    let (looks, late) = counted(&own.picture(Millis(0)), "sidewatch_look_delay_seconds");
    assert!((50 * 59..=50 * 61).contains(&looks) && late == 0, "{looks} looks, {late} of them late");
    assert!(supervisor.stop(Duration::from_secs(1)).await);
}

/// How often a histogram counted, and how often beyond its lowest bucket.
fn counted(own: &Picture, histogram: &str) -> (i64, i64) {
    let block = own.blocks.iter().find(|block| block.family.name == histogram).expect("the agent's own histogram");
    let sum = |of: &dyn Fn(&Point) -> bool| {
        block.points.iter().filter(|point| of(point)).map(|point| point.value as i64).sum()
    };
    let all: i64 = sum(&|point| point.suffix == Suffix::Count);
    let lowest: i64 = sum(&|point| point.labels.get("le") == Some("0.0005"));
    (all, all - lowest)
}
