//! A target that a container asks for by its labels: fewer keys, fewer kinds, and nothing of this machine.
//!
//! Whoever may label a container is not whoever wrote the configuration. So `${NAME}` stays as it is, no key reads a file, no URL names a
//! socket or a certificate here, and no kind sends one of the configuration's secrets anywhere.

use std::time::Duration;

use crate::collect::dial::Address;
use crate::collect::docker::Found;
use crate::collect::{Kind, Target, pgbouncer};
use crate::model::{Place, Problems};
use crate::yaml::{Node, Value};

use super::{Global, targets};

/// The labels, without `sidewatch.`.
const KEYS: [&str; 4] = ["url", "name", "kind", "interval"];
/// The kinds that a label may ask for.
const KINDS: [&str; 13] =
    ["http", "tcp", "dns", "icmp", "grpc", "smtp", "ws", "oidc", "mcp", "postgres", "pgbouncer", "redis", "prometheus"];
/// A container may not make the agent busier than this.
const SHORTEST: Duration = Duration::from_secs(1);

/// Reads a container's labels.
///
/// # Errors
/// Everything that is wrong with them. No message repeats a URL, which may hold a password.
pub fn read(found: &Found, global: &Global) -> Result<Target, Vec<String>> {
    let problems = Problems::new();
    let target = read_noting(found, global, &problems);
    match target {
        Some(target) if problems.is_empty() => Ok(target),
        _ => Err(problems.into_sorted().iter().map(ToString::to_string).collect()),
    }
}

fn read_noting(found: &Found, global: &Global, problems: &Problems) -> Option<Target> {
    let mut entries = Vec::new();
    for (key, value) in &found.labels {
        let at = place(&format!("the label sidewatch.{}", key.replace(char::is_control, " ")));
        if KEYS.contains(&key.as_str()) {
            let text = fill_in(value, found, &at, problems);
            entries.push((key.clone(), at.clone(), Node { at, value: Value::Scalar { text, quoted: true } }));
        } else {
            problems.add(
                &at,
                "this means nothing",
                format!("there are {}", KEYS.map(|key| format!("sidewatch.{key}")).join(", ")),
            );
        }
    }
    if !found.labels.iter().any(|(key, _)| key == "name") {
        let at = place("the container's name");
        let text = found.container.to_string();
        entries.push(("name".into(), at.clone(), Node { at, value: Value::Scalar { text, quoted: true } }));
    }
    if !found.labels.iter().any(|(key, _)| key == "url") {
        problems.add(&place("the labels"), "there is no sidewatch.url", "add it, or remove the others");
        return None;
    }
    check_kind(found, problems)?;
    let node = Node { at: place("the labels"), value: Value::Map(entries) };
    let target = targets::read_one(&node, global, problems)?;
    check(&target, found, problems);
    Some(target)
}

fn place(what: &str) -> Place {
    Place { file: what.into(), line: 0, column: 0 }
}

/// `{ip}` is the container's address, `{container}` its name.
fn fill_in(value: &str, found: &Found, at: &Place, problems: &Problems) -> String {
    let value = value.replace("{container}", &found.container);
    if !value.contains("{ip}") {
        return value;
    }
    let Some(address) = &found.address else {
        problems.add(at, "the container has no address of its own for {ip}", "write a host name that resolves here");
        return value;
    };
    let host = if address.contains(':') { format!("[{address}]") } else { address.clone() };
    value.replace("{ip}", &host)
}

/// Before anything of a kind is read: only these may be asked for.
fn check_kind(found: &Found, problems: &Problems) -> Option<()> {
    let label = |key: &str| found.labels.iter().find(|(name, _)| name == key).map(|(_, value)| value.as_str());
    let by_scheme = || label("url")?.split_once("://").and_then(|(scheme, _)| Kind::of_scheme(scheme));
    match label("kind").or_else(by_scheme) {
        // What is no kind at all gets the complaint that the configuration gets.
        Some(kind) if !KINDS.contains(&kind) => {
            let way_out = format!("kinds: {}; write other targets into the configuration", KINDS.join(", "));
            problems.add(
                &place("the labels"),
                format!("a container may not ask for kind `{}`", kind.escape_debug()),
                way_out,
            );
            None
        }
        _ => Some(()),
    }
}

