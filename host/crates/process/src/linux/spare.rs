//! Keepers that were started ahead and wait for the next start, each with its stage
//! and its control group: what takes the system long is done before anybody waits.
//!
//! It knows nothing of the application; all of that comes with the order. It ends
//! with the host like any other keeper, and takes the groups along that a keeper
//! left which was killed together with the host.

use super::cgroup::{self, Groups};
use super::frames::BYE;
use super::keeper::GROUP;
use super::listener::Owner;
use std::ffi::OsStr;
use std::future::{Future as _, poll_fn};
use std::io::{Error, PipeReader, Write as _};
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::os::unix::process::CommandExt as _;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::Poll;
use std::time::Duration;
use tokio::sync::Notify;
use tokio::time::sleep;

/// Most spares that are kept, each with two small processes: more instances than
/// these start at once a little later.
const WANTED_MAX: usize = 8;
/// After a start the next spare is made so much later: the start goes first.
const AFTER_USE: Duration = Duration::from_millis(100);
/// And after the death of a spare, so that one that can't live costs little.
const AFTER_DEATH: Duration = Duration::from_secs(1);

/// Everything that a keeper is prepared by.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Recipe {
    /// The executable.
    pub(crate) keeper: PathBuf,
    /// Whether the application's output is read.
    pub(crate) capture: bool,
    /// Whether the application gets a control group of its own, if one can be had.
    pub(crate) grouped: bool,
}

impl Recipe {
    /// What an application is started by.
    pub(crate) fn of(settings: &crate::settings::Settings) -> Self {
        Self {
            keeper: settings.keeper.clone(),
            capture: settings.console_redirection,
            grouped: crate::environment::grouped(settings),
        }
    }
}

/// A keeper before its order. Dropping it ends it.
pub(super) struct Spare(Option<Parts>);

/// What a keeper is to the host.
pub(super) struct Parts {
    pub(super) child: Child,
    pub(super) control: UnixStream,
    pub(super) output: Option<PipeReader>,
    pub(super) group: Option<PathBuf>,
}

impl Spare {
    /// Starts a keeper.
    ///
    /// It is in a process group of its own, so that Ctrl-C in the host's terminal
    /// reaches the host alone.
    ///
    /// # Errors
    /// The system's word.
    pub(super) fn begin(recipe: &Recipe) -> Result<Self, Error> {
        let (control, theirs) = UnixStream::pair()?;
        control.set_nonblocking(true)?;
        let (output, stdout, stderr) = if recipe.capture {
            let (reader, writer) = std::io::pipe()?;
            let second = writer.try_clone()?;
            (Some(reader), Stdio::from(writer), Stdio::from(second))
        } else {
            (None, Stdio::null(), Stdio::null())
        };
        let group = if recipe.grouped { Groups::find().map(|groups| groups.fresh()) } else { None };
        let child = Command::new(&recipe.keeper)
            .arg(crate::KEEPER_ARGUMENT)
            .args(group.iter().flat_map(|path| [OsStr::new(GROUP), path.as_os_str()]))
            .env_clear()
            .current_dir("/")
            .stdin(Stdio::from(OwnedFd::from(theirs)))
            .stdout(stdout)
            .stderr(stderr)
            .process_group(0)
            .spawn()?;
        Ok(Self(Some(Parts { child, control, output, group })))
    }

    /// For its order.
    pub(super) fn take(mut self) -> Option<Parts> {
        self.0.take()
    }

    fn lives(&mut self) -> bool {
        self.0.as_mut().is_some_and(|parts| matches!(parts.child.try_wait(), Ok(None)))
    }

    fn pid(&self) -> u32 {
        self.0.as_ref().map_or(0, |parts| parts.child.id())
    }
}

impl Drop for Spare {
    fn drop(&mut self) {
        let Some(Parts { child, mut control, group, .. }) = self.0.take() else { return };
        // One that is gone needs no word.
        let _ = control.write_all(&[BYE]);
        bury(child, group);
    }
}

