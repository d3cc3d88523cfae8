//! Builds, starts, reloads and stops: the only place that knows every part.

mod discovered;
mod history;
mod own;
mod simulate;
mod targets;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use prometheus_client::registry::Registry;
use tokio::net::TcpListener;
use tokio::sync::{Mutex, Notify, oneshot};
use tracing::{error, info, warn};

use crate::collect::{Board, Happenings};
use crate::config::{Config, Source};
use crate::model::Millis;
use crate::notify::{self, Notifier};
use crate::rules::HoldMissing;
use crate::rules::runner::Rules;
use crate::runtime::own_metrics::{LookMetrics, Own, QueryMetrics, RuleMetrics, ServeMetrics, WriteMetrics};
use crate::runtime::supervise::Supervisor;
use crate::runtime::telemetry::{Export, start_export};
use crate::serve::{self, Asking, Door, Parts};
use crate::store::Store;
use crate::usage::{LedgerPath, Meter};

use own::{Pace, ReloadState};
use targets::Targets;

/// SIGTERM ends the agent within five seconds; so long it waits for what is in flight.
const STOP_LIMIT: Duration = Duration::from_secs(4);
/// So long the disk may take for the last second of history.
const CLOSE_LIMIT: Duration = Duration::from_millis(500);

/// The running agent. Cheap to clone; clones are the same agent.
#[derive(Clone)]
pub struct Agent(Arc<Inner>);

struct Inner {
    source: Source,
    address: SocketAddr,
    supervisor: Supervisor,
    board: Board,
    store: Store,
    rules: Rules,
    notifier: Notifier,
    meter: Meter,
    reloads: ReloadState,
    pace: Pace,
    export: Mutex<Option<Export>>,
    /// Held over a whole reload, so that two never mix.
    current: Mutex<Current>,
}

struct Current {
    config: Config,
    targets: Targets,
}

impl Agent {
    /// Listens first, so that `/healthz` and `/metrics` answer whatever else takes its time; then builds and starts every part.
    ///
    /// # Errors
    /// The address is taken, the data folder cannot be used, a target's settings cannot be used.
    pub async fn start(source: Source, config: Config) -> Result<Self, String> {
        let supervisor = Supervisor::new();
        let listen = config.server.listen;
        let listener =
            TcpListener::bind(listen).await.map_err(|error| format!("cannot listen on {listen}: {error}"))?;
        let address = listener.local_addr().map_err(|error| error.to_string())?;
        let door = Door::closed();
        let stop = supervisor.stop_token().clone();
        supervisor.spawn_once(serve::listen::serve(listener, serve::router(door.clone()), supervisor.clone(), stop));

        let mut registry = Registry::default();
        let store = history::open(&config.storage).await?;
        let board = Board::new(store.clone(), LookMetrics::register(&mut registry));
        let serve_metrics = ServeMetrics::register(&mut registry);
        let asking = Asking::new(QueryMetrics::register(&mut registry));
        let writes = WriteMetrics::register(&mut registry);
        let rule_metrics = RuleMetrics::register(&mut registry);
        let meter = open_meter(&config, &mut registry)?;
        let notify_metrics = notify::Metrics::register(&mut registry);
        let external_url = config.server.external_url.clone();
        let kept = open_kept(&config).await?;
        let notifier = Notifier::start_with(&config.alerting, notify_metrics, &supervisor, &external_url, kept)?;
        let rules = Rules::new(store.clone(), rule_metrics, &external_url);
        let reloads = ReloadState::new();
        let happenings = Happenings::default();
        let makers = own::makers(&supervisor, &store, &meter, &reloads, &happenings, &notifier);
        let own = Own::new(registry, &config.server.instance, makers);

        let targets = Targets::new(happenings.clone());
        let plan = targets.plan(&config.targets, &config.global, &supervisor)?;
        rules.hold_missing(hold_missing(&config, &board));
        rules.replace(&config.rules, config.global.evaluation_interval, &config.global.external_labels);
        let inner = Inner {
            source,
            address,
            supervisor: supervisor.clone(),
            board: board.clone(),
            store: store.clone(),
            rules: rules.clone(),
            notifier: notifier.clone(),
            meter: meter.clone(),
            reloads,
            pace: Pace::default(),
            export: Mutex::new(None),
            current: Mutex::new(Current { config, targets }),
        };
        let agent = Self(Arc::new(inner));
        let mut current = agent.0.current.lock().await;
        current.targets.apply(plan, &board, &supervisor);
        agent.follow_containers(current.targets.changed());
        let told = notifier.clone();
        rules.start(&supervisor, Arc::new(move |transitions, every| told.tell_of_rules(transitions, every)));
        agent.0.pace.set(current.config.global.scrape_interval);
        own::start_recording(&supervisor, own.clone(), store.clone(), meter.clone(), agent.0.pace.clone());
        if let Some(settings) = &current.config.otlp_export {
            let own = own.clone();
            let blocks = Arc::new(move || own.blocks(Millis::now()));
            let export = start_export(settings, &current.config.server.instance, blocks)?;
            export.follow(&supervisor);
            *agent.0.export.lock().await = Some(export);
        }
        if let Some(shortfall) = current.config.storage.shortfall() {
            warn!("{shortfall}");
        }
        let settings = Arc::new(current.config.server.clone());
        let reload = agent.reload_handle();
        let metrics = serve_metrics;
        door.open(Parts {
            settings,
            store,
            board,
            happenings,
            own,
            meter,
            rules,
            notifier,
            reload,
            metrics,
            limits: current.config.storage.limits,
            asking,
            writes,
        });
        info!(%address, targets = current.config.targets.len(), version = env!("CARGO_PKG_VERSION"), "sidewatch is running");
        drop(current);
        Ok(agent)
    }

