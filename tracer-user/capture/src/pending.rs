//! Calls that have been running for long: told while they run, once.

use crate::pod::PodOf;
use aya::maps::{HashMap, MapData};
use std::collections::HashSet;
use tracer_abi::{Asked, Class, InFlight};
use tracer_model::{
    decode,
    ids::BootNs,
    input::{Body, Call, Input},
    syscall::Numbering,
};

/// A call that runs longer is told while it runs.
const LONG_NS: u64 = 100_000_000;

pub(crate) struct Pending {
    in_flight: HashMap<MapData, u32, PodOf<InFlight>>,
    asked: HashMap<MapData, u32, PodOf<Asked>>,
    /// Thread and begin of the calls that were told.
    told: HashSet<(u32, u64)>,
}

impl Pending {
    pub(crate) fn new(
        in_flight: HashMap<MapData, u32, PodOf<InFlight>>,
        asked: HashMap<MapData, u32, PodOf<Asked>>,
    ) -> Self {
        Self { in_flight, asked, told: HashSet::new() }
    }

    /// Calls that have become long since the last look. An entry that changes while the map is walked is seen by the
    /// next look.
    pub(crate) fn look(&mut self, now: BootNs, numbering: &Numbering) -> Vec<Input> {
        let mut running = HashSet::new();
        let mut inputs = Vec::new();
        for (tid, PodOf(flight)) in self.in_flight.iter().flatten() {
            let enter = flight.call.enter;
            if !told_while_running(&flight) || enter == 0 || enter.saturating_add(LONG_NS) > now.0 {
                continue;
            }
            running.insert((tid, enter));
            if self.told.contains(&(tid, enter)) {
                continue;
            }
            let asked = self.asked.get(&tid, 0).ok();
            let call: Result<Call, _> =
                decode::in_flight(&flight, asked.as_ref().map(|PodOf(asked)| asked), numbering);
            if let Ok(call) = call {
                inputs.push(Input { ts: now, origin: None, late: false, body: Body::Call(Box::new(call)) });
            }
        }
        self.told = running;
        inputs
    }
}

/// Forks and execs are told by other records, what receives only where it received descriptors, and what gives one to
/// another process when it is there.
fn told_while_running(flight: &InFlight) -> bool {
    let class = u16::try_from(flight.call.class).map(Class);
    let elsewhere = [Class::FORK, Class::CLONE, Class::CLONE3, Class::EXEC];
    let received = [Class::IOCTL, Class::RECVMSG, Class::RECVMMSG, Class::READ, Class::READV];
    class.is_ok_and(|class| !elsewhere.contains(&class) && !received.contains(&class))
}
