//! `alert_relabel_configs`: Prometheus' rewriting of labels, as far as alerts need it.
//!
//! In: an alert's labels, external ones included. Out: what the Alertmanager shall see; nothing when it shall not hear of it.

use regex::Regex;

use crate::model::Labels;
use crate::yaml::{Fields, Node};

/// Of what replaces something, so much is kept: rules can double a text each.
const LONGEST: usize = 64 << 10;

/// What holds where a rule does not say it.
const SEPARATOR: &str = ";";
const REGEX: &str = "(.*)";
const REPLACEMENT: &str = "$1";

/// One rule.
#[derive(Debug, Clone)]
pub(super) struct Relabel {
    action: Action,
    source_labels: Vec<String>,
    separator: String,
    target_label: String,
    replacement: String,
    regex: Regex,
    /// As it is written; nothing means everything.
    pattern: Option<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Action {
    Replace,
    Keep,
    Drop,
    KeepEqual,
    DropEqual,
    Lowercase,
    Uppercase,
    LabelMap,
    LabelDrop,
    LabelKeep,
}

impl Action {
    fn parse(word: &str) -> Result<Self, String> {
        Ok(match word.to_ascii_lowercase().as_str() {
            "replace" => Self::Replace,
            "keep" => Self::Keep,
            "drop" => Self::Drop,
            "keepequal" => Self::KeepEqual,
            "dropequal" => Self::DropEqual,
            "lowercase" => Self::Lowercase,
            "uppercase" => Self::Uppercase,
            "labelmap" => Self::LabelMap,
            "labeldrop" => Self::LabelDrop,
            "labelkeep" => Self::LabelKeep,
            "hashmod" => return Err("`hashmod` is not built for alerts".into()),
            _ => return Err(format!("`{word}` is no relabelling action")),
        })
    }

    fn name(self) -> String {
        format!("{self:?}").to_lowercase()
    }

    /// Where Prometheus takes but some keys: these, and how it says so.
    fn takes_only(self) -> Option<(&'static [&'static str], &'static str)> {
        match self {
            Self::LabelDrop | Self::LabelKeep => Some((&["regex"], "requires only 'regex', and no other fields")),
            Self::KeepEqual | Self::DropEqual => Some((
                &["source_labels", "target_label"],
                "requires only 'source_labels' and 'target_label', and no other fields",
            )),
            Self::Lowercase | Self::Uppercase => {
                Some((&["source_labels", "target_label", "separator", "regex"], "takes no 'replacement'"))
            }
            _ => None,
        }
    }

    fn needs_target(self) -> bool {
        matches!(self, Self::Replace | Self::KeepEqual | Self::DropEqual | Self::Lowercase | Self::Uppercase)
    }
}

impl PartialEq for Relabel {
    fn eq(&self, other: &Self) -> bool {
        let parts = |of: &Self| {
            let texts = [&of.separator, &of.target_label, &of.replacement].map(Clone::clone);
            (of.action, of.source_labels.clone(), texts, of.pattern.clone())
        };
        parts(self) == parts(other)
    }
}

impl Relabel {
    /// Reads a list of rules.
    pub(super) fn read_all(nodes: &[Node], fields: &Fields<'_>) -> Vec<Self> {
        let read = |node| Self::read(Fields::of(node, "a relabelling rule", fields.problems())?);
        nodes.iter().filter_map(read).collect()
    }

