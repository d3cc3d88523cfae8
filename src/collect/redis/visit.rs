//! One look at a server that has answered INFO: what is shown of that answer, and what is asked besides.

use std::collections::HashMap;

use tokio::time::Instant;

use crate::collect::{CollectError, Look};
use crate::model::Block;

use super::config::{self, Config};
use super::connection::{Connection, Missed};
use super::info::{self, Facts, Info, Mode};
use super::keys::{self, Key, Keyspace};
use super::settings::Settings;
use super::{clients, cluster, condition, latency, sentinel, slowlog, streams};
use crate::collect::paced::{Paced, show};

/// INFO's sections without those of modules.
const ALL: &[&str] = &["all"];
/// With them: asked for where a module is loaded whose fields we know.
const EVERYTHING: &[&str] = &["everything"];
/// The same without `latencystats`, which takes a server longer than all others together.
const QUICK: &[&str] = &["default", "commandstats"];
const QUICK_WITH_MODULES: &[&str] = &["default", "commandstats", "modules"];

/// What is remembered from look to look.
pub struct Memory {
    client_list: bool,
    config_metrics: bool,
    /// All of INFO's sections, with those of modules where one is loaded whose fields we know.
    full: &'static [&'static str],
    /// What INFO was asked for.
    sections: &'static [&'static str],
    percentiles: Paced<Vec<Block>>,
    run_id: String,
    config: Paced<Config>,
    slow_log: Paced<Vec<Block>>,
    spikes: Paced<Vec<Block>>,
    histograms: Paced<Vec<Block>>,
    keyspace: Keyspace,
    /// The connection was told not to count our reading of keys as use.
    untouching: bool,
}

impl Memory {
    /// Nothing was seen yet.
    pub fn new(settings: &Settings) -> Self {
        Self {
            client_list: settings.client_list,
            config_metrics: settings.config_metrics,
            full: ALL,
            sections: ALL,
            percentiles: Paced::new(),
            run_id: String::new(),
            config: Paced::new(),
            slow_log: Paced::new(),
            spikes: Paced::new(),
            histograms: Paced::new(),
            keyspace: Keyspace::new(settings.keys.clone()),
            untouching: false,
        }
    }

    /// A new connection may lead to another server, or to the same with other rights.
    pub fn begin_anew(&mut self) {
        self.config.clear();
        self.slow_log.clear();
        self.spikes.clear();
        self.histograms.clear();
        self.percentiles.clear();
        (self.full, self.untouching) = (ALL, false);
    }

    /// The sections of INFO to ask for now.
    pub fn sections(&mut self, now: Instant) -> &'static [&'static str] {
        // Who told of no percentiles may not know of several sections either: Redis does since 7.0, which brought both.
        let told = self.percentiles.get().is_some_and(|percentiles| !percentiles.is_empty());
        self.sections = match (told && !self.percentiles.due(now), self.full == EVERYTHING) {
            (false, _) => self.full,
            (true, false) => QUICK,
            (true, true) => QUICK_WITH_MODULES,
        };
        self.sections
    }
}

/// A look under way.
pub struct Visit<'v> {
    connection: &'v mut Connection,
    text: &'v str,
    info: Info<'v>,
    facts: Facts,
    deadline: Instant,
    look: &'v mut Look,
}

impl<'v> Visit<'v> {
    /// Begins with INFO's answer.
    pub fn new(connection: &'v mut Connection, text: &'v str, deadline: Instant, look: &'v mut Look) -> Self {
        let info = Info::parse(text);
        let facts = Facts::of(&info, text);
        Self { connection, text, info, facts, deadline, look }
    }

