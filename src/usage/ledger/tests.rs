use std::os::unix::fs::PermissionsExt;
use std::sync::atomic::{AtomicU64, Ordering};

use super::*;
use crate::model::{Millis, Outcome};
use crate::usage::event::{ServiceTier, Source, Usage};
use crate::usage::price::PriceTable;
use crate::usage::tokens::{TokenType, Tokens};

fn record(id: Option<&str>, input: u64) -> Record {
    let usage = Usage { tokens: Tokens::default().with(TokenType::Input, input), ..Usage::default() };
    let event = UsageEvent {
        id: id.map(ToOwned::to_owned),
        provider: "openai".into(),
        model: "gpt-5".into(),
        api: None,
        service_tier: ServiceTier::Standard,
        at: Millis(1_000),
        feature: Some("search".into()),
        team: None,
        outcome: Outcome::Ok,
        duration: None,
        time_to_first_token: None,
        estimated: false,
        response_id: None,
        usage,
        raw: None,
        source: Source::Post,
    };
    let cost = PriceTable::built_in().cost(&event.provider, &event.model, event.service_tier, &event.usage);
    Record { event, cost }
}

fn nobody() -> Observer {
    Arc::new(|_| {})
}

async fn all(ledger: &Ledger) -> Total {
    ledger.read(|connection| totals(connection, Millis(0), &[])).await.unwrap().remove(0)
}

#[tokio::test]
async fn a_repeated_id_is_accepted_and_counts_once() {
    let seen = Arc::new(AtomicU64::new(0));
    let counter = Arc::clone(&seen);
    let observer: Observer = Arc::new(move |_| {
        counter.fetch_add(1, Ordering::SeqCst);
    });
    let ledger = Ledger::open(&LedgerPath::Memory, observer).unwrap();
    let batch =
        vec![record(Some("a"), 10), record(Some("a"), 10), record(Some("b"), 1), record(None, 5), record(None, 5)];
    assert_eq!(ledger.append(batch).await.unwrap(), [true, false, true, true, true]);
    assert_eq!(ledger.append(vec![record(Some("a"), 10)]).await.unwrap(), [false]);
    let sum = all(&ledger).await;
    assert_eq!(
        (sum.requests, sum.tokens.get(TokenType::Input), sum.tokens.get(TokenType::Output)),
        (4, Some(21), None)
    );
    assert_eq!(sum.cost.to_string(), "0.00002625");
    assert_eq!(seen.load(Ordering::SeqCst), 4);
}

#[tokio::test]
async fn an_answered_event_outlives_a_kill() {
    let folder = tempfile::tempdir().unwrap();
    let path = LedgerPath::File(folder.path().join("deep/ledger.db"));
    let ledger = Ledger::open(&path, nobody()).unwrap();
    ledger.append(vec![record(Some("a"), 10)]).await.unwrap();
    // A kill: nothing is closed, no checkpoint is made; what is on disk now is all there is.
    let copy = folder.path().join("copy");
    std::fs::create_dir(&copy).unwrap();
    for file in ["ledger.db", "ledger.db-wal"] {
        std::fs::copy(folder.path().join("deep").join(file), copy.join(file)).unwrap();
    }
    let after = Ledger::open(&LedgerPath::File(copy.join("ledger.db")), nobody()).unwrap();
    assert_eq!(all(&after).await.requests, 1);
    assert_eq!(after.append(vec![record(Some("a"), 10)]).await.unwrap(), [false]);
    let mode = std::fs::metadata(folder.path().join("deep/ledger.db")).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
}

#[tokio::test]
async fn a_reopened_ledger_goes_on() {
    let folder = tempfile::tempdir().unwrap();
    let path = LedgerPath::File(folder.path().join("ledger.db"));
    for fate in [true, false] {
        let ledger = Ledger::open(&path, nobody()).unwrap();
        assert_eq!(ledger.append(vec![record(Some("a"), 10)]).await.unwrap(), [fate]);
    }
}

#[tokio::test]
async fn a_locked_ledger_refuses_in_time_and_nothing_is_half_taken() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("ledger.db");
    let ledger = Ledger::open(&LedgerPath::File(file.clone()), nobody()).unwrap();
    let other = Connection::open(&file).unwrap();
    other.execute_batch("BEGIN IMMEDIATE").unwrap();
    let started = Instant::now();
    let refused = ledger.append(vec![record(Some("a"), 10), record(Some("b"), 1)]).await;
    assert_eq!(refused.unwrap_err().reason(), "busy");
    assert!(started.elapsed() < PATIENCE + Duration::from_secs(1));
    other.execute_batch("ROLLBACK").unwrap();
    assert_eq!(ledger.append(vec![record(Some("a"), 10)]).await.unwrap(), [true]);
    assert_eq!(all(&ledger).await.requests, 1);
}

#[tokio::test]
async fn a_full_disk_is_said_and_taken_again_later() {
    let folder = tempfile::tempdir().unwrap();
    let ledger = Ledger::open(&LedgerPath::File(folder.path().join("ledger.db")), nobody()).unwrap();
    let limit = |pages: u32| {
        move |connection: &Connection| connection.pragma_update_and_check(None, "max_page_count", pages, |_| Ok(()))
    };
    ledger.on_writer(limit(1)).await.unwrap();
    let many: Vec<_> = (0..500).map(|at| record(Some(&format!("id-{at}")), 1)).collect();
    assert_eq!(ledger.append(many.clone()).await.unwrap_err().reason(), "disk_full");
    ledger.on_writer(limit(100_000)).await.unwrap();
    assert!(ledger.append(many).await.unwrap().into_iter().all(|new| new));
}

