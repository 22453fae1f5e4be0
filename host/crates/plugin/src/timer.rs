//! Timers: plugins that work in the background, each in one instance of the whole node.
//!
//! A plugin that registers `tick-ms` has a thread of its own, off the workers, so that a
//! tick that computes or waits holds up nobody else's. The instance has the same limits,
//! deadline and pauses after faults as those of the workers. Ticks never pile up: what is
//! due while one runs is skipped and counted.
//!
//! At a reload the old generation's timers are told to stop once all workers serve the new
//! one, and a plugin's new timer begins after the last tick of the old one of the same name
//! has ended. Its first tick is at once.

use crate::chain::{Chain, Loaded};
use crate::engine::PluginEngine;
use crate::fault::Broken;
use crate::log::Level;
use crate::pool::Next;
use crate::seen::{Hook, Said};
use crate::waiting;
use crate::worker::{Slot, Worker};
use std::collections::BTreeMap;
use std::future::Future;
use std::pin::pin;
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::Duration;
use tokio::sync::{Mutex as Turn, watch};
use tokio::time::{Instant, sleep_until};

/// Instances of a timer belong to no exchange.
const NO_EXCHANGE: u64 = 0;

/// The timers of the generation that serves; one for the process.
#[derive(Clone, Default)]
pub struct Timers {
    inner: Arc<Mutex<Inner>>,
}

#[derive(Default)]
struct Inner {
    /// Told, or dropped, to stop the threads of the generation that serves.
    running: Option<watch::Sender<bool>>,
    /// Held by a plugin's timer while it lives, by the plugin's name.
    turns: BTreeMap<Arc<str>, Weak<Turn<()>>>,
    /// Each thread has a sender: once all are gone, so are the threads.
    ends: Option<(SyncSender<()>, Receiver<()>)>,
    stopped: bool,
}

impl Timers {
    /// Without any generation yet.
    #[must_use]
    pub fn new() -> Self {
        let timers = Self::default();
        timers.lock().ends = Some(sync_channel(0));
        timers
    }

    /// Stops the timers of the generation before, and starts those of `chain`. Does not wait
    /// for anything. After [`Timers::stop`] nothing starts any more.
    pub fn switch(&self, chain: &Chain) {
        let mut inner = self.lock();
        if inner.stopped {
            return;
        }
        let (running, stop) = watch::channel(false);
        inner.running = Some(running);
        inner.turns.retain(|_, turn| turn.strong_count() > 0);
        let Some(alive) = inner.ends.as_ref().map(|(alive, _)| alive.clone()) else { return };
        for loaded in &chain.plugins {
            let Some(every) = loaded.registration.tick else { continue };
            let turn = inner.turn(&loaded.common.name);
            let timer = Timer { loaded: Arc::clone(loaded), engine: Arc::clone(&chain.engine), every, turn };
            let (stop, alive) = (stop.clone(), alive.clone());
            let name = format!("timer-{}", loaded.common.name);
            let spawned = std::thread::Builder::new().name(name).spawn(move || {
                timer.run(stop);
                drop(alive);
            });
            if let Err(error) = spawned {
                let common = &loaded.common;
                common.log.write(&common.name, Level::Error, &format!("no thread for its timer: {error}"), &[]);
            }
        }
    }

