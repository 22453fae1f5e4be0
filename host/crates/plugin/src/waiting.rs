//! Calls of plugins that may wait: how long, how many at once, and what is left of them.
//!
//! A call owns its instance, and takes it along when it is dropped: a client that leaves
//! ends the wait, the outgoing call and the instance. A timer of the host bounds the
//! whole, whatever the guest does.

use crate::fault::Broken;
use crate::fiber::in_turns;
use crate::instance::Instance;
use crate::pool::{Lent, Next, Ready};
use crate::seen::{Hook, Said};
use crate::worker::{Slot, Worker};
use std::cell::{Cell, OnceCell};
use std::future::{Future, poll_fn};
use std::pin::{Pin, pin};
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::Duration;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};
use tokio::task::JoinSet;
use tokio::time::{Instant, Sleep, sleep_until, timeout_at};
use wire::Exchange;
use wire::exchange::Home;
use wire::fault::PluginFault;

/// Last words of instances that are under way, at most, on one worker: more are dropped unheard.
const AFTERS_MAX: usize = 1_024;

/// A call on a fiber that belongs to nobody but its holder.
pub(crate) type Call<T> = Pin<Box<dyn Future<Output = T>>>;

/// What a call left.
pub(crate) struct Called<T> {
    /// `None` where its state is not known any more.
    pub(crate) instance: Option<Box<Instance>>,
    pub(crate) exchange: Box<Exchange>,
    pub(crate) outcome: Result<T, Broken>,
}

/// The seats for a plugin's calls on one worker, and their limits.
pub(crate) struct Waiting {
    seats: Arc<Semaphore>,
    wall_max: Duration,
}

impl Waiting {
    pub(crate) fn new(instances_max: usize, wall_max: Duration) -> Self {
        let seats = Arc::new(Semaphore::new(instances_max.min(Semaphore::MAX_PERMITS)));
        Self { seats, wall_max }
    }

    /// When a call that begins now ends at the latest.
    pub(crate) fn until(&self) -> Instant {
        Instant::now() + self.wall_max
    }

    /// A seat, waited for until then.
    ///
    /// # Errors
    /// None got free: `instances_max` calls wait all that time.
    pub(crate) async fn seat(&self, until: Instant) -> Result<OwnedSemaphorePermit, Broken> {
        if let Ok(seat) = Arc::clone(&self.seats).try_acquire_owned() {
            return Ok(seat);
        }
        match timeout_at(until, Arc::clone(&self.seats).acquire_owned()).await {
            Ok(Ok(seat)) => Ok(seat),
            _ => Err(self.full()),
        }
    }

    fn full(&self) -> Broken {
        let text = "all its instances on this worker waited, as many as instances_max allows";
        Broken::new(PluginFault::Memory, text)
    }

    fn too_long(&self) -> Broken {
        let most = self.wall_max.as_millis();
        Broken::loss(PluginFault::Deadline, format!("it was stopped after {most} ms, waits included: wall_ms_max"))
    }
}

/// A seat and an instance for a hook, and when its time is over.
///
/// # Errors
/// All are in use until then, or no new one comes about.
pub(crate) async fn instance(
    worker: &Worker,
    slot: &Slot,
    exchange: u64,
) -> Result<(OwnedSemaphorePermit, Instant, Box<Instance>), Broken> {
    let Some(waiting) = &slot.waiting else { return Err(not_on_a_fiber()) };
    let until = waiting.until();
    let seat = waiting.seat(until).await?;
    let ready = slot.pool.borrow_mut().ready(&slot.loaded, exchange)?;
    let instance = match ready {
        Ready::Instance(instance) => instance,
        Ready::New(probe) => {
            let made = crate::pool::fresh_on_fiber(worker, slot, probe);
            by(until, None, made).await.unwrap_or_else(|| Err(waiting.too_long()))?
        }
    };
    Ok((seat, until, instance))
}

/// An instance for the length of a body, which no other exchange gets meanwhile, and when the
/// time of its first hook is over.
///
/// # Errors
/// As many bodies are open as may be, or no new instance comes about.
pub(crate) async fn lent(
    worker: &Worker,
    slot: &Rc<Slot>,
    exchange: u64,
) -> Result<(Lent, Instant, Box<Instance>), Broken> {
    let Some(waiting) = &slot.waiting else { return Err(not_on_a_fiber()) };
    let until = waiting.until();
    let ready = slot.pool.borrow_mut().lend_ready(&slot.loaded, exchange)?;
    let lent = Lent::new(slot);
    let instance = match ready {
        Ready::Instance(instance) => instance,
        Ready::New(probe) => {
            let made = crate::pool::fresh_on_fiber(worker, slot, probe);
            by(until, None, made).await.unwrap_or_else(|| Err(waiting.too_long()))?
        }
    };
    Ok((lent, until, instance))
}

