//! Settings that are written the same way for every kind of target: the URL, credentials, TLS.

use hyper::header::{AUTHORIZATION, COOKIE, HeaderMap, HeaderName, HeaderValue};
use url::Url;

use crate::model::Secret;
use crate::runtime::http_client::{basic, bearer, credentials, sensitive};
use crate::runtime::tls::Trust;
use crate::yaml::Fields;

const WAY_OUT: &str = "write http://host:port/path or https://host/path";

/// Reads an `http://` or `https://` URL and complains about any other.
pub fn read_url(url: &str, fields: &Fields<'_>) -> Option<Url> {
    // The text is not repeated: it may hold a password.
    match Url::parse(url) {
        Ok(parsed) if matches!(parsed.scheme(), "http" | "https") && parsed.has_host() => Some(parsed),
        Ok(_) => {
            fields.wrong("url", "this is not an HTTP URL", WAY_OUT);
            None
        }
        Err(error) => {
            fields.wrong("url", format!("this is not a URL: {error}"), WAY_OUT);
            None
        }
    }
}

/// Reads the section `tls`.
pub fn read_trust(fields: &mut Fields<'_>) -> Trust {
    let Some(mut section) = fields.section("tls") else {
        return Trust::default();
    };
    let trust = Trust {
        ca_file: section.text("ca_file"),
        insecure_skip_verify: section.bool("insecure_skip_verify").unwrap_or(false),
        ..Trust::default()
    };
    section.finish();
    trust
}

/// Reads what goes with every request: `headers`, and credentials, which are taken out of the URL. Gives also the secrets in it,
/// which no message may show.
pub fn read_request_headers(url: Option<&mut Url>, fields: &mut Fields<'_>) -> (HeaderMap, Vec<Secret>) {
    let (mut headers, mut secrets) = read_headers(fields);
    if let Some((value, secret)) = read_authorization(url.and_then(credentials), fields) {
        headers.insert(AUTHORIZATION, value);
        secrets.push(secret);
    }
    (headers, secrets)
}

/// Reads credentials: at most one of `basic_auth`, `bearer_token` (or `bearer_token_file`) and the URL's own user.
/// Gives the value of `Authorization`, and the secret in it, which no message may show.
pub fn read_authorization(
    from_url: Option<(String, Secret)>,
    fields: &mut Fields<'_>,
) -> Option<(HeaderValue, Secret)> {
    let in_section = fields.section("basic_auth").map(|mut section| {
        let name = section.required("username").unwrap_or_default();
        let password = section.secret("password", "password_file").unwrap_or_default();
        section.finish();
        (name, password)
    });
    let token = fields.secret("bearer_token", "bearer_token_file");
    let key = match (&in_section, fields.has("bearer_token_file")) {
        (Some(_), _) => "basic_auth",
        (None, true) => "bearer_token_file",
        (None, false) => "bearer_token",
    };
    let given = [from_url.is_some(), in_section.is_some(), token.is_some()];
    if given.iter().filter(|given| **given).count() > 1 {
        let way_out = "keep one of basic_auth, bearer_token and the user in the URL";
        fields.wrong(key, "credentials are given twice", way_out);
        return None;
    }
    let (value, secret) = match (token, from_url.or(in_section)) {
        (Some(token), _) => (bearer(&token), token),
        (None, Some((user, password))) => (basic(&user, &password), password),
        (None, None) => return None,
    };
    let header = sensitive(&value);
    if header.is_none() {
        fields.wrong(key, "the token cannot be sent in a header", "check it for line breaks");
    }
    Some((header?, secret))
}

/// Reads the section `headers`: what the user wants sent, and the secrets in it, which no message may show.
fn read_headers(fields: &mut Fields<'_>) -> (HeaderMap, Vec<Secret>) {
    let (mut headers, mut secrets) = (HeaderMap::new(), Vec::new());
    for (name, text, at) in fields.text_map("headers") {
        let (Ok(header), Ok(mut value)) = (name.parse::<HeaderName>(), HeaderValue::from_str(&text)) else {
            fields.problems().add(
                at,
                format!("`{name}` cannot be sent as a header"),
                "check its name and its characters",
            );
            continue;
        };
        if is_secret(&header) {
            value.set_sensitive(true);
            secrets.push(Secret::new(text));
        }
        headers.append(header, value);
    }
    (headers, secrets)
}

/// A URL's text without user and password, else untouched.
pub fn without_credentials(url: &str) -> String {
    let Some((scheme, rest)) = url.split_once("://") else {
        return url.to_owned();
    };
    let (authority, path) = rest.split_at(rest.find(['/', '?', '#']).unwrap_or(rest.len()));
    let host = authority.rsplit_once('@').map_or(authority, |(_, host)| host);
    match path.split_once('?') {
        None => format!("{scheme}://{host}{path}"),
        Some((path, query)) => {
            let pairs: Vec<_> = query.split('&').map(without_secret).collect();
            format!("{scheme}://{host}{path}?{}", pairs.join("&"))
        }
    }
}

/// `key=value` with stars for the value where the key's name says that it is a secret.
fn without_secret(pair: &str) -> String {
    match pair.split_once('=') {
        Some((name, _)) if sounds_secret(&name.to_ascii_lowercase()) => format!("{name}=***"),
        _ => pair.to_owned(),
    }
}

fn sounds_secret(name: &str) -> bool {
    ["key", "token", "secret", "password", "auth", "signature"].iter().any(|word| name.contains(word))
}

/// Whether a header is one to keep from others: credentials by name.
pub fn is_secret(name: &HeaderName) -> bool {
    *name == AUTHORIZATION || *name == COOKIE || sounds_secret(name.as_str())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Problems;
    use crate::yaml::parse;

    fn authorization(from_url: bool, keys: &str) -> Result<String, String> {
        let node = parse(keys, "f.yml").unwrap();
        let problems = Problems::new();
        let mut fields = Fields::of(&node, "a target", &problems).unwrap();
        let from_url = from_url.then(|| ("me".to_owned(), Secret::new("x")));
        let read = read_authorization(from_url, &mut fields);
        fields.finish();
        let said: Vec<_> = problems.into_sorted().iter().map(ToString::to_string).collect();
        match read {
            Some((value, _)) if said.is_empty() => Ok(value.to_str().unwrap().to_owned()),
            _ => Err(said.concat()),
        }
    }

    #[test]
    fn credentials_stand_in_one_place() {
        assert_eq!(authorization(true, "").unwrap(), "Basic bWU6eA==");
        assert_eq!(authorization(false, "basic_auth: {username: me, password: x}").unwrap(), "Basic bWU6eA==");
        assert_eq!(authorization(false, "bearer_token: x").unwrap(), "Bearer x");
        for (from_url, keys) in [
            (true, "bearer_token: x"),
            (true, "basic_auth: {username: me, password: x}"),
            (false, "{bearer_token: x, basic_auth: {username: me, password: x}}"),
        ] {
            assert!(authorization(from_url, keys).unwrap_err().contains("credentials are given twice"), "{keys}");
        }
        let broken = authorization(false, "bearer_token: \"a\\nb\"").unwrap_err();
        assert!(broken.contains("the token cannot be sent in a header"), "{broken}");
    }
}
