//! What the channels to chat and paging services share: how they read their settings, fill in their texts, ask, and
//! understand a "no".

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use hyper::Method;
use serde::Serialize;
use url::Url;

use crate::model::{Alert, Labels, Millis, Secret};
use crate::notify::notification::Notification;
use crate::notify::retry::retry_after;
use crate::notify::template::Templates;
use crate::runtime::http_client::{Reply, credentials};
use crate::yaml::Fields;

use super::http::Endpoint;
use super::{ChannelError, FailureReason, HttpSettings, Receipt, Retry};

/// One attempt's time, where `timeout` gives none.
const TIMEOUT: Duration = Duration::from_secs(10);
/// What messages say when an attempt before them may have arrived.
pub(super) const POSSIBLE_DUPLICATE: &str = "Possible duplicate: an earlier attempt may have arrived.";

/// How much of a message is sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Size {
    /// As much as the service says that it takes.
    Whole,
    /// A quarter, after it refused the whole as too large.
    Short,
}

impl Size {
    /// What of a limit may be used.
    pub(super) fn of(self, limit: usize) -> usize {
        match self {
            Self::Whole => limit,
            Self::Short => limit / 4,
        }
    }
}

/// What a service made of a message.
pub(super) enum Refusal {
    /// It is too large for it.
    TooLarge(ChannelError),
    /// Anything else.
    Other(ChannelError),
}

impl Refusal {
    /// As what the caller gets.
    pub(super) fn into_error(self) -> ChannelError {
        match self {
            Self::TooLarge(error) | Self::Other(error) => error,
        }
    }

    /// Whether the same question would be refused again, for what it asks rather than for who asks.
    pub(super) fn is_for_good(&self) -> bool {
        match self {
            Self::TooLarge(_) => false,
            Self::Other(error) => error.retry == Retry::Never && error.reason != FailureReason::AuthError,
        }
    }
}

impl From<ChannelError> for Refusal {
    fn from(error: ChannelError) -> Self {
        Self::Other(error)
    }
}

/// A channel whose message may turn out too large.
#[async_trait]
pub(super) trait Deliver: Sync {
    /// Sends once.
    async fn deliver(&self, notification: &Notification, size: Size) -> Result<Receipt, Refusal>;
}

/// Sends a message, and a shorter one at once if it is too large. No third.
pub(super) async fn shorter_if_too_large(
    channel: &impl Deliver,
    notification: &Notification,
) -> Result<Receipt, ChannelError> {
    let outcome = match channel.deliver(notification, Size::Whole).await {
        Err(Refusal::TooLarge(_)) => channel.deliver(notification, Size::Short).await,
        other => other,
    };
    outcome.map_err(Refusal::into_error)
}

/// Sends JSON; any answer comes back.
pub(super) async fn ask(
    endpoint: &Endpoint,
    method: Method,
    url: Url,
    body: &impl Serialize,
) -> Result<Reply, ChannelError> {
    let body = serde_json::to_vec(body).map_err(|error| {
        ChannelError::lasting(FailureReason::Other, format!("the message has no JSON form: {error}"))
    })?;
    endpoint.ask(method, url, body, &[]).await
}

/// POSTs JSON to the endpoint's own address, whose service has nothing to say but that it took it. A page is somebody else's.
pub(super) async fn tell(endpoint: &Endpoint, body: &impl Serialize) -> Result<Receipt, Refusal> {
    let reply = ask(endpoint, Method::POST, endpoint.url().clone(), body).await?;
    if !reply.status.is_success() {
        return Err(refused(endpoint, &reply));
    }
    if reply.body.trim_ascii_start().starts_with(b"<") {
        return Err(not_the_service(endpoint, &reply));
    }
    Ok(None)
}

/// What an answer that is no success means, by its status.
pub(super) fn refused(endpoint: &Endpoint, reply: &Reply) -> Refusal {
    let error = endpoint.refused(reply);
    if reply.status.as_u16() == 413 { Refusal::TooLarge(error) } else { Refusal::Other(error) }
}

