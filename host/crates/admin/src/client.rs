//! What `gatelodge status`, `reload` and `stop` use to reach a host.

use crate::address::Address;
use crate::answer::Said;
use crate::connection::Io;
use crate::house::{Health, Refusal};
use crate::places::Places;
use crate::platform;
use crate::slot::{Note, all_notes, notes};
use crate::status::StatusPage;
use bytes::Bytes;
use http::{Method, Request, Response, StatusCode};
use http_body_util::{BodyExt as _, Empty, Limited};
use hyper::body::Incoming;
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use serde::de::DeserializeOwned;
use std::io;
use std::path::{Path, PathBuf};
use std::pin::pin;
use std::time::Duration;
use tokio::net::TcpStream;
use tokio::time::timeout;

/// To connect.
pub(crate) const CONNECT_LIMIT: Duration = Duration::from_secs(5);
/// For everything but a reload: longer than the host's own deadlines together.
pub(crate) const ANSWER_LIMIT: Duration = Duration::from_secs(25);
/// Largest answer that is read, in bytes.
pub(crate) const ANSWER_BYTES_MAX: usize = 16 * 1024 * 1024;

/// A way to one host.
pub struct Client {
    address: Address,
    secret: Option<String>,
}

/// Why there is no answer; each is a sentence for the one who asked.
#[derive(Debug)]
pub enum ClientError {
    /// No host of this user runs for the application; with what was wrong with the folders looked at.
    NotRunning(PathBuf, Vec<String>),
    /// More than one does: process id and address of each.
    Several(PathBuf, Vec<(u32, String)>),
    /// An address that no host can be reached at.
    NoAddress(String),
    /// Nobody accepts there.
    Unreachable(Address, io::Error),
    /// This user may not.
    Denied(Address, String),
    /// The host did not carry the order out.
    Refused(Refusal),
    /// The host answered something else.
    Answered(StatusCode, String),
    /// What came is not an answer of a host.
    Broken(Address, String),
    /// No answer within this time.
    TimedOut(Address, Duration),
}

impl std::fmt::Display for ClientError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::NotRunning(app_dir, problems) => {
                write!(f, "no host of this user runs for {}", app_dir.display())?;
                problems.iter().try_for_each(|problem| write!(f, "\n  {problem}"))
            }
            Self::Several(app_dir, hosts) => {
                write!(f, "several hosts run for {}; name one:", app_dir.display())?;
                hosts.iter().try_for_each(|(pid, address)| write!(f, "\n  --admin {address}  (process {pid})"))
            }
            Self::NoAddress(text) => f.write_str(text),
            Self::Unreachable(address, error) => match error.kind() {
                io::ErrorKind::PermissionDenied => {
                    write!(f, "permission denied at {address}: the host belongs to another user")
                }
                io::ErrorKind::ConnectionRefused | io::ErrorKind::NotFound => write!(f, "no host runs at {address}"),
                _ => write!(f, "{address} can't be reached: {error}"),
            },
            Self::Denied(address, why) => write!(f, "permission denied at {address}: {why}"),
            Self::Refused(refusal) => refusal.fmt(f),
            Self::Answered(status, text) => write!(f, "the host answered {status}: {text}"),
            Self::Broken(address, what) => {
                write!(f, "{address} is not a host's admin address, or it broke off: {what}")
            }
            Self::TimedOut(address, limit) => write!(f, "no answer from {address} within {} s", limit.as_secs()),
        }
    }
}

impl std::error::Error for ClientError {}

impl Client {
    /// The one living host for the application in `app_dir`.
    ///
    /// # Errors
    /// There is none, or more than one.
    pub fn find(app_dir: &Path, places: &Places) -> Result<Self, ClientError> {
        let app_dir = app_dir
            .canonicalize()
            .map_err(|error| ClientError::NotRunning(app_dir.to_owned(), vec![error.to_string()]))?;
        let (folders, problems) = places.existing();
        let mut found: Vec<Note> = folders.into_iter().flat_map(|folder| notes(folder, &app_dir)).collect();
        if found.len() > 1 {
            let hosts = found.into_iter().map(|note| (note.pid, note.address)).collect();
            return Err(ClientError::Several(app_dir, hosts));
        }
        let Some(note) = found.pop() else { return Err(ClientError::NotRunning(app_dir, problems)) };
        let address = Address::of_note(&note.address).map_err(ClientError::NoAddress)?;
        Ok(Self { address, secret: note.secret })
    }

    /// The host at this address. Orders to a TCP address need the note that the
    /// host left for its user in one of the `places`.
    ///
    /// # Errors
    /// The address is [`Address::Auto`] or [`Address::Off`].
    pub fn at(address: Address, places: &Places) -> Result<Self, ClientError> {
        let secret = match &address {
            Address::Unix(_) => None,
            Address::Tcp(_) => {
                let text = address.to_string();
                let (folders, _) = places.existing();
                let mut notes = folders.into_iter().flat_map(all_notes);
                notes.find(|note| note.address == text).and_then(|note| note.secret)
            }
            Address::Auto | Address::Off => {
                return Err(ClientError::NoAddress(format!(
                    "`{address}` is no address at which a host can be reached"
                )));
            }
        };
        Ok(Self { address, secret })
    }

    /// Where it asks.
    #[must_use]
    pub fn address(&self) -> &Address {
        &self.address
    }

    /// The state of host and application.
    ///
    /// # Errors
    /// No answer, or not the right one.
    pub async fn status(&self) -> Result<StatusPage, ClientError> {
        let (status, body) = self.ask(Method::GET, "/status", Some(ANSWER_LIMIT)).await?;
        self.document(status, &body)
    }

