//! What first bytes tell, by the automaton and the very code that the kernel programs run.

use crate::phrases::phrases;
use proptest::prelude::*;
use std::sync::LazyLock;
use tracer_abi::{Peeked, Phrase, Protocol};
use tracer_spoken::{Bytes, CHUNK, Cursor, LOOK, STEPS, VERDICT, begin, hear, hears};

static PHRASES: LazyLock<Vec<Phrase>> = LazyLock::new(phrases);

/// A call's memory, and how many of its bytes were looked at.
struct Call<'a> {
    bytes: &'a [u8],
    reads: u32,
}

impl Bytes for Call<'_> {
    fn chunk(&mut self, at: u64, len: u32) -> Option<[u8; 8]> {
        assert!((1..=CHUNK).contains(&len), "{len} bytes at once");
        let at = usize::try_from(at).unwrap();
        let len = usize::try_from(len).unwrap();
        let from = self.bytes.get(at..at + len).expect("it reads behind the call's bytes");
        self.reads += u32::try_from(len).unwrap();
        let mut chunk = [0; 8];
        chunk[..len].copy_from_slice(from);
        Some(chunk)
    }

    fn next(&self, state: u8, byte: u8) -> u8 {
        PHRASES[usize::from(state)].next[usize::from(byte)]
    }

    fn cut(&self, state: u8) -> u8 {
        PHRASES[usize::from(state)].cut
    }
}

/// What was told of a connection so far.
#[derive(Debug, Default, PartialEq, Eq)]
struct Told {
    protocols: Vec<Protocol>,
    name: Option<String>,
    cut: bool,
    inferred: bool,
    done: bool,
}

/// A connection at the side that accepted it.
struct Connection {
    peeked: Peeked,
    told: Told,
}

impl Connection {
    fn new() -> Self {
        Self { peeked: begin(1, true), told: Told::default() }
    }

    fn call(&mut self, incoming: bool, bytes: &[u8]) {
        if self.told.done || bytes.is_empty() || !hears(&self.peeked, incoming) {
            return;
        }
        let mut call = Call { bytes, reads: 0 };
        let len = u64::try_from(bytes.len()).unwrap();
        let mut cursor = Cursor { at: 0, len, left: LOOK, more: 0 };
        let heard = (0..STEPS).find_map(|_| hear(&mut self.peeked, &mut cursor, &mut call));
        let heard = heard.expect("it comes to an end");
        let name = usize::try_from(heard.named.at).unwrap();
        let name = bytes.get(name..name + usize::try_from(heard.named.len).unwrap()).expect("a name inside");
        let looked = call.reads + heard.named.len;
        assert!(looked <= LOOK, "{looked} bytes were looked at");
        assert_eq!(call.reads, LOOK - cursor.left);
        if !name.is_empty() {
            self.told.name = Some(String::from_utf8_lossy(name).into_owned());
        }
        self.told.cut |= heard.named.cut;
        self.told.inferred |= heard.inferred;
        self.told.protocols.extend(heard.told);
        self.told.done = heard.done;
    }
}

/// What the first bytes tell that come in these calls.
fn told(calls: &[&[u8]]) -> Told {
    let mut connection = Connection::new();
    for bytes in calls {
        connection.call(true, bytes);
    }
    connection.told
}

/// What is told when the bytes come in one call; it must be the same as byte by byte, as long as they are few.
fn protocols(bytes: &[u8]) -> Vec<Protocol> {
    let whole = told(&[bytes]).protocols;
    if bytes.len() <= 64 {
        let each: Vec<_> = bytes.chunks(1).collect();
        assert_eq!(told(&each).protocols, whole, "byte by byte: {bytes:?}");
    }
    whole
}

#[test]
fn there_is_room_for_the_states() {
    assert!(PHRASES.len() < usize::from(VERDICT), "{} states", PHRASES.len());
    for row in PHRASES.iter() {
        for next in row.next.into_iter().chain([row.cut]) {
            assert!(usize::from(next) < PHRASES.len() || next >= VERDICT);
        }
        assert!(row.cut >= VERDICT, "an end that is none");
    }
}

#[test]
fn http_1() {
    let long = format!("GET /{} HTTP/1.1\r\nHost: x\r\n\r\n", "a".repeat(200));
    for request in [
        "GET / HTTP/1.1\r\nHost: localhost\r\n\r\n",
        "GET / HTTP/1.0\r\n\r\n",
        "HEAD /index.html HTTP/1.1\r\n\r\n",
        "POST http://example.org/form HTTP/1.1\r\n\r\n",
        "OPTIONS * HTTP/1.1\r\n\r\n",
        "CONNECT example.org:443 HTTP/1.1\r\n\r\n",
        "PROPFIND /dav HTTP/1.1\r\n\r\n",
        "PATCH /x HTTP/1.1\n",
        &long,
    ] {
        assert_eq!(protocols(request.as_bytes()), [Protocol::HTTP1], "{request}");
    }
}

