//! A scripted backend, and a small host, for this package's own tests.
//!
//! Its words are `key=value` arguments, obeyed by [`Script`]; with the hidden
//! first argument it is a keeper like the real host. Nobody installs it.
#![forbid(unsafe_code)]

#[cfg(not(target_os = "linux"))]
fn main() {}

#[cfg(target_os = "linux")]
fn main() -> std::process::ExitCode {
    probe::main()
}

#[cfg(target_os = "linux")]
mod probe {
    use gatelodge_process::{Control, Event, KEEPER_ARGUMENT, Settings, Supervisor, Why, keeper_main};
    use std::fmt::Write as _;
    use std::io::Write as _;
    use std::os::fd::AsFd as _;
    use std::process::ExitCode;
    use std::time::Duration;
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    use tokio::net::{TcpListener, TcpStream};
    use tokio::signal::unix::{SignalKind, signal};
    use tokio::sync::{mpsc, watch};
    use wire::ports::{BackendSignal, BackendState};

    type Outcome = Result<ExitCode, Box<dyn std::error::Error>>;

    pub(super) fn main() -> ExitCode {
        let mut arguments = std::env::args_os().skip(1).peekable();
        if arguments.next_if(|a| a == KEEPER_ARGUMENT).is_some() {
            return ExitCode::from(u8::try_from(keeper_main(arguments)).unwrap_or(1));
        }
        let words = arguments.map(|a| a.to_string_lossy().into_owned()).collect();
        let Ok(runtime) = tokio::runtime::Builder::new_current_thread().enable_all().build() else {
            return ExitCode::from(101);
        };
        let script = Script { words };
        let outcome =
            runtime.block_on(async { if script.has("host") { host(&script).await } else { script.play().await } });
        runtime.shutdown_background();
        outcome.unwrap_or_else(|e| {
            say(&format!("probe failed: {e}"));
            ExitCode::from(101)
        })
    }

    fn say(line: &str) {
        let mut out = std::io::stdout().lock();
        // A test that has gone away reads nothing.
        let _ = writeln!(out, "{line}").and_then(|()| out.flush());
    }

    /// What to do, word by word.
    struct Script {
        words: Vec<String>,
    }

    impl Script {
        fn has(&self, word: &str) -> bool {
            self.words.iter().any(|w| w == word)
        }

        fn value(&self, key: &str) -> Option<&str> {
            self.words.iter().find_map(|w| w.strip_prefix(key)?.strip_prefix('='))
        }

        fn number(&self, key: &str) -> Option<u64> {
            self.value(key)?.parse().ok()
        }

        /// `setsid`, `setpgid`, `record=FILE`, `print=TEXT`, `eprint=TEXT`, `print-token`,
        /// `spam-mb=N`, `child=WORDS` (comma for blank, plus for comma), `delay-ms=N`, `exit=N`,
        /// `never`, `port=N`, `address=IP`, `stop=STATUS`, `ignore-term`,
        /// `sick=FILE` (`/health` answers 503 while it is there), `hog-mb=N`, `stay`
        /// (after `GET /hand-over`, which gives the listener to a child), `inherit`
        /// (listens on its standard input: the child of that).
        async fn play(&self) -> Outcome {
            // Set up before anything is told, so that no test can be too early.
            let mut term = self.has("ignore-term").then(|| signal(SignalKind::terminate())).transpose()?;
            if self.has("setsid") {
                rustix::process::setsid()?;
            }
            if self.has("setpgid") {
                rustix::process::setpgid(None, None)?;
            }
            self.record_start()?;
            // Written to, so that it is resident.
            let mb = usize::try_from(self.number("hog-mb").unwrap_or(0))?;
            let _hog = std::hint::black_box(vec![1_u8; mb * 1024 * 1024]);
            self.print()?;
            if let Some(words) = self.value("child") {
                std::process::Command::new("/proc/self/exe")
                    .args(words.split(',').map(|w| w.replace('+', ",")))
                    .spawn()?;
            }
            if let Some(delay) = self.number("delay-ms") {
                tokio::time::sleep(Duration::from_millis(delay)).await;
            }
            if let Some(code) = self.number("exit") {
                return Ok(ExitCode::from(u8::try_from(code)?));
            }
            if self.has("abort") {
                std::process::abort();
            }
            let ignore = async {
                while let Some(term) = &mut term {
                    term.recv().await;
                    // A full disk is nothing that a test is after.
                    let _ = self.record("term\n");
                }
                std::future::pending::<()>().await;
            };
            tokio::select! {
                () = ignore => Ok(ExitCode::SUCCESS),
                outcome = self.serve() => outcome,
            }
        }

