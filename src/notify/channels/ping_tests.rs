use super::*;
use crate::notify::channels::recorder::{Recorder, channel};
use crate::notify::channels::testing::{firing, read, resolved};

#[tokio::test]
async fn red_while_something_fires_and_green_when_nothing_does() {
    let recorder = Recorder::playing([]).await;
    let yaml = format!(
        "url: '{}'\ntext: '{{{{ .Status }}}} {{{{ .GroupLabels.alertname }}}}'",
        recorder.url("/k/slug?create=1")
    );
    let ping = channel::<Settings>(&yaml);
    ping.send(&firing("app")).await.unwrap();
    ping.send(&resolved("app")).await.unwrap();
    let told: Vec<_> = recorder.requests().into_iter().map(|r| (r.method, r.target, r.body)).collect();
    let told: Vec<_> = told.iter().map(|(a, b, c)| (a.as_str(), b.as_str(), c.as_str())).collect();
    assert_eq!(
        told,
        [("POST", "/k/slug/fail?create=1", "firing PgPool"), ("POST", "/k/slug?create=1", "resolved PgPool")]
    );
}

#[tokio::test]
async fn a_get_brings_no_body() {
    let recorder = Recorder::playing([]).await;
    let ping = channel::<Settings>(&format!("url: {}\nmethod: get", recorder.url("/uuid/")));
    ping.send(&firing("app")).await.unwrap();
    let request = recorder.request();
    assert_eq!((request.method.as_str(), request.target.as_str(), request.body.as_str()), ("GET", "/uuid/fail", ""));
    assert_eq!(request.header("content-type"), None);
}

#[test]
fn another_method_is_refused() {
    let told = read::<Settings>("{url: 'http://h/', method: PUT}", "").1;
    assert!(told[0].contains("`PUT` is no method of a ping"), "{told:?}");
}
