//! What a question to the server is.
//!
//! A new figure is a [`Query`] in a file of its own and a line in the [registry](super::registry); everything else (when
//! it is asked, together with which others, how long it may take, what happens when it cannot be answered) follows from
//! what is said here.

use std::borrow::Cow;

use crate::collect::Look;

use super::facts::{Extension, Facts};
use super::rows::Table;
use super::settings::Settings;

/// One question and what its answer means.
pub struct Query {
    /// As `postgres_exporter` calls the collector, for `pg_scrape_collector_success{collector}`. Several questions may
    /// belong to one collector.
    pub collector: &'static str,
    sql: Sql,
    since: u32,
    extension: Option<(&'static str, (u32, u32))>,
    /// Whether it is about what other roles' sessions do. A role without the right sees them with everything NULL: what
    /// is counted then looks like nobody, so such a question is not asked at all.
    pub about_others: bool,
    /// How often it is asked.
    pub pace: Pace,
    /// Of what it tells.
    pub scope: Scope,
    /// Whether it waits for locks on tables of users; then it is never joined with others, which it could make wait.
    pub locks_tables: bool,
    /// Puts the answer into the look.
    pub read: fn(&Table, &Settings, &mut Look),
}

/// How often a question is asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Pace {
    /// At every look.
    EachLook,
    /// About once a minute: what walks files, costs more than it tells, or hardly changes. Between, the last answer is
    /// shown, never one older than a minute.
    Slow,
    /// About every five minutes: what walks many files, or changes with the server's configuration only, whose reload is
    /// noticed at once ([`Facts`]). Between, the last answer is shown.
    Rare,
}

/// Of what a question tells.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scope {
    /// The whole server: asked once, in any database.
    Server,
    /// The database that the session is in. Also asked, always at the slow pace, in the other databases under
    /// `databases`; so its series must carry `datname`.
    Database,
}

/// The question's text, which may differ from version to version.
enum Sql {
    Same(&'static str),
    /// Each with the first version it is for, in rising order.
    Since(&'static [(u32, &'static str)]),
}

impl Query {
    /// A question that reads alike in all versions, is about the server and asked at every look.
    ///
    /// The text is one `SELECT` without a semicolon. It may be asked as part of a larger statement, so its columns need
    /// names. All values come as text.
    pub const fn new(collector: &'static str, sql: &'static str, read: fn(&Table, &Settings, &mut Look)) -> Self {
        Self::of(collector, Sql::Same(sql), read)
    }

    /// A question with texts by version: each with the first `server_version_num` it is for (170000 is 17), in rising
    /// order. It is not asked of a server older than the first.
    pub const fn by_version(
        collector: &'static str,
        texts: &'static [(u32, &'static str)],
        read: fn(&Table, &Settings, &mut Look),
    ) -> Self {
        Self::of(collector, Sql::Since(texts), read)
    }

    const fn of(collector: &'static str, sql: Sql, read: fn(&Table, &Settings, &mut Look)) -> Self {
        Self {
            collector,
            sql,
            since: 0,
            extension: None,
            about_others: false,
            pace: Pace::EachLook,
            scope: Scope::Server,
            locks_tables: false,
            read,
        }
    }

    /// Only for servers from this version on, as `server_version_num` counts (170000 is 17).
    #[must_use]
    pub const fn since(mut self, version: u32) -> Self {
        self.since = version;
        self
    }

    /// Only where this extension is installed in the session's database, in this version (major, minor) or a later one.
    /// `{schema}` in the text becomes the schema that it is installed in.
    #[must_use]
    pub const fn extension(mut self, name: &'static str, since: (u32, u32)) -> Self {
        self.extension = Some((name, since));
        self
    }

    /// About what other roles' sessions do: only asked by a role that may see it.
    #[must_use]
    pub const fn about_others(mut self) -> Self {
        self.about_others = true;
        self
    }

    /// Asked about once a minute.
    #[must_use]
    pub const fn slow(mut self) -> Self {
        self.pace = Pace::Slow;
        self
    }

    /// Asked about every five minutes.
    #[must_use]
    pub const fn rare(mut self) -> Self {
        self.pace = Pace::Rare;
        self
    }

    /// About the session's own database.
    #[must_use]
    pub const fn per_database(mut self) -> Self {
        self.scope = Scope::Database;
        self
    }

    /// Waits for locks on tables of users.
    #[must_use]
    pub const fn locks_tables(mut self) -> Self {
        self.locks_tables = true;
        self
    }

    /// The text for a server; `None` where there is nothing to ask: another version, or the extension is missing.
    pub fn text(&self, facts: &Facts) -> Option<Cow<'static, str>> {
        if facts.version < self.since {
            return None;
        }
        let text = match &self.sql {
            Sql::Same(text) => *text,
            Sql::Since(texts) => texts.iter().rev().find(|(since, _)| *since <= facts.version)?.1,
        };
        let Some((name, since)) = self.extension else { return Some(text.into()) };
        let installed = facts.extension(name).filter(|installed| installed.version >= since)?;
        Some(text.replace("{schema}", &Extension::quoted_schema(installed)).into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn facts(version: u32, extensions: &str) -> Facts {
        Facts { version, extensions: Extension::read_all(extensions), ..Facts::default() }
    }

    fn text(query: &Query, version: u32) -> Option<String> {
        query.text(&facts(version, "")).map(Cow::into_owned)
    }

    static SINCE: Query = Query::new("x", "SELECT 1", |_, _, _| ()).since(130_000);

    #[test]
    fn a_question_has_the_text_of_the_servers_version() {
        static BY_VERSION: Query =
            Query::by_version("wal", &[(120_000, "SELECT 12"), (170_000, "SELECT 17")], |_, _, _| ());
        for (version, wanted) in [
            (110_022, None),
            (120_000, Some("SELECT 12")),
            (160_004, Some("SELECT 12")),
            (170_000, Some("SELECT 17")),
            (180_001, Some("SELECT 17")),
        ] {
            assert_eq!(text(&BY_VERSION, version).as_deref(), wanted, "{version}");
        }
        let asked: Vec<bool> = [120_000, 130_000, 169_999, 170_000].map(|v| text(&SINCE, v).is_some()).into();
        assert_eq!(asked, [false, true, true, true]);
    }

    #[test]
    fn a_question_about_an_extension_is_asked_where_it_is_installed() {
        static QUERY: Query =
            Query::new("x", "SELECT * FROM {schema}.pg_buffercache_summary()", |_, _, _| ()).extension("cache", (1, 4));
        let ask = |extensions| QUERY.text(&facts(160_000, extensions)).map(Cow::into_owned);
        assert_eq!(ask("plpgsql 1.0 pg_catalog"), None);
        assert_eq!(ask("cache 1.3 public"), None, "too old");
        let wanted = r#"SELECT * FROM "my ""own""".pg_buffercache_summary()"#;
        assert_eq!(ask("plpgsql 1.0 pg_catalog\ncache 1.10 my \"own\"").as_deref(), Some(wanted));
    }
}