        fn record(&self, text: &str) -> std::io::Result<()> {
            let Some(path) = self.value("record") else { return Ok(()) };
            std::fs::OpenOptions::new().create(true).append(true).open(path)?.write_all(text.as_bytes())
        }

        fn record_start(&self) -> Result<(), Box<dyn std::error::Error>> {
            let mut text = format!("pid {}\ncwd {}\n", std::process::id(), std::env::current_dir()?.display());
            for argument in std::env::args() {
                writeln!(text, "arg {argument}")?;
            }
            for (name, value) in std::env::vars() {
                writeln!(text, "env {name}={value}")?;
            }
            Ok(self.record(&text)?)
        }

        fn print(&self) -> std::io::Result<()> {
            if let Some(text) = self.value("print") {
                say(text);
            }
            if let Some(text) = self.value("eprint") {
                writeln!(std::io::stderr(), "{text}")?;
            }
            if self.has("print-token") {
                let token = std::env::var("ASPNETCORE_TOKEN").unwrap_or_default();
                let mut out = std::io::stdout().lock();
                // In two writes, so that it may cross the border of a read.
                let (a, b) = token.split_at(token.len() / 2);
                write!(out, "expected token {a}")?;
                out.flush()?;
                writeln!(out, "{b} here")?;
            }
            let line = [b'x'; 1024];
            for _ in 0..self.number("spam-mb").unwrap_or(0) * 1024 {
                std::io::stdout().write_all(&line)?;
            }
            Ok(())
        }

        async fn serve(&self) -> Outcome {
            if self.has("never") {
                std::future::pending::<()>().await;
            }
            let variable = ["ASPNETCORE_PORT", "HTTP_PLATFORM_PORT"].into_iter().find_map(|n| std::env::var(n).ok());
            let port = self.value("port").map(str::to_owned).or(variable).ok_or("no port")?;
            let address = self.value("address").unwrap_or("127.0.0.1");
            let listener = if self.has("inherit") {
                TcpListener::from_std(std::io::stdin().as_fd().try_clone_to_owned()?.into())?
            } else {
                TcpListener::bind(format!("{address}:{port}")).await?
            };
            self.record(&format!("listening {port}\n"))?;
            let (stop, mut stopping) = mpsc::channel(1);
            let mut tasks = tokio::task::JoinSet::new();
            let last = loop {
                tokio::select! {
                    accepted = listener.accept() => {
                        let (stream, _) = accepted?;
                        let answer = self.value("stop").unwrap_or("202").to_owned();
                        let record = self.value("record").map(str::to_owned);
                        let sick = self.value("sick").map(str::to_owned);
                        tasks.spawn(exchange(stream, answer, record, sick, stop.clone()));
                    }
                    last = stopping.recv() => break last,
                }
            };
            let listener = std::os::fd::OwnedFd::from(listener.into_std()?);
            if last == Some(Last::HandOver) {
                std::process::Command::new("/proc/self/exe").arg("inherit").stdin(listener).spawn()?;
            } else {
                drop(listener);
            }
            // Whoever is being served gets an answer.
            while tasks.join_next().await.is_some() {}
            if self.has("stay") {
                std::future::pending::<()>().await;
            }
            Ok(ExitCode::SUCCESS)
        }
    }

    /// What becomes of the listener.
    #[derive(PartialEq)]
    enum Last {
        Close,
        HandOver,
    }

