//! A new generation beside the old: prepare all, swap, retire.
//!
//! One reload at a time. Whoever asks while one runs is served by the next,
//! together with all others who asked meanwhile; a start of the application that
//! is under way is given up for it, since the files have changed again.

use crate::cli::RunArgs;
use crate::generation::{Alive, Plan};
use crate::lasting::Lasting;
use crate::prepare::{self, Built, Found};
use crate::watching::Targets;
use config::{Position, Problem, Problems, Severity};
use edge::EdgeSettings;
use observe::event::Line;
use observe::{Level, Log};
use process::{Control, NotReplaced, Why};
use std::path::PathBuf;
use std::pin::pin;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::sync::{mpsc, oneshot, watch};
use tokio::time::timeout;

/// Asks that may wait for the one that is carried out.
pub(crate) const ASKS_MAX: usize = 16;
/// How long the workers may take to let new requests see a new generation.
const TAKE_UP_TIME_MAX: Duration = Duration::from_secs(5);

/// Why the files are taken anew.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Cause {
    /// Somebody asked: `gatelodge reload`, SIGHUP.
    Asked,
    /// web.config changed.
    WebConfig(PathBuf),
    /// plugins.toml, or a file that it names, changed.
    Plugins(PathBuf),
    /// A file that `[host.backend] watch` or `recycleOnFileChange` names changed.
    Watched(PathBuf),
}

/// A wish for a reload, with the way back to whoever has it.
pub(crate) struct Ask {
    /// Why.
    pub(crate) cause: Cause,
    /// Where the outcome goes.
    pub(crate) done: Option<oneshot::Sender<Outcome>>,
}

/// What became of a reload.
pub(crate) type Outcome = Result<Done, Refused>;

/// A reload that was carried out.
#[derive(Clone, Debug)]
pub(crate) struct Done {
    /// Number of the generation that serves now.
    pub(crate) generation: u64,
    /// Instances of the application that were replaced.
    pub(crate) instances: u16,
    /// From the ask to the takeover.
    pub(crate) elapsed: Duration,
}

impl std::fmt::Display for Done {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let (generation, ms) = (self.generation, self.elapsed.as_millis());
        match self.instances {
            0 => write!(f, "generation {generation} serves after {ms} ms; no instance of the application was replaced"),
            count => write!(f, "generation {generation} serves after {ms} ms; instances replaced: {count}"),
        }
    }
}

/// A reload that was not carried out: what ran before runs on.
#[derive(Clone, Debug)]
pub(crate) enum Refused {
    /// The files are wrong, or hold what can't change while the host runs.
    Files(Problems),
    /// The application did not start by them.
    App(String),
    /// The host stops.
    Stopping,
}

/// Last lines of an application that did not start, that whoever asked is shown.
const LAST_LINES_MAX: usize = 5;

/// Why the application was not replaced, and what it said last, where it said something.
fn with_last_words(not: &NotReplaced) -> String {
    let mut text = not.to_string();
    if let NotReplaced::Failed(report) = not {
        let skipped = report.last_lines.len().saturating_sub(LAST_LINES_MAX);
        for line in report.last_lines.iter().skip(skipped) {
            text.push_str("\n  ");
            text.push_str(line);
        }
    }
    text
}

impl std::fmt::Display for Refused {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Files(problems) => write!(f, "{problems}nothing was changed: what ran before runs on"),
            Self::App(what) => write!(f, "{what}\nnothing was changed: what ran before runs on"),
            Self::Stopping => f.write_str("the host is stopping"),
        }
    }
}

/// What `gatelodge status` tells of the last reload.
#[derive(Clone, Debug)]
pub(crate) struct Last {
    /// Number of the generation that serves.
    pub(crate) generation: u64,
    /// Generations that some request still runs in, the current one included.
    pub(crate) alive: usize,
    /// When the last reload ended, and what was wrong with it.
    pub(crate) outcome: Option<(Instant, Result<(), String>)>,
    /// Reloads carried out, and refused.
    pub(crate) counts: (u64, u64),
}

impl Last {
    /// Before any reload.
    pub(crate) fn first() -> Self {
        Self { generation: 1, alive: 1, outcome: None, counts: (0, 0) }
    }
}

/// Carries reloads out.
pub(crate) struct Reloader {
    /// The command line, which stays.
    pub(crate) args: RunArgs,
    /// What the running generation was made of.
    pub(crate) current: Found,
    /// The log.
    pub(crate) log: Log,
    /// What plugins keep over all generations.
    pub(crate) lasting: Arc<Lasting>,
    /// Process supervision.
    pub(crate) control: Control,
    /// The front door's settings.
    pub(crate) edge: watch::Sender<Arc<EdgeSettings>>,
    /// The workers' plans.
    pub(crate) plans: watch::Sender<Arc<Plan>>,
    /// Numbers of plans that workers took up.
    pub(crate) taken: mpsc::Receiver<u64>,
    /// How many workers there are.
    pub(crate) workers: u16,
    /// The generations that live.
    pub(crate) alive: Alive,
    /// For `status`.
    pub(crate) last: watch::Sender<Last>,
    /// What file watching should look at.
    pub(crate) targets: watch::Sender<Arc<Targets>>,
}

