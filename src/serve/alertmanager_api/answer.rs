//! Answers and errors in the shapes of Alertmanager's API: its own errors are bare texts, those of the layer that reads
//! requests are objects with a code.

use axum::Json;
use axum::http::{HeaderValue, Method, StatusCode, Uri, header};
use axum::response::{IntoResponse, Response};
use serde_json::{Value, json};

/// Why there is no answer.
#[derive(Debug, PartialEq, Eq)]
pub enum ApiError {
    /// What was asked makes no sense, in Alertmanager's words.
    Bad(String),
    /// What was sent cannot be read.
    Unreadable(String),
    /// What was sent lacks something or has something wrong; the code is that of go-openapi's rule.
    Invalid(u16, String),
    /// Not sent as JSON.
    MediaType(String),
    /// The body is longer than we take.
    TooLong,
    /// There is none, without and with a text.
    NotFound(Option<&'static str>),
    /// We could not.
    Failed(String),
}

/// A key that must be there is not.
pub const REQUIRED: u16 = 602;
/// Too few items.
pub const MIN_ITEMS: u16 = 612;
/// Not of the form it should have.
pub const TYPE: u16 = 601;

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        let object = |status: StatusCode, code: u16, message: String| {
            (status, Json(json!({"code": code, "message": message}))).into_response()
        };
        let own = |status: StatusCode, text: &str| (status, Json(Value::from(text))).into_response();
        match self {
            Self::Bad(why) => own(StatusCode::BAD_REQUEST, &why),
            Self::Unreadable(why) => object(StatusCode::BAD_REQUEST, 400, why),
            Self::Invalid(code, why) => object(StatusCode::UNPROCESSABLE_ENTITY, code, why),
            Self::MediaType(kind) => object(
                StatusCode::UNSUPPORTED_MEDIA_TYPE,
                415,
                format!("unsupported media type {kind:?}, only [application/json] are allowed"),
            ),
            Self::TooLong => object(StatusCode::PAYLOAD_TOO_LARGE, 413, "the body is too long".into()),
            Self::NotFound(None) => StatusCode::NOT_FOUND.into_response(),
            Self::NotFound(Some(why)) => own(StatusCode::NOT_FOUND, why),
            Self::Failed(why) => own(StatusCode::INTERNAL_SERVER_ERROR, &why),
        }
    }
}

/// An answer that nobody shall keep.
pub fn found(value: &Value) -> Response {
    let mut response = Json(value).into_response();
    response.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}

/// A path that is none.
pub async fn not_found(uri: Uri) -> Response {
    let message = format!("path {} was not found", uri.path());
    (StatusCode::NOT_FOUND, Json(json!({"code": 404, "message": message}))).into_response()
}

/// A method that the path does not have.
pub async fn method_not_allowed(method: Method, uri: Uri) -> Response {
    let allowed = match uri.path() {
        "/api/v2/alerts" | "/api/v2/alerts/ack" | "/api/v2/silences" => "GET,POST",
        path if path.starts_with("/api/v2/silence/") => "GET,DELETE",
        _ => "GET",
    };
    let message = format!("method {method} is not allowed, but [{allowed}] are");
    (StatusCode::METHOD_NOT_ALLOWED, [(header::ALLOW, allowed)], Json(json!({"code": 405, "message": message})))
        .into_response()
}
