//! Plays a service that people are told by: a script of answers, then its usual one. Keeps what it was asked.

use std::collections::VecDeque;
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::thread::{sleep, spawn};
use std::time::{Duration, Instant};

use jiff::{SignedDuration, Timestamp};

use super::http::{Answer, Request, read_request, write_answer};
use super::inbox::{Arrival, Inbox};

/// What becomes of a request.
#[derive(Debug, Clone)]
pub enum Play {
    /// It is answered.
    Answer(Answer),
    /// 429 with `Retry-After` as a date, so many seconds from then.
    BusyUntil(i64),
    /// It is read, and no answer comes.
    Hang,
    /// It is read, and the connection ends.
    Close,
}

impl Play {
    /// An answer of JSON.
    pub fn json(status: u16, body: &str) -> Self {
        Self::Answer(Answer::new(status, "application/json", body))
    }

    /// A page for people, as proxies send.
    pub fn page(status: u16) -> Self {
        Self::Answer(Answer::new(status, "text/html", "<html><body>Please log in</body></html>"))
    }

    /// 429 with `Retry-After` in seconds.
    pub fn busy(seconds: u32, body: &str) -> Self {
        let mut answer = Answer::new(429, "application/json", body);
        answer.headers.push(("retry-after".into(), seconds.to_string()));
        Self::Answer(answer)
    }
}

/// The service; its thread ends with the test's process.
pub struct Recorder {
    port: u16,
    inbox: Inbox<Request>,
    script: Arc<Mutex<VecDeque<Play>>>,
}

impl Recorder {
    /// Starts it with its usual answer, which every request gets once the script is through.
    pub fn start(usual: impl Fn(&Request) -> Play + Send + Sync + 'static) -> Self {
        let port = super::free_port();
        let listener = TcpListener::bind(("127.0.0.1", port)).expect("a free port");
        let recorder = Self { port, inbox: Inbox::new(), script: Arc::default() };
        let (inbox, script, usual) = (recorder.inbox.clone(), Arc::clone(&recorder.script), Arc::new(usual));
        spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                let (inbox, script, usual) = (inbox.clone(), Arc::clone(&script), Arc::clone(&usual));
                spawn(move || {
                    let Some(request) = read_request(&stream) else { return };
                    let next = script.lock().expect("no holder panics").pop_front();
                    let play = next.unwrap_or_else(|| usual(&request));
                    inbox.put(request);
                    perform(&stream, play);
                });
            }
        });
        recorder
    }

    /// What it does next.
    pub fn play(&self, script: impl IntoIterator<Item = Play>) {
        self.script.lock().expect("no holder panics").extend(script);
    }

    /// Its URL, with a path that starts with a slash.
    pub fn url(&self, path: &str) -> String {
        format!("http://127.0.0.1:{}{path}", self.port)
    }

    /// What it was asked so far.
    pub fn requests(&self) -> Vec<Arrival<Request>> {
        self.inbox.all()
    }

    /// Waits for a request that matches.
    pub fn wait(&self, what: &str, limit: Duration, matches: impl Fn(&Request) -> bool) -> Request {
        let start = Instant::now().checked_sub(Duration::from_hours(1)).unwrap_or_else(Instant::now);
        self.inbox.wait(what, start, limit, matches).what
    }
}

fn perform(stream: &TcpStream, play: Play) {
    match play {
        Play::Answer(answer) => write_answer(stream, &answer),
        Play::BusyUntil(seconds) => {
            let until = Timestamp::now() + SignedDuration::from_secs(seconds);
            let mut answer = Answer::new(429, "text/plain", "busy");
            let date = until.strftime("%a, %d %b %Y %H:%M:%S GMT").to_string();
            answer.headers.push(("retry-after".into(), date));
            write_answer(stream, &answer);
        }
        Play::Hang => sleep(Duration::from_secs(30)),
        Play::Close => {}
    }
}
