//! What an answer must be like, and the words for an answer that is not.
//!
//! In: an answer and how long it took. Out: the complaints, the first being the one that counts. No I/O, no clock.

use std::time::Duration;

use hyper::StatusCode;
use hyper::header::{HeaderMap, HeaderName};
use serde_json::Value;

use crate::collect::probe::{Pattern, shortened};
use crate::collect::{CollectError, Reason};
use crate::model::render_duration;
use crate::yaml::Fields;

use super::json_path::JsonPath;
use super::wanted::Wanted;

/// How much of a value of the answer may stand in a message.
const MOST_SHOWN: usize = 80;

/// The expectations of a target. None at all still asks for a status of 2xx.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Expect {
    /// Statuses that are good; empty for 2xx.
    status: Vec<StatusRange>,
    /// The body must hold a match.
    body: Option<Pattern>,
    /// The body must hold no match.
    not_body: Option<Pattern>,
    /// Values that the body, as JSON, must have.
    json: Vec<(JsonPath, Wanted)>,
    /// Headers that must be there and match.
    headers: Vec<(HeaderName, Pattern)>,
    /// The whole probe, redirects included, takes at most this long.
    max_duration: Option<Duration>,
}

/// One status, or a hundred of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct StatusRange {
    first: u16,
    last: u16,
}

/// What is judged.
#[derive(Debug, Clone, Copy)]
pub struct Answer<'a> {
    /// The last answer's status.
    pub status: StatusCode,
    /// Its headers.
    pub headers: &'a HeaderMap,
    /// Its decoded body, as far as it was kept.
    pub body: &'a [u8],
    /// Whether the body goes on beyond `body`.
    pub cut: bool,
    /// How long the probe took.
    pub took: Duration,
}

/// What is wrong with an answer.
#[derive(Debug, Default)]
pub struct Verdict {
    /// The complaints; none for a good answer.
    pub complaints: Vec<CollectError>,
    /// Whether a regular expression on the body or a header is to blame (`probe_failed_due_to_regex`).
    pub regex: bool,
}

impl Verdict {
    fn add(&mut self, reason: Reason, message: String) {
        self.complaints.push(CollectError::new(reason, message));
    }
}

impl Expect {
    /// Reads the section `expect`; every complaint goes to its problems.
    pub fn read(mut fields: Fields<'_>) -> Self {
        let mut expect = Self { max_duration: fields.duration("max_duration"), ..Self::default() };
        for text in fields.texts("status") {
            match StatusRange::parse(&text) {
                Some(range) => expect.status.push(range),
                None => {
                    fields.wrong("status", format!("`{text}` is no HTTP status"), "write 200, or 2xx for all of them");
                }
            }
        }
        expect.body = fields.parsed("body", Pattern::parse);
        expect.not_body = fields.parsed("not_body", Pattern::parse);
        expect.json = read_json(&mut fields);
        expect.headers = read_headers(&mut fields);
        fields.finish();
        expect
    }

    /// Whether the body is looked into, and not just counted.
    pub fn needs_body(&self) -> bool {
        self.body.is_some() || self.not_body.is_some() || !self.json.is_empty()
    }

    /// Judges an answer. With a wrong status only JSON values are looked at further: an error page is not what the other
    /// expectations speak of, but a health document with 503 says which part is down.
    pub fn judge(&self, answer: &Answer<'_>) -> Verdict {
        let mut verdict = Verdict::default();
        if !self.status_is_good(answer.status) {
            let wanted = self.wanted_status();
            verdict.add(Reason::Status, format!("status {}, expected {wanted}", answer.status.as_u16()));
            if let Ok(document) = serde_json::from_slice(answer.body) {
                self.judge_json(&document, &mut verdict);
            }
            return verdict;
        }
        self.judge_headers(answer.headers, &mut verdict);
        self.judge_body(answer, &mut verdict);
        if let Some(most) = self.max_duration.filter(|most| answer.took > *most) {
            let (took, most) = (answer.took.as_secs_f64(), render_duration(most));
            verdict.add(Reason::Expectation, format!("the answer took {took:.3}s, expected at most {most}"));
        }
        verdict
    }

    fn status_is_good(&self, status: StatusCode) -> bool {
        let code = status.as_u16();
        if self.status.is_empty() { status.is_success() } else { self.status.iter().any(|range| range.has(code)) }
    }

    fn wanted_status(&self) -> String {
        if self.status.is_empty() {
            return "2xx".into();
        }
        self.status.iter().map(|range| range.text()).collect::<Vec<_>>().join(" or ")
    }

