//! `sidewatch silence`: sets, changes, ends and lists the silences of a running agent, or of any Alertmanager, as `amtool` does.

mod client;
mod table;

use std::io::Read as _;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use clap::{Args, Subcommand, ValueEnum};
use serde_json::{Value, json};

use crate::model::{Millis, parse_duration};
use crate::notify::matcher::Matcher;

use super::{complain, health, say};

use client::Client;

/// What is done with silences.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Set a silence and print its ID.
    Add(Add),
    /// List silences.
    #[command(visible_alias = "list")]
    Query(Query),
    /// End silences now.
    Expire {
        /// Their IDs.
        #[arg(required = true)]
        ids: Vec<String>,
        #[command(flatten)]
        server: Server,
    },
    /// Change silences.
    Update(Update),
    /// Set silences that `query -o json` has printed, here or of an Alertmanager.
    Import {
        /// The file; without one, standard input.
        file: Option<PathBuf>,
        /// Make new ones, whatever their IDs.
        #[arg(short, long)]
        force: bool,
        #[command(flatten)]
        server: Server,
    },
}

/// Who is asked.
#[derive(Debug, Args)]
pub struct Server {
    /// The agent's address; default: the configured port on this machine.
    #[arg(long, visible_alias = "alertmanager.url")]
    url: Option<String>,
}

/// A new silence.
#[derive(Debug, Args)]
pub struct Add {
    /// What is silenced: `severity=warning`, `instance=~"a|b"`; a first one without an operator is an alert's name.
    #[arg(required = true)]
    matchers: Vec<String>,
    /// Who wants it; default: the user's name.
    #[arg(short, long)]
    author: Option<String>,
    /// Why.
    #[arg(short, long)]
    comment: String,
    /// For how long.
    #[arg(short, long, default_value = "1h", value_parser = parse_duration)]
    duration: Duration,
    /// From when on; default: now.
    #[arg(long, value_parser = moment)]
    start: Option<Millis>,
    /// Until when, instead of --duration.
    #[arg(long, value_parser = moment)]
    end: Option<Millis>,
    /// A note of the form NAME=TEXT.
    #[arg(long = "annotation", value_parser = pair)]
    annotations: Vec<(String, String)>,
    #[command(flatten)]
    server: Server,
}

/// Which silences are listed, and how.
#[derive(Debug, Args)]
pub struct Query {
    /// Only those with these matchers.
    matchers: Vec<String>,
    /// Only those that have ended.
    #[arg(long)]
    expired: bool,
    /// Print their IDs alone.
    #[arg(short, long)]
    quiet: bool,
    /// Only those that end, or with --expired have ended, within this time.
    #[arg(long, value_parser = parse_duration)]
    within: Option<Duration>,
    /// Only those of this author.
    #[arg(long)]
    created_by: Option<String>,
    /// Only the one with this ID.
    #[arg(long)]
    id: Option<String>,
    /// How they are printed.
    #[arg(short, long, visible_alias = "format", value_enum, default_value_t = Output::Simple)]
    output: Output,
    #[command(flatten)]
    server: Server,
}

/// What is changed. What is not given stays.
#[derive(Debug, Args)]
pub struct Update {
    /// Their IDs.
    #[arg(required = true)]
    ids: Vec<String>,
    /// For how long, from their start.
    #[arg(short, long, value_parser = parse_duration)]
    duration: Option<Duration>,
    /// From when on.
    #[arg(long, value_parser = moment)]
    start: Option<Millis>,
    /// Until when, instead of --duration.
    #[arg(long, value_parser = moment)]
    end: Option<Millis>,
    /// Why.
    #[arg(short, long)]
    comment: Option<String>,
    /// Print their IDs alone.
    #[arg(short, long)]
    quiet: bool,
    /// How they are printed.
    #[arg(short, long, visible_alias = "format", value_enum, default_value_t = Output::Simple)]
    output: Output,
    #[command(flatten)]
    server: Server,
}

/// How silences are printed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Output {
    /// A table of what matters most.
    #[value(alias = "table")]
    Simple,
    /// A table of everything.
    Extended,
    /// As the server sends them.
    Json,
}

/// A time as RFC 3339 writes it.
fn moment(text: &str) -> Result<Millis, String> {
    let at: Result<jiff::Timestamp, _> = text.parse();
    at.map(|at| Millis(at.as_millisecond())).map_err(|_| "write a time such as 2026-01-31T12:00:00Z".into())
}

fn pair(text: &str) -> Result<(String, String), String> {
    let pair = text.split_once('=').map(|(name, text)| (name.to_owned(), text.to_owned()));
    pair.ok_or_else(|| "write NAME=TEXT".into())
}

/// Does it; 1 when the server says no.
pub fn run(command: Command) -> ExitCode {
    let done = match command {
        Command::Add(add) => client(&add.server).and_then(|client| self::add(&client, add)),
        Command::Query(query) => client(&query.server).and_then(|client| self::query(&client, &query)),
        Command::Expire { ids, server } => {
            client(&server).and_then(|client| ids.iter().try_for_each(|id| client.expire(id)))
        }
        Command::Update(update) => client(&update.server).and_then(|client| self::update(&client, &update)),
        Command::Import { file, force, server } => {
            client(&server).and_then(|client| import(&client, file.as_deref(), force))
        }
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(why) => {
            complain(why);
            ExitCode::FAILURE
        }
    }
}

fn client(server: &Server) -> Result<Client, String> {
    Client::new(&server.url.clone().unwrap_or_else(health::own_address))
}

