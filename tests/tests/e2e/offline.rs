//! `app_offline.htm`: the file that takes the app off.

use crate::{site, web};
use gatelodge_e2e::wait::{SOON, until};
use gatelodge_e2e::{Host, Launch, Response, Site};

const FILE: &str = "app_offline.htm";
const PAGE: &str = "<html><body>Back at noon: \u{e4}\u{20ac}\r\n\0\u{1}</body></html>\n";

/// Waits until a request gets the page of the file.
fn wait_offline(host: &Host) -> Response {
    until(SOON, "the page of app_offline.htm", || {
        let answer = host.client().get("/");
        (answer.status() == 503).then_some(answer)
    })
}

/// Waits until a request is answered by the app.
fn wait_online(host: &Host) -> Response {
    until(SOON, "an answer of the app", || {
        let answer = host.client().get("/who");
        assert!(matches!(answer.status(), 200 | 503), "{}: {}", answer.status(), answer.text());
        (answer.status() == 200).then_some(answer)
    })
}

fn wait_nobody(site: &Site) {
    until(SOON, "the end of the backend", || site.probe().alive().is_empty().then_some(()));
}

/// L46: the backend is stopped gracefully, and whatever is asked gets the page.
/// L49: when the file is gone, the next request starts the app.
#[test]
fn the_offline_page_answers_everything_until_it_is_gone() {
    let site = site();
    let host = Host::start(&site);
    assert_eq!(host.client().get("/").status(), 200);
    site.swap(FILE, PAGE);
    wait_offline(&host);
    wait_nobody(&site);
    assert!(site.probe().has_mark("asked-to-stop") && !site.probe().has_mark("sigterm"));
    let seen = site.probe().everything();
    for (method, target) in [("GET", "/"), ("POST", "/a/b?c=d"), ("DELETE", "/x"), ("OPTIONS", "/y"), ("PATCH", "/z")] {
        let request = format!("{method} {target} HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\nhi");
        let answer = host.client().send(request).response();
        assert_eq!((answer.status(), answer.text().as_str()), (503, PAGE), "{method} {target}");
        assert!(answer.value("content-type").is_some_and(|kind| kind.starts_with("text/html")), "{:?}", answer.head);
    }
    let mut client = host.client();
    let head = client.send("HEAD / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n").head();
    assert_eq!((head.status, head.value("content-length")), (503, Some(PAGE.len().to_string().as_str())));
    assert!(client.is_closed(), "a HEAD has no body");
    assert_eq!(site.probe().everything(), seen, "the backend saw a request");
    site.probe().only_start();
    let _line = host.wait_line("backend-offline");
    site.remove(FILE);
    assert!(wait_online(&host).text().starts_with("start 2 "));
    let _line = host.wait_line("backend-online");
    host.stop(&site);
}

/// L51: while requests that run are finished, new ones get the page at once.
#[test]
fn the_page_does_not_wait_for_requests_that_run() {
    let site = site();
    let head = "send HTTP/1.1 200 OK\\r\\nContent-Length: 10\\r\\n\\r\\nfirst";
    site.probe().script("slow", &["read", "mark begun", head, "wait go", "send -last"]);
    let host = Host::start(&site);
    let mut running = host.client();
    running.send("GET /script/slow HTTP/1.1\r\nHost: a\r\n\r\n");
    site.probe().wait_mark("begun");
    site.swap(FILE, PAGE);
    for _ in 0..5 {
        assert_eq!(wait_offline(&host).text(), PAGE);
    }
    assert_eq!(site.probe().alive().len(), 1, "the backend still has a request to finish");
    site.probe().open("go");
    let answer = running.response();
    assert_eq!((answer.status(), answer.text().as_str()), (200, "first-last"));
    wait_nobody(&site);
    host.stop(&site);
}

/// L47: a changed page is taken up.
#[test]
fn a_changed_page_is_taken_up() {
    let site = site();
    site.file(FILE, "first");
    let host = Host::start(&site);
    assert_eq!(wait_offline(&host).text(), "first");
    let large = "x".repeat(1 << 20);
    for page in ["second", "", large.as_str(), "last"] {
        site.swap(FILE, page);
        until(SOON, "the changed page", || (host.client().get("/").text() == page).then_some(()));
    }
    assert!(site.probe().starts().is_empty());
    host.stop(&site);
}

/// L46: the file's name counts in any case, as on Windows, and an empty file has an empty page.
#[test]
fn any_spelling_and_an_empty_file_will_do() {
    let site = site();
    let host = Host::start(&site);
    for name in ["APP_OFFLINE.HTM", "App_Offline.htm"] {
        assert_eq!(wait_online(&host).status(), 200);
        site.file(name, "");
        let answer = wait_offline(&host);
        assert_eq!(answer.text(), "", "{name}");
        site.remove(name);
    }
    assert_eq!(wait_online(&host).status(), 200);
    host.stop(&site);
}

/// L48: a file that can't be read gives an empty page.
#[test]
fn an_unreadable_page_is_an_empty_one() {
    let site = site();
    let path = site.file(FILE, "secret");
    std::fs::set_permissions(path, std::os::unix::fs::PermissionsExt::from_mode(0o000)).expect("the file is ours");
    // Root reads everything, unless it gives that right up.
    let careful = ["setpriv", "--bounding-set", "-dac_override,-dac_read_search"];
    let launch = Launch::new(&site);
    let host = if is_root() { launch.through(&careful) } else { launch }.start();
    let answer = host.client().get("/");
    assert_eq!((answer.status(), answer.text().as_str()), (503, ""));
    assert!(site.probe().starts().is_empty());
    host.stop_unsearched();
}

fn is_root() -> bool {
    std::fs::metadata("/proc/self").is_ok_and(|own| std::os::unix::fs::MetadataExt::uid(&own) == 0)
}

/// L50: a web.config that can't be used changes nothing for the page.
#[test]
fn the_page_wins_over_a_broken_configuration() {
    let site = site();
    let host = Host::start(&site);
    assert_eq!(wait_online(&host).status(), 200);
    site.swap(FILE, PAGE);
    wait_offline(&host);
    let good = std::fs::read(site.app().join("web.config")).expect("it is there");
    let broken = String::from_utf8_lossy(&good).replace("processPath=", "processPaht=");
    site.swap("web.config", broken);
    let _told = host.wait_line("processPath");
    assert_eq!(host.client().get("/").text(), PAGE);
    site.swap("web.config", good);
    site.remove(FILE);
    assert_eq!(wait_online(&host).status(), 200);
    host.stop(&site);
}

/// L46: also requests that wait for a start get the page, and the start is given up.
#[test]
fn requests_that_wait_for_a_start_get_the_page() {
    let site = Site::new(web().set("arguments", "never"));
    let host = Host::start(&site);
    let mut waiting = host.client();
    waiting.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
    site.probe().wait_starts(1);
    site.swap(FILE, PAGE);
    let answer = waiting.response();
    assert_eq!((answer.status(), answer.text().as_str()), (503, PAGE));
    wait_nobody(&site);
    host.stop(&site);
}
