use std::sync::{Arc, Mutex};

use axum::Router;
use axum::body::Body;
use axum::extract::State;
use axum::http::{HeaderMap, Method, Response, StatusCode};
use axum::routing::any;
use futures_util::StreamExt as _;
use serde_json::{Value, json};

use super::*;
use crate::collect::Reason;
use crate::collect::test_target::{probe_once, read, said};
use crate::runtime::test_server;

/// How a made-up server differs from a good one.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Manner {
    /// Answers in JSON, with a session.
    Json,
    /// Answers in a stream of events that stays open.
    Stream,
    /// Has no sessions at all, as of 2026-07-28.
    Sessionless,
    /// Offers no tools.
    NoTools,
    /// Never comes to the end of its list of tools.
    Endless,
}

/// A server, and the requests that came: method and session.
struct Server {
    manner: Manner,
    came: Mutex<Vec<String>>,
}

async fn serve(State(server): State<Arc<Server>>, method: Method, headers: HeaderMap, body: String) -> Response<Body> {
    let header = |name: &str| headers.get(name).map_or("", |value| value.to_str().unwrap()).to_owned();
    if header("authorization") == "Bearer wrong" {
        return Response::builder().status(StatusCode::UNAUTHORIZED).body(Body::empty()).unwrap();
    }
    let message: Value = serde_json::from_str(&body).unwrap_or_default();
    let name = message["method"].as_str().unwrap_or(method.as_str()).to_owned();
    server.came.lock().unwrap().push(format!("{name} {}", header("mcp-session-id")).trim_end().to_owned());
    let Some(id) = message.get("id") else {
        let status = if method == Method::DELETE { StatusCode::OK } else { StatusCode::ACCEPTED };
        return Response::builder().status(status).body(Body::empty()).unwrap();
    };
    let mut answer = answer(server.manner, &name, &message["params"]);
    answer["jsonrpc"] = "2.0".into();
    answer["id"] = id.clone();
    let status = if answer.get("error").is_some() { StatusCode::BAD_REQUEST } else { StatusCode::OK };
    let mut response = Response::builder().status(status);
    if name == "initialize" && server.manner != Manner::Sessionless {
        response = response.header("mcp-session-id", "s1");
    }
    if server.manner != Manner::Stream {
        return response.body(Body::from(answer.to_string())).unwrap();
    }
    let event = Ok::<_, std::convert::Infallible>(format!("event: message\r\ndata: {answer}\r\n\r\n"));
    let open = futures_util::stream::iter([event]).chain(futures_util::stream::pending());
    response.header("content-type", "text/event-stream").body(Body::from_stream(open)).unwrap()
}

fn answer(manner: Manner, method: &str, params: &Value) -> Value {
    let tool = |name: &str| json!({"name": name, "inputSchema": {"type": "object"}});
    let info = json!({"name": "shop", "version": "1.2"});
    let capabilities = if manner == Manner::NoTools { json!({}) } else { json!({"tools": {}}) };
    match method {
        "initialize" if manner == Manner::Sessionless => {
            json!({"error": {"code": -32022, "message": "Unsupported protocol version"}})
        }
        "initialize" => {
            json!({"result": {"protocolVersion": "2025-06-18", "capabilities": capabilities, "serverInfo": info}})
        }
        "server/discover" if params["_meta"]["io.modelcontextprotocol/protocolVersion"] == "2026-07-28" => {
            json!({"result": {"supportedVersions": ["2026-07-28"], "capabilities": capabilities, "serverInfo": info}})
        }
        "tools/list" if manner == Manner::Endless => json!({"result": {"tools": [], "nextCursor": "more"}}),
        "tools/list" if params["cursor"] == "2" => json!({"result": {"tools": [tool("refund")]}}),
        "tools/list" => json!({"result": {"tools": [tool("search"), tool("order")], "nextCursor": "2"}}),
        _ => json!({"error": {"code": -32601, "message": "Method not found"}}),
    }
}

async fn server(manner: Manner) -> (String, Arc<Server>) {
    let server = Arc::new(Server { manner, came: Mutex::default() });
    let router = Router::new().route("/mcp", any(serve)).with_state(Arc::clone(&server));
    (format!("http://{}/mcp", test_server::http(router).await), server)
}

async fn look(url: &str, keys: &str) -> Look {
    probe_once(&Mcp::new(read(url, keys).unwrap()).unwrap(), Duration::from_secs(2)).await
}

