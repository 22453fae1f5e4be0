//! Commands that speak to a running host: `status`, `reload`, `stop`.

use crate::cli::{Output, RunningArgs, StatusArgs};
use crate::exit::Exit;
use crate::status::admin_address;
use admin::Places;
use admin::client::{Client, ClientError};
use config::plugins_toml::parse_admin;
use std::io::Write as _;
use std::time::Duration;

/// Between two looks whether a host that was told to stop is gone.
const LOOK_PAUSE: Duration = Duration::from_millis(50);

/// `gatelodge status`.
pub(crate) fn status(args: &StatusArgs) -> Exit {
    with(&args.host, async |client| match args.format {
        Output::Json => client.status_json().await.map(|json| format!("{json}\n")),
        Output::Text => client.status().await.map(|page| admin::table::render(&page)),
    })
}

/// `gatelodge reload`: returns once the new world serves, or it is known why not.
pub(crate) fn reload(args: &RunningArgs) -> Exit {
    with(args, async |client| client.reload().await.map(|said| format!("{said}\n")))
}

/// `gatelodge stop`: returns once the host is gone.
pub(crate) fn stop(args: &RunningArgs) -> Exit {
    with(args, async |client| {
        client.stop().await?;
        loop {
            match client.health().await {
                // Nobody accepts there any more.
                Err(ClientError::Unreachable(..)) => return Ok("stopped\n".to_owned()),
                // It broke off in the middle of its own end, or it is slow.
                Ok(_) | Err(ClientError::TimedOut(..) | ClientError::Broken(..)) => {
                    tokio::time::sleep(LOOK_PAUSE).await;
                }
                Err(other) => return Err(other),
            }
        }
    })
}

/// Finds the host, asks it, prints the answer.
fn with(args: &RunningArgs, ask: impl AsyncFnOnce(&Client) -> Result<String, ClientError>) -> Exit {
    let places = Places::of_user(|name| std::env::var_os(name));
    let found = match args.admin.as_deref().map(parse_admin) {
        Some(Ok(address)) => Client::at(admin_address(&address), &places),
        Some(Err((what, help))) => {
            complain(&format!("--admin: {what}; {help}"));
            return Exit::Usage;
        }
        None => Client::find(&args.app_dir, &places),
    };
    let runtime = match tokio::runtime::Builder::new_current_thread().enable_io().enable_time().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            complain(&format!("no runtime: {error}"));
            return Exit::Failed;
        }
    };
    let answer = match &found {
        Ok(client) => runtime.block_on(ask(client)),
        Err(error) => {
            complain(&error.to_string());
            return Exit::Failed;
        }
    };
    match answer {
        Ok(text) => {
            // A closed pipe is no reason for another exit code.
            let _ = std::io::stdout().lock().write_all(text.as_bytes());
            Exit::Clean
        }
        Err(error) => {
            complain(&error.to_string());
            Exit::Failed
        }
    }
}

fn complain(text: &str) {
    let _ = writeln!(std::io::stderr().lock(), "gatelodge: {text}");
}
