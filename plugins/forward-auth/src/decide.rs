//! What a reply of the upstream comes to.

use gatelodge_sdk::http::Reply;
use gatelodge_sdk::{Failure, Response};

/// Fields of a refusal that the client gets.
const SHOWN: [&str; 6] = ["content-type", "location", "set-cookie", "www-authenticate", "retry-after", "cache-control"];

/// What the client asked for.
#[derive(Clone, Copy, Debug)]
pub struct Asked<'v> {
    /// Its path.
    pub path: &'v [u8],
    /// Its query, without the question mark.
    pub query: Option<&'v [u8]>,
}

impl Asked<'_> {
    /// Path and query as one.
    #[must_use]
    pub fn target(self) -> Vec<u8> {
        match self.query {
            Some(query) => [self.path, b"?", query].concat(),
            None => self.path.to_vec(),
        }
    }
}

/// What becomes of the request.
#[derive(Clone, Debug)]
pub enum Outcome {
    /// It goes on, with these fields of the reply.
    GoOn(Vec<(String, Vec<u8>)>),
    /// The client gets this.
    Answer(Response),
}

/// Decides by the reply; `copied` are the names that the application gets.
#[must_use]
pub fn outcome(reply: Result<Reply, Failure>, copied: &[String]) -> Outcome {
    let reply = match reply {
        Ok(reply) => reply,
        Err(failure) => return away(&format!("the upstream was not asked: {failure:?}")),
    };
    match reply.status {
        200..=299 => {
            let named = |name: &str| copied.iter().any(|copied| copied.eq_ignore_ascii_case(name));
            let fields = reply.headers.into_iter().filter(|header| named(&header.name));
            Outcome::GoOn(fields.map(|header| (header.name, header.value)).collect())
        }
        300..=499 => {
            let shown = |name: &str| SHOWN.iter().any(|shown| shown.eq_ignore_ascii_case(name));
            let mut response = Response::new(reply.status).reason("the upstream refused it");
            response.headers = reply.headers.into_iter().filter(|header| shown(&header.name)).collect();
            response.body = reply.body;
            Outcome::Answer(response)
        }
        status => away(&format!("the upstream answered {status}")),
    }
}

/// Nobody gets in while the upstream can't be asked.
fn away(why: &str) -> Outcome {
    let response = Response::new(503).header("retry-after", "5").text("It can't be checked now who may pass.");
    Outcome::Answer(response.reason(why))
}

#[cfg(test)]
mod tests {
    use super::{Asked, Outcome, outcome};
    use gatelodge_sdk::http::Reply;
    use gatelodge_sdk::{Failure, Header};

    fn reply(status: u16, fields: &[(&str, &str)]) -> Result<Reply, Failure> {
        let header = |(name, value): &(&str, &str)| Header { name: (*name).to_owned(), value: (*value).into() };
        Ok(Reply { status, headers: fields.iter().map(header).collect(), body: b"no".to_vec() })
    }

    #[test]
    fn the_upstream_decides_and_nobody_else() {
        let copied = ["X-User".to_owned()];
        let fields = [("x-user", "ada"), ("x-user", "eve"), ("x-other", "1"), ("location", "/login"), ("server", "s")];
        for (status, expected) in [
            (200, None),
            (204, None),
            (302, Some(302)),
            (401, Some(401)),
            (403, Some(403)),
            (500, Some(503)),
            (100, Some(503)),
        ] {
            match (outcome(reply(status, &fields), &copied), expected) {
                (Outcome::GoOn(fields), None) => {
                    let values: Vec<_> = fields.iter().map(|(_, value)| &value[..]).collect();
                    assert_eq!(values, [&b"ada"[..], b"eve"], "{status}");
                }
                (Outcome::Answer(response), Some(expected)) => {
                    assert_eq!(response.status, expected, "{status}");
                    let named = |name: &str| response.headers.iter().any(|header| header.name == name);
                    assert_eq!(named("location"), expected != 503, "{status}");
                    assert!(!named("x-user") && !named("server"), "{status}");
                }
                (outcome, _) => panic!("{status}: {outcome:?}"),
            }
        }
    }

    #[test]
    fn an_upstream_that_is_away_lets_nobody_in() {
        for failure in [Failure::TimedOut, Failure::Unavailable, Failure::Denied, Failure::TooLarge] {
            let Outcome::Answer(response) = outcome(Err(failure), &[]) else { panic!("it let somebody in") };
            assert_eq!(response.status, 503);
        }
    }

    #[test]
    fn a_target_is_path_and_query() {
        for (path, query, expected) in [("/a", None, "/a"), ("/a", Some("b=c"), "/a?b=c"), ("/", Some(""), "/?")] {
            let asked = Asked { path: path.as_bytes(), query: query.map(str::as_bytes) };
            assert_eq!(asked.target(), expected.as_bytes());
        }
    }
}