/// After it was read: nothing of this machine, and not too often.
fn check(target: &Target, found: &Found, problems: &Problems) {
    let local = match &target.kind {
        Kind::Postgres(login) | Kind::PgBouncer(pgbouncer::Settings { login }) => {
            is_local(&login.address) || login.root_certificate.is_some()
        }
        Kind::Redis(settings) => is_local(&settings.address),
        Kind::Tcp(settings) => is_local(&settings.address),
        Kind::Http(_)
        | Kind::WebSocket(_)
        | Kind::Oidc(_)
        | Kind::Mcp(_)
        | Kind::Prometheus(_)
        | Kind::Dns(_)
        | Kind::Icmp(_)
        | Kind::Grpc(_)
        | Kind::Smtp(_) => false,
        // A kind that nobody thought about here is not asked for.
        _ => true,
    };
    if local {
        let way_out = "write host and port; targets with sockets and certificates belong into the configuration";
        problems.add(
            &place("the label sidewatch.url"),
            "a container may not name a file of the agent's machine",
            way_out,
        );
    }
    if matches!(&target.kind, Kind::Smtp(settings) if settings.has_login()) {
        let way_out = "leave user and password out of the URL, or write the target into the configuration";
        problems.add(
            &place("the label sidewatch.url"),
            "a container's mail server is visited without a login",
            way_out,
        );
    }
    if target.interval < SHORTEST && found.labels.iter().any(|(key, _)| key == "interval") {
        problems.add(
            &place("the label sidewatch.interval"),
            "this is too short for a container's label",
            "write at least 1s",
        );
    }
}

fn is_local(address: &Address) -> bool {
    matches!(address, Address::Unix(_))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asked(labels: &[(&str, &str)]) -> Result<Target, String> {
        read(&Found::example("shop-app-1", labels), &Global::default()).map_err(|problems| problems.join("\n"))
    }

    #[test]
    fn a_url_is_enough_and_the_container_gives_the_name() {
        let target = asked(&[("url", "http://{ip}:3000/{container}")]).unwrap();
        assert_eq!((&*target.name, target.interval), ("shop-app-1", Duration::from_secs(10)));
        assert_eq!(target.labels.get("instance"), Some("http://172.18.0.2:3000/shop-app-1"));
        let target =
            asked(&[("url", "http://app:9100/metrics"), ("kind", "prometheus"), ("name", "n"), ("interval", "2s")])
                .unwrap();
        assert_eq!(
            (&*target.name, target.interval, target.timeout),
            ("n", Duration::from_secs(2), Duration::from_secs(2))
        );
        assert_eq!(target.labels.get("job"), Some("n"));
    }

    #[test]
    fn nothing_of_this_machine_can_be_asked_for() {
        for url in [
            "postgres://db/shop?sslrootcert=/etc/shadow",
            "postgres://u@%2Frun%2Fpostgresql/d",
            "postgres:///d?host=/run",
            "redis+unix:///run/redis.sock",
            "unix:///var/run/docker.sock",
            "pgbouncer://u@/?host=/run/pgbouncer",
            "pgbouncer://pool?sslrootcert=/etc/shadow",
        ] {
            let said = asked(&[("url", url)]).unwrap_err();
            assert!(said.contains("file of the agent's machine"), "{url}: {said}");
        }
        for (url, kind) in [("unix:///var/run/docker.sock", "docker"), ("file:///", "host"), ("https://evil/", "llm")] {
            assert!(asked(&[("url", url), ("kind", kind)]).unwrap_err().contains("may not ask for kind"), "{kind}");
        }
        for key in ["password_file", "bearer_token_file", "tls", "labels"] {
            assert!(
                asked(&[("url", "http://a/"), (key, "/etc/shadow")]).unwrap_err().contains("this means nothing"),
                "{key}"
            );
        }
    }

    #[test]
    fn whatever_listens_can_be_asked_for() {
        for (url, kind) in [
            ("tcp://{ip}:5000", "tcp"),
            ("icmp://{ip}", "icmp"),
            ("grpcs://{container}:50051/shop.v1.Search", "grpc"),
            ("smtp://{container}:1025", "smtp"),
            ("wss://{container}/live", "ws"),
            ("http://{container}:8080/realms/shop", "oidc"),
            ("http://{ip}:8000/mcp", "mcp"),
            ("pgbouncer://stats:stats@{container}", "pgbouncer"),
        ] {
            let said = asked(&[("url", url), ("kind", kind)]);
            assert!(said.is_ok(), "{url}: {said:?}");
            assert!(KINDS.contains(&kind));
        }
        let said = asked(&[("url", "smtp://me:hush@mail")]).unwrap_err();
        assert!(said.contains("without a login") && !said.contains("hush"), "{said}");
    }

    #[test]
    fn variables_are_not_put_in() {
        let target = asked(&[("url", "http://app/${HOME}")]).unwrap();
        assert!(target.labels.get("instance").unwrap().ends_with("${HOME}"));
    }

    #[test]
    fn complaints_name_the_label_and_never_a_password() {
        for (labels, words) in [
            (&[("url", "redis://:hush@cache:99999")][..], "the label sidewatch.url: "),
            (
                &[("url", "http://app/"), ("interval", "5")],
                "the label sidewatch.interval: `interval`: `5` is not a duration",
            ),
            (&[("url", "http://app/"), ("interval", "200ms")], "write at least 1s"),
            (&[("url", "hush")], "it has no scheme"),
            (&[("name", "app")], "there is no sidewatch.url"),
            (&[("url", "http://app/"), ("intervall", "5s")], "the label sidewatch.intervall: this means nothing"),
        ] {
            let said = asked(labels).unwrap_err();
            assert!(said.contains(words) && !said.contains("hush"), "{said}");
        }
    }
}