    /// Shows and asks all. Gives why the server serves nobody, and what ended the connection.
    pub async fn run(&mut self, memory: &mut Memory) -> (Option<CollectError>, Result<(), Missed>) {
        if self.facts.run_id != memory.run_id {
            memory.run_id.clone_from(&self.facts.run_id);
            memory.keyspace.forget();
        }
        memory.full = if self.facts.telling_module { EVERYTHING } else { ALL };
        self.percentiles(memory);
        let asked = self.ask(memory).await;
        let config = memory.config.get();
        // A cluster's node has one database, whatever its settings say.
        let databases = if self.facts.mode == Mode::Cluster { Some(1) } else { config.and_then(Config::databases) };
        info::read(&self.info, databases, self.look);
        info::read_modules(self.text, self.look);
        (condition::judge(&self.facts, config, self.look), asked)
    }

    async fn ask(&mut self, memory: &mut Memory) -> Result<(), Missed> {
        if self.facts.mode == Mode::Sentinel {
            return self.sentinel(memory).await;
        }
        self.settings(memory).await?;
        self.slow_log(memory).await?;
        self.latencies(memory).await?;
        if self.facts.mode == Mode::Cluster {
            let answer = cluster::ask(self.connection, &self.info, self.deadline, self.look).await;
            self.note(answer)?;
        }
        self.clients(memory).await?;
        // While it loads, a server has no keys to show.
        if self.facts.loading { Ok(()) } else { self.keys(memory).await }
    }

    fn percentiles(&mut self, memory: &mut Memory) {
        if [ALL, EVERYTHING].contains(&memory.sections) {
            let mut seen = Look::new();
            info::read_percentiles(&self.info, &mut seen);
            memory.percentiles.set(Instant::now(), seen.into_blocks());
        }
        show(memory.percentiles.get().map_or(&[], Vec::as_slice), self.look);
    }

    async fn sentinel(&mut self, memory: &mut Memory) -> Result<(), Missed> {
        sentinel::read_info(&self.info, self.look);
        sentinel::ask(self.connection, memory.config_metrics, self.deadline, self.look).await?;
        memory.keyspace.show(self.look);
        self.clients(memory).await
    }

    async fn clients(&mut self, memory: &Memory) -> Result<(), Missed> {
        if memory.client_list {
            let answer = clients::ask(self.connection, self.facts.server_time, self.deadline, self.look).await;
            self.note(answer)?;
        }
        Ok(())
    }

    async fn settings(&mut self, memory: &mut Memory) -> Result<(), Missed> {
        let (now, all) = (Instant::now(), memory.config_metrics);
        if memory.config.due(now) {
            memory.config.clear();
            let answer = config::ask(self.connection, self.facts.version, all, self.deadline).await;
            if let Some(config) = self.note(answer)? {
                memory.config.set(now, config);
            }
        }
        if let Some(config) = memory.config.get() {
            config::read(config, all, self.look);
            config::advise(config, &self.facts, memory.keyspace.has_streams(), self.look);
        }
        Ok(())
    }

    async fn slow_log(&mut self, memory: &mut Memory) -> Result<(), Missed> {
        let now = Instant::now();
        if memory.slow_log.due(now) {
            let answer = slowlog::ask(self.connection, self.deadline).await;
            self.remember(&mut memory.slow_log, now, answer)?;
        }
        show(memory.slow_log.get().map_or(&[], Vec::as_slice), self.look);
        Ok(())
    }

    async fn latencies(&mut self, memory: &mut Memory) -> Result<(), Missed> {
        let now = Instant::now();
        if memory.spikes.due(now) {
            let answer = latency::ask_spikes(self.connection, self.deadline).await;
            self.remember(&mut memory.spikes, now, answer)?;
        }
        if self.facts.version >= (7, 0) && memory.histograms.due(now) {
            let usec: HashMap<&str, f64> = info::usec_by_command(&self.info);
            let answer = latency::ask_histograms(self.connection, &usec, self.deadline).await;
            self.remember(&mut memory.histograms, now, answer)?;
        }
        show(memory.spikes.get().map_or(&[], Vec::as_slice), self.look);
        show(memory.histograms.get().map_or(&[], Vec::as_slice), self.look);
        Ok(())
    }

