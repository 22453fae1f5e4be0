//! The watcher as its owner holds it.

use std::io;
use std::sync::Arc;
use std::thread;

use tokio::sync::oneshot;

use crate::events::{self, Maker};
use crate::inbox::{Inbox, Order};
use crate::worker::Worker;
use crate::{News, Settings, Trouble};

/// Watches files on a thread of its own, which ends when this is dropped.
#[derive(Debug)]
pub struct Watcher {
    inbox: Arc<Inbox>,
}

impl Watcher {
    /// Starts to watch. Files as they are when this returns are known: changes
    /// after it are told, so read them after it.
    ///
    /// Troubles are those found so far; watching goes on with what there is, by
    /// looking again now and then where events fail.
    ///
    /// # Errors
    /// The system gives no thread.
    pub async fn start(settings: Settings) -> io::Result<(Self, Vec<Trouble>)> {
        Self::start_with(settings, events::system).await
    }

    pub(crate) async fn start_with(settings: Settings, maker: Maker) -> io::Result<(Self, Vec<Trouble>)> {
        let inbox = Arc::new(Inbox::default());
        let watcher = Self { inbox: Arc::clone(&inbox) };
        let worker = Worker::new(inbox, maker);
        thread::Builder::new().name("watch".to_owned()).spawn(move || worker.run())?;
        let troubles = watcher.retarget(settings).await;
        Ok((watcher, troubles))
    }

    /// Waits for what there is to tell. Changes of one topic that nobody took yet are one.
    ///
    /// # Cancel safety
    /// Cancel safe: nothing is taken before this returns.
    pub async fn next(&self) -> News {
        self.inbox.next().await
    }

    /// Watches other topics from now on, and answers with what troubles that.
    ///
    /// A topic of the same name and folder goes on from what it told last, so no
    /// change is lost between; files that come under watch by this call count as
    /// known as they are.
    ///
    /// # Cancel safety
    /// The settings are taken at once; the troubles come with the news if the answer isn't awaited.
    pub async fn retarget(&self, settings: Settings) -> Vec<Trouble> {
        let (answer, answered) = oneshot::channel();
        self.inbox.order(Order { settings, answer });
        // Only a later order drops this one unanswered.
        answered.await.unwrap_or_default()
    }
}

impl Drop for Watcher {
    fn drop(&mut self) {
        self.inbox.stop();
    }
}
