//! Does with the store `things` what `x-do` says, and tells what came of it as `x-result`.
#![forbid(unsafe_code)]

use gatelodge_sdk::{Cached, Config, Edits, Field, Plugin, Registration, RequestHead, Slot, Store, Verdict, View, kv};
use std::fmt::Debug;
use std::time::Duration;

gatelodge_sdk::manifest! { name: "stores", version: "0.1.0", grants: { "log": true, "state": ["things"] } }
gatelodge_sdk::export!(Stores; request_head);

struct Stores {
    what: Field,
    out: Slot,
    store: Store,
    cached: Cached<String>,
    parsed: u32,
}

impl Plugin for Stores {
    fn configure(_config: Config) -> Result<(Self, Registration), String> {
        let mut registration = Registration::new();
        let what = registration.request(gatelodge_sdk::header("x-do"));
        let out = registration.output("x-result");
        let store = Store::new("things");
        store.add("starts", 1, None).map_err(|failure| format!("a start may count: {failure:?}"))?;
        Ok((Self { what, out, store, cached: Cached::default(), parsed: 0 }, registration))
    }
}

impl RequestHead for Stores {
    fn request_head(&mut self, view: &View) -> Verdict {
        let words: Vec<&str> = view.text(self.what).unwrap_or_default().split(' ').collect();
        let number = |text: &str| text.parse::<u64>().unwrap_or(0);
        let result = match words[..] {
            ["get", key] => told(self.store.get(key).map(|value| value.map(text))),
            ["set", key, value] => told(self.store.set(key, value.as_bytes(), None).is_ok()),
            ["set", key, value, ttl] => told(kv::set("things", key, value.as_bytes(), Some(number(ttl))).map(|_| ())),
            ["set-if", key, value, seen] => {
                told(kv::set_if("things", key, value.as_bytes(), None, number(seen)).map(|_| ()))
            }
            ["version", key] => told(kv::get("things", key).map(|entry| entry.map_or(0, |entry| entry.version))),
            ["add", key, by] => told(self.store.add(key, by.parse().unwrap_or(0), Some(Duration::from_secs(60)))),
            ["delete", key] => told(self.store.delete(key)),
            ["append", key, value] => told(self.append(key, value)),
            ["cached", key] => {
                let parsed = &mut self.parsed;
                let answer = self.cached.get(&self.store, key, |bytes| {
                    *parsed += 1;
                    text(bytes.to_vec())
                });
                told((answer, self.parsed))
            }
            ["sizes", key, value] => {
                let size = |text: &str| text.parse::<usize>().unwrap_or(0);
                let (key, value) = (size(key), size(value));
                told(self.store.set(&"k".repeat(key), &vec![b'v'; value], None).is_ok())
            }
            ["other", store] => told(Store::new(store).get("a")),
            _ => "?".to_owned(),
        };
        Edits::new().set(self.out, result).verdict()
    }
}

impl Stores {
    fn append(&self, key: &str, value: &str) -> Result<(), gatelodge_sdk::Failure> {
        let joined = |old: Option<&[u8]>| [old.unwrap_or_default(), value.as_bytes()].concat();
        self.store.update(key, None, joined).map(|_| ())
    }
}

fn text(bytes: Vec<u8>) -> String {
    String::from_utf8_lossy(&bytes).into_owned()
}

fn told(answer: impl Debug) -> String {
    format!("{answer:?}")
}
