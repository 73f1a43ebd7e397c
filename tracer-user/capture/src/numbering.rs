//! This machine's numbers of the traced system calls.

use tracer_model::syscall::{Numbering, Syscall};

/// The table; a call that this architecture does not have is left out.
pub(crate) fn numbering() -> Numbering {
    Numbering::new(Syscall::ALL.iter().filter_map(|call| {
        let number = call.name().parse::<syscalls::Sysno>().ok()?.id();
        Some((u32::try_from(number).ok()?, *call))
    }))
    .with_names(|number| syscalls::Sysno::new(number.try_into().ok()?).map(|call| call.name()))
}

#[cfg(test)]
mod tests {
    use super::numbering;
    use tracer_model::syscall::Syscall;

    /// Numbers as x86-64 has them (arch/x86/entry/syscalls/syscall_64.tbl).
    #[test]
    #[cfg(target_arch = "x86_64")]
    fn calls_have_this_machines_numbers() {
        let numbering = numbering();
        for (number, call) in [
            (3, Syscall::Close),
            (41, Syscall::Socket),
            (47, Syscall::Recvmsg),
            (288, Syscall::Accept4),
            (436, Syscall::CloseRange),
        ] {
            assert_eq!(numbering.call(number), Some(call));
        }
        assert_eq!(numbering.call(110), None, "getppid is not traced");
        let operations = (0..256).filter_map(Syscall::operation).count();
        assert_eq!(numbering.iter().count(), Syscall::ALL.len() - operations, "a call has no number here");
    }
}
