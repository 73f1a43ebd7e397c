//! Records as the kernel lays them out, byte by byte.

use super::{DecodeError, in_flight, record, row};
use crate::{
    address::Address,
    event::{AppProtocol, Spoken},
    ids::ProcessKey,
    input::{Body, Input, State},
    syscall::{Numbering, Syscall},
};
use core::net::SocketAddrV4;
use proptest::prelude::*;
use tracer_abi::{Field, InFlight};

/// Numbers as x86-64 has them (arch/x86/entry/syscalls/syscall_64.tbl).
fn numbering() -> Numbering {
    Numbering::new([(3, Syscall::Close), (42, Syscall::Connect), (43, Syscall::Accept)])
}

/// A `Call` record of `close(9)` as the kernel lays it out, written byte by byte.
fn close_of_nine() -> Vec<u8> {
    let mut bytes = Vec::new();
    bytes.extend(1_u16.to_ne_bytes());
    bytes.extend(312_u16.to_ne_bytes());
    bytes.extend(1_u32.to_ne_bytes());
    bytes.extend(77_u64.to_ne_bytes());
    bytes.extend(5_000_u64.to_ne_bytes());
    bytes.extend(812_u32.to_ne_bytes());
    bytes.extend(813_u32.to_ne_bytes());
    bytes.extend(4_000_u64.to_ne_bytes());
    bytes.extend(0xffff_8000_u64.to_ne_bytes());
    bytes.extend(4_900_u64.to_ne_bytes());
    bytes.extend(0_i64.to_ne_bytes());
    for arg in [9_u32, 0, 0, 0] {
        bytes.extend(arg.to_ne_bytes());
    }
    bytes.extend(3_u32.to_ne_bytes());
    bytes.extend(8_u32.to_ne_bytes());
    for (fd, flags) in [(9_i32, 3_u32), (-1, 0)] {
        bytes.extend(fd.to_ne_bytes());
        bytes.extend(flags.to_ne_bytes());
        bytes.extend(0xaaaa_u64.to_ne_bytes());
        bytes.extend(1234_u64.to_ne_bytes());
        bytes.extend(8_u32.to_ne_bytes());
        bytes.extend(0o140_777_u32.to_ne_bytes());
        bytes.extend([0_u8; 24]);
    }
    bytes
}

/// What a record tells.
fn told(bytes: &[u8]) -> Result<Vec<Input>, DecodeError> {
    let mut inputs = Vec::new();
    record(bytes, &numbering(), |input| inputs.push(input))?;
    Ok(inputs)
}

#[test]
fn a_close_reads_as_it_was_written() {
    let [input] = told(&close_of_nine()).unwrap().try_into().unwrap();
    assert_eq!(input.ts.0, 5_000);
    assert_eq!(input.origin.map(|origin| (origin.cpu, origin.cpu_seq)), Some((1, 77)));
    let Body::Call(call) = input.body else { panic!("not a call") };
    assert_eq!(call.call, Syscall::Close);
    assert_eq!(call.task.process, ProcessKey { pid: 812, start_ns: 4_000 });
    assert_eq!(call.task.tid, 813);
    assert_eq!(call.enter.map(|enter| enter.0), Some(4_900));
    assert_eq!(call.ret, Some(0));
    let subject = call.subject.unwrap();
    assert_eq!((subject.fd, subject.cloexec), (9, true));
    assert_eq!(subject.file.map(|file| (file.file, file.ino)), Some((0xaaaa, 1234)));
    assert!(call.results.is_empty());
}

/// The same close as it changes the state of its socket: a `CallStates` record.
fn close_with_states(count: u32) -> Vec<u8> {
    let mut bytes = close_of_nine();
    bytes[0] = 6;
    bytes.extend(0xbbbb_u64.to_ne_bytes());
    bytes.extend(4_026_531_840_u32.to_ne_bytes());
    for word in [2_u16, 1, 6, 80, 51_234, 1] {
        bytes.extend(word.to_ne_bytes());
    }
    for address in [[127, 0, 0, 1], [127, 0, 0, 2]] {
        bytes.extend(address);
        bytes.extend([0; 12]);
    }
    bytes.extend([0; 16]);
    bytes.extend(count.to_ne_bytes());
    bytes.extend([0; 4]);
    for (ts, error, from, to) in
        [(4_910_u64, 0_u32, 1_u16, 4_u16), (4_920, 104, 4, 7), (9, 9, 9, 9), (9, 9, 9, 9)]
    {
        bytes.extend(ts.to_ne_bytes());
        bytes.extend(error.to_ne_bytes());
        bytes.extend(from.to_ne_bytes());
        bytes.extend(to.to_ne_bytes());
    }
    bytes.extend(counters());
    bytes
}

