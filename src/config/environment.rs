//! Running without a file: the environment names the targets and the receiver.
//!
//! Each variable that is set brings one line of YAML, which is then read like any file; so both ways hold the same checks.

use std::path::Path;

use url::Url;

use crate::model::{Place, Problem};
use crate::yaml::Environment;

use super::{Config, load_text};

/// The Docker Engine's usual address.
const DOCKER_SOCKET: &str = "/var/run/docker.sock";

/// A variable of this process, or the content of the file that `<NAME>_FILE` names (its last newline dropped).
///
/// # Errors
/// The file that is named cannot be read: that is not the same as a variable that is not set.
pub fn lookup(name: &str) -> Result<Option<String>, String> {
    if let Ok(value) = std::env::var(name) {
        return Ok(Some(value));
    }
    let Ok(path) = std::env::var(format!("{name}_FILE")) else { return Ok(None) };
    match std::fs::read_to_string(&path) {
        Ok(text) => Ok(Some(text.trim_end_matches(['\n', '\r']).to_owned())),
        Err(error) => Err(format!("cannot read {path}, which {name}_FILE names: {error}")),
    }
}

/// Makes a configuration from the environment alone.
///
/// # Errors
/// Every problem; the place is the variable's name.
pub fn load(environment: &Environment<'_>) -> Result<Config, Vec<Problem>> {
    // A variable whose file cannot be read counts as set here; reading its line then says what is wrong.
    let set = |name: &str| environment(name).unwrap_or_else(|_| Some("?".into())).filter(|value| !value.is_empty());
    let document = document(&set, Path::new(DOCKER_SOCKET).exists())?;
    let derived = |name: &str| document.derived.iter().find(|(known, _)| known == name).map(|(_, value)| value.clone());
    let values = |name: &str| derived(name).map_or_else(|| environment(name), |value| Ok(Some(value)));
    let text = document.lines.iter().map(|(line, _)| line.as_str()).collect::<Vec<_>>().join("\n");
    load_text(&text, "environment", Path::new("."), &values).map_err(|problems| {
        let name =
            |line: usize| document.lines.get(line.wrapping_sub(1)).map_or("environment", |(_, variable)| *variable);
        problems.into_iter().map(|problem| at_variable(name(problem.at.line), problem)).collect()
    })
}

fn at_variable(variable: &str, problem: Problem) -> Problem {
    if problem.at.line == 0 {
        return problem;
    }
    let file = format!("the environment variable {variable}").into();
    Problem { at: Place { file, line: 0, column: 0 }, ..problem }
}

