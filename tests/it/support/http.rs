//! The least HTTP that a test needs: a server with one handler, and a client that closes after each answer.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::spawn;
use std::time::Duration;

/// How long somebody may take to answer.
const PATIENCE: Duration = Duration::from_secs(10);

/// What came in.
#[derive(Debug, Clone)]
pub struct Request {
    pub method: String,
    pub path: String,
    /// Names in lower case.
    pub headers: Vec<(String, String)>,
    pub body: String,
}

impl Request {
    /// A header's value, by its lower-case name.
    pub fn header(&self, name: &str) -> Option<&str> {
        find(&self.headers, name)
    }
}

/// What goes out, or came back.
#[derive(Debug, Clone)]
pub struct Answer {
    pub status: u16,
    /// Names in lower case.
    pub headers: Vec<(String, String)>,
    pub body: String,
}

impl Answer {
    /// An answer with a content type.
    pub fn new(status: u16, content_type: &str, body: impl Into<String>) -> Self {
        Self { status, headers: vec![("content-type".into(), content_type.into())], body: body.into() }
    }

    /// The body as JSON.
    pub fn json(&self) -> serde_json::Value {
        serde_json::from_str(&self.body).unwrap_or_else(|error| panic!("no JSON ({error}): {}", self.body))
    }

    /// A header's value, by its lower-case name.
    pub fn header(&self, name: &str) -> Option<&str> {
        find(&self.headers, name)
    }
}

fn find<'a>(headers: &'a [(String, String)], name: &str) -> Option<&'a str> {
    headers.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
}

/// A server on its own port; a thread per connection, one request per connection.
pub struct HttpServer {
    address: SocketAddr,
    stop: Arc<AtomicBool>,
}

impl HttpServer {
    /// Starts it on loopback.
    pub fn start(handler: impl Fn(Request) -> Answer + Send + Sync + 'static) -> Self {
        Self::start_on("127.0.0.1", handler)
    }

    /// Starts it on an address of this machine; `0.0.0.0` for containers to reach.
    pub fn start_on(host: &str, handler: impl Fn(Request) -> Answer + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind((host, super::free_port())).expect("a free port");
        let address = listener.local_addr().expect("a bound socket");
        let stop = Arc::new(AtomicBool::new(false));
        let (stopped, handler) = (Arc::clone(&stop), Arc::new(handler));
        spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                if stopped.load(Ordering::Relaxed) {
                    return;
                }
                let handler = Arc::clone(&handler);
                spawn(move || serve(&stream, handler.as_ref()));
            }
        });
        Self { address, stop }
    }

    /// Its port.
    pub fn port(&self) -> u16 {
        self.address.port()
    }

    /// Its URL, with a path that starts with a slash.
    pub fn url(&self, path: &str) -> String {
        format!("http://127.0.0.1:{}{path}", self.port())
    }
}

impl Drop for HttpServer {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        let _ = TcpStream::connect(("127.0.0.1", self.port())); // Wakes `accept`.
    }
}

fn serve(stream: &TcpStream, handler: &(impl Fn(Request) -> Answer + ?Sized)) {
    if let Some(request) = read_request(stream) {
        write_answer(stream, &handler(request));
    }
}

/// The one request of a connection.
pub(super) fn read_request(stream: &TcpStream) -> Option<Request> {
    let _ = stream.set_read_timeout(Some(Duration::from_secs(10)));
    let (start, headers, body) = read_message(&mut BufReader::new(stream), false)?;
    let mut words = start.split(' ').map(str::to_owned);
    Some(Request { method: words.next()?, path: words.next()?, headers, body })
}

/// The answer to it, and the connection's end.
pub(super) fn write_answer(mut stream: &TcpStream, answer: &Answer) {
    let mut head =
        format!("HTTP/1.1 {} -\r\nconnection: close\r\ncontent-length: {}\r\n", answer.status, answer.body.len());
    for (name, value) in &answer.headers {
        head.extend([name.as_ref(), ": ", value.as_ref(), "\r\n"]);
    }
    let _ = stream.write_all(format!("{head}\r\n{}", answer.body).as_bytes());
    let _ = stream.shutdown(Shutdown::Write);
}

type Message = (String, Vec<(String, String)>, String);