#[test]
fn what_only_begins_like_http_1_is_unknown() {
    for bytes in [
        "GET key\r\n",
        "GET /\r\n",
        "GET / SPDY/3\r\n",
        "get / HTTP/1.1\r\n",
        "OPTIONS rtsp://example.org/x RTSP/1.0\r\n",
        "GETX / HTTP/1.1\r\n",
        "HTTP/1.1 200 OK\r\n",
        "GET / HTTP/2.0\r\n",
    ] {
        assert_eq!(protocols(bytes.as_bytes()), [Protocol::UNKNOWN], "{bytes}");
    }
}

#[test]
fn http_2_by_its_whole_preface() {
    let preface = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
    assert_eq!(protocols(preface), [Protocol::HTTP2]);
    assert_eq!(told(&[&preface[..10]]).protocols, []);
    assert_eq!(protocols(b"PRI * HTTP/2.0\r\n\r\nXX\r\n\r\n"), [Protocol::UNKNOWN]);
}

#[test]
fn redis_by_an_array_of_bulk_strings() {
    assert_eq!(protocols(b"*1\r\n$4\r\nPING\r\n"), [Protocol::REDIS]);
    assert_eq!(protocols(b"*12\r\n$3\r\nSET\r\n"), [Protocol::REDIS]);
    for bytes in [&b"PING\r\n"[..], b"*x\r\n", b"*1\r\n:1\r\n", b"+OK\r\n", b"*0\r\n$"] {
        assert_eq!(protocols(bytes), [Protocol::UNKNOWN], "{bytes:?}");
    }
}

#[test]
fn postgresql_by_its_first_packet() {
    let tls = [0, 0, 0, 8, 0x04, 0xd2, 0x16, 0x2f];
    let gss = [0, 0, 0, 8, 0x04, 0xd2, 0x16, 0x30];
    let cancel = [0, 0, 0, 16, 0x04, 0xd2, 0x16, 0x2e, 0, 0, 0, 1, 0, 0, 0, 2];
    for bytes in
        [&tls[..], &gss, &cancel, b"\0\0\0\x1f\0\x03\0\0user\0me\0\0", b"\0\0\0\x1f\0\x03\0\x02user\0me\0\0"]
    {
        assert_eq!(protocols(bytes), [Protocol::POSTGRESQL], "{bytes:?}");
    }
    // A Metadata request of Kafka, version 0: a length, the number 3, the version, an identifier.
    assert_eq!(protocols(b"\0\0\0\x1f\0\x03\0\0\0\0\0\x01\0\x03abc"), [Protocol::UNKNOWN]);
}

#[test]
fn others_are_unknown_and_nothing_more_is_looked_at() {
    for bytes in [
        &b"SSH-2.0-OpenSSH_9.2\r\n"[..],
        b"EHLO x\r\n",
        b"\xff\xff",
        b"\x16\x03\x09",
        b"\x80\x2e\x01\x03\x01",
    ] {
        let told = told(&[bytes, b"GET / HTTP/1.1\r\n"]);
        assert_eq!((told.protocols, told.done), (vec![Protocol::UNKNOWN], true), "{bytes:?}");
    }
}

/// A ClientHello (RFC 8446, section 4.1.2): 32 bytes of session, and these extensions.
fn client_hello(extensions: &[(u16, &[u8])]) -> Vec<u8> {
    let mut list = Vec::new();
    for (kind, data) in extensions {
        list.extend(kind.to_be_bytes());
        list.extend(u16::try_from(data.len()).unwrap().to_be_bytes());
        list.extend(*data);
    }
    let mut body = vec![3, 3];
    body.extend([0x5a; 32]);
    body.push(32);
    body.extend([0x5b; 32]);
    body.extend([0, 4, 0x13, 1, 0x13, 2, 1, 0]);
    body.extend(u16::try_from(list.len()).unwrap().to_be_bytes());
    body.extend(list);
    let mut hello = vec![22, 3, 1];
    hello.extend(u16::try_from(body.len() + 4).unwrap().to_be_bytes());
    hello.push(1);
    hello.extend(&u32::try_from(body.len()).unwrap().to_be_bytes()[1..]);
    hello.extend(body);
    hello
}

