//! Reads conditions on labels, in the present form and Alertmanager's older ones, and the inhibition rules made of them.

use crate::model::{Place, Problems};
use crate::yaml::{Fields, Node};

use super::super::inhibit::InhibitRule;
use super::super::matcher::{Matcher, Operator};

/// The keys of the three forms: matchers, a mapping of values, a mapping of regular expressions.
pub(super) struct Keys {
    pub(super) matchers: &'static str,
    pub(super) equal: &'static str,
    pub(super) regex: &'static str,
}

/// Reads the three forms; what they say holds together.
pub(super) fn read(fields: &mut Fields<'_>, keys: &Keys) -> Vec<Matcher> {
    let problems = fields.problems();
    let mut all = Vec::new();
    for (name, value, at) in fields.text_map(keys.equal) {
        all.extend(made(Matcher::new(name, Operator::Equal, value), problems, at));
    }
    for (name, value, at) in fields.text_map(keys.regex) {
        let plain = Matcher::new(name.clone(), Operator::Regex, value.clone());
        // Alertmanager keeps patterns of this form anchored, and so they are in the keys of routes.
        let anchored = plain.and_then(|_| Matcher::new(name, Operator::Regex, format!("^(?:{value})$")));
        all.extend(made(anchored, problems, at));
    }
    for node in fields.list(keys.matchers) {
        let way_out = "write it as label=\"value\", with =, !=, =~ or !~";
        match node.text().map(Matcher::parse_list) {
            Some(Ok(read)) => all.extend(read),
            Some(Err(complaint)) => problems.add(&node.at, complaint, way_out),
            None => problems.add(&node.at, format!("a matcher is {}", node.kind()), way_out),
        }
    }
    all
}

fn made(matcher: Result<Matcher, String>, problems: &Problems, at: &Place) -> Option<Matcher> {
    matcher.map_err(|complaint| problems.add(at, complaint, "")).ok()
}

/// Reads `inhibit_rules`.
pub(super) fn read_inhibit_rules(fields: &mut Fields<'_>) -> Vec<InhibitRule> {
    let problems = fields.problems();
    let one = |node: &Node| {
        let mut rule = Fields::of(node, "an inhibition rule", problems)?;
        // A name is only for people who read the file.
        rule.text("name");
        let keys = Keys { matchers: "source_matchers", equal: "source_match", regex: "source_match_re" };
        let source = read(&mut rule, &keys);
        let keys = Keys { matchers: "target_matchers", equal: "target_match", regex: "target_match_re" };
        let target = read(&mut rule, &keys);
        let equal = rule.texts("equal");
        if equal.iter().any(String::is_empty) {
            rule.wrong("equal", "`equal` names a label without a name", "write label names");
        }
        rule.finish();
        Some(InhibitRule { source, target, equal })
    };
    fields.list("inhibit_rules").iter().filter_map(one).collect()
}
