//! A mail server that takes everything, unless it is told otherwise: enough of RFC 5321 for one sender after another.

use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::thread::spawn;
use std::time::{Duration, Instant};

use super::inbox::{Arrival, Inbox};

/// A mail as it was sent.
#[derive(Debug, Clone)]
pub struct Mail {
    pub to: Vec<String>,
    /// Headers and body.
    pub text: String,
}

impl Mail {
    /// A header's value with its folded lines.
    pub fn header(&self, name: &str) -> Option<String> {
        let head = self.text.split("\n\n").next()?.replace("\n ", " ").replace("\n\t", " ");
        head.lines().find_map(|line| {
            let (known, value) = line.split_once(':')?;
            known.eq_ignore_ascii_case(name).then(|| value.trim().to_owned())
        })
    }
}

/// What it makes of mail.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MailMood {
    Well,
    /// 550 after the mail.
    Refuses,
    /// The connection ends in place of the answer.
    HangsUp,
}

/// The server; its thread ends with the test's process.
pub struct SmtpSink {
    port: u16,
    inbox: Inbox<Mail>,
    mood: Arc<Mutex<MailMood>>,
}

impl SmtpSink {
    pub fn start() -> Self {
        let port = super::free_port();
        let listener = TcpListener::bind(("127.0.0.1", port)).expect("a free port");
        let inbox = Inbox::new();
        let taken = inbox.clone();
        let mood = Arc::new(Mutex::new(MailMood::Well));
        let moody = Arc::clone(&mood);
        spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                let (inbox, mood) = (taken.clone(), Arc::clone(&moody));
                spawn(move || talk(&stream, &inbox, &mood));
            }
        });
        Self { port, inbox, mood }
    }

    /// From now on.
    pub fn set(&self, mood: MailMood) {
        *self.mood.lock().expect("no holder panics") = mood;
    }

    /// `host:port`, as `smtp_smarthost` wants it.
    pub fn smarthost(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }

    /// Waits for a mail after `since` whose subject holds all the words.
    pub fn wait(&self, words: &[&str], since: Instant, limit: Duration) -> Arrival<Mail> {
        self.inbox.wait(&format!("a mail with {words:?} in its subject"), since, limit, |mail| {
            let subject = mail.header("subject").unwrap_or_default().to_lowercase();
            words.iter().all(|word| subject.contains(&word.to_lowercase()))
        })
    }
}

fn talk(stream: &TcpStream, inbox: &Inbox<Mail>, mood: &Mutex<MailMood>) -> Option<()> {
    let mut out = stream;
    let mut lines = BufReader::new(stream).lines();
    let mut mail = Mail { to: Vec::new(), text: String::new() };
    out.write_all(b"220 sink ESMTP\r\n").ok()?;
    loop {
        let line = lines.next()?.ok()?;
        let verb = line.get(..4).unwrap_or(&line).to_ascii_uppercase();
        let answer = match verb.as_str() {
            "EHLO" => "250-sink\r\n250-8BITMIME\r\n250 PIPELINING\r\n",
            "RCPT" => {
                mail.to.push(line);
                "250 ok\r\n"
            }
            "DATA" => {
                out.write_all(b"354 go on\r\n").ok()?;
                mail.text = read_data(&mut lines)?;
                let mail = std::mem::replace(&mut mail, Mail { to: Vec::new(), text: String::new() });
                let mood = *mood.lock().expect("no holder panics");
                match mood {
                    MailMood::Well => {
                        inbox.put(mail);
                        "250 taken\r\n"
                    }
                    MailMood::Refuses => "550 5.7.1 not today\r\n",
                    MailMood::HangsUp => return None,
                }
            }
            "QUIT" => {
                out.write_all(b"221 bye\r\n").ok()?;
                return None;
            }
            _ => "250 ok\r\n",
        };
        out.write_all(answer.as_bytes()).ok()?;
    }
}

/// Up to the line with a lone dot.
fn read_data(lines: &mut impl Iterator<Item = std::io::Result<String>>) -> Option<String> {
    let mut text = String::new();
    loop {
        let line = lines.next()?.ok()?;
        if line == "." {
            return Some(text);
        }
        text += line.strip_prefix('.').unwrap_or(&line);
        text.push('\n');
    }
}
