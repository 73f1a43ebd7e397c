//! This machine's numbers of the traced system calls.

use tracer_model::syscall::{Numbering, Syscall};

/// The table; a call that this architecture does not have is left out.
pub(crate) fn numbering() -> Numbering {
    Numbering::new(Syscall::ALL.iter().filter_map(|call| {
        let number = call.name().parse::<syscalls::Sysno>().ok()?.id();
        Some((u32::try_from(number).ok()?, *call))
    }))
}
