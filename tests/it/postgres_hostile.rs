//! What others may do in a watched server without being superusers: it must neither run as the agent nor blind it.

use std::time::Duration;

use crate::support::{Agent, Page, RealPostgres, run, wait_until};

fn watch(postgres: &RealPostgres, more: &str) -> Agent {
    Agent::start(&format!(
        "global: {{scrape_interval: 1s, scrape_timeout: 1s}}\ntargets: [{{name: orders, url: \"{}\"{more}}}]",
        postgres.url()
    ))
}

fn after_looks(agent: &Agent, looks: f64) -> Page {
    wait_until("the agent has looked often enough", Duration::from_secs(30), || {
        let page = agent.metrics();
        page.value("pg_exporter_scrapes_total", &[]).filter(|all| *all >= looks).map(|_| page)
    })
}

fn sql_in(postgres: &RealPostgres, database: &str, statement: &str) -> String {
    run(postgres.psql(database).args(["-c", statement]))
}

/// Functions and an operator that fit our statements better than the server's own, each writing down who ran it.
const TRAPS: &str = "create table loot (who text, what text); grant insert, select on loot to public; \
    grant create on schema public to app; set role app; \
    create function pg_has_role(text, text) returns bool language sql volatile as \
    $$ insert into public.loot values (current_user, 'pg_has_role'); select true $$; \
    create function concat_ws(text, name, text, name) returns text language sql volatile as \
    $$ insert into public.loot values (current_user, 'concat_ws'); select 'x' $$; \
    create function set_config(text, text, bool) returns text language sql volatile as \
    $$ insert into public.loot values (current_user, 'set_config'); select 'x' $$; \
    create function current_setting(text) returns text language sql volatile as \
    $$ insert into public.loot values (current_user, 'current_setting'); select '150000' $$; \
    create function power_of(int, int) returns float8 language sql volatile as \
    $$ insert into public.loot values (current_user, '^'); select 1.0::float8 $$; \
    create operator ^ (leftarg = int, rightarg = int, function = power_of)";

#[test]
fn functions_that_others_made_are_not_run_by_the_agent() {
    let postgres = RealPostgres::start();
    postgres.sql("create database tenant");
    for database in ["postgres", "tenant"] {
        sql_in(&postgres, database, TRAPS);
        postgres.sql(&format!("alter database {database} set search_path = public, pg_catalog"));
    }
    let agent = watch(&postgres, ", databases: [postgres, tenant]");
    let page = after_looks(&agent, 4.0);
    assert_eq!(page.value("pg_up", &[]), Some(1.0), "{}", agent.log());
    for database in ["postgres", "tenant"] {
        let looted = sql_in(&postgres, database, "select who, what from public.loot");
        assert_eq!(looted.trim(), "", "{database}");
    }
    sql_in(&postgres, "tenant", "set role sidewatch; select current_setting('jit')");
    let looted = sql_in(&postgres, "tenant", "select distinct who from public.loot");
    assert_eq!(looted.trim(), "sidewatch", "the trap is one");
}

#[test]
fn a_roles_own_short_time_out_does_not_make_the_server_look_down() {
    let postgres = RealPostgres::start();
    postgres.sql("alter role sidewatch set statement_timeout = '1ms'");
    let agent = watch(&postgres, "");
    let page = after_looks(&agent, 5.0);
    assert_eq!(page.value("pg_up", &[]), Some(1.0), "{}", agent.log());
    assert_eq!(page.value("sidewatch_target_failures_total", &[("reason", "sqlstate_57014")]), None);
}

#[test]
fn names_that_are_not_utf_8_cost_their_rows_only() {
    let postgres = RealPostgres::start();
    postgres.sql("create database old template template0 encoding 'LATIN1' locale 'C'");
    // Stored as the bytes of LATIN1, and sent as they stand to a session in a database of another encoding.
    run(postgres.psql("old").args(["-c", "set client_encoding = 'UTF8'", "-c", "create database \"büro\""]));
    let agent = watch(&postgres, "");
    let page = after_looks(&agent, 4.0);
    assert_eq!(page.value("pg_up", &[]), Some(1.0), "{}", agent.log());
    assert!(page.value("pg_database_size_bytes", &[("datname", "old")]).is_some(), "{}", agent.log());
    assert!(page.value("pg_stat_database_numbackends", &[("datname", "postgres")]).is_some());
    assert!(!agent.log().contains("panic"), "{}", agent.log());
    assert!(
        page.value("sidewatch_target_failures_total", &[("reason", "malformed")]).is_some_and(|counted| counted > 0.0),
        "what is left out is said"
    );
}
