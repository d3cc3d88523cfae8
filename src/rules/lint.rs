//! What is allowed in a rule file and still likely a mistake.

use super::file::GroupSpec;

/// A rule's name with its labels.
pub type RuleIdentity = (String, Vec<(String, String)>);

/// Names with labels that more than one rule of the file has, each once: they write the same series.
pub fn duplicates(groups: &[GroupSpec]) -> Vec<RuleIdentity> {
    let rules = groups.iter().flat_map(|group| &group.rules);
    let mut all: Vec<RuleIdentity> = rules.map(|rule| (rule.name().to_owned(), rule.labels.clone())).collect();
    all.sort();
    let mut twice: Vec<_> = all.windows(2).filter(|pair| pair[0] == pair[1]).map(|pair| pair[0].clone()).collect();
    twice.dedup();
    twice
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Problems;
    use crate::rules::read_file;

    #[test]
    fn rules_that_write_the_same_series_are_named_once() {
        let text = "groups:\n- name: a\n  rules:\n  - {record: r, expr: x}\n  - {record: r, expr: y}\n  - {record: r, expr: x, labels: {a: b}}\n\
            - name: b\n  rules:\n  - {record: r, expr: z}\n  - {alert: L, expr: z}\n";
        let problems = Problems::new();
        let groups = read_file("r.yml", text, &problems);
        assert!(problems.is_empty());
        assert_eq!(duplicates(&groups), [("r".to_owned(), vec![])]);
    }
}
