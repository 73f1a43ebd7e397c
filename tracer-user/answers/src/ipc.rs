//! Same-host communication that has a descriptor: pipes, FIFOs, message queues, event counters, shared memory.

use crate::view::View;
use std::collections::HashMap;
use tracer_model::{
    entity::{Descriptor, Process},
    event::FileKind,
    ids::{DescriptorId, FileId},
};

/// What is communicated through.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Channel {
    /// pipe(7).
    Pipe,
    /// fifo(7).
    Fifo,
    /// mq_overview(7).
    Mqueue,
    /// eventfd(2).
    Eventfd,
    /// Memory: memfd_create(2), or a file below `/dev/shm` (shm_overview(7)).
    SharedMemory,
}

impl Channel {
    /// Name in the contract.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Pipe => "pipe",
            Self::Fifo => "fifo",
            Self::Mqueue => "mqueue",
            Self::Eventfd => "eventfd",
            Self::SharedMemory => "shared_memory",
        }
    }
}

/// The channel that a descriptor leads to.
#[must_use]
pub fn channel(descriptor: &Descriptor) -> Option<Channel> {
    match descriptor.kind {
        FileKind::Pipe => Some(Channel::Pipe),
        FileKind::Fifo => Some(Channel::Fifo),
        FileKind::Mqueue => Some(Channel::Mqueue),
        FileKind::Eventfd => Some(Channel::Eventfd),
        FileKind::Memfd => Some(Channel::SharedMemory),
        FileKind::File if descriptor.name.starts_with(b"/dev/shm/") => Some(Channel::SharedMemory),
        _ => None,
    }
}

/// What is the same for all who share a channel. Anonymous inodes share one inode: there it is the open file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Identity {
    Inode(u32, u64),
    File(FileId),
}

fn identity(descriptor: &Descriptor) -> Identity {
    if descriptor.kind == FileKind::Eventfd {
        Identity::File(descriptor.file)
    } else {
        Identity::Inode(descriptor.dev, descriptor.ino)
    }
}

/// Who has descriptors of which channel at an instant.
#[derive(Debug)]
pub struct Channels<'a> {
    ends: HashMap<Identity, Vec<(&'a Process, &'a Descriptor)>>,
}

impl<'a> Channels<'a> {
    /// Those of a view's instant.
    #[must_use]
    pub fn new(view: &View<'a>) -> Self {
        let mut ends: HashMap<_, Vec<_>> = HashMap::new();
        let open =
            view.session().descriptors().filter(|found| channel(found).is_some() && view.is_open(found));
        for descriptor in open {
            let users = view.users_of(descriptor.table).iter();
            let users = users.filter(|using| {
                let here = using.from <= view.at() && using.left.is_none_or(|left| left > view.at());
                here && view.is_alive(using.process)
            });
            let both = users.map(|using| (using.process, descriptor));
            ends.entry(identity(descriptor)).or_default().extend(both);
        }
        Self { ends }
    }

    /// Everybody else who has a descriptor of the channel, in the order of pid and number.
    #[must_use]
    pub fn others(&self, process: &Process, descriptor: &Descriptor) -> Vec<(&'a Process, &'a Descriptor)> {
        let me = |(other, theirs): &(&Process, &Descriptor)| {
            (other.key, theirs.id) == (process.key, descriptor.id)
        };
        let all = self.ends.get(&identity(descriptor)).into_iter().flatten().copied();
        let mut others: Vec<_> = all.filter(|end| !me(end)).collect();
        others.sort_by_key(|(other, theirs): &(&Process, &Descriptor)| -> (_, _, DescriptorId) {
            (other.key, theirs.fd, theirs.id)
        });
        others
    }
}
