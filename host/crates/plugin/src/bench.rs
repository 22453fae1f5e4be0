//! Compiling in this process: where no compiler could be started as one of its own.

use crate::compile::{CompileError, reason};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{RecvTimeoutError, sync_channel};
use std::time::Duration;
use wasmtime::Engine;

/// Most compilations that run at once, those that were given up included.
const PLACES: usize = 2;

/// Where components are compiled, each on a thread of its own.
///
/// Nothing stops a compilation from outside. One that takes too long is given up: its thread
/// runs on to its end at the cost of a processor, and what it makes is dropped. Until then it
/// holds its place, so that no more than [`PLACES`] such threads run however often somebody
/// tries; with all places taken, whoever comes is refused.
#[derive(Default)]
pub(crate) struct Bench {
    taken: Arc<AtomicUsize>,
}

/// A place, given back when the thread ends.
struct Place(Arc<AtomicUsize>);

impl Bench {
    /// Machine code of a component.
    ///
    /// # Errors
    /// It is not valid, or takes too long, or no place is free.
    pub(crate) fn compile(
        &self,
        engine: &Engine,
        component: &Arc<[u8]>,
        limit: Duration,
    ) -> Result<Vec<u8>, CompileError> {
        let (engine, component) = (engine.clone(), Arc::clone(component));
        self.run(limit, move || {
            engine.precompile_component(&component).map_err(|error| CompileError::Invalid(reason(&error)))
        })
    }

    fn run(
        &self,
        limit: Duration,
        job: impl FnOnce() -> Result<Vec<u8>, CompileError> + Send + 'static,
    ) -> Result<Vec<u8>, CompileError> {
        let place = self.place().ok_or(CompileError::Busy(PLACES))?;
        let (done, answers) = sync_channel(1);
        let thread = std::thread::Builder::new().name("plugin-compiler".to_owned());
        let started = thread.spawn(move || {
            let answer = job();
            drop(place);
            // Whoever asked may have given up.
            let _ = done.send(answer);
        });
        started.map_err(|error| CompileError::Invalid(format!("no thread to compile it on: {error}")))?;
        match answers.recv_timeout(limit) {
            Ok(answer) => answer,
            Err(RecvTimeoutError::Timeout) => Err(CompileError::TooSlow(limit.as_millis())),
            Err(RecvTimeoutError::Disconnected) => Err(CompileError::Invalid("the compiler panicked".to_owned())),
        }
    }

    fn place(&self) -> Option<Place> {
        let free = |taken: usize| (taken < PLACES).then_some(taken + 1);
        self.taken.fetch_update(Ordering::AcqRel, Ordering::Acquire, free).ok()?;
        Some(Place(Arc::clone(&self.taken)))
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::AcqRel);
    }
}

#[cfg(test)]
mod tests {
    use super::{Bench, PLACES};
    use crate::compile::CompileError;
    use std::sync::mpsc::sync_channel;
    use std::time::Duration;

    const LONG: Duration = Duration::from_secs(60);

    #[test]
    fn what_takes_too_long_is_given_up_and_holds_its_place_to_its_end() {
        let bench = Bench::default();
        let mut gates = Vec::new();
        for _ in 0..PLACES {
            let (open, gate) = sync_channel::<()>(1);
            gates.push(open);
            let endless = move || {
                // Ends when the other side is dropped.
                let _ = gate.recv();
                Ok(Vec::new())
            };
            assert_eq!(bench.run(Duration::from_millis(5), endless), Err(CompileError::TooSlow(5)));
        }
        assert_eq!(bench.run(LONG, || Ok(Vec::new())), Err(CompileError::Busy(PLACES)));
        gates.pop();
        let until = std::time::Instant::now() + LONG;
        while bench.run(LONG, || Ok(vec![1])) != Ok(vec![1]) {
            assert!(std::time::Instant::now() < until, "its place was never free again");
            std::thread::yield_now();
        }
    }

    #[test]
    fn a_compiler_that_panics_refuses_one_component() {
        let bench = Bench::default();
        for _ in 0..=PLACES {
            let answer = bench.run(LONG, || panic!("on purpose"));
            assert_eq!(answer, Err(CompileError::Invalid("the compiler panicked".to_owned())));
        }
        assert_eq!(bench.run(LONG, || Ok(vec![1])), Ok(vec![1]));
    }
}
