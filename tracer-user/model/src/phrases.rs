//! The automaton that tells from first bytes what is spoken: its states, which the kernel programs follow byte by byte.

use tracer_abi::{Phrase, Protocol};
use tracer_spoken::{ANSWER, FIRST, INTERIM, ORDINARY, SWITCHED, VERDICT, verdict};

/// Methods of HTTP (RFC 9110, section 9; RFC 5789) and of WebDAV (RFC 4918), whose target is a path, an absolute URI or `*`
/// (RFC 9112, section 3.2).
const METHODS: &[&str] = &[
    "GET",
    "HEAD",
    "POST",
    "PUT",
    "DELETE",
    "OPTIONS",
    "TRACE",
    "PATCH",
    "PROPFIND",
    "PROPPATCH",
    "MKCOL",
    "COPY",
    "MOVE",
    "LOCK",
    "UNLOCK",
    "REPORT",
    "SEARCH",
];

const UNKNOWN: u8 = verdict(Protocol::UNKNOWN);
const HTTP1: u8 = verdict(Protocol::HTTP1);

/// The rows of the automaton, a state each.
#[must_use]
pub fn phrases() -> Vec<Phrase> {
    let mut automaton = Automaton { rows: Vec::new() };
    let first = automaton.state(UNKNOWN);
    let answer = automaton.state(ORDINARY);
    debug_assert_eq!((first, answer), (FIRST, ANSWER), "the first two states are those that are begun with");
    requests(&mut automaton);
    preface(&mut automaton);
    tls(&mut automaton);
    redis(&mut automaton);
    postgresql(&mut automaton);
    answers(&mut automaton);
    automaton.rows
}

/// A request line (RFC 9112, section 3). One that does not end within the bytes that are looked at is told by its method and
/// the first byte of its target.
fn requests(automaton: &mut Automaton) {
    let target = automaton.state(UNKNOWN);
    automaton.on(target, (0x21..=0xff).filter(|byte| *byte != 0x7f), target);
    for method in METHODS {
        let space = automaton.phrase(FIRST, format!("{method} ").as_bytes());
        automaton.on(space, *b"/*hH", target);
    }
    // Of CONNECT the target is a host and a port.
    let space = automaton.phrase(FIRST, b"CONNECT ");
    automaton.on(space, (b'0'..=b'z').filter(|byte| byte.is_ascii_alphanumeric() || *byte == b'['), target);
    let version = automaton.phrase(target, b" HTTP/1.");
    let end = automaton.state(UNKNOWN);
    automaton.on(version, *b"01", end);
    automaton.on(end, *b"\r\n", HTTP1);
    for state in [target, end].into_iter().chain(automaton.way(target, b" HTTP/1.")) {
        automaton.cut(state, HTTP1);
    }
}

