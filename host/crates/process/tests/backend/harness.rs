//! A supervised probe and what a test may ask about it.

use gatelodge_process::{Control, Event, Settings, StopReport, Supervisor};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};
use tokio::sync::{mpsc, oneshot, watch};
use tokio::task::JoinHandle;
use wire::StartReport;
use wire::ports::{BackendSignal, BackendState, Paired};

/// Longer than anything here takes on a busy machine.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);

pub(crate) const PROBE: &str = env!("CARGO_BIN_EXE_gatelodge-process-probe");

/// One supervisor with its folder.
pub(crate) struct House {
    pub(crate) dir: tempfile::TempDir,
    pub(crate) events: Arc<Mutex<Vec<Event>>>,
    pub(crate) control: Control,
    state: watch::Receiver<BackendState>,
    signals: mpsc::Sender<BackendSignal>,
    stop: Option<oneshot::Sender<()>>,
    task: JoinHandle<StopReport>,
}

impl House {
    pub(crate) fn new(arguments: &str) -> Self {
        Self::with(arguments, |_| ())
    }

    /// A house whose backend gets `arguments` and `record=`; `change` edits the settings.
    pub(crate) fn with(arguments: &str, change: impl FnOnce(&mut Settings)) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let mut settings = settings(dir.path(), arguments);
        change(&mut settings);
        let (sender, state) = watch::channel(BackendState::Idle);
        let (signals, receiver) = mpsc::channel(16);
        let (stop, stopped) = oneshot::channel();
        let events = Arc::new(Mutex::new(Vec::new()));
        let sink = Arc::clone(&events);
        let supervisor = Supervisor::new(settings, sender, receiver, move |event| sink.lock().unwrap().push(event));
        let control = supervisor.control();
        let task = tokio::spawn(supervisor.run(async {
            let _ = stopped.await;
        }));
        Self { dir, events, control, state, signals, stop: Some(stop), task }
    }

    pub(crate) async fn signal(&self, signal: BackendSignal) {
        self.signals.send(signal).await.unwrap();
    }

    /// Waits for a state.
    pub(crate) async fn until<T>(&mut self, mut wanted: impl FnMut(&BackendState) -> Option<T>) -> T {
        let mut found = None;
        let wait = self.state.wait_for(|state| {
            found = wanted(state);
            found.is_some()
        });
        tokio::time::timeout(PATIENCE, wait).await.expect("state in time").expect("supervisor alive");
        found.unwrap()
    }

    /// Wakes the backend and waits until it is ready.
    pub(crate) async fn up(&mut self) -> Paired {
        self.signal(BackendSignal::Wake).await;
        self.until(|state| match state {
            BackendState::Ready(instances) => instances.first().cloned().map(Ok),
            BackendState::Down(report) => Some(Err(Arc::clone(report))),
            _ => None,
        })
        .await
        .unwrap_or_else(|report| panic!("{report:?}"))
    }

    /// Wakes the backend and waits for the report of its failure.
    pub(crate) async fn fail(&mut self) -> Arc<StartReport> {
        // What was told before is not what is waited for.
        self.state.mark_unchanged();
        self.signal(BackendSignal::Wake).await;
        loop {
            tokio::time::timeout(PATIENCE, self.state.changed()).await.expect("state in time").unwrap();
            match &*self.state.borrow_and_update() {
                BackendState::Down(report) => return Arc::clone(report),
                BackendState::Ready(_) => panic!("it came up"),
                _ => {}
            }
        }
    }

    /// Waits until so many instances take requests.
    pub(crate) async fn ready(&mut self, count: usize) -> Vec<Paired> {
        self.until(|state| match state {
            BackendState::Ready(instances) if instances.len() == count => Some(instances.to_vec()),
            _ => None,
        })
        .await
    }

    /// Waits until the instance of a later start takes requests.
    pub(crate) async fn ready_after(&mut self, start: u64) -> Paired {
        self.until(|state| match state {
            BackendState::Ready(instances) => instances.iter().find(|i| i.start > start).cloned(),
            _ => None,
        })
        .await
    }

    /// Waits until supervision has seen the end of every instance.
    pub(crate) async fn until_none(&self) {
        let deadline = Instant::now() + PATIENCE;
        while !self.control.status().await.instances.is_empty() {
            assert!(Instant::now() < deadline, "instances are left");
        }
    }

    /// The started process of a start that was ready.
    pub(crate) fn pid_of(&self, wanted: u64) -> u32 {
        let events = self.events.lock().unwrap();
        let ready = events.iter().find_map(|event| match event {
            Event::Ready { start, pid, .. } if *start == wanted => Some(*pid),
            _ => None,
        });
        ready.expect("it was ready")
    }

    /// How many events are like this.
    pub(crate) fn count(&self, like: impl Fn(&Event) -> bool) -> usize {
        self.events.lock().unwrap().iter().filter(|event| like(event)).count()
    }

    pub(crate) async fn idle(&mut self) {
        self.until(|state| matches!(state, BackendState::Idle).then_some(())).await;
    }

    /// Stops and waits for the end.
    pub(crate) async fn stop(&mut self) -> StopReport {
        drop(self.stop.take());
        tokio::time::timeout(PATIENCE, &mut self.task).await.expect("end in time").unwrap()
    }

    pub(crate) fn record(&self) -> Record {
        Record(std::fs::read_to_string(record_path(self.dir.path())).unwrap_or_default())
    }

    pub(crate) fn ids(&self) -> Vec<u16> {
        self.events.lock().unwrap().iter().map(Event::id).filter(|id| *id != 0).collect()
    }

    /// Of each failed attempt: whether another one was announced.
    pub(crate) fn retries(&self) -> Vec<bool> {
        let failed = |event: &Event| match event {
            Event::AttemptFailed { retry, .. } => Some(*retry),
            _ => None,
        };
        self.events.lock().unwrap().iter().filter_map(failed).collect()
    }

    /// Everything that was told, as text.
    pub(crate) fn told(&self) -> String {
        format!("{:?}", self.events.lock().unwrap())
    }

    /// Started and listening process of the last start.
    pub(crate) fn pids(&self) -> (u32, u32) {
        let events = self.events.lock().unwrap();
        let ready = events.iter().rev().find_map(|event| match event {
            Event::Ready { pid, listening_pid, .. } => Some((*pid, *listening_pid)),
            _ => None,
        });
        ready.expect("it was ready")
    }
}

