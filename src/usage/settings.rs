//! The configuration's `llm:` section.

use std::collections::HashSet;
use std::path::{Path, PathBuf};

use jiff::tz::TimeZone;

use super::budget::{Budget, Period};
use super::ledger::Filter;
use super::money::Usd;
use super::price::{self, PriceTable};
use crate::model::{Place, Problems};
use crate::yaml::{Fields, Node};

/// What the `llm:` section says.
#[derive(Debug, Clone, PartialEq)]
pub struct Settings {
    /// The built-in prices with the user's files over them.
    pub prices: PriceTable,
    /// The budgets; the usual one when none is configured.
    pub budgets: Vec<Budget>,
}

impl Default for Settings {
    fn default() -> Self {
        Self { prices: PriceTable::built_in(), budgets: vec![Budget::usual()] }
    }
}

impl Settings {
    /// Reads the section. Price files are looked for beside the configuration, in `folder`; they are read here, so that
    /// their mistakes are told with the others. The caller calls [`Fields::finish`].
    pub fn read(fields: &mut Fields<'_>, folder: &Path) -> Self {
        for key in ["gateway", "otlp", "streams"] {
            fields.not_built(key);
        }
        read_ledger(fields);
        let problems = fields.problems();
        let files: Vec<(PathBuf, &Place)> =
            fields.list("prices").iter().filter_map(|node| file(node, folder, problems)).collect();
        let prices = price::load(files.iter().map(|(path, at)| (path.as_path(), *at)), problems);
        let budgets = if fields.has("budgets") { read_budgets(fields) } else { vec![Budget::usual()] };
        Self { prices, budgets }
    }
}

fn file<'n>(node: &'n Node, folder: &Path, problems: &Problems) -> Option<(PathBuf, &'n Place)> {
    let Some(text) = node.text() else {
        problems.add(&node.at, format!("a price file is {}", node.kind()), "write its path");
        return None;
    };
    Some((folder.join(text), &node.at))
}

fn read_ledger(fields: &mut Fields<'_>) {
    let Some(ledger) = fields.text("ledger") else { return };
    // The URL holds a password; it is not repeated.
    let what = if ledger.starts_with("postgres://") || ledger.starts_with("postgresql://") {
        "a ledger in Postgres is not built yet"
    } else {
        "`ledger` takes a postgres:// URL, which is not built yet"
    };
    fields.wrong("ledger", what, "remove it: the ledger is then SQLite under storage.path");
}

fn read_budgets(fields: &mut Fields<'_>) -> Vec<Budget> {
    let problems = fields.problems();
    let mut names = HashSet::new();
    let mut budgets = Vec::new();
    for node in fields.list("budgets") {
        let Some(mut fields) = Fields::of(node, "a budget", problems) else { continue };
        let budget = read_budget(&mut fields);
        fields.finish();
        let Some(budget) = budget else { continue };
        if names.insert(budget.name.clone()) {
            budgets.push(budget);
        } else {
            problems.add(&node.at, format!("a second budget is called `{}`", budget.name), "give each its own name");
        }
    }
    budgets
}

fn read_budget(fields: &mut Fields<'_>) -> Option<Budget> {
    let name = fields.required("name");
    let filter = fields.section("match").map(read_filter).unwrap_or_default();
    let period = fields.parsed("period", Period::parse).unwrap_or(Period::Daily);
    let zone = fields.parsed("timezone", read_zone).unwrap_or(TimeZone::UTC);
    let limit = fields.parsed("limit_usd", |text| match Usd::parse(text)? {
        Usd::ZERO => Err("a limit of 0 leaves nothing to spend: write more".into()),
        limit => Ok(limit),
    });
    if !fields.has("limit_usd") {
        fields.wrong("limit_usd", "a budget has no `limit_usd`", "add `limit_usd: 100`");
    }
    if fields.bool("enforce") == Some(true) {
        fields.wrong(
            "enforce",
            "`enforce: true` is not built yet",
            "write `enforce: false`; rules can alert on the budget",
        );
    }
    Some(Budget { name: name?, filter, period, zone, limit: limit? })
}

fn read_filter(mut fields: Fields<'_>) -> Filter {
    let filter = Filter {
        provider: fields.text("provider"),
        model: fields.text("model"),
        feature: fields.text("feature"),
        team: fields.text("team"),
    };
    fields.finish();
    filter
}

fn read_zone(text: &str) -> Result<TimeZone, String> {
    if text == "UTC" {
        return Ok(TimeZone::UTC);
    }
    TimeZone::get(text)
        .map_err(|_| format!("`{text}` is not a time zone known here: write one such as Europe/Berlin, or UTC"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> (Settings, Vec<String>) {
        let problems = Problems::new();
        let node = crate::yaml::parse(text, "f.yml").unwrap();
        let mut fields = Fields::of(&node, "`llm`", &problems).unwrap();
        let settings = Settings::read(&mut fields, Path::new("/nowhere"));
        fields.finish();
        (settings, problems.into_sorted().iter().map(ToString::to_string).collect())
    }

    #[test]
    fn without_anything_there_is_the_usual_budget() {
        let (settings, said) = read("");
        assert_eq!(said, [""; 0]);
        assert_eq!(settings, Settings::default());
        assert_eq!(settings.budgets[0].limit.to_string(), "100");
    }

    #[test]
    fn budgets_are_read() {
        let (settings, said) = read(
            "budgets: [{name: a, match: {provider: openai}, period: weekly, timezone: UTC, limit_usd: 2.5, enforce: false}]",
        );
        assert_eq!(said, [""; 0]);
        let budget = &settings.budgets[0];
        assert_eq!((budget.period, budget.limit.to_string()), (Period::Weekly, "2.5".into()));
        assert_eq!(budget.filter.provider.as_deref(), Some("openai"));
    }

    #[test]
    fn what_is_not_built_says_so_and_no_secret_is_repeated() {
        let (_, said) = read(
            "gateway: {}\nledger: postgres://u:hunter2@db/x\nprices: [gone.yml]\nbudgets:\n- {name: a, limit_usd: 1, enforce: true}\n- {name: a, limit_usd: 1}\n",
        );
        assert_eq!(
            said,
            [
                "f.yml:1:1: `gateway` is not built yet; remove it",
                "f.yml:2:9: a ledger in Postgres is not built yet; remove it: the ledger is then SQLite under storage.path",
                "f.yml:3:10: cannot read the price file /nowhere/gone.yml: No such file or directory (os error 2); check the path and its rights",
                "f.yml:5:36: `enforce: true` is not built yet; write `enforce: false`; rules can alert on the budget",
                "f.yml:6:3: a second budget is called `a`; give each its own name",
            ]
        );
    }
}