/// The matchers of a command line; a first word without an operator is an alert's name, as in `amtool`.
fn read_matchers(texts: &[String]) -> Result<Vec<Matcher>, String> {
    let mut matchers = Vec::new();
    for (at, text) in texts.iter().enumerate() {
        match Matcher::parse_list(text) {
            Ok(read) => matchers.extend(read),
            Err(_) if at == 0 && !text.contains(['=', '~', '{', '}']) => {
                let name = format!("alertname={}", Value::from(text.as_str()));
                matchers.push(Matcher::parse(&name)?);
            }
            Err(why) => return Err(why),
        }
    }
    Ok(matchers)
}

fn add(client: &Client, add: Add) -> Result<(), String> {
    let start = add.start.unwrap_or_else(Millis::now);
    let end = add.end.unwrap_or(start + add.duration);
    let author = add.author.or_else(|| std::env::var("USER").ok()).unwrap_or_default();
    let matchers: Vec<_> = read_matchers(&add.matchers)?.iter().map(matcher_json).collect();
    let mut silence = json!({
        "matchers": matchers,
        "startsAt": start.to_rfc3339(),
        "endsAt": end.to_rfc3339(),
        "createdBy": author,
        "comment": add.comment,
    });
    for (name, text) in add.annotations {
        silence["annotations"][name] = text.into();
    }
    say(client.set(&silence)?);
    Ok(())
}

fn matcher_json(matcher: &Matcher) -> Value {
    let operator = matcher.operator();
    json!({
        "name": matcher.name(), "value": matcher.value(),
        "isRegex": operator.is_regex(), "isEqual": operator.is_equal(),
    })
}

fn query(client: &Client, query: &Query) -> Result<(), String> {
    let matchers = read_matchers(&query.matchers)?;
    let (mut silences, now) = (client.silences(&matchers)?, Millis::now());
    silences.retain(|silence| {
        let is_expired = silence["status"]["state"] == "expired";
        let end = time(silence, "endsAt");
        let within = |limit: Duration| if query.expired { end > now - limit } else { end < now + limit };
        is_expired == query.expired
            && query.within.is_none_or(within)
            && query.created_by.as_ref().is_none_or(|author| silence["createdBy"] == author.as_str())
            && query.id.as_ref().is_none_or(|id| silence["id"] == id.as_str())
    });
    print(&silences, query.output, query.quiet);
    Ok(())
}

fn update(client: &Client, update: &Update) -> Result<(), String> {
    let mut changed = Vec::new();
    for id in &update.ids {
        let mut silence = client.silence(id)?;
        let start = update.start.unwrap_or_else(|| time(&silence, "startsAt"));
        if update.start.is_some() {
            silence["startsAt"] = start.to_rfc3339().into();
        }
        if let Some(end) = update.end.or(update.duration.map(|duration| start + duration)) {
            silence["endsAt"] = end.to_rfc3339().into();
        }
        if let Some(comment) = &update.comment {
            silence["comment"] = comment.as_str().into();
        }
        changed.push(client.silence(&client.set(&silence)?)?);
    }
    print(&changed, update.output, update.quiet);
    Ok(())
}

fn import(client: &Client, file: Option<&std::path::Path>, force: bool) -> Result<(), String> {
    let mut text = String::new();
    let read = match file {
        Some(path) => std::fs::read_to_string(path).map(|read| text = read),
        None => std::io::stdin().read_to_string(&mut text).map(drop),
    };
    read.map_err(|error| format!("cannot read the silences: {error}"))?;
    let silences: Vec<Value> =
        serde_json::from_str(&text).map_err(|error| format!("this is no list of silences in JSON: {error}"))?;
    let mut failed = 0;
    for mut silence in silences.iter().cloned() {
        if force {
            silence["id"] = "".into();
        }
        // One that is not there is made anew, as `amtool` does.
        let set = client.set(&silence).or_else(|why| {
            if !why.contains("silence not found") {
                return Err(why);
            }
            silence["id"] = "".into();
            client.set(&silence)
        });
        match set {
            Ok(id) => say(id),
            Err(why) => {
                complain(format_args!("silence {}: {why}", silence["id"]));
                failed += 1;
            }
        }
    }
    if failed == 0 { Ok(()) } else { Err(format!("couldn't import {failed} out of {} silences", silences.len())) }
}

fn print(silences: &[Value], output: Output, quiet: bool) {
    if quiet {
        for silence in silences {
            say(silence["id"].as_str().unwrap_or_default());
        }
        return;
    }
    match output {
        Output::Simple => say(table::simple(silences).trim_end_matches('\n')),
        Output::Extended => say(table::extended(silences).trim_end_matches('\n')),
        Output::Json => say(Value::from(silences.to_vec())),
    }
}

/// A time of a silence; the epoch when there is none.
fn time(silence: &Value, key: &str) -> Millis {
    silence[key].as_str().and_then(|text| moment(text).ok()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(texts: &[&str]) -> Result<String, String> {
        let texts: Vec<_> = texts.iter().map(|text| (*text).to_owned()).collect();
        Ok(read_matchers(&texts)?.iter().map(ToString::to_string).collect::<Vec<_>>().join(" "))
    }

    #[test]
    fn a_first_word_is_an_alerts_name() {
        assert_eq!(read(&["PgDown", "db=~a|b"]).unwrap(), "alertname=\"PgDown\" db=~\"a|b\"");
        assert_eq!(read(&["{db!=\"x\", a=b}"]).unwrap(), "db!=\"x\" a=\"b\"");
        assert!(read(&["db=x", "PgDown"]).is_err());
        assert!(read(&["db=x=~"]).is_ok() && read(&["a=~("]).is_err());
    }
}
