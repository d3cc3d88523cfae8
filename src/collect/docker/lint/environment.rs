//! A container's environment: which of its variables hold secrets, by name alone.

use super::Advice;

/// Secrets named one by one; of more only the number is told.
const MAX_NAMED: usize = 16;

/// How a variable's name ends that holds a secret.
const SECRET: [&str; 9] =
    ["PASSWORD", "PASSWD", "_PASS", "SECRET", "TOKEN", "APIKEY", "_KEY", "CREDENTIALS", "CONNECTION_STRING"];
/// Names that end so and hold none: a public key in base images, settings about passwords, keys of tables, tokens of a model.
const PUBLIC: [&str; 12] = [
    "GPG_KEY",
    "PUBLIC_KEY",
    "PUBLISHABLE_KEY",
    "EMPTY_PASSWORD",
    "CACHE_KEY",
    "PARTITION_KEY",
    "PRIMARY_KEY",
    "SORT_KEY",
    "ROUTING_KEY",
    "EOS_TOKEN",
    "BOS_TOKEN",
    "STOP_TOKEN",
];

/// The variables in the order in which the container has them.
pub(super) struct Environment<'e>(Vec<(&'e str, &'e str)>);

impl<'e> Environment<'e> {
    /// From `NAME=value` texts.
    pub(super) fn of(variables: &'e [String]) -> Self {
        Self(variables.iter().filter_map(|variable| variable.split_once('=')).collect())
    }

    /// Names and values.
    pub(super) fn pairs(&self) -> impl Iterator<Item = (&'e str, &'e str)> {
        self.0.iter().copied()
    }

    /// The secrets that stand here in plain text. Their values are looked at, and never handed on.
    pub(super) fn advise(&self) -> Vec<Advice> {
        let secrets: Vec<_> = self.pairs().filter(|(name, value)| is_secret(name, value)).collect();
        let advice = "a secret in the environment is shown by docker inspect and to each child process: hand it over as a file \
                      (secrets:, and NAME_FILE where the program reads that)";
        let named =
            secrets.iter().take(MAX_NAMED).map(|(name, _)| Advice::new(&format!("environment {name}"), "", advice));
        let more = secrets.len().saturating_sub(MAX_NAMED);
        let more = (more > 0)
            .then(|| Advice::new("environment", "", format!("{more} more variables hold secrets, as those named")));
        named.chain(more).collect()
    }
}

fn is_secret(name: &str, value: &str) -> bool {
    let value = value.trim();
    let says_nothing = ["", "true", "false", "yes", "no", "on", "off", "none", "null", "0", "1"]
        .iter()
        .any(|word| value.eq_ignore_ascii_case(word));
    // The path of a mounted secret is none itself.
    if says_nothing || value.starts_with('/') {
        return false;
    }
    let name = name.to_ascii_uppercase();
    let by_name = SECRET.iter().any(|end| name.ends_with(end)) && !PUBLIC.iter().any(|end| name.ends_with(end));
    by_name || has_password(value)
}

/// A URL with a user's password, or a text of pairs with one: `host=db password=…`, `jdbc:postgresql://db/shop?user=shop&password=…`.
fn has_password(value: &str) -> bool {
    let in_url = || url::Url::parse(value).is_ok_and(|url| url.password().is_some_and(|word| !word.is_empty()));
    let pairs = value.split([' ', '?', '&', ';']).filter_map(|pair| pair.split_once('='));
    let mut passwords = pairs.filter(|(key, _)| ["password", "pwd"].iter().any(|word| key.eq_ignore_ascii_case(word)));
    (value.contains("://") && in_url()) || passwords.any(|(_, word)| !word.is_empty())
}
