//! From the configured identity to numbers, and the words of a refusal.

use super::accounts::{Account, Accounts, number};
use super::cgroup::Groups;
use super::confine::{Confine, Step};
use crate::settings::{Identity, Ungranted};
use rustix::process::{Resource, getegid, geteuid, getpriority_process, getrlimit};
use rustix::thread::{CapabilitySet, capabilities};
use std::io::Error;

/// The table in which the settings stand.
const TABLE: &str = "[host.backend.identity]";

/// Looks whether the system would start an application so, without starting one.
/// It is asked for the user and within the control group that this process has.
///
/// # Errors
/// Everything that it would refuse. A limit that depends on a user who is refused
/// is not looked at.
pub fn check(identity: &Identity) -> Result<(), Vec<Ungranted>> {
    let none = Identity::default;
    let who = Identity { user: identity.user.clone(), group: identity.group.clone(), ..none() };
    let mut ungranted = Vec::new();
    let mut look = |setting, part: &Identity| match resolve(part) {
        Ok(_) => true,
        Err(what) => {
            ungranted.push(Ungranted { setting, what });
            false
        }
    };
    // Where both are wrong the user is told first, and then the group.
    let whose = if resolve(&who).is_err_and(|what| what.starts_with("group")) { "group" } else { "user" };
    if look(whose, &who) {
        look("processes_max", &Identity { processes_max: identity.processes_max, ..who });
    }
    for (setting, part) in [
        ("umask", Identity { umask: identity.umask, ..none() }),
        ("nice", Identity { nice: identity.nice, ..none() }),
        ("open_files_max", Identity { open_files_max: identity.open_files_max, ..none() }),
        ("address_space_bytes_max", Identity { address_space_bytes_max: identity.address_space_bytes_max, ..none() }),
        ("core_bytes_max", Identity { core_bytes_max: identity.core_bytes_max, ..none() }),
        ("memory_bytes_max", Identity { memory_bytes_max: identity.memory_bytes_max, ..none() }),
        ("cpu_percent_max", Identity { cpu_percent_max: identity.cpu_percent_max, ..none() }),
    ] {
        look(setting, &part);
    }
    if ungranted.is_empty() { Ok(()) } else { Err(ungranted) }
}

/// An identity in numbers.
pub(crate) struct Resolved {
    pub(crate) confine: Confine,
    /// What the new user's programs expect in the environment; empty without one.
    pub(crate) variables: Vec<(&'static str, String)>,
}

/// Turns names into numbers and looks whether the system will allow them.
pub(crate) fn resolve(identity: &Identity) -> Result<Resolved, String> {
    let host = Host::ask();
    let accounts = Accounts::read();
    let user = identity.user.as_deref().map(|user| find_user(&accounts, user)).transpose()?;
    let group = identity.group.as_deref().map(|group| find_group(&accounts, group)).transpose()?;
    let mut confine = Confine {
        umask: identity.umask,
        nice: host.nice(identity.nice)?,
        open_files: identity.open_files_max,
        processes: identity.processes_max,
        address_space: identity.address_space_bytes_max,
        core: identity.core_bytes_max,
        memory: identity.memory_bytes_max,
        cpu_percent: identity.cpu_percent_max,
        ..Confine::default()
    };
    host.credentials(identity, &user, group, &mut confine)?;
    host.limits(&confine)?;
    controllers(identity)?;
    if let Some(mask) = identity.umask.filter(|mask| *mask > 0o777) {
        return Err(format!(
            "umask = \"{mask:o}\" in {TABLE} has more than the nine permission bits: write \"000\" to \"777\"."
        ));
    }
    let account = user.and_then(|(_, account)| account);
    let variables = account.map_or_else(Vec::new, |Account { name, home, .. }| {
        vec![("HOME", home), ("USER", name.clone()), ("LOGNAME", name)]
    });
    Ok(Resolved { confine, variables })
}

fn find_user(accounts: &Accounts, wanted: &str) -> Result<(u32, Option<Account>), String> {
    match (accounts.user(wanted), number(wanted)) {
        (Some(account), _) => Ok((account.uid, Some(account))),
        (None, Some(uid)) => Ok((uid, None)),
        (None, None) => Err(format!(
            "user = {wanted:?} in {TABLE}: /etc/passwd has no such user. \
             Create it, or if another directory holds it, write its number, and the number of its group as `group`."
        )),
    }
}

fn find_group(accounts: &Accounts, wanted: &str) -> Result<u32, String> {
    accounts.group(wanted).or_else(|| number(wanted)).ok_or_else(|| {
        format!(
            "group = {wanted:?} in {TABLE}: /etc/group has no such group. \
             Create it, or if another directory holds it, write its number."
        )
    })
}

/// What the host itself is, and may do.
struct Host {
    uid: u32,
    gid: u32,
    capable: CapabilitySet,
}

impl Host {
    fn ask() -> Self {
        let none = CapabilitySet::empty();
        Self {
            uid: geteuid().as_raw(),
            gid: getegid().as_raw(),
            capable: capabilities(None).map_or(none, |sets| sets.effective),
        }
    }

