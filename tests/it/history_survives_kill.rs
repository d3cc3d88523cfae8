//! History on disk outlasts kill -9 at any moment: what was there stays there, and nothing is there that was not measured.
//!
//! The application's page is another at each scrape, and each value says which page it is of, so that a value that is
//! damaged, of another series or of another time shows. What an agent left is read by the library out of a copy of its folder.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use sidewatch::model::Millis;
use sidewatch::store::{Limits, Matcher, Store};

use crate::support::{Agent, Answer, HttpServer, Random};

/// Kills of each agent; four agents at once make two hundred.
const KILLS: u64 = 50;
const SERIES: u64 = 40;
/// A look that was made so long before a kill is on disk.
const LOST_AT_MOST: i64 = 5_000;
/// Makes the test so long instead (`benches/kill_for_an_hour`).
const SECONDS: &str = "SIDEWATCH_KILL_SECONDS";

#[test]
fn two_hundred_kills_take_the_last_seconds_at_most() {
    // With a retention of a minute a block is sealed every 15 seconds of data, and kills hit that too.
    let agents = [("24h", 1), ("24h", 2), ("1m", 3), ("1m", 4)];
    std::thread::scope(|scope| {
        for (retention, seed) in agents {
            scope.spawn(move || kill_again_and_again(retention, seed));
        }
    });
}

fn kill_again_and_again(retention: &str, seed: u64) {
    let pages: Arc<Mutex<Vec<i64>>> = Arc::default();
    let told = Arc::clone(&pages);
    let app = HttpServer::start(move |_| {
        let mut told = told.lock().expect("no panic");
        told.push(now());
        Answer::new(200, "text/plain; version=0.0.4", page(told.len() as u64))
    });
    let folder = Arc::new(tempfile::tempdir().expect("a folder"));
    let url = app.url("/metrics");
    let config = format!(
        "global: {{scrape_interval: 100ms, scrape_timeout: 100ms}}\nlog: {{level: warn}}\n\
         targets: [{{name: app, kind: prometheus, url: \"{url}\"}}]\n"
    );
    let kept = if retention == "1m" { 50_000 } else { i64::MAX };
    let end =
        std::env::var(SECONDS).ok().map(|text| Instant::now() + Duration::from_secs(text.parse().expect("seconds")));
    let mut random = Random(seed);
    let mut proven: BTreeSet<(u64, i64)> = BTreeSet::new();
    for kill in 0.. {
        if end.map_or(kill >= KILLS, |end| Instant::now() >= end) {
            break;
        }
        let mut agent = Agent::start_with_retention(&folder, &config, retention);
        // Some are killed while they start, and one in twelve lives so long behind its first look that it must be on disk.
        let (is_awaited, is_long) = (random.below(5) > 0, random.below(12) == 0);
        if is_long {
            agent.wait_for("/readyz");
        } else if is_awaited {
            agent.wait_for("/healthz");
        }
        let life = if is_long { 7_000 + random.below(1_000) } else { random.below(1_200) };
        std::thread::sleep(Duration::from_millis(life));
        agent.kill();
        let killed = now();
        let context = || format!("kill {kill} of seed {seed}, retention {retention}; the log:\n{}", agent.log());
        let (found, newest) = read(&agent.data().join("history")).unwrap_or_else(|why| panic!("{why}: {}", context()));
        let pages = pages.lock().expect("no panic").clone();
        for (page, at) in &found {
            let measured =
                pages.get(*page as usize - 1).unwrap_or_else(|| panic!("page {page} never was: {}", context()));
            assert!((0..5_000).contains(&(at - measured)), "page {page} of {measured} stands at {at}: {}", context());
        }
        let young = |at: i64| at > killed - kept;
        let gone: Vec<_> = proven.iter().filter(|sample| young(sample.1) && !found.contains(sample)).collect();
        assert!(gone.is_empty(), "{gone:?} was on disk before: {}", context());
        assert!(
            !is_long || newest > killed - LOST_AT_MOST,
            "the last look is of {newest}, killed at {killed}: {}",
            context()
        );
        proven.extend(found);
    }
    assert!(proven.len() > 100, "{} pages on disk are too few to mean anything", proven.len());
}

/// Each series' value is the page's number, in its own way.
fn page(number: u64) -> String {
    let lines = (0..SERIES).map(|n| format!("page{{n=\"{n}\"}} {}\n", value(n, number)));
    format!("# TYPE page gauge\n{}same 42\n", lines.collect::<String>())
}

fn value(series: u64, page: u64) -> f64 {
    match series % 3 {
        0 => (page * 1000 + series) as f64,
        1 => page as f64 / 100.0 + series as f64,
        _ => (page as f64 + series as f64).sqrt(),
    }
}

/// The pages that are in the folder, with the time that each has, and the time of the last look; or what is wrong with them.
fn read(folder: &Path) -> Result<(BTreeSet<(u64, i64)>, i64), String> {
    let copy = tempfile::tempdir().map_err(|error| error.to_string())?;
    for part in ["log", "blocks"] {
        std::fs::create_dir(copy.path().join(part)).map_err(|error| error.to_string())?;
        // An agent that was killed at once may not have made its folders.
        for entry in std::fs::read_dir(folder.join(part)).into_iter().flatten().flatten() {
            let to = copy.path().join(part).join(entry.file_name());
            std::fs::copy(entry.path(), to).map_err(|error| error.to_string())?;
        }
    }
    let limits = Limits { retention: Duration::from_hours(24), max_series: 100_000 };
    let (store, found) = Store::open(limits, copy.path()).map_err(|error| error.to_string())?;
    if found.damaged > 0 {
        return Err(format!("{} places are damaged", found.damaged));
    }
    let series = |matcher| store.snapshot().select(&[matcher], Millis(i64::MIN), Millis(i64::MAX));
    let mut pages: BTreeMap<i64, BTreeMap<u64, f64>> = BTreeMap::new();
    for series in series(Matcher::equal("__name__", "page")) {
        let n = series.labels.get("n").and_then(|n| n.parse().ok()).ok_or("a series without its number")?;
        for (at, value) in series.samples.into_iter().filter(|(_, value)| !sidewatch::model::is_stale(*value)) {
            pages.entry(at.0).or_default().insert(n, value);
        }
    }
    for series in series(Matcher::equal("__name__", "same")) {
        if let Some(wrong) = series
            .samples
            .iter()
            .find(|(_, value)| value.to_bits() != 42f64.to_bits() && !sidewatch::model::is_stale(*value))
        {
            return Err(format!("{wrong:?} instead of 42"));
        }
    }
    let number = |(at, values): (i64, BTreeMap<u64, f64>)| {
        let page = (values.get(&0).ok_or("a page without its first series")? / 1000.0) as u64;
        let whole =
            values.len() as u64 == SERIES && values.iter().all(|(n, held)| value(*n, page).to_bits() == held.to_bits());
        if whole { Ok((page, at)) } else { Err(format!("page {page} at {at} became {values:?}")) }
    };
    let looks =
        series(Matcher::equal("__name__", "up")).into_iter().filter_map(|series| series.samples.last().copied());
    let newest = looks.map(|(at, _)| at.0).max().unwrap_or_default();
    Ok((pages.into_iter().map(number).collect::<Result<_, String>>()?, newest))
}

fn now() -> i64 {
    SystemTime::now().duration_since(UNIX_EPOCH).expect("after 1970").as_millis() as i64
}
