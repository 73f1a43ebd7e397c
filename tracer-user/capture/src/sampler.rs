//! Samples of accept queues: what the kernel has of every followed listener, beside what their network namespaces count.

use crate::{clock::boot_now, programs::Programs};
use std::{
    collections::{BTreeMap, BTreeSet},
    io,
};
use tracer_model::{
    decode,
    input::{Body, Input, ListenerSample, NamespaceSample, Sampled, Sock},
};

/// Time between two samples.
pub(crate) const EVERY_NS: u64 = 1_000_000_000;

/// What was sampled last: a sample tells what has changed.
pub(crate) struct Sampler {
    sched: bool,
    peek: bool,
    known: BTreeMap<u64, (Sock, Option<u32>)>,
    /// Namespaces that listeners are in, and a process whose own each is.
    namespaces: BTreeMap<u32, u32>,
    counted: BTreeMap<u32, NamespaceSample>,
}

/// What was found of all listeners.
#[derive(Default)]
struct Look {
    samples: Vec<ListenerSample>,
    namespaces: BTreeMap<u32, u32>,
}

impl Sampler {
    pub(crate) fn new(sched: bool, peek: bool) -> Self {
        Self { sched, peek, known: BTreeMap::new(), namespaces: BTreeMap::new(), counted: BTreeMap::new() }
    }

    /// Samples every followed listener. What was in the queue of one that is read for the first time comes as records. `stacks` is
    /// told with the sample.
    pub(crate) fn sample(&mut self, programs: &Programs, stacks: Option<u64>) -> io::Result<Input> {
        let mut before = counters(&self.namespaces);
        let mut look = look(programs)?;
        if look.namespaces.keys().any(|netns| !before.contains_key(netns)) {
            // A namespace that was not read before its listeners is read now, and they again.
            before = counters(&look.namespaces);
            look = self::look(programs)?;
        }
        self.namespaces = look.namespaces;
        let after = counters(&self.namespaces);
        let mut namespaces = Vec::new();
        for (netns, (overflows, drops)) in &after {
            let (first_overflows, first_drops) = before.get(netns).copied().unwrap_or_default();
            let sample = NamespaceSample {
                netns: *netns,
                overflows: (first_overflows, *overflows),
                drops: (first_drops, *drops),
            };
            if self.counted.insert(*netns, sample) != Some(sample) {
                namespaces.push(sample);
            }
        }
        let seen: BTreeSet<u64> = look.samples.iter().map(|sample| sample.sock.sk).collect();
        self.known.retain(|sk, _| seen.contains(sk));
        let mut listeners = look.samples;
        listeners.retain(|sample| {
            let now = (sample.sock.clone(), sample.drops);
            self.known.insert(sample.sock.sk, now.clone()) != Some(now)
        });
        let sampled = Sampled {
            period_ns: EVERY_NS,
            sched: self.sched,
            peek: self.peek,
            stacks,
            listeners,
            namespaces,
        };
        Ok(Input { ts: boot_now(), origin: None, late: false, body: Body::Sampled(Box::new(sampled)) })
    }
}

/// Has every listener read.
fn look(programs: &Programs) -> io::Result<Look> {
    let mut look = Look::default();
    for row in programs.listeners()? {
        let Some((sample, of_owner)) = decode::listener(&row) else { continue };
        if of_owner && sample.drops.is_some() {
            look.namespaces.insert(sample.sock.netns, sample.process.pid);
        }
        look.samples.push(sample);
    }
    look.samples.sort_by_key(|sample| sample.sock.sk);
    Ok(look)
}

/// `ListenOverflows` and `ListenDrops` of each namespace that can be read.
fn counters(namespaces: &BTreeMap<u32, u32>) -> BTreeMap<u32, (u64, u64)> {
    let read = |pid: &u32| {
        let text = std::fs::read_to_string(format!("/proc/{pid}/net/netstat")).ok()?;
        Some((counter(&text, "ListenOverflows")?, counter(&text, "ListenDrops")?))
    };
    namespaces.iter().filter_map(|(netns, pid)| Some((*netns, read(pid)?))).collect()
}

/// A counter of TCP in `/proc/PID/net/netstat`: a line of names, then one of values (proc_pid_net(5)).
fn counter(text: &str, name: &str) -> Option<u64> {
    let mut lines = text.lines().filter_map(|line| line.strip_prefix("TcpExt:"));
    let (names, values) = (lines.next()?, lines.next()?);
    let at = names.split_whitespace().position(|found| found == name)?;
    values.split_whitespace().nth(at)?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::counter;

    #[test]
    fn a_counter_is_found_by_its_name() {
        let text = "TcpExt: SyncookiesSent ListenOverflows ListenDrops\nTcpExt: 1 20 300\nIpExt: InNoRoutes\nIpExt: 7\n";
        assert_eq!(counter(text, "ListenOverflows"), Some(20));
        assert_eq!(counter(text, "ListenDrops"), Some(300));
        assert_eq!(counter(text, "InNoRoutes"), None);
        assert_eq!(counter("TcpExt: ListenDrops", "ListenDrops"), None);
        assert_eq!(counter("", "ListenDrops"), None);
    }
}
