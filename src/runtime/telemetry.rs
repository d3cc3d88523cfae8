//! The agent's own voice: structured logs always, traces and metrics by OTLP where configured.
//!
//! Quiet by default: at level `info` a healthy agent logs its start, its stop and changes, nothing in between.

use std::collections::{HashMap, HashSet};
use std::io::IsTerminal as _;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use opentelemetry::metrics::{AsyncInstrument, Meter, MeterProvider as _};
use opentelemetry::trace::TracerProvider as _;
use opentelemetry::{InstrumentationScope, KeyValue};
use opentelemetry_http::{HttpClient as OtelHttpClient, HttpError as OtelHttpError};
use opentelemetry_otlp::{MetricExporter, SpanExporter, WithExportConfig as _, WithHttpConfig as _};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::metrics::{PeriodicReader, SdkMeterProvider};
use opentelemetry_sdk::trace::SdkTracerProvider;
use tokio::time::{self, Instant};
use tracing::Level;
use tracing::level_filters::LevelFilter;
use tracing_subscriber::filter::filter_fn;
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;
use tracing_subscriber::{Layer as _, Registry, fmt, reload};
use url::Url;

use crate::model::{Block, Family, MetricKind, Suffix};
use crate::yaml::Fields;

use super::http_client::{HttpClient, Request};
use super::supervise::Supervisor;
use super::tls::Trust;

/// How logs are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// One JSON object a line.
    Json,
    /// For people.
    Text,
}

/// The section `log:`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LogSettings {
    /// The least severe level that is written.
    pub level: LevelFilter,
    /// Absent: text on a terminal, JSON elsewhere.
    pub format: Option<Format>,
}

impl Default for LogSettings {
    fn default() -> Self {
        Self { level: LevelFilter::INFO, format: None }
    }
}

impl LogSettings {
    /// Reads `log: {level, format}`; `LOG_LEVEL` is the level where the file names none.
    pub fn read(mut fields: Fields<'_>, from_environment: Option<LevelFilter>) -> Self {
        let level = fields.parsed("level", parse_level).or(from_environment);
        let format = fields.parsed("format", |text| match text {
            "json" => Ok(Format::Json),
            "text" => Ok(Format::Text),
            other => Err(format!("`{other}` is neither json nor text")),
        });
        fields.finish();
        Self { level: level.unwrap_or(LevelFilter::INFO), format }
    }
}

/// Reads a level: error, warn, info, debug, trace or off.
pub fn parse_level(text: &str) -> Result<LevelFilter, String> {
    text.to_ascii_lowercase()
        .replace("warning", "warn")
        .parse()
        .map_err(|_| format!("`{text}` is no level: write error, warn, info, debug or trace"))
}

/// The section `otlp_export:`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OtlpSettings {
    /// The collector's base address; `/v1/traces` and `/v1/metrics` are added.
    pub endpoint: Url,
}

impl OtlpSettings {
    /// Reads `otlp_export: {endpoint}`.
    pub fn read(mut fields: Fields<'_>) -> Option<Self> {
        let endpoint = fields.required("endpoint");
        let parsed = endpoint.and_then(|text| match Url::parse(&text) {
            Ok(url) if matches!(url.scheme(), "http" | "https") => Some(Self { endpoint: url }),
            _ => {
                fields.wrong("endpoint", format!("`{text}` is no http address"), "write http://host:4318");
                None
            }
        });
        fields.finish();
        parsed
    }
}

/// From one export of the metrics to the next.
const EXPORT_EVERY: Duration = Duration::from_secs(15);

type OtelLayer = Option<tracing_opentelemetry::OpenTelemetryLayer<Registry, opentelemetry_sdk::trace::SdkTracer>>;

struct Handles {
    otel: reload::Handle<OtelLayer, Registry>,
}

static HANDLES: OnceLock<Handles> = OnceLock::new();