    fn judge_headers(&self, headers: &HeaderMap, verdict: &mut Verdict) {
        for (name, wanted) in &self.headers {
            let values: Vec<_> =
                headers.get_all(name).iter().map(|value| String::from_utf8_lossy(value.as_bytes())).collect();
            if values.iter().any(|value| wanted.is_match(value)) {
                continue;
            }
            verdict.regex = true;
            let got =
                values.first().map_or_else(|| "missing".into(), |value| format!("{:?}", shortened(value, MOST_SHOWN)));
            let wanted = wanted.as_str();
            verdict.add(Reason::Expectation, format!("header {name} is {got}, expected a match of `{wanted}`"));
        }
    }

    fn judge_body(&self, answer: &Answer<'_>, verdict: &mut Verdict) {
        if !self.needs_body() {
            return;
        }
        if answer.cut {
            verdict.add(Reason::TooLarge, format!("the body is longer than the {} bytes looked at", answer.body.len()));
            return;
        }
        let text = String::from_utf8_lossy(answer.body);
        if let Some(wanted) = self.body.as_ref().filter(|wanted| !wanted.is_match(&text)) {
            verdict.regex = true;
            verdict.add(Reason::Expectation, format!("the body has no match of `{}`", wanted.as_str()));
        }
        if let Some(unwanted) = self.not_body.as_ref().filter(|unwanted| unwanted.is_match(&text)) {
            verdict.regex = true;
            verdict.add(Reason::Expectation, format!("the body has a match of `{}`, expected none", unwanted.as_str()));
        }
        if self.json.is_empty() {
            return;
        }
        match serde_json::from_slice(answer.body) {
            Ok(document) => self.judge_json(&document, verdict),
            Err(error) => verdict.add(Reason::Malformed, format!("the body is not JSON: {error}")),
        }
    }

    fn judge_json(&self, document: &Value, verdict: &mut Verdict) {
        for (path, wanted) in &self.json {
            let got = match path.find(document) {
                None => "missing".into(),
                Some(value) if wanted.is(value) => continue,
                Some(value) => shortened(&value.to_string(), MOST_SHOWN),
            };
            let wanted = wanted.as_str();
            verdict.add(Reason::Expectation, format!("{path} is {got}, expected \"{wanted}\""));
        }
    }
}

impl StatusRange {
    fn parse(text: &str) -> Option<Self> {
        let (digits, wide) = match text.strip_suffix("xx") {
            Some(digit) => (digit, true),
            None => (text, false),
        };
        let number: u16 = digits.parse().ok()?;
        let first = if wide { number.checked_mul(100)? } else { number };
        (100..1000).contains(&first).then_some(Self { first, last: first + if wide { 99 } else { 0 } })
    }

    fn has(self, code: u16) -> bool {
        (self.first..=self.last).contains(&code)
    }

    fn text(self) -> String {
        if self.first == self.last { self.first.to_string() } else { format!("{}xx", self.first / 100) }
    }
}

fn read_json(fields: &mut Fields<'_>) -> Vec<(JsonPath, Wanted)> {
    let mut all = Vec::new();
    for (path, wanted, at) in fields.text_map("json") {
        match JsonPath::parse(&path) {
            Ok(path) => all.push((path, Wanted::new(wanted))),
            Err(complaint) => {
                let way_out = "write a path such as $.checks.database or $.items[0].state";
                fields.problems().add(at, complaint, way_out);
            }
        }
    }
    all
}

