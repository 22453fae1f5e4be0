//! The way of one request, in the order in which it happens.

use crate::body::{Counted, Meter, Payload, Record, Times, Told};
use crate::generation::{Generation, Pipeline, Route, Site};
use crate::rescue;
use crate::trace::{self, Traced};
use bytes::Bytes;
use http::{HeaderValue, StatusCode, header};
use http_body::Body;
use observe::metrics::Counter;
use std::rc::Rc;
use std::sync::Arc;
use tokio::time::Instant;
use wire::exchange::{Home, Source};

use wire::ports::{Answer, Ending, Forward, Handle, Plugins, Reply, Step, Summary};
use wire::{ConnFacts, Exchange, Fault, Framing, Kind, NotFound, RequestHead, RequestId, ResponseHead};

/// A response before it goes past the plugins on its way out.
struct Outcome<B> {
    payload: B,
    ending: Ending,
    detail: Option<Box<str>>,
    close: bool,
}

impl<B, F, P, S> Handle<B> for Pipeline<F, P, S>
where
    B: Body<Data = Bytes, Error = Fault> + Unpin,
    P: Plugins,
    F: Forward<P::Body<Counted<B>>>,
    F::Body: Unpin,
    S: Site,
{
    type Body = Told<F::Body, F, P, S>;

    async fn handle(&self, conn: &Arc<ConnFacts>, head: RequestHead, body: B) -> Reply<Self::Body> {
        let generation = self.current();
        generation.counters.count(Counter::Requests);
        let mut head = head;
        let trace = trace::begin(&generation.rules, head.trace.take());
        let mut exchange = Box::new(Exchange::new(Arc::clone(conn), head, self.next_id()));
        exchange.trace = trace;
        journey(generation, exchange, body).await
    }

    fn refuse(&self, conn: &Arc<ConnFacts>, fault: Fault) -> Reply<Self::Body> {
        let generation = self.current();
        let request = RequestId(self.next_id());
        let rescued = rescue::answer(&fault, conn, None, request);
        rescue::tell(&generation.log, &generation.counters, None, request, conn, &fault, Some(rescued.status));
        Reply {
            head: rescued.head,
            body: Told::new(P::untouched(Payload::Full(Some(rescued.body))), None),
            close: true,
        }
    }
}

/// Steps 5 to 11 and 13 of a request.
async fn journey<B, F, P, S>(
    generation: Rc<Generation<F, P, S>>,
    exchange: Box<Exchange>,
    body: B,
) -> Reply<Told<F::Body, F, P, S>>
where
    B: Body<Data = Bytes, Error = Fault> + Unpin,
    P: Plugins,
    F: Forward<P::Body<Counted<B>>>,
    F::Body: Unpin,
    S: Site,
{
    let watched = generation.plugins.wants_completion();
    let started = (watched || exchange.trace.is_some()).then(Instant::now);
    let metered = watched || generation.plugins.wants_request_bodies();
    let bytes_in: Option<Rc<Meter>> = metered.then(Rc::default);

    let mut exchange = exchange;
    let told = started.filter(|_| watched);
    if generation.plugins.may_wait() {
        exchange.home = Some(Arc::default());
    }
    // While a hook holds the exchange it is this that learns of a client that leaves.
    let home = exchange.home.clone();
    let at_home = Waiting { generation: &generation, exchange: None, home, started: told, meter: bytes_in.clone() };
    let (exchange, outcome) = inward(&generation, exchange, body, (told, bytes_in.clone())).await;
    let (exchange, outcome) = outward(&generation, exchange, outcome).await;
    drop(at_home);

    let mut exchange = exchange;
    let times = started.filter(|_| watched).zip(bytes_in).map(|(started, bytes_in)| Times {
        started,
        first_byte: started.elapsed(),
        bytes_in,
        bytes_out: 0,
        upstream: if exchange.source == Source::Backend { exchange.upstream.get() } else { None },
    });
    let status = exchange.response.as_ref().map_or(StatusCode::INTERNAL_SERVER_ERROR, |head| head.status);
    let mut head = if generation.plugins.completion_reads_response() {
        copy(exchange.response.as_ref())
    } else {
        exchange.response.replace(ResponseHead::new(status)).unwrap_or_else(|| ResponseHead::new(status))
    };
    let Outcome { payload, ending, detail, close } = outcome;
    let traced = Traced::new(&exchange, started);
    if let (Some(trace), Some(started)) = (&exchange.trace, started) {
        trace::answer(trace, started.elapsed(), &mut head.headers);
    }
    let record = Record { generation, exchange, status, ending, times, detail, traced };
    Reply { head, body: Told::new(payload, Some(record)), close }
}

