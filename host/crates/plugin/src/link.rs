//! What a component imports and exports, compared with the contract and the grants,
//! before anything of it runs.

use crate::bindings::contract;
use crate::seen::Hook;
use crate::settings::{GrantedNames, Grants};
use crate::state::State;
use wasmtime::component::{Component, HasSelf, InstancePre, Linker};

/// The contract that this host speaks.
pub const CONTRACT: &str = "gatelodge:plugin@0.1.0";
/// Package of the contract.
const PACKAGE: &str = "gatelodge:plugin";
/// The compatibility line: for 0.x the minor number.
const MINOR: &str = "0.1.";

/// Which hooks a component exports.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Hooks {
    pub(crate) request_head: bool,
    pub(crate) request_body: bool,
    pub(crate) request_whole: bool,
    pub(crate) response_head: bool,
    pub(crate) response_body: bool,
    pub(crate) response_whole: bool,
    pub(crate) completion: bool,
    pub(crate) timer: bool,
}

impl Hooks {
    /// All that there are, in the order of a request.
    pub(crate) fn seen(&self) -> Vec<Hook> {
        let all = [
            (self.request_head, Hook::RequestHead),
            (self.request_body, Hook::RequestBody),
            (self.request_whole, Hook::RequestWhole),
            (self.response_head, Hook::ResponseHead),
            (self.response_body, Hook::ResponseBody),
            (self.response_whole, Hook::ResponseWhole),
            (self.completion, Hook::Completion),
            (self.timer, Hook::Timer),
        ];
        all.into_iter().filter_map(|(there, hook)| there.then_some(hook)).collect()
    }

    /// True if some hook of it is called for a request.
    pub(crate) fn any_of_requests(&self) -> bool {
        Self { timer: false, ..*self } != Self::default()
    }

    /// A body hook without the head hook that asks for it.
    fn never_called(&self) -> Option<LinkError> {
        let lonely = |body: bool, head: bool, name: &str, by: &str| {
            let text = format!("it exports {name} but not {by}, whose answer asks for the body: it would never run");
            (body && !head).then(|| LinkError::plain(text))
        };
        lonely(self.request_body, self.request_head, "request-body", "request-head")
            .or_else(|| lonely(self.request_whole, self.request_head, "request-whole", "request-head"))
            .or_else(|| lonely(self.response_body, self.response_head, "response-body", "response-head"))
            .or_else(|| lonely(self.response_whole, self.response_head, "response-whole", "response-head"))
    }
}

/// Why a component does not link.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct LinkError {
    pub(crate) import: Option<String>,
    pub(crate) message: String,
    pub(crate) help: Option<String>,
}

impl LinkError {
    fn import(name: &str, message: impl Into<String>) -> Self {
        Self { import: Some(name.to_owned()), message: message.into(), help: None }
    }

    fn plain(message: impl Into<String>) -> Self {
        Self { import: None, message: message.into(), help: None }
    }
}

/// How an interface of the contract is offered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Offer {
    Always,
    /// With this line in `[plugin.grants]`.
    Granted {
        line: &'static str,
        given: bool,
    },
    Unknown,
}

fn offer(interface: &str, grants: Grants, names: &GrantedNames) -> Offer {
    let granted = |line, given| Offer::Granted { line, given };
    match interface {
        "types" | "exchange" | "identity" | "config" | "clock" | "random" | "crypto" => Offer::Always,
        "log" => granted("log = true", grants.log),
        "metrics" => granted("metrics = true", grants.metrics),
        "identity-control" => granted("identity = true", grants.identity),
        "kv" => granted("state = [\"NAME\"] # with [stores.NAME]", !names.state.is_empty()),
        "rate-limit" => granted("limits = [\"NAME\"] # with [limiters.NAME]", !names.limits.is_empty()),
        "keys" => granted("keys = [\"NAME\"] # with [secrets.NAME]", !names.keys.is_empty()),
        "secrets" => granted("secrets = [\"NAME\"] # with [secrets.NAME]", !names.secrets.is_empty()),
        "http-out" => granted("http = [\"NAME\"] # with [upstreams.NAME]", !names.http.is_empty()),
        _ => Offer::Unknown,
    }
}

/// The line of `[plugin.grants]` that opens an interface of the contract, by its short name;
/// `None` where nothing has to be granted.
#[must_use]
pub fn grant_line(interface: &str) -> Option<&'static str> {
    match offer(interface, Grants::default(), &GrantedNames::default()) {
        Offer::Granted { line, .. } => Some(line),
        Offer::Always | Offer::Unknown => None,
    }
}