fn read_headers(fields: &mut Fields<'_>) -> Vec<(HeaderName, Pattern)> {
    let mut all = Vec::new();
    for (name, wanted, at) in fields.text_map("headers") {
        match (name.parse::<HeaderName>(), Pattern::parse(&wanted)) {
            (Ok(name), Ok(wanted)) => all.push((name, wanted)),
            (Err(_), _) => {
                fields.problems().add(at, format!("`{name}` is no header name"), "write e.g. content-type");
            }
            (_, Err(complaint)) => fields.problems().add(at, complaint, ""),
        }
    }
    all
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Problems;
    use crate::yaml::parse;

    fn expect(text: &str) -> Expect {
        let node = parse(text, "f.yml").unwrap();
        let problems = Problems::new();
        let expect = Expect::read(Fields::of(&node, "`expect`", &problems).unwrap());
        let said: Vec<_> = problems.into_sorted().iter().map(ToString::to_string).collect();
        assert!(said.is_empty(), "{said:?}");
        expect
    }

    fn judge(expect: &Expect, status: u16, headers: &[(&'static str, &'static str)], body: &str) -> Vec<String> {
        let mut map = HeaderMap::new();
        for (name, value) in headers {
            map.insert(*name, value.parse().unwrap());
        }
        let status = StatusCode::from_u16(status).unwrap();
        let took = Duration::from_millis(1500);
        let verdict = expect.judge(&Answer { status, headers: &map, body: body.as_bytes(), cut: false, took });
        verdict.complaints.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn any_success_is_good_where_nothing_is_said() {
        let nothing = expect("");
        assert!(judge(&nothing, 204, &[], "").is_empty());
        assert_eq!(judge(&nothing, 500, &[], ""), ["status: status 500, expected 2xx"]);
    }

    #[test]
    fn a_listed_status_is_good() {
        let listed = expect("status: [200, 3xx, 401]");
        assert!(judge(&listed, 401, &[], "").is_empty());
        assert!(judge(&listed, 302, &[], "").is_empty());
        assert_eq!(judge(&listed, 204, &[], ""), ["status: status 204, expected 200 or 3xx or 401"]);
    }

    #[test]
    fn a_json_value_is_named_with_what_was_wanted() {
        let health = expect("json: {\"$.checks.database\": ok, $.replicas: 2, $.state: \"up|ready\", $.error: null}");
        let good = r#"{"checks":{"database":"ok"},"replicas":2.0,"state":"ready","error":null}"#;
        assert!(judge(&health, 200, &[], good).is_empty());
        assert!(judge(&expect("json: {$.a: 'a(b'}"), 200, &[], r#"{"a":"a(b"}"#).is_empty());
        let bad = r#"{"checks":{"database":"down"},"state":"upset","error":{"code":3}}"#;
        assert_eq!(
            judge(&health, 200, &[], bad),
            [
                "expectation: $.checks.database is \"down\", expected \"ok\"",
                "expectation: $.replicas is missing, expected \"2\"",
                "expectation: $.state is \"upset\", expected \"up|ready\"",
                "expectation: $.error is {\"code\":3}, expected \"\"",
            ]
        );
        assert!(judge(&health, 200, &[], "<html>")[0].starts_with("malformed: the body is not JSON"));
    }

    #[test]
    fn a_health_document_with_503_says_which_part_is_down() {
        let health = expect("{status: [200], json: {\"$.checks.database\": ok}}");
        assert_eq!(
            judge(&health, 503, &[], r#"{"checks":{"database":"down"}}"#),
            ["status: status 503, expected 200", "expectation: $.checks.database is \"down\", expected \"ok\""]
        );
        assert_eq!(judge(&health, 503, &[], "busy"), ["status: status 503, expected 200"]);
    }

    #[test]
    fn bodies_and_headers_are_searched() {
        let both = expect("{body: 'we?lcome', not_body: '(?i)error', headers: {content-type: '^text/html'}}");
        let html = [("content-type", "text/html; charset=utf-8")];
        assert!(judge(&both, 200, &html, "you are welcome").is_empty());
        assert_eq!(
            judge(&both, 200, &[("content-type", "text/plain")], "Error"),
            [
                "expectation: header content-type is \"text/plain\", expected a match of `^text/html`",
                "expectation: the body has no match of `we?lcome`",
                "expectation: the body has a match of `(?i)error`, expected none",
            ]
        );
        assert!(judge(&both, 200, &[], "welcome")[0].contains("header content-type is missing"));
    }

    #[test]
    fn a_slow_answer_is_told_with_both_times() {
        let quick = expect("max_duration: 1s");
        assert_eq!(judge(&quick, 200, &[], ""), ["expectation: the answer took 1.500s, expected at most 1s"]);
        assert!(judge(&expect("max_duration: 2s"), 200, &[], "").is_empty());
    }

    #[test]
    fn what_cannot_be_expected_is_refused_with_its_place() {
        let node =
            parse("status: [20]\nbody: '('\njson: {checks.db: ok}\nheaders: {'a b': x}\nbodi: x\n", "f.yml").unwrap();
        let problems = Problems::new();
        Expect::read(Fields::of(&node, "`expect`", &problems).unwrap());
        let said: Vec<_> = problems.into_sorted().iter().map(ToString::to_string).collect();
        assert_eq!(said.len(), 5, "{said:?}");
        assert!(said[0].starts_with("f.yml:1:9: `20` is no HTTP status"), "{said:?}");
        assert!(said[1].contains("f.yml:2:7: `body`: `(` is not a regular expression"), "{said:?}");
        assert!(said[2].contains("`checks.db` does not start with `$`"), "{said:?}");
        assert!(said[3].contains("`a b` is no header name"), "{said:?}");
        assert!(said[4].contains("did you mean `body`?"), "{said:?}");
    }
}
