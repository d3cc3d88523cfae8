//! What was answered 2xx is in the ledger exactly once, however often the agent is killed and the event repeated.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use rusqlite::{Connection, OpenFlags};

use crate::support::{Agent, post};

const ROUNDS: u64 = 10;
const WRITERS: u64 = 4;
const INPUT_TOKENS: u64 = 7;

#[test]
fn events_answered_2xx_are_in_the_ledger_exactly_once() {
    let folder = Arc::new(tempfile::tempdir().expect("a folder"));
    let (mut answered, mut sent) = (BTreeSet::new(), BTreeSet::new());
    for round in 0..ROUNDS {
        let mut agent = start(&folder);
        let writers: Vec<_> = (0..WRITERS).map(|writer| write_until_killed(agent.port(), round, writer)).collect();
        std::thread::sleep(Duration::from_millis(150 + 70 * (round % 5)));
        agent.kill();
        for writer in writers {
            let (taken, tried) = writer.join().expect("a writer does not panic");
            answered.extend(taken);
            sent.extend(tried);
        }
    }
    assert!(
        answered.len() as u64 > ROUNDS * WRITERS,
        "only {} events were taken: too few to mean anything",
        answered.len()
    );

    let agent = start(&folder);
    let held = ledger(&agent.data());
    let lost: Vec<_> = answered.iter().filter(|id| !held.contains_key(*id)).collect();
    assert!(lost.is_empty(), "{} of {} answered events are lost: {lost:?}", lost.len(), answered.len());
    let doubled: Vec<_> = held.iter().filter(|(_, count)| **count != 1).collect();
    assert!(doubled.is_empty(), "counted more than once: {doubled:?}");
    assert!(held.keys().all(|id| sent.contains(id)), "the ledger holds what nobody sent");

    // A client that got no answer sends again: everything it ever sent, to be sure.
    for id in &sent {
        let answer = agent.post("/v1/usage", &event(id)).expect("an answer");
        assert!((200..300).contains(&answer.status), "{}", answer.body);
    }
    let held = ledger(&agent.data());
    assert_eq!(held.len(), sent.len());
    assert!(held.values().all(|count| *count == 1), "a repeat counted twice");
    let totals = agent.get("/v1/usage?since=24h&by=provider,model");
    assert_eq!(totals.status, 200, "{}", totals.body);
    let expected = (sent.len() as u64 * INPUT_TOKENS).to_string();
    assert!(totals.body.contains(&expected), "{expected} input tokens in all: {}", totals.body);
}

fn start(folder: &Arc<tempfile::TempDir>) -> Agent {
    let agent = Agent::start_in(folder, "log: {level: warn}\n");
    agent.wait_for("/healthz");
    agent
}

fn event(id: &str) -> String {
    let usage = format!(r#"{{"prompt_tokens":{INPUT_TOKENS},"completion_tokens":0,"total_tokens":{INPUT_TOKENS}}}"#);
    format!(
        r#"{{"id":"{id}","provider":"openai","model":"gpt-5","api":"openai.chat","feature":"chat","usage":{usage}}}"#
    )
}

type Written = (Vec<String>, Vec<String>);

/// Posts one event after another, and every third time two at once, until nobody answers any more.
fn write_until_killed(port: u16, round: u64, writer: u64) -> std::thread::JoinHandle<Written> {
    std::thread::spawn(move || {
        let (mut answered, mut sent) = (Vec::new(), Vec::new());
        for number in 0.. {
            let id = format!("kill-{round}-{writer}-{number}");
            let mut ids = vec![id.clone()];
            if number % 3 == 0 {
                ids.push(format!("{id}-b"));
            }
            let events: Vec<_> = ids.iter().map(|id| event(id)).collect();
            let body = if events.len() == 1 { events[0].clone() } else { format!("[{}]", events.join(",")) };
            sent.extend(ids.clone());
            match post(port, "/v1/usage", &body) {
                Some(answer) if (200..300).contains(&answer.status) => answered.extend(ids),
                Some(answer) => panic!("{}: {}", answer.status, answer.body),
                None => break,
            }
        }
        (answered, sent)
    })
}

/// How often each of our ids stands in the ledger, read from the file behind the agent's back.
fn ledger(data: &Path) -> BTreeMap<String, i64> {
    let files = std::fs::read_dir(data).expect("the storage folder").flatten().map(|entry| entry.path());
    let mut held = BTreeMap::new();
    for file in files.filter(|file| std::fs::read(file).is_ok_and(|bytes| bytes.starts_with(b"SQLite format 3\0"))) {
        let database = Connection::open_with_flags(&file, OpenFlags::SQLITE_OPEN_READ_ONLY).expect("a database");
        for (table, column) in id_columns(&database) {
            let query =
                format!("select \"{column}\", count(*) from \"{table}\" where \"{column}\" like 'kill-%' group by 1");
            let mut statement = database.prepare(&query).expect("a query");
            let rows =
                statement.query_map([], |row| Ok((row.get::<_, String>(0)?, row.get::<_, i64>(1)?))).expect("rows");
            for row in rows {
                let (id, count) = row.expect("text and a number");
                *held.entry(id).or_insert(0) += count;
            }
        }
    }
    held
}

/// Tables with a column for an event's id: one, wherever it is.
fn id_columns(database: &Connection) -> Vec<(String, String)> {
    let query = "select t.name, c.name from sqlite_schema t, pragma_table_info(t.name) c \
                 where t.type = 'table' and c.name in ('id', 'event_id')";
    let mut statement = database.prepare(query).expect("a query");
    let rows = statement.query_map([], |row| Ok((row.get(0)?, row.get(1)?))).expect("rows");
    rows.map(|row| row.expect("two names")).collect()
}
