//! What the application answers.

use crate::http::{Connection, Request};
use std::fmt::Write as _;
use std::time::Duration;

const TOKEN: &str = "MS-ASPNETCORE-TOKEN";
const EVENT: &str = "MS-ASPNETCORE-EVENT";

/// What the environment says.
pub(crate) struct Site {
    /// Where to listen.
    pub(crate) port: u16,
    token: String,
    base: String,
}

/// What happens to the connection after an answer.
pub(crate) enum After {
    /// The next request may come.
    Continue,
    /// It ends.
    Close,
    /// It ends, and so does the program.
    Stop,
}

impl Site {
    /// Reads what the host told us.
    ///
    /// # Errors
    /// The name of the variable that is missing or wrong.
    pub(crate) fn from_environment() -> Result<Self, String> {
        let read = |name: &str| std::env::var(name).map_err(|_| format!("{name} is not set"));
        let port = read("ASPNETCORE_PORT")?.parse().map_err(|_| "ASPNETCORE_PORT is no port".to_owned())?;
        let token = read("ASPNETCORE_TOKEN")?;
        let base = std::env::var("ASPNETCORE_APPL_PATH").unwrap_or_default();
        Ok(Self { port, token, base: base.trim_end_matches('/').to_owned() })
    }

    /// Answers one request.
    pub(crate) fn answer(&self, connection: &mut Connection, request: Request) -> std::io::Result<After> {
        if !self.is_paired(&request) {
            connection.answer_text(400, "this request did not come through the gate lodge\n", true)?;
            return Ok(After::Close);
        }
        let path = request.path().strip_prefix(&self.base).unwrap_or_else(|| request.path());
        match (request.method.as_str(), path) {
            ("POST", "/iisintegration") if request.values(EVENT).any(|v| v.eq_ignore_ascii_case("shutdown")) => {
                connection.answer_text(202, "", true)?;
                return Ok(After::Stop);
            }
            (_, "/crash") => std::process::abort(),
            (_, "/slow") => {
                connection.drain(&request)?;
                std::thread::sleep(Duration::from_millis(request.number("ms", 2000, 60_000)));
                connection.answer(&request, 200, "slow, but here\n")?;
            }
            ("POST" | "PUT", "/upload") => {
                let bytes = connection.drain(&request)?;
                connection.answer(&request, 200, &format!("{bytes} bytes\n"))?;
            }
            ("GET" | "HEAD", "/download") => {
                connection.drain(&request)?;
                connection.answer_zeros(&request, request.number("bytes", 1000, u64::MAX))?;
            }
            ("GET", "/events") => events(connection, &request)?,
            (_, "/") => {
                connection.drain(&request)?;
                connection.answer(&request, 200, &self.mirror(&request))?;
            }
            (_, other) => {
                connection.drain(&request)?;
                connection.answer(&request, 404, &format!("there is nothing at {other}\n"))?;
            }
        }
        Ok(if request.keeps_alive() { After::Continue } else { After::Close })
    }

    /// True if the request carries our token, exactly once. Compares all bytes
    /// whatever the first difference, so that time tells nothing.
    fn is_paired(&self, request: &Request) -> bool {
        let mut values = request.values(TOKEN);
        let (Some(given), None) = (values.next(), values.next()) else { return false };
        given.len() == self.token.len()
            && given.bytes().zip(self.token.bytes()).fold(0, |differ, (a, b)| differ | (a ^ b)) == 0
    }

    /// The request as it arrived, but for the token.
    fn mirror(&self, request: &Request) -> String {
        let mut text = format!("hello from process {} at 127.0.0.1:{}\n\n", std::process::id(), self.port);
        // Writing to a String can't fail.
        let _ = writeln!(text, "{} {}", request.method, request.target);
        for (name, value) in request.headers.iter().filter(|(name, _)| !name.eq_ignore_ascii_case(TOKEN)) {
            let _ = writeln!(text, "{name}: {value}");
        }
        text.push_str("\n(the pairing token came too, was checked, and is not shown)\n");
        text
    }
}

fn events(connection: &mut Connection, request: &Request) -> std::io::Result<()> {
    connection.drain(request)?;
    connection.begin_events(request)?;
    let pause = Duration::from_millis(request.number("ms", 300, 10_000));
    for number in 1..=request.number("n", 5, 10_000) {
        connection.event(Some(&format!("event {number}")))?;
        std::thread::sleep(pause);
    }
    connection.event(None)
}