/// Counters of a connection: 1,001 bytes acknowledged, 7 received, a round trip of 24 microseconds, one segment sent again.
fn counters() -> Vec<u8> {
    let mut bytes = [1_001_u64, 7].map(u64::to_ne_bytes).concat();
    bytes.extend([192_u32, 1].map(u32::to_ne_bytes).concat());
    bytes
}

#[test]
fn changes_of_state_come_before_the_call_that_made_them() {
    let [first, second, close] = told(&close_with_states(2)).unwrap().try_into().unwrap();
    let mut seen = Vec::new();
    for input in [first, second] {
        assert_eq!(input.origin.map(|origin| (origin.cpu, origin.cpu_seq)), Some((1, 77)));
        let Body::State(state) = input.body else { panic!("not a state") };
        assert_eq!((state.task.process.pid, state.task.tid), (812, 813));
        assert_eq!(state.sock.local, "127.0.0.1:80".parse::<SocketAddrV4>().map(inet).unwrap());
        assert_eq!(state.sock.peer, "127.0.0.2:51234".parse::<SocketAddrV4>().map(inet).unwrap());
        let counted = state.tcp.map(|tcp| (tcp.acked, tcp.received, tcp.rtt_us, tcp.retransmits));
        seen.push((input.ts.0, state.from, state.to, state.error, state.sock.state, counted));
    }
    let end = Some((1_001, 7, 24, 1));
    assert_eq!(seen, [(4_910, 1, 4, 0, 4, None), (4_920, 4, 7, 104, 7, end)]);
    let Body::Call(call) = close.body else { panic!("not a call") };
    assert_eq!((close.ts.0, call.call), (5_000, Syscall::Close));
    assert_eq!(call.socks.iter().map(|sock| (sock.sk, sock.state)).collect::<Vec<_>>(), [(0xbbbb, 7)]);
}

#[test]
fn a_change_that_waited_comes_before_the_one_it_waited_for() {
    let mut bytes = close_with_states(0)[..48].to_vec();
    bytes[0] = 32;
    for word in [104_u16, 0, 5, 7] {
        bytes.extend(word.to_ne_bytes());
    }
    bytes.extend(&close_with_states(0)[200..272]);
    bytes.extend(4_990_u64.to_ne_bytes());
    for word in [0_u16, 0, 4, 5] {
        bytes.extend(word.to_ne_bytes());
    }
    bytes.extend(counters());
    let seen = |bytes: &[u8]| -> Vec<(u64, u16, u16, u32, u16)> {
        let one = |input: Input| match input.body {
            Body::State(State { from, to, error, sock, .. }) => (input.ts.0, from, to, error, sock.state),
            other => panic!("{other:?}"),
        };
        told(bytes).unwrap().into_iter().map(one).collect()
    };
    assert_eq!(seen(&bytes), [(4_990, 4, 5, 0, 5), (5_000, 5, 7, 104, 7)]);
    let at = bytes.len() - 40;
    bytes[at..at + 16].fill(0);
    assert_eq!(seen(&bytes), [(5_000, 5, 7, 104, 7)], "none waited");
}

/// A record of kind 37, its socket as in the record of a close.
fn spoken(protocol: u32, flags: u32, name: &[u8]) -> Vec<u8> {
    let mut bytes = close_with_states(0)[..48].to_vec();
    bytes[0] = 37;
    bytes.extend(&close_with_states(0)[200..272]);
    bytes.extend(9_i32.to_ne_bytes());
    for word in [protocol, flags, u32::try_from(name.len()).unwrap()] {
        bytes.extend(word.to_ne_bytes());
    }
    bytes.extend(name);
    bytes.resize(48 + 72 + 16 + 64, 0);
    bytes
}