#[tokio::test]
async fn a_visit_lists_the_tools_and_leaves_no_session() {
    for manner in [Manner::Json, Manner::Stream] {
        let (url, server) = server(manner).await;
        let look = look(&url, "expect: {tools: [search, refund]}").await;
        assert_eq!((look.healthy, said(&look)), (true, vec![]), "{manner:?}");
        assert_eq!(look.get("probe_mcp_tools", &[]), Some(3.0));
        assert_eq!(look.get("probe_mcp_expected_tools_missing", &[]), Some(0.0));
        assert_eq!(look.get("probe_mcp_protocol_info", &[("version", "2025-06-18")]), Some(1.0));
        assert_eq!(look.get("probe_mcp_server_info", &[("name", "shop"), ("version", "1.2")]), Some(1.0));
        assert_eq!(look.get("probe_mcp_session", &[]), Some(1.0));
        assert_eq!(look.get("probe_http_status_code", &[]), Some(200.0));
        let came = server.came.lock().unwrap().clone();
        let visit = ["initialize", "notifications/initialized s1", "tools/list s1", "tools/list s1", "DELETE s1"];
        assert_eq!(came, visit);
        for phase in ["initialize", "initialized", "tools", "close"] {
            assert!(look.get("probe_mcp_duration_seconds", &[("phase", phase)]) > Some(0.0), "{phase}");
        }
    }
}

#[tokio::test]
async fn a_server_without_sessions_is_asked_in_its_own_way() {
    let (url, server) = server(Manner::Sessionless).await;
    let look = look(&url, "").await;
    assert_eq!((look.healthy, said(&look)), (true, vec![]));
    assert_eq!(look.get("probe_mcp_tools", &[]), Some(3.0));
    assert_eq!(look.get("probe_mcp_session", &[]), Some(0.0));
    assert_eq!(look.get("probe_mcp_protocol_info", &[("version", "2026-07-28")]), Some(1.0));
    assert_eq!(look.get("probe_mcp_expected_tools_missing", &[]), None);
    let came = server.came.lock().unwrap().clone();
    assert_eq!(came, ["initialize", "server/discover", "tools/list", "tools/list"]);
}

#[tokio::test]
async fn missing_tools_are_named() {
    let (url, _) = server(Manner::Json).await;
    let seen = look(&url, "expect: {tools: [pay, order, ship]}").await;
    assert_eq!(said(&seen), ["expectation: the server does not offer the tools pay, ship"]);
    assert_eq!(seen.get("probe_mcp_expected_tools_missing", &[]), Some(2.0));
    let (url, _) = server(Manner::NoTools).await;
    assert_eq!(look(&url, "").await.get("probe_mcp_tools", &[]), Some(0.0));
    assert_eq!(look(&url, "expect: {tools: [pay]}").await.failures[0].reason(), Reason::Expectation);
}

#[tokio::test]
async fn a_list_without_end_is_given_up_and_the_session_ended() {
    let (url, server) = server(Manner::Endless).await;
    let seen = look(&url, "").await;
    assert_eq!(said(&seen), ["too_large: the list of tools has more than 20 pages"]);
    assert_eq!(seen.get("probe_mcp_tools", &[]), None);
    assert_eq!(server.came.lock().unwrap().last().unwrap(), "DELETE s1");
}

#[tokio::test]
async fn what_is_no_mcp_server_has_its_reason() {
    let (url, _) = server(Manner::Json).await;
    assert_eq!(look(&url, "bearer_token: wrong").await.failures[0].reason(), Reason::Auth);
    let page = test_server::http(Router::new().route("/", any(|| async { "<html>hello: you</html>" }))).await;
    let page = look(&format!("http://{page}/"), "").await;
    assert!(said(&page)[0].starts_with("malformed: initialize: the answer is not JSON"), "{:?}", said(&page));
    assert_eq!(page.get("probe_mcp_tools", &[]), None);
    let none = test_server::http(Router::new()).await;
    let none = look(&format!("http://{none}/mcp"), "").await;
    assert_eq!(said(&none), ["status: initialize is answered with status 404"]);
    let closed = look(&format!("http://{}/", test_server::closed().await), "").await;
    assert_eq!(closed.failures[0].reason(), Reason::Refused);
    let silent = look(&format!("http://{}/", test_server::silent().await), "").await;
    assert_eq!(said(&silent), ["timeout: initialize: no answer in time (processing)"]);
}
