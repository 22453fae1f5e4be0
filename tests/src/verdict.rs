//! Was a request lost? The rule by which a kill storm is judged.
//!
//! A request may fail only where it was under way while an instance was
//! killed, and either that very instance had read its head, or none had: then
//! its bytes may lie in the dead instance's sockets, which nobody can tell.
//! Whatever was sent after an instance had died must be answered by another;
//! what runs on other instances is none of the dead one's business; and half
//! an answer must never look like a whole one.

use crate::load::{Outcome, Record};
use crate::probe::Sight;
use std::collections::HashMap;
use std::time::Instant;

/// One kill.
#[derive(Clone, Copy, Debug)]
pub struct Kill {
    /// The process that was killed.
    pub pid: u32,
    /// Before the signal was sent.
    pub at: Instant,
    /// When all its sockets were closed.
    pub gone: Instant,
}

/// What became of the requests.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Verdict {
    /// Answered, whole and right.
    pub whole: usize,
    /// Failed, because the instance that had read them was killed.
    pub running: usize,
    /// Failed while an instance was killed, read by none: GETs.
    pub unread_gets: usize,
    /// Failed while an instance was killed, read by none: POSTs.
    pub unread_posts: usize,
}

/// Judges all requests of a storm.
///
/// # Errors
/// A line for each request that was lost or got a wrong answer, and for each
/// POST that was sent to the backend more than once.
pub fn judge(records: &[Record], seen: &[Sight], kills: &[Kill]) -> Result<Verdict, Vec<String>> {
    let mut sights: HashMap<&str, Vec<&Sight>> = HashMap::new();
    for sight in seen {
        sights.entry(&sight.name).or_default().push(sight);
    }
    let (mut verdict, mut complaints) = (Verdict::default(), Vec::new());
    for record in records {
        let by: &[&Sight] = sights.get(record.name.as_str()).map_or(&[], Vec::as_slice);
        if record.method == "POST" && by.len() > 1 {
            complaints.push(format!("sent to the backend {} times: {record:?}", by.len()));
        }
        let may_fail = match record.outcome {
            Outcome::Refused(502, _) | Outcome::Broken(_) => true,
            // The answer had begun, but its first bytes were still on the way through the host.
            Outcome::Unanswered(_) => !by.is_empty(),
            _ => false,
        };
        let hit = kills.iter().any(|kill| {
            let under_way = record.sent <= kill.gone && record.ended >= kill.at;
            under_way && (by.is_empty() || by.iter().any(|sight| sight.pid == kill.pid))
        });
        match &record.outcome {
            Outcome::Whole => verdict.whole += 1,
            _ if may_fail && hit && by.is_empty() && record.method == "GET" => verdict.unread_gets += 1,
            _ if may_fail && hit && by.is_empty() => verdict.unread_posts += 1,
            _ if may_fail && hit => verdict.running += 1,
            _ => complaints.push(lost(record, by, kills)),
        }
    }
    if complaints.is_empty() { Ok(verdict) } else { Err(complaints) }
}

fn lost(record: &Record, by: &[&Sight], kills: &[Kill]) -> String {
    // The kill nearest to its beginning tells most.
    let signed = |kill: &Kill| {
        let after = record.sent.saturating_duration_since(kill.gone);
        let before = kill.gone.saturating_duration_since(record.sent);
        (before + after, format!("pid {} dead {after:?} before, or {before:?} after it was sent", kill.pid))
    };
    let nearest = kills.iter().map(signed).min().map_or_else(|| "no kill".to_owned(), |(_, text)| text);
    let took = record.ended.saturating_duration_since(record.sent);
    let Record { name, method, manner, outcome, .. } = record;
    format!("{method} {manner} {name} lost after {took:?}: {outcome:?}; read by {by:?}; {nearest}")
}

#[cfg(test)]
mod tests;
