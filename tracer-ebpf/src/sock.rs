//! Sockets: what they are, their addresses, and which of them are followed.

use crate::{
    globals::{config, offset},
    kread::{Block, clear, copy, copy_kernel, field, pointer, zero},
    maps::{SOCKETS, count},
    task::Current,
};
use aya_ebpf::helpers::{bpf_get_current_pid_tgid, generated::bpf_probe_read_kernel};
use tracer_abi::{
    Counter, Header, OPTION_LINGER, OPTION_REUSEADDR, OPTION_REUSEPORT, OPTION_V6ONLY, Offsets, SELECT_PORT,
    Sock, Tcp, Tracked, UNIX_PATH_LEN, UnixName,
};

/// `AF_UNIX`, `AF_INET`, `AF_INET6` and so on (include/linux/socket.h).
pub(crate) const AF_UNIX: u16 = 1;
const AF_INET: u16 = 2;
pub(crate) const AF_INET6: u16 = 10;
const AF_NETLINK: u16 = 16;
const AF_PACKET: u16 = 17;
const AF_VSOCK: u16 = 40;

/// `IPPROTO_TCP`.
const IPPROTO_TCP: u16 = 6;

/// `TCP_LISTEN` and its neighbours (include/net/tcp_states.h).
pub(crate) const TCP_ESTABLISHED: u16 = 1;
pub(crate) const TCP_SYN_SENT: u16 = 2;
pub(crate) const TCP_SYN_RECV: u16 = 3;
pub(crate) const TCP_FIN_WAIT2: u16 = 5;
pub(crate) const TCP_CLOSE: u16 = 7;
pub(crate) const TCP_LISTEN: u16 = 10;

/// Bytes of `struct sock_common`, with which every socket begins (include/net/sock.h), up to its flags. The stack has no room
/// for what follows them, which is not looked at.
const COMMON: usize = 104;

/// Reads the socket at `sk`.
#[inline(never)]
pub(crate) fn read(sk: u64, to: &mut Sock) {
    clear(to);
    to.sk = sk;
    if sk == 0 {
        return;
    }
    let common = Block::<COMMON>::read(sk);
    to.family = common.get(sk, offset!(sk_family)).unwrap_or(0);
    to.ty = field(sk, offset!(sk_type)).unwrap_or(0);
    to.protocol = field(sk, offset!(sk_protocol)).unwrap_or(0);
    to.state = u16::from(common.get::<u8>(sk, offset!(sk_state)).unwrap_or(0));
    let net: u64 = common.get(sk, offset!(sk_net)).unwrap_or(0);
    to.netns = field(net, offset!(net_ns) + offset!(ns_inum)).unwrap_or(0);
    if is_internet(to.family) {
        to.local_port = common.get(sk, offset!(sk_num)).unwrap_or(0);
        if to.local_port == 0 {
            to.local_port = u16::from_be(field(sk, offset!(inet_sport)).unwrap_or(0));
        }
        to.peer_port = u16::from_be(common.get(sk, offset!(sk_dport)).unwrap_or(0));
    }
    if to.family == AF_INET {
        to.local = words([common.get(sk, offset!(sk_rcv_saddr)).unwrap_or(0), 0, 0, 0]);
        to.peer = words([common.get(sk, offset!(sk_daddr)).unwrap_or(0), 0, 0, 0]);
    }
    if to.family == AF_INET6 {
        if let Some(local) = common.get(sk, offset!(sk_v6_rcv_saddr)) {
            to.local = words(local);
        }
        if let Some(peer) = common.get(sk, offset!(sk_v6_daddr)) {
            to.peer = words(peer);
        }
    }
    match to.family {
        AF_NETLINK => read_netlink(sk, to),
        AF_PACKET => read_packet(sk, to),
        AF_VSOCK => read_vsock(sk, to),
        AF_UNIX => place(to.peer.as_mut_ptr().cast::<u64>(), sk, offset!(unix_peer)),
        _ => {}
    }
    if to.state == TCP_LISTEN {
        (to.queue_len, to.queue_limit) = queue(sk);
    }
    read_options(sk, &common, to);
    if matches!(to.state, TCP_CLOSE | TCP_LISTEN) {
        read_listen_options(sk, to);
    }
}

