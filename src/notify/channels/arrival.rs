//! Asks where messages arrive whether one of ours is there, as Mailpit's API tells
//! (<https://mailpit.axllent.org/docs/api-v1/>).

use std::sync::Arc;
use std::time::Duration;

use hyper::Method;
use url::Url;

use crate::model::Secret;
use crate::runtime::http_client::credentials;
use crate::yaml::Fields;

use super::http::Endpoint;
use super::service::{credentials_once, parse_url, read_http, require_url};
use super::{ChannelSettings as _, HttpSettings, email, webhook};

/// Where a message's [`id`](crate::notify::Notification::id) goes in a URL and in what an answer must contain.
const ID: &str = "{id}";

/// Whether messages of a kind hold their id, so that one can be looked for.
pub(in crate::notify) fn can_be_found(kind: &str) -> bool {
    matches!(kind, email::Settings::KIND | webhook::Settings::KIND)
}

/// These, for people.
pub(in crate::notify) const FOUND: &str = "`email` and `webhook`";

/// One item of `arrivals`.
#[derive(Debug, Clone, PartialEq)]
pub struct Settings {
    /// The receiver whose messages are looked for.
    pub receiver: String,
    /// Its kind of channel. Default `email`.
    pub integration: String,
    /// What is asked, with `{id}` for the message's id.
    pub url: Secret,
    /// What an answer must contain. Default the id.
    pub contains: String,
    /// Authentication and TLS.
    pub http: HttpSettings,
    /// One question's time.
    pub timeout: Duration,
}

impl Settings {
    /// Reads an item.
    pub(in crate::notify) fn read(fields: &mut Fields<'_>) -> Option<Self> {
        let receiver = fields.required("receiver");
        let integration = fields.text("integration").unwrap_or_else(|| "email".into());
        let contains = fields.text("contains").filter(|text| !text.is_empty()).unwrap_or_else(|| ID.into());
        let (http, timeout) = read_http(fields, &HttpSettings::default());
        let url = require_url(fields, "url", "url_file")?;
        credentials_once(fields, "url", &url, &http)?;
        if !url.expose().contains(ID) && !contains.contains(ID) {
            let what = "neither `url` nor `contains` names the message, so any would do";
            fields.wrong("url", what, "put `{id}` where the message's id belongs");
        }
        Some(Self { receiver: receiver?, integration, url, contains, http, timeout })
    }

    /// Makes what asks.
    pub(in crate::notify) fn build(&self) -> Result<Arc<Arrival>, String> {
        let endpoint = Endpoint::new(parse_url(&self.url)?, &self.http, self.timeout)?;
        Ok(Arc::new(Arrival { endpoint, settings: self.clone() }))
    }
}

/// Asks.
pub(in crate::notify) struct Arrival {
    endpoint: Endpoint,
    settings: Settings,
}

impl Arrival {
    /// Whether it is about this channel.
    pub(in crate::notify) fn is_about(&self, receiver: &str, kind: &str) -> bool {
        self.settings.receiver == receiver && self.settings.integration == kind
    }

    /// Asks once. `Err` says why the message is not known to have arrived.
    pub(in crate::notify) async fn look(&self, id: &str) -> Result<(), String> {
        let mut url = Url::parse(&self.settings.url.expose().replace(ID, id)).map_err(|error| error.to_string())?;
        let _ = credentials(&mut url);
        let reply = self.endpoint.ask(Method::GET, url, Vec::new(), &[]).await.map_err(|error| error.what)?;
        if !reply.status.is_success() {
            return Err(self.endpoint.told(&reply));
        }
        let wanted = self.settings.contains.replace(ID, id);
        let found = String::from_utf8_lossy(&reply.body).contains(&wanted);
        if found { Ok(()) } else { Err("it was taken, but is not found where messages arrive".into()) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Problems;
    use crate::notify::channels::recorder::{Play, Recorder};
    use crate::yaml::parse;

    fn arrival(text: &str) -> Arc<Arrival> {
        let (node, problems) = (parse(text, "f.yml").unwrap(), Problems::new());
        let mut fields = Fields::of(&node, "an item", &problems).unwrap();
        let settings = Settings::read(&mut fields).unwrap();
        fields.finish();
        assert!(problems.is_empty(), "{problems:?}");
        settings.build().unwrap()
    }

    #[tokio::test]
    async fn a_message_is_there_when_the_answer_contains_it() {
        let not_there = Play::Answer(200, &[], r#"{"total":3,"messages":[]}"#);
        let there = Play::Answer(200, &[], r#"{"messages":[{"MessageID":"a1b2@example.org"}]}"#);
        let recorder = Recorder::playing([not_there, there, Play::Answer(404, &[], "no /s3cretpath here")]).await;
        let url = recorder.url("/s3cretpath?query=message-id:{id}");
        let mailpit = arrival(&format!("{{receiver: on-call, url: '{}'}}", url.replace("http://", "http://u:p4ss@")));
        assert!(mailpit.is_about("on-call", "email") && !mailpit.is_about("on-call", "webhook"));
        let missing = mailpit.look("a1b2").await.unwrap_err();
        assert_eq!(missing, "it was taken, but is not found where messages arrive");
        mailpit.look("a1b2").await.unwrap();
        let refused = mailpit.look("a1b2").await.unwrap_err();
        assert!(refused.contains("404") && !refused.contains("s3cret"), "{refused}");
        let asked = &recorder.requests()[0];
        let authorization = asked.header("authorization").is_some_and(|value| value.starts_with("Basic "));
        assert_eq!((asked.method.as_str(), asked.target.as_str()), ("GET", "/s3cretpath?query=message-id:a1b2"));
        assert!(authorization, "{asked:?}");
    }

    #[tokio::test]
    async fn what_an_answer_must_contain_may_be_said() {
        let recorder = Recorder::playing([Play::Answer(200, &[], r#"{"seen":"a1b2!"}"#)]).await;
        let url = recorder.url("/seen");
        let text = format!("{{receiver: hook, integration: webhook, contains: '\"seen\":\"{{id}}!\"', url: '{url}'}}");
        arrival(&text).look("a1b2").await.unwrap();
    }
}