/// Runs a call of an instance, until its time is over or whoever wanted it has `left`.
///
/// # Cancel safety
/// Dropping it drops the instance, and sends the exchange home.
pub(crate) async fn call<T>(
    worker: &Worker,
    slot: &Slot,
    until: Instant,
    instance: Box<Instance>,
    left: Option<&Cell<bool>>,
    hook: impl AsyncFnOnce(&mut Instance) -> (Box<Exchange>, Result<T, Broken>),
) -> Called<T> {
    let mut times = instance.times();
    let clock = instance.clock();
    let mut recall = Recall(Some(instance));
    let called = recall.0.as_mut().expect("put there just above");
    let done = match &clock {
        Some(clock) => by(until, left, in_turns(worker, clock, &mut times, hook(called))).await,
        None => Some(hook(called).await),
    };
    let mut instance = recall.0.take().expect("taken nowhere else but at the drop");
    match done {
        Some((exchange, outcome)) => {
            // A trap leaves the instance in no known state.
            let instance = outcome.is_ok().then_some(instance);
            Called { instance, exchange, outcome }
        }
        None => {
            let broken = slot.waiting.as_ref().map_or_else(not_on_a_fiber, Waiting::too_long);
            let exchange = instance
                .abandon(Some(&broken).filter(|_| !left.is_some_and(Cell::get)))
                .expect("the call put it into the store, and was dropped before its end");
            Called { instance: None, exchange, outcome: Err(broken) }
        }
    }
}

/// An instance whose call may be dropped: the exchange inside goes home then.
struct Recall(Option<Box<Instance>>);

impl Drop for Recall {
    fn drop(&mut self) {
        if let Some(exchange) = self.0.take().and_then(|mut instance| instance.abandon(None)) {
            Home::send(exchange);
        }
    }
}

/// One tick of a plugin's timer: an instance, the call, the instance back. The outcome of
/// making one comes first.
///
/// # Errors
/// The hook failed, or no new instance came about.
pub(crate) async fn tick(worker: &Worker, slot: &Slot, exchange: u64) -> Result<(), Broken> {
    let (_seat, until, mut instance) = instance(worker, slot, exchange).await?;
    let mut times = instance.times();
    let Some(clock) = instance.clock() else { return Err(not_on_a_fiber()) };
    let begun = slot.seen.begin(Hook::Timer);
    let ticked = by(until, None, in_turns(worker, &clock, &mut times, instance.tick_on_fiber())).await;
    slot.seen.end(begun);
    let Some(ticked) = ticked else {
        let broken = slot.waiting.as_ref().map_or_else(not_on_a_fiber, Waiting::too_long);
        instance.abandon(Some(&broken));
        return Err(broken);
    };
    // A trap leaves the instance in no known state: it is dropped here.
    ticked?;
    slot.seen.said(Hook::Timer, Said::Pass);
    slot.pool.borrow_mut().put(&slot.loaded, exchange, instance, Next::AnyExchange);
    Ok(())
}

/// Waits for it until then, or until somebody polls it who has `left`. The timer is set when
/// it waits for the first time: most hooks never do.
async fn by<T>(until: Instant, left: Option<&Cell<bool>>, call: impl Future<Output = T>) -> Option<T> {
    let mut call = pin!(call);
    let mut timer = pin!(None::<Sleep>);
    poll_fn(|cx| {
        if left.is_some_and(Cell::get) {
            return Poll::Ready(None);
        }
        if let Poll::Ready(value) = call.as_mut().poll(cx) {
            return Poll::Ready(Some(value));
        }
        if timer.is_none() {
            timer.set(Some(sleep_until(until)));
        }
        match timer.as_mut().as_pin_mut() {
            Some(timer) => timer.poll(cx).map(|()| None),
            None => Poll::Pending,
        }
    })
    .await
}

fn not_on_a_fiber() -> Broken {
    Broken::new(PluginFault::Trap, "its hooks do not wait")
}

/// Polls a call once, for one that usually does not wait.
pub(crate) fn at_once<T>(call: &mut Call<T>) -> Poll<T> {
    call.as_mut().poll(&mut Context::from_waker(Waker::noop()))
}

/// Calls that go on when their exchange is over: completion hooks and destructors that
/// are not done at once.
#[derive(Default)]
pub(crate) struct Afters {
    queue: OnceCell<mpsc::Sender<Call<()>>>,
}

impl Afters {
    /// Gets ready to run them. To be called inside the worker's local set.
    pub(crate) fn start(&self) {
        self.queue.get_or_init(|| {
            let (sender, mut queue) = mpsc::channel::<Call<()>>(AFTERS_MAX);
            // Ends with the worker's local set, or once the plane is gone and all are done:
            // each of them is bounded by its plugin's `wall_ms_max`.
            tokio::task::spawn_local(async move {
                let mut running = JoinSet::new();
                while let Some(call) = queue.recv().await {
                    while running.try_join_next().is_some() {}
                    if running.len() < AFTERS_MAX {
                        running.spawn_local(call);
                    }
                }
                while running.join_next().await.is_some() {}
            });
            sender
        });
    }

    /// Runs it now if it does not wait, or later; without room it is dropped.
    pub(crate) fn run(&self, mut call: Call<()>) {
        if at_once(&mut call).is_pending()
            && let Some(queue) = self.queue.get()
        {
            // Full: as many as may be are under way; this one's instance goes with it.
            drop(queue.try_send(call));
        }
    }
}
