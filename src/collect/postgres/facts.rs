//! What is asked right after login, since it decides what else can be asked.

use std::sync::Arc;

use super::rows::{Columns, Table};

/// The server as a role sees it from one database.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Facts {
    /// `server_version_num` (170000 is 17).
    pub version: u32,
    /// Whether the role sees what the sessions of other roles do, as members of `pg_monitor` do.
    pub sees_others: bool,
    /// When the server started and read its configuration, as it says it: answers from before are of another server, or of
    /// other settings.
    pub started: Box<str>,
    /// What is installed in the session's database.
    pub extensions: Vec<Extension>,
}

/// An installed extension.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Extension {
    /// Its name.
    pub name: Box<str>,
    /// Its version: major, minor.
    pub version: (u32, u32),
    /// The schema with its functions and views.
    schema: Box<str>,
}

impl Facts {
    /// What the views themselves check is `pg_read_all_stats`, which `pg_monitor` includes.
    pub const SQL: &str = "SELECT current_setting('server_version_num') AS version, \
        pg_has_role('pg_read_all_stats', 'USAGE') AS sees_others, concat_ws(' ', pg_postmaster_start_time(), pg_conf_load_time()) AS started, \
        inet_client_port() AS client_port, host(inet_client_addr()) AS client_address, (SELECT string_agg(concat_ws(' ', extname, extversion, nspname), E'\\n' ORDER BY extname) \
        FROM pg_extension JOIN pg_namespace n ON n.oid = extnamespace WHERE position(E'\\n' IN nspname) = 0) AS extensions";

    /// The columns of the answer, when it is an arm of a joined statement.
    pub fn columns() -> Arc<Columns> {
        Table::named(["version", "sees_others", "started", "client_port", "client_address", "extensions"].into_iter())
            .columns()
    }

    /// Reads the answer. What it does not say is not assumed.
    pub fn read(table: &Table) -> Self {
        let Some(row) = table.first() else { return Self::default() };
        Self {
            version: row.text("version").and_then(|text| text.parse().ok()).unwrap_or_default(),
            sees_others: row.text("sees_others") == Some("t"),
            started: row.label("started").into(),
            extensions: Extension::read_all(row.label("extensions")),
        }
    }

    /// An extension, if it is installed.
    pub fn extension(&self, name: &str) -> Option<&Extension> {
        self.extensions.iter().find(|extension| &*extension.name == name)
    }
}

impl Extension {
    /// A line each: name, version, schema.
    pub fn read_all(lines: &str) -> Vec<Self> {
        lines.lines().filter_map(Self::read).collect()
    }

    fn read(line: &str) -> Option<Self> {
        let mut words = line.splitn(3, ' ');
        let (name, version, schema) = (words.next()?, words.next()?, words.next()?);
        let mut numbers = version.split('.').map(|number| number.parse().unwrap_or_default());
        let version = (numbers.next().unwrap_or_default(), numbers.next().unwrap_or_default());
        Some(Self { name: name.into(), version, schema: schema.into() })
    }

    /// The schema as an identifier in a statement.
    pub fn quoted_schema(&self) -> String {
        format!("\"{}\"", self.schema.replace('"', "\"\""))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn facts_that_are_not_said_are_not_assumed() {
        let facts = |version, sees| Facts::read(&Table::of(&["version", "sees_others"], &[&[version, sees]]));
        let known = |version, sees_others| Facts { version, sees_others, ..Facts::default() };
        assert_eq!(facts("150014", "t"), known(150_014, true));
        assert_eq!(facts("120022", ""), known(120_022, false));
    }

    #[test]
    fn extensions_have_a_version_and_a_schema() {
        let found = Extension::read_all("pg_stat_statements 1.10 public\nvector 0.8.1 my schema\n");
        assert_eq!(found.len(), 2);
        assert_eq!((found[0].version, found[1].version), ((1, 10), (0, 8)));
        assert_eq!(found[1].quoted_schema(), "\"my schema\"");
    }
}