/// Steps 6 to 10: plugins in, handler mapping, backend. Leaves the response's
/// head in the exchange.
async fn inward<B, F, P, S>(
    generation: &Generation<F, P, S>,
    exchange: Box<Exchange>,
    body: B,
    (started, meter): (Option<Instant>, Option<Rc<Meter>>),
) -> (Box<Exchange>, Outcome<Payload<F::Body>>)
where
    B: Body<Data = Bytes, Error = Fault> + Unpin,
    P: Plugins,
    F: Forward<P::Body<Counted<B>>>,
    F::Body: Unpin,
    S: Site,
{
    let mut exchange = exchange;
    let declared = exchange.request.framing;
    let body = Counted::new(body, meter.clone());
    let body = if generation.plugins.any() {
        let (back, step, body) = generation.plugins.request_head(exchange, body).await;
        exchange = back;
        match step {
            Step::Continue => body,
            Step::Answer(answer) => {
                let outcome = answered(&mut exchange, *answer);
                return (exchange, outcome);
            }
            Step::Fault(fault) => {
                let outcome = rescued(generation, &mut exchange, &fault);
                return (exchange, outcome);
            }
        }
    } else {
        P::untouched(body)
    };
    let sent = match select(generation, &exchange.request, declared, meter.as_deref()) {
        Err(kind) => Err(Fault::new(kind)),
        Ok(route) => {
            let waiting = Waiting { generation, exchange: Some(exchange), home: None, started, meter };
            let sent = generation.forward.send(waiting.exchange(), body, route.body_bytes_max).await;
            exchange = waiting.over();
            sent.map(|(head, body)| (head, body, route))
        }
    };
    let outcome = match sent {
        Ok((mut head, body, route)) => {
            if route.remove_server_header {
                head.headers.remove(header::SERVER);
            }
            exchange.response = Some(head);
            exchange.source = Source::Backend;
            Outcome { payload: Payload::Stream(body), ending: Ending::Complete, detail: None, close: false }
        }
        Err(fault) => rescued(generation, &mut exchange, &fault),
    };
    (exchange, outcome)
}

/// An exchange that waits, for the backend or in a hook. If it is dropped there, its client has
/// left, and that is told: to the counters, and to completion hooks.
struct Waiting<'g, F, P: Plugins, S> {
    generation: &'g Generation<F, P, S>,
    /// `None` once the wait is over, and while a hook has it.
    exchange: Option<Box<Exchange>>,
    /// Where it comes back to from a hook.
    home: Option<Arc<Home>>,
    /// Where a completion hook asks for it.
    started: Option<Instant>,
    meter: Option<Rc<Meter>>,
}

impl<F, P: Plugins, S> Waiting<'_, F, P, S> {
    fn exchange(&self) -> &Exchange {
        self.exchange.as_deref().expect("taken by `over` and by the drop only")
    }

    fn over(mut self) -> Box<Exchange> {
        self.exchange.take().expect("taken nowhere else but at the drop")
    }
}

impl<F, P: Plugins, S> Drop for Waiting<'_, F, P, S> {
    fn drop(&mut self) {
        let back = self.home.as_deref().and_then(Home::take);
        let Some(exchange) = self.exchange.take().or(back) else { return };
        self.generation.counters.count(Counter::ClientsGone);
        let Some(started) = self.started else { return self.generation.plugins.forget(&exchange) };
        let summary = Summary {
            status: exchange.response.as_ref().map(|head| head.status),
            ending: Ending::ClientGone,
            duration: started.elapsed(),
            first_byte: None,
            bytes_in: self.meter.as_deref().map_or(0, Meter::seen),
            bytes_out: 0,
            upstream: None,
            detail: Some("the client left before there was a response".into()),
        };
        self.generation.plugins.complete(exchange, &summary);
    }
}

/// Step 7: which handler, and does the body fit, as the client announced it and as
/// far as it came already?
fn select<F, P, S: Site>(
    generation: &Generation<F, P, S>,
    head: &RequestHead,
    declared: Framing,
    meter: Option<&Meter>,
) -> Result<Route, Kind> {
    let path = below(&generation.rules.path_base, head.path()).ok_or(Kind::NotFound(NotFound::OutsideBase))?;
    let route = generation.site.decide(head, path)?;
    if let Some(meter) = meter {
        meter.limit(route.body_bytes_max)?;
    }
    match declared {
        Framing::Length(length) if length > route.body_bytes_max => Err(Kind::BodyTooLarge(route.body_bytes_max)),
        _ => Ok(route),
    }
}

