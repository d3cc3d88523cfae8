//! `alertmanagers` and what goes with it: Prometheus' section, or plain URLs.

use std::time::Duration;

use url::Url;

use crate::model::{Place, Secret};
use crate::notify::channels::HttpSettings;
use crate::runtime::http_client::credentials;
use crate::yaml::{Fields, Node, Value};

use super::relabel::Relabel;

/// Prometheus' `--rules.alert.resend-delay`.
const RESEND_DELAY: Duration = Duration::from_mins(1);
/// Prometheus' for one message.
const TIMEOUT: Duration = Duration::from_secs(10);
/// So many Alertmanagers may be named.
const MOST: usize = 64;
/// Where Alertmanagers take alerts.
const API: &str = "/api/v2/alerts";

/// Prometheus' ways to find Alertmanagers that are not built.
const DISCOVERIES: [&str; 10] = [
    "azure_sd_configs",
    "consul_sd_configs",
    "dns_sd_configs",
    "docker_sd_configs",
    "dockerswarm_sd_configs",
    "ec2_sd_configs",
    "file_sd_configs",
    "http_sd_configs",
    "kubernetes_sd_configs",
    "nomad_sd_configs",
];

/// To whom alerts are handed over, and how.
#[derive(Debug, Clone, PartialEq)]
pub struct Settings {
    /// Each hears of every alert.
    pub alertmanagers: Vec<Alertmanager>,
    /// An alert that fires is sent again so often.
    pub resend_delay: Duration,
    /// `alert_relabel_configs` for all of them.
    pub(super) relabel: Vec<Relabel>,
}

/// One Alertmanager.
#[derive(Debug, Clone, PartialEq)]
pub struct Alertmanager {
    /// Where it takes alerts. May hold a user and a password.
    url: Secret,
    /// The same without them.
    shown: String,
    /// For one message.
    pub timeout: Duration,
    /// Prometheus' client settings, which stand beside the address here.
    pub http: HttpSettings,
    /// Its own `alert_relabel_configs`, after those for all.
    pub(super) relabel: Vec<Relabel>,
}

impl Default for Settings {
    fn default() -> Self {
        Self { alertmanagers: Vec::new(), resend_delay: RESEND_DELAY, relabel: Vec::new() }
    }
}

impl Settings {
    /// Takes its keys out of the section `alerting`.
    pub fn read(fields: &mut Fields<'_>) -> Self {
        let relabel = Relabel::read_all(fields.list("alert_relabel_configs"), fields);
        let resend_delay = fields.duration("resend_delay").unwrap_or(RESEND_DELAY);
        if resend_delay.is_zero() {
            fields.wrong("resend_delay", "alerts cannot be sent again without a pause", "write `1m`");
        }
        let mut alertmanagers: Vec<Alertmanager> = Vec::new();
        for node in fields.list("alertmanagers") {
            for alertmanager in Alertmanager::read_all(node, fields) {
                if alertmanagers.iter().any(|known| known.shown == alertmanager.shown) {
                    let what = format!("the Alertmanager {} is given twice", alertmanager.shown);
                    fields.problems().add(&node.at, what, "remove one of them");
                } else {
                    alertmanagers.push(alertmanager);
                }
            }
        }
        if alertmanagers.len() > MOST {
            let what = format!("{} Alertmanagers are given; {MOST} are taken", alertmanagers.len());
            fields.wrong("alertmanagers", what, "a cluster tells its members what it was told: name fewer");
        }
        if alertmanagers.is_empty() {
            for key in ["alert_relabel_configs", "resend_delay"] {
                if fields.has(key) && !fields.has("alertmanagers") {
                    fields.wrong(
                        key,
                        format!("`{key}` is of no use without `alertmanagers`"),
                        "add them, or remove it",
                    );
                }
            }
        }
        Self { alertmanagers, resend_delay, relabel }
    }
}

impl Alertmanager {
    /// Where it takes alerts, without user and password.
    pub fn shown(&self) -> &str {
        &self.shown
    }

    /// The same with them.
    ///
    /// # Errors
    /// Never: it was read before.
    pub(super) fn url(&self) -> Result<Url, String> {
        Url::parse(self.url.expose()).map_err(|error| error.to_string())
    }

