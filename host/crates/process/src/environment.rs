//! The application's environment, as ANCM computes it.

use crate::expand::{expand, lookup, port_name};
use crate::settings::{Section, Settings, below};
use std::ffi::OsString;
use wire::PairingToken;

/// Prefix of everything that is computed for this section.
fn prefix(section: Section) -> &'static str {
    match section {
        Section::AspNetCore => "ASPNETCORE_",
        Section::HttpPlatform => "HTTP_PLATFORM_",
    }
}

/// Endings of the names that belong to one start. What the host inherited under
/// them was meant for another process, and is not passed on.
const OWNED: [&str; 6] =
    ["PORT", "APPL_PATH", "TOKEN", "IIS_HTTPAUTH", "IIS_WEBSOCKETS_SUPPORTED", "IIS_PHYSICAL_PATH"];

/// Appended to the hosting startup assemblies, so that an app pairs without code.
const STARTUP_ASSEMBLY: &str = "Microsoft.AspNetCore.Server.IISIntegration";

/// The configured variables and what is computed from the settings alone.
/// Port and token of an attempt come last, in [`Table::finish`].
pub(crate) struct Table {
    section: Section,
    entries: Vec<(String, String)>,
}

impl Table {
    /// Reads the configured variables.
    ///
    /// # Errors
    /// A sentence that names a variable which no environment can hold.
    pub(crate) fn new(settings: &Settings) -> Result<Self, String> {
        let mut table = Self { section: settings.section, entries: Vec::new() };
        for (name, value) in &settings.variables {
            if name.is_empty() || name.contains(['=', '\0']) || value.contains('\0') {
                return Err(format!(
                    "The environment variable {name:?} can't be set: a name must not be empty or hold `=`, and neither part may hold NUL."
                ));
            }
            // Names like %ASPNETCORE_PORT% are left for `finish`, which knows the port.
            let keep_port = |n: &str| port_name(n, 0).map(|_| format!("%{n}%"));
            table.set(name, expand(value, |n| keep_port(n).or_else(|| lookup(&settings.inherited, n))));
        }
        table.describe(settings);
        if prefers_host(settings) {
            for (name, value) in &mut table.entries {
                if let Some(of_host) = lookup(&settings.inherited, name) {
                    *value = of_host;
                }
            }
        }
        Ok(table)
    }

    /// What the settings say about site, authentication and upgrades.
    fn describe(&mut self, settings: &Settings) {
        let Settings { site, app_path, .. } = settings;
        let application = site.application_id(app_path);
        // IIS really gives the application's id under the name of a path.
        self.put("IIS_PHYSICAL_PATH", application.clone());
        self.put("IIS_HTTPAUTH", settings.iis_httpauth.clone());
        for (name, value) in [
            ("IIS_VERSION", "10.0".to_owned()),
            ("IIS_APP_POOL_ID", site.pool.clone()),
            ("IIS_APP_POOL_CONFIG_FILE", String::new()),
            ("IIS_SITE_NAME", site.name.clone()),
            ("IIS_SITE_ID", site.id.to_string()),
            ("IIS_APP_CONFIG_PATH", site.config_path(app_path)),
            ("IIS_APPLICATION_ID", application),
            ("IIS_APPLICATION_VIRTUAL_PATH", app_path.clone()),
        ] {
            if !value.is_empty() {
                self.put(name, value);
            }
        }
        if self.section == Section::AspNetCore {
            if let (None, Some(port)) = (self.value("ASPNETCORE_ANCM_HTTPS_PORT"), settings.https_port) {
                self.put("ANCM_HTTPS_PORT", port.to_string());
            }
            const ASSEMBLIES: &str = "ASPNETCORE_HOSTINGSTARTUPASSEMBLIES";
            if self.value(ASSEMBLIES).is_none() {
                let of_host = lookup(&settings.inherited, ASSEMBLIES).unwrap_or_default();
                self.set(ASSEMBLIES, format!("{of_host};{STARTUP_ASSEMBLY}"));
            }
        }
    }

    /// The configured port, if any: not yet checked.
    pub(crate) fn port(&self) -> Option<&str> {
        self.value(&format!("{}PORT", prefix(self.section)))
    }

    /// The configured token, if any: not yet checked.
    pub(crate) fn token(&self) -> Option<&str> {
        self.value(&format!("{}TOKEN", prefix(self.section)))
    }