    /// Where the agent listens.
    pub fn address(&self) -> SocketAddr {
        self.0.address
    }

    /// Loads the configuration anew. All or nothing: what can fail is built first, then swapped.
    ///
    /// # Errors
    /// Every problem of the new configuration, a line each; the old one goes on.
    pub async fn reload(&self) -> Result<(), String> {
        let outcome = self.try_reload().await;
        self.0.reloads.note(outcome.is_ok());
        match &outcome {
            Ok(()) => info!("configuration reloaded"),
            Err(why) => error!(error = %why, "the new configuration has problems; the old one goes on"),
        }
        outcome
    }

    async fn try_reload(&self) -> Result<(), String> {
        let inner = &self.0;
        let mut current = inner.current.lock().await;
        let source = inner.source.clone();
        let loaded = tokio::task::spawn_blocking(move || source.load()).await.map_err(|error| error.to_string())?;
        let config =
            loaded.map_err(|problems| problems.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n"))?;
        refuse_fixed_changes(&current.config, &config)?;
        let plan = current.targets.plan(&config.targets, &config.global, &inner.supervisor)?;
        let alerting = notify::Plan::build(&config.alerting)?;
        // From here on nothing fails.
        inner.notifier.adopt(alerting);
        inner.meter.reload(config.llm.prices.clone(), config.llm.budgets.clone());
        inner.rules.hold_missing(hold_missing(&config, &inner.board));
        inner.rules.replace(&config.rules, config.global.evaluation_interval, &config.global.external_labels);
        inner.pace.set(config.global.scrape_interval);
        current.targets.apply(plan, &inner.board, &inner.supervisor);
        current.config = config;
        Ok(())
    }

    /// Adds and removes the targets that containers ask for, each time one comes or goes.
    fn follow_containers(&self, changed: Arc<Notify>) {
        let (weak, stop) = (Arc::downgrade(&self.0), self.0.supervisor.stop_token().clone());
        self.0.supervisor.spawn("targets from containers", stop.clone(), move || {
            let (weak, changed, stop) = (weak.clone(), Arc::clone(&changed), stop.clone());
            async move {
                while stop.run_until_cancelled(changed.notified()).await.is_some() {
                    let Some(inner) = weak.upgrade() else { return };
                    let current = &mut *inner.current.lock().await;
                    let planned =
                        current.targets.plan(&current.config.targets, &current.config.global, &inner.supervisor);
                    match planned {
                        Ok(plan) => current.targets.apply(plan, &inner.board, &inner.supervisor),
                        // The configured targets run already, so there is nothing to build that could fail.
                        Err(why) => error!(error = %why, "targets from containers were not changed"),
                    }
                }
            }
        });
    }

    fn reload_handle(&self) -> serve::Reload {
        let weak = Arc::downgrade(&self.0);
        Arc::new(move || {
            let weak = weak.clone();
            Box::pin(async move {
                let Some(inner) = weak.upgrade() else { return Err("the agent is stopping".into()) };
                // A task of its own: whoever asked may hang up, the reload goes on to its end.
                let (tell, told) = oneshot::channel();
                let agent = Self(Arc::clone(&inner));
                inner.supervisor.spawn_once(async move {
                    let _ = tell.send(agent.reload().await);
                });
                told.await.unwrap_or_else(|_| Err("the reload broke off".into()))
            })
        })
    }

    /// Stops everything and waits for it. Says whether all tasks ended in time.
    pub async fn stop(&self) -> bool {
        let ended = self.0.supervisor.stop(STOP_LIMIT).await;
        history::close(&self.0.store, CLOSE_LIMIT).await;
        if let Some(export) = self.0.export.lock().await.take() {
            let _ =
                tokio::time::timeout(Duration::from_millis(500), tokio::task::spawn_blocking(|| export.stop())).await;
        }
        ended
    }
}

/// The ledger lives in the data folder, or in memory with `storage.path: none`.
fn open_meter(config: &Config, registry: &mut Registry) -> Result<Meter, String> {
    let path = match &config.storage.path {
        Some(folder) => LedgerPath::File(folder.join("ledger.sqlite")),
        None => LedgerPath::Memory,
    };
    let opened = Meter::open(&path, config.llm.prices.clone(), config.llm.budgets.clone(), registry);
    opened.map_err(|error| {
        let cause = std::error::Error::source(&error).map_or_else(String::new, |cause| format!(": {cause}"));
        format!("{error}{cause}; check storage.path and its rights, or write `path: none`")
    })
}

/// Silences, acknowledgements and what is to be told live in the data folder, or in memory with `storage.path: none`.
async fn open_kept(config: &Config) -> Result<notify::Kept, String> {
    let folder = config.storage.path.as_ref().map(|path| path.join("notify"));
    let open = move || match folder {
        Some(folder) => notify::Kept::open(&folder, Millis::now()).map_err(|error| {
            format!("{}: {error}; check storage.path and its rights, or write `path: none`", folder.display())
        }),
        None => notify::Kept::in_memory().map_err(|error| error.to_string()),
    };
    let kept = tokio::task::spawn_blocking(open).await.map_err(|error| error.to_string())??;
    // A link to a name that nobody outside knows is worse than none.
    Ok(if config.server.external_url_is_given { kept.reached_at(&config.server.external_url) } else { kept })
}

/// What is bound at start cannot change under a running agent; saying so beats doing half of it.
fn refuse_fixed_changes(old: &Config, new: &Config) -> Result<(), String> {
    let fixed = [
        ("server", old.server != new.server),
        ("storage", old.storage != new.storage),
        ("otlp_export", old.otlp_export != new.otlp_export),
        ("log", old.log != new.log),
    ];
    let changed: Vec<_> = fixed.into_iter().filter(|(_, changed)| *changed).map(|(name, _)| name).collect();
    if changed.is_empty() {
        Ok(())
    } else {
        Err(format!("{} cannot change while the agent runs: restart it", changed.join(", ")))
    }
}

/// How long alerts are held whose data are gone because a look failed.
fn hold_missing(config: &Config, board: &Board) -> HoldMissing {
    let board = board.clone();
    HoldMissing { longest: config.alerting.hold_missing, failing: Arc::new(move || board.failing()) }
}

#[cfg(test)]
mod tests;