#[tokio::test]
async fn totals_are_exact_and_told_apart() {
    let ledger = Ledger::open(&LedgerPath::Memory, nobody()).unwrap();
    // Nine million dollars each: the sum is beyond 64 bits of pico-dollars.
    let mut dear = record(None, 0);
    dear.event.usage.reported_cost = Some(crate::usage::Usd::parse("9000000.000000000001").unwrap());
    dear.event.provider = "openrouter".into();
    dear.cost = PriceTable::built_in().cost("openrouter", "x", ServiceTier::Standard, &dear.event.usage);
    ledger.append(vec![dear.clone(), dear, record(None, 3)]).await.unwrap();
    let by = ledger.read(|c| totals(c, Millis(0), &[Key::Provider, Key::Feature, Key::Team, Key::Day])).await.unwrap();
    assert_eq!(by[0].key, ["openrouter", "search", "", "1970-01-01"]);
    assert_eq!(by[0].cost.to_string(), "18000000.000000000002");
    assert_eq!(by[1].key[0], "openai");
    let filter = Filter { provider: Some("OpenAI".into()), ..Filter::default() };
    let spent = ledger.read(move |c| spent(c, Millis(0), Millis(2_000), &filter)).await.unwrap();
    assert_eq!(spent.to_string(), "0.00000375");
}

#[tokio::test]
async fn a_panic_of_the_observer_costs_nobody_an_answer() {
    let observer: Observer = Arc::new(|record| assert_ne!(record.event.id.as_deref(), Some("bad")));
    let ledger = Ledger::open(&LedgerPath::Memory, observer).unwrap();
    assert_eq!(ledger.append(vec![record(Some("bad"), 1), record(Some("b"), 1)]).await.unwrap(), [true, true]);
    assert_eq!((ledger.panics(), all(&ledger).await.requests), (1, 2));
}

#[tokio::test]
async fn a_panic_of_the_writer_is_one_requests_error_and_intake_goes_on() {
    let ledger = Ledger::open(&LedgerPath::Memory, nobody()).unwrap();
    let answer: Result<(), _> = ledger.read(|_| panic!("on purpose")).await;
    assert_eq!(answer.unwrap_err().reason(), "panicked");
    assert_eq!(ledger.append(vec![record(Some("a"), 10)]).await.unwrap(), [true]);
    assert_eq!((ledger.panics(), all(&ledger).await.requests), (1, 1));
}

/// Would count for hours.
fn endless(connection: &Connection) -> rusqlite::Result<i64> {
    let sql = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT count(*) FROM n";
    connection.query_row(sql, [], |row| row.get(0))
}

#[tokio::test]
async fn a_long_question_ends_and_others_are_told_to_come_again() {
    let folder = tempfile::tempdir().unwrap();
    for path in [LedgerPath::Memory, LedgerPath::File(folder.path().join("ledger.db"))] {
        let ledger = Ledger::open(&path, nobody()).unwrap();
        let started = Instant::now();
        let (long, other) = tokio::join!(ledger.read(endless), ledger.read(|_| Ok(())));
        assert_eq!((long.unwrap_err().reason(), other.unwrap_err().reason()), ("reading", "reading"));
        assert!(started.elapsed() < READING + Duration::from_secs(1));
        assert_eq!(ledger.append(vec![record(Some("a"), 10)]).await.unwrap(), [true], "writing is not limited");
    }
}

#[tokio::test]
async fn a_question_ends_when_its_asker_has_gone() {
    let folder = tempfile::tempdir().unwrap();
    let ledger = Ledger::open(&LedgerPath::File(folder.path().join("ledger.db")), nobody()).unwrap();
    let gone = tokio::time::timeout(Duration::from_millis(50), ledger.read(endless)).await;
    assert!(gone.is_err());
    assert_eq!(all(&ledger).await.requests, 0);
}

#[tokio::test]
async fn an_older_ledger_is_brought_up_to_date() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("ledger.db");
    let old = Connection::open(&file).unwrap();
    old.execute_batch(schema::MIGRATIONS[0]).unwrap();
    old.pragma_update(None, "user_version", 1).unwrap();
    drop(old);
    let ledger = Ledger::open(&LedgerPath::File(file), nobody()).unwrap();
    assert_eq!(ledger.append(vec![record(Some("a"), 10)]).await.unwrap(), [true]);
}

#[tokio::test]
async fn the_moment_that_reached_a_limit_is_found() {
    let ledger = Ledger::open(&LedgerPath::Memory, nobody()).unwrap();
    let at = |at, tokens| {
        let mut record = record(None, tokens);
        record.event.at = Millis(at);
        record
    };
    // 1.25 dollars a million.
    ledger.append(vec![at(30, 1_000_000), at(10, 1_000_000), at(20, 1_000_000)]).await.unwrap();
    let ask = |limit: &str| {
        let limit = crate::usage::Usd::parse(limit).unwrap();
        ledger.read(move |c| reached(c, Millis(0), Millis(100), &Filter::default(), limit))
    };
    assert_eq!(ask("2.5").await.unwrap(), Some(Millis(20)));
    assert_eq!(ask("0").await.unwrap(), Some(Millis(10)));
    assert_eq!(ask("3.76").await.unwrap(), None);
}
