//! The section `targets:`: the keys that every kind shares; the rest is the kind's own.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use crate::collect::{Kind, Target, llm};
use crate::model::{Labels, Place, Problems, is_valid_label_name};
use crate::yaml::{Fields, Node};

use super::Global;

/// Names are shown everywhere; longer ones are a mistake.
const MAX_NAME: usize = 128;

/// Reads the whole list; targets with problems are left out, the problems tell why.
pub fn read(nodes: &[Node], global: &Global, problems: &Problems) -> Vec<Target> {
    let mut targets = Vec::new();
    let mut names: HashMap<Arc<str>, &Place> = HashMap::new();
    let mut identities: HashMap<(String, String), Arc<str>> = HashMap::new();
    for node in nodes {
        let Some(target) = read_one(node, global, problems) else { continue };
        if let Some(first) = names.insert(Arc::clone(&target.name), &node.at) {
            let way_out = format!("rename one; the other is on line {}", first.line);
            problems.add(&node.at, format!("two targets are called `{}`", target.name), way_out);
            continue;
        }
        let label = |name| target.labels.get(name).unwrap_or_default().to_owned();
        let identity = (label("job"), label("instance"));
        if let Some(other) = identities.insert(identity.clone(), Arc::clone(&target.name)) {
            let what = format!(
                "`{}` and `{other}` both have job=\"{}\" and instance=\"{}\", so their series would be one",
                target.name, identity.0, identity.1
            );
            problems.add(&node.at, what, "give one of them its own `instance` or `job`");
            continue;
        }
        targets.push(target);
    }
    targets
}

/// Reads one; what is wrong with it goes to the problems.
pub(super) fn read_one(node: &Node, global: &Global, problems: &Problems) -> Option<Target> {
    let mut fields = Fields::of(node, "a target", problems)?;
    let before = problems.len();
    let name = fields.required("name");
    if name.as_ref().is_some_and(|name| name.is_empty() || name.len() > MAX_NAME || name.contains(char::is_control)) {
        fields.wrong("name", "this name is empty or too long", format!("write 1 to {MAX_NAME} characters"));
    }
    let url = fields.text("url");
    let word = fields.text("kind");
    let (interval, timeout) = read_times(&mut fields, word.as_deref(), global);
    let labels = read_labels(&mut fields);
    let job = fields.text("job");
    let instance = fields.text("instance");
    let kind = read_kind(word, url.as_deref(), &mut fields);
    fields.finish();
    // A kind's reader may note a problem and still give settings: one problem is enough to leave the target out.
    let (name, kind) = (name?, kind?);
    if problems.len() > before {
        return None;
    }
    let job = job.unwrap_or_else(|| kind.job(&name).to_owned());
    let instance = instance.unwrap_or_else(|| kind.instance());
    let labels = labels.with("job", job).with("instance", instance);
    Some(Target { name: name.into(), interval, timeout, labels, kind })
}

fn read_times(fields: &mut Fields<'_>, kind: Option<&str>, global: &Global) -> (Duration, Duration) {
    let own = fields.duration("interval");
    // A provider is asked less often than our own parts: it limits requests.
    let usual = if kind == Some("llm") { global.scrape_interval.max(llm::INTERVAL) } else { global.scrape_interval };
    let interval = own.unwrap_or(usual);
    let own = fields.duration("timeout");
    let timeout = own.unwrap_or_else(|| global.scrape_timeout.min(interval));
    super::check_times(fields, ("interval", interval), ("timeout", timeout));
    (interval, timeout)
}

fn read_labels(fields: &mut Fields<'_>) -> Labels {
    let pairs = fields.text_map("labels");
    for (name, _, at) in &pairs {
        if !is_valid_label_name(name) || name.starts_with("__") || matches!(name.as_str(), "job" | "instance") {
            let what = format!("`{name}` cannot be a target's label");
            let way_out = "use letters, digits and underscores; job and instance are keys of the target itself";
            fields.problems().add(at, what, way_out);
        }
    }
    Labels::new(pairs.into_iter().map(|(name, value, _)| (name, value)))
}

fn read_kind(word: Option<String>, url: Option<&str>, fields: &mut Fields<'_>) -> Option<Kind> {
    let scheme = url.and_then(|url| url.split_once("://")).map(|(scheme, _)| scheme);
    let word = match (word, scheme) {
        (Some(word), _) => word,
        (None, Some(scheme)) => {
            let Some(word) = Kind::of_scheme(scheme) else {
                let what = format!("the scheme `{scheme}://` does not say what the target is");
                // SQLAlchemy's URLs name the driver too: postgresql+asyncpg://
                let way_out = match scheme.split_once('+').and_then(|(base, _)| Kind::of_scheme(base).map(|_| base)) {
                    Some(base) => format!("write {base}://"),
                    None => "add `kind:`, or use http, https, tcp, tls, dns, postgres or redis".into(),
                };
                fields.wrong("url", what, way_out);
                return None;
            };
            word.to_owned()
        }
        // A variable that is not set leaves nothing, and was complained about already.
        (None, None) if url == Some("") && !fields.problems().is_empty() => return None,
        (None, None) if url.is_some() => {
            fields.wrong("url", "this is no URL: it has no scheme", "write http://…, postgres://…, redis://…");
            return None;
        }
        (None, None) => {
            fields.wrong("url", "a target has neither `url` nor `kind`", "add `url: http://…`");
            return None;
        }
    };
    if url.is_none() && Kind::needs_url(&word) {
        fields.wrong("url", format!("a target of kind {word} has no `url`"), "add `url: …`");
        return None;
    }
    Kind::read(&word, url.unwrap_or_default(), fields)
}