/// Reads the field at `offset` of a socket to its place in a record: zeros where the kernel has none. Without a branch on
/// what was read, and so without a second way for the verifier to walk.
#[inline(always)]
fn place<T>(to: *mut T, base: u64, offset: u32) {
    if offset != Offsets::ABSENT {
        copy_kernel(to.cast(), size_of::<T>(), base + u64::from(offset));
    }
}

/// What `netlink_getname` gives (net/netlink/af_netlink.c): port id and first groups, and the peer's port id and group.
#[inline(always)]
fn read_netlink(sk: u64, to: &mut Sock) {
    let mut groups = 0_u64;
    place(&raw mut groups, sk, offset!(netlink_groups));
    let (local, peer) = (to.local.as_mut_ptr().cast::<u32>(), to.peer.as_mut_ptr().cast::<u32>());
    place(local, sk, offset!(netlink_portid));
    place(peer, sk, offset!(netlink_dst_portid));
    // SAFETY: an address has four words.
    let (local_groups, peer_group) = unsafe { (local.add(1), peer.add(1)) };
    place(local_groups, groups, 0);
    place(peer_group, sk, offset!(netlink_dst_group));
}

/// Interface and protocol; a packet socket has no peer (packet(7)).
#[inline(always)]
fn read_packet(sk: u64, to: &mut Sock) {
    let local = to.local.as_mut_ptr();
    place(local.cast::<u32>(), sk, offset!(packet_ifindex));
    // SAFETY: an address has sixteen bytes.
    place(unsafe { local.add(4) }.cast::<u16>(), sk, offset!(packet_num));
}

/// Two `sockaddr_vm`, one behind the other, as the two addresses of a record stand.
#[inline(always)]
fn read_vsock(sk: u64, to: &mut Sock) {
    place(&raw mut to.local, sk, offset!(vsock_local));
    let peer = offset!(vsock_local);
    if peer != Offsets::ABSENT {
        place(&raw mut to.peer, sk, peer + 16);
    }
}

/// Options that every family has, and `IPV6_V6ONLY`. Computed without branches: one bit after the other.
#[inline(always)]
fn read_options(sk: u64, common: &Block<COMMON>, to: &mut Sock) {
    let bits = |offset: u32| -> u8 {
        if offset == Offsets::ABSENT {
            0
        } else {
            common.get::<u8>(sk, offset / 8).unwrap_or(0) >> (offset % 8)
        }
    };
    let reuse = bits(offset!(sk_reuse)) & 0xf;
    let flags: u64 = common.get(sk, offset!(sk_flags)).unwrap_or(0);
    let linger = (flags >> SOCK_LINGER & 1) as u8;
    to.options = (((reuse | (reuse >> 1)) & 1) * OPTION_REUSEADDR)
        | ((bits(offset!(sk_reuseport)) & 1) * OPTION_REUSEPORT)
        | ((bits(offset!(sk_ipv6only)) & 1) * OPTION_V6ONLY)
        | (linger * OPTION_LINGER);
    let mut ticks = 0_u64;
    place(&raw mut ticks, sk, offset!(sk_lingertime));
    to.linger_s = ticks.checked_div(config!(hz).into()).unwrap_or(0) as u32;
}

/// Options that act before there is a connection.
#[inline(always)]
pub(crate) fn read_listen_options(sk: u64, to: &mut Sock) {
    if has_states(to) {
        place(&raw mut to.defer_accept, sk, offset!(tcp_defer_accept));
        let mut most = 0_u32;
        place(&raw mut most, sk, offset!(tcp_fastopen));
        to.fastopen = if most > 0xffff { 0xffff } else { most as u16 };
    }
}