    /// Stops all timers and waits until their last ticks have ended, at most `limit`.
    /// False if one still runs then: it ends with the process. Blocks.
    #[must_use]
    pub fn stop(&self, limit: Duration) -> bool {
        let mut inner = self.lock();
        inner.stopped = true;
        inner.running = None;
        let Some((alive, ended)) = inner.ends.take() else { return true };
        drop((inner, alive));
        matches!(ended.recv_timeout(limit), Err(RecvTimeoutError::Disconnected))
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Inner {
    fn turn(&mut self, plugin: &Arc<str>) -> Arc<Turn<()>> {
        if let Some(turn) = self.turns.get(plugin).and_then(Weak::upgrade) {
            return turn;
        }
        let turn = Arc::default();
        self.turns.insert(Arc::clone(plugin), Arc::downgrade(&turn));
        turn
    }
}

/// One plugin's timer, on its own thread.
struct Timer {
    loaded: Arc<Loaded>,
    engine: Arc<PluginEngine>,
    every: Duration,
    turn: Arc<Turn<()>>,
}

impl Timer {
    fn run(self, mut stop: watch::Receiver<bool>) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        let runtime = match runtime {
            Ok(runtime) => runtime,
            Err(error) => {
                let common = &self.loaded.common;
                common.log.write(&common.name, Level::Error, &format!("no runtime for its timer: {error}"), &[]);
                return;
            }
        };
        let told = async {
            // Told, or nobody is left to tell: both mean the end.
            let _ = stop.wait_for(|stopped| *stopped).await;
        };
        runtime.block_on(self.tick_until(told));
    }

    /// Ticks until then. A tick that has begun is ended: it is bounded by its own limits.
    async fn tick_until(&self, told: impl Future<Output = ()>) {
        let mut told = pin!(told);
        // The generation before may be in its last tick.
        let _turn = tokio::select! {
            biased;
            () = &mut told => return,
            turn = self.turn.lock() => turn,
        };
        let (worker, slot) = (Worker::new(&self.engine), Slot::new(&self.loaded));
        let metrics = &self.loaded.common.metrics;
        let mut due = Instant::now();
        loop {
            tokio::select! {
                biased;
                () = &mut told => return,
                () = sleep_until(due) => {}
            }
            let pause = slot.pool.borrow().pause_left();
            if let Some(left) = pause {
                let (next, skipped) = next(due, self.every, Instant::now() + left);
                metrics.count_ticks_skipped(skipped + 1);
                due = next;
                continue;
            }
            metrics.count_tick();
            let ticked = match slot.waiting {
                None => self.tick(&worker, &slot),
                Some(_) => waiting::tick(&worker, &slot, NO_EXCHANGE).await,
            };
            if let Err(broken) = ticked {
                slot.report(&broken, Hook::Timer);
            }
            let skipped;
            (due, skipped) = next(due, self.every, Instant::now());
            metrics.count_ticks_skipped(skipped);
        }
    }

    /// One tick: an instance, the call, the instance back.
    fn tick(&self, worker: &Worker, slot: &Slot) -> Result<(), Broken> {
        let _running = worker.run();
        let mut instance = slot.pool.borrow_mut().take(&self.loaded, NO_EXCHANGE)?;
        // A trap leaves the instance in no known state: it is dropped here.
        let begun = slot.seen.begin(Hook::Timer);
        let ticked = instance.tick();
        slot.seen.end(begun);
        ticked?;
        slot.seen.said(Hook::Timer, Said::Pass);
        slot.pool.borrow_mut().put(&self.loaded, NO_EXCHANGE, instance, Next::AnyExchange);
        Ok(())
    }
}

/// When the tick after `due` is, if it is `now`: on the grid that the first one began, never
/// in the past; and how many were missed.
fn next(due: Instant, every: Duration, now: Instant) -> (Instant, u64) {
    let late = now.saturating_duration_since(due).as_nanos();
    let every_ns = every.as_nanos().max(1);
    // One that is due exactly now is not late.
    let missed = late.saturating_sub(1) / every_ns;
    let missed_32 = u32::try_from(missed).unwrap_or(u32::MAX);
    let next = every.checked_mul(missed_32.saturating_add(1)).and_then(|ahead| due.checked_add(ahead));
    // Beyond what the clock can say: it starts anew from now.
    (next.unwrap_or(now + every), u64::try_from(missed).unwrap_or(u64::MAX))
}

#[cfg(test)]
mod tests {
    use super::next;
    use std::time::Duration;
    use tokio::time::Instant;

    #[test]
    fn late_ticks_are_skipped_and_the_grid_stays() {
        let start = Instant::now();
        let at = |ms| start + Duration::from_millis(ms);
        for (now_ms, next_ms, skipped) in [
            (0, 100, 0),
            (1, 100, 0),
            (99, 100, 0),
            (100, 100, 0),
            (101, 200, 1),
            (200, 200, 1),
            (201, 300, 2),
            (1_000_050, 1_000_100, 10_000),
        ] {
            assert_eq!(next(start, Duration::from_millis(100), at(now_ms)), (at(next_ms), skipped), "{now_ms}");
        }
    }
}
