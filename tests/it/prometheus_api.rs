//! Prometheus' HTTP API, beside a real Prometheus that has the same data, targets and rules.

use std::fs;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde_json::Value;

use crate::support::{
    Agent, Answer, HttpServer, RealPrometheus, Written, get, peers, request, try_run, wait_until, write_body,
    write_into,
};

const CALLS: &str = include_str!("grafana_calls.txt");

/// Objects whose keys are data: label sets, names of metrics, flags.
const MAPS: [&str; 8] =
    ["labels", "annotations", "discoveredLabels", "metric", "target", "droppedTargetCounts", "flags", "metadata"];

const RULES: &str = "groups:
- name: first
  rules:
  - {record: \"zone:written:sum\", expr: \"sum by (zone) (written_gauge)\", labels: {by: rule}}
  - {alert: Always, expr: vector(1) > 0, labels: {severity: page}, annotations: {summary: \"it is {{ $value }}\"}}
  - {alert: Waiting, expr: vector(1), for: 1h, keep_firing_for: 5m}
- name: second
  interval: 2s
  limit: 10
  rules:
  - {alert: Never, expr: vector(1) > 2}
";

const PAGE: &str = "# HELP app_requests_total Requests answered.\n# TYPE app_requests_total counter\n\
    app_requests_total{code=\"200\"} 12\n# HELP app_up_seconds How long.\n# TYPE app_up_seconds gauge\napp_up_seconds 3\n";

/// An agent and a Prometheus that scrape the same application, evaluate the same rules and were written the same series.
struct Pair {
    agent: Agent,
    prometheus: RealPrometheus,
    end: i64,
    _app: HttpServer,
    _folder: tempfile::TempDir,
}

impl Pair {
    fn start() -> Self {
        let app = HttpServer::start(|_| Answer::new(200, "text/plain; version=0.0.4", PAGE));
        let folder = tempfile::tempdir().expect("a folder");
        let rules = folder.path().join("rules.yml");
        fs::write(&rules, RULES).expect("our folder");
        let (port, rules) = (app.port(), rules.display());
        let agent = Agent::start(&format!(
            "global: {{scrape_interval: 1s, scrape_timeout: 1s, evaluation_interval: 1s}}\nrule_files: [\"{rules}\"]\n\
             targets:\n- {{name: app, kind: prometheus, url: \"http://127.0.0.1:{port}/metrics\"}}\n"
        ));
        let prometheus = RealPrometheus::start_with(
            &peers::newest("prometheus"),
            &format!(
                "rule_files: [\"{rules}\"]\nscrape_configs:\n- {{job_name: app, static_configs: [{{targets: [\"127.0.0.1:{port}\"]}}]}}\n"
            ),
            &["--web.enable-remote-write-receiver"],
        );
        let now = SystemTime::now().duration_since(UNIX_EPOCH).expect("after 1970").as_secs().cast_signed();
        let end = now - now % 60 - 60;
        let pair = Self { agent, prometheus, end, _app: app, _folder: folder };
        let body = write_body(&data(end));
        for port in [pair.agent.port(), pair.prometheus.port()] {
            let answer = write_into(port, &body);
            assert_eq!(answer.status, 204, "{}", answer.body);
            wait_until("an alert fires, the other waits, a rule has recorded", Duration::from_secs(30), || {
                let asked = "count(ALERTS)+%2B+count(zone:written:sum)+%2B+count(app_up_seconds)";
                let answer = get(port, &format!("/api/v1/query?query={asked}")).json();
                (answer["data"]["result"][0]["value"][1] == "6").then_some(())
            });
        }
        pair
    }

    /// The same question to the agent and to Prometheus.
    fn ask(&self, method: &str, path: &str) -> (Answer, Answer) {
        let path = path.replace("{start}", &(self.end - 300).to_string()).replace("{end}", &self.end.to_string());
        let ask = |port| {
            let form = [("content-type", "application/x-www-form-urlencoded")];
            let answer = match (method, path.split_once('?')) {
                ("POST", Some((path, form_text))) => request(port, "POST", path, &form, form_text),
                ("PARTS", Some((path, form_text))) => {
                    let parts = [("content-type", "multipart/form-data; boundary=SEAM")];
                    request(port, "POST", path, &parts, &in_parts(form_text))
                }
                _ => request(port, method, &path, &[], ""),
            };
            answer.unwrap_or_else(|| panic!("no answer to {method} {path}"))
        };
        (ask(self.agent.port()), ask(self.prometheus.port()))
    }
}

/// The same form as `curl -F` sends it.
fn in_parts(form: &str) -> String {
    let part = |(name, value)| format!("--SEAM\r\nContent-Disposition: form-data; name=\"{name}\"\r\n\r\n{value}\r\n");
    url::form_urlencoded::parse(form.as_bytes()).map(part).chain(["--SEAM--\r\n".to_owned()]).collect()
}

/// Five minutes of a gauge, a counter that starts again, a histogram, odd numbers and odd names. In order of their labels:
/// where nothing is said of the order, Prometheus gives series as they came and the agent sorted ones.
fn data(end: i64) -> Vec<Written> {
    let times: Vec<i64> = (0..=20).map(|step| (end - 300 + step * 15) * 1000).collect();
    let series = |name: &str, labels: &[(&str, &str)], value: &dyn Fn(f64) -> f64| {
        let mut all = vec![("job", "w")];
        all.extend(labels);
        let samples = times.iter().zip(0_u8..).map(|(at, step)| (*at, value(f64::from(step)))).collect();
        Written::new(name, &all, samples)
    };
    let mut all = Vec::new();
    for (zone, by) in [("\"c\"\n", 1e-7), ("a", 1.0), ("b", 2.5)] {
        all.push(series("written_gauge", &[("zone", zone)], &|step| (step - 7.0) * by));
        all.push(series("written_total", &[("zone", zone)], &|step| (step % 13.0) * by * 10.0));
    }
    for (le, by) in [("0.1", 1.0), ("1", 2.0), ("+Inf", 3.0)] {
        all.push(series("written_seconds_bucket", &[("le", le)], &|step| step * by));
    }
    let odd = [f64::INFINITY, f64::NEG_INFINITY, f64::NAN, -0.0, 1e-7, 1e21, 123_456_789.125, 0.1 + 0.2];
    for (at, value) in odd.into_iter().enumerate() {
        all.push(series("written_odd", &[("n", &at.to_string())], &|_| value));
    }
    all.push(series("written.utf-8", &[("my.label", "ü")], &|step| step));
    all
}

#[test]
fn what_grafana_asks_is_answered_as_prometheus_answers_it() {
    let pair = Pair::start();
    let mut wrong = Vec::new();
    let mut asked = 0;
    for line in CALLS.lines().filter(|line| !line.is_empty() && !line.starts_with('#')) {
        let [method, mode, path] = line.splitn(3, ' ').collect::<Vec<_>>()[..] else { panic!("what is {line}?") };
        asked += 1;
        let (ours, theirs) = pair.ask(method, path);
        let mut differences = Vec::new();
        if ours.status != theirs.status {
            differences.push(format!("status {}, not {}", ours.status, theirs.status));
        }
        if mode == "status" {
            wrong.extend(differences.into_iter().map(|difference| format!("{line}: {difference}")));
            continue;
        }
        let (ours_json, theirs_json) = (ours.json(), theirs.json());
        match mode {
            "same" if ours_json != theirs_json => differences.push(format!("{}\n  not {}", ours.body, theirs.body)),
            "same" => {}
            "shape" => compare("", &ours_json, &theirs_json, &mut differences),
            "error" => {
                let kinds = (&ours_json["errorType"], &theirs_json["errorType"]);
                let texts = (ours_json["error"].is_string(), theirs_json["error"].is_string());
                if kinds.0 != kinds.1 || texts != (true, true) {
                    differences.push(format!("{}\n  not {}", ours.body, theirs.body));
                }
            }
            other => panic!("what is {other}?"),
        }
        wrong.extend(differences.into_iter().map(|difference| format!("{line}: {difference}")));
    }
    assert!(asked > 110, "the list was read: {asked}");
    assert!(wrong.is_empty(), "{} differences:\n{}", wrong.len(), wrong.join("\n"));
}

/// Whether `ours` has the keys and types of `theirs`.
fn compare(at: &str, ours: &Value, theirs: &Value, wrong: &mut Vec<String>) {
    match (ours, theirs) {
        (Value::Object(a), Value::Object(b)) => {
            let is_map = MAPS.iter().any(|map| at.ends_with(map)) || (at == ".data" && looks_like_a_map(theirs));
            if is_map {
                if let (Some((_, a)), Some((name, b))) = (a.iter().next(), b.iter().next()) {
                    compare(&format!("{at}.{name}"), a, b, wrong);
                }
                return;
            }
            for (name, b) in b {
                match a.get(name) {
                    Some(a) => compare(&format!("{at}.{name}"), a, b, wrong),
                    None => wrong.push(format!("{at}.{name} is missing")),
                }
            }
            for name in a.keys().filter(|name| !b.contains_key(*name)) {
                wrong.push(format!("{at}.{name} is not Prometheus'"));
            }
        }
        (Value::Array(a), Value::Array(b)) => {
            if a.is_empty() != b.is_empty() {
                wrong.push(format!("{at} has {} elements, not {}", a.len(), b.len()));
            }
            for (index, (a, b)) in a.iter().zip(b).enumerate() {
                compare(&format!("{at}[{index}]"), a, b, wrong);
            }
        }
        _ if std::mem::discriminant(ours) != std::mem::discriminant(theirs) => {
            wrong.push(format!("{at} is {ours}, not {theirs}"));
        }
        _ => {}
    }
}

/// Metadata by metric: each value is a list; flags: each name has a dot.
fn looks_like_a_map(data: &Value) -> bool {
    data.as_object().is_some_and(|data| {
        data.values().all(|value| value.is_array() && value[0]["help"].is_string())
            || data.contains_key("query.timeout")
    })
}

#[test]
fn pages_of_other_sites_may_read_but_not_write() {
    let agent = Agent::start("targets: []\n");
    let prometheus = RealPrometheus::start_with(&peers::newest("prometheus"), "scrape_configs: []\n", &[]);
    let origin = [("origin", "https://dash.example.org")];
    for method in ["GET", "OPTIONS"] {
        let ask = |port| request(port, method, "/api/v1/labels", &origin, "").expect("an answer");
        let (ours, theirs) = (ask(agent.port()), ask(prometheus.port()));
        assert_eq!(ours.status, theirs.status, "{method}");
        for (name, value) in theirs.headers.iter().filter(|(name, _)| name.starts_with("access-control-")) {
            assert_eq!(ours.header(name), Some(value.as_str()), "{method} {name}");
        }
    }
    let plain = get(agent.port(), "/api/v1/labels");
    assert_eq!(plain.header("access-control-allow-origin"), None, "nobody asked");
    let written = request(agent.port(), "POST", "/api/v1/write", &origin, "").expect("an answer");
    assert_eq!((written.status, written.header("access-control-allow-origin")), (403, None), "{}", written.body);
}

#[test]
fn promtool_asks_the_agent_as_it_asks_a_prometheus() {
    let pair = Pair::start();
    let (start, end) = ((pair.end - 300).to_string(), pair.end.to_string());
    let calls: [&[&str]; 5] = [
        &["instant", "--time", &end, "URL", "sum by (zone) (written_gauge)"],
        &["range", "--start", &start, "--end", &end, "--step", "30s", "URL", "rate(written_total[1m])"],
        &["series", "--match", "written_gauge", "--match", "written_total", "URL"],
        &["labels", "URL", "zone"],
        &["instant", "URL", "sum("],
    ];
    for call in calls {
        let ask = |port: u16| {
            let url = format!("http://127.0.0.1:{port}");
            let words = call.iter().map(|word| if *word == "URL" { url.as_str() } else { *word });
            try_run(std::process::Command::new(peers::newest("promtool")).args(["query"]).args(words))
        };
        let (ours, theirs) = (ask(pair.agent.port()), ask(pair.prometheus.port()));
        assert_eq!(ours, theirs, "{call:?}");
        assert!(!ours.1.is_empty(), "{call:?} gave something");
    }
}

#[test]
fn large_answers_are_packed_and_many_at_once_are_answered() {
    let agent = Agent::start("targets: []\n");
    let now = SystemTime::now().duration_since(UNIX_EPOCH).expect("after 1970").as_millis() as i64;
    let many: Vec<_> =
        (0..5000).map(|n| Written::new("many", &[("n", &n.to_string())], vec![(now, f64::from(n))])).collect();
    assert_eq!(write_into(agent.port(), &write_body(&many)).status, 204);
    let path = format!("/api/v1/query?query=many&time={}", now as f64 / 1000.0);
    let answer = agent.get(&path);
    assert_eq!(answer.json()["data"]["result"].as_array().map(Vec::len), Some(5000));
    assert_eq!(answer.header("transfer-encoding"), Some("chunked"), "it is written while it is sent");
    let packed = request(agent.port(), "GET", &path, &[("accept-encoding", "gzip")], "").expect("an answer");
    assert_eq!(packed.header("content-encoding"), Some("gzip"));
    assert!(packed.body.len() < answer.body.len() / 4, "{} of {}", packed.body.len(), answer.body.len());
    let port = agent.port();
    let asking: Vec<_> =
        (0..16).map(|_| std::thread::spawn(move || get(port, "/api/v1/query?query=count(many)"))).collect();
    for asked in asking {
        assert_eq!(asked.join().expect("no panic").json()["data"]["result"][0]["value"][1], "5000");
    }
    assert!(agent.metrics().value("sidewatch_query_duration_seconds_count", &[]).is_some_and(|count| count >= 17.0));
}
