//! `exchange`: the exchange in progress, for what was not declared beforehand.

use crate::bindings::contract::exchange::{Host, Side};
use crate::bindings::contract::types::{Edit, Failure, Header, Selector};
use crate::edit::{self, Rules};
use crate::selector::{Access, View, readable};
use crate::state::{Phase, State};
use bytes::Bytes;
use http::HeaderMap;
use wire::Exchange;

/// Longest note, bytes; one per plugin and exchange.
pub(crate) const NOTE_BYTES_MAX: usize = 64 * 1024;
/// Longest attribute value, bytes; as many as were declared.
pub(crate) const ATTRIBUTE_BYTES_MAX: usize = 16 * 1024;

type Answer<T> = wasmtime::Result<Result<T, Failure>>;

impl Host for State {
    fn read(&mut self, what: Selector) -> Answer<Option<Vec<u8>>> {
        Ok(self.look(&what))
    }

    fn lines(&mut self, which: Side, name: String) -> Answer<Vec<Vec<u8>>> {
        Ok(self.head(which).and_then(|headers| {
            let name = readable(&name).map_err(|why| refusal(&name, why))?;
            Ok(headers.get_all(name).iter().map(|value| value.as_bytes().to_vec()).collect())
        }))
    }

    fn headers(&mut self, which: Side) -> Answer<Vec<Header>> {
        Ok(self.head(which).map(|headers| {
            let visible = headers.iter().filter(|(name, _)| !wire::fields::is_reserved(name.as_str()));
            visible
                .map(|(name, value)| Header { name: name.as_str().to_owned(), value: value.as_bytes().to_vec() })
                .collect()
        }))
    }

    fn apply(&mut self, edit: Edit) -> Answer<()> {
        let side = match self.phase {
            Phase::Request => edit::Side::Request,
            Phase::Response => edit::Side::Response,
            Phase::RequestBody | Phase::ResponseBody | Phase::Completion => return Ok(Err(Failure::Conflict)),
            Phase::Outside | Phase::Tick => return Ok(Err(Failure::Denied)),
        };
        self.remember_heads();
        let registration = self.registration.clone();
        let slots = registration.as_ref().map_or(&[][..], |registration| &registration.outputs);
        let rules = Rules { side, slots, path: self.common.path_rules };
        let Some(exchange) = &mut self.exchange else { return Ok(Err(Failure::Denied)) };
        // A bad edit is a fault, not an answer: a plugin that goes on regardless
        // would leave half of its work undone.
        edit::apply(vec![edit], rules, exchange).map(Ok).map_err(|why| wasmtime::Error::new(BadEdit(why)))
    }

    fn set_note(&mut self, value: Vec<u8>) -> Answer<()> {
        if value.len() > NOTE_BYTES_MAX {
            return Ok(Err(Failure::TooLarge));
        }
        self.remember_shared();
        let index = self.common.index;
        Ok(self.open().map(|exchange| {
            let notes = &mut exchange.shared.notes;
            match notes.iter_mut().find(|(owner, _)| *owner == index) {
                Some((_, note)) => *note = Bytes::from(value),
                None => notes.push((index, Bytes::from(value))),
            }
        }))
    }

    fn set_attribute(&mut self, name: String, value: Vec<u8>) -> Answer<()> {
        let declared = self.registration.as_ref().and_then(|registration| registration.attribute(&name));
        let Some(name) = declared else { return Ok(Err(Failure::Denied)) };
        if value.len() > ATTRIBUTE_BYTES_MAX {
            return Ok(Err(Failure::TooLarge));
        }
        self.remember_shared();
        Ok(self.open().map(|exchange| {
            let attributes = &mut exchange.shared.attributes;
            match attributes.iter_mut().find(|(known, _)| *known == name) {
                Some((_, old)) => *old = Bytes::from(value),
                None => attributes.push((name, Bytes::from(value))),
            }
        }))
    }
}

/// A bad edit inside the plugin: carried through the trap so that the fault says `bad-output`.
#[derive(Debug)]
pub(crate) struct BadEdit(pub(crate) String);

impl std::fmt::Display for BadEdit {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for BadEdit {}

impl State {
    /// The exchange while it may still be changed.
    fn open(&mut self) -> Result<&mut Exchange, Failure> {
        match (self.phase, &mut self.exchange) {
            (Phase::Outside | Phase::Tick, _) | (_, None) => Err(Failure::Denied),
            (Phase::Completion, _) => Err(Failure::Conflict),
            (_, Some(exchange)) => Ok(exchange),
        }
    }

    fn head(&self, which: Side) -> Result<&HeaderMap, Failure> {
        let exchange = self.exchange.as_ref().ok_or(Failure::Denied)?;
        match which {
            Side::Request => Ok(&exchange.request.headers),
            Side::Response => exchange.response.as_ref().map(|head| &head.headers).ok_or(Failure::NotFound),
        }
    }

    fn look(&self, what: &Selector) -> Result<Option<Vec<u8>>, Failure> {
        let exchange = self.exchange.as_ref().ok_or(Failure::Denied)?;
        let view = match self.phase {
            Phase::Request | Phase::RequestBody | Phase::Outside | Phase::Tick => View::Request,
            Phase::Response | Phase::ResponseBody => View::Response,
            Phase::Completion => View::Completion,
        };
        let access = Access::parse(what, view).map_err(|why| match what {
            Selector::Header(name) | Selector::ResponseHeader(name) => refusal(name, why),
            _ => Failure::Invalid(why),
        })?;
        let mut out = Vec::new();
        Ok(access.read(exchange, self.common.index, &mut out).then_some(out))
    }
}

/// Pairing fields are denied; anything else that can't be read is a mistake.
fn refusal(name: &str, why: String) -> Failure {
    if wire::fields::is_reserved(name) { Failure::Denied } else { Failure::Invalid(why) }
}