/// Starts logging. Later calls do nothing: a process has one voice.
pub fn start_logs(settings: LogSettings) {
    let text = settings.format.map_or_else(|| std::io::stdout().is_terminal(), |format| format == Format::Text);
    let (otel, handle) = reload::Layer::new(None);
    let logs = if text {
        fmt::layer().with_ansi(std::io::stdout().is_terminal()).with_target(false).boxed()
    } else {
        fmt::layer().json().flatten_event(true).with_current_span(true).with_span_list(false).with_target(false).boxed()
    };
    // Only our own spans are exported: those of the libraries would be many, and those of the export itself endless.
    let ours = filter_fn(|span| span.target().starts_with("sidewatch") && *span.level() <= Level::INFO);
    let registry = tracing_subscriber::registry().with(otel.with_filter(ours)).with(logs.with_filter(settings.level));
    if registry.try_init().is_ok() {
        let _ = HANDLES.set(Handles { otel: handle });
    }
}

/// The running export of the agent's own traces and metrics; flushed by [`Export::stop`].
#[derive(Debug)]
pub struct Export {
    traces: SdkTracerProvider,
    metrics: SdkMeterProvider,
    instruments: Arc<Instruments>,
}

/// What the export asks when it is time: the agent's own metrics as they stand.
pub type OwnBlocks = dyn Fn() -> Vec<Block> + Send + Sync;

/// Starts exporting over OTLP/HTTP. Must be called inside the tokio runtime.
///
/// # Errors
/// The exporter cannot be built from these settings.
pub fn start_export(settings: &OtlpSettings, instance: &str, own: Arc<OwnBlocks>) -> Result<Export, String> {
    let client = Client { http: HttpClient::new(&Trust::default())?, runtime: tokio::runtime::Handle::current() };
    let resource = Resource::builder()
        .with_service_name("sidewatch")
        .with_attribute(KeyValue::new("service.version", env!("CARGO_PKG_VERSION")))
        .with_attribute(KeyValue::new("service.instance.id", instance.to_owned()))
        .build();
    let endpoint = |path: &str| format!("{}{path}", settings.endpoint.as_str().trim_end_matches('/'));
    let spans =
        SpanExporter::builder().with_http().with_http_client(client.clone()).with_endpoint(endpoint("/v1/traces"));
    let spans = spans.build().map_err(|error| error.to_string())?;
    let traces = SdkTracerProvider::builder().with_batch_exporter(spans).with_resource(resource.clone()).build();
    let points = MetricExporter::builder().with_http().with_http_client(client).with_endpoint(endpoint("/v1/metrics"));
    let reader =
        PeriodicReader::builder(points.build().map_err(|error| error.to_string())?).with_interval(EXPORT_EVERY);
    let metrics = SdkMeterProvider::builder().with_reader(reader.build()).with_resource(resource).build();
    let meter = metrics.meter_with_scope(InstrumentationScope::builder("sidewatch").build());
    let instruments = Arc::new(Instruments {
        meter,
        own: Arc::new(Shared { own, cached: Mutex::new(None) }),
        known: Mutex::default(),
    });
    if let Some(handles) = HANDLES.get() {
        let layer = tracing_opentelemetry::layer().with_tracer(traces.tracer("sidewatch"));
        handles.otel.reload(Some(layer)).map_err(|error| error.to_string())?;
    }
    Ok(Export { traces, metrics, instruments })
}

impl Export {
    /// Keeps an instrument for each family, also for those that appear later: a provider's first call, a receiver's first failure.
    pub fn follow(&self, supervisor: &Supervisor) {
        let (instruments, stop) = (Arc::clone(&self.instruments), supervisor.stop_token().clone());
        supervisor.spawn("otlp metrics", stop.clone(), move || {
            let (instruments, stop) = (Arc::clone(&instruments), stop.clone());
            async move {
                let mut tick = time::interval(EXPORT_EVERY);
                while stop.run_until_cancelled(tick.tick()).await.is_some() {
                    instruments.adopt_new();
                }
            }
        });
    }