/// Compares all imports and exports with what is offered.
///
/// # Errors
/// Every import and export that can't be, at once.
pub(crate) fn check(component: &Component, grants: Grants, names: &GrantedNames) -> Result<Hooks, Vec<LinkError>> {
    let engine = component.engine();
    let ty = component.component_type();
    let imports: Vec<String> = ty.imports(engine).map(|(name, _)| name.to_owned()).collect();
    let mut errors: Vec<_> = imports.iter().filter_map(|name| check_import(name, grants, names).err()).collect();
    if grants.written {
        errors.extend(unused(&imports, grants, names));
    }
    let mut hooks = Hooks::default();
    let mut lifecycle = false;
    for (name, _) in ty.exports(engine) {
        match check_export(name, &mut hooks) {
            Ok(is_lifecycle) => lifecycle |= is_lifecycle,
            Err(error) => errors.push(error),
        }
    }
    if errors.is_empty() && !lifecycle {
        errors
            .push(LinkError::plain(format!("it does not export {PACKAGE}/lifecycle: it is no plugin for {CONTRACT}")));
    } else if errors.is_empty() && hooks == Hooks::default() {
        errors.push(LinkError::plain("it exports no hook: request-head, response-head, completion or timer"));
    } else if errors.is_empty() {
        errors.extend(hooks.never_called());
    }
    if errors.is_empty() { Ok(hooks) } else { Err(errors) }
}

/// The interface of a name in the contract's package, if its version fits.
fn of_contract(name: &str) -> Option<Result<&str, &str>> {
    let rest = name.strip_prefix(PACKAGE)?.strip_prefix('/')?;
    Some(match rest.split_once('@') {
        Some((interface, version)) if version.starts_with(MINOR) => Ok(interface),
        Some((_, version)) => Err(version),
        None => Err("no version"),
    })
}

fn check_import(name: &str, grants: Grants, names: &GrantedNames) -> Result<(), LinkError> {
    if name.starts_with("wasi:") {
        return crate::capability::wasi::check(name).map_err(|why| LinkError::import(name, why));
    }
    let interface = match of_contract(name) {
        Some(Ok(interface)) => interface,
        Some(Err(version)) => return Err(wrong_version(name, version)),
        None => return Err(LinkError::import(name, "the host does not offer this import to plugins")),
    };
    match offer(interface, grants, names) {
        Offer::Always | Offer::Granted { given: true, .. } => Ok(()),
        Offer::Granted { line, given: false } => Err(LinkError {
            import: Some(name.to_owned()),
            message: format!("it imports {interface}, which is not granted"),
            help: Some(format!("in plugins.toml, below this plugin:\n[plugin.grants]\n{line}")),
        }),
        Offer::Unknown => Err(LinkError::import(name, format!("{CONTRACT} has no interface \"{interface}\""))),
    }
}

fn wrong_version(name: &str, version: &str) -> LinkError {
    LinkError {
        import: Some(name.to_owned()),
        message: format!("it was built for {PACKAGE}@{version}; this host speaks {CONTRACT}"),
        help: Some("build the plugin against this host's contract, or use a host that speaks the plugin's".to_owned()),
    }
}

/// True for `lifecycle`. Exports outside the contract's package are the plugin's own affair.
fn check_export(name: &str, hooks: &mut Hooks) -> Result<bool, LinkError> {
    let interface = match of_contract(name) {
        Some(Ok(interface)) => interface,
        Some(Err(version)) => return Err(wrong_version(name, version)),
        None => return Ok(false),
    };
    match interface {
        "lifecycle" => return Ok(true),
        "request-head" => hooks.request_head = true,
        "response-head" => hooks.response_head = true,
        "completion" => hooks.completion = true,
        "request-body" => hooks.request_body = true,
        "request-whole" => hooks.request_whole = true,
        "response-body" => hooks.response_body = true,
        "response-whole" => hooks.response_whole = true,
        "timer" => hooks.timer = true,
        _ => return Err(LinkError::plain(format!("{CONTRACT} has no hook \"{interface}\""))),
    }
    Ok(false)
}

/// Grants that the operator wrote and nothing imports: a mistake or a leftover.
fn unused(imports: &[String], grants: Grants, names: &GrantedNames) -> Vec<LinkError> {
    // Stored credentials take their secret by name too.
    let keys: &[&str] = &["keys", "identity-control"];
    let written: [(&str, &[&str], bool); 8] = [
        ("log", &["log"], grants.log),
        ("metrics", &["metrics"], grants.metrics),
        ("identity", &["identity-control"], grants.identity),
        ("state", &["kv"], !names.state.is_empty()),
        ("limits", &["rate-limit"], !names.limits.is_empty()),
        ("keys", keys, !names.keys.is_empty()),
        ("secrets", &["secrets"], !names.secrets.is_empty()),
        ("http", &["http-out"], !names.http.is_empty()),
    ];
    let imported = |interface: &str| imports.iter().any(|name| of_contract(name) == Some(Ok(interface)));
    let unused =
        written.into_iter().filter(|(_, interfaces, given)| *given && !interfaces.iter().any(|name| imported(name)));
    unused
        .map(|(grant, interfaces, _)| LinkError {
            import: None,
            message: format!(
                "the grant \"{grant}\" is written, but the plugin does not import {}",
                interfaces.join(" or ")
            ),
            help: Some(format!("remove `{grant}` from its [plugin.grants]")),
        })
        .collect()
}

