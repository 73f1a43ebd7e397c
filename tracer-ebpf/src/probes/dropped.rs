//! Connections that did not get into an accept queue, as far as the kernel tells the moment and the peer: the last segment of a
//! handshake that meets a full queue, and clients on this machine that send their SYN again. SYNs that a full queue drops
//! are only counted (`tcp_conn_request`, net/ipv4/tcp_input.c).
//!
//! A run that the kernel skips costs the moment of a drop that is counted anyway: it is no loss.

use super::{listeners, queue};
use crate::{
    emit,
    globals::{config, offset},
    kread::{copy, field, pointer},
    maps::{LISTENERS, PORTS, port_key},
    sock,
};
use aya_ebpf::{macros::btf_tracepoint, programs::BtfTracePointContext};
use tracer_abi::{Kind, Overflow, Retransmit, Sock};

/// `TP_PROTO(const struct sock *sk, const struct sk_buff *skb, ...)`, include/trace/events/tcp.h.
#[btf_tracepoint(function = "tcp_retransmit_skb")]
fn retransmit(ctx: BtfTracePointContext) -> i32 {
    let sk = ctx.arg::<*const u8>(0) as u64;
    if u16::from(sock::state(sk)) != sock::TCP_SYN_SENT {
        return 0;
    }
    let mut read = core::mem::MaybeUninit::<Sock>::uninit();
    // SAFETY: `read` writes every byte, zeros first.
    let client = unsafe {
        sock::read(sk, &mut *read.as_mut_ptr());
        read.assume_init_ref()
    };
    let Some(place) = PORTS.get_ptr(&port_key(client.netns, client.peer_port)) else { return 0 };
    // SAFETY: the map gave a valid pointer; entries of it are not freed while a program runs.
    let listener = unsafe { *place };
    let mut header = listeners::header(&listener, emit::now());
    if let Some(owner) = queue::tracked(sk) {
        (header.pid, header.start) = (owner.pid, owner.start);
    }
    emit::record::<Retransmit>(Kind::RETRANSMIT, &header, |record| {
        // SAFETY: the ring buffer gave room for a whole record.
        unsafe { copy(&raw mut (*record).sock, client) };
    });
    0
}

/// `TP_PROTO(struct sk_buff *skb, void *location, enum skb_drop_reason reason, struct sock *rx_sk)`,
/// include/trace/events/skb.h.
#[btf_tracepoint(function = "kfree_skb")]
fn dropped(ctx: BtfTracePointContext) -> i32 {
    if ctx.arg::<u32>(2) != config!(overflow_reason) {
        return 0;
    }
    let skb = ctx.arg::<*const u8>(0) as u64;
    let sk = ctx.arg::<*const u8>(3) as u64;
    let Some(place) = LISTENERS.get_ptr(&sk) else { return 0 };
    // SAFETY: the map gave a valid pointer; an entry that is removed meanwhile is freed after a grace period.
    let listener = unsafe { *place };
    let mut read = core::mem::MaybeUninit::<Sock>::uninit();
    // SAFETY: `read` writes every byte, zeros first.
    let sock = unsafe {
        sock::read(sk, &mut *read.as_mut_ptr());
        read.assume_init_mut()
    };
    addresses(skb, sock);
    let (queue_len, queue_limit) = sock::queue(sk);
    emit::record::<Overflow>(Kind::OVERFLOW, &listeners::header(&listener, emit::now()), |record| {
        // SAFETY: the ring buffer gave room for a whole record.
        unsafe {
            (*record).queue_len = queue_len;
            (*record).queue_limit = queue_limit;
            copy(&raw mut (*record).sock, &raw const *sock);
        }
    });
    0
}

/// The addresses of a segment, as its receiver has them: `struct iphdr`, `struct ipv6hdr` and `struct tcphdr`
/// (include/uapi/linux).
#[inline(always)]
fn addresses(skb: u64, to: &mut Sock) {
    let head = pointer(skb, offset!(skb_head)).unwrap_or(0);
    let network = head + u64::from(field::<u16>(skb, offset!(skb_network)).unwrap_or(0));
    let transport = head + u64::from(field::<u16>(skb, offset!(skb_transport)).unwrap_or(0));
    let version = field::<u8>(network, 0).unwrap_or(0) >> 4;
    let peer = to.peer.as_mut_ptr();
    if version == 4 {
        let [from, _]: [u32; 2] = field(network, 12).unwrap_or([0; 2]);
        to.peer = [0; 16];
        let place = if to.family == sock::AF_INET6 {
            // As the connection would show it (`IPV4-mapped`, ipv6(7)).
            to.peer[10] = 0xff;
            to.peer[11] = 0xff;
            12
        } else {
            0
        };
        // SAFETY: an address has sixteen bytes.
        unsafe { peer.add(place).cast::<u32>().write_unaligned(from) };
    } else if let Some(from) = field::<[u8; 16]>(network, 8) {
        to.peer = from;
    }
    let [from, _]: [u16; 2] = field(transport, 0).unwrap_or([0; 2]);
    to.peer_port = u16::from_be(from);
}
