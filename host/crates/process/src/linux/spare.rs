//! A keeper that was started ahead and waits for the next start, with its stage
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
use std::io::{Error, PipeReader, Write as _};
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::os::unix::process::CommandExt as _;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::Notify;
use tokio::time::sleep;

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
pub(super) struct Spare {
    recipe: Recipe,
    parts: Option<Parts>,
}

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
        Ok(Self { recipe: recipe.clone(), parts: Some(Parts { child, control, output, group }) })
    }

    /// For its order.
    pub(super) fn take(mut self) -> Option<Parts> {
        self.parts.take()
    }

    fn lives(&mut self) -> bool {
        self.parts.as_mut().is_some_and(|parts| matches!(parts.child.try_wait(), Ok(None)))
    }

    fn pid(&self) -> u32 {
        self.parts.as_ref().map_or(0, |parts| parts.child.id())
    }
}

impl Drop for Spare {
    fn drop(&mut self) {
        let Some(Parts { child, mut control, group, .. }) = self.parts.take() else { return };
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

/// The place for one spare.
pub(crate) struct Spares {
    slot: Mutex<Slot>,
    used: Notify,
}

struct Slot {
    recipe: Recipe,
    spare: Option<Spare>,
}

impl Spares {
    /// An empty place; [`tend`] fills it.
    pub(crate) fn new(recipe: Recipe) -> Arc<Self> {
        Arc::new(Self { slot: Mutex::new(Slot { recipe, spare: None }), used: Notify::new() })
    }

    /// The spare, if there is one that lives and was made so. From now on they are
    /// made so.
    pub(super) fn take(&self, recipe: &Recipe) -> Option<Spare> {
        let mut slot = self.slot();
        let spare = slot.spare.take();
        recipe.clone_into(&mut slot.recipe);
        drop(slot);
        self.used.notify_one();
        spare.filter(|spare| spare.recipe == *recipe).and_then(|mut spare| spare.lives().then_some(spare))
    }

    /// Makes one if there is none that lives. Its process.
    fn fill(&self) -> Result<u32, Error> {
        let recipe = {
            let mut slot = self.slot();
            if let Some(spare) = slot.spare.as_mut()
                && spare.lives()
            {
                return Ok(spare.pid());
            }
            slot.spare = None;
            slot.recipe.clone()
        };
        let spare = Spare::begin(&recipe)?;
        let pid = spare.pid();
        self.slot().spare = Some(spare);
        Ok(pid)
    }

    fn slot(&self) -> MutexGuard<'_, Slot> {
        // Nothing in here is ever half done.
        self.slot.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Sees that there is a spare, for as long as it is polled. The spare goes with it.
pub(crate) async fn tend(spares: Arc<Spares>) {
    /// Takes the spare along when the future is dropped.
    struct Tender(Arc<Spares>);
    impl Drop for Tender {
        fn drop(&mut self) {
            self.0.slot().spare = None;
        }
    }
    let tender = Tender(spares);
    loop {
        let spares = Arc::clone(&tender.0);
        let filled = tokio::task::spawn_blocking(move || spares.fill()).await;
        let watch = match filled {
            Ok(Ok(pid)) => Owner::watch(pid),
            // Starts do without one, and tell what is wrong.
            _ => {
                tender.0.used.notified().await;
                sleep(AFTER_USE).await;
                continue;
            }
        };
        let ended = async {
            if let Some(owner) = &watch {
                owner.ended().await;
            }
        };
        tokio::select! {
            biased;
            () = tender.0.used.notified() => sleep(AFTER_USE).await,
            () = ended => sleep(AFTER_DEATH).await,
        }
    }
}
