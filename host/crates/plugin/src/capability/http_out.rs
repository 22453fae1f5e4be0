//! `http-out`: calls to upstreams that were granted by name. The one capability that waits.
//!
//! A plugin names an upstream and a path; where that is, and how it is reached, is the
//! operator's. A credential that is stored is put into the request here, behind its back.

use crate::bindings::contract::http_out::{Host, Reply, Request};
use crate::bindings::contract::types::{Failure, Header};
use crate::outbound::{CALLS_AT_ONCE_MAX, HEADERS_MAX, Order, Upstream, all};
use crate::state::State;
use http::header::AUTHORIZATION;
use http::{HeaderMap, Method};
use std::sync::Arc;
use std::time::Duration;
use wire::exchange::Credential as Wanted;

type Prepared = Result<(Arc<Upstream>, Order), Failure>;

impl Host for State {
    async fn send(&mut self, name: String, request: Request) -> wasmtime::Result<Result<Reply, Failure>> {
        let answer = match self.prepare(&name, request) {
            Ok((upstream, order)) => {
                let answer = upstream.send(order).await.map(reply);
                if matches!(answer, Err(Failure::Denied)) {
                    self.tell_inner_address(&name);
                }
                answer
            }
            Err(failure) => Err(failure),
        };
        // The time moves on when a hook has waited.
        self.now = None;
        Ok(answer)
    }

    async fn send_all(&mut self, calls: Vec<(String, Request)>) -> wasmtime::Result<Vec<Result<Reply, Failure>>> {
        if calls.len() > CALLS_AT_ONCE_MAX {
            return Ok(calls.iter().map(|_| Err(Failure::TooLarge)).collect());
        }
        let prepared: Vec<(String, Prepared)> = calls
            .into_iter()
            .map(|(name, request)| {
                let call = self.prepare(&name, request);
                (name, call)
            })
            .collect();
        let answers = all(prepared.into_iter().map(|(name, call)| async move {
            let (upstream, order) = match call {
                Ok(call) => call,
                Err(failure) => return (Err(failure), None),
            };
            let answer = upstream.send(order).await.map(reply);
            let inner = matches!(answer, Err(Failure::Denied)).then_some(name);
            (answer, inner)
        }))
        .await;
        let (answers, inner): (Vec<_>, Vec<_>) = answers.into_iter().unzip();
        inner.iter().flatten().for_each(|name| self.tell_inner_address(name));
        self.now = None;
        Ok(answers)
    }
}

impl State {
    fn prepare(&self, name: &str, request: Request) -> Prepared {
        let Some(outbound) = self.outbound.as_ref().filter(|_| self.may_wait) else { return Err(Failure::Denied) };
        let upstream = outbound.upstream(name).ok_or_else(|| self.denied("upstream", name, "http"))?;
        let mut headers = HeaderMap::new();
        if request.headers.len() > HEADERS_MAX {
            return Err(Failure::TooLarge);
        }
        for Header { name, value } in request.headers {
            let value = crate::edit::field_value(&name, value).map_err(Failure::Invalid)?;
            headers.append(crate::edit::writable(&name).map_err(Failure::Invalid)?, value);
        }
        match self.wanted(request.credential)? {
            Wanted::None => drop(headers.remove(AUTHORIZATION)),
            Wanted::Original => {
                let own = self.exchange.as_ref().and_then(|exchange| exchange.request.headers.get(AUTHORIZATION));
                if let Some(own) = own.filter(|_| !headers.contains_key(AUTHORIZATION)) {
                    let mut own = own.clone();
                    own.set_sensitive(true);
                    headers.insert(AUTHORIZATION, own);
                }
            }
            Wanted::Field(field, value) => drop(headers.insert(field, value)),
        }
        let method = Method::from_bytes(request.method.as_bytes())
            .ok()
            .filter(|method| *method != Method::CONNECT && *method != Method::TRACE)
            .ok_or_else(|| Failure::Invalid("no method that may be sent".to_owned()))?;
        let order = Order {
            method,
            path: request.path,
            headers,
            body: request.body.into(),
            timeout: Duration::from_millis(request.timeout_ms.into()),
            response_bytes_max: u64::from(request.response_bytes_max),
        };
        Ok((upstream, order))
    }
}

/// What the plugin sees of a reply: nothing that is the connection's, or looks like pairing.
fn reply((status, headers, body): (u16, HeaderMap, Vec<u8>)) -> Reply {
    let visible = headers.iter().filter(|(name, _)| !wire::fields::is_reserved(name.as_str()));
    let headers =
        visible.map(|(name, value)| Header { name: name.as_str().to_owned(), value: value.as_bytes().to_vec() });
    Reply { status, headers: headers.collect(), body }
}