/// The bytes of an address, read as words: byte by byte, the compiler would copy it so.
#[inline(always)]
fn words(words: [u32; 4]) -> [u8; 16] {
    // SAFETY: both are sixteen bytes, and any are valid.
    unsafe { core::mem::transmute(words) }
}

/// Address family of a socket.
#[inline(always)]
pub(crate) fn family(sk: u64) -> u16 {
    field(sk, offset!(sk_family)).unwrap_or(0)
}

/// `SOCK_DGRAM` (include/linux/net.h).
pub(crate) const SOCK_DGRAM: u16 = 2;

/// Whether it is a datagram socket of the internet protocols without a port.
#[inline(always)]
pub(crate) fn is_unbound(sk: u64) -> bool {
    is_datagram(sk) && field::<u16>(sk, offset!(sk_num)) == Some(0)
}

/// Whether it is one that has its port.
#[inline(always)]
pub(crate) fn is_bound_datagram(sk: u64) -> bool {
    is_datagram(sk) && field::<u16>(sk, offset!(sk_num)) != Some(0)
}

#[inline(always)]
fn is_datagram(sk: u64) -> bool {
    is_internet(family(sk)) && field::<u16>(sk, offset!(sk_type)) == Some(SOCK_DGRAM)
}

/// `SOCK_STREAM`.
const SOCK_STREAM: u16 = 1;

/// Whether it is a stream between two ends whose bytes are in order: TCP over IP, or a unix socket.
#[inline(always)]
pub(crate) fn is_stream(sk: u64) -> bool {
    field::<u16>(sk, offset!(sk_type)) == Some(SOCK_STREAM) && (is_tcp(sk) || family(sk) == AF_UNIX)
}

/// Whether it is TCP over IP.
#[inline(always)]
pub(crate) fn is_tcp(sk: u64) -> bool {
    is_internet(family(sk)) && field::<u16>(sk, offset!(sk_protocol)) == Some(IPPROTO_TCP)
}

/// How many bytes of a TCP connection have been read so far, or written, since it began.
#[inline(always)]
pub(crate) fn position(sk: u64, incoming: bool) -> u64 {
    let (mut first, mut last, mut through) = (0_u32, 0_u32, 0_u64);
    if incoming {
        place(&raw mut through, sk, offset!(tcp_received));
        place(&raw mut first, sk, offset!(tcp_copied_seq));
        place(&raw mut last, sk, offset!(tcp_rcv_nxt));
        // Of what was received, what was not read yet.
        through.wrapping_sub(u64::from(last.wrapping_sub(first)))
    } else {
        place(&raw mut through, sk, offset!(tcp_acked));
        place(&raw mut first, sk, offset!(tcp_snd_una));
        place(&raw mut last, sk, offset!(tcp_write_seq));
        // What was acknowledged and what was not yet, without the SYN of who connected.
        through.wrapping_add(u64::from(last.wrapping_sub(first))).wrapping_sub(1)
    }
}

/// State of a socket.
#[inline(always)]
pub(crate) fn state(sk: u64) -> u8 {
    field(sk, offset!(sk_state)).unwrap_or(0)
}

/// `SOCK_DEAD` and `SOCK_LINGER` (`enum sock_flags`, include/net/sock.h).
const SOCK_DEAD: u64 = 0;
const SOCK_LINGER: u64 = 4;

/// Whether the socket was closed: no file leads to it any more.
#[inline(always)]
pub(crate) fn is_orphan(sk: u64) -> bool {
    field::<u64>(sk, offset!(sk_flags)).is_some_and(|flags| flags >> SOCK_DEAD & 1 == 1)
}