    fn read(mut fields: Fields<'_>) -> Option<Self> {
        let has_action = fields.has("action");
        let action = fields.parsed("action", Action::parse);
        let source_labels = fields.texts("source_labels");
        let separator = fields.text("separator").unwrap_or_else(|| SEPARATOR.into());
        fields.not_built("modulus");
        let pattern = fields.text("regex");
        let target_label = fields.text("target_label").unwrap_or_default();
        let replacement = fields.text("replacement").unwrap_or_else(|| REPLACEMENT.into());
        let regex = Regex::new(&format!("^(?s:{})$", pattern.as_deref().unwrap_or(REGEX))).ok();
        if regex.is_none() {
            fields.wrong("regex", "`regex` is no regular expression", "write one of RE2's");
        }
        let action = if has_action { action } else { Some(Action::Replace) };
        if action.is_some_and(Action::needs_target) && target_label.is_empty() {
            let at = fields.at();
            fields.problems().add(at, "this relabelling action needs a `target_label`", "add `target_label: …`");
        }
        let given = [
            ("source_labels", fields.has("source_labels")),
            ("target_label", !target_label.is_empty()),
            ("separator", separator != SEPARATOR),
            ("regex", pattern.as_deref().is_some_and(|pattern| pattern != REGEX)),
            ("replacement", replacement != REPLACEMENT),
        ];
        if let Some((action, (used, takes))) = action.and_then(|action| Some((action, action.takes_only()?))) {
            for (key, _) in given.iter().filter(|(key, is_given)| *is_given && !used.contains(key)) {
                fields.wrong(key, format!("`{}` {takes}", action.name()), format!("remove `{key}`"));
            }
        }
        fields.finish();
        let (action, regex) = (action?, regex?);
        Some(Self { action, source_labels, separator, target_label, replacement, regex, pattern })
    }

    /// What becomes of the labels.
    fn apply(&self, labels: Labels) -> Option<Labels> {
        let values: Vec<_> = self.source_labels.iter().map(|name| labels.get(name).unwrap_or_default()).collect();
        let value = values.join(&self.separator);
        let target = labels.get(&self.target_label).unwrap_or_default();
        let kept = match self.action {
            Action::Keep => self.regex.is_match(&value),
            Action::Drop => !self.regex.is_match(&value),
            Action::KeepEqual => value == target,
            Action::DropEqual => value != target,
            Action::Lowercase => return Some(set(&labels, &self.target_label, &value.to_lowercase())),
            Action::Uppercase => return Some(set(&labels, &self.target_label, &value.to_uppercase())),
            Action::LabelDrop => return Some(labels.without(|name| self.regex.is_match(name))),
            Action::LabelKeep => return Some(labels.without(|name| !self.regex.is_match(name))),
            Action::LabelMap => {
                let matching = labels.iter().filter(|(name, _)| self.regex.is_match(name));
                let renamed = |(name, value)| (self.regex.replace(name, &self.replacement), value);
                let mapped = matching.map(renamed).fold(labels.clone(), |all, (name, value)| set(&all, &name, value));
                return Some(mapped);
            }
            Action::Replace => return Some(self.replaced(&labels, &value)),
        };
        kept.then_some(labels)
    }

    fn replaced(&self, labels: &Labels, value: &str) -> Labels {
        let Some(found) = self.regex.captures(value) else { return labels.clone() };
        let (mut name, mut text) = (String::new(), String::new());
        found.expand(&self.target_label, &mut name);
        found.expand(&self.replacement, &mut text);
        text.truncate(text.floor_char_boundary(LONGEST));
        set(labels, &name, &text)
    }
}

/// Sets a label; an empty text takes it away. Nothing has an empty name.
fn set(labels: &Labels, name: &str, value: &str) -> Labels {
    if value.is_empty() || name.is_empty() { labels.without(|label| label == name) } else { labels.with(name, value) }
}

