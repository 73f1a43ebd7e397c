//! What user space tells the programs before they are loaded.

use crate::layout::record;

/// Follow every process but the tracer itself.
pub const SELECT_ALL: u32 = 1;
/// Follow processes by the name in [`Config::comm`].
pub const SELECT_COMM: u32 = 2;
/// Follow processes below the control group [`Config::cgroup_id`].
pub const SELECT_CGROUP: u32 = 4;
/// Follow sockets by local or peer port [`Config::port`].
pub const SELECT_PORT: u32 = 8;

record! {
    /// The user's selection. Processes chosen by number stand in the map of followed processes instead.
    pub struct Config {
        /// `SELECT_*` flags.
        pub select: u32,
        /// The tracer's own thread group, which is never followed.
        pub own_pid: u32,
        /// Identifier of the selected control group (its directory's inode number in the cgroup2 hierarchy).
        pub cgroup_id: u64,
        /// Depth of that group below the hierarchy's root.
        pub cgroup_level: u32,
        /// The selected port, host byte order; 0 for none.
        pub port: u32,
        /// Set where a closed connection whose FIN was acknowledged ends at once: its `FIN_WAIT2` waits for its `CLOSE`.
        pub orphans_end: u32,
        /// Number of `SKB_DROP_REASON_TCP_LISTEN_OVERFLOW` (include/net/dropreason-core.h); 0 where the kernel has none.
        pub overflow_reason: u32,
        /// Set where the scheduler is traced.
        pub sched: u32,
        /// Ticks a second of the running kernel (`CONFIG_HZ`): it keeps `SO_LINGER` in ticks.
        pub hz: u32,
        /// The tracer's own process that opens files for it, which is never followed either; 0 for none.
        pub opener_pid: u32,
        /// Keeps the structure free of padding.
        pub reserved: u32,
        /// The selected name, padded with zero bytes.
        pub comm: [u8; 16],
    }
}

