//! A recording of a small server, and what went into it.

use std::{net::Ipv4Addr, path::PathBuf};
use tempfile::TempDir;
use tracer_model::{
    address::Address,
    ids::{BootNs, ProcessKey},
    input::{
        Body, Call, FileRef, Input, LossCause, Lost, Options, Origin, Place, Reason, Row, Slot, Sock, Task,
    },
    syscall::Syscall,
};
use tracer_recording::{Head, NewFile, Writer};

pub(crate) const NGINX: ProcessKey = ProcessKey { pid: 812, start_ns: 5_119_676_157_000 };

pub(crate) fn file(number: u64) -> FileRef {
    FileRef { file: 0xffff_8880_0000_0000 + number, ino: 70_000 + number, dev: 8, mode: 0o140_777 }
}

pub(crate) fn sock(number: u64, state: u16, port: u16, peer: u16) -> Sock {
    Sock {
        sk: 0xffff_8881_0000_0000 + number,
        netns: 4_026_531_840,
        family: 2,
        ty: 1,
        protocol: 6,
        state,
        local: Address::Inet(Ipv4Addr::LOCALHOST, port),
        peer: Address::Inet(if peer == 0 { Ipv4Addr::UNSPECIFIED } else { Ipv4Addr::LOCALHOST }, peer),
        queue_len: 0,
        queue_limit: 511,
        peer_sk: 0,
        options: Options::default(),
    }
}

/// A server with a listener that takes `accepts` connections, and a loss.
pub(crate) fn inputs(accepts: u16) -> Vec<Input> {
    let mut inputs = Vec::new();
    let mut push = |ts: u64, origin, body| inputs.push(Input { ts: BootNs(ts), origin, late: false, body });
    push(1_000, None, Body::Anchor { epoch_minus_boot_ns: 1_795_348_800_000_000_000 });
    push(1_001, None, Body::SnapshotBegin(Reason::Start));
    push(
        1_002,
        None,
        Body::Row(Box::new(Row {
            process: NGINX,
            parent: 1,
            files: 0xffff_8882_0000_0000,
            comm: b"nginx".to_vec(),
            fd_limit: 1024,
            place: Place::default(),
            slot: Slot {
                fd: 6,
                file: Some(file(6)),
                cloexec: false,
                nonblock: false,
                name: b"socket:[70006]".to_vec(),
            },
            sock: Some(sock(6, 10, 80, 0)),
            open_flags: 2,
            tcp: None,
            unread: 0,
        })),
    );
    push(1_003, None, Body::SnapshotEnd(Reason::Start));
    for n in 0..accepts {
        let fd = 9 + i32::from(n);
        push(
            10_000 + u64::from(n) * 1_000,
            Some(Origin { cpu: 0, cpu_seq: n.into() }),
            Body::Call(Box::new(Call {
                task: Task { process: NGINX, tid: 812, files: 0xffff_8882_0000_0000 },
                call: Syscall::Accept4,
                enter: Some(BootNs(9_500 + u64::from(n) * 1_000)),
                ret: Some(fd.into()),
                args: [6, 0, 0, 0o4000],
                subject: Some(Slot {
                    fd: 6,
                    file: Some(file(6)),
                    cloexec: false,
                    nonblock: false,
                    name: Vec::new(),
                }),
                results: vec![Slot {
                    fd,
                    file: Some(file(100 + u64::from(n))),
                    cloexec: false,
                    nonblock: false,
                    name: Vec::new(),
                }],
                socks: vec![sock(100 + u64::from(n), 1, 80, 40_000 + n)],
                listener: Some(sock(6, 10, 80, 0).sk),
                queued: Some(BootNs(9_400 + u64::from(n) * 1_000)),
                queue: Some((0, 511)),
                sleeps: None,
                asked: None,
                asked_value: None,
                path: None,
                request: None,
            })),
        );
    }
    push(90_000_000, None, Body::Lost(Lost { count: 3, cause: LossCause::RingFull, cpu: Some(0) }));
    inputs
}

pub(crate) struct Recorded {
    pub(crate) dir: TempDir,
    pub(crate) path: PathBuf,
}

/// Records, with a block for every five inputs.
pub(crate) fn recorded(inputs: &[Input]) -> Recorded {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("r.mcap");
    let mut writer = Writer::begin(NewFile::create(&path).unwrap(), &Head::default()).unwrap();
    for block in inputs.chunks(5) {
        for input in block {
            writer.write(input).unwrap();
        }
        writer.flush().unwrap();
    }
    writer.finish().unwrap();
    Recorded { dir, path }
}