impl Reloader {
    /// Serves asks until nobody can ask any more.
    pub(crate) async fn run(mut self, mut asks: mpsc::Receiver<Ask>) {
        let mut newer: Option<Newer> = None;
        loop {
            let (first, prepared) = match newer.take() {
                Some(newer) => (newer.ask, Some(newer.prepared)),
                None => match asks.recv().await {
                    Some(ask) => (ask, None),
                    None => return,
                },
            };
            let mut waiting = vec![first];
            if prepared.is_none() {
                while let Ok(more) = asks.try_recv() {
                    waiting.push(more);
                }
            }
            let causes: Vec<Cause> = waiting.iter().map(|ask| ask.cause.clone()).collect();
            let outcome;
            (outcome, newer) = self.reload(&causes, prepared, &mut asks).await;
            self.tell(&causes, &outcome);
            waiting.into_iter().for_each(|ask| ask.answer(&outcome));
        }
    }

    /// Carries one out. Gives back an ask that came while the application started
    /// and is good: it takes the place of this one.
    async fn reload(
        &mut self,
        causes: &[Cause],
        prepared: Option<(Found, Built)>,
        asks: &mut mpsc::Receiver<Ask>,
    ) -> (Outcome, Option<Newer>) {
        let began = Instant::now();
        let (found, built) = match prepared {
            Some(prepared) => prepared,
            None => match self.prepare().await {
                Ok(prepared) => prepared,
                Err(problems) => return (Err(Refused::Files(problems)), None),
            },
        };
        let mut instances = 0;
        if let Some(why) = self.replacement(causes, &found) {
            match self.replace(&found, why, asks).await {
                Ok(replaced) => instances = replaced,
                Err(stopped) => return *stopped,
            }
        }
        let generation = self.swap(found, built).await;
        (Ok(Done { generation, instances, elapsed: began.elapsed() }), None)
    }

    /// Replaces the application's instances; how many.
    async fn replace(
        &mut self,
        found: &Found,
        why: Why,
        asks: &mut mpsc::Receiver<Ask>,
    ) -> Result<u16, Box<(Outcome, Option<Newer>)>> {
        let control = self.control.clone();
        let mut replacing = pin!(control.replace(Some(found.settled.process.clone()), why));
        let answer = loop {
            tokio::select! {
                biased;
                answer = &mut replacing => break answer,
                Some(ask) = asks.recv() => match self.prepare().await {
                    Ok(prepared) => {
                        let refused = Refused::App("a newer reload took its place".to_owned());
                        return Err(Box::new((Err(refused), Some(Newer { ask, prepared }))));
                    }
                    // The files are wrong now; what was right a moment ago goes on.
                    Err(problems) => {
                        let outcome = Err(Refused::Files(problems));
                        self.tell(std::slice::from_ref(&ask.cause), &outcome);
                        ask.answer(&outcome);
                    }
                },
            }
        };
        answer.map(|replaced| replaced.instances).map_err(|not| {
            let refused = match not {
                NotReplaced::Stopping => Refused::Stopping,
                not => Refused::App(with_last_words(&not)),
            };
            Box::new((Err(refused), None))
        })
    }

    /// Everything that may fail, beside the running generation.
    async fn prepare(&self) -> Result<(Found, Built), Problems> {
        let (args, log, lasting) = (self.args.clone(), self.log.clone(), Arc::clone(&self.lasting));
        let task = tokio::task::spawn_blocking(move || {
            let found = prepare::find(&args)?;
            let built = prepare::build(&found, &args, &log, &lasting)?;
            Ok((found, built))
        });
        let (found, built) = task.await.unwrap_or_else(|_| Err(broken()))?;
        let fixed = fixed(&self.current, &found);
        if fixed.is_empty() { Ok((found, built)) } else { Err(Problems::new(fixed)) }
    }

    /// Why the application is replaced; none: it runs on.
    fn replacement(&self, causes: &[Cause], found: &Found) -> Option<Why> {
        let changed = found.settled.process != self.current.settled.process;
        let why = causes.iter().find_map(|cause| match cause {
            Cause::Asked => Some(Why::Asked),
            Cause::Watched(file) => Some(Why::FileChanged(file.display().to_string())),
            Cause::WebConfig(_) => Some(Why::Configuration),
            Cause::Plugins(_) => changed.then_some(Why::Configuration),
        });
        let by_itself = causes.iter().all(|cause| matches!(cause, Cause::WebConfig(_) | Cause::Plugins(_)));
        if by_itself && found.settled.keeps_app_on_change {
            return None;
        }
        why
    }