/// Declares [`Offsets`] and the list by which user space fills it from the kernel's BTF.
macro_rules! offsets {
    ($($(#[$attr:meta])* $field:ident: $ty:literal . $member:literal,)*) => {
        record! {
            /// Where the kernel keeps what the programs read: byte offsets, found in the running kernel's BTF; for a bit field
            /// its offset in bits.
            pub struct Offsets {
                $($(#[$attr])* pub $field: u32,)*
            }
        }

        impl Offsets {
            /// An offset that this kernel does not have.
            pub const ABSENT: u32 = u32::MAX;

            /// Every offset as (kernel structure, member path), in the order of the fields. A member path with `|`
            /// names alternatives, tried in order: kernels moved or renamed the member. One with `?` at its end is not
            /// missed where it is absent.
            pub const LIST: &'static [(&'static str, &'static str)] = &[$(($ty, $member),)*];

            /// All offsets absent.
            #[must_use]
            pub const fn absent() -> Self {
                Self { $($field: Self::ABSENT,)* }
            }

            /// Sets the offset at `index` of [`Self::LIST`]; an index beyond the list is ignored.
            pub fn set(&mut self, index: usize, offset: u32) {
                let mut place = 0;
                $(
                    if index == place {
                        self.$field = offset;
                    }
                    place += 1;
                )*
                let _ = place;
            }
        }
    };
}

offsets! {
    /// Descriptor table of a task.
    task_files: "task_struct" . "files",
    /// Thread group leader.
    task_leader: "task_struct" . "group_leader",
    /// Start, boot clock.
    task_start: "task_struct" . "start_boottime",
    /// Thread group id.
    task_tgid: "task_struct" . "tgid",
    /// Thread id.
    task_pid: "task_struct" . "pid",
    /// Status flags of the thread (`TS_COMPAT`, arch/x86/include/asm/thread_info.h).
    task_status: "task_struct" . "thread_info.status",
    /// Name.
    task_comm: "task_struct" . "comm",
    /// Number of a task in each of its pid namespaces.
    task_numbers: "task_struct" . "thread_pid",
    /// How deep the innermost of them is.
    pid_level: "pid" . "level",
    /// The numbers, the initial namespace's first.
    pid_numbers: "pid" . "numbers",
    /// One of them.
    upid_nr: "upid" . "nr",
    /// Its namespace.
    upid_ns: "upid" . "ns",
    /// Inode number of a pid namespace.
    pid_ns_inum: "pid_namespace" . "ns.inum",
    /// Control groups of a task.
    task_cgroups: "task_struct" . "cgroups",
    /// The one in the cgroup2 hierarchy.
    css_set_group: "css_set" . "dfl_cgrp",
    /// Its directory.
    cgroup_kn: "cgroup" . "kn",
    /// Identifier of a directory: its inode number.
    kn_id: "kernfs_node" . "id",
    /// The directory above it.
    kn_parent: "kernfs_node" . "__parent|parent",
    /// Its name.
    kn_name: "kernfs_node" . "name",
    /// Parent, for the process tree.
    task_parent: "task_struct" . "real_parent",
    /// Per-process signal state.
    task_signal: "task_struct" . "signal",
    /// Exit status.
    task_exit_code: "task_struct" . "exit_code",
    /// Threads that still live.
    signal_live: "signal_struct" . "live",
    /// Resource limits.
    signal_rlim: "signal_struct" . "rlim",
    /// Tasks that share a descriptor table.
    files_count: "files_struct" . "count",
    /// Current descriptor array.
    files_fdt: "files_struct" . "fdt",
    /// Capacity of the array.
    fdt_max: "fdtable" . "max_fds",
    /// The array.
    fdt_fd: "fdtable" . "fd",
    /// Close-on-exec bits.
    fdt_cloexec: "fdtable" . "close_on_exec",
    /// Bits of the numbers that are in use.
    fdt_open: "fdtable" . "open_fds",
    /// Operations of an open file: the same for all files of a kind.
    file_ops: "file" . "f_op",
    /// Inode of an open file.
    file_inode: "file" . "f_inode",
    /// What a socket's file points to.
    file_private: "file" . "private_data",
    /// Path of an open file.
    file_path: "file" . "f_path",
    /// Open flags.
    file_flags: "file" . "f_flags",
    /// Directory entry in a path.
    path_dentry: "path" . "dentry",
    /// Name of a directory entry.
    dentry_name: "dentry" . "d_name|__d_name",
    /// Bytes of a name.
    qstr_name: "qstr" . "name",
    /// Inode type and permissions.
    inode_mode: "inode" . "i_mode",
    /// Inode number.
    inode_ino: "inode" . "i_ino",
    /// File system of an inode.
    inode_sb: "inode" . "i_sb",
    /// Device number of a file system.
    sb_dev: "super_block" . "s_dev",
    /// Kind of a file system (`include/uapi/linux/magic.h`).
    sb_magic: "super_block" . "s_magic",
    /// Protocol's socket behind the file's.
    socket_sk: "socket" . "sk",
    /// Inode that a file's socket comes with.
    socket_inode: "socket_alloc" . "vfs_inode",
    /// Type of a file's socket.
    socket_type: "socket" . "type",
    /// File's socket behind the protocol's.
    sk_socket: "sock" . "sk_socket",
    /// Address family.
    sk_family: "sock" . "__sk_common.skc_family",
    /// State.
    sk_state: "sock" . "__sk_common.skc_state",
    /// State of a connection of which only the part for `TIME_WAIT` is left.
    tw_substate: "inet_timewait_sock" . "tw_substate",
    /// Peer's IPv4 address.
    sk_daddr: "sock" . "__sk_common.skc_daddr",
    /// Local IPv4 address.
    sk_rcv_saddr: "sock" . "__sk_common.skc_rcv_saddr",
    /// Peer's port, network byte order.
    sk_dport: "sock" . "__sk_common.skc_dport",
    /// Local port that the socket holds, host byte order.
    sk_num: "sock" . "__sk_common.skc_num",
    /// Local port as getsockname(2) gives it, network byte order: it stays after a failed connect.
    inet_sport: "inet_sock" . "inet_sport",
    /// Peer's IPv6 address.
    sk_v6_daddr: "sock" . "__sk_common.skc_v6_daddr",
    /// Local IPv6 address.
    sk_v6_rcv_saddr: "sock" . "__sk_common.skc_v6_rcv_saddr",
    /// Flags (`enum sock_flags`, include/net/sock.h).
    sk_flags: "sock" . "__sk_common.skc_flags",
    /// How long a close waits for data to be sent, where the flags say that it does; ticks.
    sk_lingertime: "sock" . "sk_lingertime",
    /// How long a closed connection waits for the peer's FIN; 0 for as long as the namespace says.
    tcp_linger2: "tcp_sock" . "linger2",
    /// Network namespace.
    sk_net: "sock" . "__sk_common.skc_net.net",
    /// Type.
    sk_type: "sock" . "sk_type",
    /// Protocol.
    sk_protocol: "sock" . "sk_protocol",
    /// Accept queue: length.
    sk_ack_backlog: "sock" . "sk_ack_backlog",
    /// Accept queue: limit.
    sk_max_ack_backlog: "sock" . "sk_max_ack_backlog",
    /// A unix listener's queue: its connections as packets.
    sk_receive_queue: "sock" . "sk_receive_queue",
    /// Length of that queue.
    sk_receive_qlen: "sock" . "sk_receive_queue.qlen",
    /// Dropped packets.
    sk_drops: "sock" . "sk_drops",
    /// A listener's queue: its first request.
    tcp_accept_head: "inet_connection_sock" . "icsk_accept_queue.rskq_accept_head",
    /// The next request.
    req_next: "request_sock" . "dl_next",
    /// The connection that a request became.
    req_sk: "request_sock" . "sk",
    /// The next packet.
    skb_next: "sk_buff" . "next",
    /// The socket that a packet is of.
    skb_sk: "sk_buff" . "sk",
    /// Where a packet's room begins.
    skb_head: "sk_buff" . "head",
    /// Place of its network header in that room.
    skb_network: "sk_buff" . "network_header",
    /// Place of its transport header.
    skb_transport: "sk_buff" . "transport_header",
    /// Acknowledged bytes.
    tcp_acked: "tcp_sock" . "bytes_acked",
    /// Received bytes.
    tcp_received: "tcp_sock" . "bytes_received",
    /// Round trip time.
    tcp_srtt: "tcp_sock" . "srtt_us",
    /// Segments sent again.
    tcp_retransmits: "tcp_sock" . "total_retrans",
    /// What the application has read up to.
    tcp_copied_seq: "tcp_sock" . "copied_seq",
    /// What was received up to.
    tcp_rcv_nxt: "tcp_sock" . "rcv_nxt",
    /// Number of the next byte that is written.
    tcp_write_seq: "tcp_sock" . "write_seq",
    /// Number of the first byte that is not acknowledged.
    tcp_snd_una: "tcp_sock" . "snd_una",
    /// How often a task has gone to sleep.
    task_sleeps: "task_struct" . "nvcsw",
    /// Namespaces of a task.
    task_nsproxy: "task_struct" . "nsproxy",
    /// The network namespace among them.
    nsproxy_net: "nsproxy" . "net_ns",
    /// Pending error.
    sk_err: "sock" . "sk_err",
    /// Common part of a namespace.
    net_ns: "net" . "ns",
    /// Inode number of a namespace.
    ns_inum: "ns_common" . "inum",
    /// Name of a unix socket.
    unix_addr: "unix_sock" . "addr",
    /// Other end of a unix socket.
    unix_peer: "unix_sock" . "peer",
    /// Length of a unix name, with the family's two bytes.
    unix_addr_len: "unix_address" . "len",
    /// The name as a `sockaddr_un`.
    unix_addr_name: "unix_address" . "name",
    /// Requests of a seccomp filter's listener.
    filter_notif: "seccomp_filter" . "notif",
    /// List of the open ones.
    notif_list: "notification" . "notifications",
    /// Task that waits for the answer to a request.
    knotif_task: "seccomp_knotif" . "task",
    /// Identifier of a request.
    knotif_id: "seccomp_knotif" . "id",
    /// Its place in the list.
    knotif_list: "seccomp_knotif" . "list",
    /// Path that is executed.
    bprm_filename: "linux_binprm" . "filename",
    /// Operation of a request of an io_uring (include/linux/io_uring_types.h).
    req_opcode: "io_kiocb" . "opcode",
    /// Its flags; the lowest are the `IOSQE_*` flags that it was submitted with (io_uring_enter(2)).
    req_flags: "io_kiocb" . "flags",
    /// What the program marked it with.
    req_user_data: "io_kiocb" . "cqe.user_data",
    /// Its result.
    req_res: "io_kiocb" . "cqe.res",
    /// The descriptor that it names, until it is issued.
    req_fd: "io_kiocb" . "cqe.fd",
    /// The file that it is about, once it was issued.
    req_file: "io_kiocb" . "file",
    /// Its ring.
    req_ring: "io_kiocb" . "ctx",
    /// What an operation keeps beside the request.
    req_async: "io_kiocb" . "async_data",
    /// `accept`: flags.
    ring_accept_flags: "io_accept" . "flags",
    /// `accept`: place in the ring's file table, from 1 on.
    ring_accept_slot: "io_accept" . "file_slot",
    /// `accept`: `IORING_ACCEPT_*` flags; before 6.8 they are not kept.
    ring_accept_ways: "io_accept" . "iou_flags?",
    /// `socket`: family.
    ring_socket_family: "io_socket" . "domain",
    /// `socket`: type.
    ring_socket_type: "io_socket" . "type",
    /// `socket`: protocol.
    ring_socket_protocol: "io_socket" . "protocol",
    /// `socket`: place in the ring's file table.
    ring_socket_slot: "io_socket" . "file_slot",
    /// `connect`: length of the address.
    ring_connect_len: "io_connect" . "addr_len",
    /// `bind`: length of the address; since 6.11.
    ring_bind_len: "io_bind" . "addr_len?",
    /// `listen`: backlog; since 6.11.
    ring_listen_backlog: "io_listen" . "backlog?",
    /// `shutdown`: how.
    ring_shutdown_how: "io_shutdown" . "how",
    /// `close`: descriptor.
    ring_close_fd: "io_close" . "fd",
    /// `close`: place in the ring's file table.
    ring_close_slot: "io_close" . "file_slot",
    /// `openat`: directory.
    ring_open_dfd: "io_open" . "dfd",
    /// `openat`: place in the ring's file table.
    ring_open_slot: "io_open" . "file_slot",
    /// `openat`: flags.
    ring_open_flags: "io_open" . "how.flags",
    /// `openat`: the kernel's copy of the path.
    ring_open_name: "io_open" . "filename",
    /// The path in that copy.
    filename_name: "filename" . "name",
    /// `connect`: the address, in the caller's memory.
    ring_connect_address: "io_connect" . "addr",
    /// Where some kernels keep their copy of the address that `bind` was given.
    ring_bind_address: "io_async_msghdr" . "addr?",
    /// First request of the chain that is being submitted.
    ring_chain: "io_ring_ctx" . "submit_state.link.head",
    /// The ring's file table: an array of pointers to nodes; before 6.13 of files.
    ring_files: "io_ring_ctx" . "file_table.data.nodes|file_table.files",
    /// Its length.
    ring_files_len: "io_ring_ctx" . "file_table.data.nr|nr_user_files",
    /// File of a node; its lowest bits are flags. Since 6.13.
    ring_node_file: "io_rsrc_node" . "file_ptr?",
    /// `sendmsg`, `recvmsg`: the message header, in the caller's memory.
    ring_msg_header: "io_sr_msg" . "umsg",
    /// `recvmsg`: `IORING_RECV*` flags, 16 bits.
    ring_msg_flags: "io_sr_msg" . "flags",
    /// The kernel's copy of a message header: where the next control data go, in the caller's memory.
    ring_msg_control: "io_async_msghdr" . "msg.msg_control",
    /// What room is left there.
    ring_msg_left: "io_async_msghdr" . "msg.msg_controllen",
    /// The room for the control data of each message, of a `recvmsg` that completes more than once.
    ring_msg_room: "io_async_msghdr" . "controllen",
    /// `msg_ring`: command.
    ring_send_command: "io_msg" . "cmd",
    /// `msg_ring`: which entry of the ring's own file table.
    ring_send_from: "io_msg" . "src_fd",
    /// `msg_ring`: place in the other ring's file table.
    ring_send_slot: "io_msg" . "dst_fd",
    /// `pipe`: where the numbers go, in the caller's memory; since 6.16.
    ring_pipe_numbers: "io_pipe" . "fds?",
    /// `pipe`: flags.
    ring_pipe_flags: "io_pipe" . "flags?",
    /// `pipe`: place of the first in the ring's file table.
    ring_pipe_slot: "io_pipe" . "file_slot?",
    /// Requests that wait for their file, by mark.
    ring_waiting: "io_ring_ctx" . "cancel_table.hbs",
    /// How many lists there are: two to the power of this.
    ring_waiting_bits: "io_ring_ctx" . "cancel_table.hash_bits",
    /// The same requests of some kinds of rings; before 6.13.
    ring_waiting_locked: "io_ring_ctx" . "cancel_table_locked.hbs?",
    /// First of a list.
    bucket_first: "io_hash_bucket" . "list",
    /// Place of a request in its list.
    req_waits: "io_kiocb" . "hash_node",
    /// `SO_REUSEADDR`, four bits.
    sk_reuse: "sock" . "__sk_common.skc_reuse",
    /// `SO_REUSEPORT`, a bit.
    sk_reuseport: "sock" . "__sk_common.skc_reuseport",
    /// `IPV6_V6ONLY`, a bit.
    sk_ipv6only: "sock" . "__sk_common.skc_ipv6only",
    /// `TCP_DEFER_ACCEPT`, retransmissions.
    tcp_defer_accept: "inet_connection_sock" . "icsk_accept_queue.rskq_defer_accept",
    /// `TCP_FASTOPEN`, connections.
    tcp_fastopen: "inet_connection_sock" . "icsk_accept_queue.fastopenq.max_qlen",
    /// A netlink socket's own address.
    netlink_portid: "netlink_sock" . "portid",
    /// Its peer's.
    netlink_dst_portid: "netlink_sock" . "dst_portid",
    /// The group that it sends to.
    netlink_dst_group: "netlink_sock" . "dst_group",
    /// The groups that it receives from: a pointer to bits.
    netlink_groups: "netlink_sock" . "groups",
    /// Interface that a packet socket is bound to.
    packet_ifindex: "packet_sock" . "ifindex",
    /// Link-layer protocol that it receives, network byte order.
    packet_num: "packet_sock" . "num",
    /// A vsock socket's own `sockaddr_vm`; its peer's follows.
    vsock_local: "vsock_sock" . "local_addr",
}