/// The extension of RFC 6066, section 3.
fn server_name(name: &str) -> Vec<u8> {
    let len = u16::try_from(name.len()).unwrap();
    let mut data = (len + 3).to_be_bytes().to_vec();
    data.push(0);
    data.extend(len.to_be_bytes());
    data.extend(name.as_bytes());
    data
}

#[test]
fn tls_with_the_servers_name() {
    let name = server_name("shop.example.org");
    for extensions in [
        &[(0, &name[..]), (10, &[0; 8])][..],
        &[(0x0a0a, &[][..]), (51, &[7; 1200]), (0, &name)],
        &[(10, &[0; 8][..]), (11, &[1, 0]), (35, &[]), (22, &[]), (0, &name)],
    ] {
        let hello = client_hello(extensions);
        let expected = Told {
            protocols: vec![Protocol::TLS],
            name: Some("shop.example.org".to_owned()),
            done: true,
            ..Told::default()
        };
        assert_eq!(told(&[&hello]), expected, "in one call");
        // As libraries read: the record's head, then the record.
        assert_eq!(told(&[&hello[..5], &hello[5..]]), expected, "in two calls");
    }
}

#[test]
fn tls_without_a_name_or_with_one_out_of_reach() {
    let nameless = Told { protocols: vec![Protocol::TLS], done: true, ..Told::default() };
    assert_eq!(told(&[&client_hello(&[(10, &[0; 8]), (11, &[1, 0])])]), nameless, "no name");
    assert_eq!(told(&[&client_hello(&[])]), nameless, "no extension");
    let many: Vec<_> = (1..20).map(|kind| (kind, &[0; 2][..])).collect();
    let name = server_name("far.example.org");
    let far: Vec<_> = many.iter().copied().chain([(0, &name[..])]).collect();
    assert_eq!(told(&[&client_hello(&far)]), nameless, "behind nineteen others");
}

#[test]
fn a_long_name_is_cut_and_says_so() {
    let long = format!("{}.example.org", "a".repeat(60));
    let name = server_name(&long);
    let told = told(&[&client_hello(&[(0, &name)])]);
    // Of 64 bytes: eight for the automaton, one, two, one and two for what is before the extensions, four and three for
    // this one.
    assert_eq!(told.name.as_deref(), Some(&long[..43]));
    assert!(told.cut);
}

#[test]
fn a_name_in_two_calls_is_cut() {
    let name = server_name("shop.example.org");
    let hello = client_hello(&[(0, &name)]);
    let told = told(&[&hello[..hello.len() - 4], &hello[hello.len() - 4..]]);
    assert_eq!((told.name.as_deref(), told.cut), (Some("shop.example"), true));
}

const UPGRADE: &[u8] = b"GET /chat HTTP/1.1\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n";

/// What is told of a connection on which these answers are given, after as many requests.
fn answered(answers: &[&[u8]]) -> Told {
    let mut connection = Connection::new();
    for answer in answers {
        connection.call(true, UPGRADE);
        connection.call(false, answer);
    }
    connection.told
}

/// What a call tells whose bytes are in parts of its memory; a part without bytes is one too.
fn in_parts(parts: &[&[u8]], more: bool) -> Told {
    let mut connection = Connection::new();
    let mut left = LOOK;
    for (place, bytes) in parts.iter().enumerate() {
        let mut call = Call { bytes, reads: 0 };
        let last = place + 1 == parts.len();
        let mut cursor = Cursor { at: 0, len: bytes.len() as u64, left, more: u32::from(last && more) };
        let heard = (0..STEPS).find_map(|_| hear(&mut connection.peeked, &mut cursor, &mut call));
        let heard = heard.expect("it comes to an end");
        left = cursor.left;
        connection.told.protocols.extend(heard.told);
        if heard.enough {
            break;
        }
    }
    connection.told
}

#[test]
fn a_call_in_parts() {
    assert_eq!(in_parts(&[b"*", b"", b"1\r\n$4\r\n"], false).protocols, [Protocol::REDIS]);
    let hello = client_hello(&[(0, &server_name("a.example"))]);
    assert_eq!(in_parts(&[&hello[..5], &hello[5..]], false).protocols, [Protocol::TLS]);
    assert_eq!(in_parts(&[b"GET /", b"a"], false).protocols, [], "the line goes on in the next call");
    assert_eq!(in_parts(&[b"GET /", b"a"], true).protocols, [Protocol::HTTP1], "the rest is passed over");
    assert_eq!(in_parts(&[b"*1"], true).protocols, [Protocol::UNKNOWN]);
    assert_eq!(in_parts(&[&hello[..20]], true).protocols, [Protocol::TLS]);
}

