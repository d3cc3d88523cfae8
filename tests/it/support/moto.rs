//! moto: the AWS that developers test against. It checks signatures and rights as AWS does.

use std::process::Command;
use std::time::Duration;

use tempfile::TempDir;

use super::http::{Answer, request};
use super::peers::moto_server;
use super::process::{Running, free_port, wait_until};

/// What comes before the first publication: a user, its policy, its key, two topics, a subscription.
const ACTIONS_BEFORE_RIGHTS_COUNT: &str = "6";

/// A running moto with a user who may publish, a topic and a FIFO topic.
pub struct Moto {
    port: u16,
    /// The user's access key and secret key.
    pub keys: (String, String),
    _process: Running,
    _folder: TempDir,
}

impl Moto {
    /// Starts it; what goes to the topic `alerts` with `severity: critical` is delivered to `subscriber`.
    pub fn start(subscriber: &str) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let port = free_port();
        let mut command = Command::new(moto_server());
        command.args(["-H", "127.0.0.1", "-p", &port.to_string()]);
        command.env("INITIAL_NO_AUTH_ACTION_COUNT", ACTIONS_BEFORE_RIGHTS_COUNT);
        let process = Running::start(&mut command, &folder.path().join("log"));
        wait_until("moto answers", Duration::from_mins(1), || request(port, "GET", "/moto-api/", &[], ""));
        let mut moto = Self { port, keys: (String::new(), String::new()), _process: process, _folder: folder };
        moto.ask("iam", &[("Action", "CreateUser"), ("UserName", "agent")]);
        let policy =
            r#"{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"sns:Publish","Resource":"*"}]}"#;
        let policy = [("UserName", "agent"), ("PolicyName", "publish"), ("PolicyDocument", policy)];
        moto.ask("iam", &[&[("Action", "PutUserPolicy")], &policy[..]].concat());
        let made = moto.ask("iam", &[("Action", "CreateAccessKey"), ("UserName", "agent")]).body;
        moto.keys = (between(&made, "AccessKeyId"), between(&made, "SecretAccessKey"));
        moto.ask("sns", &[("Action", "CreateTopic"), ("Name", "alerts")]);
        let fifo = [("Attributes.entry.1.key", "FifoTopic"), ("Attributes.entry.1.value", "true")];
        moto.ask("sns", &[&[("Action", "CreateTopic"), ("Name", "alerts.fifo")], &fifo[..]].concat());
        let to = [("TopicArn", &*Self::topic("alerts")), ("Protocol", "http"), ("Endpoint", subscriber)];
        // By this a delivery shows that the attribute was understood; over HTTP moto hands none on.
        let filter =
            [("Attributes.entry.1.key", "FilterPolicy"), ("Attributes.entry.1.value", r#"{"severity":["critical"]}"#)];
        moto.ask("sns", &[&[("Action", "Subscribe")], &to[..], &filter[..]].concat());
        moto
    }

    pub fn url(&self) -> String {
        format!("http://127.0.0.1:{}/", self.port)
    }

    /// A topic's ARN.
    pub fn topic(name: &str) -> String {
        format!("arn:aws:sns:eu-central-1:123456789012:{name}")
    }

    /// Asks without rights, as it may be at first.
    fn ask(&self, service: &str, parameters: &[(&str, &str)]) -> Answer {
        let body = url::form_urlencoded::Serializer::new(String::new()).extend_pairs(parameters).finish();
        let scope = format!("x/20260101/eu-central-1/{service}/aws4_request");
        let authorization = format!("AWS4-HMAC-SHA256 Credential={scope}, SignedHeaders=host, Signature=x");
        let headers = [("authorization", &*authorization), ("content-type", "application/x-www-form-urlencoded")];
        let answer = request(self.port, "POST", "/", &headers, &body).expect("an answer");
        assert_eq!(answer.status, 200, "{}", answer.body);
        answer
    }
}

fn between(xml: &str, element: &str) -> String {
    let (_, rest) = xml.split_once(&format!("<{element}>")).expect("the element");
    rest.split_once('<').expect("its end").0.to_owned()
}