/// Waits for a keeper that ends, and removes the group that it may have left.
pub(super) fn bury(mut child: Child, group: Option<PathBuf>) {
    let wait = move || {
        // Waiting leaves no zombie; a keeper without work ends in milliseconds.
        let _ = child.wait();
        if let Some(group) = group.filter(|group| group.exists()) {
            cgroup::end(&group);
        }
    };
    // Without a thread the next host's keeper cleans up.
    let _ = std::thread::Builder::new().name("keeper-wait".into()).spawn(wait);
}

/// The place for spares.
pub(crate) struct Spares {
    slot: Mutex<Slot>,
    used: Notify,
}

struct Slot {
    recipe: Recipe,
    /// The eldest first.
    spares: Vec<Spare>,
    /// How many there should be, at least one.
    wanted: usize,
}

impl Spares {
    /// An empty place for one; [`tend`] fills it.
    pub(crate) fn new(recipe: Recipe) -> Arc<Self> {
        Arc::new(Self { slot: Mutex::new(Slot { recipe, spares: Vec::new(), wanted: 1 }), used: Notify::new() })
    }

    /// From now on there should be so many, from 1 to [`WANTED_MAX`]. Those beyond go
    /// a little later, so that starts that are under way still find theirs.
    pub(crate) fn want(&self, count: usize) {
        let count = count.clamp(1, WANTED_MAX);
        if std::mem::replace(&mut self.slot().wanted, count) != count {
            self.used.notify_one();
        }
    }

    /// A spare, if there is one that lives and was made so. From now on they are
    /// made so.
    pub(super) fn take(&self, recipe: &Recipe) -> Option<Spare> {
        let mut slot = self.slot();
        let others = if slot.recipe == *recipe { Vec::new() } else { std::mem::take(&mut slot.spares) };
        recipe.clone_into(&mut slot.recipe);
        slot.spares.retain_mut(Spare::lives);
        let spare = if slot.spares.is_empty() { None } else { Some(slot.spares.remove(0)) };
        drop(slot);
        drop(others);
        self.used.notify_one();
        spare
    }

    /// Sees that as many live as are wanted, and no more. Their processes.
    fn fill(&self) -> Result<Vec<u32>, Error> {
        loop {
            let recipe = {
                let mut slot = self.slot();
                let wanted = slot.wanted;
                slot.spares.retain_mut(Spare::lives);
                slot.spares.truncate(wanted);
                if slot.spares.len() == wanted {
                    return Ok(slot.spares.iter().map(Spare::pid).collect());
                }
                slot.recipe.clone()
            };
            let spare = Spare::begin(&recipe)?;
            let mut slot = self.slot();
            if slot.recipe == recipe {
                slot.spares.push(spare);
            }
        }
    }

    fn slot(&self) -> MutexGuard<'_, Slot> {
        // Nothing in here is ever half done.
        self.slot.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Sees that there are spares, for as long as it is polled. They go with it.
pub(crate) async fn tend(spares: Arc<Spares>) {
    /// Takes the spares along when the future is dropped.
    struct Tender(Arc<Spares>);
    impl Drop for Tender {
        fn drop(&mut self) {
            let spares = std::mem::take(&mut self.0.slot().spares);
            drop(spares);
        }
    }
    let tender = Tender(spares);
    loop {
        let spares = Arc::clone(&tender.0);
        let filled = tokio::task::spawn_blocking(move || spares.fill()).await;
        let watched: Vec<Owner> = match filled {
            Ok(Ok(pids)) => pids.into_iter().filter_map(Owner::watch).collect(),
            // Starts do without one, and tell what is wrong.
            _ => {
                tender.0.used.notified().await;
                sleep(AFTER_USE).await;
                continue;
            }
        };
        let mut ends: Vec<_> = watched.iter().map(|owner| Box::pin(owner.ended())).collect();
        let ended = poll_fn(|cx| {
            // One that can't be watched is found out by whoever takes it.
            let ended = ends.iter_mut().any(|end| end.as_mut().poll(cx).is_ready());
            if ended { Poll::Ready(()) } else { Poll::Pending }
        });
        tokio::select! {
            biased;
            () = tender.0.used.notified() => sleep(AFTER_USE).await,
            () = ended => sleep(AFTER_DEATH).await,
        }
    }
}
