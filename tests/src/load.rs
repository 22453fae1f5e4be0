//! A steady load: clients that send one request after the other, retry
//! nothing, and write down how each one ended.
//!
//! Each request has a name of its own in its path (`/load/MANNER/NAME`). The
//! scripted backend writes the name down when it has read the request's head
//! ([`crate::Probe::seen`]), and its answer says the name twice, first and
//! last, and how many body bytes came: an answer that is not the whole and
//! right one can't be taken for it.

mod wire;

use crate::random::{Random, Seed};
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};
use wire::Connection;

/// What the clients do.
#[derive(Clone, Debug)]
pub struct Mix {
    /// How many clients there are, each with one request at a time.
    pub clients: usize,
    /// Of a hundred requests, so many come by a connection of their own.
    pub fresh_percent: u64,
    /// Of a hundred requests, so many are POSTs with a body.
    pub post_percent: u64,
    /// How the backend answers, chosen by chance: `quick`, `chunked`, `slow-MS`
    /// (the second half later), `events-COUNT-MS` (one event after the other).
    pub manners: &'static [&'static str],
    /// Longest pause between two requests of one client, ms.
    pub pause_ms_max: u64,
}

impl Default for Mix {
    fn default() -> Self {
        let manners = &["quick", "quick", "quick", "chunked", "slow-20"];
        Self { clients: 6, fresh_percent: 25, post_percent: 40, manners, pause_ms_max: 12 }
    }
}

/// How a request ended, as its client saw it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// 200 with the whole and right body.
    Whole,
    /// Another status, and the beginning of its page.
    Refused(u16, String),
    /// An answer that visibly broke off.
    Broken(String),
    /// Not a byte of an answer.
    Unanswered(String),
    /// An answer that looks whole and is not the one of this request.
    Wrong(String),
}

/// One request.
#[derive(Clone, Debug)]
pub struct Record {
    /// Its name.
    pub name: String,
    /// GET or POST.
    pub method: &'static str,
    /// How the backend was to answer.
    pub manner: &'static str,
    /// Before its connection was made, or its first byte was written.
    pub sent: Instant,
    /// After its last byte was read, or it failed.
    pub ended: Instant,
    /// How it ended.
    pub outcome: Outcome,
}

/// Clients at work.
pub struct Load {
    stop: Arc<AtomicBool>,
    whole: Arc<AtomicU64>,
    threads: Vec<JoinHandle<Vec<Record>>>,
}

impl Load {
    /// Sets clients to work. `name` begins the name of each request.
    #[must_use]
    pub fn start(addr: SocketAddr, name: &str, mix: &Mix, seed: &Seed) -> Self {
        let (stop, whole) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(0)));
        let threads = (0..mix.clients).map(|number| {
            let client = Worker {
                addr,
                name: format!("{name}-{number}"),
                mix: mix.clone(),
                random: seed.source(1000 + number as u64),
                stop: Arc::clone(&stop),
                whole: Arc::clone(&whole),
            };
            std::thread::spawn(move || client.work())
        });
        let threads = threads.collect();
        Self { stop, whole, threads }
    }

    /// Requests that were answered whole so far.
    #[must_use]
    pub fn whole(&self) -> u64 {
        self.whole.load(Ordering::Relaxed)
    }

    /// Waits until so many more requests were answered whole.
    pub fn wait_whole(&self, more: u64) {
        let from = self.whole();
        let enough = || (self.whole() >= from + more).then_some(());
        crate::wait::until(crate::wait::SOON * 2, &format!("{more} more whole answers"), enough);
    }

    /// Lets each client finish its request, and gives all records.
    ///
    /// # Panics
    /// If a client did.
    #[must_use]
    pub fn stop(mut self) -> Vec<Record> {
        self.stop.store(true, Ordering::Relaxed);
        let threads = std::mem::take(&mut self.threads);
        threads.into_iter().flat_map(|thread| thread.join().expect("a client does not panic")).collect()
    }
}

impl Drop for Load {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
    }
}

/// One client.
struct Worker {
    addr: SocketAddr,
    name: String,
    mix: Mix,
    random: Random,
    stop: Arc<AtomicBool>,
    whole: Arc<AtomicU64>,
}

impl Worker {
    fn work(mut self) -> Vec<Record> {
        let mut records = Vec::new();
        let mut kept: Option<Connection> = None;
        while !self.stop.load(Ordering::Relaxed) {
            let name = format!("{}-{}", self.name, records.len());
            let manners = self.mix.manners;
            let choice = usize::try_from(self.random.below(manners.len() as u64)).unwrap_or(0);
            let manner = manners.get(choice).copied().unwrap_or("quick");
            let body = if self.random.percent(self.mix.post_percent) {
                Some(vec![b'b'; usize::try_from(self.random.below(9000)).unwrap_or(0)])
            } else {
                None
            };
            let method = if body.is_some() { "POST" } else { "GET" };
            if self.random.percent(self.mix.fresh_percent) {
                kept = None;
            }
            let sent = Instant::now();
            let outcome = self.ask(&mut kept, &name, manner, body.as_deref());
            if outcome == Outcome::Whole {
                self.whole.fetch_add(1, Ordering::Relaxed);
            }
            records.push(Record { name, method, manner, sent, ended: Instant::now(), outcome });
            std::thread::sleep(Duration::from_millis(self.random.below(self.mix.pause_ms_max + 1)));
        }
        records
    }

    /// One request on the connection that is kept, or on a new one.
    fn ask(&self, kept: &mut Option<Connection>, name: &str, manner: &str, body: Option<&[u8]>) -> Outcome {
        let connection = match kept.take() {
            Some(connection) => Ok(connection),
            None => Connection::open(self.addr),
        };
        let mut connection = match connection {
            Ok(connection) => connection,
            Err(error) => return Outcome::Unanswered(error.to_string()),
        };
        let answer = match connection.ask(&format!("/load/{manner}/{name}"), body) {
            Ok(answer) => answer,
            Err(error) if connection.answered() => return Outcome::Broken(error.to_string()),
            Err(error) => return Outcome::Unanswered(error.to_string()),
        };
        if !answer.close {
            *kept = Some(connection);
        }
        let text = String::from_utf8_lossy(&answer.body).into_owned();
        let bytes = body.map_or(0, <[u8]>::len);
        match answer.status {
            200 if text.starts_with(&format!("{name} {bytes} ")) && text.ends_with(&format!(" {name}\n")) => {
                Outcome::Whole
            }
            200 => Outcome::Wrong(text.chars().take(300).collect()),
            status => Outcome::Refused(status, text.chars().take(300).collect()),
        }
    }
}