    /// Lets new requests see the new world, and waits until all workers do.
    async fn swap(&mut self, found: Found, built: Built) -> u64 {
        prepare::warn(&self.log, &found.loaded.document.warnings);
        let number = self.plans.borrow().number + 1;
        self.alive.add(&built.site);
        let chain = Arc::clone(&built.chain);
        self.edge.send_replace(Arc::new(found.settled.edge.clone()));
        self.plans.send_replace(Plan::new(number, &found.settled, built));
        self.targets.send_replace(Arc::new(Targets::of(&found)));
        self.current = found;
        let all = async {
            let mut left = self.workers;
            while left > 0 {
                match self.taken.recv().await {
                    Some(taken) if taken == number => left -= 1,
                    Some(_) => {}
                    None => return,
                }
            }
        };
        if timeout(TAKE_UP_TIME_MAX, all).await.is_err() {
            let message = "some worker has not taken the new generation up yet: it is busy".to_owned();
            self.log.tell(&Line { level: Level::Warn, name: "reload-slow", message, fields: Vec::new() });
        }
        self.lasting.timers.switch(&chain);
        number
    }

    fn tell(&self, causes: &[Cause], outcome: &Outcome) {
        let mut fields = vec![("cause".to_owned(), causes.iter().map(Cause::as_str).collect::<Vec<_>>().join(","))];
        fields.extend(causes.iter().find_map(Cause::file).map(|file| ("file".to_owned(), file)));
        let (level, name, message) = match outcome {
            Ok(done) => (Level::Info, "reloaded", done.to_string()),
            Err(refused) => (Level::Error, "reload-refused", refused.to_string()),
        };
        self.log.tell(&Line { level, name, message, fields });
        self.last.send_modify(|last| {
            last.generation = self.plans.borrow().number;
            last.alive = self.alive.count();
            match outcome {
                Ok(_) => last.counts.0 += 1,
                Err(_) => last.counts.1 += 1,
            }
            last.outcome = Some((Instant::now(), outcome.as_ref().map(|_| ()).map_err(ToString::to_string)));
        });
    }
}

/// An ask that came while another one was carried out, with what it needs.
struct Newer {
    ask: Ask,
    prepared: (Found, Built),
}

impl Ask {
    fn answer(self, outcome: &Outcome) {
        if let Some(done) = self.done {
            // Whoever asked may have left.
            let _ = done.send(outcome.clone());
        }
    }
}

impl Cause {
    fn as_str(&self) -> &'static str {
        match self {
            Self::Asked => "asked",
            Self::WebConfig(_) => "web-config-changed",
            Self::Plugins(_) => "plugins-changed",
            Self::Watched(_) => "file-changed",
        }
    }

    fn file(&self) -> Option<String> {
        match self {
            Self::Asked => None,
            Self::WebConfig(file) | Self::Plugins(file) | Self::Watched(file) => Some(file.display().to_string()),
        }
    }
}

/// What can't change while the host runs, where it did.
fn fixed(old: &Found, new: &Found) -> Vec<Problem> {
    let host = &new.loaded.document.plugins_toml.host;
    let file = new.loaded.document.plugins_toml.path.clone().unwrap_or_default();
    let mut problems = Vec::new();
    let mut check = |changed: bool, name: &str, at: Option<Position>| {
        if changed {
            let at = at.unwrap_or(Position { line: 0, column: 0 });
            problems.push(Problem {
                severity: Severity::Error,
                file: file.clone(),
                line: at.line,
                column: at.column,
                what: format!("`{name}` can't change while the host runs"),
                help: Some("put the old value back, or stop Gatelodge and start it again".to_owned()),
            });
        }
    };
    let (before, after) = (&old.settled, &new.settled);
    check(before.listen != after.listen, "listen", host.listen.at);
    check(before.workers != after.workers, "workers", host.workers.at);
    check(before.log.format != after.log.format, "format", host.log.format.at);
    check(before.log.level != after.log.level, "level", host.log.level.at);
    check(before.admin != after.admin, "admin", host.admin.at);
    let (before, after) = (&old.loaded.document.plugins_toml.host.plugins, &host.plugins);
    check(before.cache.value != after.cache.value, "cache", after.cache.at);
    for (old, new, name) in [
        (before.cache_bytes_max, after.cache_bytes_max, "cache_bytes_max"),
        (before.compile_ms_max, after.compile_ms_max, "compile_ms_max"),
        (before.slots_max, after.slots_max, "slots_max"),
        (before.large_slots_max, after.large_slots_max, "large_slots_max"),
    ] {
        check(old.value != new.value, name, new.at);
    }
    problems
}

fn broken() -> Problems {
    Problems::new(vec![crate::load::flag(
        "reload",
        "preparing the new generation failed inside the host".into(),
        "see the log",
    )])
}

#[cfg(test)]
mod tests;
