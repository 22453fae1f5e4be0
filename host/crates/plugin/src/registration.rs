//! What `configure` answers, compiled once to accessors and parsed names.

use crate::bindings::hooks::lifecycle::Registration as Told;
use crate::edit::writable;
use crate::selector::{Access, View};
use http::HeaderName;
use std::sync::Arc;
use std::time::Duration;

/// Most selectors of a view.
pub(crate) const SELECTORS_MAX: usize = 64;
/// Most declared outputs, and most declared attributes.
pub(crate) const NAMES_MAX: usize = 64;
/// Shortest time between two ticks of a timer, milliseconds.
pub(crate) const TICK_MS_MIN: u32 = 10;
/// Longest name of an attribute, bytes.
const ATTRIBUTE_NAME_BYTES_MAX: usize = 64;

/// A plugin's registration, ready for use.
pub(crate) struct Registration {
    pub(crate) request_view: Vec<Access>,
    pub(crate) response_view: Vec<Access>,
    pub(crate) completion_view: Vec<Access>,
    pub(crate) outputs: Vec<HeaderName>,
    attributes: Vec<Arc<str>>,
    /// How often the timer ticks; `None` where it has none.
    pub(crate) tick: Option<Duration>,
    /// As it was told, to compare other instances with.
    told: Told,
}

impl Registration {
    /// Checks what `configure` told; `has_timer`: the plugin exports `timer`.
    ///
    /// # Errors
    /// Names the entry that can't be, with its list and index.
    pub(crate) fn new(told: Told, has_timer: bool) -> Result<Self, String> {
        if let Some((name, _)) = told.options.first() {
            return Err(format!("registration.options: \"{}\" is not known", crate::text::escape(name, 64)));
        }
        bounded("outputs", told.outputs.len(), NAMES_MAX)?;
        bounded("attributes", told.attributes.len(), NAMES_MAX)?;
        Ok(Self {
            request_view: view("request-view", &told.request_view, View::Request)?,
            response_view: view("response-view", &told.response_view, View::Response)?,
            completion_view: view("completion-view", &told.completion_view, View::Completion)?,
            outputs: list("outputs", &told.outputs, |name| writable(name))?,
            attributes: list("attributes", &told.attributes, |name| attribute(name))?,
            tick: tick(told.tick_ms, has_timer)?,
            told,
        })
    }

    /// True if another instance told the same.
    pub(crate) fn is_as_told(&self, told: &Told) -> bool {
        self.told == *told
    }

    /// A declared attribute's name.
    pub(crate) fn attribute(&self, name: &str) -> Option<Arc<str>> {
        self.attributes.iter().find(|known| ***known == *name).cloned()
    }
}

/// How often the timer ticks. One without the other is a mistake: it would never run.
fn tick(ms: u32, has_timer: bool) -> Result<Option<Duration>, String> {
    match (ms, has_timer) {
        (0, false) => Ok(None),
        (0, true) => Err("registration.tick-ms is 0, but it exports timer: it would never run".to_owned()),
        (ms, false) => Err(format!("registration.tick-ms is {ms}, but it exports no timer")),
        (ms, true) if ms < TICK_MS_MIN => Err(format!("registration.tick-ms: {ms}; at least {TICK_MS_MIN}")),
        (ms, true) => Ok(Some(Duration::from_millis(ms.into()))),
    }
}

fn view(
    name: &str,
    selectors: &[crate::bindings::contract::types::Selector],
    view: View,
) -> Result<Vec<Access>, String> {
    bounded(name, selectors.len(), SELECTORS_MAX)?;
    list(name, selectors, |selector| Access::parse(selector, view))
}

fn list<T, U>(name: &str, items: &[T], parse: impl Fn(&T) -> Result<U, String>) -> Result<Vec<U>, String> {
    let parsed = items.iter().enumerate();
    parsed.map(|(at, item)| parse(item).map_err(|why| format!("registration.{name}[{at}]: {why}"))).collect()
}