    /// The whole environment of one attempt.
    pub(crate) fn finish(&self, settings: &Settings, port: u16, token: &PairingToken) -> Vec<(OsString, OsString)> {
        let mut table = Self { section: self.section, entries: Vec::new() };
        for (name, value) in &self.entries {
            table.set(name, expand(value, |n| port_name(n, port)));
        }
        table.put("PORT", port.to_string());
        let path = below(&settings.app_path);
        table.put("APPL_PATH", if path.is_empty() { "/".to_owned() } else { path.to_owned() });
        table.put("TOKEN", String::from_utf8_lossy(token.reveal()).into_owned());
        table.put("IIS_WEBSOCKETS_SUPPORTED", settings.websockets_supported.to_string());

        let mut all: Vec<(OsString, OsString)> =
            settings.inherited.iter().filter(|(name, _)| !owned(name)).cloned().collect();
        for (name, value) in table.entries {
            merge(&mut all, &name, &value);
        }
        all
    }

    fn value(&self, name: &str) -> Option<&str> {
        self.entries.iter().find(|(n, _)| n.eq_ignore_ascii_case(name)).map(|(_, value)| value.as_str())
    }

    /// Sets a computed variable under its exact name.
    fn put(&mut self, ending: &str, value: String) {
        let name = format!("{}{ending}", prefix(self.section));
        self.entries.retain(|(n, _)| !n.eq_ignore_ascii_case(&name));
        self.entries.push((name, value));
    }

    /// Sets a configured variable: the last value wins, in the place and the
    /// spelling of the first.
    fn set(&mut self, name: &str, value: String) {
        match self.entries.iter_mut().find(|(n, _)| n.eq_ignore_ascii_case(name)) {
            Some((_, old)) => *old = value,
            None => self.entries.push((name.to_owned(), value)),
        }
    }
}

/// Tells an application that runs as another user about that one, where the host's
/// own home would be told; what is configured stays.
pub(crate) fn become_user(all: &mut Vec<(OsString, OsString)>, settings: &Settings, user: &[(&str, String)]) {
    for (name, value) in user {
        if !settings.variables.iter().any(|(n, _)| n.eq_ignore_ascii_case(name)) {
            merge(all, name, value);
        }
    }
}

/// Whether applications get a control group of their own where the system has
/// them; `GATELODGE_CGROUP=off` in the host's environment forbids it.
pub(crate) fn grouped(settings: &Settings) -> bool {
    !lookup(&settings.inherited, "GATELODGE_CGROUP").is_some_and(|value| value.eq_ignore_ascii_case("off"))
}

/// Puts one variable into the inherited ones. Windows has one variable per name
/// in any case. Here each spelling is one of its own, so all that exist get the
/// new value, and the configured spelling is there in any event.
fn merge(all: &mut Vec<(OsString, OsString)>, name: &str, value: &str) {
    for (_, old) in all.iter_mut().filter(|(n, _)| n.eq_ignore_ascii_case(name)) {
        *old = value.into();
    }
    if !all.iter().any(|(n, _)| n == name) {
        all.push((name.into(), value.into()));
    }
}

fn owned(name: &OsString) -> bool {
    let prefixes = [prefix(Section::AspNetCore), prefix(Section::HttpPlatform)];
    prefixes.iter().any(|p| OWNED.iter().any(|ending| name.eq_ignore_ascii_case(format!("{p}{ending}"))))
}

/// Whether the host's own variables win over the configured ones.
fn prefers_host(settings: &Settings) -> bool {
    let switch = match settings.section {
        Section::AspNetCore => "ANCM_PREFER_ENVIRONMENT_VARIABLES",
        Section::HttpPlatform => "HTTP_PLATFORM_PREFER_ENVIRONMENT_VARIABLES",
    };
    lookup(&settings.inherited, switch).is_some_and(|value| is_true(&value))
}

fn is_true(value: &str) -> bool {
    value == "1" || value.eq_ignore_ascii_case("true")
}

/// Whether the error page may show details: detailed errors are asked for, or
/// the environment is Development; the host's variables first, then the configured.
pub(crate) fn development(settings: &Settings) -> bool {
    let configured = |name: &str| {
        let found = settings.variables.iter().rev().find(|(n, _)| n.eq_ignore_ascii_case(name));
        found.map(|(_, value)| expand(value, |n| lookup(&settings.inherited, n)))
    };
    let value = |name| lookup(&settings.inherited, name).filter(|v| !v.is_empty()).or_else(|| configured(name));
    value("ASPNETCORE_DETAILEDERRORS").is_some_and(|v| is_true(&v))
        || ["ASPNETCORE_ENVIRONMENT", "DOTNET_ENVIRONMENT"]
            .into_iter()
            .any(|name| value(name).is_some_and(|v| v.eq_ignore_ascii_case("Development")))
}

#[cfg(test)]
mod tests;