/// The first line, the headers and the body of a message. `to_end`: a body without a length ends with the connection.
fn read_message(reader: &mut impl BufRead, to_end: bool) -> Option<Message> {
    let start = read_line(reader)?;
    let mut headers = Vec::new();
    loop {
        let line = read_line(reader)?;
        if line.is_empty() {
            break;
        }
        let (name, value) = line.split_once(':')?;
        headers.push((name.to_ascii_lowercase(), value.trim().to_owned()));
    }
    let length = find(&headers, "content-length").and_then(|length| length.parse().ok());
    let mut body = Vec::new();
    if find(&headers, "transfer-encoding").is_some_and(|coding| coding.eq_ignore_ascii_case("chunked")) {
        read_chunks(reader, &mut body)?;
    } else if let Some(length) = length {
        reader.take(length).read_to_end(&mut body).ok()?;
        if body.len() as u64 != length {
            return None;
        }
    } else if to_end {
        reader.read_to_end(&mut body).ok()?;
    }
    Some((start, headers, String::from_utf8_lossy(&body).into_owned()))
}

fn read_line(reader: &mut impl BufRead) -> Option<String> {
    let mut line = String::new();
    (reader.read_line(&mut line).ok()? > 0).then(|| line.trim_end_matches(['\r', '\n']).to_owned())
}

fn read_chunks(reader: &mut impl BufRead, body: &mut Vec<u8>) -> Option<()> {
    loop {
        let line = read_line(reader)?;
        let size = u64::from_str_radix(line.split(';').next()?.trim(), 16).ok()?;
        if size == 0 {
            let _ = read_line(reader); // The empty line after the last chunk: the next answer begins behind it.
            return Some(());
        }
        reader.take(size).read_to_end(body).ok()?;
        read_line(reader)?;
    }
}

/// Asks `127.0.0.1:port`; `None` when there is no whole answer, as from a killed server.
pub fn request(port: u16, method: &str, path: &str, headers: &[(&str, &str)], body: &str) -> Option<Answer> {
    send(port, method, path, headers, body.as_bytes())
}

/// The same with a body that need not be text. A server may answer and hang up before it has read all of it.
pub fn send(port: u16, method: &str, path: &str, headers: &[(&str, &str)], body: &[u8]) -> Option<Answer> {
    send_within(PATIENCE, port, method, path, headers, body)
}

/// The same, waiting for so long for each piece of the answer.
pub fn send_within(
    patience: Duration,
    port: u16,
    method: &str,
    path: &str,
    headers: &[(&str, &str)],
    body: &[u8],
) -> Option<Answer> {
    let mut stream = connect(port)?;
    stream.set_read_timeout(Some(patience)).ok()?;
    let _ = write(&mut stream, method, path, &[headers, &[("connection", "close")]].concat(), body);
    receive(&mut BufReader::new(stream), true)
}

/// A connection for many questions, one after the other.
pub struct Kept(BufReader<TcpStream>);

impl Kept {
    /// Connects to `127.0.0.1:port`.
    pub fn connect(port: u16) -> Self {
        Self(BufReader::new(connect(port).unwrap_or_else(|| panic!("nobody listens on {port}"))))
    }

    /// POST; `None` when there is no whole answer.
    pub fn post(&mut self, path: &str, content_type: &str, body: &str) -> Option<Answer> {
        write(self.0.get_mut(), "POST", path, &[("content-type", content_type)], body.as_bytes())?;
        receive(&mut self.0, false)
    }
}

fn connect(port: u16) -> Option<TcpStream> {
    let address = SocketAddr::from(([127, 0, 0, 1], port));
    let stream = TcpStream::connect_timeout(&address, Duration::from_secs(2)).ok()?;
    stream.set_read_timeout(Some(PATIENCE)).ok()?;
    stream.set_nodelay(true).ok()?;
    Some(stream)
}

fn write(stream: &mut TcpStream, method: &str, path: &str, headers: &[(&str, &str)], body: &[u8]) -> Option<()> {
    let mut head = format!("{method} {path} HTTP/1.1\r\nhost: {}\r\n", stream.peer_addr().ok()?);
    for (name, value) in headers {
        head.extend([name, ": ", value, "\r\n"]);
    }
    let mut bytes = format!("{head}content-length: {}\r\n\r\n", body.len()).into_bytes();
    bytes.extend(body);
    stream.write_all(&bytes).ok()
}

fn receive(reader: &mut impl BufRead, to_end: bool) -> Option<Answer> {
    let (start, headers, body) = read_message(reader, to_end)?;
    let status = start.split(' ').nth(1)?.parse().ok()?;
    Some(Answer { status, headers, body })
}

/// GET; a panic when nobody answers.
pub fn get(port: u16, path: &str) -> Answer {
    request(port, "GET", path, &[], "").unwrap_or_else(|| panic!("no answer to GET {path}"))
}

/// POST of JSON; `None` when there is no whole answer.
pub fn post(port: u16, path: &str, json: &str) -> Option<Answer> {
    request(port, "POST", path, &[("content-type", "application/json")], json)
}
