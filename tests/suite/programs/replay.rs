//! What the record says that a table held when a program marked it: the recording, taken through the model once more.

use anyhow::Result;
use std::{
    collections::{BTreeMap, HashMap},
    iter,
    path::Path,
};
use tracer_model::{
    entity::Descriptor,
    ids::TableId,
    session::{Limits, Session},
};
use tracer_recording::Reader;

/// A descriptor as the model has it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Held {
    pub(super) cloexec: bool,
    pub(super) ino: u64,
    /// Major and minor number.
    pub(super) dev: (u32, u32),
    pub(super) kind: &'static str,
}

/// A table: number to descriptor.
pub(super) type Told = BTreeMap<i32, Held>;

/// The tables at a mark.
#[derive(Clone, Debug, Default)]
pub(super) struct Marked {
    /// That of the process.
    pub(super) process: Told,
    /// Every table, where a thread has one of its own.
    pub(super) all: Vec<Told>,
}

/// Every mark's tables, by the mark's path.
pub(super) fn marked(reel: &Path) -> Result<HashMap<String, Marked>> {
    let limits = Limits { kept_events: 0, kept_descriptors: 64, kept_sockets: 64, kept_processes: 64 };
    let mut session = Session::new(limits);
    let mut marks = HashMap::new();
    for input in Reader::open(reel)? {
        let found: Vec<_> = session
            .ingest(&input?)
            .iter()
            .filter_map(|event| {
                let path = String::from_utf8_lossy(event.path.as_deref()?).into_owned();
                path.starts_with("/sockreel/table/").then_some((path, event.process, event.tid))
            })
            .collect();
        for (path, process, _) in found {
            let table = session.process(process).map(|process| process.table);
            // An empty table is one, too.
            let living = session.processes().filter(|process| process.ended.is_none());
            let mut all: BTreeMap<TableId, Told> = living
                .flat_map(|process| iter::once(process.table).chain(process.thread_tables.iter().copied()))
                .map(|table| (table, Told::new()))
                .collect();
            for descriptor in session.descriptors().filter(|descriptor| descriptor.closed.is_none()) {
                all.entry(descriptor.table).or_default().insert(descriptor.fd, held(descriptor));
            }
            let process = table.and_then(|table| all.get(&table)).cloned().unwrap_or_default();
            marks.insert(path, Marked { process, all: all.into_values().collect() });
        }
    }
    Ok(marks)
}

fn held(descriptor: &Descriptor) -> Held {
    Held {
        cloexec: descriptor.cloexec,
        ino: descriptor.ino,
        dev: (descriptor.dev >> 20, descriptor.dev & 0xf_ffff),
        kind: descriptor.kind.name(),
    }
}
