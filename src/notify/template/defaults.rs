//! The texts that messages have where the user gives none, under the names that Alertmanager's have.

use std::sync::LazyLock;

use crate::template::{Set, parse_file};

/// Name and text of each file that is compiled in.
const FILES: [(&str, &str); 2] =
    [("default.tmpl", include_str!("default.tmpl")), ("email.tmpl", include_str!("email.tmpl"))];

/// The default texts.
pub fn set() -> Set {
    static ALL: LazyLock<Set> = LazyLock::new(|| {
        let mut set = Set::default();
        for (file, text) in FILES {
            let tree = parse_file(file, text).expect("a template");
            set.add(file, tree).expect("names of its own");
        }
        set
    });
    ALL.clone()
}

/// Every name.
#[cfg(test)]
pub fn names() -> Vec<String> {
    let named = FILES.iter().flat_map(|(file, text)| parse_file(file, text).expect("a template").defines);
    named.map(|define| define.name.to_string()).collect()
}
