//! Idle connections to the backend.

use crate::connection::Connection;
use std::collections::VecDeque;
use std::time::Duration;
use tokio::time::Instant;

/// The idle connections of one worker, the latest used first out.
///
/// Age is looked at when one is taken or put back, so that no timer runs; a
/// connection that the backend closed is found by looking before reuse.
pub(crate) struct Pool {
    idle: VecDeque<(Instant, Connection)>,
    connections_max: usize,
    age_max: Duration,
}

impl Pool {
    pub(crate) fn new(connections_max: usize, age_max: Duration) -> Self {
        Self { idle: VecDeque::new(), connections_max, age_max }
    }

    /// A live connection to the backend of this start. Those of other starts are closed.
    pub(crate) fn take(&mut self, start: u64) -> Option<Connection> {
        while let Some((since, connection)) = self.idle.pop_back() {
            if connection.start != start {
                continue;
            }
            if since.elapsed() > self.age_max {
                // All that remain have idled longer still.
                self.idle.clear();
                return None;
            }
            if connection.is_quiet() {
                return Some(connection);
            }
        }
        None
    }

    /// Keeps a connection whose last response was read to its end.
    pub(crate) fn put(&mut self, mut connection: Connection) {
        if self.connections_max == 0 {
            return;
        }
        let now = Instant::now();
        let start = connection.start;
        while let Some((since, oldest)) = self.idle.front() {
            let crowded = self.idle.len() >= self.connections_max;
            if !crowded && oldest.start == start && now.duration_since(*since) <= self.age_max {
                break;
            }
            self.idle.pop_front();
        }
        connection.rest();
        self.idle.push_back((now, connection));
    }

    #[cfg(test)]
    pub(crate) fn len(&self) -> usize {
        self.idle.len()
    }
}
