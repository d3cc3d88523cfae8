//! For the tests of channels over HTTP: a server that plays a script and keeps what it was sent.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use crate::notify::template::Templates;
use crate::runtime::test_server;

use super::testing::settings;
use super::{Channel, ChannelSettings};

/// What the server does about one request.
#[derive(Debug, Clone)]
pub enum Play {
    /// Status, further headers, body.
    Answer(u16, &'static [(&'static str, &'static str)], &'static str),
    /// Reads the request and hangs up without a word.
    Close,
    /// Reads the request and says nothing.
    Hang,
}

/// A request as it came.
#[derive(Debug, Clone)]
pub struct Recorded {
    pub method: String,
    /// Path and query; a whole URL where a proxy was asked.
    pub target: String,
    /// With names in small letters.
    pub headers: Vec<(String, String)>,
    pub body: String,
}

impl Recorded {
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(found, _)| found == name).map(|(_, value)| value.as_str())
    }

    /// The body as JSON, pretty for a snapshot.
    pub fn json(&self) -> serde_json::Value {
        serde_json::from_str(&self.body).unwrap_or_else(|error| panic!("{error}: {}", self.body))
    }

    /// The fields of a form, in order.
    pub fn form(&self) -> Vec<(String, String)> {
        url::form_urlencoded::parse(self.body.as_bytes()).into_owned().collect()
    }
}

/// What each service takes for a success.
const OK: &str = r#"{"id":"1","success":true,"status":1}"#;

/// The server. When its script is over it agrees to everything.
#[derive(Clone)]
pub struct Recorder {
    address: SocketAddr,
    taken: Arc<Mutex<Vec<Recorded>>>,
}

impl Recorder {
    pub async fn playing(script: impl IntoIterator<Item = Play>) -> Self {
        let script = Arc::new(Mutex::new(script.into_iter().collect::<VecDeque<_>>()));
        let taken = Arc::new(Mutex::new(Vec::new()));
        let keep = Arc::clone(&taken);
        let address = test_server::serve(move |mut stream| {
            let (script, keep) = (Arc::clone(&script), Arc::clone(&keep));
            async move {
                let Some(request) = read(&mut stream).await else { return };
                keep.lock().unwrap().push(request);
                let play = script.lock().unwrap().pop_front().unwrap_or(Play::Answer(200, &[], OK));
                match play {
                    Play::Answer(status, headers, body) => {
                        let more: Vec<_> = headers.iter().map(|(name, value)| format!("{name}: {value}\r\n")).collect();
                        let more = more.concat();
                        let length = body.len();
                        let head = format!(
                            "HTTP/1.1 {status} X\r\n{more}content-length: {length}\r\nconnection: close\r\n\r\n"
                        );
                        let _ = stream.write_all(format!("{head}{body}").as_bytes()).await;
                    }
                    Play::Close => {}
                    Play::Hang => std::future::pending().await,
                }
            }
        })
        .await;
        Self { address, taken }
    }

    pub fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    /// What has come so far.
    pub fn requests(&self) -> Vec<Recorded> {
        self.taken.lock().unwrap().clone()
    }

    /// The only request that came.
    pub fn request(&self) -> Recorded {
        let all = self.requests();
        assert_eq!(all.len(), 1, "{all:?}");
        all[0].clone()
    }
}

async fn read(stream: &mut TcpStream) -> Option<Recorded> {
    let mut bytes = Vec::new();
    let end = loop {
        if let Some(end) = bytes.windows(4).position(|window| window == b"\r\n\r\n") {
            break end + 4;
        }
        if stream.read_buf(&mut bytes).await.ok()? == 0 {
            return None;
        }
    };
    let head = String::from_utf8(bytes[..end].to_vec()).ok()?;
    let mut lines = head.lines();
    let mut first = lines.next()?.split(' ');
    let (method, target) = (first.next()?.to_owned(), first.next()?.to_owned());
    let headers: Vec<_> = lines
        .filter_map(|line| line.split_once(':'))
        .map(|(name, value)| (name.to_ascii_lowercase(), value.trim().to_owned()))
        .collect();
    let length =
        headers.iter().find(|(name, _)| name == "content-length").map_or(0, |(_, value)| value.parse().unwrap());
    while bytes.len() < end + length {
        if stream.read_buf(&mut bytes).await.ok()? == 0 {
            return None;
        }
    }
    let body = String::from_utf8(bytes[end..end + length].to_vec()).ok()?;
    Some(Recorded { method, target, headers, body })
}

/// A channel from an item of its list.
pub fn channel<S: ChannelSettings>(yaml: &str) -> Arc<dyn Channel> {
    settings::<S>(yaml).build(&Arc::new(Templates::new())).unwrap()
}
