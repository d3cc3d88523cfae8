//! Where AWS credentials and the region come from: the configuration, else what AWS's own tools read.

use std::env;
use std::path::PathBuf;

use crate::model::Secret;
use crate::yaml::Fields;

use super::sigv4::Credentials;

/// The `sigv4` section, as Prometheus has it.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct SigV4 {
    /// Empty: `AWS_REGION`, `AWS_DEFAULT_REGION`, or the one in the ARN.
    pub region: Option<String>,
    /// Access key and secret key; without them the environment's, or the profile's.
    pub keys: Option<(String, Secret)>,
    /// A section of the shared credentials file.
    pub profile: Option<String>,
}

impl SigV4 {
    /// Reads the section.
    pub fn read(mut fields: Fields<'_>) -> Self {
        let access_key = fields.text("access_key");
        let secret_key = fields.secret("secret_key", "secret_key_file");
        if access_key.is_some() != (fields.has("secret_key") || fields.has("secret_key_file")) {
            let given = if access_key.is_some() { "access_key" } else { "secret_key" };
            fields.wrong(
                given,
                "one half of the AWS keys is missing",
                "give `access_key` and `secret_key`, or neither",
            );
        }
        for key in ["role_arn", "external_id", "use_fips_sts_endpoint"] {
            fields.not_built(key);
        }
        let section =
            Self { region: fields.text("region"), keys: access_key.zip(secret_key), profile: fields.text("profile") };
        fields.finish();
        section
    }

    /// The region, or none. `arn` is a topic's or endpoint's: `arn:aws:sns:REGION:ACCOUNT:NAME`.
    pub fn region(&self, arn: &str) -> Option<String> {
        let from_arn = || arn.split(':').nth(3).filter(|region| is_region(region)).map(ToOwned::to_owned);
        let region = self.region.clone().filter(|region| !region.is_empty());
        region.or_else(|| variable("AWS_REGION")).or_else(|| variable("AWS_DEFAULT_REGION")).or_else(from_arn)
    }

    /// The credentials: those given, those of a named profile, the environment's, those of the default profile.
    ///
    /// # Errors
    /// There are none, in words.
    pub fn credentials(&self) -> Result<Credentials, String> {
        if let Some((access_key, secret_key)) = &self.keys {
            let (access_key, secret_key) = (access_key.clone(), secret_key.clone());
            return Ok(Credentials { access_key, secret_key, session_token: None });
        }
        if let Some(profile) = &self.profile {
            return from_file(profile);
        }
        let (access_key, secret_key) = (variable("AWS_ACCESS_KEY_ID"), variable("AWS_SECRET_ACCESS_KEY"));
        if let Some((access_key, secret_key)) = access_key.zip(secret_key) {
            let session_token = variable("AWS_SESSION_TOKEN").map(Secret::new);
            return Ok(Credentials { access_key, secret_key: Secret::new(secret_key), session_token });
        }
        from_file(&variable("AWS_PROFILE").unwrap_or_else(|| "default".into())).map_err(|error| {
            format!(
                "there are no AWS credentials: give `access_key` and `secret_key` under `sigv4`, or set AWS_ACCESS_KEY_ID and \
                 AWS_SECRET_ACCESS_KEY ({error}; roles of machines and containers are not built yet)"
            )
        })
    }
}

/// As it may stand in a host's name.
pub(super) fn is_region(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-')
}

fn variable(name: &str) -> Option<String> {
    env::var(name).ok().filter(|value| !value.is_empty())
}

fn from_file(profile: &str) -> Result<Credentials, String> {
    let default = || variable("HOME").map(|home| PathBuf::from(home).join(".aws/credentials"));
    let path = variable("AWS_SHARED_CREDENTIALS_FILE").map(PathBuf::from).or_else(default);
    let path = path.ok_or("there is no home directory to hold .aws/credentials")?;
    let shown = path.display();
    let text = std::fs::read_to_string(&path).map_err(|error| format!("cannot read {shown}: {error}"))?;
    profile_of(&text, profile).ok_or_else(|| format!("{shown} has no keys for the profile `{profile}`"))
}

/// A section of the shared credentials file.
fn profile_of(text: &str, profile: &str) -> Option<Credentials> {
    let name = |line: &str| Some(line.trim().strip_prefix('[')?.split(']').next()?.trim().to_owned());
    let section = text.lines().skip_while(|line| name(line).as_deref() != Some(profile)).skip(1);
    let (mut access_key, mut secret_key, mut session_token) = (None, None, None);
    for line in section.take_while(|line| name(line).is_none()) {
        let Some((key, value)) = line.split_once('=').filter(|_| !line.trim_start().starts_with(['#', ';'])) else {
            continue;
        };
        let value = value.trim().to_owned();
        match key.trim() {
            "aws_access_key_id" => access_key = Some(value),
            "aws_secret_access_key" => secret_key = Some(Secret::new(value)),
            "aws_session_token" => session_token = Some(Secret::new(value)),
            _ => {}
        }
    }
    Some(Credentials { access_key: access_key?, secret_key: secret_key?, session_token })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_profile_is_its_section_alone() {
        let file = "[default]\naws_access_key_id = A\naws_secret_access_key=s=1\n\n[ other ]\n# aws_access_key_id = X\n\
                    aws_access_key_id=B\naws_secret_access_key = t\naws_session_token = u\n[empty]\n";
        let keys = |profile| {
            let found = profile_of(file, profile)?;
            Some((found.access_key, found.secret_key.expose().to_owned(), found.session_token.is_some()))
        };
        assert_eq!(keys("default"), Some(("A".into(), "s=1".into(), false)));
        assert_eq!(keys("other"), Some(("B".into(), "t".into(), true)));
        assert_eq!((keys("empty"), keys("none")), (None, None));
    }

    #[test]
    fn the_region_of_an_arn_counts_last() {
        let arn = "arn:aws:sns:eu-central-1:123456789012:alerts";
        let named = SigV4 { region: Some("us-west-2".into()), ..SigV4::default() };
        assert_eq!(named.region(arn).as_deref(), Some("us-west-2"));
        if variable("AWS_REGION").or_else(|| variable("AWS_DEFAULT_REGION")).is_none() {
            assert_eq!(SigV4::default().region(arn).as_deref(), Some("eu-central-1"));
            assert_eq!(SigV4::default().region("arn:aws:sns:{{ x }}:1:a"), None);
        }
    }
}
