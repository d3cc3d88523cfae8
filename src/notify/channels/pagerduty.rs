//! An event for PagerDuty's Events API v2: `trigger` while something fires, `resolve` when it is over.
//!
//! <https://developer.pagerduty.com/docs/events-api-v2/overview/>. The group's key names the incident (`dedup_key`, as
//! Alertmanager computes it), so trying again is harmless. `acknowledge` is never sent: people do that.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use serde::Serialize;
use serde_json::Value as Json;
use sha2::{Digest as _, Sha256};

use crate::model::{Secret, hex};
use crate::notify::notification::Notification;
use crate::notify::template::Templates;
use crate::yaml::{Fields, Node, Value};

use super::http::Endpoint;
use super::limit::characters;
use super::service::{
    Deliver, Refusal, Size, Texts, credentials_once, parse_url, read_http, read_template, read_url,
    shorter_if_too_large, tell,
};
use super::{Channel, ChannelError, ChannelSettings, FailureReason, HttpSettings, Receipt};

/// Where events go, unless `url` or `pagerduty_url` says otherwise (the EU's host is another).
const URL: &str = "https://events.pagerduty.com/v2/enqueue";
/// Limits: of the summary in characters, of the whole event in bytes.
const SUMMARY: usize = 1024;
const EVENT: usize = 512_000;
/// The details that every event has unless they are given otherwise.
const DETAILS: [(&str, &str); 4] = [
    ("firing", "{{ .Alerts.Firing | toJson }}"),
    ("resolved", "{{ .Alerts.Resolved | toJson }}"),
    ("num_firing", "{{ .Alerts.Firing | len }}"),
    ("num_resolved", "{{ .Alerts.Resolved | len }}"),
];
const SEVERITIES: [&str; 4] = ["critical", "error", "warning", "info"];

/// One item of `pagerduty_configs`. Texts are templates.
#[derive(Debug, Clone, PartialEq)]
pub struct Settings {
    /// Which service of PagerDuty's: a secret, and a template.
    pub routing_key: Secret,
    /// Where events go.
    pub url: Secret,
    /// Who sends.
    pub client: String,
    /// Where the sender is found.
    pub client_url: String,
    /// The incident's title.
    pub description: String,
    /// What is ill.
    pub source: String,
    /// `critical`, `error`, `warning` or `info`.
    pub severity: String,
    /// The kind of event.
    pub class: String,
    /// The part of the source.
    pub component: String,
    /// The parts' group.
    pub group: String,
    /// Anything else.
    pub details: BTreeMap<String, Detail>,
    /// Pictures.
    pub images: Vec<Image>,
    /// Links.
    pub links: Vec<Link>,
    /// Authentication and TLS.
    pub http: HttpSettings,
    /// One attempt's time.
    pub timeout: Duration,
}

/// A detail: a template, or more of them.
#[derive(Debug, Clone, PartialEq)]
pub enum Detail {
    /// A template; what it gives may be JSON.
    Text(String),
    /// A list.
    List(Vec<Detail>),
    /// By name.
    Map(BTreeMap<String, Detail>),
}

/// A picture.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Image {
    /// Its URL.
    pub src: String,
    /// Its text.
    pub alt: String,
    /// Where it leads.
    pub href: String,
}

/// A link.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Link {
    /// Where to.
    pub href: String,
    /// Its text.
    pub text: String,
}

impl ChannelSettings for Settings {
    const KIND: &'static str = "pagerduty";
    const KEY: &'static str = "pagerduty_configs";
    type Defaults = Option<Secret>;

    fn read_defaults(global: &mut Fields<'_>) -> Option<Secret> {
        read_url(global, "pagerduty_url", "pagerduty_url_file")
    }

