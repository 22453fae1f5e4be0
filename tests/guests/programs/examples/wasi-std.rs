//! Uses Rust's standard library as an ordinary program would, for `wasm32-wasip2`: what
//! `x-do` names is done, and what it came to is in `x-out`.
#![forbid(unsafe_code)]

use gatelodge_sdk::{Config, Edits, Field, Plugin, Registration, RequestHead, Slot, Verdict, View, header};
use std::collections::HashMap;
use std::hash::{BuildHasher as _, RandomState};
use std::io::{Read as _, Write as _};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

gatelodge_sdk::manifest! { name: "wasi-std", version: "0.1.0", grants: { "log": true } }
gatelodge_sdk::export!(Guest; request_head);

struct Guest {
    act: Field,
    out: Slot,
}

impl Plugin for Guest {
    fn configure(_: Config) -> Result<(Self, Registration), String> {
        let mut registration = Registration::new();
        let act = registration.request(header("x-do"));
        let out = registration.output("x-out");
        Ok((Self { act, out }, registration))
    }
}

impl RequestHead for Guest {
    fn request_head(&mut self, view: &View) -> Verdict {
        match view.text(self.act) {
            None => Verdict::Pass,
            Some(act) => Edits::new().set(self.out, done(act)).verdict(),
        }
    }
}

#[allow(
    clippy::print_stdout,
    clippy::print_stderr,
    clippy::disallowed_methods,
    reason = "that it can is what this guest shows"
)]
fn done(act: &str) -> String {
    match act {
        "print" => {
            println!("first\nsecond");
            let stream = "error";
            eprintln!("to the {stream} stream");
            print!("no line end");
            format!("{:?}", std::io::stdout().flush())
        }
        "long" => {
            println!("{}", "x".repeat(10_000));
            String::new()
        }
        "panic" => {
            // The SDK's own hook writes to the log; this is a program without it.
            drop(std::panic::take_hook());
            panic!("the guest gave up");
        }
        "exit" => std::process::exit(7),
        "abort" => std::process::abort(),
        "environment" => {
            let (vars, arguments) = (std::env::vars().count(), std::env::args().count());
            format!("{vars} {arguments} {}", std::env::current_dir().is_ok())
        }
        "clock" => {
            let (begin, unix) = (Instant::now(), SystemTime::now().duration_since(UNIX_EPOCH));
            format!("{} {}", begin.elapsed().as_millis(), unix.map_or(0, |unix| unix.as_secs()))
        }
        "random" => {
            let words: HashMap<&str, u32> = [("one", 1), ("two", 2)].into();
            format!("{} {}", words["one"] + words["two"], RandomState::new().hash_one(0))
        }
        "stdin" => {
            let mut text = String::new();
            format!("{:?}", std::io::stdin().read_to_string(&mut text))
        }
        "no-sleep" => {
            std::thread::sleep(Duration::ZERO);
            "awake".to_owned()
        }
        "sleep" => {
            std::thread::sleep(Duration::from_secs(3_600));
            String::new()
        }
        other => format!("unknown: {other}"),
    }
}
