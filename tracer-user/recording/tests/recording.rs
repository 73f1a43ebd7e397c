//! Recordings as others see them: what is written is read, and what is cut, damaged, foreign or hostile is told.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use mcap::{Compression, WriteOptions, records::MessageHeader, write::Metadata};
use proptest::prelude::*;
use std::{
    collections::BTreeMap,
    fs,
    io::Cursor,
    net::Ipv4Addr,
    os::unix::fs::{PermissionsExt, symlink},
    path::Path,
};
use tracer_model::{
    address::Address,
    ids::{BootNs, ProcessKey},
    input::{Body, Call, Input, LossCause, Lost, Options, Origin, Place, Reason, Row, Slot, Sock, Task},
    syscall::Syscall,
};
use tracer_recording::{FORMAT_VERSION, Head, NewFile, Reader, RecordingError, Writer};

const EPOCH_MINUS_BOOT_NS: i64 = 1_795_348_800_000_000_000;

fn head() -> Head {
    Head {
        program: "1.2.3".to_owned(),
        session: "s".to_owned(),
        selection: "pid 812".to_owned(),
        attached: vec!["system calls".to_owned(), "state changes".to_owned()],
        kernel: "6.18.44".to_owned(),
        ..Head::default()
    }
}

fn call(n: u64) -> Body {
    let process = ProcessKey { pid: 812, start_ns: 5_119_676_157_000 };
    Body::Call(Box::new(Call {
        task: Task { process, tid: 813, files: 0xffff_8880_0000_0000 + n },
        call: Syscall::Accept4,
        enter: Some(BootNs(n)),
        ret: Some(-11),
        args: [6, 0, 0, 0x800],
        subject: Some(Slot {
            fd: 6,
            file: None,
            cloexec: true,
            nonblock: true,
            name: b"[eventpoll]".to_vec(),
        }),
        results: Vec::new(),
        socks: vec![Sock {
            sk: n,
            netns: 4_026_531_840,
            family: 2,
            ty: 1,
            protocol: 6,
            state: 1,
            local: Address::Inet(Ipv4Addr::LOCALHOST, 80),
            peer: Address::Unix(b"\0name".to_vec()),
            queue_len: 1,
            queue_limit: 511,
            peer_sk: 0,
            options: Options { linger_s: Some(5), ..Options::default() },
        }],
        listener: Some(7),
        queued: None,
        queue: Some((0, 511)),
        sleeps: None,
        asked: None,
        asked_value: Some(-1),
        path: None,
        request: None,
    }))
}

fn inputs(count: u64) -> Vec<Input> {
    let mut inputs = vec![
        Input {
            ts: BootNs(0),
            origin: None,
            late: false,
            body: Body::Anchor { epoch_minus_boot_ns: EPOCH_MINUS_BOOT_NS },
        },
        Input { ts: BootNs(1), origin: None, late: false, body: Body::SnapshotBegin(Reason::Start) },
        Input {
            ts: BootNs(2),
            origin: None,
            late: false,
            body: Body::Row(Box::new(Row {
                process: ProcessKey { pid: 1, start_ns: 2 },
                parent: 0,
                files: 3,
                comm: b"a\x1b[31m".to_vec(),
                fd_limit: 1024,
                place: Place::default(),
                slot: Slot { fd: 0, file: None, cloexec: false, nonblock: false, name: vec![b'x'; 300] },
                sock: None,
                open_flags: 2,
                tcp: None,
                unread: 0,
            })),
        },
        Input {
            ts: BootNs(3),
            origin: None,
            late: true,
            body: Body::Lost(Lost { count: 9, cause: LossCause::RingFull, cpu: Some(1) }),
        },
    ];
    inputs.extend((0..count).map(|n| Input {
        ts: BootNs(10 + n),
        origin: Some(Origin { cpu: 1, cpu_seq: n }),
        late: false,
        body: call(n),
    }));
    inputs
}

/// Writes a recording with a chunk for every `per_chunk` inputs.
fn record(path: &Path, inputs: &[Input], per_chunk: usize) {
    let mut writer = Writer::begin(NewFile::create(path).unwrap(), &head()).unwrap();
    for part in inputs.chunks(per_chunk) {
        for input in part {
            writer.write(input).unwrap();
        }
        writer.flush().unwrap();
    }
    assert_eq!(writer.finish().unwrap(), inputs.len() as u64);
}

/// The bytes of a recording.
fn recorded(inputs: &[Input], per_chunk: usize) -> Vec<u8> {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("r");
    record(&path, inputs, per_chunk);
    fs::read(path).unwrap()
}

fn read(bytes: &[u8]) -> (Vec<Input>, Option<RecordingError>) {
    let reader = match Reader::new(Path::new("r"), Cursor::new(bytes)) {
        Ok(reader) => reader,
        Err(error) => return (Vec::new(), Some(error)),
    };
    let mut inputs = Vec::new();
    for item in reader {
        match item {
            Ok(input) => inputs.push(input),
            Err(error) => return (inputs, Some(error)),
        }
    }
    (inputs, None)
}

