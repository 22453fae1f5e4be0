//! The body hooks of an instance.

use super::Instance;
use crate::bindings::contract::types::{ChunkVerdict, EndVerdict, Header, WholeVerdict};
use crate::edit::Side;
use crate::fault::Broken;
use crate::state::Phase;
use wasmtime::component::ResourceAny;
use wire::Exchange;

/// What a call gives back: the exchange always.
type Back<T> = (Box<Exchange>, Result<T, Broken>);

pub(super) fn phase(side: Side) -> Phase {
    match side {
        Side::Request => Phase::RequestBody,
        Side::Response => Phase::ResponseBody,
    }
}

/// The linker has looked every function up, and only those that are there are asked for.
pub(super) fn absent() -> wasmtime::Error {
    wasmtime::Error::msg("the hook is not exported")
}

impl Instance {
    /// Opens an inspector.
    pub(crate) fn open(&mut self, side: Side, exchange: Box<Exchange>) -> Back<ResourceAny> {
        let (request, response) = (self.hooks.request_body.clone(), self.hooks.response_body.clone());
        self.inside(phase(side), exchange, |store| match side {
            Side::Request => request.ok_or_else(absent)?.call_open(store),
            Side::Response => response.ok_or_else(absent)?.call_open(store),
        })
    }

    /// Shows a chunk to an inspector.
    pub(crate) fn chunk(
        &mut self,
        side: Side,
        body: ResourceAny,
        data: &[u8],
        exchange: Box<Exchange>,
    ) -> Back<ChunkVerdict> {
        let (request, response) = (self.hooks.request_body.clone(), self.hooks.response_body.clone());
        self.inside(phase(side), exchange, |store| match side {
            Side::Request => request.ok_or_else(absent)?.inspector().call_chunk(store, body, data),
            Side::Response => response.ok_or_else(absent)?.inspector().call_chunk(store, body, data),
        })
    }

    /// Tells an inspector the body's end.
    pub(crate) fn end(
        &mut self,
        side: Side,
        body: ResourceAny,
        trailers: &[Header],
        exchange: Box<Exchange>,
    ) -> Back<EndVerdict> {
        let (request, response) = (self.hooks.request_body.clone(), self.hooks.response_body.clone());
        self.inside(phase(side), exchange, |store| match side {
            Side::Request => request.ok_or_else(absent)?.inspector().call_end(store, body, trailers),
            Side::Response => response.ok_or_else(absent)?.inspector().call_end(store, body, trailers),
        })
    }

    /// Drops an inspector, which runs its destructor.
    pub(crate) fn close(&mut self, side: Side, body: ResourceAny, exchange: Box<Exchange>) -> Back<()> {
        self.inside(phase(side), exchange, |store| body.resource_drop(store))
    }

    /// Shows a whole body; its head can still be changed.
    pub(crate) fn whole(
        &mut self,
        side: Side,
        body: &[u8],
        complete: bool,
        exchange: Box<Exchange>,
    ) -> Back<WholeVerdict> {
        let (request, response) = (self.hooks.request_whole.clone(), self.hooks.response_whole.clone());
        let phase = match side {
            Side::Request => Phase::Request,
            Side::Response => Phase::Response,
        };
        self.inside(phase, exchange, |store| match side {
            Side::Request => request.ok_or_else(absent)?.call_handle(store, body, complete),
            Side::Response => response.ok_or_else(absent)?.call_handle(store, body, complete),
        })
    }

    /// The last body hook's notes and attributes reach the hooks to come.
    pub(crate) fn keep_late(&mut self, exchange: &Exchange) {
        self.store.data_mut().keep_late(exchange);
    }
}