fn record_path(dir: &Path) -> PathBuf {
    dir.join("record")
}

pub(crate) fn settings(root: &Path, arguments: &str) -> Settings {
    Settings {
        arguments: format!("record={} {arguments}", record_path(root).display()),
        start_limit: Duration::from_secs(15),
        inherited: vec![("PATH".into(), "/usr/bin:/bin".into())],
        keeper: PROBE.into(),
        ..Settings::new(root.into(), PROBE.into())
    }
}

/// What the probe wrote about itself.
pub(crate) struct Record(String);

impl Record {
    /// All lines of one kind.
    pub(crate) fn all(&self, kind: &str) -> Vec<&str> {
        self.0.lines().filter_map(|line| line.strip_prefix(kind)?.strip_prefix(' ')).collect()
    }

    /// All values of a variable, one per start.
    pub(crate) fn env(&self, name: &str) -> Vec<&str> {
        self.all("env").into_iter().filter_map(|e| e.strip_prefix(name)?.strip_prefix('=')).collect()
    }
}

/// Whether the process is there and not a zombie.
pub(crate) fn alive(pid: u32) -> bool {
    std::fs::read_to_string(format!("/proc/{pid}/stat"))
        .is_ok_and(|stat| !stat.rsplit_once(") ").is_some_and(|(_, rest)| rest.starts_with(['Z', 'X'])))
}

/// Waits until something is so; looks every few milliseconds.
pub(crate) async fn eventually(what: &str, limit: Duration, mut so: impl FnMut() -> bool) {
    let deadline = Instant::now() + limit;
    while !so() {
        assert!(Instant::now() < deadline, "not in {limit:?}: {what}");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

/// A GET to the backend; the whole answer.
pub(crate) async fn get(paired: &Paired, target: &str) -> std::io::Result<String> {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    let mut stream = tokio::net::TcpStream::connect(paired.addr).await?;
    stream.write_all(format!("GET {target} HTTP/1.1\r\nhost: x\r\n\r\n").as_bytes()).await?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await?;
    Ok(answer)
}
