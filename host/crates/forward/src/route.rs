//! Which instances a request was sent to, and where it goes next.

use crate::choice::{Ask, Chosen};
use crate::link::Link;
use wire::Fault;
use wire::ports::Paired;

/// A request that could not be sent.
pub(crate) struct Refusal {
    pub(crate) fault: Fault,
    /// The instance may be dead; else it is this machine's shortage.
    pub(crate) suspect: bool,
}

/// One request's way over the instances.
#[derive(Default)]
pub(crate) struct Route {
    pub(crate) ask: Ask,
    /// Only a new connection will do: an idle one was found closed.
    pub(crate) needs_new: bool,
    /// It has waited for a successor already.
    restarted: bool,
    next: Option<Chosen>,
}

impl Route {
    /// `wanted` is the instance that the client's cookie names.
    pub(crate) fn new(wanted: Option<u64>) -> Self {
        Self { ask: Ask { wanted, ..Ask::default() }, ..Self::default() }
    }

    /// The instance to send to.
    ///
    /// # Errors
    /// As [`Link::ready`].
    pub(crate) async fn next(&mut self, link: &Link) -> Result<Chosen, Fault> {
        match self.next.take() {
            Some(chosen) => Ok(chosen),
            None => link.ready(&self.ask).await,
        }
    }

    /// It could not be sent to `backend`: the next is another instance at once,
    /// or, where there is none, whoever takes requests next. That is waited for
    /// once: this request wakes it as the one after it would.
    ///
    /// # Errors
    /// The refusal's, where nobody else is there.
    pub(crate) async fn turn_away(&mut self, refusal: Refusal, backend: &Paired, link: &Link) -> Result<(), Fault> {
        if !refusal.suspect {
            return Err(refusal.fault);
        }
        link.suspect(backend.start);
        link.blame(backend);
        self.ask.refused.push(backend.start);
        self.next = link.choose(&self.ask);
        if self.next.is_some() {
            link.resent();
            return Ok(());
        }
        if !self.restarted && link.has_left(&self.ask.refused).await {
            self.restarted = true;
            self.ask.refused.clear();
            return Ok(());
        }
        Err(refusal.fault)
    }

    /// The idle connection to `backend` had been closed: a new one is needed, to
    /// another instance if there is one. Only a client that asked for this
    /// instance is not taken elsewhere for that.
    pub(crate) fn go_again(&mut self, backend: &Paired, link: &Link) {
        self.needs_new = true;
        self.ask.stale = Some(backend.start);
        self.next = link.choose(&self.ask);
        if self.next.as_ref().is_some_and(|next| next.backend.start != backend.start) {
            link.suspect(backend.start);
            link.resent();
        }
    }
}