#[test]
fn a_websocket_from_its_101_on() {
    let near = b"HTTP/1.1 101 Switching Protocols\r\nupgrade: WebSocket\r\nConnection: Upgrade\r\n\r\n";
    let both = vec![Protocol::HTTP1, Protocol::WEBSOCKET];
    let told = answered(&[near]);
    assert_eq!((&told.protocols, told.inferred, told.done), (&both, false, true));
    let told = answered(&[b"HTTP/1.1 200 OK\r\n\r\n", b"HTTP/1.1 404 Not Found\r\n\r\n", near]);
    assert_eq!((&told.protocols, told.inferred), (&both, false), "the third answer");
    let far =
        b"HTTP/1.1 101 Switching Protocols\r\nServer: nginx/1.22.1\r\nDate: x\r\nUpgrade: websocket\r\n\r\n";
    let told = answered(&[far]);
    assert_eq!((&told.protocols, told.inferred), (&both, true), "the header is behind the 64th byte");
}

#[test]
fn an_answer_in_parts_and_after_a_100() {
    let mut connection = Connection::new();
    connection.call(true, UPGRADE);
    connection.call(false, b"HTTP/1.1 100 Continue\r\n\r\n");
    for byte in b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n" {
        connection.call(false, &[*byte]);
    }
    assert_eq!(connection.told.protocols, [Protocol::HTTP1, Protocol::WEBSOCKET]);
}

#[test]
fn other_switches_and_what_no_answer_is() {
    let told = answered(&[b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: h2c\r\n\r\n"]);
    assert_eq!(told.protocols, [Protocol::HTTP1, Protocol::HTTP2]);
    let told = answered(&[b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: TLS/1.0\r\n\r\n"]);
    assert_eq!(told.protocols, [Protocol::HTTP1, Protocol::UNKNOWN]);
    // A body that reads like an answer: nothing was asked since the answer's beginning.
    let mut connection = Connection::new();
    connection.call(true, UPGRADE);
    connection.call(false, b"HTTP/1.1 200 OK\r\nContent-Length: 40\r\n\r\n");
    connection.call(false, b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n");
    assert_eq!(connection.told.protocols, [Protocol::HTTP1]);
    assert!(!connection.told.done);
}

proptest! {
    /// Whatever comes in whatever calls: at most 64 bytes of a call are looked at, none beyond it (`Call` checks both), and what
    /// is told is told once or, where HTTP/1 is left, twice.
    #[test]
    fn any_bytes_in_any_calls(
        calls in prop::collection::vec((any::<bool>(), prop::collection::vec(any::<u8>(), 0..200)), 0..20),
        first in prop::sample::select(vec![
            Vec::new(),
            b"GET / HTTP/1.1\r\n".to_vec(),
            b"*1\r\n".to_vec(),
            client_hello(&[(5, &[0; 9]), (0, &server_name("a.example"))]),
        ]),
        keep in 0_usize..200,
    ) {
        let mut connection = Connection::new();
        connection.call(true, &first[..keep.min(first.len())]);
        for (incoming, bytes) in calls {
            connection.call(incoming, &bytes);
        }
        prop_assert!(connection.told.protocols.len() <= 2);
    }

    /// A hello whose bytes were changed, in two calls.
    #[test]
    fn a_damaged_hello(at in 0_usize..160, byte in any::<u8>(), cut in 0_usize..160) {
        let mut hello = client_hello(&[(5, &[0; 9]), (0, &server_name("a.example")), (7, &[1; 30])]);
        if let Some(place) = hello.get_mut(at) {
            *place = byte;
        }
        let (one, two) = hello.split_at(cut.min(hello.len()));
        prop_assert!(told(&[one, two]).protocols.len() <= 1);
    }

    /// How the first bytes are cut into calls makes no difference.
    #[test]
    fn however_it_is_cut(cuts in prop::collection::vec(1_usize..30, 1..10)) {
        for bytes in [
            &b"DELETE /a/b HTTP/1.1\r\nHost: a\r\n"[..],
            b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
            b"*3\r\n$3\r\nSET\r\n$1\r\na\r\n",
            b"\0\0\0\x1f\0\x03\0\0user\0me\0\0",
        ] {
            let mut rest = bytes;
            let mut calls = Vec::new();
            for cut in cuts.iter().cycle() {
                let (one, others) = rest.split_at((*cut).min(rest.len()));
                calls.push(one);
                rest = others;
                if rest.is_empty() {
                    break;
                }
            }
            prop_assert_eq!(told(&calls).protocols, told(&[bytes]).protocols);
        }
    }
}
