//! What is open now, and nothing else: runs of iterators. Nothing is attached and nothing stays behind.

use crate::{
    AttachError, CaptureError, Selection, Settings,
    capture::{rows, run_of_snapshot},
    clock::{boot_now, epoch_minus_boot_ns},
    health::Health,
    look,
    numbering::numbering,
    pod::PodOf,
    programs::{self, Programs},
    sampler::Sampler,
};
use aya::maps::{Array, MapData, PerCpuArray, RingBuf};
use nix::sched::{CloneFlags, setns};
use std::{
    collections::BTreeMap,
    fs::{self, File},
    io,
    os::unix::fs::MetadataExt as _,
    path::{Path, PathBuf},
};
use tracer_abi::LookWanted;
use tracer_model::{
    decode,
    ids::BootNs,
    input::{Body, Input, LossCause, Lost, Reason, Sock},
};

/// Room for the lists of the file tables of io_urings, and for what waits in queues, which come as records.
const RING_BYTES: u32 = 4 << 20;
/// How long the connections of one network namespace may take.
const NAMESPACE_NS: u64 = 1_000_000_000;
/// Network namespaces that are looked through.
const NAMESPACES: usize = 256;

/// The iterators, loaded.
pub struct Glance {
    programs: Programs,
    ring: RingBuf<MapData>,
    health: Health,
    /// Records that had no room when the tables were read last.
    without_room: u64,
    wanted: Array<MapData, PodOf<LookWanted>>,
}

/// Connections of TCP as the kernel has them, in every network namespace that could be entered.
#[derive(Debug, Default)]
pub struct Connections {
    /// They, held or not, without those that wait for the end of a handshake.
    pub found: Vec<Sock>,
    /// Namespaces (inode numbers) that could not be looked through, and why.
    pub missed: Vec<(u64, String)>,
}

impl Glance {
    /// Loads the iterators.
    pub fn new(selection: &Selection) -> Result<Self, AttachError> {
        let settings =
            Settings { selection: selection.clone(), ring_bytes: RING_BYTES, ..Settings::default() };
        let mut programs = programs::iterators(&settings)?;
        let refused = |cause: aya::maps::MapError| AttachError::Kernel {
            what: "open a map".to_owned(),
            cause: cause.to_string(),
        };
        let ring = RingBuf::try_from(programs.take_map("EVENTS")?).map_err(refused)?;
        let wanted = Array::try_from(programs.take_map("LOOK_WANTED")?).map_err(refused)?;
        let counters = PerCpuArray::try_from(programs.take_map("COUNTERS")?).map_err(refused)?;
        Ok(Self { programs, ring, health: Health::new(counters), without_room: 0, wanted })
    }

    /// Every table of the selected processes: inputs in order, as a session takes them.
    pub fn tables(&mut self) -> Result<Vec<Input>, CaptureError> {
        let began = boot_now();
        let note = |ts, body| Input { ts, origin: None, late: false, body };
        let mut found = Vec::new();
        let mut whole = rows(run_of_snapshot(&mut self.programs)?, |input| found.push(input))?;
        whole &= self.records(&mut found);
        // The snapshot has found the listeners.
        let sample = Sampler::new(false, false).sample(&self.programs, None).map_err(CaptureError::Sample)?;
        let mut queues = Vec::new();
        whole &= self.records(&mut queues);
        queues.push(sample);
        found.sort_by_key(|input| input.ts);
        let ended = found.last().map_or(began, |input| input.ts).max(boot_now());
        let anchor = |ts| note(ts, Body::Anchor { epoch_minus_boot_ns: epoch_minus_boot_ns() });
        let mut inputs = vec![anchor(began), note(began, Body::SnapshotBegin(Reason::Start))];
        inputs.append(&mut found);
        let without_room = self.health.without_room();
        let lost = [
            (u64::from(!whole), LossCause::Malformed),
            (without_room - std::mem::replace(&mut self.without_room, without_room), LossCause::RingFull),
        ];
        for (count, cause) in lost.into_iter().filter(|(count, _)| *count > 0) {
            inputs.push(note(ended, Body::Lost(Lost { count, cause, cpu: None })));
        }
        inputs.push(note(ended, Body::SnapshotEnd(Reason::Start)));
        inputs.append(&mut queues);
        inputs.push(anchor(BootNs(ended.0)));
        Ok(inputs)
    }

    /// Takes the records that are there; whether all could be read.
    fn records(&mut self, found: &mut Vec<Input>) -> bool {
        let numbering = numbering();
        let mut whole = true;
        while let Some(item) = self.ring.next() {
            whole &= decode::record(&item, &numbering, |input| found.push(input)).is_ok();
        }
        whole
    }

    /// Every connection of TCP with that local port. The thread enters each network namespace and comes back to its own,
    /// which is what fails if anything does.
    pub fn connections(&mut self, port: u16) -> io::Result<Connections> {
        let own = File::open(OWN)?;
        let own_ino = own.metadata()?.ino();
        let mut connections = Connections::default();
        for (place, (ino, path)) in namespaces().into_iter().enumerate() {
            if place >= NAMESPACES {
                connections.missed.push((ino, format!("more than {NAMESPACES} namespaces")));
                continue;
            }
            let entered = if ino == own_ino {
                Ok(())
            } else {
                File::open(&path).and_then(|file| Ok(setns(file, CloneFlags::CLONE_NEWNET)?))
            };
            let looked = entered.and_then(|()| self.in_this_namespace(port, &mut connections.found));
            if ino != own_ino {
                setns(&own, CloneFlags::CLONE_NEWNET)?;
            }
            if let Err(cause) = looked {
                connections.missed.push((ino, cause.to_string()));
            }
        }
        Ok(connections)
    }

    fn in_this_namespace(&mut self, port: u16, found: &mut Vec<Sock>) -> io::Result<()> {
        let deadline = boot_now().0 + NAMESPACE_NS;
        let wanted = LookWanted { deadline, port: port.into(), name_len: 0 };
        self.wanted.set(0, PodOf(wanted), 0).map_err(io::Error::other)?;
        look::read_connections(&mut self.programs, found)
    }
}

/// Network namespace of this process.
const OWN: &str = "/proc/self/ns/net";

/// Network namespaces by inode number: of every process, and those that ip-netns(8) keeps without one.
fn namespaces() -> BTreeMap<u64, PathBuf> {
    let mut found = BTreeMap::new();
    let mut add = |path: PathBuf| {
        if let Ok(meta) = fs::metadata(&path) {
            found.entry(meta.ino()).or_insert(path);
        }
    };
    add(OWN.into());
    for entry in fs::read_dir("/proc").into_iter().flatten().flatten() {
        if entry.file_name().as_encoded_bytes().first().is_some_and(u8::is_ascii_digit) {
            add(entry.path().join("ns/net"));
        }
    }
    for entry in fs::read_dir(Path::new("/run/netns")).into_iter().flatten().flatten() {
        add(entry.path());
    }
    found
}