/// A success by its status whose body is not the service's: a portal's or a proxy's page, which may go away.
pub(super) fn not_the_service(endpoint: &Endpoint, reply: &Reply) -> Refusal {
    let what = format!("{} (this is not the service's own answer)", endpoint.told(reply));
    Refusal::Other(ChannelError::passing(FailureReason::Other, what))
}

/// Takes up how long a service asks to wait in its answer's body, in seconds; the header counts too.
pub(super) fn wait_as_told(refusal: Refusal, seconds: Option<f64>) -> Refusal {
    let Refusal::Other(mut error) = refusal else {
        return refusal;
    };
    let asked = seconds.filter(|seconds| *seconds >= 0.0 && error.retry != Retry::Never);
    // Through the reader of the header, which caps it.
    if let Some(wait) = asked.and_then(|seconds| retry_after(&format!("{:.0}", seconds.ceil()), Millis(0))) {
        let known = if let Retry::After(known) = error.retry { known } else { Duration::ZERO };
        error.retry = Retry::After(wait.max(known));
    }
    Refusal::Other(error)
}

/// Fills in the texts of one message.
pub(super) struct Texts<'c> {
    templates: &'c Templates,
    notification: Notification,
}

impl<'c> Texts<'c> {
    /// The alerts' own texts go in as they are.
    pub(super) fn plain(templates: &'c Templates, notification: &Notification) -> Self {
        Self { templates, notification: notification.clone() }
    }

    /// The alerts' own texts, names as values, go through functions first, so that they cannot be taken for markup: `escape`, and
    /// `annotation` for what the rules' author wrote.
    pub(super) fn escaped(
        templates: &'c Templates,
        notification: &Notification,
        escape: fn(&str) -> String,
        annotation: fn(&str) -> String,
    ) -> Self {
        let escape_all = |labels: &Labels, escape: fn(&str) -> String| {
            let pairs: Vec<_> = labels.iter().map(|(name, value)| (escape(name), escape(value))).collect();
            Labels::new(pairs.iter().map(|(name, value)| (name.as_str(), value.as_str())))
        };
        let one = |alert: &Arc<Alert>| {
            Arc::new(Alert {
                labels: escape_all(&alert.labels, escape),
                annotations: escape_all(&alert.annotations, annotation),
                generator_url: escape(&alert.generator_url),
                ..Alert::clone(alert)
            })
        };
        let notification = Notification {
            group_key: escape(&notification.group_key).into(),
            group_labels: escape_all(&notification.group_labels, escape),
            alerts: notification.alerts.iter().map(one).collect(),
            external_url: escape(&notification.external_url).into(),
            asides: notification.asides.escaped(escape),
            ..notification.clone()
        };
        Self { templates, notification }
    }

    /// A template's text.
    ///
    /// # Errors
    /// The template cannot be filled in; it would not be next time either.
    pub(super) fn of(&self, template: &str) -> Result<String, ChannelError> {
        // Most keys hold no template, or nothing.
        if !template.contains("{{") {
            return Ok(template.to_owned());
        }
        self.templates
            .text(template, &self.notification)
            .map_err(|error| ChannelError::lasting(FailureReason::Other, format!("a template of the message: {error}")))
    }
}

/// Takes from an alert's own texts what would call up everybody in Mattermost and Rocket.Chat: `@all`, `@channel`, `@here`,
/// and Slack's `<!…>`, which Mattermost knows too. A mention that stands in the configuration stays one.
pub(super) fn calling_nobody(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find(['@', '<']) {
        let (mark, after) = (&rest[at..=at], &rest[at + 1..]);
        out.push_str(&rest[..=at]);
        let calls = |word: &&str| after.get(..word.len()).is_some_and(|start| start.eq_ignore_ascii_case(word));
        let words: &[&str] = if mark == "@" { &["all", "channel", "here", "everyone"] } else { &["!"] };
        if words.iter().any(calls) {
            out.push('\u{200b}');
        }
        rest = after;
    }
    out + rest
}

