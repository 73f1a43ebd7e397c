//! Stacks of calls that made descriptors.

use crate::{ids::StackId, input::Made, session::Session};
use foldhash::HashMap;
use serde::{Deserialize, Serialize};

/// Different stacks that are kept; those beyond are not told.
pub const STACKS: usize = 16_384;

/// The stack of a call in the caller's own program.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Stack {
    /// The innermost first: mostly the C library's function that makes the call.
    pub frames: Vec<Frame>,
    /// Why it has no more; `None`: it is whole.
    pub cut: Option<Cut>,
}

/// A place in a program.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Frame {
    /// Path of the mapped file (proc_pid_maps(5)); `None` for memory that is no file's, such as compiled code, and where the
    /// mappings could not be read.
    pub file: Option<Vec<u8>>,
    /// Place in the file; without one the address.
    pub offset: u64,
    /// The function, where the file has a symbol for it, and the place in it.
    pub symbol: Option<(String, u64)>,
}

/// Why a stack ends before its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Cut {
    /// The function of its last frame keeps no frame pointer, as its file's own tables say (`.eh_frame`): its caller is unknown.
    NoFramePointer,
    /// It goes on behind what was kept of it.
    Long,
    /// The process's mappings could not be read; it had ended, for one. Frames are addresses, and how many there should be is
    /// unknown.
    Unread,
}

impl Cut {
    /// Name in the contract.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::NoFramePointer => "no_frame_pointer",
            Self::Long => "long",
            Self::Unread => "unread",
        }
    }
}

/// Every stack.
#[derive(Debug, Default)]
pub(crate) struct Stacks {
    kept: HashMap<StackId, Stack>,
}

impl Session {
    /// It is known from where descriptors were made.
    pub(crate) fn made(&mut self, made: &Made) {
        let Made { task, taken, fds, stack, new } = made;
        let kept = &mut self.world.stacks.kept;
        if let Some(new) = new
            && kept.len() < STACKS
        {
            kept.entry(*stack).or_insert_with(|| new.clone());
        }
        let table = self.world.tables.at(task.files);
        let Some(table) = table.or_else(|| self.process(task.process).map(|process| process.table)) else {
            return;
        };
        for fd in fds {
            if let Some(id) = self.world.tables.made_since(table, *fd, *taken) {
                let revisions = &mut self.world.revisions;
                self.world.tables.change(id, revisions, |kept| kept.descriptor.stack = Some(*stack));
            }
        }
    }

    /// A stack.
    #[must_use]
    pub fn stack(&self, id: StackId) -> Option<&Stack> {
        self.world.stacks.kept.get(&id)
    }
}
