//! Which instance gets a request.

use std::cell::Cell;
use std::rc::Rc;
use std::time::Instant;
use wire::InFlight;
use wire::ports::Paired;

/// What a request asks of the choice.
#[derive(Debug, Default)]
pub(crate) struct Ask {
    /// The instance that the client's cookie names.
    pub(crate) wanted: Option<u64>,
    /// Starts that this request could not be sent to: never chosen.
    pub(crate) refused: Vec<u64>,
    /// A start whose idle connection was closed: chosen only if there is no other.
    pub(crate) stale: Option<u64>,
}

/// An instance, and the request's place on it.
pub(crate) struct Chosen {
    pub(crate) backend: Rc<Paired>,
    pub(crate) in_flight: InFlight,
}

impl Chosen {
    fn begin(backend: &Rc<Paired>) -> Option<Self> {
        backend.load.begin().map(|in_flight| Self { backend: Rc::clone(backend), in_flight })
    }
}

/// How bad an instance is for a request; the least is taken. One that is ejected
/// is chosen only where all are, and then the one with the fewest ejections.
type Rank = (bool, bool, u32, usize);

/// The instance with the fewest requests among those that `ask` allows. Among
/// equals it is the next after the last choice, so `turn` makes it fair.
///
/// One that retires between look and begin is not chosen, and counts no request.
pub(crate) fn choose(
    instances: &[Rc<Paired>],
    ask: &Ask,
    turn: &Cell<usize>,
    now: impl Fn() -> Instant,
) -> Option<Chosen> {
    // The usual case looks neither at the clock nor at other loads.
    if let ([only], true) = (instances, ask.refused.is_empty()) {
        return Chosen::begin(only);
    }
    if let Some(wanted) = wanted(instances, ask, &now) {
        return Some(wanted);
    }
    loop {
        let (before, from) = instances.split_at_checked(turn.get()).unwrap_or((&[], instances));
        let mut best: Option<(Rank, usize, &Rc<Paired>)> = None;
        let places = (before.len()..).zip(from).chain((0..).zip(before));
        for (at, backend) in places.filter(|(_, backend)| is_allowed(backend, ask)) {
            let rank = rank(backend, ask, &now);
            if best.as_ref().is_none_or(|(least, ..)| rank < *least) {
                best = Some((rank, at, backend));
            }
        }
        let (_, at, backend) = best?;
        if let Some(chosen) = Chosen::begin(backend) {
            turn.set(at + 1);
            return Some(chosen);
        }
        // It has retired meanwhile, and is allowed no more: each round has fewer.
    }
}

fn wanted(instances: &[Rc<Paired>], ask: &Ask, now: impl Fn() -> Instant) -> Option<Chosen> {
    let affinity = ask.wanted?;
    let named = instances.iter().find(|backend| backend.affinity == affinity)?;
    (is_allowed(named, ask) && !is_ejected(named, now)).then(|| Chosen::begin(named)).flatten()
}

fn is_allowed(backend: &Paired, ask: &Ask) -> bool {
    !backend.load.is_retired() && !ask.refused.contains(&backend.start)
}

/// True while it is out of the choice; looks at the clock only where it ever was.
pub(crate) fn is_ejected(backend: &Paired, now: impl Fn() -> Instant) -> bool {
    backend.load.was_ejected() && backend.load.is_ejected(now())
}

fn rank(backend: &Paired, ask: &Ask, now: impl Fn() -> Instant) -> Rank {
    let ejected = is_ejected(backend, now);
    let ejections = if ejected { backend.load.ejections() } else { 0 };
    (ejected, ask.stale == Some(backend.start), ejections, backend.load.outstanding())
}

#[cfg(test)]
mod tests;
