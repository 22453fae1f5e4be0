//! Where orders arrive while the host serves, and what they lead to.

use crate::counters::Counters;
use crate::generation::Plan;
use crate::orders::{Order, Orders};
use crate::reload::{Ask, Cause};
use edge::DrainOrder;
use observe::event::Line;
use observe::{Level, Log};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{mpsc, watch};

/// How a stop goes.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Pace {
    /// Time that running requests have.
    pub(crate) drain_limit: Duration,
    /// Time in which everything goes on as before (`shutdownDelay`).
    pub(crate) delay: Duration,
}

/// The desk at which orders are taken.
pub(crate) struct Desk {
    /// Signals of the system.
    pub(crate) orders: Orders,
    /// Orders over the admin address.
    pub(crate) from_admin: mpsc::Receiver<Order>,
    /// Where a reload is asked for.
    pub(crate) asks: mpsc::Sender<Ask>,
    /// The plan of the moment, which says how a stop goes.
    pub(crate) plans: watch::Receiver<Arc<Plan>>,
    /// What the workers are told.
    pub(crate) drain: watch::Sender<DrainOrder>,
    /// The log.
    pub(crate) log: Log,
    /// How often a stop was ordered.
    pub(crate) stops: u32,
}

impl Desk {
    /// The next order, from whoever gives it.
    pub(crate) async fn next(&mut self) -> Order {
        tokio::select! {
            order = self.orders.next() => order,
            Some(order) = self.from_admin.recv() => order,
        }
    }

    /// Carries an order out.
    pub(crate) async fn take(&mut self, order: Order, counters: &Counters) {
        let pace = self.plans.borrow().pace;
        match order {
            Order::Stop => {
                self.stops += 1;
                if self.stops == 1 && !pace.delay.is_zero() {
                    say(&self.log, "stopping", "shutdownDelay runs: new requests are still served");
                    tokio::select! {
                        () = tokio::time::sleep(pace.delay) => {}
                        () = self.cut(counters) => {}
                    }
                }
                if self.stops == 1 {
                    say(&self.log, "stopping", "draining: running requests may finish");
                    self.drain.send_replace(DrainOrder::Drain { cut_after: pace.drain_limit });
                } else {
                    say(&self.log, "stopping", "cutting");
                    self.drain.send_replace(DrainOrder::Cut);
                }
            }
            Order::Reload => self.reload(),
            Order::Counters => counters.tell(&self.log),
        }
    }

    /// Returns once a stop has been ordered twice.
    pub(crate) async fn cut(&mut self, counters: &Counters) {
        while self.stops < 2 {
            match self.next().await {
                Order::Stop => self.stops += 1,
                Order::Reload => self.reload(),
                Order::Counters => counters.tell(&self.log),
            }
        }
    }

    fn reload(&self) {
        if self.stops > 0 {
            return say(&self.log, "reload", "the host is stopping: nothing is taken up any more");
        }
        // A full queue holds asks that lead to the same reload.
        let _ = self.asks.try_send(Ask { cause: Cause::Asked, done: None });
    }
}

/// A line with nothing but a name and a sentence.
pub(crate) fn say(log: &Log, name: &'static str, message: &str) {
    log.tell(&Line { level: Level::Info, name, message: message.to_owned(), fields: Vec::new() });
}
