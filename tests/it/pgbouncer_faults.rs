//! PgBouncer as it fails: each fault has its reason, what is still seen stays, and the end of the fault is noticed.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use crate::support::{Agent, Page, RealPgBouncer, RealPostgres, Silent, free_port, run, wait_until};

const GLOBAL: &str = "global: {scrape_interval: 1s, scrape_timeout: 1s}\n";

/// An agent that looks at one pool.
fn agent(url: &str) -> Agent {
    Agent::start(&format!("{GLOBAL}targets: [{{name: pool, url: \"{url}\"}}]\n"))
}

fn reason(agent: &Agent, target: &str) -> String {
    agent.health().1["checks"][target].as_str().unwrap_or_default().to_owned()
}

/// Waits for a verdict, and gives the page of that time.
fn wait_for(agent: &Agent, verdict: &str) -> Page {
    wait_until(&format!("the pool is `{verdict}`"), Duration::from_secs(15), || {
        reason(agent, "pool").contains(verdict).then(|| agent.metrics())
    })
}

fn up(page: &Page) -> Option<f64> {
    page.value("pgbouncer_up", &[])
}

#[test]
fn who_cannot_get_in_is_told_why() {
    let postgres = RealPostgres::start();
    let (pgbouncer, silent) = (RealPgBouncer::start(&postgres), Silent::start());
    let targets = [
        ("good", pgbouncer.url("stats", "stats"), "ok"),
        ("wrong-password", pgbouncer.url("stats", "hunter2"), "auth: "),
        ("unknown-user", pgbouncer.url("nobody", "x"), "auth: "),
        ("no-console-user", pgbouncer.url("app", "app"), "neither in stats_users nor in admin_users"),
        ("without-tls", format!("{}?sslmode=require", pgbouncer.url("stats", "stats")), "tls: "),
        ("nobody-there", format!("pgbouncer://stats@127.0.0.1:{}", free_port()), "refused: "),
        ("silent", format!("pgbouncer://stats@127.0.0.1:{}", silent.port()), "timeout: "),
        ("no-pgbouncer", postgres.url().replace("postgres://", "pgbouncer://").replace("/postgres", ""), "sidewatch"),
    ];
    let line =
        |(name, url, _): &(&str, String, &str)| format!("  - {{name: {name}, url: \"{url}\", instance: {name}}}");
    let lines: Vec<_> = targets.iter().map(line).collect();
    let agent = Agent::start(&format!("{GLOBAL}targets:\n{}\n", lines.join("\n")));
    let page = agent.metrics();
    for (name, _, wanted) in &targets[..7] {
        let said = reason(&agent, name);
        assert!(said.contains(wanted), "{name}: {said}");
        assert!(!said.contains("hunter2"), "{said}");
        let labels = [("instance", *name)];
        assert_eq!(page.value("pgbouncer_up", &labels), Some(f64::from(u8::from(*wanted == "ok"))), "{name}");
        assert_eq!(page.value("up", &labels), Some(1.0), "{name}: an exporter would have answered");
        let pools = page.find("pgbouncer_pools", &labels).count();
        assert_eq!(pools, usize::from(*wanted == "ok"), "{name}: what is not seen is absent");
    }
    assert_eq!(page.value("pgbouncer_up", &[("instance", "no-pgbouncer")]), Some(0.0));
}

#[test]
fn a_pool_that_ends_or_freezes_is_missed_and_its_return_is_noticed() {
    let postgres = RealPostgres::start();
    let mut pgbouncer = RealPgBouncer::start(&postgres);
    let agent = agent(&pgbouncer.url("stats", "stats"));
    assert_eq!(up(&wait_for(&agent, "ok")), Some(1.0));

    pgbouncer.stop();
    let page = wait_for(&agent, "refused");
    assert_eq!((up(&page), page.names("pgbouncer_").len()), (Some(0.0), 1), "nothing stale stays");
    pgbouncer.start_again();
    assert_eq!(up(&wait_for(&agent, "ok")), Some(1.0));

    pgbouncer.signal("STOP");
    let page = wait_for(&agent, "timeout");
    assert_eq!((up(&page), page.names("pgbouncer_").len()), (Some(0.0), 1));
    pgbouncer.signal("CONT");
    let page = wait_for(&agent, "ok");
    assert!(page.value("pgbouncer_databases", &[]).is_some());
}

#[test]
fn a_changed_password_is_noticed_though_the_kept_session_goes_on() {
    let postgres = RealPostgres::start();
    let pgbouncer = RealPgBouncer::start(&postgres);
    let agent = agent(&pgbouncer.url("stats", "stats"));
    wait_for(&agent, "ok");
    pgbouncer.set_passwords("-new");
    pgbouncer.console("reload");
    let page = wait_for(&agent, "auth: ");
    assert_eq!(up(&page), Some(0.0));
    assert!(page.value("pgbouncer_databases", &[]).is_some(), "the kept session still sees");
    pgbouncer.set_passwords("");
    pgbouncer.console("reload");
    wait_for(&agent, "ok");
}

