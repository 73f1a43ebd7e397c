//! What a look at the machine found.

use super::{
    DecodeError, read,
    sockets::{name_unix, sock},
    until_zero,
};
use crate::{
    ids::ProcessKey,
    input::{HeldSock, Sock},
};
use tracer_abi::{Field, LookFound};

/// A socket that a look found, with its holder or without one, and how many bytes it took.
pub fn look_found(bytes: &[u8]) -> Result<(Result<HeldSock, Sock>, usize), DecodeError> {
    let record: LookFound = read(bytes)?;
    let mut sock = sock(&record.sock).ok_or(DecodeError::Short)?;
    name_unix(&mut sock, &record.local, &tracer_abi::UnixName { len: 0, ..record.local });
    let found = if record.pid == 0 {
        Err(sock)
    } else {
        Ok(HeldSock {
            process: ProcessKey { pid: record.pid, start_ns: record.start },
            comm: until_zero(&record.comm),
            fd: record.fd,
            ino: record.ino,
            sock,
        })
    };
    Ok((found, LookFound::SIZE))
}
