//! Reads the parameters that calls have in common: times, durations, limits, selectors; of the address or of a form.

use std::time::Duration;

use axum::body::to_bytes;
use axum::extract::{FromRequest, Request};
use axum::http::header;
use jiff::Timestamp;

use crate::model::{Millis, parse_duration};
use crate::serve::router::MAX_BODY;

use super::answer::ApiError;
use super::selectors::SelectorTexts;

/// The times that stand for the first and the last one there is, as Prometheus' own client sends them.
const MIN_TIME: &str = "-292273086-05-16T16:47:06Z";
const MAX_TIME: &str = "292277025-08-18T07:12:54.999999999Z";

/// Times beyond this, in milliseconds, are taken as this: 280,000 years, and sums of a few of them still fit.
const FAR: f64 = 9e15;

/// All parameters, those of the body before those of the address.
#[derive(Debug, Default)]
pub struct Parameters(Vec<(String, String)>);

impl<S: Send + Sync> FromRequest<S> for Parameters {
    type Rejection = ApiError;

    async fn from_request(request: Request, _: &S) -> Result<Self, ApiError> {
        let (head, body) = request.into_parts();
        let kind = head.headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
        let mut all = Vec::new();
        if kind
            .split(';')
            .next()
            .is_some_and(|kind| kind.trim().eq_ignore_ascii_case("application/x-www-form-urlencoded"))
        {
            let body = to_bytes(body, MAX_BODY).await;
            let body = body.map_err(|error| ApiError::BadData(format!("error parsing form values: {error}")))?;
            all = read(&body);
        }
        all.extend(read(head.uri.query().unwrap_or_default().as_bytes()));
        Ok(Self(all))
    }
}

fn read(text: &[u8]) -> Vec<(String, String)> {
    url::form_urlencoded::parse(text).map(|(name, value)| (name.into_owned(), value.into_owned())).collect()
}

impl Parameters {
    /// The first value of a parameter, "" if it is not there.
    pub fn text(&self, name: &str) -> &str {
        self.all(name).next().unwrap_or_default()
    }

    /// All values of a parameter that may be given often.
    pub fn all<'p>(&'p self, name: &str) -> impl Iterator<Item = &'p str> {
        self.0.iter().filter(move |(known, _)| known == name).map(|(_, value)| value.as_str())
    }

    /// A time that must be there.
    pub fn time(&self, name: &str) -> Result<Millis, ApiError> {
        parse_time(self.text(name)).map_err(|why| ApiError::parameter(name, why))
    }

    /// A time that may be absent.
    pub fn time_or(&self, name: &str, default: Millis) -> Result<Millis, ApiError> {
        match self.text(name) {
            "" => Ok(default),
            text => parse_time(text)
                .map_err(|why| ApiError::parameter(name, format!("invalid time value for '{name}': {why}"))),
        }
    }

    /// The time that the client allows, at most `longest`.
    pub fn timeout(&self, longest: Duration) -> Result<Duration, ApiError> {
        match self.text("timeout") {
            "" => Ok(longest),
            text => {
                let millis = parse_span(text).map_err(|why| ApiError::parameter("timeout", why))?;
                let over = || ApiError::parameter("query", "context deadline exceeded");
                positive(millis).map(|limit| limit.min(longest)).ok_or_else(over)
            }
        }
    }

    /// `step`
    pub fn step(&self) -> Result<Duration, ApiError> {
        let millis = parse_span(self.text("step")).map_err(|why| ApiError::parameter("step", why))?;
        let why = "zero or negative query resolution step widths are not accepted. Try a positive integer";
        positive(millis).ok_or_else(|| ApiError::parameter("step", why))
    }

    /// `lookback_delta`, if it says anything.
    pub fn lookback(&self) -> Result<Option<Duration>, ApiError> {
        match self.text("lookback_delta") {
            "" => Ok(None),
            text => match parse_span(text) {
                Ok(millis) => Ok(positive(millis)),
                Err(why) => Err(ApiError::BadData(format!("error parsing lookback delta duration: {why}"))),
            },
        }
    }

    /// `limit`; absent and 0 are no limit.
    pub fn limit(&self) -> Result<usize, ApiError> {
        self.count("limit", "limit must be non-negative")
    }

    /// A number where absent and 0 are no limit.
    pub fn count(&self, name: &str, if_negative: &str) -> Result<usize, ApiError> {
        let text = self.text(name);
        if text.is_empty() {
            return Ok(usize::MAX);
        }
        let wrong = || ApiError::parameter(name, format!("strconv.Atoi: parsing {text:?}: invalid syntax"));
        match text.parse::<i64>().map_err(|_| wrong())? {
            0 => Ok(usize::MAX),
            number => usize::try_from(number).map_err(|_| ApiError::parameter(name, if_negative)),
        }
    }

    /// The last moment before `start`, and `end`, of calls that look through all there is without them.
    pub fn span(&self) -> Result<(Millis, Millis), ApiError> {
        let (start, end) = (self.time_or("start", Millis(-FAR as i64))?, self.time_or("end", Millis(FAR as i64))?);
        Ok((Millis(start.0 - 1), end))
    }

    /// Every `match[]`, each once, as they are written.
    pub fn selectors(&self) -> Result<SelectorTexts, ApiError> {
        SelectorTexts::new(self.all("match[]"))
    }
}