/// Reads a template; a wrong one is a problem. `otherwise` where the key is not given.
pub(super) fn read_template(fields: &mut Fields<'_>, key: &'static str, otherwise: &str) -> String {
    let parse = |text: &str| match crate::template::parse(text) {
        Ok(_) => Ok(text.to_owned()),
        Err(error) => Err(format!("not a template: {error}")),
    };
    fields.parsed(key, parse).unwrap_or_else(|| otherwise.to_owned())
}

/// Reads `http_config` and `timeout`. Alertmanager's `timeout: 0` sets no bound; ours always holds.
pub(super) fn read_http(fields: &mut Fields<'_>, default_http: &HttpSettings) -> (HttpSettings, Duration) {
    let http = fields.section("http_config").map_or_else(|| default_http.clone(), HttpSettings::read);
    let timeout = fields.duration("timeout").filter(|timeout| !timeout.is_zero()).unwrap_or(TIMEOUT);
    (http, timeout)
}

/// Reads a URL that is a secret. A wrong one is a problem, which never quotes it.
pub(super) fn read_url(fields: &mut Fields<'_>, key: &'static str, file_key: &'static str) -> Option<Secret> {
    let url = Secret::new(fields.secret(key, file_key)?.expose().trim());
    let given = if fields.has(key) { key } else { file_key };
    match parse_url(&url) {
        Ok(_) => Some(url),
        Err(complaint) => {
            fields.wrong(given, format!("`{given}` {complaint}"), "write `https://…`");
            None
        }
    }
}

/// As [`read_url`], and without it there is no channel.
pub(super) fn require_url(fields: &mut Fields<'_>, key: &'static str, file_key: &'static str) -> Option<Secret> {
    let url = read_url(fields, key, file_key);
    if !fields.has(key) && !fields.has(file_key) {
        let what = format!("there is no `{key}`");
        fields.problems().add(fields.at(), what, format!("add `{key}: https://…` or `{file_key}: …`"));
    }
    url
}

/// The complaint never quotes the URL.
pub(super) fn parse_url(url: &Secret) -> Result<Url, String> {
    let parsed = Url::parse(url.expose()).map_err(|error| format!("is not a URL: {error}"))?;
    match parsed.scheme() {
        "http" | "https" if parsed.has_host() => Ok(parsed),
        _ => Err("is neither http:// nor https://".into()),
    }
}

/// Refuses credentials both in the URL and in `http_config`.
pub(super) fn credentials_once(fields: &Fields<'_>, key: &str, url: &Secret, http: &HttpSettings) -> Option<()> {
    let in_url = parse_url(url).ok().and_then(|mut url| credentials(&mut url)).is_some();
    if in_url && http.authorization.is_some() {
        fields.wrong(key, "credentials are given twice", "keep those of the URL or those of `http_config`");
        return None;
    }
    Some(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_the_group_key_call_up_nobody_either() {
        let mut odd = crate::notify::channels::testing::firing("shop");
        let labels = Labels::new([("alertname", "A"), ("@all", "x")]);
        let alert = Alert { labels: labels.clone(), annotations: labels.clone(), ..Alert::clone(&odd.alerts[0]) };
        (odd.alerts, odd.group_labels, odd.group_key) = (vec![Arc::new(alert)], labels, "{}:{@all=\"x\"}".into());
        let templates = Templates::new();
        let text = "{{ .CommonLabels }} {{ .GroupLabels }} {{ .CommonAnnotations }} {{ .GroupKey }}";
        let said = Texts::escaped(&templates, &odd, calling_nobody, calling_nobody).of(text).unwrap();
        assert_eq!(said.matches("@\u{200b}all").count(), 4, "{said}");
        assert!(!said.contains("@all") && said.contains("alertname=A"), "{said}");
    }

    #[test]
    fn an_alerts_texts_call_up_nobody() {
        for (text, expected) in [
            ("@all, @Channel and @here", "@\u{200b}all, @\u{200b}Channel and @\u{200b}here"),
            ("<!channel> <b> ann@example.org @ann @", "<\u{200b}!channel> <b> ann@example.org @ann @"),
            ("@ä", "@ä"),
        ] {
            assert_eq!(calling_nobody(text), expected);
        }
    }
}
