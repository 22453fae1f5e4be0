//! What the second stage does to itself just before it becomes the application.

use super::frames::{length, number, optional, put_optional};
use rustix::fs::Mode;
use rustix::process::{Gid, Pid, Resource, Rlimit, Uid, setrlimit, umask};
use std::io::Result;

/// As whom and within which limits, in numbers only.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Confine {
    pub(super) uid: Option<u32>,
    pub(super) gid: Option<u32>,
    /// Supplementary groups; they are set if `gid` is.
    pub(super) groups: Vec<u32>,
    pub(super) umask: Option<u32>,
    /// The niceness itself, not what is added to it.
    pub(super) nice: Option<i32>,
    pub(super) open_files: Option<u64>,
    pub(super) processes: Option<u64>,
    pub(super) address_space: Option<u64>,
    pub(super) core: Option<u64>,
    /// `memory.max` of the application's group.
    pub(super) memory: Option<u64>,
    /// `cpu.max` of the application's group, percent of one core.
    pub(super) cpu_percent: Option<u32>,
}

/// What the system refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Step {
    /// The program can't be executed.
    Execute,
    /// The working directory can't be entered.
    Directory,
    /// `RLIMIT_NOFILE`.
    OpenFiles,
    /// `RLIMIT_NPROC`.
    Processes,
    /// `RLIMIT_AS`.
    AddressSpace,
    /// `RLIMIT_CORE`.
    Core,
    /// The niceness.
    Nice,
    /// Group and supplementary groups.
    Group,
    /// The user.
    User,
    /// Being ended together with the keeper.
    Tie,
    /// A cgroup of its own.
    Cgroup,
    /// `memory.max`.
    Memory,
    /// `cpu.max`.
    Cpu,
    /// The order, which can't be read.
    Order,
}

impl Step {
    const ALL: [Self; 14] = [
        Self::Execute,
        Self::Directory,
        Self::OpenFiles,
        Self::Processes,
        Self::AddressSpace,
        Self::Core,
        Self::Nice,
        Self::Group,
        Self::User,
        Self::Tie,
        Self::Cgroup,
        Self::Memory,
        Self::Cpu,
        Self::Order,
    ];

    /// The step of a number on the stream.
    pub(super) fn of(number: u8) -> Option<Self> {
        Self::ALL.get(usize::from(number)).copied()
    }
}

/// What was refused, and the system's word for it.
pub(super) type Refusal = (Step, rustix::io::Errno);

impl Confine {
    /// Applies all but the working directory and what concerns a cgroup, privileges
    /// last. It must be called by a process's only thread.
    ///
    /// # Errors
    /// The first thing that was refused.
    pub(super) fn apply(&self) -> std::result::Result<(), Refusal> {
        for (resource, limit, step) in [
            (Resource::Nofile, self.open_files, Step::OpenFiles),
            (Resource::Nproc, self.processes, Step::Processes),
            (Resource::Core, self.core, Step::Core),
            (Resource::As, self.address_space, Step::AddressSpace),
        ] {
            if let Some(limit) = limit {
                let both = Rlimit { current: Some(limit), maximum: Some(limit) };
                setrlimit(resource, both).map_err(|e| (step, e))?;
            }
        }
        if let Some(nice) = self.nice {
            rustix::process::setpriority_process(None::<Pid>, nice).map_err(|e| (Step::Nice, e))?;
        }
        if let Some(mask) = self.umask {
            umask(Mode::from_raw_mode(mask));
        }
        if let Some(gid) = self.gid {
            let group = |id| Gid::from_raw(id);
            let groups: Vec<Gid> = self.groups.iter().copied().map(group).collect();
            rustix::thread::set_thread_groups(&groups).map_err(|e| (Step::Group, e))?;
            let gid = group(gid);
            rustix::thread::set_thread_res_gid(gid, gid, gid).map_err(|e| (Step::Group, e))?;
        }
        if let Some(uid) = self.uid.map(Uid::from_raw) {
            rustix::thread::set_thread_res_uid(uid, uid, uid).map_err(|e| (Step::User, e))?;
        }
        Ok(())
    }

    pub(super) fn put(&self, out: &mut Vec<u8>) -> Result<()> {
        for value in [self.uid, self.gid, self.umask, self.cpu_percent] {
            put_optional(out, value.map(u64::from));
        }
        // Shifted to where all are positive.
        put_optional(out, self.nice.and_then(|nice| u64::try_from(nice + 20).ok()));
        for value in [self.open_files, self.processes, self.address_space, self.core, self.memory] {
            put_optional(out, value);
        }
        number(out, self.groups.len())?;
        self.groups.iter().for_each(|group| out.extend(group.to_le_bytes()));
        Ok(())
    }

    pub(super) fn take(rest: &mut &[u8]) -> Result<Self> {
        let invalid = || std::io::Error::from(std::io::ErrorKind::InvalidData);
        let mut small = || match optional(rest)? {
            Some(value) => u32::try_from(value).map(Some).map_err(|_| invalid()),
            None => Ok(None),
        };
        let (uid, gid, umask, cpu_percent, nice) = (small()?, small()?, small()?, small()?, small()?);
        let nice = nice.and_then(|nice| i32::try_from(nice).ok()).map(|nice| nice - 20);
        let mut large = || optional(rest);
        let (open_files, processes, address_space, core, memory) = (large()?, large()?, large()?, large()?, large()?);
        let count = length(rest)?;
        let groups = (0..count).map(|_| length(rest).and_then(|id| u32::try_from(id).map_err(|_| invalid())));
        let groups = groups.collect::<Result<_>>()?;
        Ok(Self { uid, gid, groups, umask, nice, open_files, processes, address_space, core, memory, cpu_percent })
    }
}

#[cfg(test)]
mod tests {
    use super::{Confine, Step};

    #[test]
    fn steps_travel_as_numbers() {
        for (at, step) in Step::ALL.into_iter().enumerate() {
            assert_eq!(usize::from(step as u8), at);
            assert_eq!(Step::of(step as u8), Some(step));
        }
        assert_eq!(Step::of(u8::MAX), None);
    }

    #[test]
    fn numbers_travel() {
        let full = Confine {
            uid: Some(0),
            gid: Some(u32::MAX - 1),
            groups: vec![1, 2, 3],
            umask: Some(0o27),
            nice: Some(-20),
            open_files: Some(u64::MAX),
            processes: Some(0),
            address_space: Some(1),
            core: Some(2),
            memory: Some(3),
            cpu_percent: Some(4),
        };
        for confine in [full, Confine::default(), Confine { nice: Some(19), ..Confine::default() }] {
            let mut bytes = Vec::new();
            confine.put(&mut bytes).unwrap();
            assert_eq!(Confine::take(&mut bytes.as_slice()).unwrap(), confine);
            let cut = bytes.len() - 1;
            assert!(Confine::take(&mut bytes.get(..cut).unwrap()).is_err());
        }
    }
}