#[test]
fn a_servers_name_is_shown_if_it_is_a_hosts() {
    let seen = |bytes: &[u8]| match told(bytes).unwrap().remove(0).body {
        Body::Spoken(heard) => (heard.fd, heard.spoken),
        other => panic!("{other:?}"),
    };
    let tls = |sni: Option<&str>, sni_cut| Spoken {
        protocol: AppProtocol::Tls,
        inferred: false,
        sni: sni.map(str::to_owned),
        sni_cut,
    };
    assert_eq!(seen(&spoken(4, 0, b"a-1.example.org")), (9, tls(Some("a-1.example.org"), false)));
    assert_eq!(seen(&spoken(4, 2, b"a-1.exam")), (9, tls(Some("a-1.exam"), true)));
    for name in [&b""[..], b"a b", b"\x1b[31m", b"caf\xc3\xa9", b"\xff", b"a\0b"] {
        assert_eq!(seen(&spoken(4, 2, name)), (9, tls(None, false)), "{name:?}");
    }
    let switched = Spoken { protocol: AppProtocol::Websocket, inferred: true, ..tls(None, false) };
    assert_eq!(seen(&spoken(3, 1, b"")), (9, switched));
    assert_eq!(seen(&spoken(u32::MAX, 0, b"")).1.protocol, AppProtocol::Unknown);
    assert_eq!(told(&spoken(4, 0, b"a")[..190]), Err(DecodeError::Short));
}

fn inet(address: SocketAddrV4) -> Address {
    Address::Inet(*address.ip(), address.port())
}

#[test]
fn more_changes_than_a_record_holds_are_those_it_holds() {
    assert_eq!(told(&close_with_states(u32::MAX)).map(|inputs| inputs.len()), Ok(5));
    assert_eq!(told(&close_with_states(0)).map(|inputs| inputs.len()), Ok(1));
    let mut short = close_with_states(2);
    short.pop();
    assert_eq!(told(&short), Err(DecodeError::Short));
}

#[test]
fn unknown_kinds_and_calls_are_named() {
    let mut bytes = close_of_nine();
    bytes[0] = 99;
    assert_eq!(told(&bytes), Err(DecodeError::UnknownKind(99)));
    let mut bytes = close_of_nine();
    bytes[80] = 200;
    assert_eq!(told(&bytes), Err(DecodeError::UnknownCall(200)));
    assert_eq!(told(&bytes[..40]), Err(DecodeError::Short));
}

proptest! {
    #[test]
    fn any_bytes_decode_without_a_panic(mut bytes in proptest::collection::vec(any::<u8>(), 0..1500), kind in 0_u8..80) {
        if let Some(first) = bytes.first_mut() {
            *first = kind;
        }
        if let Some(second) = bytes.get_mut(1) {
            *second = 0;
        }
        let _ = told(&bytes);
        let _ = row(&bytes);
        if let Some(flight) = InFlight::read(&bytes) {
            let _ = in_flight(&flight, None, &numbering());
        }
    }
}

/// A `Cgroup` record as the kernel lays it out.
fn cgroup(names: &[u8], cut: u32) -> Vec<u8> {
    let mut bytes = Vec::new();
    bytes.extend(21_u16.to_ne_bytes());
    bytes.extend(2120_u16.to_ne_bytes());
    bytes.extend([0_u8; 4]);
    bytes.extend(u64::MAX.to_ne_bytes());
    bytes.extend(5_000_u64.to_ne_bytes());
    bytes.extend([0_u8; 24]);
    bytes.extend(7_u64.to_ne_bytes());
    bytes.extend(u32::try_from(names.len()).unwrap().to_ne_bytes());
    bytes.extend(cut.to_ne_bytes());
    bytes.extend(names);
    bytes.resize(2120, 0);
    bytes
}

#[test]
fn a_control_group_is_named_from_the_root_on() {
    for (names, cut, path) in [
        (&b"nginx.service\0system.slice\0"[..], 0, &b"/system.slice/nginx.service"[..]),
        (b"", 0, b"/"),
        (b"leaf\0deep\0", 1, b".../deep/leaf"),
        // The kernel does not send that.
        (b"\0\0", 0, b"/"),
    ] {
        let [input] = told(&cgroup(names, cut)).unwrap().try_into().unwrap();
        let expected = Body::Cgroup(crate::input::Cgroup { id: 7, path: path.to_vec() });
        assert_eq!((input.origin, input.body), (None, expected));
    }
}
