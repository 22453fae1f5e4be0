//! Waking the backend: the first request starts it, and only one of it.

use crate::site;
use gatelodge_e2e::Host;

/// L01, L02.
#[test]
fn the_first_request_wakes_the_backend() {
    let site = site();
    let host = Host::start(&site);
    assert!(site.probe().starts().is_empty(), "a backend was started before any request");
    assert_eq!(host.client().get("/").text(), "ok");
    let start = site.probe().only_start();
    assert_eq!(start.cwd, site.app().canonicalize().expect("the site exists"));
    assert!((10_000..=48_000).contains(&start.port), "{}", start.port);
    host.stop(&site);
}