/// The version of the format that is written.
fn current() -> String {
    FORMAT_VERSION.to_string()
}

/// An MCAP file of the shape of a recording, with the given head and payloads.
fn container(profile: &str, fields: &[(&str, &str)], payloads: &[&[u8]], compressed: bool) -> Vec<u8> {
    let mut bytes = Cursor::new(Vec::new());
    let mut writer = WriteOptions::new()
        .profile(profile)
        .compression(compressed.then_some(Compression::Lz4))
        .create(&mut bytes)
        .unwrap();
    let metadata = fields.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect();
    writer.write_metadata(&Metadata { name: "sockreel".to_owned(), metadata }).unwrap();
    let channel_id = writer.add_channel(0, "inputs", "postcard", &BTreeMap::new()).unwrap();
    for payload in payloads {
        let header = MessageHeader { channel_id, sequence: 0, log_time: 0, publish_time: 0 };
        writer.write_to_known_channel(&header, payload).unwrap();
    }
    writer.finish().unwrap();
    drop(writer);
    bytes.into_inner()
}

#[test]
fn what_is_written_is_read() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("r.mcap");
    // Enough for several chunks by size, closed by the writer itself.
    let inputs = inputs(10_000);
    record(&path, &inputs, usize::MAX);
    let reader = Reader::open(&path).unwrap();
    assert_eq!(reader.head(), &head());
    let read: Vec<Input> = reader.map(Result::unwrap).collect();
    assert!(read == inputs, "{} inputs read, {} written", read.len(), inputs.len());
}

#[test]
fn messages_carry_the_time_of_day() {
    let bytes = recorded(&inputs(1), 10);
    let times: Vec<u64> =
        mcap::MessageStream::new(&bytes).unwrap().map(|message| message.unwrap().log_time).collect();
    let epoch = EPOCH_MINUS_BOOT_NS.unsigned_abs();
    assert_eq!(times, [epoch, epoch + 1, epoch + 2, epoch + 3, epoch + 10]);
}

#[test]
fn every_truncation_gives_the_whole_chunks_before_it() {
    let inputs = inputs(8);
    let bytes = recorded(&inputs, 3);
    let mut seen = std::collections::BTreeSet::new();
    for len in 0..bytes.len() {
        let (read, error) = read(&bytes[..len]);
        assert_eq!(read, inputs[..read.len()], "cut at {len}");
        assert_eq!(read.len() % 3, 0, "cut at {len}: half a chunk");
        match error {
            Some(RecordingError::Foreign { .. }) => assert!(len < mcap::MAGIC.len(), "cut at {len}"),
            Some(RecordingError::Truncated { inputs, .. }) => assert_eq!(inputs, read.len() as u64),
            other => panic!("cut at {len}: {other:?}"),
        }
        seen.insert(read.len());
    }
    assert_eq!(seen.into_iter().collect::<Vec<_>>(), [0, 3, 6, 9, 12]);
}

#[test]
fn what_was_flushed_outlives_a_writer_that_never_finishes() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("r");
    let inputs = inputs(3);
    let mut writer = Writer::begin(NewFile::create(&path).unwrap(), &head()).unwrap();
    for input in &inputs[..5] {
        writer.write(input).unwrap();
    }
    writer.flush().unwrap();
    writer.write(&inputs[5]).unwrap();
    // As after kill -9: what the file holds now is all there is.
    let (read, error) = read(&fs::read(&path).unwrap());
    assert_eq!(read, inputs[..5]);
    assert!(matches!(error, Some(RecordingError::Truncated { inputs: 5, .. })), "{error:?}");
}

#[test]
fn quiet_seconds_cost_no_chunk() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("r");
    let mut writer = Writer::begin(NewFile::create(&path).unwrap(), &head()).unwrap();
    let size = || fs::metadata(&path).unwrap().len();
    let empty = size();
    for _ in 0..100 {
        writer.write(&inputs(0)[0]).unwrap();
        writer.flush().unwrap();
    }
    assert_eq!(size(), empty);
    writer.write(&inputs(0)[1]).unwrap();
    writer.flush().unwrap();
    assert!(size() > empty);
}

#[test]
fn a_flipped_byte_is_never_taken_for_truth() {
    let inputs = inputs(4);
    let bytes = recorded(&inputs, 3);
    for place in 0..bytes.len() {
        for mask in [0x01, 0x80, 0xff] {
            let mut damaged = bytes.clone();
            damaged[place] ^= mask;
            let (read, error) = read(&damaged);
            assert!(error.is_some() || read == inputs, "byte {place} ^ {mask:#x} changed what was read");
        }
    }
}

