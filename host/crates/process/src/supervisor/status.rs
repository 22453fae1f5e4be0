//! The state of everything, with the numbers of this moment.

use super::shell::Shell;
use crate::control::{InstanceState, InstanceStatus, LastExit, Status};
use crate::machine::Instance;
use std::time::Duration;
use tokio::time::Instant;

impl Shell {
    /// The state; `memory` is what was measured of some instances.
    pub(super) fn status(&self, memory: &[(u64, u64)]) -> Status {
        let now = Instant::now();
        let counters = self.machine.counters();
        let allowed = self.machine.plan().settings.rapid_fails_per_minute;
        let next_start = self.machine.next_start(now);
        let mut instances: Vec<InstanceStatus> = self.machine.instances().map(|i| self.instance(i, memory)).collect();
        instances.extend(self.machine.waiting(now).map(|number| empty(number, 0, InstanceState::Waiting)));
        instances.sort_by_key(|instance| (instance.number, instance.start));
        let newest = self.bodies.iter().filter(|(_, body)| body.facts.is_some()).max_by_key(|(start, _)| **start);
        Status {
            state: self.machine.state(),
            since: now - self.state_since,
            instances,
            starts: counters.starts,
            start_failures: counters.start_failures,
            crashes: counters.crashes,
            replacements: counters.replacements,
            replacement_failures: counters.replacement_failures,
            kills: self.kills,
            health_failures: counters.health_failures,
            last_exit: self.last_exit.as_ref().map(|(at, exit)| LastExit { ago: now - *at, ..exit.clone() }),
            crashes_in_window: (self.machine.crashes_within(now), allowed),
            next_start_in: next_start.map(|at| at - now),
            report: self.report.clone(),
            last_lines: newest
                .and_then(|(_, body)| Some(body.facts.as_ref()?.tail.lines()))
                .unwrap_or_else(|| self.last.last_lines.clone()),
        }
    }

    fn instance(&self, instance: &Instance, memory: &[(u64, u64)]) -> InstanceStatus {
        let status = empty(instance.number, instance.start, instance.state);
        let Some(facts) = self.bodies.get(&instance.start).and_then(|body| body.facts.as_ref()) else { return status };
        let load = &facts.paired.load;
        InstanceStatus {
            pid: facts.pid,
            listening_pid: facts.listening_pid,
            port: facts.paired.addr.port(),
            uptime: facts.since.elapsed(),
            requests: load.requests(),
            outstanding: load.outstanding(),
            ejected: load.is_ejected(std::time::Instant::now()),
            health_failures: instance.health_failures,
            memory_bytes: memory.iter().find(|(start, _)| *start == instance.start).map(|(_, bytes)| *bytes),
            ..status
        }
    }
}

fn empty(number: u16, start: u64, state: InstanceState) -> InstanceStatus {
    InstanceStatus {
        number,
        start,
        state,
        pid: 0,
        listening_pid: 0,
        port: 0,
        uptime: Duration::ZERO,
        requests: 0,
        outstanding: 0,
        ejected: false,
        health_failures: 0,
        memory_bytes: None,
    }
}