#[test]
fn a_crowded_pool_shows_who_waits() {
    let postgres = RealPostgres::start();
    let pgbouncer = RealPgBouncer::start(&postgres);
    let agent = agent(&pgbouncer.url("stats", "stats"));
    let busy: Vec<_> = (0..2).map(|_| pgbouncer.client("checkout")).collect();
    let orders = [("database", "orders"), ("user", "app")];
    let active = |page: &Page| page.value("pgbouncer_pools_server_active_connections", &orders) == Some(2.0);
    wait_until("both servers are in use", Duration::from_secs(15), || active(&agent.metrics()).then_some(()));
    let late = pgbouncer.client("search");
    let waiting = [("application_name", "search"), ("state", "waiting")];
    let page = wait_until("the third client waits for more than a second", Duration::from_secs(15), || {
        let page = agent.metrics();
        let wait = page.value("pgbouncer_client_longest_wait_seconds", &[("application_name", "search")]);
        wait.is_some_and(|wait| wait > 1.0).then_some(page)
    });
    assert_eq!(page.value("pgbouncer_client_connections", &waiting), Some(1.0));
    assert_eq!(page.value("pgbouncer_pools_client_waiting_connections", &orders), Some(1.0));
    assert!(page.value("pgbouncer_pools_client_maxwait_seconds", &orders).is_some_and(|wait| wait >= 1.0));
    let idle = [("application_name", "checkout"), ("state", "active")];
    assert_eq!(page.value("pgbouncer_client_connections", &idle), Some(2.0));
    drop((busy, late));
    wait_until("nobody waits", Duration::from_secs(15), || {
        let page = agent.metrics();
        (page.value("pgbouncer_pools_client_waiting_connections", &orders) == Some(0.0)).then_some(())
    });
    assert_eq!(
        agent.metrics().find("pgbouncer_client_longest_wait_seconds", &[]).count(),
        0,
        "no wait is not a wait of 0"
    );
}

/// An authority (`ca.pem`), its certificate for `localhost`, and PgBouncer's settings that make clients use TLS.
fn behind_tls(folder: &Path) -> Vec<String> {
    let openssl = |arguments: &str| run(Command::new("openssl").args(arguments.split(' ')).current_dir(folder));
    openssl("req -x509 -newkey rsa:2048 -nodes -keyout ca-key.pem -out ca.pem -days 2 -subj /CN=authority");
    openssl("req -newkey rsa:2048 -nodes -keyout key.pem -out request.pem -subj /CN=pool");
    std::fs::write(folder.join("names"), "subjectAltName=DNS:localhost").expect("our folder");
    openssl(
        "x509 -req -in request.pem -CA ca.pem -CAkey ca-key.pem -CAcreateserial -extfile names -days 2 -out cert.pem",
    );
    // PgBouncer is another user.
    run(Command::new("chmod").arg("a+r").arg(folder.join("key.pem")));
    let at = |name: &str| folder.join(name).display().to_string();
    vec![
        "client_tls_sslmode = require".into(),
        format!("client_tls_key_file = {}", at("key.pem")),
        format!("client_tls_cert_file = {}", at("cert.pem")),
    ]
}

#[test]
fn a_pool_behind_tls_is_seen_by_whoever_trusts_it() {
    let postgres = RealPostgres::start();
    let mut authority = PathBuf::new();
    let pgbouncer = RealPgBouncer::start_with(&postgres, |folder| {
        authority = folder.join("ca.pem");
        behind_tls(folder)
    });
    let url =
        |host: &str, query: &str| format!("{}/?{query}", pgbouncer.url("stats", "stats").replace("127.0.0.1", host));
    let ca = format!("sslrootcert={}", authority.display());
    let targets = [
        ("as-libpq", url("localhost", "sslmode=prefer"), "ok"),
        ("trusted", url("localhost", &format!("sslmode=verify-full&{ca}")), "ok"),
        ("any-name", url("127.0.0.1", &format!("sslmode=verify-ca&{ca}")), "ok"),
        ("unknown-authority", url("localhost", "sslmode=verify-full"), "tls: "),
        ("other-name", url("127.0.0.1", &format!("sslmode=verify-full&{ca}")), "tls: "),
        ("in-plain", url("localhost", "sslmode=disable"), "tls: "),
    ];
    let line =
        |(name, url, _): &(&str, String, &str)| format!("  - {{name: {name}, url: \"{url}\", instance: {name}}}\n");
    let agent = Agent::start(&format!("{GLOBAL}targets:\n{}", targets.iter().map(line).collect::<String>()));
    let page = agent.metrics();
    for (name, _, wanted) in &targets {
        let said = reason(&agent, name);
        assert!(said.starts_with(wanted), "{name}: {said}");
        assert_eq!(
            page.value("pgbouncer_up", &[("instance", *name)]),
            Some(f64::from(u8::from(*wanted == "ok"))),
            "{name}"
        );
    }
    assert!(pgbouncer.log().contains("tls=TLSv1.3"), "{}", pgbouncer.log());
}

#[test]
fn one_session_is_kept_and_each_look_logs_in_once() {
    let postgres = RealPostgres::start();
    let pgbouncer = RealPgBouncer::start(&postgres);
    let agent = agent(&pgbouncer.url("stats", "stats"));
    let logins = || pgbouncer.log().matches("user=stats").count();
    let ours = |text: &str| text.lines().filter(|line| line.contains("|stats|")).count();
    let (mut most, before) = (0, logins());
    let since = std::time::Instant::now();
    while logins() < before + 5 {
        most = most.max(ours(&pgbouncer.console("show clients")));
        assert!(since.elapsed() < Duration::from_secs(30), "{} logins in 30 s", logins() - before);
    }
    assert!((1..=2).contains(&most), "{most} sessions of ours at once");
    assert!(since.elapsed() > Duration::from_secs(3), "five logins in {:?}, one is due each second", since.elapsed());
    assert_eq!(agent.metrics().value("pgbouncer_client_connections", &[("application_name", "sidewatch")]), Some(1.0));
}