    async fn exchange(
        mut stream: TcpStream,
        stop_answer: String,
        record: Option<String>,
        sick: Option<String>,
        stop: mpsc::Sender<Last>,
    ) {
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            match stream.read_u8().await {
                Ok(byte) => head.push(byte),
                Err(_) => return,
            }
        }
        let head = String::from_utf8_lossy(&head).into_owned();
        if let Some(path) = record {
            let file = std::fs::OpenOptions::new().create(true).append(true).open(path);
            let text: String = head.lines().map(|line| format!("request {line}\n")).collect();
            let _ = file.and_then(|mut file| file.write_all(text.as_bytes()));
        }
        let target = head.split(' ').nth(1).unwrap_or_default();
        if target.ends_with("/iisintegration") {
            if stop_answer == "silent" {
                std::future::pending::<()>().await;
            }
            let _ = stream.write_all(format!("HTTP/1.1 {stop_answer} X\r\ncontent-length: 0\r\n\r\n").as_bytes()).await;
            if stop_answer == "202" {
                let _ = stop.send(Last::Close).await;
            }
            return;
        }
        match target {
            "/crash" => std::process::abort(),
            "/slow" => tokio::time::sleep(Duration::from_millis(300)).await,
            "/hand-over" => {
                let _ = stop.send(Last::HandOver).await;
            }
            _ => {}
        }
        let well = target != "/health" || !sick.is_some_and(|file| std::path::Path::new(&file).exists());
        let status = if well { "200 OK" } else { "503 Sick" };
        let body = target.to_owned();
        let answer = format!("HTTP/1.1 {status}\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{body}", body.len());
        let _ = stream.write_all(answer.as_bytes()).await;
    }

    /// Open descriptors of this process, and its children, zombies included.
    fn held() -> std::io::Result<(usize, usize)> {
        let children = std::fs::read_to_string(format!("/proc/self/task/{}/children", std::process::id()))?;
        Ok((std::fs::read_dir("/proc/self/fd")?.count(), children.split_whitespace().count()))
    }

    /// Replaces the application as often as told, and says what is held afterwards.
    ///
    /// With `busy` a request runs on the first one for ever.
    async fn replace(control: Control, mut states: watch::Receiver<BackendState>, times: u64, busy: bool) {
        let mut running = Vec::new();
        if let Ok(state) = states.wait_for(|state| matches!(state, BackendState::Ready(_))).await
            && let BackendState::Ready(instances) = &*state
            && busy
        {
            running.extend(instances.iter().filter_map(|instance| instance.load.begin()));
        }
        for round in 0..=times {
            if round > 0 {
                let replaced = control.replace(None, Why::Asked).await.is_ok();
                say(if replaced { "replaced" } else { "not replaced" });
            }
            // The old one is gone when only one is left.
            while control.status().await.instances.len() > 1 {
                tokio::time::sleep(Duration::from_millis(2)).await;
            }
            if let (true, Ok((descriptors, children))) = (round == 1 || round == times, held()) {
                say(&format!("held {descriptors} {children}"));
            }
        }
    }

    /// `host root=DIR arguments=LINE [replace=N] [busy] [idle] [stop-when-ready]`:
    /// supervises a probe until it is killed, and prints
    /// `ready PID LISTENING_PID PORT MICROSECONDS`; `idle` starts none.
    async fn host(script: &Script) -> Outcome {
        let root = script.value("root").ok_or("no root")?.into();
        let settings = Settings {
            arguments: script.value("arguments").unwrap_or_default().to_owned(),
            start_limit: Duration::from_secs(20),
            shutdown_limit: Duration::from_secs(5),
            inherited: std::env::vars_os().collect(),
            ..Settings::new(root, std::env::current_exe()?.to_string_lossy().into_owned())
        };
        let (state, states) = watch::channel(BackendState::Idle);
        let (signals, receiver) = mpsc::channel(1);
        if !script.has("idle") {
            signals.send(BackendSignal::Wake).await?;
        }
        let told = |event: Event| match event {
            Event::Ready { pid, listening_pid, port, elapsed, .. } => {
                say(&format!("ready {pid} {listening_pid} {port} {}", elapsed.as_micros()));
            }
            Event::AttemptFailed { summary, last_lines, .. } => say(&format!("failed {summary} {last_lines:?}")),
            _ => {}
        };
        let supervisor = Supervisor::new(settings, state, receiver, told);
        let control = supervisor.control();
        let mut ready = states.clone();
        let replacing = replace(control, states, script.number("replace").unwrap_or(0), script.has("busy"));
        let stop = async {
            if !script.has("stop-when-ready")
                || ready.wait_for(|state| matches!(state, BackendState::Ready(_))).await.is_err()
            {
                std::future::pending::<()>().await;
            }
        };
        tokio::join!(supervisor.run(stop), replacing);
        Ok(ExitCode::SUCCESS)
    }
}
