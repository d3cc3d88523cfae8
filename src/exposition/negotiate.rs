//! Which format a scraper gets, by its request's headers.

use super::Format;

/// What to answer with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Negotiated {
    /// The format.
    pub format: Format,
    /// Whether the scraper asked for `escaping=allow-utf-8`, as Prometheus 3 does; it is echoed.
    pub utf8_names: bool,
    /// Whether to compress with gzip.
    pub gzip: bool,
}

impl Negotiated {
    /// The answer's `Content-Type`. The answer also needs [`Self::VARY`].
    pub fn content_type(self) -> &'static str {
        match (self.format, self.utf8_names) {
            (Format::OpenMetrics, true) => {
                "application/openmetrics-text; version=1.0.0; charset=utf-8; escaping=allow-utf-8"
            }
            (format, _) => format.content_type(),
        }
    }

    /// The answer's `Vary`.
    pub const VARY: &str = "Accept, Accept-Encoding";
}

/// Chooses from the headers `Accept` and `Accept-Encoding`. What nobody asked for is text 0.0.4, as with every exporter.
pub fn negotiate(accept: Option<&str>, accept_encoding: Option<&str>) -> Negotiated {
    let offers = accept.unwrap_or_default().split(',').map(Clause::read);
    let mut best = (Format::Text, false, 0.0);
    for clause in offers {
        if let Some((format, utf8_names)) = clause.format()
            && clause.q > best.2
        {
            best = (format, utf8_names, clause.q);
        }
    }
    Negotiated { format: best.0, utf8_names: best.1, gzip: takes_gzip(accept_encoding.unwrap_or_default()) }
}

/// One element of such a header: `text/plain;version=0.0.4;q=0.5`.
struct Clause<'h> {
    value: &'h str,
    parameters: &'h str,
    q: f64,
}

impl<'h> Clause<'h> {
    fn read(text: &'h str) -> Self {
        let (value, parameters) = text.split_once(';').unwrap_or((text, ""));
        let mut clause = Self { value: value.trim(), parameters, q: 1.0 };
        clause.q = clause.parameter("q").map_or(1.0, |q| q.parse().unwrap_or(0.0));
        clause
    }

    fn parameter(&self, name: &str) -> Option<&'h str> {
        let pairs = self.parameters.split(';').filter_map(|pair| pair.split_once('='));
        pairs
            .map(|(key, value)| (key.trim(), value.trim().trim_matches('"')))
            .find(|(key, _)| *key == name)
            .map(|p| p.1)
    }

    /// The format asked for, and whether names in UTF-8 are.
    fn format(&self) -> Option<(Format, bool)> {
        let version = self.parameter("version").unwrap_or_default();
        match self.value.to_ascii_lowercase().as_str() {
            "application/openmetrics-text" if matches!(version, "" | "1.0.0") => {
                Some((Format::OpenMetrics, self.parameter("escaping") == Some("allow-utf-8")))
            }
            "text/plain" if matches!(version, "" | "0.0.4") => Some((Format::Text, false)),
            "text/*" | "*/*" => Some((Format::Text, false)),
            _ => None,
        }
    }
}

fn takes_gzip(accept_encoding: &str) -> bool {
    let q_of = |name: &str| {
        let clauses = accept_encoding.split(',').map(Clause::read);
        clauses.filter(|clause| clause.value.eq_ignore_ascii_case(name)).map(|clause| clause.q).next()
    };
    let gzip = q_of("gzip").or_else(|| q_of("*")).unwrap_or(0.0);
    gzip > 0.0 && gzip >= q_of("identity").unwrap_or(0.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    const PROMETHEUS_2: &str = "application/openmetrics-text;version=1.0.0,\
        application/openmetrics-text;version=0.0.1;q=0.75,text/plain;version=0.0.4;q=0.5,*/*;q=0.1";
    const PROMETHEUS_3: &str = "application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.5,\
        application/openmetrics-text;version=0.0.1;q=0.4,text/plain;version=1.0.0;escaping=allow-utf-8;q=0.3,\
        text/plain;version=0.0.4;q=0.2,*/*;q=0.1";

    #[test]
    fn prometheus_gets_openmetrics_and_a_browser_text() {
        assert_eq!(negotiate(Some(PROMETHEUS_2), None).content_type(), Format::OpenMetrics.content_type());
        assert_eq!(
            negotiate(Some(PROMETHEUS_3), None).content_type(),
            "application/openmetrics-text; version=1.0.0; charset=utf-8; escaping=allow-utf-8"
        );
        for accept in [None, Some(""), Some("*/*"), Some("text/html,application/xml;q=0.9,*/*;q=0.8")] {
            assert_eq!(negotiate(accept, None).content_type(), Format::Text.content_type(), "{accept:?}");
        }
    }

    #[test]
    fn the_higher_q_wins() {
        let of = |accept| negotiate(Some(accept), None).format;
        assert_eq!(of("application/openmetrics-text;q=0.2, text/plain;q=0.5"), Format::Text);
        assert_eq!(
            of("text/plain; q=0.2, application/openmetrics-text; version=\"1.0.0\"; q=0.5"),
            Format::OpenMetrics
        );
        assert_eq!(of("application/openmetrics-text;q=0"), Format::Text);
        assert_eq!(of("application/openmetrics-text;version=2.0.0"), Format::Text);
        assert_eq!(of(Format::ACCEPT), Format::OpenMetrics);
    }

    #[test]
    fn gzip_is_used_where_it_is_welcome() {
        let gzip = |encodings| negotiate(None, Some(encodings)).gzip;
        assert!(gzip("gzip") && gzip("deflate, GZIP;q=0.5") && gzip("*"));
        assert!(!gzip("") && !gzip("gzip;q=0") && !gzip("br") && !gzip("gzip;q=0.1, identity;q=0.9"));
        assert!(!gzip("gzip;q=0, *"));
    }
}
