//! The one entry for usage: priced, put into the ledger, then counted.
//!
//! In: events from any source. Out: how many were taken. An event that was taken is on disk; a repeat counts nothing.

use std::sync::Arc;

use arc_swap::ArcSwap;
use prometheus_client::registry::Registry;

use super::budget::{Budget, Budgets};
use super::event::UsageEvent;
use super::ledger::{Key, Ledger, LedgerError, LedgerPath, Observer, PATIENCE, Record, Total, totals};
use super::metrics::Metrics;
use super::money::Usd;
use super::price::PriceTable;
use crate::model::{Block, Millis};

/// What became of a request's events.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Taken {
    /// How many are in the ledger now, repeats among them.
    pub accepted: usize,
    /// How many of them were there before and count nothing.
    pub repeated: usize,
}

/// Why nothing was taken.
#[derive(Debug, thiserror::Error)]
pub enum TakeError {
    /// The sender should come again. HTTP says 503 with `Retry-After`.
    #[error("usage was not taken: {0}")]
    Ledger(#[from] LedgerError),
    /// No call costs so much; coming again helps nothing. HTTP says 400.
    #[error("event {index} costs {cost} USD by the prices in use: more than any call can cost")]
    Absurd {
        /// Which of the events, from 0.
        index: usize,
        /// What it would cost.
        cost: Usd,
    },
}

impl TakeError {
    /// Seconds after which it is worth coming again; `None` where it is not.
    pub fn retry_after(&self) -> Option<u64> {
        matches!(self, Self::Ledger(_)).then_some(PATIENCE.as_secs())
    }
}

/// Takes usage in. Cheap to clone; clones share everything.
#[derive(Clone)]
pub struct Meter {
    prices: Arc<ArcSwap<PriceTable>>,
    budgets: Budgets,
    ledger: Ledger,
}

impl Meter {
    /// Opens the ledger and registers the `llm_*` metrics.
    ///
    /// # Errors
    /// The ledger cannot be opened.
    pub fn open(
        path: &LedgerPath,
        prices: PriceTable,
        budgets: Vec<Budget>,
        registry: &mut Registry,
    ) -> Result<Self, LedgerError> {
        let metrics = Metrics::register(registry);
        let budgets = Budgets::new(budgets);
        let shared = budgets.clone();
        let observer: Observer = Arc::new(move |record: &Record| {
            metrics.count(record);
            shared.add(record);
        });
        let ledger = Ledger::open(path, observer)?;
        Ok(Self { prices: Arc::new(ArcSwap::from_pointee(prices)), budgets, ledger })
    }

    /// Puts a reloaded configuration's prices and budgets in place. Budgets that did not change keep their sums; the
    /// others' gauges are absent until [`Self::refresh_budgets`].
    pub fn reload(&self, prices: PriceTable, budgets: Vec<Budget>) {
        self.prices.store(Arc::new(prices));
        self.budgets.replace(budgets);
    }

    /// Takes events, all or none. When this answers, they are on disk and counted.
    ///
    /// # Errors
    /// The ledger is busy, its disk is full or gone, or an event costs more than any call can: nothing was promised.
    pub async fn take(&self, events: Vec<UsageEvent>) -> Result<Taken, TakeError> {
        let prices = self.prices.load_full();
        let records: Vec<Record> = events.into_iter().map(|event| priced(&prices, event)).collect();
        let accepted = records.len();
        if accepted == 0 {
            return Ok(Taken { accepted, repeated: 0 });
        }
        if let Some(index) = records.iter().position(|record| !record.cost.is_bookable()) {
            return Err(TakeError::Absurd { index, cost: records[index].cost.total() });
        }
        let fates = self.ledger.append(records).await?;
        Ok(Taken { accepted, repeated: fates.iter().filter(|new| !**new).count() })
    }

    /// Totals of the ledger since a time.
    ///
    /// # Errors
    /// The ledger cannot be read.
    pub async fn totals(&self, since: Millis, by: Vec<Key>) -> Result<Vec<Total>, LedgerError> {
        self.ledger.read(move |connection| totals(connection, since, &by)).await
    }

    /// The budgets' gauges as far as they are known at `now`, at once. A budget whose period began since the last
    /// [`Self::refresh_budgets`] is absent.
    pub fn budget_blocks(&self, now: Millis) -> Vec<Block> {
        self.budgets.blocks(now)
    }

    /// Asks the ledger what was spent in periods that began since the last time; cheap when none did.
    ///
    /// # Errors
    /// The ledger cannot be read: those budgets stay absent.
    pub async fn refresh_budgets(&self, now: Millis) -> Result<(), LedgerError> {
        self.budgets.refresh(now, &self.ledger).await
    }