fn bounded(name: &str, count: usize, most: usize) -> Result<(), String> {
    if count > most { Err(format!("registration.{name}: {count} entries; at most {most}")) } else { Ok(()) }
}

fn attribute(name: &str) -> Result<Arc<str>, String> {
    let fits = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.');
    if name.is_empty() || name.len() > ATTRIBUTE_NAME_BYTES_MAX || !name.bytes().all(fits) {
        let name = crate::text::escape(name, ATTRIBUTE_NAME_BYTES_MAX);
        return Err(format!("\"{name}\": a name is 1 to 64 letters, digits, - _ ."));
    }
    Ok(name.into())
}

#[cfg(test)]
mod tests {
    use super::{NAMES_MAX, Registration, SELECTORS_MAX, TICK_MS_MIN};
    use crate::bindings::contract::types::Selector;
    use crate::bindings::hooks::lifecycle::Registration as Told;
    use std::time::Duration;

    fn told(change: impl Fn(&mut Told)) -> Told {
        let mut told = Told {
            request_view: Vec::new(),
            response_view: Vec::new(),
            completion_view: Vec::new(),
            outputs: Vec::new(),
            attributes: Vec::new(),
            tick_ms: 0,
            options: Vec::new(),
        };
        change(&mut told);
        told
    }

    #[test]
    fn what_cannot_be_is_named_with_its_place() {
        let refusals: [(Told, &str); 9] = [
            (told(|t| t.request_view = vec![Selector::Path, Selector::Status]), "request-view[1]"),
            (told(|t| t.response_view = vec![Selector::ResponseHeader("set-cookie".into())]), "response-view[0]"),
            (told(|t| t.completion_view = vec![Selector::Named("x".into())]), "completion-view[0]"),
            (told(|t| t.outputs = vec!["x-a".into(), "Host".into()]), "outputs[1]"),
            (told(|t| t.outputs = vec!["x".into(); NAMES_MAX + 1]), "at most 64"),
            (told(|t| t.request_view = vec![Selector::Path; SELECTORS_MAX + 1]), "at most 64"),
            (told(|t| t.attributes = vec!["a b".into()]), "attributes[0]"),
            (told(|t| t.tick_ms = 50), "tick-ms is 50, but it exports no timer"),
            (told(|t| t.options = vec![("new".into(), "1".into())]), "options"),
        ];
        for (told, word) in refusals {
            let refusal = Registration::new(told, false).err().expect("refused");
            assert!(refusal.contains(word), "{refusal}");
        }
        let most = told(|t| {
            t.request_view = vec![Selector::Path; SELECTORS_MAX];
            t.outputs = vec!["x".into(); NAMES_MAX];
            t.attributes = vec!["a".into()];
        });
        let registration = Registration::new(most.clone(), false).expect("exactly the limits");
        assert!(registration.attribute("a").is_some() && registration.attribute("b").is_none());
        assert!(registration.is_as_told(&most) && !registration.is_as_told(&told(|_| {})));
    }

    #[test]
    fn a_timer_and_its_time_come_together() {
        let tick = |ms, has_timer| Registration::new(told(|t| t.tick_ms = ms), has_timer).map(|made| made.tick);
        assert_eq!(tick(0, false), Ok(None));
        assert_eq!(tick(TICK_MS_MIN, true), Ok(Some(Duration::from_millis(10))));
        assert_eq!(tick(u32::MAX, true), Ok(Some(Duration::from_millis(4_294_967_295))));
        for (ms, has_timer, word) in
            [(TICK_MS_MIN - 1, true, "at least 10"), (0, true, "it would never run"), (10, false, "exports no timer")]
        {
            let refusal = tick(ms, has_timer).expect_err("refused");
            assert!(refusal.contains("tick-ms") && refusal.contains(word), "{refusal}");
        }
    }
}