    /// The state as the host's own JSON text.
    ///
    /// # Errors
    /// As [`Client::status`].
    pub async fn status_json(&self) -> Result<String, ClientError> {
        let (status, body) = self.ask(Method::GET, "/status", Some(ANSWER_LIMIT)).await?;
        let document: serde_json::Value = self.document(status, &body)?;
        Ok(document.to_string())
    }

    /// The metrics page.
    ///
    /// # Errors
    /// No answer, or not the right one.
    pub async fn metrics(&self) -> Result<String, ClientError> {
        let (status, body) = self.ask(Method::GET, "/metrics", Some(ANSWER_LIMIT)).await?;
        if status != StatusCode::OK {
            return Err(self.failed(status, &body));
        }
        Ok(String::from_utf8_lossy(&body).into_owned())
    }

    /// Whether requests would be served.
    ///
    /// # Errors
    /// No answer, or not the right one; an unhealthy host is an answer.
    pub async fn health(&self) -> Result<Health, ClientError> {
        let (status, body) = self.ask(Method::GET, "/health", Some(ANSWER_LIMIT)).await?;
        let status = if status == StatusCode::SERVICE_UNAVAILABLE { StatusCode::OK } else { status };
        self.document(status, &body)
    }

    /// Orders a reload and waits for its end, however long it takes; the host's sentence.
    ///
    /// # Errors
    /// No answer, or [`ClientError::Refused`] with all problems.
    ///
    /// # Cancel safety
    /// The order may have been taken on.
    pub async fn reload(&self) -> Result<String, ClientError> {
        let (status, body) = self.ask(Method::POST, "/reload", None).await?;
        Ok(self.document::<Said>(status, &body)?.message)
    }

    /// Orders the host to stop; the host's sentence. It then drains, and is gone
    /// once its address refuses connections.
    ///
    /// # Errors
    /// No answer, or not the right one.
    pub async fn stop(&self) -> Result<String, ClientError> {
        let (status, body) = self.ask(Method::POST, "/stop", Some(ANSWER_LIMIT)).await?;
        Ok(self.document::<Said>(status, &body)?.message)
    }

    async fn ask(
        &self,
        method: Method,
        path: &str,
        limit: Option<Duration>,
    ) -> Result<(StatusCode, Bytes), ClientError> {
        let io = match timeout(CONNECT_LIMIT, self.connect()).await {
            Ok(connected) => connected.map_err(|error| ClientError::Unreachable(self.address.clone(), error))?,
            Err(_) => return Err(ClientError::TimedOut(self.address.clone(), CONNECT_LIMIT)),
        };
        let exchange = self.exchange(io, method, path);
        match limit {
            None => exchange.await,
            Some(limit) => match timeout(limit, exchange).await {
                Ok(answered) => answered,
                Err(_) => Err(ClientError::TimedOut(self.address.clone(), limit)),
            },
        }
    }

    async fn connect(&self) -> io::Result<Box<dyn Io>> {
        match &self.address {
            Address::Unix(path) => platform::connect_socket(path).await,
            Address::Tcp(addr) => Ok(Box::new(TcpStream::connect(addr).await?)),
            Address::Auto | Address::Off => Err(io::ErrorKind::AddrNotAvailable.into()),
        }
    }

    async fn exchange(&self, io: Box<dyn Io>, method: Method, path: &str) -> Result<(StatusCode, Bytes), ClientError> {
        let broken = |error: &dyn std::fmt::Display| ClientError::Broken(self.address.clone(), error.to_string());
        let host = if let Address::Tcp(addr) = &self.address { addr.to_string() } else { "localhost".to_owned() };
        let mut request = Request::builder().method(&method).uri(path).header("host", host);
        if let Some(secret) = self.secret.as_ref().filter(|_| method == Method::POST) {
            request = request.header("authorization", format!("Bearer {secret}"));
        }
        let request = request.body(Empty::<Bytes>::new()).map_err(|error| broken(&error))?;
        let (mut sender, connection) = http1::handshake(TokioIo::new(io)).await.map_err(|error| broken(&error))?;
        let mut answered = pin!(async {
            let response: Response<Incoming> = sender.send_request(request).await.map_err(|error| broken(&error))?;
            let status = response.status();
            let body = Limited::new(response.into_body(), ANSWER_BYTES_MAX).collect().await;
            Ok((status, body.map_err(|error| broken(&error))?.to_bytes()))
        });
        tokio::select! {
            answered = answered.as_mut() => answered,
            // The host closes after its answer, which may still lie between the two.
            _ = connection => answered.await,
        }
    }

    fn document<T: DeserializeOwned>(&self, status: StatusCode, body: &[u8]) -> Result<T, ClientError> {
        if !status.is_success() {
            return Err(self.failed(status, body));
        }
        serde_json::from_slice(body).map_err(|error| ClientError::Broken(self.address.clone(), error.to_string()))
    }

    fn failed(&self, status: StatusCode, body: &[u8]) -> ClientError {
        let Ok(said) = serde_json::from_slice::<Said>(body) else {
            return ClientError::Broken(self.address.clone(), format!("status {status}"));
        };
        match status {
            StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => ClientError::Denied(self.address.clone(), said.error),
            StatusCode::CONFLICT => ClientError::Refused(Refusal { summary: said.error, problems: said.problems }),
            _ => ClientError::Answered(status, said.error),
        }
    }
}

#[cfg(test)]
mod tests;
