//! Several scripted instances behind one forwarder.

use super::support::{Script, exchange, no_body, read_head, token, within, write};
use crate::{ForwardSettings, Forwarder, ResponseBody};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;
use wire::ports::{BackendSignal, BackendState, Forward as _, Paired};
use wire::{Exchange, Fault, Load, ResponseHead};

pub(crate) const OK: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";

/// An instance: what the process room says of it, and its end of the wire.
pub(crate) struct Instance {
    pub(crate) paired: Paired,
    listener: Option<TcpListener>,
}

impl Instance {
    pub(crate) async fn listening(start: u64) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let addr = listener.local_addr().expect("it is bound");
        let load = Load::new(std::time::Instant::now());
        let paired = Paired { addr, token: token(), start, affinity: start + 0xabc0, load };
        Self { paired, listener: Some(listener) }
    }

    /// One at whose port nobody listens.
    pub(crate) async fn dead(start: u64) -> Self {
        Self { listener: None, ..Self::listening(start).await }
    }

    pub(crate) async fn accept(&self) -> TcpStream {
        within(self.listener.as_ref().expect("it listens").accept()).await.expect("a connection").0
    }

    /// Serves one request on a new connection; its head, and the connection.
    pub(crate) async fn serve(&self) -> (String, TcpStream) {
        let mut stream = self.accept().await;
        let head = read_head(&mut stream).await;
        write(&mut stream, OK).await;
        (head, stream)
    }

    /// Takes a request and closes without a word.
    pub(crate) async fn hang_up(&self) {
        read_head(&mut self.accept().await).await;
    }

    /// Serves all that come, each once the gate is open; counts their heads.
    pub(crate) fn run(&mut self, tasks: &mut JoinSet<()>, gate: &watch::Sender<bool>) -> watch::Receiver<usize> {
        let listener = self.listener.take().expect("it listens");
        let (heads, seen) = watch::channel(0);
        let (heads, gate) = (Arc::new(heads), gate.subscribe());
        tasks.spawn(async move {
            let mut streams = JoinSet::new();
            while let Ok((mut stream, _)) = listener.accept().await {
                let (heads, mut gate) = (Arc::clone(&heads), gate.clone());
                streams.spawn(async move {
                    while stream.readable().await.is_ok() && stream.peek(&mut [0]).await.is_ok_and(|count| count > 0) {
                        read_head(&mut stream).await;
                        heads.send_modify(|count| *count += 1);
                        gate.wait_for(|open| *open).await.expect("the test runs");
                        write(&mut stream, OK).await;
                    }
                });
            }
        });
        seen
    }
}

/// A forwarder over instances.
pub(crate) struct Fleet {
    pub(crate) forwarder: Forwarder,
    pub(crate) state: watch::Sender<BackendState>,
    pub(crate) signals: mpsc::Receiver<BackendSignal>,
    pub(crate) waiting: Arc<AtomicUsize>,
}

impl Fleet {
    pub(crate) fn of(instances: &[&Instance]) -> Self {
        Self::with(instances, ForwardSettings { suspect_ms_max: 30, ..ForwardSettings::default() })
    }

    pub(crate) fn with(instances: &[&Instance], settings: ForwardSettings) -> Self {
        let (state, seen) = watch::channel(ready(instances));
        let (sender, signals) = mpsc::channel(8);
        let waiting = Arc::new(AtomicUsize::new(0));
        let forwarder = Forwarder::new(settings, seen, sender, Arc::clone(&waiting), Arc::default());
        Self { forwarder, state, signals, waiting }
    }

    pub(crate) fn publish(&self, instances: &[&Instance]) {
        self.state.send_replace(ready(instances));
    }

    pub(crate) async fn get(&self) -> Result<(ResponseHead, ResponseBody<Script>), Fault> {
        self.send(&exchange("GET", "/", &[]), no_body()).await
    }

    pub(crate) async fn send(
        &self,
        exchange: &Exchange,
        body: Script,
    ) -> Result<(ResponseHead, ResponseBody<Script>), Fault> {
        within(self.forwarder.send(exchange, body, 30_000_000)).await
    }

    /// Lets other futures run until so many requests wait.
    pub(crate) async fn waits(&self, count: usize) {
        within(async {
            while self.waiting.load(Relaxed) != count {
                tokio::task::yield_now().await;
            }
        })
        .await;
    }

    pub(crate) fn suspects(&mut self) -> Vec<u64> {
        let signals = std::iter::from_fn(|| self.signals.try_recv().ok());
        signals
            .filter_map(|signal| if let BackendSignal::Suspect { start } = signal { Some(start) } else { None })
            .collect()
    }
}

pub(crate) fn ready(instances: &[&Instance]) -> BackendState {
    BackendState::Ready(instances.iter().map(|instance| instance.paired.clone()).collect())
}
