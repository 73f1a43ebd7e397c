//! What is spoken on connections: the event, and what the socket keeps of it.

use super::make::{Bench, child, input, key, task};
use crate::{
    event::{AppProtocol, EventKind, Spoken, Via},
    ids::BootNs,
    input::{Body, Heard},
};

fn heard(protocol: AppProtocol, sni: Option<&str>) -> Heard {
    let spoken = Spoken { protocol, inferred: false, sni: sni.map(str::to_owned), sni_cut: false };
    Heard { task: task(1), fd: 7, sock: child(20), spoken }
}

#[test]
fn a_connection_keeps_what_was_spoken_on_it() {
    let mut bench = Bench::new();
    bench.makes_listener(100, 3, 1);
    let id = bench.accepts(200, 7, 20, 1).socket.unwrap();
    let http = heard(AppProtocol::Http1, None);
    let told = bench.one(&input(300, Body::Spoken(Box::new(http.clone()))));
    assert_eq!((told.kind, told.via, told.process), (EventKind::Spoken, Via::Kernel, key(1)));
    assert_eq!((told.socket, told.fd, told.call), (Some(id), Some(7), None));
    assert_eq!(told.spoken.as_deref(), Some(&http.spoken));
    let switched = Spoken { inferred: true, ..heard(AppProtocol::Websocket, None).spoken };
    let heard = Heard { spoken: switched.clone(), ..http.clone() };
    let told = bench.one(&input(400, Body::Spoken(Box::new(heard.clone()))));
    assert!(told.inferred);
    assert_eq!(bench.socket(id).spoken, [(BootNs(300), http.spoken), (BootNs(400), switched)]);
    for ts in 500..510 {
        bench.one(&input(ts, Body::Spoken(Box::new(heard.clone()))));
    }
    let times: Vec<_> = bench.socket(id).spoken.iter().map(|(ts, _)| ts.0).collect();
    assert_eq!(times, [506, 507, 508, 509], "the newest four");
}

#[test]
fn of_a_socket_that_is_not_known_its_addresses_are_told() {
    let mut bench = Bench::new();
    let heard = heard(AppProtocol::Tls, Some("example.org"));
    let told = bench.one(&input(300, Body::Spoken(Box::new(heard.clone()))));
    assert_eq!((told.socket, told.local, told.peer), (None, Some(heard.sock.local), Some(heard.sock.peer)));
}