/// Whether a close of the socket waits for its data to be sent (`inet_release`, net/ipv4/af_inet.c).
#[inline(always)]
pub(crate) fn lingers(sk: u64) -> bool {
    field::<u64>(sk, offset!(sk_flags)).is_some_and(|flags| flags >> SOCK_LINGER & 1 == 1)
        && field::<u64>(sk, offset!(sk_lingertime)).is_some_and(|time| time != 0)
}

/// Length and limit of a listener's accept queue. A unix socket's connections wait as packets (`unix_stream_connect`,
/// net/unix/af_unix.c).
#[inline(always)]
pub(crate) fn queue(sk: u64) -> (u32, u32) {
    let both = read_queue(sk);
    ((both >> 32) as u32, both as u32)
}

/// Both in one word: a function returns no more. It is one of its own, since its callers have no stack to spare.
#[inline(never)]
fn read_queue(sk: u64) -> u64 {
    let (mut len, mut limit) = (0_u32, 0_u32);
    if family(sk) == AF_UNIX {
        place(&raw mut len, sk, offset!(sk_receive_qlen));
    } else {
        place(&raw mut len, sk, offset!(sk_ack_backlog));
    }
    place(&raw mut limit, sk, offset!(sk_max_ack_backlog));
    u64::from(len) << 32 | u64::from(limit)
}

/// A connection's counters, as far as the kernel has them; `to` may be a place in a record.
#[inline(always)]
pub(crate) fn read_tcp(sk: u64, to: *mut Tcp) {
    clear(to);
    // SAFETY: every caller passes a place of a whole `Tcp`.
    let (acked, received, srtt, retransmits) = unsafe {
        (&raw mut (*to).acked, &raw mut (*to).received, &raw mut (*to).srtt_us8, &raw mut (*to).retransmits)
    };
    place(acked, sk, offset!(tcp_acked));
    place(received, sk, offset!(tcp_received));
    place(srtt, sk, offset!(tcp_srtt));
    place(retransmits, sk, offset!(tcp_retransmits));
}

/// What a connection received and nobody has read: the kernel's read position against its receive position, as `tcp_inq`
/// has them (include/net/tcp.h). Whoever read it, and how: read(2), splice(2), an io_uring.
#[inline(always)]
pub(crate) fn unread(sk: u64) -> u32 {
    let (mut read, mut received) = (0_u32, 0_u32);
    place(&raw mut read, sk, offset!(tcp_copied_seq));
    place(&raw mut received, sk, offset!(tcp_rcv_nxt));
    received.wrapping_sub(read)
}

/// Counters of what is no connection, or of one that goes on.
#[inline(always)]
pub(crate) fn no_tcp(to: *mut Tcp) {
    clear(to);
}

/// Whether a file has the socket: one that waits in an accept queue has none.
#[inline(always)]
pub(crate) fn has_file(sk: u64) -> bool {
    pointer(sk, offset!(sk_socket)).is_some()
}

/// Inode number of a socket (`SOCK_INODE`, include/net/sock.h), which no other has while it lives or soon after it; 0 of one
/// that no file has.
#[inline(always)]
pub(crate) fn inode(sk: u64) -> u64 {
    pointer(sk, offset!(sk_socket))
        .and_then(|socket| field(socket, offset!(socket_inode) + offset!(inode_ino)))
        .unwrap_or(0)
}

/// Whether a family is one of the internet protocols'.
#[inline(always)]
pub(crate) fn is_internet(family: u16) -> bool {
    family == AF_INET || family == AF_INET6
}

/// Whether a socket changes its state by `inet_sock_set_state`: TCP over IP.
#[inline(always)]
pub(crate) fn has_states(sock: &Sock) -> bool {
    is_internet(sock.family) && sock.protocol == IPPROTO_TCP
}

/// Whether a socket fits the selection by port; true where there is none.
#[inline(always)]
pub(crate) fn port_selected(sock: &Sock) -> bool {
    let port = config!(port) as u16;
    config!(select) & SELECT_PORT == 0 || sock.local_port == port || sock.peer_port == port
}