/// The client's connection preface (RFC 9113, section 3.4).
fn preface(automaton: &mut Automaton) {
    let last = automaton.phrase(FIRST, b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r");
    automaton.on(last, *b"\n", verdict(Protocol::HTTP2));
}

/// A record of type handshake (RFC 8446, section 5.1), of any length, that begins with a ClientHello.
fn tls(automaton: &mut Automaton) {
    let version = automaton.phrase(FIRST, &[0x16, 3]);
    let [high, low, message] = [(); 3].map(|()| automaton.state(UNKNOWN));
    automaton.on(version, 0..=4, high);
    automaton.on(high, 0..=255, low);
    automaton.on(low, 0..=255, message);
    automaton.on(message, [1], verdict(Protocol::TLS));
}

/// A command as an array of bulk strings, as clients send it (the RESP specification).
fn redis(automaton: &mut Automaton) {
    let array = automaton.phrase(FIRST, b"*");
    let count = automaton.state(UNKNOWN);
    automaton.on(array, b'1'..=b'9', count);
    automaton.on(count, b'0'..=b'9', count);
    let element = automaton.phrase(count, b"\r\n");
    automaton.on(element, *b"$", verdict(Protocol::REDIS));
}

/// A StartupMessage with the name of its first parameter, or a request for encryption or cancellation (the PostgreSQL manual,
/// message formats). None is longer than 10,000 bytes (`MAX_STARTUP_PACKET_LENGTH`), so the first two bytes of the length are
/// 0.
fn postgresql(automaton: &mut Automaton) {
    let length = automaton.phrase(FIRST, &[0, 0]);
    let [low, code] = [(); 2].map(|()| automaton.state(UNKNOWN));
    automaton.on(length, 0..=255, low);
    automaton.on(low, 0..=255, code);
    let minor = automaton.phrase(code, &[0, 3, 0]);
    let parameter = automaton.state(UNKNOWN);
    automaton.on(minor, 0..=9, parameter);
    automaton.on(parameter, (b'a'..=b'z').chain(*b"_"), verdict(Protocol::POSTGRESQL));
    // 80877102 (cancel), 80877103 (TLS), 80877104 (GSSAPI).
    let request = automaton.phrase(code, &[0x04, 0xd2, 0x16]);
    automaton.on(request, 0x2e..=0x30, verdict(Protocol::POSTGRESQL));
}

/// A status line of HTTP/1 (RFC 9112, section 4), and behind 101 the header `Upgrade` (RFC 9110, section 7.8).
fn answers(automaton: &mut Automaton) {
    let version = automaton.phrase(ANSWER, b"HTTP/1.");
    let space = automaton.state(ORDINARY);
    automaton.on(version, *b"01", space);
    let informs = automaton.phrase(space, b" 1");
    let [continues, switches] = [(); 2].map(|()| automaton.state(ORDINARY));
    automaton.on(informs, b'1'..=b'9', continues);
    automaton.on(continues, b'0'..=b'9', INTERIM);
    automaton.on(informs, *b"0", switches);
    automaton.on(switches, b'0'..=b'9', INTERIM);

    let line = automaton.switched();
    let begins = automaton.switched();
    automaton.on(switches, *b"1", line);
    automaton.on(line, 0..=255, line);
    automaton.on(line, *b"\n", begins);
    automaton.on(begins, 0..=255, line);
    automaton.on(begins, *b"\n", SWITCHED);
    let blank = automaton.switched();
    automaton.on(begins, *b"\r", blank);
    let mut name = begins;
    for byte in *b"upgrade:" {
        let next = automaton.switched();
        automaton.on(next, 0..=255, line);
        automaton.on(next, *b"\n", begins);
        automaton.on(name, [byte, byte.to_ascii_uppercase()], next);
        name = next;
    }
    // The value, whole: what begins otherwise is something else.
    automaton.on(name, 0..=255, UNKNOWN);
    automaton.on(name, *b" \t", name);
    for (value, protocol) in [("websocket", Protocol::WEBSOCKET), ("h2c", Protocol::HTTP2)] {
        let mut at = name;
        for byte in value.bytes() {
            let next = automaton.state(UNKNOWN);
            automaton.cut(next, SWITCHED);
            automaton.on(at, [byte, byte.to_ascii_uppercase()], next);
            at = next;
        }
        automaton.on(at, *b" \t\r\n,", verdict(protocol));
    }
}

/// An automaton that is being made.
struct Automaton {
    rows: Vec<Phrase>,
}

impl Automaton {
    /// A new state, which every byte and the end lead out of to the same one.
    fn state(&mut self, otherwise: u8) -> u8 {
        let state = u8::try_from(self.rows.len()).unwrap_or(VERDICT);
        debug_assert!(state < VERDICT, "there are more states than the programs have room for");
        self.rows.push(Phrase { next: [otherwise; 256], cut: otherwise, reserved: [0; 7] });
        state
    }

    /// A new state of an answer that switches the connection.
    fn switched(&mut self) -> u8 {
        self.state(SWITCHED)
    }

    /// These bytes lead from one state to another.
    fn on(&mut self, from: u8, bytes: impl IntoIterator<Item = u8>, to: u8) {
        let Some(row) = self.rows.get_mut(usize::from(from)) else { return };
        for byte in bytes {
            if let Some(next) = row.next.get_mut(usize::from(byte)) {
                *next = to;
            }
        }
    }

    /// Where the bytes end.
    fn cut(&mut self, from: u8, to: u8) {
        if let Some(row) = self.rows.get_mut(usize::from(from)) {
            row.cut = to;
        }
    }

    /// The state behind a text; states on the way are made where there are none.
    fn phrase(&mut self, from: u8, text: &[u8]) -> u8 {
        text.iter().fold(from, |from, byte| {
            let otherwise = self.rows.get(usize::from(from)).map_or(UNKNOWN, |row| row.cut);
            let next = self.next(from, *byte);
            if next < VERDICT && next != from {
                return next;
            }
            let next = self.state(otherwise);
            self.on(from, [*byte], next);
            next
        })
    }

    /// The states on the way along a text that there is.
    fn way(&self, from: u8, text: &[u8]) -> Vec<u8> {
        let mut at = from;
        text.iter()
            .map(|byte| {
                at = self.next(at, *byte);
                at
            })
            .collect()
    }

    fn next(&self, from: u8, byte: u8) -> u8 {
        let row = self.rows.get(usize::from(from));
        row.and_then(|row| row.next.get(usize::from(byte)).copied()).unwrap_or(UNKNOWN)
    }
}
