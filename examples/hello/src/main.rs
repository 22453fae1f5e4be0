//! The smallest paired application: what a backend behind Gatelodge has to do.
//!
//! It listens on the port that it is told (`ASPNETCORE_PORT`), answers only
//! requests that carry its pairing token (`ASPNETCORE_TOKEN`), and stops when
//! its host asks (`POST /iisintegration`, SIGTERM) after what it has begun.
#![forbid(unsafe_code)]

mod http;
mod pages;
mod stop;

use http::{Connection, Received};
use pages::{After, Site};
use std::io::Write as _;
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::process::ExitCode;
use std::sync::Arc;
use stop::{Gate, Turn};

/// Connections served at once; one more waits in the system's queue.
const CONNECTIONS_MAX: usize = 256;

fn main() -> ExitCode {
    match Site::from_environment() {
        Ok(site) => match serve(site) {
            Ok(()) => ExitCode::SUCCESS,
            Err(error) => complain(&format!("hello: {error}"), 1),
        },
        Err(missing) => complain(&format!("hello: {missing}; start me through `gatelodge run`"), 2),
    }
}

fn serve(site: Site) -> std::io::Result<()> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, site.port))?;
    let gate = Gate::new(listener.local_addr()?, CONNECTIONS_MAX);
    stop::on_signal(gate.clone())?;
    say(&format!("hello: listening on 127.0.0.1:{}", site.port));
    let site = Arc::new(site);
    while let Turn::Open(seat) = gate.next_turn() {
        let (stream, _) = listener.accept()?;
        if gate.is_closed() {
            break;
        }
        let (site, gate) = (Arc::clone(&site), gate.clone());
        std::thread::spawn(move || {
            let _seat = seat;
            // A broken connection is the other side's business.
            let _ = converse(stream, &site, &gate);
        });
    }
    gate.wait_for_requests();
    say("hello: stopped");
    Ok(())
}

/// Serves one connection to its end.
fn converse(stream: TcpStream, site: &Site, gate: &Gate) -> std::io::Result<()> {
    let mut connection = Connection::new(stream)?;
    loop {
        let request = match connection.receive()? {
            Received::End => return Ok(()),
            Received::Bad(status) => return connection.answer_text(status, "not understood\n", true),
            Received::Request(request) => request,
        };
        let _work = gate.begin();
        match site.answer(&mut connection, request)? {
            After::Continue => {}
            After::Close => return Ok(()),
            After::Stop => {
                gate.close();
                return Ok(());
            }
        }
    }
}

fn say(line: &str) {
    // A closed output is no reason to stop serving.
    let _ = writeln!(std::io::stdout(), "{line}");
}

fn complain(line: &str, code: u8) -> ExitCode {
    let _ = writeln!(std::io::stderr(), "{line}");
    ExitCode::from(code)
}