    async fn keys(&mut self, memory: &mut Memory) -> Result<(), Missed> {
        if !memory.keyspace.is_idle() {
            self.leave_keys_untouched(memory).await?;
            let keyspace = &mut memory.keyspace;
            keyspace.work(self.connection, &self.facts, self.deadline, self.look).await?;
            let (keys, streams) = (keyspace.keys(), keyspace.streams());
            for keys in keys.chunk_by(|a, b| a.database == b.database) {
                let selected = self.connection.select(keys[0].database, self.deadline).await;
                if self.note(selected)?.is_none() {
                    continue;
                }
                let keys: Vec<&Key> = keys.iter().collect();
                keys::ask_checked(self.connection, &keys, self.deadline, self.look).await?;
            }
            for streams in streams.chunk_by(|a, b| a.database == b.database) {
                let selected = self.connection.select(streams[0].database, self.deadline).await;
                if self.note(selected)?.is_none() {
                    continue;
                }
                let streams: Vec<&Key> = streams.iter().collect();
                streams::ask(self.connection, &streams, self.deadline, self.look).await?;
            }
        }
        memory.keyspace.show(self.look);
        Ok(())
    }

    /// Being looked at must not save a key from eviction. Known since Redis 7.2.
    async fn leave_keys_untouched(&mut self, memory: &mut Memory) -> Result<(), Missed> {
        if !memory.untouching && self.facts.version >= (7, 2) {
            memory.untouching = true;
            let mut commands = redis::Pipeline::new();
            commands.cmd("CLIENT").arg("NO-TOUCH").arg("on");
            self.connection.ask_each("CLIENT NO-TOUCH", &mut commands, self.deadline).await?;
        }
        Ok(())
    }

    /// Keeps an answer that is shown for a while; what was forbidden or failed is forgotten.
    fn remember(
        &mut self,
        paced: &mut Paced<Vec<Block>>,
        asked: Instant,
        answer: Option<Result<Look, Missed>>,
    ) -> Result<(), Missed> {
        paced.clear();
        if let Some(seen) = self.note(answer)? {
            paced.set(asked, seen.into_blocks());
        }
        Ok(())
    }

    /// A refusal is noted and the look goes on; what ends the connection ends the look.
    fn note<T>(&mut self, answer: Option<Result<T, Missed>>) -> Result<Option<T>, Missed> {
        match answer {
            Some(Err(missed)) if !missed.broken => {
                self.look.missed(missed.error);
                Ok(None)
            }
            other => other.transpose(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::collect::TargetSettings as _;
    use crate::collect::paced::PACE;
    use crate::model::Problems;
    use crate::yaml::{Fields, parse};

    fn memory() -> Memory {
        let (node, problems) = (parse("{url: x}", "f.yml").unwrap(), Problems::new());
        let mut fields = Fields::of(&node, "a target", &problems).unwrap();
        fields.take("url");
        Memory::new(&Settings::read("redis://cache", &mut fields).unwrap())
    }

    #[test]
    fn percentiles_are_asked_once_a_pace_by_a_server_that_tells_them() {
        let (mut memory, now) = (memory(), Instant::now());
        assert_eq!(memory.sections(now), ALL);
        memory.percentiles.set(now, Vec::new());
        assert_eq!(memory.sections(now), ALL, "one that tells none may not know of several sections");
        let mut seen = Look::new();
        info::read_percentiles(
            &Info::parse("cmdstat_get:calls=1,usec=2\nlatency_percentiles_usec_get:p50=1\n"),
            &mut seen,
        );
        memory.percentiles.set(now, seen.into_blocks());
        assert_eq!(memory.sections(now + PACE / 2), QUICK);
        assert_eq!(memory.sections(now + PACE), ALL);
        memory.full = EVERYTHING;
        assert_eq!(memory.sections(now + PACE / 2), QUICK_WITH_MODULES);
        memory.begin_anew();
        assert_eq!(memory.sections(now), ALL);
    }
}