#[test]
fn other_files_are_told_apart() {
    for foreign in [
        &b""[..],
        b"\x89MCAP",
        b"#!/bin/sh\necho hello, this is not a recording\n",
        &container("ros2", &[("format", &current())], &[], true),
    ] {
        let (_, error) = read(foreign);
        assert!(matches!(error, Some(RecordingError::Foreign { .. })), "{error:?}");
    }
    for version in [FORMAT_VERSION - 1, FORMAT_VERSION + 1].map(|version| version.to_string()) {
        let (_, error) = read(&container("sockreel", &[("format", &version)], &[b"another input"], true));
        let text = format!(
            "r is a recording of format version {version}, this sockreel reads version {FORMAT_VERSION}: use a sockreel \
             like the one that wrote it"
        );
        assert_eq!(error.map(|error| error.to_string()), Some(text));
    }
    let (_, error) = read(&container("sockreel", &[], &[], true));
    assert!(matches!(error, Some(RecordingError::Damaged { .. })), "{error:?}");
}

#[test]
fn bytes_after_the_end_are_damage() {
    let inputs = inputs(0);
    let mut bytes = recorded(&inputs, 9);
    bytes.extend(b"more");
    let (read, error) = read(&bytes);
    assert_eq!(read, inputs);
    assert!(matches!(error, Some(RecordingError::Damaged { inputs: 4, .. })), "{error:?}");
}

#[test]
fn lengths_that_lie_allocate_nothing() {
    let bytes = recorded(&inputs(0), 9);
    // The head of a chunk record right after the magic and the two records before: opcode 6, then its length.
    for len in [u64::MAX, 1 << 40, (16 << 20) + 1] {
        let mut lying = mcap::MAGIC.to_vec();
        lying.push(6);
        lying.extend(len.to_le_bytes());
        lying.extend(&bytes);
        let (_, error) = read(&lying);
        assert!(error.is_some());
    }
    let huge = postcard_with_length(u64::MAX);
    let (read, error) = read(&container("sockreel", &[("format", &current())], &[&huge], true));
    assert_eq!(read, []);
    assert!(matches!(error, Some(RecordingError::Damaged { inputs: 0, .. })), "{error:?}");
}

/// An exec input whose name claims to have `len` bytes.
fn postcard_with_length(len: u64) -> Vec<u8> {
    // ts, no origin, not late, Body::Row, its process (pid, start), parent, files; then the length of `comm`.
    let mut bytes = vec![0, 0, 0, 8, 1, 1, 0, 0];
    let mut rest = len;
    while rest >= 0x80 {
        bytes.push(u8::try_from(rest & 0x7f).unwrap() | 0x80);
        rest >>= 7;
    }
    bytes.push(u8::try_from(rest).unwrap());
    bytes
}

#[test]
fn an_uncompressed_chunk_is_not_ours() {
    let (read, error) = read(&container("sockreel", &[("format", &current())], &[b"x"], false));
    assert_eq!(read, []);
    assert!(matches!(error, Some(RecordingError::Damaged { .. })), "{error:?}");
}

#[test]
fn files_are_for_their_owner_and_links_are_refused() {
    let dir = tempfile::tempdir().unwrap();
    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o7777;
    let fresh = dir.path().join("fresh");
    NewFile::create(&fresh).unwrap();
    assert_eq!(mode(&fresh), 0o600);

    let old = dir.path().join("old");
    fs::write(&old, "old content").unwrap();
    fs::set_permissions(&old, fs::Permissions::from_mode(0o644)).unwrap();
    NewFile::create(&old).unwrap();
    assert_eq!((mode(&old), fs::read(&old).unwrap()), (0o600, Vec::new()));

    let (target, link) = (dir.path().join("target"), dir.path().join("link"));
    fs::write(&target, "precious").unwrap();
    symlink(&target, &link).unwrap();
    let error = NewFile::create(&link).unwrap_err();
    assert!(matches!(error, RecordingError::NotRegular { what: "a symbolic link", .. }), "{error:?}");
    assert_eq!(fs::read(&target).unwrap(), b"precious");

    let error = NewFile::create(Path::new("/dev/null")).unwrap_err();
    assert!(matches!(error, RecordingError::NotRegular { what: "a device", .. }), "{error:?}");
    let error = NewFile::create(&dir.path().join("no/such/dir")).unwrap_err();
    assert!(matches!(error, RecordingError::Create { .. }), "{error:?}");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn arbitrary_bytes_never_panic(
        bytes in prop::collection::vec(any::<u8>(), 0..2048),
        payload in prop::collection::vec(any::<u8>(), 0..256),
    ) {
        let _ = read(&bytes);
        let after_magic: Vec<u8> = mcap::MAGIC.iter().chain(&bytes).copied().collect();
        let _ = read(&after_magic);
        let _ = read(&container("sockreel", &[("format", &current())], &[&payload], true));
    }

    #[test]
    fn spliced_recordings_never_panic(
        cut in any::<prop::sample::Index>(),
        dropped in 0usize..64,
        put in prop::collection::vec(any::<u8>(), 0..64),
    ) {
        let bytes = recorded(&inputs(2), 3);
        let cut = cut.index(bytes.len());
        let mut spliced = bytes[..cut].to_vec();
        spliced.extend(&put);
        spliced.extend(&bytes[(cut + dropped).min(bytes.len())..]);
        let _ = read(&spliced);
    }
}
