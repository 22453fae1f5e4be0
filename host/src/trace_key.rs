//! The secret by which a client is told what becomes of its request.

use crate::load::Loaded;
use crate::plugins;
use config::Problem;
use wire::TraceKey;

/// Reads `[host] trace_key` anew. No message holds a part of it.
///
/// # Errors
/// The secret is none that a request could carry. One that can't be read at all is told
/// with the other secrets.
pub(crate) fn read(loaded: &Loaded) -> Result<Option<TraceKey>, Problem> {
    let document = &loaded.document.plugins_toml;
    let Some(name) = &document.host.trace_key else { return Ok(None) };
    let secret = document.secrets.get(&name.value);
    let Some(Ok(bytes)) = secret.map(|secret| plugins::read_secret(loaded, secret).1) else { return Ok(None) };
    TraceKey::new(bytes).map(Some).map_err(|what| {
        let file = document.path.as_deref().unwrap_or_default();
        let what = format!("secret `{}` can't be a trace_key: {what}", name.value);
        plugins::at(file, name.at, what, Some("make one with `openssl rand -hex 32`".to_owned()))
    })
}
