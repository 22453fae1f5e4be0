//! Idle connections to the backend.

use crate::connection::Connection;
use std::collections::VecDeque;
use std::time::Duration;
use tokio::time::Instant;

/// The idle connections of one worker: for each instance the latest used first out.
///
/// Only instances that take requests have a shelf, so that a connection of any
/// other is closed and not kept. Age is looked at when one is taken or put back,
/// and when the pool is swept; a connection that the backend closed is found by
/// looking before reuse.
pub(crate) struct Pool {
    /// In the order of their starts.
    shelves: Vec<Shelf>,
    /// Connections on all of them.
    count: usize,
    connections_max: usize,
    age_max: Duration,
}

/// Idle connections to one instance, the oldest first.
struct Shelf {
    start: u64,
    idle: VecDeque<(Instant, Connection)>,
}

impl Pool {
    pub(crate) fn new(connections_max: usize, age_max: Duration) -> Self {
        Self { shelves: Vec::new(), count: 0, connections_max, age_max }
    }

    /// Keeps shelves for these starts and no others: the connections of others are closed.
    pub(crate) fn keep_only(&mut self, starts: impl Iterator<Item = u64>) {
        let mut before = std::mem::take(&mut self.shelves);
        let kept = |start: u64| {
            let known = before.iter().position(|shelf| shelf.start == start);
            known.map_or_else(|| Shelf { start, idle: VecDeque::new() }, |at| before.swap_remove(at))
        };
        self.shelves = starts.map(kept).collect();
        self.shelves.sort_unstable_by_key(|shelf| shelf.start);
        self.count = self.shelves.iter().map(|shelf| shelf.idle.len()).sum();
    }

    /// A live connection to the instance of this start.
    pub(crate) fn take(&mut self, start: u64) -> Option<Connection> {
        let at = self.shelf(start)?;
        let shelf = self.shelves.get_mut(at)?;
        while let Some((since, connection)) = shelf.idle.pop_back() {
            self.count -= 1;
            if since.elapsed() > self.age_max {
                // All that remain have idled longer still.
                self.count -= shelf.idle.len();
                shelf.idle.clear();
                return None;
            }
            if connection.is_quiet() {
                return Some(connection);
            }
        }
        None
    }

    /// Keeps a connection whose last response was read to its end; closes it
    /// where its instance takes no more requests.
    pub(crate) fn put(&mut self, mut connection: Connection) {
        let Some(at) = self.shelf(connection.start) else { return };
        if self.connections_max == 0 {
            return;
        }
        let now = Instant::now();
        self.count -= self.shelves.get_mut(at).map_or(0, |shelf| shelf.drop_old(now, self.age_max));
        if self.count >= self.connections_max {
            self.drop_oldest();
        }
        connection.rest();
        if let Some(shelf) = self.shelves.get_mut(at) {
            shelf.idle.push_back((now, connection));
            self.count += 1;
        }
    }

    /// Closes what has idled too long.
    pub(crate) fn sweep(&mut self) {
        let now = Instant::now();
        for shelf in &mut self.shelves {
            self.count -= shelf.drop_old(now, self.age_max);
        }
    }

    /// Makes room for one. Looks at all shelves, but only where the limit is reached.
    fn drop_oldest(&mut self) {
        let filled = self.shelves.iter_mut().filter(|shelf| !shelf.idle.is_empty());
        if let Some(shelf) = filled.min_by_key(|shelf| shelf.idle.front().map(|(since, _)| *since)) {
            shelf.idle.pop_front();
            self.count -= 1;
        }
    }

    fn shelf(&self, start: u64) -> Option<usize> {
        self.shelves.binary_search_by_key(&start, |shelf| shelf.start).ok()
    }

    #[cfg(test)]
    pub(crate) fn len(&self) -> usize {
        assert_eq!(self.count, self.shelves.iter().map(|shelf| shelf.idle.len()).sum::<usize>());
        self.count
    }
}

impl Shelf {
    /// Closes those that have idled too long; how many they were.
    fn drop_old(&mut self, now: Instant, age_max: Duration) -> usize {
        let before = self.idle.len();
        while self.idle.front().is_some_and(|(since, _)| now.duration_since(*since) > age_max) {
            self.idle.pop_front();
        }
        before - self.idle.len()
    }
}