/// What the rules make of labels, one after the other; nothing when one of them drops the alert, or no label is left.
pub(super) fn relabel(rules: &[Relabel], labels: &Labels) -> Option<Labels> {
    let labels = rules.iter().try_fold(labels.clone(), |labels, rule| rule.apply(labels))?;
    (!labels.is_empty()).then_some(labels)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Problems;
    use crate::yaml::parse;

    fn read(text: &str) -> (Vec<Relabel>, Vec<String>) {
        let (node, problems) = (parse(&format!("rules: {text}"), "f.yml").unwrap(), Problems::new());
        let mut fields = Fields::of(&node, "the file", &problems).unwrap();
        let rules = Relabel::read_all(fields.list("rules"), &fields);
        (rules, problems.into_sorted().iter().map(ToString::to_string).collect())
    }

    /// The labels `a="1"`, `b="Two"`, `replica="x-0"` by a rule.
    fn by(rule: &str) -> String {
        let (rules, problems) = read(&format!("[{rule}]"));
        assert_eq!(problems, [""; 0], "{rule}");
        let labels = Labels::new([("a", "1"), ("b", "Two"), ("replica", "x-0")]);
        let shown = |labels: Labels| labels.iter().map(|(name, value)| format!("{name}={value}")).collect::<Vec<_>>();
        relabel(&rules, &labels).map_or("dropped".into(), |labels| shown(labels).join(" "))
    }

    #[test]
    fn rules_do_what_prometheus_does() {
        for (rule, makes) in [
            ("{action: labeldrop, regex: 'rep.*'}", "a=1 b=Two"),
            ("{action: labelkeep, regex: 'a|b'}", "a=1 b=Two"),
            ("{action: labelkeep, regex: nothing}", "dropped"),
            ("{action: drop, source_labels: [a, b], regex: '1;T.*'}", "dropped"),
            ("{action: drop, source_labels: [a], regex: '11?1'}", "a=1 b=Two replica=x-0"),
            ("{action: keep, source_labels: [absent], regex: '.+'}", "dropped"),
            ("{action: Keep, source_labels: [b], regex: Two}", "a=1 b=Two replica=x-0"),
            ("{target_label: c, replacement: d}", "a=1 b=Two c=d replica=x-0"),
            ("{target_label: a, replacement: ''}", "b=Two replica=x-0"),
            (
                "{source_labels: [replica], regex: '(.)-(.)', target_label: 'n_$1', replacement: 'p$2'}",
                "a=1 b=Two n_x=p0 replica=x-0",
            ),
            ("{source_labels: [replica], regex: 'y-(.)', target_label: a}", "a=1 b=Two replica=x-0"),
            ("{source_labels: [a, b], separator: '/', target_label: c}", "a=1 b=Two c=1/Two replica=x-0"),
            ("{action: lowercase, source_labels: [b], target_label: b}", "a=1 b=two replica=x-0"),
            ("{action: uppercase, source_labels: [replica], target_label: r}", "a=1 b=Two r=X-0 replica=x-0"),
            ("{action: labelmap, regex: '(re)plica', replacement: 'new_$1'}", "a=1 b=Two new_re=x-0 replica=x-0"),
            ("{action: dropequal, source_labels: [a], target_label: a}", "dropped"),
            ("{action: keepequal, source_labels: [a], target_label: b}", "dropped"),
            ("{action: labeldrop, regex: a}, {action: labeldrop, regex: b}", "replica=x-0"),
        ] {
            assert_eq!(by(rule), makes, "{rule}");
        }
    }

    #[test]
    fn what_no_rule_can_be_is_an_error_with_its_place() {
        let (rules, problems) =
            read("\n- {action: hashmod}\n- {action: replase}\n- {regex: '('}\n- {action: keep, surce_labels: [a]}\n");
        assert_eq!(rules.len(), 1);
        for (rule, says) in [
            (
                "{action: labeldrop, source_labels: [a], regex: b}",
                "f.yml:1:44: `labeldrop` requires only 'regex', and no other fields; remove `source_labels`",
            ),
            (
                "{action: LabelKeep, regex: b, target_label: c}",
                "f.yml:1:53: `labelkeep` requires only 'regex', and no other fields; remove `target_label`",
            ),
            (
                "{action: dropequal, source_labels: [a], target_label: b, regex: c}",
                "f.yml:1:73: `dropequal` requires only 'source_labels' and 'target_label', and no other fields; remove `regex`",
            ),
            (
                "{action: lowercase, source_labels: [a], target_label: b, replacement: c}",
                "f.yml:1:79: `lowercase` takes no 'replacement'; remove `replacement`",
            ),
        ] {
            assert_eq!(read(&format!("[{rule}]")).1, [says], "{rule}");
        }
        // What is written as it is anyway is no other field.
        assert_eq!(read("[{action: labeldrop, regex: b, separator: ';', replacement: '$1'}]").1, [""; 0]);
        insta::assert_snapshot!(problems.join("\n"));
    }
}
