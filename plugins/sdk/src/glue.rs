//! What [`crate::export!`] expands to. Not for use by hand.

use crate::bindings::imports::gatelodge::plugin::{config, log};
use crate::{
    ChunkVerdict, Completion, Config, EndVerdict, Header, Inspector, Plugin, RequestBody, RequestHead, RequestWhole,
    ResponseBody, ResponseHead, ResponseWhole, Summary, Timer, Verdict, View, WholeVerdict,
};
use std::cell::RefCell;
use std::panic;
use std::thread::LocalKey;

pub use crate::bindings::lifecycle::exports::gatelodge::plugin::lifecycle;
pub use crate::bindings::{
    completion as completion_export, lifecycle as lifecycle_export, request_body as request_body_export,
    request_head as request_head_export, request_whole as request_whole_export, response_body as response_body_export,
    response_head as response_head_export, response_whole as response_whole_export, timer as timer_export,
};

/// The one plugin value of an instance.
pub type State<P> = LocalKey<RefCell<Option<P>>>;

pub fn configure<P: Plugin>(state: &'static State<P>) -> Result<lifecycle::Registration, String> {
    panic::set_hook(Box::new(|info| log::write(log::Level::Error, &info.to_string())));
    let (plugin, registration) = P::configure(Config::parse(&config::json())?)?;
    state.set(Some(plugin));
    Ok(registration.into_wit())
}

pub fn request_head<P: RequestHead>(state: &'static State<P>, view: Vec<Option<Vec<u8>>>) -> Verdict {
    with(state, |plugin| plugin.request_head(&View::new(view)))
}

pub fn response_head<P: ResponseHead>(state: &'static State<P>, view: Vec<Option<Vec<u8>>>) -> Verdict {
    with(state, |plugin| plugin.response_head(&View::new(view)))
}

pub fn completion<P: Completion>(state: &'static State<P>, summary: &Summary, view: Vec<Option<Vec<u8>>>) {
    with(state, |plugin| plugin.completion(summary, &View::new(view)));
}

pub fn tick<P: Timer>(state: &'static State<P>) {
    with(state, Timer::tick);
}

/// An inspector as the host holds it.
pub struct Held<I>(RefCell<I>);

impl<I: Inspector> request_body_export::exports::gatelodge::plugin::request_body::GuestInspector for Held<I> {
    fn chunk(&self, data: Vec<u8>) -> ChunkVerdict {
        self.0.borrow_mut().chunk(data)
    }

    fn end(&self, trailers: Vec<Header>) -> EndVerdict {
        self.0.borrow_mut().end(trailers)
    }
}

impl<I: Inspector> response_body_export::exports::gatelodge::plugin::response_body::GuestInspector for Held<I> {
    fn chunk(&self, data: Vec<u8>) -> ChunkVerdict {
        self.0.borrow_mut().chunk(data)
    }

    fn end(&self, trailers: Vec<Header>) -> EndVerdict {
        self.0.borrow_mut().end(trailers)
    }
}

pub fn open_request_body<P: RequestBody>(state: &'static State<P>) -> Held<P::Inspector> {
    Held(RefCell::new(with(state, P::request_body)))
}

pub fn open_response_body<P: ResponseBody>(state: &'static State<P>) -> Held<P::Inspector> {
    Held(RefCell::new(with(state, P::response_body)))
}

pub fn request_whole<P: RequestWhole>(state: &'static State<P>, body: Vec<u8>, complete: bool) -> WholeVerdict {
    with(state, |plugin| plugin.request_whole(body, complete))
}

pub fn response_whole<P: ResponseWhole>(state: &'static State<P>, body: Vec<u8>, complete: bool) -> WholeVerdict {
    with(state, |plugin| plugin.response_whole(body, complete))
}

/// An instance is never entered twice, so the borrow cannot fail.
fn with<P: Plugin, T>(state: &'static State<P>, hook: impl FnOnce(&mut P) -> T) -> T {
    state.with_borrow_mut(|plugin| hook(plugin.as_mut().expect("the host configures an instance before its hooks")))
}

pub fn has_request_head<P: RequestHead>() {}
pub fn has_response_head<P: ResponseHead>() {}
pub fn has_completion<P: Completion>() {}
pub fn has_timer<P: Timer>() {}
pub fn has_request_body<P: RequestBody>() {}
pub fn has_request_whole<P: RequestWhole>() {}
pub fn has_response_body<P: ResponseBody>() {}
pub fn has_response_whole<P: ResponseWhole>() {}
