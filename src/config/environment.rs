//! Running without a file: the environment names the targets and the receiver.
//!
//! Each variable that is set brings one line of YAML, which is then read like any file; so both ways hold the same checks.

use std::io::Read as _;
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
    match read_small(&path) {
        Ok(text) => Ok(Some(text.trim_end_matches(['\n', '\r']).to_owned())),
        Err(error) => Err(format!("cannot read {path}, which {name}_FILE names: {error}")),
    }
}

/// A file that holds one value is small; `/dev/zero` is not.
fn read_small(path: &str) -> std::io::Result<String> {
    let mut text = String::new();
    std::fs::File::open(path)?.take(64 << 10).read_to_string(&mut text)?;
    Ok(text)
}

/// Makes a configuration from the environment alone.
///
/// # Errors
/// Every problem; the place is the variable's name.
pub fn load(environment: &Environment<'_>) -> Result<Config, Vec<Problem>> {
    // A variable whose file cannot be read counts as set here; reading its line then says what is wrong.
    let set = |name: &str| environment(name).unwrap_or_else(|_| Some("?".into())).filter(|value| !value.is_empty());
    let document = document(&set, Path::new(DOCKER_SOCKET).exists());
    let derived = |name: &str| document.derived.iter().find(|(known, _)| known == name).map(|(_, value)| value.clone());
    let values = |name: &str| derived(name).map_or_else(|| environment(name), |value| Ok(Some(value)));
    let text = document.lines.iter().map(|(line, _)| line.as_str()).collect::<Vec<_>>().join("\n");
    let loaded = load_text(&text, "environment", Path::new("."), &values);
    if document.problems.is_empty() && loaded.is_ok() {
        return loaded;
    }
    let name = |line: usize| document.lines.get(line.wrapping_sub(1)).map_or("environment", |(_, variable)| *variable);
    let found = loaded.err().into_iter().flatten().map(|problem| at_variable(name(problem.at.line), problem));
    let mut problems: Vec<_> = document.problems.into_iter().chain(found).collect();
    problems.sort();
    Err(problems)
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
    /// What is wrong already.
    problems: Vec<Problem>,
}

fn document(set: &dyn Fn(&str) -> Option<String>, docker_socket: bool) -> Document {
    let mut lines = vec![("targets:".to_owned(), "environment")];
    let targets = [
        ("APP_URL", "{name: app, url: \"${APP_URL}\"}"),
        ("DATABASE_URL", "{name: postgres, url: \"${DATABASE_URL}\"}"),
        ("REDIS_URL", "{name: redis, url: \"${REDIS_URL}\"}"),
        (
            "OPENAI_API_KEY",
            "{name: openai, kind: llm, provider: openai, url: \"${OPENAI_BASE_URL:-https://api.openai.com/v1}\", \
             api_key: \"${OPENAI_API_KEY}\"}",
        ),
        (
            "ANTHROPIC_API_KEY",
            "{name: anthropic, kind: llm, provider: anthropic, \
             url: \"${ANTHROPIC_BASE_URL:-https://api.anthropic.com}\", api_key: \"${ANTHROPIC_API_KEY}\"}",
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
    let mut document = Document { lines, derived: Vec::new(), problems: Vec::new() };
    receivers(set, &mut document);
    document
}

/// The one receiver `on-call`: mail when `ALERT_EMAIL_TO` is set, a webhook when `ALERT_WEBHOOK_URL` is.
fn receivers(set: &dyn Fn(&str) -> Option<String>, document: &mut Document) {
    let (mail, hook, smtp) = (set("ALERT_EMAIL_TO"), set("ALERT_WEBHOOK_URL"), set("SMTP_URL"));
    match (&mail, &smtp) {
        (Some(_), None) => document.problems.push(smtp_problem("it is not set, but ALERT_EMAIL_TO is")),
        (None, Some(_)) => {
            document.problems.push(smtp_problem("it is set, but ALERT_EMAIL_TO, whom to write to, is not"));
        }
        _ => {}
    }
    let mail = mail.zip(smtp).and_then(|(_, smtp)| mail_global(&smtp, document));
    if mail.is_none() && hook.is_none() {
        return;
    }
    let mut line = |text: &str, variable| document.lines.push((text.to_owned(), variable));
    line("alerting:", "environment");
    if let Some(global) = &mail {
        line(global, "SMTP_URL");
    }
    line("  route: {receiver: on-call}", "environment");
    line("  receivers:", "environment");
    line("    - name: on-call", "environment");
    if mail.is_some() {
        line("      email_configs: [{to: \"${ALERT_EMAIL_TO}\"}]", "ALERT_EMAIL_TO");
    }
    if hook.is_some() {
        line("      webhook_configs: [{url: \"${ALERT_WEBHOOK_URL}\"}]", "ALERT_WEBHOOK_URL");
    }
}

/// The line of `alerting.global` that `SMTP_URL` means.
fn mail_global(smtp: &str, document: &mut Document) -> Option<String> {
    let parts = smtp_parts(smtp).map_err(|what| document.problems.push(smtp_problem(&what))).ok()?;
    let has = |wanted: &str, value: Option<&str>| {
        parts.iter().any(|(name, is)| name == wanted && value.is_none_or(|value| is == value))
    };
    let mut global =
        "smtp_smarthost: \"${SMTP_SMARTHOST}\", smtp_from: \"${SMTP_FROM:-sidewatch@localhost}\"".to_owned();
    if has("SMTP_USERNAME", None) {
        global.push_str(", smtp_auth_username: \"${SMTP_USERNAME}\", smtp_auth_password: \"${SMTP_PASSWORD}\"");
    }
    if has("SMTP_PLAIN", Some("true")) {
        global.push_str(", smtp_require_tls: false");
    }
    if smtp.starts_with("smtps:") {
        global.push_str(", smtp_force_implicit_tls: true");
    }
    document.derived = parts;
    Some(format!("  global: {{{global}}}"))
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

#[cfg(test)]
mod tests {
    use super::*;

    fn said(variables: &[(&str, &str)]) -> Vec<String> {
        let lookup = |name: &str| match variables.iter().find(|(known, _)| *known == name) {
            Some((_, "unreadable")) => Err(format!("cannot read the file of {name}")),
            found => Ok(found.map(|(_, value)| (*value).to_owned())),
        };
        load(&lookup).err().unwrap_or_default().iter().map(ToString::to_string).collect()
    }

    #[test]
    fn every_problem_of_every_variable_is_said_at_once() {
        let said = said(&[
            ("APP_URL", "gopher://x"),
            ("REDIS_URL", "unreadable"),
            ("SMTP_URL", "gopher://h"),
            ("ALERT_EMAIL_TO", "a@example.org"),
            ("LOG_LEVEL", "blah"),
        ]);
        let has = |words: &str| said.iter().any(|line| line.contains(words));
        assert!(has("APP_URL: the scheme `gopher://`") && has("cannot read the file of REDIS_URL"), "{said:#?}");
        assert!(has("SMTP_URL: its scheme is neither") && has("LOG_LEVEL: `blah` is no level"), "{said:#?}");
    }

    #[test]
    fn mail_needs_both_who_and_how() {
        assert!(said(&[("SMTP_URL", "smtp://mail:25?tls=off")])[0].contains("ALERT_EMAIL_TO"));
        assert!(said(&[("ALERT_EMAIL_TO", "a@example.org")])[0].contains("SMTP_URL: it is not set"));
        assert_eq!(said(&[("ALERT_EMAIL_TO", "a@example.org"), ("SMTP_URL", "smtps://u:p%40ss@mail:2465")]), [""; 0]);
    }
}