/// Reads a connection that was accepted, as it was read when it entered the queue, and makes it its acceptor's. Says when it
/// entered; 0 where it was accepted before. `None` where it is not followed.
#[inline(always)]
pub(crate) fn adopt(sk: u64, to: &mut Sock, acceptor: &Header) -> Option<u64> {
    let tracked = SOCKETS.get_ptr_mut(sk)?;
    // SAFETY: the map gave a valid pointer; an entry that is removed meanwhile is freed after a grace period.
    unsafe {
        copy(&raw mut *to, &raw const (*tracked).sock);
        to.state = u16::from(state(sk));
        (*tracked).pid = acceptor.pid;
        (*tracked).start = acceptor.start;
        let queued = (*tracked).queued;
        (*tracked).queued = 0;
        Some(queued)
    }
}

/// Follows the states of a socket that is in no queue. A function of its own, for programs that call others which need the
/// stack.
#[inline(never)]
pub(crate) fn follow_states(sock: &Sock, pid: u32, start: u64, ino: u64) {
    track(sock, pid, start, 0, ino);
}

/// Follows a socket's states from now on. One in `TCP_CLOSE` has an inode number.
#[inline(always)]
pub(crate) fn track(sock: &Sock, pid: u32, start: u64, queued: u64, ino: u64) {
    let mut tracked = core::mem::MaybeUninit::<Tracked>::uninit();
    let place = tracked.as_mut_ptr();
    // SAFETY: every field is written before the value is taken for one.
    let tracked = unsafe {
        (*place).pid = pid;
        (*place).told = u32::from(sock.state);
        (*place).start = start;
        (*place).queued = queued;
        (*place).ino = ino;
        clear(&raw mut (*place).waits);
        copy(&raw mut (*place).sock, sock);
        tracked.assume_init_ref()
    };
    if SOCKETS.insert(sock.sk, tracked, 0).is_err() {
        count(Counter::SOCKETS_FULL);
    }
}

/// Follows a socket that the current process got with states that change by themselves, unless it is followed.
#[inline(never)]
pub(crate) fn track_received(sock: &Sock) {
    if has_states(sock) && sock.state != TCP_CLOSE && SOCKETS.get_ptr(sock.sk).is_none() {
        track(sock, (bpf_get_current_pid_tgid() >> 32) as u32, Current::read().start, 0, 0);
    }
}

/// Reads the name of the unix socket at `sk` into `to` (`unix_getname`, net/unix/af_unix.c).
#[inline(never)]
pub(crate) fn unix_name(sk: u64, to: &mut UnixName) {
    to.len = 0;
    zero(to.path.as_mut_ptr(), UNIX_PATH_LEN);
    let Some(address) = pointer(sk, offset!(unix_addr)) else { return };
    // The length counts the two bytes of `sun_family`.
    let len = field::<i32>(address, offset!(unix_addr_len)).unwrap_or(0) - 2;
    if len <= 0 || len > UNIX_PATH_LEN as i32 {
        return;
    }
    let from = address + u64::from(offset!(unix_addr_name)) + 2;
    // SAFETY: `path` has UNIX_PATH_LEN bytes and `len` was bounded by that above.
    if unsafe { bpf_probe_read_kernel(to.path.as_mut_ptr().cast(), len as u32, from as *const _) } == 0 {
        to.len = len as u32;
    }
}

/// Makes the other end of a unix socket that was read one that is not there.
#[inline(always)]
pub(crate) fn forget_unix_peer(sock: &mut Sock) {
    zero(sock.peer.as_mut_ptr(), sock.peer.len());
}

/// The other end of a unix socket; 0 for none.
#[inline(always)]
pub(crate) fn unix_peer(sk: u64) -> u64 {
    pointer(sk, offset!(unix_peer)).unwrap_or(0)
}
