//! The page at `/`: is it healthy, what is firing, what does it cost. Plain HTML without script, on a telephone too.
//!
//! What it lets people change goes by forms (`act`), which are taken from where any change is.

mod act;
mod alerts;
mod silences;

use std::fmt::Write as _;
use std::net::SocketAddr;

use axum::Router;
use axum::extract::ConnectInfo;
use axum::http::{HeaderMap, header};
use axum::response::{Html, IntoResponse, Response};
use axum::routing::post;

use crate::collect::State;
use crate::collect::docker::events::Action;
use crate::model::{Millis, render_duration};

use super::access::{Neighbourhood, refusal};
use super::{Door, Parts};

/// How pages look.
pub(super) const STYLE: &str = "
:root { color-scheme: light dark; --line: #8884; --ok: #18794e; --bad: #ce2c31; }
@media (prefers-color-scheme: dark) { :root { --ok: #4cc38a; --bad: #ff8589; } }
body { font: 15px/1.5 system-ui, sans-serif; margin: 2rem auto; max-width: 62rem; padding: 0 1rem; }
h1 { font-size: 1.4rem; } h2 { font-size: 1.05rem; margin-top: 2rem; }
table { border-collapse: collapse; width: 100%; } th { text-align: left; font-weight: 600; }
th, td { border-bottom: 1px solid var(--line); padding: .3rem .8rem .3rem 0; vertical-align: top; }
td.number, th.number { text-align: right; font-variant-numeric: tabular-nums; }
.ok { color: var(--ok); } .bad { color: var(--bad); font-weight: 600; }
.entry { border-bottom: 1px solid var(--line); padding: .6rem 0; overflow-wrap: anywhere; }
.entry p, .entry h3 { margin: 0 0 .2rem; font-size: 1em; } .labels { opacity: .75; font-size: .9em; }
form, details { display: inline-block; margin: .2rem .8rem .2rem 0; vertical-align: top; max-width: 100%; }
input, select, button { font: inherit; margin: .15rem 0; padding: .2rem .5rem; max-width: 100%; box-sizing: border-box; }
details label { display: block; } details input { width: 30rem; }
@media (max-width: 40rem) { body { margin: 1rem auto; } table { display: block; overflow-x: auto; } button, summary { padding: .5rem .8rem; } }
";

/// Events shown here; `/v1/events` has all that are kept.
const SHOWN_EVENTS: usize = 20;

/// As on other pages, but that forms may be sent. Browsers say where a form came from only if they may.
const HEADERS: [(header::HeaderName, &str); 3] = [
    (
        header::CONTENT_SECURITY_POLICY,
        "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'",
    ),
    (header::REFERRER_POLICY, "same-origin"),
    (header::CACHE_CONTROL, "no-store"),
];

/// What changes something.
pub(super) fn changing() -> Router<Door> {
    Router::new()
        .route("/page/acknowledge", post(act::acknowledge))
        .route("/page/silence", post(act::silence))
        .route("/page/expire", post(act::expire))
}

/// Renders it from what is known now. Who may not change anything gets no forms. All links are relative: a proxy may have put
/// the agent behind a path.
pub async fn show(ConnectInfo(peer): ConnectInfo<SocketAddr>, headers: HeaderMap, parts: Parts) -> Response {
    let now = Millis::now();
    let refusal = refusal(peer, &headers, &parts.settings.external_url, &Neighbourhood::recent());
    let with_forms = refusal.is_none();
    let states = parts.board.states();
    let mut page = String::with_capacity(8 << 10);
    let healthy = states.iter().filter(|(_, state)| state.healthy).count();
    let all_well = healthy == states.len();
    let verdict = if all_well { "ok" } else { "bad" };
    let _ = write!(
        page,
        "<!doctype html><html lang=en><meta charset=utf-8><meta name=viewport content='width=device-width'>\
         <title>Sidewatch: {}</title><style>{STYLE}</style>\
         <h1>Sidewatch</h1><p class={verdict}>{healthy} of {} targets are healthy.</p>",
        if all_well { "all is well" } else { "trouble" },
        states.len(),
    );
    if let Some(why) = refusal {
        let _ = write!(page, "<p>This page only shows: {}.</p>", escape(&why));
    }
    alerts::show(&mut page, &parts, now, with_forms);
    silences::show(&mut page, &parts, now, with_forms);
    targets(&mut page, &states, now);
    containers(&mut page, &parts, now);
    money(&mut page, &parts, now);
    page.push_str("<h2>For machines</h2><p><a href=metrics>/metrics</a> · <a href=health>/health</a> · <a href=v1/usage>/v1/usage</a> · <a href=v1/events>/v1/events</a></p></html>\n");
    (HEADERS, Html(page)).into_response()
}

fn targets(page: &mut String, states: &[(std::sync::Arc<str>, State)], now: Millis) {
    page.push_str(
        "<h2>Targets</h2><table><tr><th>Target<th>State<th>Since<th class=number>Look<th class=number>Samples",
    );
    for (name, state) in states {
        let class = if state.healthy { "ok" } else { "bad" };
        let since = state.since.map_or_else(String::new, |since| ago(now, since));
        let _ = write!(
            page,
            "<tr><td>{}<td class={class}>{}<td>{since}<td class=number>{:.1} ms<td class=number>{}",
            escape(name),
            escape(&state.verdict()),
            state.took.as_secs_f64() * 1e3,
            state.samples,
        );
    }
    page.push_str("</table>");
}

/// What happened to containers last, and what is wrong with the labels of those that ask to be watched.
fn containers(page: &mut String, parts: &Parts, now: Millis) {
    let (events, complaints) = (parts.happenings.events(), parts.happenings.complaints());
    if events.is_empty() && complaints.is_empty() {
        return;
    }
    page.push_str("<h2>Containers</h2>");
    for complaint in complaints {
        let _ = write!(page, "<p class=bad>{}", escape(&complaint.to_string()));
    }
    page.push_str("<table><tr><th>Ago<th>Container<th>What<th>Image");
    for (_, event) in events.iter().take(SHOWN_EVENTS) {
        let bad =
            matches!(event.action, Action::Oom | Action::Unhealthy) || event.exit_code.is_some_and(|code| code != 0);
        let exit = event.exit_code.map_or_else(String::new, |code| format!(", exit code {code}"));
        let detail = event.detail.as_ref().map_or_else(String::new, |detail| format!(", {detail}"));
        let _ = write!(
            page,
            "<tr><td>{}<td>{}<td class={}>{}{exit}{}<td>{}",
            ago(now, event.at),
            escape(&event.subject.name),
            if bad { "bad" } else { "plain" },
            escape(event.action.as_str()),
            escape(&detail),
            escape(&event.subject.image),
        );
    }
    page.push_str("</table>");
}

fn money(page: &mut String, parts: &Parts, now: Millis) {
    page.push_str("<h2>Budgets</h2><table><tr><th>Figure<th>Budget<th class=number>Value");
    for block in parts.meter.budget_blocks(now) {
        for point in &block.points {
            let budget = point.labels.get("budget").unwrap_or_default();
            let _ = write!(
                page,
                "<tr><td>{}<td>{}<td class=number>{:.4}",
                escape(&block.family.name),
                escape(budget),
                point.value
            );
        }
    }
    page.push_str("</table>");
}

pub(super) fn ago(now: Millis, then: Millis) -> String {
    render_duration(std::time::Duration::from_secs(now.since(then).as_secs()))
}

pub(super) fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;").replace('\'', "&#39;")
}
