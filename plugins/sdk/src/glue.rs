//! What [`crate::export!`] expands to. Not for use by hand.

use crate::bindings::imports::gatelodge::plugin::{config, log};
use crate::{Completion, Config, Plugin, RequestHead, ResponseHead, Summary, Verdict, View};
use std::cell::RefCell;
use std::panic;
use std::thread::LocalKey;

pub use crate::bindings::lifecycle::exports::gatelodge::plugin::lifecycle;
pub use crate::bindings::{
    completion as completion_export, lifecycle as lifecycle_export, request_head as request_head_export,
    response_head as response_head_export,
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

/// An instance is never entered twice, so the borrow cannot fail.
fn with<P: Plugin, T>(state: &'static State<P>, hook: impl FnOnce(&mut P) -> T) -> T {
    state.with_borrow_mut(|plugin| hook(plugin.as_mut().expect("the host configures an instance before its hooks")))
}

pub fn has_request_head<P: RequestHead>() {}
pub fn has_response_head<P: ResponseHead>() {}
pub fn has_completion<P: Completion>() {}