/// The part of `path` below `base`, which has no trailing slash; compared
/// segment by segment and ignoring ASCII case, as `UsePathBase` does.
fn below<'a>(base: &str, path: &'a str) -> Option<&'a str> {
    let (front, rest) = path.split_at_checked(base.len())?;
    if !front.eq_ignore_ascii_case(base) {
        return None;
    }
    match rest.as_bytes().first() {
        None => Some("/"),
        Some(b'/') => Some(rest),
        Some(_) => None,
    }
}

/// Step 11: plugins that saw the request see the response, in reverse.
async fn outward<F, P, S, B>(
    generation: &Generation<F, P, S>,
    exchange: Box<Exchange>,
    outcome: Outcome<Payload<B>>,
) -> (Box<Exchange>, Outcome<P::Body<Payload<B>>>)
where
    B: Body<Data = Bytes, Error = Fault> + Unpin,
    P: Plugins,
{
    let Outcome { payload, ending, detail, close } = outcome;
    if exchange.shared.ran == 0 {
        return (exchange, Outcome { payload: P::untouched(payload), ending, detail, close });
    }
    let (mut exchange, step, payload) = generation.plugins.response_head(exchange, payload).await;
    match step {
        Step::Continue => (exchange, Outcome { payload, ending, detail, close }),
        Step::Answer(answer) => {
            let Outcome { ending, detail, .. } = answered::<B>(&mut exchange, *answer);
            (exchange, Outcome { payload, ending, detail, close })
        }
        Step::Fault(fault) => {
            let Outcome { payload, ending, detail, close } = rescued(generation, &mut exchange, &fault);
            (exchange, Outcome { payload: P::untouched(payload), ending, detail, close })
        }
    }
}

/// A plugin's answer becomes the response.
fn answered<B>(exchange: &mut Exchange, answer: Answer) -> Outcome<Payload<B>> {
    let mut head = ResponseHead::new(answer.status);
    head.headers = answer.headers;
    exchange.response = Some(head);
    exchange.source = Source::Plugin(answer.plugin);
    let body = if has_no_body(answer.status) { Bytes::new() } else { answer.body };
    let ending =
        if answer.status.is_success() || answer.status.is_redirection() { Ending::Complete } else { Ending::Refused };
    Outcome { payload: Payload::Full(Some(body)), ending, detail: answer.reason, close: false }
}

/// A fault becomes the response.
fn rescued<F, P, S, B>(
    generation: &Generation<F, P, S>,
    exchange: &mut Exchange,
    fault: &Fault,
) -> Outcome<Payload<B>> {
    if let Kind::Aborted(answer) = &fault.kind {
        // Nothing was sent yet, so that its answer can be.
        return answered(exchange, Answer::clone(answer));
    }
    let accept: Option<HeaderValue> = exchange.request.headers.get(header::ACCEPT).cloned();
    let rescued = rescue::answer(fault, &exchange.conn, accept.as_ref(), RequestId(exchange.id));
    let told = if rescue::is_gone(fault) { None } else { Some(rescued.status) };
    let request = RequestId(exchange.id);
    rescue::tell(&generation.log, &generation.counters, Some(exchange), request, &exchange.conn, fault, told);
    exchange.response = Some(rescued.head);
    exchange.source = Source::Host;
    Outcome {
        payload: Payload::Full(Some(rescued.body)),
        ending: rescue::ending(fault),
        detail: Some(fault.to_string().into_boxed_str()),
        close: rescued.close,
    }
}

/// RFC 9110 §15.3.5, §15.4.5: these never have content.
fn has_no_body(status: StatusCode) -> bool {
    matches!(status, StatusCode::NO_CONTENT | StatusCode::NOT_MODIFIED)
}

fn copy(head: Option<&ResponseHead>) -> ResponseHead {
    match head {
        Some(head) => ResponseHead { status: head.status, reason: head.reason.clone(), headers: head.headers.clone() },
        None => ResponseHead::new(StatusCode::INTERNAL_SERVER_ERROR),
    }
}

#[cfg(test)]
mod tests;