/// Unix seconds, also with a fraction, or RFC 3339.
fn parse_time(text: &str) -> Result<Millis, String> {
    let wrong = || format!("cannot parse {text:?} to a valid timestamp");
    if let Ok(seconds) = text.parse::<f64>() {
        let millis = (seconds * 1000.0).round();
        return if millis.is_nan() { Err(wrong()) } else { Ok(Millis(millis.clamp(-FAR, FAR) as i64)) };
    }
    match text {
        MIN_TIME => Ok(Millis(-FAR as i64)),
        MAX_TIME => Ok(Millis(FAR as i64)),
        // Without an offset it is no time of RFC 3339.
        _ => text.parse::<Timestamp>().map(|at| Millis(at.as_millisecond())).map_err(|_| wrong()),
    }
}

/// Seconds, also with a fraction, or a duration as Prometheus writes it; in milliseconds.
fn parse_span(text: &str) -> Result<f64, String> {
    if let Ok(seconds) = text.parse::<f64>() {
        return if seconds.abs() * 1e9 < 9.2e18 {
            Ok((seconds * 1000.0).trunc())
        } else {
            Err(format!("cannot parse {text:?} to a valid duration. It overflows int64"))
        };
    }
    let span = parse_duration(text).map_err(|_| format!("cannot parse {text:?} to a valid duration"))?;
    Ok(span.as_millis() as f64)
}

fn positive(millis: f64) -> Option<Duration> {
    (millis >= 1.0).then(|| Duration::from_millis(millis as u64))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(text: &str) -> Parameters {
        Parameters(read(text.as_bytes()))
    }

    #[test]
    fn times_are_read_as_prometheus_reads_them() {
        let cases = [
            ("0", 0),
            ("1.0015", 1002),
            ("-1.5e3", -1_500_000),
            ("1577836800.123", 1_577_836_800_123),
            ("2020-01-01T00:00:00Z", 1_577_836_800_000),
            ("2020-01-01T01:00:00.5%2B01:00", 1_577_836_800_500),
            ("-292273086-05-16T16:47:06Z", -9_000_000_000_000_000),
            ("292277025-08-18T07:12:54.999999999Z", 9_000_000_000_000_000),
            ("1e300", 9_000_000_000_000_000),
        ];
        for (text, millis) in cases {
            assert_eq!(of(&format!("time={text}")).time("time"), Ok(Millis(millis)), "{text}");
        }
        for text in ["", "x", "NaN", "2020-01-01", "2020-01-01T00:00:00"] {
            let ApiError::BadData(why) = of(&format!("time={text}")).time("time").unwrap_err() else { panic!() };
            assert_eq!(why, format!("invalid parameter \"time\": cannot parse {text:?} to a valid timestamp"));
        }
    }

    #[test]
    fn steps_are_positive() {
        let step = |text: &str| of(&format!("step={text}")).step().map(|step| step.as_millis());
        assert_eq!((step("15"), step("0.5"), step("1h30m")), (Ok(15_000), Ok(500), Ok(5_400_000)));
        for text in ["0", "-1", "0s"] {
            assert!(matches!(step(text), Err(ApiError::BadData(why)) if why.contains("Try a positive")), "{text}");
        }
        for text in ["", "x", "1e300", "NaN"] {
            assert!(matches!(step(text), Err(ApiError::BadData(why)) if why.contains("cannot parse")), "{text}");
        }
    }

    #[test]
    fn a_time_out_is_at_most_the_longest() {
        let timeout = |text: &str| of(&format!("timeout={text}")).timeout(Duration::from_mins(2));
        assert_eq!(timeout("5s"), Ok(Duration::from_secs(5)));
        assert_eq!((timeout("1h"), timeout("")), (Ok(Duration::from_mins(2)), Ok(Duration::from_mins(2))));
        assert_eq!(
            timeout("-1"),
            Err(ApiError::BadData("invalid parameter \"query\": context deadline exceeded".into()))
        );
    }

    #[test]
    fn limits_are_counts() {
        let limit = |text: &str| of(&format!("limit={text}")).limit();
        assert_eq!((limit("3"), limit("0"), limit("")), (Ok(3), Ok(usize::MAX), Ok(usize::MAX)));
        assert_eq!(
            limit("-1"),
            Err(ApiError::BadData("invalid parameter \"limit\": limit must be non-negative".into()))
        );
        assert!(limit("x").is_err());
    }
}