    /// Reads one entry: a URL, `url` with settings, or Prometheus' `static_configs` with settings.
    fn read_all(node: &Node, outer: &Fields<'_>) -> Vec<Self> {
        let problems = outer.problems();
        if let (Value::Scalar { .. }, Some(text)) = (&node.value, node.text()) {
            return match of_url(text) {
                Ok(url) => vec![Self::new(&url, TIMEOUT, HttpSettings::default(), Vec::new())],
                Err(complaint) => {
                    problems.add(&node.at, complaint, WAY_OUT);
                    Vec::new()
                }
            };
        }
        let Some(mut fields) = Fields::of(node, "an Alertmanager", problems) else { return Vec::new() };
        let urls = read_urls(&mut fields);
        let timeout = fields.duration("timeout").unwrap_or(TIMEOUT);
        fields.parsed("api_version", |version| match version {
            "v2" => Ok(()),
            "v1" => Err("Alertmanager has no API v1 since 0.27; write v2".into()),
            _ => Err(format!("`{version}` is no version of Alertmanager's API; write v2")),
        });
        let relabel = Relabel::read_all(fields.list("alert_relabel_configs"), &fields);
        for key in DISCOVERIES.into_iter().chain(["relabel_configs", "sigv4"]) {
            fields.not_built(key);
        }
        let http = HttpSettings::read_within(&mut fields);
        let new = |(mut url, at): (Url, &Place)| {
            let alertmanager = Self::new(&url, timeout, http.clone(), relabel.clone());
            if credentials(&mut url).is_some() && (http.authorization.is_some() || http.oauth2.is_some()) {
                problems.add(at, "credentials are given twice", "keep those of the URL or the others");
            }
            alertmanager
        };
        let read = urls.into_iter().map(new).collect();
        fields.finish();
        read
    }

    fn new(url: &Url, timeout: Duration, http: HttpSettings, relabel: Vec<Relabel>) -> Self {
        let mut bare = url.clone();
        credentials(&mut bare);
        Self { url: Secret::new(url.as_str()), shown: bare.into(), timeout, http, relabel }
    }
}

const WAY_OUT: &str = "write `http://host:9093`";

/// The addresses that an entry names, with their places.
fn read_urls<'n>(fields: &mut Fields<'n>) -> Vec<(Url, &'n Place)> {
    let problems = fields.problems();
    let (scheme, prefix) = (fields.text("scheme"), fields.text("path_prefix"));
    let groups = fields.list("static_configs");
    let mut urls = Vec::new();
    if let Some(text) = fields.text("url") {
        for key in ["scheme", "path_prefix", "static_configs"] {
            if fields.has(key) {
                fields.wrong(key, format!("`{key}` is given beside `url`, which says it"), "keep one of them");
            }
        }
        match of_url(&text) {
            Ok(url) => urls.push((url, fields.place_of("url"))),
            Err(complaint) => fields.wrong("url", complaint, WAY_OUT),
        }
        return urls;
    }
    if !fields.has("static_configs") && !DISCOVERIES.iter().any(|key| fields.has(key)) {
        let what = "this Alertmanager has no address";
        problems.add(fields.at(), what, "add `url: http://host:9093` or `static_configs: [{targets: [host:9093]}]`");
    }
    let scheme = scheme.unwrap_or_else(|| "http".into());
    if !matches!(scheme.as_str(), "http" | "https") {
        fields.wrong("scheme", format!("`{scheme}` is neither http nor https"), "");
        return urls;
    }
    let prefix = prefix.unwrap_or_default();
    for group in groups {
        let Some(mut group) = Fields::of(group, "a group of targets", problems) else { continue };
        // Prometheus shows them nowhere but to its relabelling of targets, which is not built.
        for (name, _, at) in group.text_map("labels") {
            if name.starts_with("__") {
                problems.add(at, format!("the label `{name}` is not built yet"), "use `scheme`, `path_prefix`");
            }
        }
        for node in group.list("targets") {
            let text = node.text().unwrap_or_default();
            let url = Url::parse(&format!("{scheme}://{text}/{}", prefix.trim_start_matches('/')));
            match url {
                Ok(url) if !text.contains(['/', '?', '#', '@']) => urls.push((with_path(url), &node.at)),
                _ => problems.add(&node.at, format!("`{text}` is no host and port"), "write `host:9093`"),
            }
        }
        group.finish();
    }
    urls
}

