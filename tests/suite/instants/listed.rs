//! Sockets that the kernel lists in `/proc/PID/net`, by inode: those of which `ss` shows none.

use super::kernel::Socket;
use anyhow::{Context as _, Result};
use std::{
    collections::HashMap,
    fs,
    net::{Ipv4Addr, Ipv6Addr},
};

/// `ETH_P_ALL` (include/uapi/linux/if_ether.h): every protocol.
const EVERY: u32 = 3;

/// The raw, packet and netlink sockets of a process's network namespace.
pub(super) fn sockets(pid: u32) -> Result<HashMap<u64, Socket>> {
    let mut sockets = HashMap::new();
    for (file, read) in [
        ("raw", raw as fn(&[&str]) -> Option<(u64, Socket)>),
        ("raw6", raw),
        ("packet", packet),
        ("netlink", netlink),
    ] {
        let path = format!("/proc/{pid}/net/{file}");
        let text = fs::read_to_string(&path).with_context(|| path.clone())?;
        // The first line names the columns.
        for line in text.lines().skip(1) {
            let columns: Vec<&str> = line.split_whitespace().collect();
            let (ino, socket) = read(&columns).with_context(|| format!("{path}: {line}"))?;
            sockets.insert(ino, socket);
        }
    }
    Ok(sockets)
}

fn socket(protocol: &'static str, ty: Option<&'static str>, local: Option<String>) -> Socket {
    Socket { protocol, ty, state: "CLOSE", local, peer: None, other_end: 0, queue: None }
}

/// `sl local_address rem_address st ... inode` (`raw_sock_seq_show`, net/ipv4/raw.c; the same for IPv6). The number behind the
/// address is the protocol's. Connected, it is `ESTABLISHED`.
fn raw(columns: &[&str]) -> Option<(u64, Socket)> {
    let [_, local, peer, state, _, _, _, _, _, ino, ..] = columns else { return None };
    let state = match *state {
        "01" => "ESTABLISHED",
        "07" => "CLOSE",
        _ => return None,
    };
    let peer = Some(internet(peer)?).filter(|peer| !["0.0.0.0:0", "[::]:0"].contains(&peer.as_str()));
    Some((ino.parse().ok()?, Socket { state, peer, ..socket("raw", Some("raw"), Some(internet(local)?)) }))
}

/// An address as words of the machine's byte order in hexadecimal digits, and a port.
fn internet(shown: &str) -> Option<String> {
    let (ip, port) = shown.split_once(':')?;
    let words: Vec<u8> = (0..ip.len() / 8)
        .map(|word| Some(u32::from_str_radix(ip.get(word * 8..word * 8 + 8)?, 16).ok()?.to_ne_bytes()))
        .collect::<Option<Vec<_>>>()?
        .concat();
    let port = u16::from_str_radix(port, 16).ok()?;
    match words.len() {
        4 => Some(format!("{}:{port}", Ipv4Addr::from(*words.first_chunk::<4>()?))),
        16 => Some(format!("[{}]:{port}", Ipv6Addr::from(*words.first_chunk::<16>()?))),
        _ => None,
    }
}

/// `sk RefCnt Type Proto Iface R Rmem User Inode` (`packet_seq_show`, net/packet/af_packet.c).
fn packet(columns: &[&str]) -> Option<(u64, Socket)> {
    let [_, _, ty, protocol, interface, _, _, _, ino] = columns else { return None };
    let ty = match *ty {
        "2" => "dgram",
        "3" => "raw",
        _ => return None,
    };
    let protocol = match u32::from_str_radix(protocol, 16).ok()? {
        EVERY => "*".to_owned(),
        number => format!("{number:#06x}"),
    };
    let interface = if *interface == "0" { "*" } else { interface };
    // Of no protocol: it receives nothing.
    let local = Some(format!("packet:{protocol}@{interface}")).filter(|local| local != "packet:0x0000@*");
    Some((ino.parse().ok()?, socket("packet", Some(ty), local)))
}

/// `sk Eth Pid Groups Rmem Wmem Dump Locks Drops Inode` (`netlink_native_seq_show`, net/netlink/af_netlink.c): of the groups, the
/// first 32. One that has no port has no line.
fn netlink(columns: &[&str]) -> Option<(u64, Socket)> {
    let [_, _, port, groups, .., ino] = columns else { return None };
    let groups = u32::from_str_radix(groups, 16).ok()?;
    let groups = if groups == 0 { String::new() } else { format!(",groups={groups:#x}") };
    let local = (*port != "0" || !groups.is_empty()).then(|| format!("netlink:{port}{groups}"));
    Some((ino.parse().ok()?, socket("netlink", None, local)))
}

#[cfg(test)]
mod tests {
    use super::{Socket, netlink, packet, raw};

    fn shown(
        read: fn(&[&str]) -> Option<(u64, Socket)>,
        line: &str,
    ) -> Option<(u64, Option<String>, Option<String>)> {
        let columns: Vec<&str> = line.split_whitespace().collect();
        read(&columns).map(|(ino, socket)| (ino, socket.local, socket.peer))
    }

    #[test]
    fn the_kernels_lines_are_read() {
        let local = |ino, local: &str| Some((ino, Some(local.to_owned()), None));
        let line =
            "1: 0100007F:0001 00000000:0000 07 00000000:00000000 00:00000000 00000000 0 0 1410 2 00000000 0";
        assert_eq!(shown(raw, line), local(1410, "127.0.0.1:1"));
        let (ip, none) = ("00000000000000000000000001000000", "0".repeat(32));
        let line =
            format!("1: {ip}:003A {none}:0000 07 00000000:00000000 00:00000000 00000000 0 0 7 2 00000000 0");
        assert_eq!(shown(raw, &line), local(7, "[::1]:58"));
        let line = "00000000f110611a 3      3    0806   1     1 0      0      1410734";
        assert_eq!(shown(packet, line), local(1_410_734, "packet:0x0806@1"));
        let line = "00000000f110611a 3      2    0003   0     1 0      0      5";
        assert_eq!(shown(packet, line), local(5, "packet:*@*"));
        let line =
            "0000000035c45852 0   25231      00000011 0        0        0     2        0        1410767";
        assert_eq!(shown(netlink, line), local(1_410_767, "netlink:25231,groups=0x11"));
    }
}
