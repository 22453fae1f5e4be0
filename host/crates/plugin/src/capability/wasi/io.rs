//! `wasi:io`: input that is at its end, and polls that never wait.

use super::handles::{InputStream, IoError, Pollable};
use crate::bindings::wasi::wasi::io::streams::StreamError;
use crate::bindings::wasi::wasi::io::{error, poll, streams};
use crate::state::State;
use wasmtime::component::{Resource, ResourceTable};

/// Most polls of an instance at one time; more is a trap.
const POLLABLES_MAX: usize = 1_024;

impl InputStream {
    pub(crate) fn stdin() -> Resource<Self> {
        Resource::new_own(0)
    }
}

/// What an instance polls for.
pub(crate) struct Streams {
    pollables: ResourceTable,
}

impl Streams {
    pub(crate) fn new() -> Self {
        let mut pollables = ResourceTable::new();
        pollables.set_max_capacity(POLLABLES_MAX);
        Self { pollables }
    }

    pub(crate) fn pollable(&mut self, pollable: Pollable) -> wasmtime::Result<Resource<Pollable>> {
        Ok(self.pollables.push(pollable)?)
    }
}

impl State {
    fn is_ready(&mut self, pollable: &Resource<Pollable>) -> wasmtime::Result<bool> {
        Ok(match *self.streams.pollables.get(pollable)? {
            Pollable::Ready => true,
            Pollable::At(at) => at <= self.now().monotonic_ns,
        })
    }
}

fn would_wait() -> wasmtime::Error {
    wasmtime::Error::msg("it wants to wait, and a hook never waits")
}

impl error::Host for State {}

impl error::HostError for State {
    fn to_debug_string(&mut self, _error: Resource<IoError>) -> wasmtime::Result<String> {
        Ok("closed".to_owned())
    }

    fn drop(&mut self, _error: Resource<IoError>) -> wasmtime::Result<()> {
        Ok(())
    }
}

impl poll::Host for State {
    fn poll(&mut self, asked: Vec<Resource<Pollable>>) -> wasmtime::Result<Vec<u32>> {
        let mut ready = Vec::new();
        for (at, pollable) in (0..).zip(&asked) {
            if self.is_ready(pollable)? {
                ready.push(at);
            }
        }
        // Also for an empty list, which would wait for ever.
        if ready.is_empty() { Err(would_wait()) } else { Ok(ready) }
    }
}

impl poll::HostPollable for State {
    fn ready(&mut self, pollable: Resource<Pollable>) -> wasmtime::Result<bool> {
        self.is_ready(&pollable)
    }

    fn block(&mut self, pollable: Resource<Pollable>) -> wasmtime::Result<()> {
        if self.is_ready(&pollable)? { Ok(()) } else { Err(would_wait()) }
    }

    fn drop(&mut self, pollable: Resource<Pollable>) -> wasmtime::Result<()> {
        self.streams.pollables.delete(pollable)?;
        Ok(())
    }
}

impl streams::Host for State {}

impl streams::HostInputStream for State {
    fn read(&mut self, _: Resource<InputStream>, _len: u64) -> wasmtime::Result<Result<Vec<u8>, StreamError>> {
        Ok(Err(StreamError::Closed))
    }

    fn blocking_read(&mut self, _: Resource<InputStream>, _len: u64) -> wasmtime::Result<Result<Vec<u8>, StreamError>> {
        Ok(Err(StreamError::Closed))
    }

    fn skip(&mut self, _: Resource<InputStream>, _len: u64) -> wasmtime::Result<Result<u64, StreamError>> {
        Ok(Err(StreamError::Closed))
    }

    fn blocking_skip(&mut self, _: Resource<InputStream>, _len: u64) -> wasmtime::Result<Result<u64, StreamError>> {
        Ok(Err(StreamError::Closed))
    }

    fn subscribe(&mut self, _: Resource<InputStream>) -> wasmtime::Result<Resource<Pollable>> {
        self.streams.pollable(Pollable::Ready)
    }

    fn drop(&mut self, _: Resource<InputStream>) -> wasmtime::Result<()> {
        Ok(())
    }
}