/// Where the Alertmanager at a URL takes alerts. What is wrong with it does not quote it: it may hold a password.
fn of_url(text: &str) -> Result<Url, String> {
    let url = Url::parse(text.trim()).map_err(|error| format!("the Alertmanager's URL is not a URL: {error}"))?;
    if !matches!(url.scheme(), "http" | "https") {
        return Err("the Alertmanager's URL is neither http nor https".into());
    }
    if url.query().is_some() || url.fragment().is_some() {
        return Err("the Alertmanager's URL has a query or a fragment".into());
    }
    Ok(with_path(url))
}

fn with_path(mut url: Url) -> Url {
    let path = format!("{}{API}", url.path().trim_end_matches('/'));
    url.set_path(&path);
    url
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Problems;
    use crate::yaml::parse;

    fn read(text: &str) -> (Settings, Vec<String>) {
        let (node, problems) = (parse(text, "f.yml").unwrap(), Problems::new());
        let mut fields = Fields::of(&node, "`alerting`", &problems).unwrap();
        let settings = Settings::read(&mut fields);
        fields.finish();
        (settings, problems.into_sorted().iter().map(ToString::to_string).collect())
    }

    #[test]
    fn alertmanagers_are_urls_or_what_prometheus_writes() {
        let (settings, problems) = read(
            "alertmanagers:\n- http://one:9093\n- url: https://u:hunter2@two/alerts/\n  timeout: 3s\n\
             - scheme: https\n  path_prefix: /am\n  api_version: v2\n  basic_auth: {username: u, password: p}\n  \
             tls_config: {insecure_skip_verify: true}\n  static_configs: [{targets: ['three:9093', '[::1]:9093'], labels: {a: b}}]\n\
             alert_relabel_configs: [{action: labeldrop, regex: replica}]\nresend_delay: 30s\n",
        );
        assert_eq!(problems, [""; 0]);
        let shown: Vec<_> = settings.alertmanagers.iter().map(Alertmanager::shown).collect();
        assert_eq!(
            shown,
            [
                "http://one:9093/api/v2/alerts",
                "https://two/alerts/api/v2/alerts",
                "https://three:9093/am/api/v2/alerts",
                "https://[::1]:9093/am/api/v2/alerts",
            ]
        );
        let timeouts: Vec<_> = settings.alertmanagers.iter().map(|one| one.timeout.as_secs()).collect();
        assert_eq!(timeouts, [10, 3, 10, 10]);
        assert!(settings.alertmanagers[3].http.authorization.is_some());
        assert_eq!((settings.relabel.len(), settings.resend_delay.as_secs()), (1, 30));
        assert!(!format!("{settings:?}").contains("hunter2"));
        let (settings, problems) = read("{}");
        assert_eq!((settings, problems), (Settings::default(), Vec::new()));
    }

    #[test]
    fn what_cannot_be_is_an_error_with_its_place() {
        let (_, problems) = read(
            "alertmanagers:\n- one:9093\n- {url: 'http://u:hunter2@h', basic_auth: {username: a}, path_prefix: /x}\n- {}\n\
             - {static_configs: [{targets: ['http://h:1', 'h/x'], labels: {__scheme__: https}}]}\n\
             - {dns_sd_configs: [], relabel_configs: [], api_version: v1}\n- {url: 'http://h/?a=b', scheem: http}\n\
             - http://h\n- {static_configs: [{targets: [h]}], scheme: ftp}\n- [x]\nresend_delay: 0s\n",
        );
        assert!(!problems.iter().any(|problem| problem.contains("hunter2")), "{problems:#?}");
        insta::assert_snapshot!(problems.join("\n"));
        let (_, problems) = read("resend_delay: 30s\nalert_relabel_configs: []\n");
        assert_eq!(problems.len(), 2, "{problems:#?}");
    }
}