    fn may(&self, capability: CapabilitySet) -> bool {
        self.capable.contains(capability)
    }

    /// Fills user and groups in, as far as they differ from the host's own.
    fn credentials(
        &self,
        identity: &Identity,
        user: &Option<(u32, Option<Account>)>,
        group: Option<u32>,
        confine: &mut Confine,
    ) -> Result<(), String> {
        let own = match user {
            Some((_, Some(account))) => Some(account.gid),
            _ => None,
        };
        let uid = user.as_ref().map(|(uid, _)| *uid);
        if let (Some(uid), None, None) = (uid, own, group)
            && uid != self.uid
        {
            return Err(format!(
                "user = \"{uid}\" in {TABLE}: /etc/passwd has no such number, so its group isn't known. Write `group` as well."
            ));
        }
        let gid = group.or(own);
        let other_user = uid.is_some_and(|uid| uid != self.uid);
        let other_group = gid.is_some_and(|gid| gid != self.gid);
        if !other_user && !other_group {
            return Ok(());
        }
        if !self.may(CapabilitySet::SETUID) || !self.may(CapabilitySet::SETGID) {
            let asked: Vec<String> = [("user", &identity.user), ("group", &identity.group)]
                .into_iter()
                .filter_map(|(key, value)| Some(format!("{key} = {:?}", value.as_ref()?)))
                .collect();
            return Err(format!(
                "{} in {TABLE}: the host runs as user {} and may not start programs as somebody else. \
                 Start it as root, or leave that out.",
                asked.join(" and "),
                self.uid
            ));
        }
        confine.uid = uid;
        confine.gid = gid;
        confine.groups = match user {
            Some((_, Some(account))) => account.groups.clone(),
            _ => gid.into_iter().collect(),
        };
        if let Some(gid) = gid.filter(|gid| !confine.groups.contains(gid)) {
            confine.groups.push(gid);
        }
        Ok(())
    }

    /// The niceness that comes out.
    fn nice(&self, added: Option<i32>) -> Result<Option<i32>, String> {
        let Some(added) = added else { return Ok(None) };
        if !(-20..=19).contains(&added) {
            return Err(format!("nice = {added} in {TABLE} is no niceness: write -20 to 19."));
        }
        let current = getpriority_process(None).unwrap_or_default();
        let wanted = (current + added).clamp(-20, 19);
        // The limit is written as 20 minus the lowest niceness allowed.
        let floor = getrlimit(Resource::Nice).current.map_or(-20, |limit| 20 - i32::try_from(limit).unwrap_or(40));
        if wanted < current && wanted < floor && !self.may(CapabilitySet::SYS_NICE) {
            return Err(format!(
                "nice = {added} in {TABLE}: the host may not give more processor time than it has itself. \
                 Start it as root (or with CAP_SYS_NICE, LimitNICE={wanted}), or write 0 or more."
            ));
        }
        Ok(Some(wanted))
    }