    /// Sends what is left and ends. Blocks for as long as the collector takes, so call it off the async threads.
    pub fn stop(self) {
        if let Some(handles) = HANDLES.get() {
            let _ = handles.otel.reload(None);
        }
        let _ = self.traces.shutdown_with_timeout(Duration::from_secs(2));
        let _ = self.metrics.shutdown_with_timeout(Duration::from_secs(2));
    }
}

/// Each counter and gauge of the agent's own is an observable instrument that reads the same blocks as `/metrics`. Of histograms
/// the SDK has no observable form: their sums and counts are exported as counters.
#[derive(Debug)]
struct Instruments {
    meter: Meter,
    own: Arc<Shared>,
    known: Mutex<HashSet<String>>,
}

impl Instruments {
    fn adopt_new(&self) {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        for block in (self.own.own)() {
            let suffixes: &[Suffix] = match block.family.kind {
                MetricKind::Histogram | MetricKind::Summary => &[Suffix::Sum, Suffix::Count],
                MetricKind::Counter | MetricKind::Gauge | MetricKind::Unknown => &[Suffix::None],
            };
            for suffix in suffixes {
                let name = format!("{}{}", block.family.name, suffix.as_str());
                if known.insert(name.clone()) {
                    self.build(name, &block.family);
                }
            }
        }
    }

    fn build(&self, name: String, family: &Family) {
        let (source, key, help) = (Arc::clone(&self.own), name.clone(), family.help.to_string());
        let report = move |observer: &dyn AsyncInstrument<f64>| source.report(&key, observer);
        if matches!(family.kind, MetricKind::Gauge | MetricKind::Unknown) {
            self.meter.f64_observable_gauge(name).with_description(help).with_callback(report).build();
        } else {
            self.meter.f64_observable_counter(name).with_description(help).with_callback(report).build();
        }
    }
}

type Points = HashMap<String, Vec<(Vec<KeyValue>, f64)>>;

impl std::fmt::Debug for Shared {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Shared")
    }
}

struct Shared {
    own: Arc<OwnBlocks>,
    cached: Mutex<Option<(Instant, Points)>>,
}

impl Shared {
    fn report(&self, name: &str, observer: &dyn AsyncInstrument<f64>) {
        let mut cached = self.cached.lock().unwrap_or_else(PoisonError::into_inner);
        let (at, points) = cached.get_or_insert_with(|| (Instant::now(), self.read()));
        if at.elapsed() > Duration::from_secs(1) {
            (*at, *points) = (Instant::now(), self.read());
        }
        for (labels, value) in points.get(name).into_iter().flatten() {
            observer.observe(*value, labels);
        }
    }

    fn read(&self) -> Points {
        let mut points = Points::new();
        for block in (self.own)() {
            for point in block.points {
                let labels = point.labels.iter().map(|(name, value)| KeyValue::new(name.to_owned(), value.to_owned()));
                let name = format!("{}{}", block.family.name, point.suffix.as_str());
                points.entry(name).or_default().push((labels.collect(), point.value));
            }
        }
        points
    }
}

/// Our own HTTP client behind the SDK's interface. The SDK calls from a thread of its own, so work moves to the runtime.
#[derive(Debug, Clone)]
struct Client {
    http: HttpClient,
    runtime: tokio::runtime::Handle,
}

#[async_trait]
impl OtelHttpClient for Client {
    async fn send_bytes(&self, request: hyper::Request<Bytes>) -> Result<hyper::Response<Bytes>, OtelHttpError> {
        let (head, body) = request.into_parts();
        let request = Request {
            method: head.method,
            headers: head.headers,
            body,
            max_body: 1 << 20,
            ..Request::get(Url::parse(&head.uri.to_string())?, Instant::now() + Duration::from_secs(5))
        };
        let http = self.http.clone();
        // Not the supervisor's: the SDK awaits it at once, and its deadline ends it.
        let reply = self.runtime.spawn(async move { http.send(request).await.0 }).await??;
        let mut response = hyper::Response::new(reply.body);
        *response.status_mut() = reply.status;
        Ok(response)
    }
}
