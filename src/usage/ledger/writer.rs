//! The one thread that writes: what is queued goes into one transaction, then everyone is answered.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use rusqlite::{Connection, params_from_iter, types::Value};
use tokio::sync::{mpsc, oneshot};

use super::{LedgerError, Observer, Record};
use crate::usage::tokens::TokenType;

/// What the writer is asked to do.
pub enum Command {
    /// Take events.
    Append {
        /// The events.
        records: Vec<Record>,
        /// After this nobody waits for them any more.
        deadline: Instant,
        /// Whether each was new.
        reply: oneshot::Sender<Result<Vec<bool>, LedgerError>>,
    },
    /// Read between two transactions.
    Read(Box<dyn FnOnce(&mut Connection) + Send>),
}

/// How many requests may share a transaction.
const GROUP: usize = 128;

type Reply = oneshot::Sender<Result<Vec<bool>, LedgerError>>;

/// Works until every sender is gone, then ends after what is queued. A panic costs the requests at hand an error.
pub fn run(mut connection: Connection, mut commands: mpsc::Receiver<Command>, observer: &Observer, panics: &AtomicU64) {
    while let Some(first) = commands.blocking_recv() {
        // What a panic leaves behind is put right below; replies that it drops are errors to those who wait.
        let step = AssertUnwindSafe(|| work(&mut connection, first, &mut commands, observer));
        if catch_unwind(step).is_ok() {
            continue;
        }
        panics.fetch_add(1, Ordering::Relaxed);
        tracing::error!("the ledger's writer panicked; it goes on");
        if let Err(error) = tidy(&mut connection) {
            tracing::error!(%error, "the ledger's connection could not be tidied");
        }
    }
}

/// No question's limits and no transaction outlive a panic.
fn tidy(connection: &mut Connection) -> rusqlite::Result<()> {
    connection.progress_handler(0, None::<fn() -> bool>)?;
    if connection.is_autocommit() { Ok(()) } else { connection.execute_batch("ROLLBACK") }
}

/// An observer whose panic costs its own record's count only: the events are on disk, and their senders hear so.
pub fn guarded(observer: Observer, panics: Arc<AtomicU64>) -> Observer {
    Arc::new(move |record| {
        if catch_unwind(AssertUnwindSafe(|| observer(record))).is_err() {
            panics.fetch_add(1, Ordering::Relaxed);
            tracing::error!("counting a usage event panicked; it is in the ledger");
        }
    })
}

/// Works off one command and what is queued behind it.
fn work(connection: &mut Connection, first: Command, commands: &mut mpsc::Receiver<Command>, observer: &Observer) {
    let mut group = Vec::new();
    let mut next = Some(first);
    while let Some(command) = next {
        match command {
            Command::Read(ask) => {
                commit(connection, std::mem::take(&mut group), observer);
                ask(connection);
            }
            // Its sender was told to come again; taking it now could count it twice.
            Command::Append { deadline, reply, .. } if deadline <= Instant::now() || reply.is_closed() => {}
            Command::Append { records, reply, .. } => group.push((records, reply)),
        }
        next = if group.len() < GROUP { commands.try_recv().ok() } else { None };
    }
    commit(connection, group, observer);
}

/// One transaction for the whole group.
fn commit(connection: &mut Connection, group: Vec<(Vec<Record>, Reply)>, observer: &Observer) {
    if group.is_empty() {
        return;
    }
    let together: Vec<&[Record]> = group.iter().map(|(records, _)| records.as_slice()).collect();
    match insert(connection, &together) {
        Ok(fates) => {
            for ((records, reply), fate) in group.into_iter().zip(fates) {
                tell(&records, &fate, observer);
                let _ = reply.send(Ok(fate));
            }
        }
        Err(error) => refuse(connection, group, error.into(), observer),
    }
}