    fn limits(&self, confine: &Confine) -> Result<(), String> {
        if let (Some(asked), 0) = (confine.processes, confine.uid.unwrap_or(self.uid)) {
            return Err(format!(
                "processes_max = {asked} in {TABLE}: the kernel does not hold root to it. \
                 Set `user` too, so that the application runs as somebody else, or leave it out."
            ));
        }
        let cases = [
            ("open_files_max", Resource::Nofile, confine.open_files, "LimitNOFILE"),
            ("processes_max", Resource::Nproc, confine.processes, "LimitNPROC"),
            ("address_space_bytes_max", Resource::As, confine.address_space, "LimitAS"),
            ("core_bytes_max", Resource::Core, confine.core, "LimitCORE"),
        ];
        for (key, resource, asked, unit) in cases {
            let (Some(asked), Some(hard)) = (asked, getrlimit(resource).maximum) else { continue };
            if asked > hard && !self.may(CapabilitySet::SYS_RESOURCE) {
                return Err(format!(
                    "{key} = {asked} in {TABLE}: the host's own hard limit is {hard}, and only root may go above it. \
                     Write at most {hard}, or raise the host's limit (systemd: {unit}={asked})."
                ));
            }
        }
        // Not even root gets past this one.
        let most =
            std::fs::read_to_string("/proc/sys/fs/nr_open").ok().and_then(|text| text.trim().parse::<u64>().ok());
        if let (Some(asked), Some(most)) = (confine.open_files, most)
            && asked > most
        {
            return Err(format!(
                "open_files_max = {asked} in {TABLE}: the system allows no process more than {most}. \
                 Write at most {most}, or raise fs.nr_open."
            ));
        }
        Ok(())
    }
}

/// Looks whether the application's group will have the controllers it needs.
fn controllers(identity: &Identity) -> Result<(), String> {
    let cases = [
        ("memory", identity.memory_bytes_max.map(|_| Step::Memory)),
        ("cpu", identity.cpu_percent_max.map(|_| Step::Cpu)),
    ];
    for (controller, step) in cases {
        let Some(step) = step else { continue };
        let none = || Error::other("the host may not make control groups (cgroup v2) here");
        let had = Groups::find().ok_or_else(none).and_then(|groups| groups.have(controller));
        had.map_err(|e| refused(identity, step, &e))?;
    }
    Ok(())
}

/// The words for what the system refused in the last moment.
pub(super) fn refused(identity: &Identity, step: Step, e: &Error) -> String {
    let text = |value: &Option<String>| value.clone().unwrap_or_default();
    let number = |value: Option<u64>| value.map(|value| value.to_string()).unwrap_or_default();
    let (key, value, instead) = match step {
        Step::User => ("user", text(&identity.user), "Start the host as root, or leave `user` out."),
        Step::Group => {
            let asked = identity.group.as_ref().or(identity.user.as_ref()).cloned().unwrap_or_default();
            ("group", asked, "Start the host as root, or leave `user` and `group` out.")
        }
        Step::Nice => {
            ("nice", identity.nice.unwrap_or_default().to_string(), "Write 0 or more, or start the host as root.")
        }
        Step::OpenFiles => ("open_files_max", number(identity.open_files_max), "Write a smaller number."),
        Step::Processes => ("processes_max", number(identity.processes_max), "Write a smaller number."),
        Step::AddressSpace => {
            ("address_space_bytes_max", number(identity.address_space_bytes_max), "Write a smaller number.")
        }
        Step::Core => ("core_bytes_max", number(identity.core_bytes_max), "Write a smaller number."),
        Step::Memory => ("memory_bytes_max", number(identity.memory_bytes_max), CONTROLLERS),
        Step::Cpu => ("cpu_percent_max", number(identity.cpu_percent_max.map(u64::from)), CONTROLLERS),
        Step::Cgroup => {
            return format!("The application could not be put into a control group of its own: {e}. {CONTROLLERS}");
        }
        Step::Tie | Step::Order | Step::Execute | Step::Directory => {
            return format!("The application could not be started: {e}.");
        }
    };
    format!("{key} = {value} in {TABLE}: the system refuses it: {e}. {instead}")
}

/// How a host gets groups with controllers.
const CONTROLLERS: &str = "Run the host as a systemd service with Delegate=yes and DelegateSubgroup=host, \
                                      or leave memory_bytes_max and cpu_percent_max out.";

#[cfg(test)]
mod tests;