    fn read(fields: &mut Fields<'_>, default_url: &Option<Secret>, default_http: &HttpSettings) -> Option<Self> {
        let (http, timeout) = read_http(fields, default_http);
        for key in ["service_key", "service_key_file"] {
            if fields.has(key) {
                let what = format!("`{key}` is for PagerDuty's Events API v1, which is not built");
                fields.wrong(
                    key,
                    what,
                    "add an integration `Events API v2` to the service, and write its `routing_key`",
                );
                fields.take(key);
            }
        }
        let routing_key = fields.secret("routing_key", "routing_key_file");
        if !["routing_key", "routing_key_file", "service_key", "service_key_file"].iter().any(|key| fields.has(key)) {
            fields.problems().add(fields.at(), "there is no `routing_key`", "add `routing_key: …`");
        }
        let url = read_url(fields, "url", "url_file").or_else(|| default_url.clone());
        let url = url.unwrap_or_else(|| Secret::new(URL));
        let once = credentials_once(fields, "url", &url, &http);
        let details = read_details(fields);
        let images = read_items(fields, "images", |fields| Image {
            src: read_template(fields, "src", ""),
            alt: read_template(fields, "alt", ""),
            href: read_template(fields, "href", ""),
        });
        let links = read_items(fields, "links", |fields| Link {
            href: read_template(fields, "href", ""),
            text: read_template(fields, "text", ""),
        });
        let mut text = |key, otherwise: &str| read_template(fields, key, otherwise);
        let client = text("client", r#"{{ template "pagerduty.default.client" . }}"#);
        let settings = Self {
            client_url: text("client_url", r#"{{ template "pagerduty.default.clientURL" . }}"#),
            description: text("description", r#"{{ template "pagerduty.default.description" . }}"#),
            source: text("source", &client),
            severity: text("severity", "error"),
            class: text("class", ""),
            component: text("component", ""),
            group: text("group", ""),
            client,
            routing_key: routing_key.clone().unwrap_or_default(),
            url,
            details,
            images,
            links,
            http,
            timeout,
        };
        routing_key.and(once).map(|()| settings)
    }

    fn caution(&self) -> Option<&'static str> {
        self.http.caution()
    }

    fn build(&self, templates: &Arc<Templates>) -> Result<Arc<dyn Channel>, String> {
        let url = parse_url(&self.url).map_err(|complaint| format!("`url` {complaint}"))?;
        let endpoint = Endpoint::new(url, &self.http, self.timeout)?.hiding(self.routing_key.clone());
        Ok(Arc::new(PagerDuty { settings: self.clone(), endpoint, templates: Arc::clone(templates) }))
    }
}

fn read_details(fields: &mut Fields<'_>) -> BTreeMap<String, Detail> {
    let given = fields.take("details").map(|node| read_detail(node, fields));
    let mut details = match given {
        Some(Detail::Map(details)) => details,
        None => BTreeMap::new(),
        Some(_) => {
            fields.wrong("details", "`details` is no mapping", "write `details: {name: text}`");
            BTreeMap::new()
        }
    };
    for (name, template) in DETAILS {
        details.entry(name.into()).or_insert_with(|| Detail::Text(template.into()));
    }
    details
}

fn read_detail(node: &Node, fields: &Fields<'_>) -> Detail {
    match &node.value {
        Value::Null => Detail::Text(String::new()),
        Value::Scalar { text, .. } => {
            if let Err(error) = crate::template::parse(text) {
                fields.problems().add(&node.at, format!("not a template: {error}"), "");
            }
            Detail::Text(text.clone())
        }
        Value::List(items) => Detail::List(items.iter().map(|item| read_detail(item, fields)).collect()),
        Value::Map(entries) => {
            Detail::Map(entries.iter().map(|(name, _, node)| (name.clone(), read_detail(node, fields))).collect())
        }
    }
}

fn read_items<T>(fields: &mut Fields<'_>, key: &'static str, read: impl Fn(&mut Fields<'_>) -> T) -> Vec<T> {
    let problems = fields.problems();
    let one = |item| {
        let mut fields = Fields::of(item, format!("an item of `{key}`"), problems)?;
        let read = read(&mut fields);
        fields.finish();
        Some(read)
    };
    fields.list(key).iter().filter_map(one).collect()
}

impl Detail {
    fn fill(&self, texts: &Texts<'_>) -> Result<Json, ChannelError> {
        Ok(match self {
            Self::Text(template) => {
                let text = texts.of(template)?;
                // What is JSON comes as what it is; a text in quotes was meant as it stands.
                serde_json::from_str(&text).ok().filter(|json: &Json| !json.is_string()).unwrap_or(Json::String(text))
            }
            Self::List(items) => Json::Array(items.iter().map(|item| item.fill(texts)).collect::<Result<_, _>>()?),
            Self::Map(entries) => {
                let fill = |(name, detail): (&String, &Self)| Ok((name.clone(), detail.fill(texts)?));
                Json::Object(entries.iter().map(fill).collect::<Result<_, ChannelError>>()?)
            }
        })
    }
}

struct PagerDuty {
    settings: Settings,
    endpoint: Endpoint,
    templates: Arc<Templates>,
}

#[derive(Serialize)]
struct Event {
    routing_key: String,
    dedup_key: String,
    #[serde(rename = "event_action")]
    action: &'static str,
    payload: Payload,
    #[serde(skip_serializing_if = "String::is_empty")]
    client: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    client_url: String,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    images: Vec<Image>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    links: Vec<Link>,
}

#[derive(Serialize)]
struct Payload {
    summary: String,
    source: String,
    severity: &'static str,
    #[serde(skip_serializing_if = "String::is_empty")]
    class: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    component: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    group: String,
    custom_details: BTreeMap<String, Json>,
}

impl PagerDuty {
    fn event(&self, notification: &Notification, size: Size) -> Result<Event, ChannelError> {
        let settings = &self.settings;
        let texts = Texts::plain(&self.templates, notification);
        let routing_key = texts.of(settings.routing_key.expose())?.trim().to_owned();
        if routing_key.is_empty() {
            return Err(ChannelError::lasting(FailureReason::Other, "the `routing_key` is empty once filled in"));
        }
        let or = |text: String, otherwise: &str| if text.trim().is_empty() { otherwise.to_owned() } else { text };
        let summary = or(texts.of(&settings.description)?, &notification.group_key);
        let detail = |(name, detail): (&String, &Detail)| Ok((name.clone(), detail.fill(&texts)?));
        let payload = Payload {
            summary: characters(&summary, size.of(SUMMARY)).into_owned(),
            source: or(texts.of(&settings.source)?, "sidewatch"),
            severity: severity(&texts.of(&settings.severity)?),
            class: texts.of(&settings.class)?,
            component: texts.of(&settings.component)?,
            group: texts.of(&settings.group)?,
            custom_details: settings.details.iter().map(detail).collect::<Result<_, ChannelError>>()?,
        };
        let images = settings.images.iter().map(|image| image.fill(&texts)).collect::<Result<Vec<_>, _>>()?;
        let mut links = settings.links.iter().map(|link| link.fill(&texts)).collect::<Result<Vec<_>, _>>()?;
        // Here, not there: what PagerDuty is told of an acknowledgement, it keeps to itself.
        let here = notification.asides.acknowledge_url.iter();
        links.extend(here.map(|url| Link { href: url.clone(), text: "Acknowledge in Sidewatch".into() }));
        let event = Event {
            routing_key,
            dedup_key: key_hash(&notification.group_key),
            action: if notification.is_firing() { "trigger" } else { "resolve" },
            payload,
            client: texts.of(&settings.client)?,
            client_url: texts.of(&settings.client_url)?,
            // PagerDuty refuses those without an address.
            images: images.into_iter().filter(|image| !image.src.is_empty()).collect(),
            links: links.into_iter().filter(|link| !link.href.is_empty()).collect(),
        };
        // An event that PagerDuty called too large goes without its details, whatever our count says.
        Ok(event.within(if size == Size::Whole { EVENT } else { 0 }))
    }
}

impl Event {
    /// Without its details if it would be too large with them.
    fn within(mut self, limit: usize) -> Self {
        let length = serde_json::to_vec(&self).map_or(usize::MAX, |json| json.len());
        if length > limit {
            let what = "The details are left out: with them the event is larger than PagerDuty takes.";
            self.payload.custom_details = BTreeMap::from([("error".into(), what.into())]);
        }
        self
    }
}

impl Image {
    fn fill(&self, texts: &Texts<'_>) -> Result<Self, ChannelError> {
        Ok(Self { src: texts.of(&self.src)?, alt: texts.of(&self.alt)?, href: texts.of(&self.href)? })
    }
}

impl Link {
    fn fill(&self, texts: &Texts<'_>) -> Result<Self, ChannelError> {
        Ok(Self { href: texts.of(&self.href)?, text: texts.of(&self.text)? })
    }
}

/// PagerDuty refuses events of any severity but its four.
fn severity(text: &str) -> &'static str {
    SEVERITIES.into_iter().find(|known| known.eq_ignore_ascii_case(text.trim())).unwrap_or("error")
}

/// Alertmanager's name of a group for other systems: the SHA-256 of its key.
fn key_hash(group_key: &str) -> String {
    hex(Sha256::digest(group_key))
}

#[async_trait]
impl Deliver for PagerDuty {
    async fn deliver(&self, notification: &Notification, size: Size) -> Result<Receipt, Refusal> {
        let event = self.event(notification, size)?;
        tell(&self.endpoint, &event).await
    }
}

#[async_trait]
impl Channel for PagerDuty {
    async fn send(&self, notification: &Notification) -> Result<Receipt, ChannelError> {
        shorter_if_too_large(self, notification).await
    }

    fn is_idempotent(&self) -> bool {
        true
    }
}

#[cfg(test)]
#[path = "pagerduty_tests.rs"]
mod tests;
