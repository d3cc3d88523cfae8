//! JSON-RPC messages, and how they come: as JSON, or as an event in a stream (the "streamable HTTP" transport). No I/O.

use serde_json::{Value, json};

/// The newest version of the protocol that has sessions, which we ask for: a server answers with its own.
pub(super) const WITH_SESSIONS: &str = "2025-11-25";
/// The version that has none any more.
pub(super) const WITHOUT_SESSIONS: &str = "2026-07-28";

/// JSON-RPC's code for a method that the server does not know.
const UNKNOWN_METHOD: i64 = -32601;
/// MCP's code for a protocol version that the server does not speak.
const UNKNOWN_VERSION: i64 = -32022;

/// What a server answers to a request.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Answer {
    Result(Value),
    Error { code: i64, message: String },
}

impl Answer {
    /// Whether a refused `initialize` hints at a server without sessions.
    pub(super) fn knows_no_sessions(code: i64) -> bool {
        matches!(code, UNKNOWN_METHOD | UNKNOWN_VERSION)
    }

    /// Reads the answer out of a body; the complaint in words.
    pub(super) fn parse(body: &[u8]) -> Result<Self, String> {
        if is_stream(body) {
            return events(body)
                .find_map(|data| Self::of(&serde_json::from_slice(&data).ok()?))
                .ok_or_else(|| "the stream of events holds no answer to our request".to_owned());
        }
        let document = serde_json::from_slice(body).map_err(|error| format!("the answer is not JSON: {error}"))?;
        Self::of(&document).ok_or_else(|| "the answer is no JSON-RPC answer".into())
    }

    /// A message, or the first answer in a batch of them. One request is under way, so any answer is ours.
    fn of(message: &Value) -> Option<Self> {
        if let Value::Array(batch) = message {
            return batch.iter().find_map(Self::of);
        }
        if message.get("jsonrpc")? != "2.0" || message.get("method").is_some() {
            return None;
        }
        if let Some(error) = message.get("error") {
            let message = error.get("message").and_then(Value::as_str).unwrap_or("no message").to_owned();
            return Some(Self::Error { code: error.get("code").and_then(Value::as_i64)?, message });
        }
        message.get("id").and(message.get("result")).map(|result| Self::Result(result.clone()))
    }
}

/// Whether a stream holds the answer already: a server may keep it open after that.
pub(super) fn is_answered(body: &[u8]) -> bool {
    is_stream(body) && body.ends_with(b"\n") && Answer::parse(body).is_ok()
}

/// JSON-RPC's JSON starts with a bracket, which no stream of events does.
fn is_stream(body: &[u8]) -> bool {
    body.iter().find(|byte| !byte.is_ascii_whitespace()).is_some_and(|first| !matches!(first, b'{' | b'['))
        && body.contains(&b':')
        && !body.starts_with(b"<")
}

/// The data of each finished event (HTML, section 9.2.6): the lines after `data:`, up to an empty one.
fn events(body: &[u8]) -> impl Iterator<Item = Vec<u8>> {
    let mut data: Vec<u8> = Vec::new();
    let finished = body.iter().rposition(|byte| *byte == b'\n').unwrap_or(0);
    body[..finished].split(|byte| *byte == b'\n').filter_map(move |line| {
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        if line.is_empty() {
            return Some(std::mem::take(&mut data)).filter(|data| !data.is_empty());
        }
        if let Some(text) = line.strip_prefix(b"data:") {
            data.extend(text.strip_prefix(b" ").unwrap_or(text));
            data.push(b'\n');
        }
        None
    })
}

/// Who we are.
fn client() -> Value {
    json!({"name": env!("CARGO_PKG_NAME"), "version": env!("CARGO_PKG_VERSION")})
}

/// The first request to a server with sessions.
pub(super) fn initialize() -> Value {
    json!({"protocolVersion": WITH_SESSIONS, "capabilities": {}, "clientInfo": client()})
}

/// What every request to a server without sessions brings with it.
pub(super) fn envelope() -> Value {
    json!({
        "io.modelcontextprotocol/protocolVersion": WITHOUT_SESSIONS,
        "io.modelcontextprotocol/clientInfo": client(),
        "io.modelcontextprotocol/clientCapabilities": {},
    })
}

/// A request.
pub(super) fn request(id: u32, method: &str, params: &Value) -> String {
    json!({"jsonrpc": "2.0", "id": id, "method": method, "params": params}).to_string()
}

/// A message that wants no answer.
pub(super) fn notification(method: &str) -> String {
    json!({"jsonrpc": "2.0", "method": method}).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_comes_as_json_or_as_an_event() {
        let wanted = Ok(Answer::Result(json!({"a": 1})));
        let json = r#"{"jsonrpc":"2.0","id":1,"result":{"a":1}}"#;
        let notice = r#"{"jsonrpc":"2.0","method":"notifications/message","params":{}}"#;
        let question = r#"{"jsonrpc":"2.0","id":1,"method":"ping"}"#;
        for body in [
            json.to_owned(),
            format!("[{notice},{json}]"),
            format!("event: message\r\ndata: {json}\r\n\r\n"),
            format!(": hello\nid: 7\ndata:{notice}\n\ndata: {question}\n\ndata: {json}\n\ndata: unfinished"),
            "data: {\"jsonrpc\":\"2.0\",\ndata: \"id\":1,\"result\":{\"a\":1}}\n\n".to_owned(),
        ] {
            assert_eq!(Answer::parse(body.as_bytes()), wanted, "{body}");
        }
    }

    #[test]
    fn a_stream_is_enough_once_the_answer_is_whole() {
        let head = "event: message\ndata: {\"jsonrpc\":\"2.0\",\"id\":1,\"result\":{}}";
        assert!(!is_answered(head.as_bytes()));
        assert!(!is_answered(format!("{head}\n").as_bytes()));
        assert!(is_answered(format!("{head}\n\n").as_bytes()));
        assert!(!is_answered(b"{\"jsonrpc\":\"2.0\",\"id\":1,\"result\":{}}\n"));
    }

    #[test]
    fn what_is_no_answer_is_said() {
        for (body, complaint) in [
            ("<html>a: b</html>", "the answer is not JSON"),
            ("", "the answer is not JSON"),
            ("{}", "the answer is no JSON-RPC answer"),
            (r#"{"jsonrpc":"2.0","id":1,"method":"ping"}"#, "the answer is no JSON-RPC answer"),
            ("data: {}\n\n", "the stream of events holds no answer"),
        ] {
            let said = Answer::parse(body.as_bytes()).unwrap_err();
            assert!(said.starts_with(complaint), "{body}: {said}");
        }
    }

    #[test]
    fn an_error_keeps_its_code() {
        let body = br#"{"jsonrpc":"2.0","id":null,"error":{"code":-32601,"message":"what?"}}"#;
        assert_eq!(Answer::parse(body), Ok(Answer::Error { code: -32601, message: "what?".into() }));
    }
}
