//! The plugin clock: a thread that advances the engines' epochs each millisecond
//! while some hook runs, and sleeps when none does.

use crate::budget::TICK;
use crate::state::Common;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::thread::{JoinHandle, Thread};
use std::time::Instant;
use wasmtime::Engine;

/// Wake-ups without a running hook after which the thread sleeps.
const IDLE_TICKS: u32 = 100;
/// Ticks between two looks at log lines that were dropped.
const SETTLE_TICKS: u32 = 250;
/// Most epochs that are made up for after a late wake-up; each only makes the host look
/// at the hooks that run.
const LATE_EPOCHS_MAX: u32 = 20;

/// Owns the thread; dropping it stops and joins it.
pub(crate) struct Ticker {
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

struct Shared {
    parked: AtomicBool,
    stop: AtomicBool,
    /// Those whose epochs pass.
    engines: Mutex<Vec<Engine>>,
    /// One per worker: each counts hooks on a cache line of its own.
    workers: Mutex<Vec<Weak<Activity>>>,
    /// Plugins whose dropped log lines are told when a second is over.
    plugins: Mutex<Vec<Weak<Common>>>,
}

/// A worker's running hooks: odd while one runs.
#[repr(align(128))]
struct Activity(AtomicU64);

/// A worker's handle to the ticker.
pub(crate) struct Pulse {
    activity: Arc<Activity>,
    shared: Arc<Shared>,
    thread: Thread,
}

/// While it lives, epochs pass.
pub(crate) struct Running<'a>(&'a Pulse);

impl Ticker {
    pub(crate) fn start(engine: Engine) -> std::io::Result<Self> {
        let shared = Arc::new(Shared {
            parked: AtomicBool::new(false),
            stop: AtomicBool::new(false),
            engines: Mutex::new(vec![engine]),
            workers: Mutex::new(Vec::new()),
            plugins: Mutex::new(Vec::new()),
        });
        let seen = Arc::clone(&shared);
        let thread = std::thread::Builder::new().name("plugin-clock".to_owned()).spawn(move || seen.run())?;
        Ok(Self { shared, thread: Some(thread) })
    }

    /// A new handle, for one worker.
    pub(crate) fn pulse(&self) -> Option<Pulse> {
        let thread = self.thread.as_ref()?.thread().clone();
        let activity = Arc::new(Activity(AtomicU64::new(0)));
        let mut workers = self.shared.workers.lock().unwrap_or_else(PoisonError::into_inner);
        workers.retain(|worker| worker.strong_count() > 0);
        workers.push(Arc::downgrade(&activity));
        Some(Pulse { activity, shared: Arc::clone(&self.shared), thread })
    }

    /// From now on, this engine's epochs pass too.
    pub(crate) fn drive(&self, engine: Engine) {
        self.shared.engines.lock().unwrap_or_else(PoisonError::into_inner).push(engine);
    }

    /// From now on, lines that the plugin's log drops are told.
    pub(crate) fn watch(&self, plugin: &Arc<Common>) {
        let mut plugins = self.shared.plugins.lock().unwrap_or_else(PoisonError::into_inner);
        plugins.retain(|plugin| plugin.strong_count() > 0);
        plugins.push(Arc::downgrade(plugin));
    }

    #[cfg(test)]
    pub(crate) fn is_parked(&self) -> bool {
        self.shared.parked.load(Ordering::SeqCst)
    }
}

impl Drop for Ticker {
    fn drop(&mut self) {
        self.shared.stop.store(true, Ordering::SeqCst);
        if let Some(thread) = self.thread.take() {
            thread.thread().unpark();
            // A panic of the clock thread has been told by the panic hook already.
            drop(thread.join());
        }
    }
}

impl Pulse {
    /// Marks that hooks run. Not nested: one at a time per worker.
    pub(crate) fn run(&self) -> Running<'_> {
        // Sequentially consistent on both sides: either the ticker sees that we run
        // before it sleeps, or we see that it sleeps and wake it.
        self.activity.0.fetch_add(1, Ordering::SeqCst);
        if self.shared.parked.load(Ordering::SeqCst) {
            self.thread.unpark();
        }
        Running(self)
    }
}

impl Drop for Running<'_> {
    fn drop(&mut self) {
        self.0.activity.0.fetch_add(1, Ordering::Release);
    }
}

impl Shared {
    fn run(&self) {
        let mut idle = 0;
        let mut counts = 0;
        let mut ticks = 0_u32;
        let mut due = Instant::now() + TICK;
        while !self.stop.load(Ordering::SeqCst) {
            std::thread::park_timeout(due.saturating_duration_since(Instant::now()));
            due = self.advance(due);
            let (running, sum) = self.look();
            idle = if running || sum != counts { 0 } else { idle + 1 };
            counts = sum;
            ticks = ticks.wrapping_add(1);
            let at_rest = idle >= IDLE_TICKS;
            let settled = (!at_rest && !ticks.is_multiple_of(SETTLE_TICKS)) || self.settle();
            if at_rest && settled {
                idle = 0;
                self.sleep();
                due = Instant::now() + TICK;
            }
        }
    }

    /// Whether some hook runs now, and how many have begun or ended at all.
    fn look(&self) -> (bool, u64) {
        let workers = self.workers.lock().unwrap_or_else(PoisonError::into_inner);
        workers.iter().filter_map(Weak::upgrade).fold((false, 0), |(running, sum), worker| {
            let count = worker.0.load(Ordering::SeqCst);
            (running || count % 2 == 1, sum.wrapping_add(count))
        })
    }

    /// Tells what was dropped; false while some plugin's second is not over.
    fn settle(&self) -> bool {
        let plugins = self.plugins.lock().unwrap_or_else(PoisonError::into_inner);
        plugins.iter().filter_map(Weak::upgrade).fold(true, |settled, plugin| plugin.settle_log() & settled)
    }

    /// Lets the epochs pass that are due, and says when the next one is: by the clock,
    /// so that late wake-ups do not add up.
    fn advance(&self, mut due: Instant) -> Instant {
        let engines = self.engines.lock().unwrap_or_else(PoisonError::into_inner);
        let now = Instant::now();
        for _ in 0..LATE_EPOCHS_MAX {
            if due > now {
                return due;
            }
            engines.iter().for_each(Engine::increment_epoch);
            due += TICK;
        }
        now + TICK
    }

    fn sleep(&self) {
        self.parked.store(true, Ordering::SeqCst);
        while !self.stop.load(Ordering::SeqCst) && !self.look().0 {
            std::thread::park();
        }
        self.parked.store(false, Ordering::SeqCst);
    }
}

#[cfg(test)]
mod tests {
    use crate::engine::{EngineSettings, PluginEngine};
    use std::time::{Duration, Instant};

    #[test]
    fn the_clock_sleeps_when_idle_and_wakes_for_a_hook() {
        let engine =
            PluginEngine::new(&EngineSettings { instances_max: 2, ..EngineSettings::default() }).expect("an engine");
        let pulse = engine.ticker().pulse().expect("a running ticker");
        let until = Instant::now() + Duration::from_secs(10);
        while !engine.ticker().is_parked() {
            assert!(Instant::now() < until, "never slept");
            std::thread::yield_now();
        }
        let running = pulse.run();
        while engine.ticker().is_parked() {
            assert!(Instant::now() < until, "never woke");
            std::thread::yield_now();
        }
        drop(running);
    }
}