/// A lock is everybody's trouble; any other error may be one request's own, so each is tried alone.
fn refuse(connection: &mut Connection, group: Vec<(Vec<Record>, Reply)>, error: LedgerError, observer: &Observer) {
    if group.len() > 1 && !matches!(error, LedgerError::Busy) {
        // Whose sender has gone meanwhile would come again: its events are left to that.
        let waiting = group.into_iter().filter(|(_, reply)| !reply.is_closed());
        waiting.for_each(|one| commit(connection, vec![one], observer));
        return;
    }
    tracing::error!(reason = error.reason(), %error, "the ledger took nothing");
    let mut error = Some(error);
    for (_, reply) in group {
        let _ = reply.send(Err(error.take().unwrap_or(LedgerError::Busy)));
    }
}

fn tell(records: &[Record], fate: &[bool], observer: &Observer) {
    records.iter().zip(fate).filter(|(_, new)| **new).for_each(|(record, _)| observer(record));
}

fn insert(connection: &mut Connection, group: &[&[Record]]) -> rusqlite::Result<Vec<Vec<bool>>> {
    let transaction = connection.transaction_with_behavior(rusqlite::TransactionBehavior::Immediate)?;
    let mut fates = Vec::with_capacity(group.len());
    {
        let mut statement = transaction.prepare_cached(INSERT)?;
        for records in group {
            let fate: rusqlite::Result<Vec<bool>> =
                records.iter().map(|record| Ok(statement.execute(params_from_iter(row(record)?))? == 1)).collect();
            fates.push(fate?);
        }
    }
    transaction.commit()?;
    Ok(fates)
}

/// An event without an id gets one of its own.
const INSERT: &str = "
INSERT INTO usage (id, at, provider, model, api, service_tier, feature, team, outcome, duration_ms, response_id, source,
    input, audio_input, image_input, video_input, cached_input, cache_write, cache_write_1h,
    output, reasoning, audio_output, image_output, searches, audio_ms,
    cost_pico, computed_pico, priced, unpriced_tokens, raw, first_token_ms, estimated)
VALUES (coalesce(?1, 'own:' || lower(hex(randomblob(16)))), ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15,
    ?16, ?17, ?18, ?19, ?20, ?21, ?22, ?23, ?24, ?25, ?26, ?27, ?28, ?29, ?30,
    ?31, ?32)
ON CONFLICT (id) DO NOTHING";

fn row(record: &Record) -> rusqlite::Result<Vec<Value>> {
    let Record { event, cost } = record;
    let text = |text: &str| Value::Text(text.to_owned());
    let maybe = |text: Option<&String>| text.map_or(Value::Null, |text| Value::Text(text.clone()));
    let known = cost.priced || TokenType::ALL.into_iter().any(|kind| cost.of(kind).is_some());
    let mut values = vec![
        event.identity().map_or(Value::Null, Value::Text),
        Value::Integer(event.at.0),
        text(&event.provider),
        text(&event.model),
        event.api.map_or(Value::Null, |api| text(api.name())),
        text(event.service_tier.name()),
        maybe(event.feature.as_ref()),
        maybe(event.team.as_ref()),
        text(event.outcome.as_str()),
        whole(event.duration.map(|length| length.as_millis()))?,
        maybe(event.response_id.as_ref()),
        text(event.source.name()),
    ];
    for kind in TokenType::ALL {
        values.push(whole(event.usage.tokens.get(kind))?);
    }
    values.push(whole(event.usage.searches)?);
    values.push(whole(event.usage.duration.map(|length| length.as_millis()))?);
    values.push(whole(known.then(|| cost.total().pico()))?);
    values.push(whole(cost.computed.map(crate::usage::Usd::pico))?);
    values.push(Value::Integer(i64::from(cost.priced)));
    values.push(whole(Some(cost.unpriced_tokens))?);
    values.push(event.raw.as_ref().map_or(Value::Null, |raw| text(raw.as_str())));
    values.push(whole(event.time_to_first_token.map(|length| length.as_millis()))?);
    values.push(Value::Integer(i64::from(event.estimated)));
    Ok(values)
}

/// A number as SQLite keeps it; one that does not fit is refused, never cut.
fn whole<T: TryInto<i64>>(number: Option<T>) -> rusqlite::Result<Value> {
    number.map_or(Ok(Value::Null), |number| {
        number
            .try_into()
            .map(Value::Integer)
            .map_err(|_| rusqlite::Error::ToSqlConversionFailure("a number too large".into()))
    })
}
