//! Names to addresses, by the system's resolver, without letting a hanging one pile up threads.
//!
//! In: a host and a port. Out: the addresses in the system's order of preference.
//!
//! Invariant: at most one lookup per name and [`MOST_LOOKUPS`] in all are under way. Whoever asks for a name
//! that is being looked up waits for that answer, also when the first asker has long given up.

use std::collections::HashMap;
use std::io;
use std::net::{IpAddr, SocketAddr, ToSocketAddrs as _};
use std::sync::{LazyLock, Mutex, MutexGuard, PoisonError};
use std::thread;

use tokio::sync::watch;

/// Lookups under way at once. `getaddrinfo` cannot be called off, so each may hold a thread for half a minute.
pub const MOST_LOOKUPS: usize = 32;

type Answer = Result<Vec<IpAddr>, String>;
type Work = Box<dyn FnOnce() + Send>;
type Lookups = HashMap<String, watch::Receiver<Option<Answer>>>;

static LOOKUPS: LazyLock<Mutex<Lookups>> = LazyLock::new(Mutex::default);

/// Looks a host up. An address written as such (also in brackets) needs no lookup.
///
/// # Errors
/// The name has no address, or too many lookups hang already.
pub async fn resolve(host: &str, port: u16) -> io::Result<Vec<SocketAddr>> {
    let host = host.trim_start_matches('[').trim_end_matches(']');
    if let Ok(address) = host.parse::<IpAddr>() {
        return Ok(vec![SocketAddr::new(address, port)]);
    }
    let mut waiting = lookup(host, system, on_a_thread)?;
    let answer = waiting.wait_for(Option::is_some).await.map_err(|_| io::Error::other("the lookup broke off"))?;
    match answer.as_ref() {
        Some(Ok(addresses)) => Ok(addresses.iter().map(|address| SocketAddr::new(*address, port)).collect()),
        Some(Err(message)) => Err(io::Error::new(io::ErrorKind::NotFound, message.clone())),
        None => Err(io::Error::other("the lookup brought nothing")),
    }
}

/// Joins the lookup of this name or starts one. It has a thread of its own, not one of the runtime's,
/// so that a resolver that hangs does not hold up the agent's stop.
fn lookup(
    host: &str,
    ask: fn(&str) -> Answer,
    start: fn(Work) -> io::Result<()>,
) -> io::Result<watch::Receiver<Option<Answer>>> {
    let mut lookups = lookups();
    if let Some(under_way) = lookups.get(host) {
        return Ok(under_way.clone());
    }
    if lookups.len() >= MOST_LOOKUPS {
        return Err(io::Error::other(format!("{MOST_LOOKUPS} lookups of other names are still waiting")));
    }
    let (answer, waiting) = watch::channel(None);
    lookups.insert(host.to_owned(), waiting.clone());
    // `Entry` takes the table's lock when it is dropped, which may be here: when no thread can be had.
    drop(lookups);
    let entry = Entry(host.to_owned());
    start(Box::new(move || {
        let found = ask(&entry.0);
        drop(entry); // Whoever asks from here on gets a new lookup.
        answer.send_replace(Some(found));
    }))?;
    Ok(waiting)
}

fn on_a_thread(work: Work) -> io::Result<()> {
    thread::Builder::new().name("resolve".into()).spawn(work).map(drop)
}

fn system(host: &str) -> Answer {
    let found = (host, 0).to_socket_addrs().map_err(|error| error.to_string())?;
    let mut addresses = Vec::new();
    for found in found {
        if !addresses.contains(&found.ip()) {
            addresses.push(found.ip());
        }
    }
    if addresses.is_empty() { Err("the name has no address".into()) } else { Ok(addresses) }
}

/// A lookup's place in the table, given up when the lookup ends, also by a panic.
struct Entry(String);

impl Drop for Entry {
    fn drop(&mut self) {
        lookups().remove(&self.0);
    }
}

fn lookups() -> MutexGuard<'static, Lookups> {
    LOOKUPS.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::time::Duration;

    use super::*;

    #[tokio::test]
    async fn an_address_is_its_own_answer() {
        assert_eq!(resolve("127.0.0.1", 5).await.unwrap(), ["127.0.0.1:5".parse().unwrap()]);
        assert_eq!(resolve("[::1]", 5).await.unwrap(), ["[::1]:5".parse().unwrap()]);
    }

    #[tokio::test]
    async fn a_name_without_address_is_an_error() {
        assert!(resolve("no-such-host.invalid", 80).await.is_err());
    }

    #[tokio::test]
    async fn a_hanging_name_is_asked_for_once() {
        static ASKED: AtomicUsize = AtomicUsize::new(0);
        fn hang(_: &str) -> Answer {
            ASKED.fetch_add(1, Ordering::SeqCst);
            thread::sleep(Duration::from_millis(200));
            system("127.0.0.1")
        }
        let mut all: Vec<_> = (0..50).map(|_| lookup("hanging.test", hang, on_a_thread).unwrap()).collect();
        let last = all.pop().unwrap();
        drop(all);
        let mut last = last;
        assert!(last.wait_for(Option::is_some).await.is_ok());
        assert_eq!(ASKED.load(Ordering::SeqCst), 1);
    }

    #[tokio::test]
    async fn a_thread_that_cannot_be_had_fails_one_lookup_and_no_other() {
        let no_thread = |work: Work| {
            drop(work);
            Err(io::Error::from(io::ErrorKind::WouldBlock))
        };
        let failed = lookup("threadless.test", system, no_thread).unwrap_err();
        assert_eq!(failed.kind(), io::ErrorKind::WouldBlock);
        assert!(!lookups().contains_key("threadless.test"));
        let mut next = lookup("threadless.test", |_| system("127.0.0.1"), on_a_thread).unwrap();
        assert!(next.wait_for(Option::is_some).await.is_ok());
    }
}
