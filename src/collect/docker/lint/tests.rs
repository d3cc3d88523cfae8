//! What is said of containers as an engine describes them.

use serde_json::{Value, json};

use super::*;

fn findings(inspect: Value) -> Findings {
    Findings::of(&serde_json::from_value(inspect).unwrap())
}

fn settings(findings: &Findings) -> Vec<&str> {
    findings.alone.iter().filter_map(|labels| labels.get("setting")).collect()
}

/// A container with which nothing is wrong, and changes to it.
fn well(changes: &[(&str, Value)]) -> Value {
    let mut inspect = json!({
        "Name": "/shop-app-1", "Path": "node", "Args": ["server.js"],
        "Config": {"Image": "shop:1", "Env": ["PATH=/bin"], "Healthcheck": {"Test": ["CMD", "true"]},
            "Labels": {"com.docker.compose.project": "shop", "com.docker.compose.service": "app"}},
        "HostConfig": {"Memory": 1_000_000, "RestartPolicy": {"Name": "unless-stopped"}, "AutoRemove": false},
        "NetworkSettings": {"Ports": {}},
    });
    for (pointer, value) in changes {
        *inspect.pointer_mut(pointer).unwrap() = value.clone();
    }
    inspect
}

#[test]
fn a_container_that_is_set_up_well_gets_no_advice() {
    assert_eq!(settings(&findings(well(&[]))), [""; 0]);
}

#[test]
fn limits_health_and_restarts_are_asked_for() {
    let bare = well(&[
        ("/HostConfig/Memory", json!(0)),
        ("/HostConfig/RestartPolicy/Name", json!("no")),
        ("/Config/Healthcheck", Value::Null),
    ]);
    let found = findings(bare);
    assert_eq!(settings(&found), ["memory limit", "healthcheck", "restart"]);
    let labels = &found.alone[0];
    assert_eq!(
        (labels.get("name"), labels.get("container_label_com_docker_compose_service")),
        (Some("shop-app-1"), Some("app"))
    );
    let disabled = well(&[("/Config/Healthcheck/Test", json!(["NONE"]))]);
    assert_eq!(settings(&findings(disabled)), ["healthcheck"]);
}

#[test]
fn a_job_needs_neither_health_check_nor_restarts() {
    let job = well(&[
        ("/HostConfig/AutoRemove", json!(true)),
        ("/HostConfig/RestartPolicy/Name", json!("")),
        ("/Config/Healthcheck", Value::Null),
    ]);
    assert_eq!(settings(&findings(job)), [""; 0]);
}

#[test]
fn databases_open_to_the_world_are_found_and_others_are_not() {
    let ports = json!({
        "5432/tcp": [{"HostIp": "0.0.0.0", "HostPort": "15432"}, {"HostIp": "::", "HostPort": "15432"}],
        "6379/tcp": [{"HostIp": "127.0.0.1", "HostPort": "6379"}],
        "3000/tcp": [{"HostIp": "0.0.0.0", "HostPort": "3000"}], "27017/tcp": null,
    });
    let found = findings(well(&[("/NetworkSettings/Ports", ports)]));
    assert_eq!(settings(&found), ["ports"]);
    assert_eq!(found.alone[0].get("value"), Some("15432:5432"));
}

#[test]
fn secrets_are_named_and_never_shown() {
    let env = json!([
        "OPENAI_API_KEY=sk-hush",
        "POSTGRES_PASSWORD_FILE=/run/secrets/x",
        "DB_PASSWORD=/run/secrets/db",
        "JWT_SECRET=",
        "DATABASE_URL=postgres://app:hush@db/shop",
        "GPG_KEY=E3FF",
        "ALLOW_EMPTY_PASSWORD=yes",
        "REDIS_URL=redis://cache",
        "BARE"
    ]);
    let labels = json!({"sidewatch.url": "redis://:hush@cache"});
    let found = findings(well(&[("/Config/Env", env), ("/Config/Labels", labels)]));
    assert_eq!(settings(&found), ["label sidewatch.url", "environment OPENAI_API_KEY", "environment DATABASE_URL"]);
    assert!(!format!("{found:?}").contains("hush"));
}

#[test]
fn many_secrets_are_bounded() {
    let env: Vec<_> = (0..40).map(|n| format!("S{n}_TOKEN=x")).collect();
    let found = findings(well(&[("/Config/Env", json!(env))]));
    assert_eq!(found.alone.len(), 17);
    assert!(found.alone[16].get("advice").unwrap().starts_with("24 more"));
}