struct Document {
    /// YAML lines, each with the variable it comes from.
    lines: Vec<(String, &'static str)>,
    /// Values that are parts of a variable's value.
    derived: Vec<(String, String)>,
}

fn document(set: &dyn Fn(&str) -> Option<String>, docker_socket: bool) -> Result<Document, Vec<Problem>> {
    let mut lines = vec![("targets:".to_owned(), "environment")];
    let targets = [
        ("APP_URL", "{name: app, url: \"${APP_URL}\"}"),
        ("DATABASE_URL", "{name: postgres, url: \"${DATABASE_URL}\"}"),
        ("REDIS_URL", "{name: redis, url: \"${REDIS_URL}\"}"),
        (
            "OPENAI_API_KEY",
            "{name: openai, kind: llm, provider: openai, url: \"${OPENAI_BASE_URL:-https://api.openai.com/v1}\", \
             api_key: \"${OPENAI_API_KEY}\", interval: 1m}",
        ),
        (
            "ANTHROPIC_API_KEY",
            "{name: anthropic, kind: llm, provider: anthropic, \
             url: \"${ANTHROPIC_BASE_URL:-https://api.anthropic.com}\", api_key: \"${ANTHROPIC_API_KEY}\", interval: 1m}",
        ),
    ];
    for (variable, line) in targets {
        if set(variable).is_some() {
            lines.push((format!("  - {line}"), variable));
        }
    }
    if set("DOCKER_HOST").is_some() {
        lines.push(("  - {name: docker, kind: docker, url: \"${DOCKER_HOST}\"}".into(), "DOCKER_HOST"));
    } else if docker_socket {
        lines.push((format!("  - {{name: docker, kind: docker, url: \"unix://{DOCKER_SOCKET}\"}}"), "DOCKER_HOST"));
    }
    // Inside a container the host's own trees are mounted there; elsewhere the machine itself is meant.
    let host = if Path::new("/host/proc").exists() {
        "  - {name: host, kind: host, procfs: /host/proc, sysfs: /host/sys, rootfs: /host}"
    } else {
        "  - {name: host, kind: host}"
    };
    lines.push((host.into(), "environment"));
    let derived = receivers(set, &mut lines)?;
    Ok(Document { lines, derived })
}

/// The one receiver `on-call`: mail when `ALERT_EMAIL_TO` is set, a webhook when `ALERT_WEBHOOK_URL` is.
fn receivers(
    set: &dyn Fn(&str) -> Option<String>,
    lines: &mut Vec<(String, &'static str)>,
) -> Result<Vec<(String, String)>, Vec<Problem>> {
    let (mail, hook) = (set("ALERT_EMAIL_TO"), set("ALERT_WEBHOOK_URL"));
    if mail.is_none() && hook.is_none() {
        return Ok(Vec::new());
    }
    let mut derived = Vec::new();
    lines.push(("alerting:".into(), "environment"));
    if mail.is_some() {
        let smtp = set("SMTP_URL").ok_or_else(|| vec![smtp_problem("it is not set, but ALERT_EMAIL_TO is")])?;
        derived = smtp_parts(&smtp).map_err(|what| vec![smtp_problem(&what)])?;
        let mut global =
            "smtp_smarthost: \"${SMTP_SMARTHOST}\", smtp_from: \"${SMTP_FROM:-sidewatch@localhost}\"".to_owned();
        if derived.iter().any(|(name, _)| name == "SMTP_USERNAME") {
            global.push_str(", smtp_auth_username: \"${SMTP_USERNAME}\", smtp_auth_password: \"${SMTP_PASSWORD}\"");
        }
        if derived.iter().any(|(name, value)| name == "SMTP_PLAIN" && value == "true") {
            global.push_str(", smtp_require_tls: false");
        }
        if smtp.starts_with("smtps:") {
            global.push_str(", smtp_force_implicit_tls: true");
        }
        lines.push((format!("  global: {{{global}}}"), "SMTP_URL"));
    }
    lines.push(("  route: {receiver: on-call}".into(), "environment"));
    lines.push(("  receivers:".into(), "environment"));
    lines.push(("    - name: on-call".into(), "environment"));
    if mail.is_some() {
        lines.push(("      email_configs: [{to: \"${ALERT_EMAIL_TO}\"}]".into(), "ALERT_EMAIL_TO"));
    }
    if hook.is_some() {
        lines.push(("      webhook_configs: [{url: \"${ALERT_WEBHOOK_URL}\"}]".into(), "ALERT_WEBHOOK_URL"));
    }
    Ok(derived)
}

fn smtp_problem(what: &str) -> Problem {
    let at = Place { file: "the environment variable SMTP_URL".into(), line: 0, column: 0 };
    Problem { at, what: what.into(), way_out: "write smtp://user:password@host:587 or smtps://host:465".into() }
}

/// `smtp://user:password@host:587?tls=off`: STARTTLS unless `tls=off`; `smtps://` is TLS from the first byte.
fn smtp_parts(text: &str) -> Result<Vec<(String, String)>, String> {
    let url = Url::parse(text).map_err(|_| "it is no URL".to_owned())?;
    let default_port = match url.scheme() {
        "smtp" => 587,
        "smtps" => 465,
        _ => return Err("its scheme is neither smtp nor smtps".into()),
    };
    let host = url.host_str().ok_or("it has no host")?;
    let decode = |text: &str| {
        let pair = format!("v={}", text.replace('+', "%2B"));
        url::form_urlencoded::parse(pair.as_bytes()).next().map(|(_, value)| value.into_owned()).unwrap_or_default()
    };
    let mut parts = vec![("SMTP_SMARTHOST".to_owned(), format!("{host}:{}", url.port().unwrap_or(default_port)))];
    if !url.username().is_empty() {
        parts.push(("SMTP_USERNAME".into(), decode(url.username())));
        parts.push(("SMTP_PASSWORD".into(), decode(url.password().unwrap_or_default())));
    }
    let plain = url.query_pairs().any(|(name, value)| name == "tls" && value == "off");
    parts.push(("SMTP_PLAIN".into(), plain.to_string()));
    Ok(parts)
}
