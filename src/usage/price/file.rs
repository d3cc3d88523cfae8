//! Price files: `config/prices.yml` and what users put over it.

use std::path::Path;
use std::sync::Arc;

use super::super::money::{Ratio, Usd};
use super::super::tokens::TokenType;
use super::{LongContext, ModelPrice, PriceTable, Provider, Rates, canonical_provider};
use crate::model::{Place, Problems};
use crate::yaml::{Fields, Node, Value};

/// Price files larger than this are refused.
const MAX_FILE: u64 = 16 * 1024 * 1024;

/// The built-in prices with the models of these files over them, later files over earlier ones.
/// Whatever is wrong is noted with its place; `asked_at` is where the file was asked for.
pub fn load<'f>(files: impl IntoIterator<Item = (&'f Path, &'f Place)>, problems: &Problems) -> PriceTable {
    let mut table = PriceTable::built_in();
    for (path, asked_at) in files {
        match read_file(path) {
            Ok(text) => parse(&text, &path.display().to_string(), problems, &mut table),
            Err(what) => problems.add(asked_at, what, "check the path and its rights"),
        }
    }
    table
}

fn read_file(path: &Path) -> Result<String, String> {
    let shown = path.display();
    let size = std::fs::metadata(path).map_err(|error| format!("cannot read the price file {shown}: {error}"))?.len();
    if size > MAX_FILE {
        return Err(format!("the price file {shown} is larger than 16 MiB"));
    }
    std::fs::read_to_string(path).map_err(|error| format!("cannot read the price file {shown}: {error}"))
}

/// Puts a price file's models over a table.
pub fn parse(text: &str, file: &str, problems: &Problems, table: &mut PriceTable) {
    if text.trim_start().starts_with('{') && text.contains("\"input_cost_per_token\"") {
        let at = Place { file: file.into(), line: 1, column: 1 };
        problems.add(&at, "LiteLLM's price file is not built yet", "write the models in the form of config/prices.yml");
        return;
    }
    match crate::yaml::parse(text, file) {
        Ok(node) => read(&node, problems, table),
        Err(problem) => problems.add(&problem.at, problem.what, problem.way_out),
    }
}

/// Reads a parsed price file over a table.
pub(super) fn read(node: &Node, problems: &Problems, table: &mut PriceTable) {
    let Some(mut fields) = Fields::of(node, "a price file", problems) else { return };
    if let Some(as_of) = fields.text("as_of") {
        table.as_of = as_of;
    }
    fields.text("source");
    for (name, _, node) in entries(fields.take("providers"), "providers", problems) {
        let provider = table.providers.entry(canonical_provider(name).to_owned()).or_default();
        read_provider(name, node, problems, provider);
    }
    fields.finish();
}

fn read_provider(name: &str, node: &Node, problems: &Problems, provider: &mut Provider) {
    let Some(mut fields) = Fields::of(node, format!("the provider {name}"), problems) else { return };
    if let Some(search) = fields.parsed("search", Usd::parse) {
        provider.search = Some(search);
    }
    for (model, _, node) in entries(fields.take("models"), "models", problems) {
        let Some((mut price, aliases)) = read_model(model, node, problems) else { continue };
        price.hour_is_twice_input = canonical_provider(name) == "anthropic" || model.contains("claude");
        let price = Arc::new(price);
        for name in aliases.into_iter().chain([model.clone()]) {
            provider.models.insert(name.to_ascii_lowercase(), Arc::clone(&price));
        }
    }
    fields.finish();
}

fn read_model(model: &str, node: &Node, problems: &Problems) -> Option<(ModelPrice, Vec<String>)> {
    let mut fields = Fields::of(node, format!("the price of {model}"), problems)?;
    let before = problems.len();
    let price = ModelPrice {
        standard: read_rates(&mut fields),
        batch: read_tier(&mut fields, "batch"),
        flex: read_tier(&mut fields, "flex"),
        priority: read_tier(&mut fields, "priority"),
        long_context: fields.section("long_context").and_then(read_long_context),
        multipliers: read_multipliers(&mut fields, problems),
        search: fields.parsed("search", Usd::parse),
        millisecond: fields.parsed("second", per_millisecond),
        hour_is_twice_input: false,
    };
    let aliases = fields.texts("aliases");
    fields.finish();
    // A price with a problem is no price: the model is unpriced rather than priced wrongly.
    (problems.len() == before).then_some((price, aliases))
}

fn read_rates(fields: &mut Fields<'_>) -> Rates {
    let mut rates = Rates::default();
    for kind in TokenType::ALL {
        rates.set(kind, fields.parsed(kind.name(), |text| Usd::parse(text)?.per_million()));
    }
    rates
}

fn read_tier(fields: &mut Fields<'_>, tier: &'static str) -> Rates {
    let Some(mut section) = fields.section(tier) else { return Rates::default() };
    let rates = read_rates(&mut section);
    section.finish();
    rates
}

fn read_long_context(mut fields: Fields<'_>) -> Option<LongContext> {
    let above: Option<u64> = fields.number("above");
    let from: Option<u64> = fields.number("from");
    let rates = read_rates(&mut fields);
    let from = match (above, from) {
        (Some(above), None) => Some(above.saturating_add(1)),
        (None, Some(from)) => Some(from),
        _ => {
            fields.wrong("above", "`long_context` needs one of `above` and `from`", "write `above: 200000`");
            None
        }
    };
    if rates.get(TokenType::Input).is_none() {
        fields.wrong("input", "`long_context` has no `input` rate", "add `input: …`");
    }
    fields.finish();
    Some(LongContext { from: from?, rates })
}

fn read_multipliers(fields: &mut Fields<'_>, problems: &Problems) -> Vec<(String, Ratio)> {
    let read = |(name, text, at): (String, String, &Place)| match Ratio::parse(&text) {
        Ok(ratio) => Some((name, ratio)),
        Err(what) => {
            problems.add(at, what, "");
            None
        }
    };
    fields.text_map("multipliers").into_iter().filter_map(read).collect()
}

fn per_millisecond(text: &str) -> Result<Usd, String> {
    let second = Usd::parse(text)?.pico();
    if second % 1000 == 0 {
        Ok(Usd::from_pico(second / 1000))
    } else {
        Err(format!("`{text}` per second has more than nine decimals"))
    }
}

/// The entries of a mapping whose keys are names.
fn entries<'n>(node: Option<&'n Node>, key: &str, problems: &Problems) -> &'n [(String, Place, Node)] {
    match node.map(|node| (&node.value, &node.at)) {
        Some((Value::Map(entries), _)) => entries,
        None => &[],
        Some((_, at)) => {
            problems.add(at, format!("`{key}` is not a mapping"), format!("write `{key}: {{name: …}}`"));
            &[]
        }
    }
}
