//! What supervision adds to an application's own start.
//!
//! `cargo run --release -p gatelodge-process --example start_cost [-- RAW_FILE]` starts a
//! small application 100 times directly, and as often through a supervisor with and
//! without a control group, with the spare keeper ready and at once, and three of its
//! instances at once, until the last is ready. It prints the least and the median of
//! each, and writes each figure to the file.
//!
//! The keeper is this program; the host's own is larger, and takes the system longer.
#![forbid(unsafe_code)]

#[cfg(not(target_os = "linux"))]
fn main() {}

#[cfg(target_os = "linux")]
fn main() -> std::process::ExitCode {
    bench::main()
}

#[cfg(target_os = "linux")]
mod bench {
    use gatelodge_process::{Event, KEEPER_ARGUMENT, Section, Settings, Supervisor, keeper_main};
    use std::fmt::Write as _;
    use std::io::Write as _;
    use std::net::{TcpListener, TcpStream};
    use std::process::{Command, ExitCode, Stdio};
    use std::time::{Duration, Instant};
    use tokio::sync::{mpsc, oneshot, watch};
    use wire::ports::{BackendSignal, BackendState};

    type Outcome<T> = Result<T, Box<dyn std::error::Error>>;

    /// Starts of each kind.
    const STARTS: usize = 100;
    /// A spare keeper is ready long before.
    const SPARE_READY: Duration = Duration::from_millis(150);

    pub(super) fn main() -> ExitCode {
        let mut arguments = std::env::args_os().skip(1).peekable();
        if arguments.next_if(|a| a == KEEPER_ARGUMENT).is_some() {
            return ExitCode::from(u8::try_from(keeper_main(arguments)).unwrap_or(1));
        }
        if arguments.next_if(|a| a == "app").is_some() {
            return app().map_or(ExitCode::FAILURE, |()| ExitCode::SUCCESS);
        }
        let told = measure().and_then(|(table, raw)| {
            let file = arguments.next().unwrap_or_else(|| std::env::temp_dir().join("start_cost.txt").into());
            std::fs::write(&file, raw)?;
            Ok(writeln!(std::io::stdout(), "{table}raw figures: {}", file.display())?)
        });
        told.map_or(ExitCode::FAILURE, |()| ExitCode::SUCCESS)
    }

    /// The application: listens, and waits to be ended.
    fn app() -> Outcome<()> {
        let listener = TcpListener::bind(format!("127.0.0.1:{}", std::env::var("HTTP_PLATFORM_PORT")?))?;
        for stream in listener.incoming() {
            drop(stream);
        }
        Ok(())
    }

    /// The table for a person, and all figures.
    fn measure() -> Outcome<(String, String)> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let names = ["direct", "spare and cgroup", "spare alone", "none and cgroup", "none alone", "three and cgroup"];
        let mut rows = names.map(|name| (name, Vec::new()));
        let [(_, direct), supervised @ ..] = &mut rows;
        // In turn, so that a busy moment of the machine hits all alike.
        for _ in 0..STARTS {
            direct.push(directly()?);
            let ways = [(1, true, true), (1, true, false), (1, false, true), (1, false, false), (3, true, true)];
            for ((instances, spare, grouped), (_, times)) in ways.into_iter().zip(&mut *supervised) {
                times.push(runtime.block_on(through(instances, spare, grouped))?);
            }
        }
        let (mut table, mut raw) = (String::new(), String::new());
        let mut base = None;
        for (name, mut times) in rows {
            let figures: Vec<String> = times.iter().map(|t| t.as_micros().to_string()).collect();
            writeln!(raw, "{name}, microseconds: {}", figures.join(" "))?;
            times.sort();
            let at = |place: usize| times.get(place).copied().unwrap_or_default();
            let (least, median) = (at(0), at(STARTS / 2));
            let (base_least, base_median) = *base.get_or_insert((least, median));
            writeln!(
                table,
                "{name:18} least {:6} us, added {:6} us; median {:6} us, added {:6} us",
                least.as_micros(),
                least.saturating_sub(base_least).as_micros(),
                median.as_micros(),
                median.saturating_sub(base_median).as_micros(),
            )?;
        }
        Ok((table, raw))
    }

    fn directly() -> Outcome<Duration> {
        let port = TcpListener::bind("127.0.0.1:0")?.local_addr()?.port();
        let began = Instant::now();
        let mut child = Command::new(std::env::current_exe()?)
            .arg("app")
            .env("HTTP_PLATFORM_PORT", port.to_string())
            .stdin(Stdio::null())
            .spawn()?;
        while TcpStream::connect(("127.0.0.1", port)).is_err() {
            std::thread::yield_now();
        }
        let took = began.elapsed();
        child.kill()?;
        child.wait()?;
        Ok(took)
    }

    async fn through(instances: u16, spare: bool, grouped: bool) -> Outcome<Duration> {
        let program = std::env::current_exe()?.to_string_lossy().into_owned();
        let mut settings = Settings::new(std::env::temp_dir(), program);
        settings.section = Section::HttpPlatform;
        settings.arguments = "app".into();
        settings.instances = instances;
        if !grouped {
            settings.inherited.push(("GATELODGE_CGROUP".into(), "off".into()));
        }
        let (state, _states) = watch::channel(BackendState::Idle);
        let (signals, receiver) = mpsc::channel(1);
        let (ready, mut at) = mpsc::channel(instances.into());
        let (stop, stopped) = oneshot::channel::<()>();
        let told = move |event: Event| {
            if matches!(event, Event::Ready { .. }) {
                // Only the first of each is waited for.
                let _ = ready.try_send(Instant::now());
            }
        };
        let running = tokio::spawn(Supervisor::new(settings, state, receiver, told).run(async {
            let _ = stopped.await;
        }));
        if spare {
            tokio::time::sleep(SPARE_READY).await;
        }
        let began = Instant::now();
        signals.send(BackendSignal::Wake).await?;
        let mut ready = began;
        for _ in 0..instances {
            ready = at.recv().await.ok_or("it never was ready")?;
        }
        drop(stop);
        running.await?;
        Ok(ready - began)
    }
}