    /// How often taking usage in panicked and went on. Counted with the other tasks' panics.
    pub fn panics(&self) -> u64 {
        self.ledger.panics()
    }
}

fn priced(prices: &PriceTable, event: UsageEvent) -> Record {
    let cost = prices.cost(&event.provider, &event.model, event.service_tier, &event.usage);
    Record { event, cost }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::usage::wire::parse_event;

    fn meter() -> (Meter, Registry) {
        let mut registry = Registry::default();
        let meter = Meter::open(&LedgerPath::Memory, PriceTable::built_in(), vec![Budget::usual()], &mut registry);
        (meter.unwrap(), registry)
    }

    fn page(registry: &Registry) -> String {
        let mut page = String::new();
        prometheus_client::encoding::text::encode(&mut page, registry).unwrap();
        page
    }

    fn events(body: &str, now: Millis) -> Vec<UsageEvent> {
        let items: Vec<serde_json::Value> = serde_json::from_str(body).unwrap();
        items.iter().map(|item| parse_event(item, now).unwrap()).collect()
    }

    const BODY: &str = r#"[{"id":"a","provider":"openai","model":"gpt-5","api":"openai.chat","feature":"search","duration_seconds":0.5,"time_to_first_token_seconds":0.3,"estimated":true,
        "usage":{"prompt_tokens":1000000,"completion_tokens":100000,"total_tokens":1100000}},
        {"id":"b","provider":"openai","model":"gpt-99","api":"openai.chat","usage":{"prompt_tokens":7,"completion_tokens":1,"total_tokens":8}},
        {"id":"c","provider":"openai","model":"gpt-5","outcome":"stream_cut"}]"#;

    #[tokio::test]
    async fn a_repeat_raises_nothing() {
        let (meter, registry) = meter();
        let now = Millis(1_790_000_000_000);
        assert!(meter.budget_blocks(now).iter().all(|block| block.points.is_empty()), "not known yet");
        meter.refresh_budgets(now).await.unwrap();
        for repeated in [0, 3] {
            let taken = meter.take(events(BODY, now)).await.unwrap();
            assert_eq!(taken, Taken { accepted: 3, repeated });
        }
        let page = page(&registry);
        for line in [
            r#"llm_requests_total{provider="openai",model="gpt-5",feature="search",team="",operation="chat",outcome="ok"} 1"#,
            r#"llm_tokens_total{provider="openai",model="gpt-5",feature="search",team="",type="input"} 1000000"#,
            r#"llm_cost_usd_total{provider="openai",model="gpt-5",feature="search",team="",type="input"} 1.25"#,
            r#"llm_unpriced_tokens_total{provider="openai",model="gpt-99",feature="",team=""} 8"#,
            r#"llm_unmetered_requests_total{provider="openai",model="gpt-5",feature="",team=""} 1"#,
            r#"llm_request_duration_seconds_count{provider="openai",model="gpt-5",feature="search",team=""} 1"#,
            r#"llm_time_to_first_token_seconds_sum{provider="openai",model="gpt-5",feature="search",team=""} 0.3"#,
            r#"llm_output_tokens_per_second_sum{provider="openai",model="gpt-5",feature="search",team=""} 500000.0"#,
            r#"llm_estimated_tokens_total{provider="openai",model="gpt-5",feature="search",team="",type="output"} 100000"#,
            r#"gen_ai_client_token_usage_sum{gen_ai_operation_name="chat",gen_ai_provider_name="openai",gen_ai_request_model="gpt-5",gen_ai_response_model="gpt-5",gen_ai_token_type="input"} 1000000.0"#,
            r#"gen_ai_client_operation_duration_seconds_count{gen_ai_operation_name="chat",gen_ai_provider_name="openai",gen_ai_request_model="gpt-5",gen_ai_response_model="gpt-5",error_type=""} 1"#,
            "sidewatch_usage_labels_limited_total 0",
        ] {
            assert!(page.contains(line), "{line} is not in\n{page}");
        }
        let blocks = meter.budget_blocks(now);
        let known = blocks.iter().filter(|block| !block.points.is_empty());
        let values: Vec<_> = known.map(|block| (block.family.name.as_ref(), block.points[0].value)).collect();
        assert_eq!(
            values,
            [("llm_budget_limit_usd", 100.0), ("llm_budget_spent_usd", 2.25), ("llm_budget_remaining_ratio", 0.9775)]
        );
        // What the events added is what the ledger says.
        meter.reload(PriceTable::built_in(), vec![]);
        meter.reload(PriceTable::built_in(), vec![Budget::usual()]);
        assert!(meter.budget_blocks(now)[1].points.is_empty());
        meter.refresh_budgets(now).await.unwrap();
        assert_eq!(meter.budget_blocks(now)[1].points, blocks[1].points);
        meter.reload(PriceTable::built_in(), vec![Budget::usual()]);
        assert_eq!(meter.budget_blocks(now)[1].points, blocks[1].points, "what did not change is kept");
        let tomorrow = Millis(now.0 + 86_400_000);
        assert!(meter.budget_blocks(tomorrow)[1].points.is_empty(), "a new period is unknown until asked for");
        let totals = meter.totals(Millis(0), vec![Key::Model]).await.unwrap();
        assert_eq!((totals[0].key[0].as_str(), totals[0].cost.to_string()), ("gpt-5", "2.25".into()));
        assert_eq!(totals[1].unpriced_tokens, 8);
    }

    #[tokio::test]
    async fn a_cost_that_cannot_be_is_the_senders_mistake() {
        let mut registry = Registry::default();
        let mut prices = PriceTable::built_in();
        let text = "providers: {openai: {models: {dear: {input: 90000000, output: 1}}}}";
        crate::usage::price::parse(text, "mine.yml", &crate::model::Problems::new(), &mut prices);
        let meter = Meter::open(&LedgerPath::Memory, prices, vec![], &mut registry).unwrap();
        let body = r#"[{"provider":"openai","model":"gpt-5","usage":{"prompt_tokens":1}},
            {"provider":"openai","model":"dear","usage":{"prompt_tokens":1000000}}]"#;
        let error = meter.take(events(body, Millis(0))).await.unwrap_err();
        assert_eq!(error.retry_after(), None);
        assert_eq!(error.to_string(), "event 1 costs 90000000 USD by the prices in use: more than any call can cost");
        assert_eq!(meter.totals(Millis(0), vec![]).await.unwrap()[0].requests, 0);
    }
}
