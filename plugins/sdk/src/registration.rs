//! What a plugin asks for, and the handles by which it finds it again.

use crate::Selector;
use crate::bindings::lifecycle::exports::gatelodge::plugin::lifecycle as wit;

/// Where in a hook's [`crate::View`] a selected value is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Field(pub(crate) usize);

impl Field {
    /// The field at this place of a view: for a plugin's own tests.
    #[must_use]
    pub fn at(index: usize) -> Self {
        Self(index)
    }
}

/// A header that a plugin may write; cheaper than writing it by name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Slot(pub(crate) u32);

impl Slot {
    /// The output at this place of the registration: for a plugin's own tests.
    #[must_use]
    pub fn at(index: u32) -> Self {
        Self(index)
    }

    /// Its place among the outputs.
    #[must_use]
    pub fn index(self) -> u32 {
        self.0
    }
}

/// What the host is asked to select, write and keep for a plugin.
#[derive(Clone, Debug, Default)]
pub struct Registration {
    request: Vec<Selector>,
    response: Vec<Selector>,
    completion: Vec<Selector>,
    outputs: Vec<String>,
    attributes: Vec<String>,
    tick_ms: u32,
}

impl Registration {
    /// Asks for nothing.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Shows `selector` to `request_head`.
    pub fn request(&mut self, selector: Selector) -> Field {
        add(&mut self.request, selector)
    }

    /// Shows `selector` to `response_head`.
    pub fn response(&mut self, selector: Selector) -> Field {
        add(&mut self.response, selector)
    }

    /// Shows `selector` to `completion`; the host keeps it until then.
    pub fn completion(&mut self, selector: Selector) -> Field {
        add(&mut self.completion, selector)
    }

    /// Declares a header that hooks set by slot.
    pub fn output(&mut self, name: &str) -> Slot {
        self.outputs.push(name.to_owned());
        // A plugin that declares 2^32 outputs has long run out of memory.
        Slot(u32::try_from(self.outputs.len() - 1).unwrap_or(u32::MAX))
    }

    /// Declares an attribute that `exchange::set_attribute` may write for later plugins.
    pub fn attribute(&mut self, name: &str) {
        self.attributes.push(name.to_owned());
    }

    /// Calls [`crate::Timer::tick`] this often, milliseconds: at least 10. Needed where the
    /// plugin exports `timer`, and refused where it does not.
    pub fn tick_ms(&mut self, every: u32) {
        self.tick_ms = every;
    }

    pub(crate) fn into_wit(self) -> wit::Registration {
        wit::Registration {
            request_view: self.request,
            response_view: self.response,
            completion_view: self.completion,
            outputs: self.outputs,
            attributes: self.attributes,
            tick_ms: self.tick_ms,
            options: Vec::new(),
        }
    }
}

fn add(list: &mut Vec<Selector>, selector: Selector) -> Field {
    list.push(selector);
    Field(list.len() - 1)
}

macro_rules! plain {
    ($($(#[$doc:meta])* $name:ident = $case:ident;)*) => { $(
        $(#[$doc])*
        #[must_use]
        pub fn $name() -> Selector {
            Selector::$case
        }
    )* };
}

macro_rules! named {
    ($($(#[$doc:meta])* $name:ident = $case:ident;)*) => { $(
        $(#[$doc])*
        #[must_use]
        pub fn $name(name: &str) -> Selector {
            Selector::$case(name.to_owned())
        }
    )* };
}

plain! {
    /// The request's method.
    method = Method;
    /// `http` or `https`.
    scheme = Scheme;
    /// The authority that the client asked for.
    authority = Authority;
    /// The request's path as rules compare it.
    path = Path;
    /// The raw query without `?`.
    query = Query;
    /// The client's address.
    client_ip = ClientIp;
    /// Server name asked for in TLS.
    sni = Sni;
    /// The host's id of this request.
    request_id = RequestId;
    /// Name of the plugin's match block.
    route = Route;
    /// Subject of the principal that an earlier plugin proved.
    subject = Subject;
    /// This plugin's own note for the exchange.
    note = Note;
    /// The response's status; response and completion views only.
    status = Status;
    /// Who made the response: `upstream`, `plugin:<name>` or `host`; response and completion views only.
    response_source = ResponseSource;
}

named! {
    /// A request field; several lines arrive joined, so that a check sees what the application may see.
    header = Header;
    /// First cookie of that name: for routing, not for security, since the application may take another.
    cookie = Cookie;
    /// First query parameter of that name, percent-decoded: for routing, not for security.
    query_param = QueryParam;
    /// One claim of the principal, as JSON text.
    claim = Claim;
    /// An attribute written by an earlier plugin.
    attribute = Attribute;
    /// A response field; response and completion views only.
    response_header = ResponseHeader;
}
