//! Reads the parameters that calls have in common: times, durations, limits, selectors; of the address or of a form.

use std::time::Duration;

use axum::body::to_bytes;
use axum::extract::{FromRequest, Request};
use axum::http::{Method, header};

use crate::model::Millis;
use crate::serve::router::MAX_BODY;

use super::answer::ApiError;
use super::form::{Form, multipart, urlencoded};
use super::moment::{ALWAYS, parse_span, parse_time};
use super::selectors::SelectorTexts;

/// All parameters. Those of a form come before those of the address, as in Go.
#[derive(Debug, Default)]
pub struct Parameters(Form);

impl<S: Send + Sync> FromRequest<S> for Parameters {
    type Rejection = ApiError;

    async fn from_request(request: Request, _: &S) -> Result<Self, ApiError> {
        let (head, body) = request.into_parts();
        let mut form = urlencoded(head.uri.query().unwrap_or_default().as_bytes());
        let kind = head.headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
        let media = kind.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
        let of_parts = media == "multipart/form-data";
        if head.method != Method::POST || !(of_parts || media == "application/x-www-form-urlencoded") {
            return Ok(Self(form));
        }
        let body = to_bytes(body, MAX_BODY).await;
        let body = body.map_err(|error| ApiError::BadData(format!("error parsing form values: {error}")))?;
        if of_parts {
            form.pairs.extend(multipart(kind, &body));
            return Ok(Self(form));
        }
        let mut all = urlencoded(&body);
        all.pairs.append(&mut form.pairs);
        all.wrong = all.wrong.or(form.wrong);
        Ok(Self(all))
    }
}

impl Parameters {
    /// For calls that take no pair when one cannot be read.
    pub fn whole(self) -> Result<Self, ApiError> {
        match &self.0.wrong {
            Some(why) => Err(ApiError::BadData(format!("error parsing form values: {why}"))),
            None => Ok(self),
        }
    }

    /// The first value of a parameter, "" if it is not there.
    pub fn text(&self, name: &str) -> &str {
        self.all(name).next().unwrap_or_default()
    }

    /// All values of a parameter that may be given often.
    pub fn all<'p>(&'p self, name: &str) -> impl Iterator<Item = &'p str> {
        self.0.pairs.iter().filter(move |(known, _)| known == name).map(|(_, value)| value.as_str())
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
                let nanos = parse_span(text).map_err(|why| ApiError::parameter("timeout", why))?;
                // Prometheus' own answer is one of three, by chance; this is one of them.
                let over = || ApiError::parameter("query", "context deadline exceeded");
                positive(nanos).map(|limit| limit.min(longest)).ok_or_else(over)
            }
        }
    }

    /// `step`
    pub fn step(&self) -> Result<Duration, ApiError> {
        let nanos = parse_span(self.text("step")).map_err(|why| ApiError::parameter("step", why))?;
        let why = "zero or negative query resolution step widths are not accepted. Try a positive integer";
        // Samples are a millisecond apart at least.
        let step = positive(nanos).filter(|step| step.as_millis() > 0);
        step.ok_or_else(|| ApiError::parameter("step", why))
    }

    /// `lookback_delta`, if it says anything.
    pub fn lookback(&self) -> Result<Option<Duration>, ApiError> {
        match self.text("lookback_delta") {
            "" => Ok(None),
            text => match parse_span(text) {
                Ok(nanos) => Ok(positive(nanos)),
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
        let (start, end) = (self.time_or("start", ALWAYS.0)?, self.time_or("end", ALWAYS.1)?);
        Ok((Millis(start.0 - 1), end))
    }

    /// Every `match[]`, each once, as they are written.
    pub fn selectors(&self) -> Result<SelectorTexts, ApiError> {
        SelectorTexts::new(self.all("match[]"))
    }
}

fn positive(nanos: i64) -> Option<Duration> {
    u64::try_from(nanos).ok().filter(|nanos| *nanos > 0).map(Duration::from_nanos)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(text: &str) -> Parameters {
        Parameters(urlencoded(text.as_bytes()))
    }

    #[test]
    fn what_is_wrong_with_a_time_is_told_with_its_name() {
        let ApiError::BadData(why) = of("time=x").time("time").unwrap_err() else { panic!() };
        assert_eq!(why, "invalid parameter \"time\": cannot parse \"x\" to a valid timestamp");
        assert!(of("time=5&x=%zz").time("time").is_ok());
        assert!(matches!(of("time=5&x=%zz").whole(), Err(ApiError::BadData(why)) if why.contains("%zz")));
    }

    #[test]
    fn a_lookback_below_a_millisecond_is_one() {
        let lookback = |text: &str| of(&format!("lookback_delta={text}")).lookback();
        assert_eq!(lookback("0.0001"), Ok(Some(Duration::from_micros(100))));
        assert_eq!((lookback("0"), lookback("-1"), lookback("")), (Ok(None), Ok(None), Ok(None)));
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