#[test]
fn a_cache_without_a_bound_is_found() {
    let redis = |image: &str, args: Value| {
        let changes = [("/Config/Image", json!(image)), ("/Path", json!("docker-entrypoint.sh")), ("/Args", args)];
        settings(&findings(well(&changes))).len()
    };
    assert_eq!(redis("redis:7", json!(["redis-server"])), 1);
    assert_eq!(redis("mirror:5000/library/valkey:8", json!(["run.sh"])), 1);
    assert_eq!(redis("redis:7", json!(["redis-server", "--maxmemory", "0"])), 1);
    assert_eq!(redis("redis:7", json!(["redis-server", "--maxmemory-policy", "allkeys-lru"])), 1);
    assert_eq!(redis("redis:7", json!(["redis-server", "--maxmemory", "100mb"])), 0);
    assert_eq!(redis("shop", json!(["sh", "-c", "exec redis-server --maxmemory 1gb"])), 0);
    assert_eq!(redis("redis:7", json!(["redis-server", "/etc/redis.conf"])), 0, "the file may say it");
    assert_eq!(redis("oliver006/redis_exporter", json!([])), 0);
}

fn pools(all: &[Value]) -> Vec<(usize, String, String)> {
    let all: Vec<_> = all.iter().map(|inspect| findings(inspect.clone())).collect();
    let pooling: Vec<_> = all.iter().map(|findings| &findings.pooling).collect();
    let compared = pools::compare(&pooling);
    compared.into_iter().map(|(at, advice)| (at, advice.setting, advice.value)).collect()
}

fn server(args: &[&str]) -> Value {
    well(&[("/Config/Image", json!("pgvector/pgvector:pg16")), ("/Args", json!(args))])
}

fn client(env: &[&str]) -> Value {
    well(&[("/Config/Env", json!(env))])
}

#[test]
fn a_pool_above_what_the_server_lets_in_is_found() {
    let large = client(&["DB_POOL_SIZE=150", "REDIS_POOL_SIZE=900", "MIN_POOL_SIZE=400"]);
    let said = [(0, "DB_POOL_SIZE".to_owned(), "150".to_owned())];
    assert_eq!(pools(&[large.clone(), server(&["postgres"])]), said);
    assert_eq!(pools(&[large.clone(), server(&["postgres", "-c", "max_connections=151"])]), said, "three are reserved");
    for enough in
        [&["postgres", "-c", "max_connections=200"][..], &["postgres", "-N", "200"], &["--max-connections=200"]]
    {
        assert_eq!(pools(&[large.clone(), server(enough)]), []);
    }
    assert_eq!(
        pools(&[large.clone(), server(&["postgres", "-c", "config_file=/etc/pg.conf"])]),
        [],
        "the file may say it"
    );
    assert_eq!(pools(&[large]), [], "no server, no comparison");
}

#[test]
fn pools_that_add_up_to_more_are_found_at_the_server() {
    let some = client(&["DATABASE_URL=postgres://db/shop?connection_limit=60"]);
    let sum = (2, "max_connections".to_owned(), "100".to_owned());
    assert_eq!(pools(&[some.clone(), some.clone(), server(&["postgres"])]), [sum]);
    let pooler =
        well(&[("/Path", json!("/opt/pgbouncer/pgbouncer")), ("/Config/Env", json!(["DEFAULT_POOL_SIZE=20"]))]);
    assert_eq!(pools(&[some.clone(), some, pooler, server(&["postgres"])]), [], "a pooler stands between");
}

#[test]
fn a_client_of_a_servers_image_is_no_server() {
    let job = |image: &str, path: &str, args: &[&str]| {
        well(&[("/Config/Image", json!(image)), ("/Path", json!(path)), ("/Args", json!(args))])
    };
    for args in
        [&["redis-cli", "-h", "cache", "ping"][..], &["redis-sentinel", "/x"], &["redis-server", "x", "--sentinel"]]
    {
        assert_eq!(settings(&findings(job("redis:8", "docker-entrypoint.sh", args))), [""; 0], "{args:?}");
    }
    assert_eq!(settings(&findings(job("redis:8", "docker-entrypoint.sh", &["redis-server"]))), ["maxmemory"]);
    // A back-up beside the server must not make two servers of it, whose clients would be nobody's.
    let server = findings(job("postgres:18", "docker-entrypoint.sh", &["postgres"]));
    let backup = findings(job("postgres:18", "sh", &["-c", "while sleep 3600; do pg_dump shop > /backup/shop; done"]));
    let app = findings(well(&[("/Config/Env", json!(["DB_POOL_SIZE=500"]))]));
    let advice = pools::compare(&[&server.pooling, &backup.pooling, &app.pooling]);
    assert_eq!(
        advice.iter().map(|(at, advice)| (*at, advice.setting.as_str())).collect::<Vec<_>>(),
        [(2, "DB_POOL_SIZE")]
    );
}

#[test]
fn passwords_among_pairs_are_secrets_and_a_models_tokens_are_none() {
    let named = |variable: &str| settings(&findings(well(&[("/Config/Env", json!([variable]))]))).len();
    for secret in [
        "DSN=host=db user=shop password=hush",
        "JDBC=jdbc:postgresql://db/shop?user=shop&password=hush",
        "C=Server=db;Pwd=hush",
    ] {
        assert_eq!(named(secret), 1, "{secret}");
    }
    for none in ["EOS_TOKEN=</s>", "USE_TOKEN=off", "DSN=host=db password=", "PARTITION_KEY=tenant"] {
        assert_eq!(named(none), 0, "{none}");
    }
}
