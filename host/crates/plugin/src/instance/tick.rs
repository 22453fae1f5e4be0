//! The timer hook of an instance.

use super::Instance;
use crate::fault::Broken;
use crate::state::Phase;

impl Instance {
    /// Runs the timer hook, without an exchange.
    pub(crate) fn tick(&mut self) -> Result<(), Broken> {
        let Some(hook) = self.hooks.timer.clone() else { return Ok(()) };
        self.begin_tick();
        let outcome = hook.call_tick(&mut self.store);
        self.finish_tick(outcome)
    }

    pub(super) fn begin_tick(&mut self) {
        self.calls += 1;
        self.store.data_mut().enter_alone(Phase::Tick);
    }

    pub(super) fn finish_tick(&mut self, outcome: wasmtime::Result<()>) -> Result<(), Broken> {
        let state = self.store.data_mut();
        let denied = state.limiter.denied;
        // It gives back nothing: a tick has no exchange.
        drop(state.leave());
        let outcome = outcome.map_err(|error| Broken::of(&error, denied));
        self.end_probe(outcome.as_ref().err());
        outcome
    }
}
