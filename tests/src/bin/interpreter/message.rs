//! Messages that pass descriptors.

/// Control data with `SCM_RIGHTS` (cmsg(3), unix(7)).
#[repr(C)]
#[derive(Clone, Copy)]
pub(crate) struct Control {
    pub(crate) len: usize,
    level: i32,
    kind: i32,
    pub(crate) fds: [i32; 16],
}

impl Control {
    pub(crate) fn new() -> Self {
        Self { len: 0, level: libc::SOL_SOCKET, kind: libc::SCM_RIGHTS, fds: [-1; 16] }
    }

    pub(crate) fn is_rights(&self) -> bool {
        self.level == libc::SOL_SOCKET && self.kind == libc::SCM_RIGHTS
    }
}

pub(crate) const NO_VECTOR: libc::iovec = libc::iovec { iov_base: core::ptr::null_mut(), iov_len: 0 };

/// A message of one byte with so much of the control data.
pub(crate) fn message(
    data: &mut [u8; 1],
    vector: &mut libc::iovec,
    control: &mut Control,
    control_len: usize,
) -> libc::msghdr {
    *vector = libc::iovec { iov_base: data.as_mut_ptr().cast(), iov_len: 1 };
    // SAFETY: all zeros are a `struct msghdr`.
    let mut message: libc::msghdr = unsafe { core::mem::zeroed() };
    (message.msg_iov, message.msg_iovlen) = (vector, 1);
    if control_len > 0 {
        (message.msg_control, message.msg_controllen) = ((&raw mut *control).cast(), control_len);
    }
    message
}