/// True if it imports this interface of the contract.
pub(crate) fn imports(component: &Component, interface: &str) -> bool {
    component.component_type().imports(component.engine()).any(|(name, _)| of_contract(name) == Some(Ok(interface)))
}

/// True if its hooks may wait: they are run on fibers then.
pub(crate) fn waits(component: &Component) -> bool {
    imports(component, "http-out")
}

/// Links exactly what [`check`] let through.
///
/// # Errors
/// A function's type differs from the contract's; the text says which.
pub(crate) fn link(component: &Component) -> wasmtime::Result<InstancePre<State>> {
    let engine = component.engine();
    let mut linker = Linker::<State>::new(engine);
    let ty = component.component_type();
    let imports: Vec<&str> = ty.imports(engine).map(|(name, _)| name).collect();
    if imports.iter().any(|name| name.starts_with("wasi:")) {
        crate::capability::wasi::link(&mut linker)?;
    }
    for name in &imports {
        if let Some(Ok(interface)) = of_contract(name) {
            add(&mut linker, interface)?;
        }
    }
    linker.instantiate_pre(component)
}

fn add(linker: &mut Linker<State>, interface: &str) -> wasmtime::Result<()> {
    type Own = HasSelf<State>;
    fn itself(state: &mut State) -> &mut State {
        state
    }
    match interface {
        "types" => contract::types::add_to_linker::<_, Own>(linker, itself),
        "exchange" => contract::exchange::add_to_linker::<_, Own>(linker, itself),
        "identity" => contract::identity::add_to_linker::<_, Own>(linker, itself),
        "identity-control" => contract::identity_control::add_to_linker::<_, Own>(linker, itself),
        "log" => contract::log::add_to_linker::<_, Own>(linker, itself),
        "config" => contract::config::add_to_linker::<_, Own>(linker, itself),
        "clock" => contract::clock::add_to_linker::<_, Own>(linker, itself),
        "random" => contract::random::add_to_linker::<_, Own>(linker, itself),
        "metrics" => contract::metrics::add_to_linker::<_, Own>(linker, itself),
        "crypto" => contract::crypto::add_to_linker::<_, Own>(linker, itself),
        "kv" => contract::kv::add_to_linker::<_, Own>(linker, itself),
        "rate-limit" => contract::rate_limit::add_to_linker::<_, Own>(linker, itself),
        "keys" => contract::keys::add_to_linker::<_, Own>(linker, itself),
        "secrets" => contract::secrets::add_to_linker::<_, Own>(linker, itself),
        "http-out" => contract::http_out::add_to_linker::<_, Own>(linker, itself),
        // Refused by `check` before.
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::{Hooks, check_export, check_import, unused};
    use crate::settings::{GrantedNames, Grants};

    #[test]
    fn imports_against_offers() {
        let all = Grants { log: true, metrics: true, identity: true, written: true };
        for (name, grants, expected) in [
            ("gatelodge:plugin/exchange@0.1.0", Grants::default(), None),
            ("gatelodge:plugin/exchange@0.1.7", Grants::default(), None),
            ("gatelodge:plugin/log@0.1.0", Grants::default(), Some("[plugin.grants]\nlog = true")),
            ("gatelodge:plugin/metrics@0.1.0", Grants::default(), Some("metrics = true")),
            ("gatelodge:plugin/identity-control@0.1.0", Grants::default(), Some("identity = true")),
            ("gatelodge:plugin/identity-control@0.1.0", all, None),
            ("gatelodge:plugin/kv@0.1.0", all, Some("[plugin.grants]\nstate = [\"NAME\"] # with [stores.NAME]")),
            ("gatelodge:plugin/rate-limit@0.1.0", all, Some("limits = [\"NAME\"] # with [limiters.NAME]")),
            ("gatelodge:plugin/keys@0.1.0", all, Some("keys = [\"NAME\"] # with [secrets.NAME]")),
            ("gatelodge:plugin/secrets@0.1.0", all, Some("secrets = [\"NAME\"] # with [secrets.NAME]")),
            ("gatelodge:plugin/http-out@0.1.0", all, Some("http = [\"NAME\"] # with [upstreams.NAME]")),
            ("gatelodge:plugin/wishes@0.1.0", all, Some("no interface \"wishes\"")),
            ("gatelodge:plugin/log@0.2.0", all, Some("gatelodge:plugin@0.2.0")),
            ("gatelodge:plugin/log", all, Some("no version")),
            ("gatelodge:pluginx/log@0.1.0", all, Some("does not offer")),
            ("wasi:sockets/tcp@0.2.3", all, Some("socket")),
            ("wasi:filesystem/types@0.2.3", all, Some("file system")),
            ("wasi:cli/stderr@0.2.3", all, None),
            ("wasi:cli/stderr@0.2.0", Grants::default(), None),
            ("wasi:cli/stderr@0.3.0", all, Some("WASI 0.3.0")),
            ("wasi:cli/run@0.2.3", all, Some("does not offer")),
            ("wasi:http/outgoing-handler@0.2.3", all, Some("does not offer")),
        ] {
            let answer = check_import(name, grants, &GrantedNames::default());
            let text = answer.err().map(|error| {
                assert_eq!(error.import.as_deref(), Some(name));
                format!("{}\n{}", error.message, error.help.unwrap_or_default())
            });
            match (text, expected) {
                (None, None) => {}
                (Some(text), Some(word)) => assert!(text.contains(word), "{name}: {text}"),
                (text, _) => panic!("{name}: {text:?}"),
            }
        }
    }

    #[test]
    fn exports_against_hooks() {
        let mut hooks = Hooks::default();
        assert_eq!(check_export("gatelodge:plugin/lifecycle@0.1.0", &mut hooks), Ok(true));
        assert_eq!(check_export("gatelodge:plugin/completion@0.1.2", &mut hooks), Ok(false));
        assert_eq!(check_export("my:own/thing", &mut hooks), Ok(false));
        assert_eq!(check_export("gatelodge:plugin/timer@0.1.0", &mut hooks), Ok(false));
        assert_eq!(hooks, Hooks { completion: true, timer: true, ..Hooks::default() });
        for (name, word) in
            [("gatelodge:plugin/lifecycle@0.2.0", "0.2.0"), ("gatelodge:plugin/nothing@0.1.0", "no hook")]
        {
            let error = check_export(name, &mut hooks).expect_err("refused");
            assert!(error.message.contains(word), "{name}: {}", error.message);
        }
    }

    #[test]
    fn names_open_what_they_are_for() {
        let names = |grant: &str| {
            let list = |name: &str| if name == grant { vec!["a".to_owned()] } else { Vec::new() };
            GrantedNames {
                state: list("state"),
                limits: list("limits"),
                keys: list("keys"),
                secrets: list("secrets"),
                http: list("http"),
            }
        };
        let grants = [("state", "kv"), ("limits", "rate-limit"), ("keys", "keys"), ("secrets", "secrets")];
        for (grant, own) in grants {
            for (_, interface) in grants {
                let name = format!("gatelodge:plugin/{interface}@0.1.0");
                let answer = check_import(&name, Grants::default(), &names(grant));
                assert_eq!(answer.is_ok(), own == interface, "{grant} for {interface}");
                let told = unused(&[name], Grants::default(), &names(grant));
                assert_eq!(told.is_empty(), own == interface, "{grant} without {interface}");
            }
        }
        let stored = ["gatelodge:plugin/identity-control@0.1.0".to_owned()];
        assert_eq!(unused(&stored, Grants::default(), &names("keys")), []);
    }

    #[test]
    fn a_body_hook_needs_the_head_hook_that_asks_for_it() {
        for (names, word) in [
            (&["request-body"][..], Some("request-body but not request-head")),
            (&["request-whole", "response-head"], Some("request-whole but not request-head")),
            (&["response-body", "request-head"], Some("response-body but not response-head")),
            (&["response-whole"], Some("response-whole but not response-head")),
            (&["request-body", "request-whole", "request-head"], None),
            (&["response-body", "response-whole", "response-head"], None),
        ] {
            let mut hooks = Hooks::default();
            for name in names {
                assert_eq!(check_export(&format!("gatelodge:plugin/{name}@0.1.0"), &mut hooks), Ok(false));
            }
            match (hooks.never_called(), word) {
                (None, None) => {}
                (Some(error), Some(word)) => assert!(error.message.contains(word), "{}", error.message),
                (error, _) => panic!("{names:?}: {error:?}"),
            }
        }
    }

    #[test]
    fn a_grant_that_nothing_imports_is_told() {
        let imports = ["gatelodge:plugin/log@0.1.0".to_owned()];
        let grants = Grants { log: true, metrics: true, identity: false, written: true };
        let told = unused(&imports, grants, &GrantedNames::default());
        assert_eq!(told.len(), 1);
        assert!(told[0].help.as_deref().is_some_and(|help| help.contains("`metrics`")));
    }
}
