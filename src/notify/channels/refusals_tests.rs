//! What every channel over HTTP does about a server's bad days.

use std::sync::Arc;
use std::time::Duration;

use super::recorder::{Play, Recorder, channel};
use super::testing::firing;
use super::{Channel, ChannelSettings, Retry, googlechat, mattermost, ntfy, ping, pushover, rocketchat, sns};

/// Stands for all secrets of a channel, which its server repeats.
const TOLD: &str = "TOLD";

fn telling(play: &Play, yaml: &str) -> Play {
    let words = yaml.split(|c: char| !c.is_ascii_alphanumeric() && c != '-').filter(|word| word.starts_with("s3cret"));
    let told: &'static str = words.collect::<Vec<_>>().join(" ").leak();
    match play {
        Play::Answer(status, headers, TOLD) => Play::Answer(*status, headers, told),
        other => other.clone(),
    }
}

async fn one<S: ChannelSettings>(script: &[Play], yaml: &str) -> (&'static str, Arc<dyn Channel>) {
    let yaml = yaml.replace("URL", "ROOTs3cret-path-of-the-hook?key=s3cret-key-of-the-hook");
    let recorder = Recorder::playing(script.iter().map(|play| telling(play, &yaml))).await;
    let yaml = format!("{}\ntimeout: 300ms", yaml.replace("ROOT", &recorder.url("/")));
    (S::KIND, channel::<S>(&yaml))
}

/// Each with secrets in every place that it has.
async fn all(script: &[Play]) -> Vec<(&'static str, Arc<dyn Channel>)> {
    vec![
        one::<ntfy::Settings>(script, "url: ROOT\ntopic: s3cret-topic\ntoken: s3cret-token\ntitle: t\nmessage: m").await,
        one::<googlechat::Settings>(script, "url: URL\ntext: t").await,
        one::<ping::Settings>(script, "url: URL\ntext: t").await,
        one::<pushover::Settings>(
            script,
            "api_url: ROOT\nuser_key: s3cret-user\ntoken: s3cret-token\ntitle: t\nmessage: m\nurl: u",
        )
        .await,
        one::<sns::Settings>(
            script,
            "api_url: ROOT\nsigv4: {region: eu-central-1, access_key: A, secret_key: s3cret-key}\ntopic_arn: a\nmessage: m\nsubject: s",
        )
        .await,
        one::<mattermost::Settings>(
            script,
            "webhook_url: URL\nusername: u\ntext: t\ntitle: t\ntitle_link: l\nfallback: f\ncolor: c",
        )
        .await,
        one::<rocketchat::Settings>(
            script,
            "api_url: ROOT\ntoken: s3cret-token\ntoken_id: s3cret-id\ntitle: t\ntext: t\ntitle_link: l\nemoji: e\nicon_url: i",
        )
        .await,
    ]
}

#[tokio::test]
async fn bad_days_are_understood_and_secrets_kept() {
    /// What it is called, what the server does, whether the answer's `Retry` is right, whether the message may be there.
    type Day = (&'static str, Play, fn(Retry) -> bool, bool);
    let week: &[Day] = &[
        (
            "seconds",
            Play::Answer(429, &[("Retry-After", "7")], TOLD),
            |r| r == Retry::After(Duration::from_secs(7)),
            false,
        ),
        // Long past: at once, or after the usual wait.
        (
            "a date",
            Play::Answer(429, &[("Retry-After", "Wed, 21 Oct 2015 07:28:00 GMT")], TOLD),
            |r| r == Retry::After(Duration::ZERO),
            false,
        ),
        ("no word", Play::Answer(429, &[], TOLD), |r| r == Retry::Backoff, false),
        ("500", Play::Answer(500, &[], TOLD), |r| r != Retry::Never, false),
        (
            "503",
            Play::Answer(503, &[("Retry-After", "3")], "<html>busy</html>"),
            |r| r == Retry::After(Duration::from_secs(3)),
            false,
        ),
        ("400", Play::Answer(400, &[], TOLD), |r| r == Retry::Never, false),
        ("404", Play::Answer(404, &[], TOLD), |r| r == Retry::Never, false),
        ("closed", Play::Close, |r| r == Retry::Backoff, true),
        ("hang", Play::Hang, |r| r == Retry::Backoff, true),
    ];
    for (what, play, is_expected, may_have_arrived) in week {
        for (kind, channel) in all(std::slice::from_ref(play)).await {
            let error = channel.send(&firing("app")).await.expect_err(kind);
            assert!(is_expected(error.retry), "{kind}, {what}: {error:?}");
            assert_eq!(error.may_have_arrived, *may_have_arrived, "{kind}, {what}: {error:?}");
            assert!(!error.what.contains("s3cret"), "{kind}, {what}: {error}");
        }
    }
}

#[tokio::test]
async fn too_large_is_not_tried_for_ever() {
    let script = [Play::Answer(413, &[], TOLD), Play::Answer(413, &[], TOLD)];
    for (kind, channel) in all(&script).await {
        let error = channel.send(&firing("app")).await.expect_err(kind);
        assert!(error.retry == Retry::Never && !error.what.contains("s3cret"), "{kind}: {error:?}");
    }
}

#[tokio::test]
async fn every_channel_has_texts_of_its_own() {
    let taken: &[Play] =
        &[Play::Answer(200, &[], r#"{"id":"1","success":true,"status":1,"aws":"<MessageId>1</MessageId>"}"#)];
    let hook = "webhook_url: ROOT";
    let keys = "api_url: ROOT\nsigv4: {region: eu-central-1, access_key: A, secret_key: S}\ntopic_arn: a";
    for (kind, channel) in [
        one::<ntfy::Settings>(taken, "url: ROOT\ntopic: t").await,
        one::<googlechat::Settings>(taken, "url: ROOT").await,
        one::<ping::Settings>(taken, "url: ROOT").await,
        one::<pushover::Settings>(taken, "api_url: ROOT\nuser_key: u\ntoken: t").await,
        one::<sns::Settings>(taken, keys).await,
        one::<mattermost::Settings>(taken, hook).await,
        one::<rocketchat::Settings>(taken, "api_url: ROOT\ntoken: t\ntoken_id: i").await,
    ] {
        assert_eq!(channel.send(&firing("app")).await.map(drop), Ok(()), "{kind}");
    }
}
