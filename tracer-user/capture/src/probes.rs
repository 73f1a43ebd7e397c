//! The programs that are attached: to which tracepoint, what each tells, and what is missing without it.

/// Programs, their tracepoint, and what is missing without them; `None`: nothing works without them. A name with `|` names
/// alternatives, tried in order: kernels renamed the tracepoint or changed its arguments.
pub(crate) struct Probe {
    pub(crate) names: &'static [&'static str],
    pub(crate) tracepoint: &'static str,
    pub(crate) tells: &'static str,
    pub(crate) without: Option<&'static str>,
}

pub(crate) const PROGRAMS: &[Probe] = &[
    Probe {
        names: &["state", "state_again"],
        tracepoint: "inet_sock_set_state",
        tells: "TCP states and accept queues",
        without: None,
    },
    Probe {
        names: &["ring_complete|ring_complete_values"],
        tracepoint: "io_uring_complete",
        tells: "what came of operations of io_urings",
        without: Some(NO_RINGS),
    },
    Probe {
        names: &["ring_overflow"],
        tracepoint: "io_uring_cqe_overflow",
        tells: "operations of io_urings that complete into a full queue",
        without: Some(NO_RINGS),
    },
    Probe {
        names: &["ring_submit"],
        tracepoint: "io_uring_submit_req|io_uring_submit_sqe",
        tells: "operations of io_urings as they are submitted",
        without: Some(NO_RINGS),
    },
    Probe {
        names: &["ring_refused"],
        tracepoint: "io_uring_req_failed",
        tells: "operations of io_urings that are refused",
        without: Some(NO_RINGS),
    },
    Probe {
        names: &["ring_create"],
        tracepoint: "io_uring_create",
        tells: "new io_urings",
        without: Some(NO_RINGS),
    },
    Probe {
        names: &["ring_register"],
        tracepoint: "io_uring_register",
        tells: "changes of the file tables of io_urings",
        without: Some(NO_RINGS),
    },
    Probe { names: &["fork"], tracepoint: "sched_process_fork", tells: "new processes", without: None },
    Probe { names: &["exec"], tracepoint: "sched_process_exec", tells: "executed programs", without: None },
    Probe { names: &["exit"], tracepoint: "sched_process_exit", tells: "ended processes", without: None },
    Probe {
        names: &["call_exit"],
        tracepoint: "sys_exit",
        tells: "what came of system calls",
        without: None,
    },
    Probe {
        names: &["call_enter"],
        tracepoint: "sys_enter",
        tells: "system calls as they begin",
        without: None,
    },
];

const NO_RINGS: &str = "operations of io_urings are not seen: their descriptors are found by the next check of the tables \
                        (tracepoints of io_uring, Linux 6.0)";

/// Programs that tell the moment and the peer of drops that are counted anyway: a run that the kernel skips loses no more than
/// that, and is no loss of a record.
pub(crate) const MOMENTS: &[Probe] = &[
    Probe {
        names: &["retransmit"],
        tracepoint: "tcp_retransmit_skb",
        tells: "SYNs that clients on this machine send again",
        without: Some(
            "clients whose SYN a full accept queue dropped are not seen (tracepoint tcp_retransmit_skb)",
        ),
    },
    Probe {
        names: &["dropped"],
        tracepoint: "kfree_skb",
        tells: "connections that a full accept queue drops",
        without: Some(
            "moment and peer of a connection that a full accept queue drops are not told (listener and reason in \
             kfree_skb, Linux 6.11)",
        ),
    },
];

/// Programs that run for every change of threads on a processor: only where asked for.
pub(crate) const SCHEDULER: &[Probe] = &[
    Probe {
        names: &["sched_switch"],
        tracepoint: "sched_switch",
        tells: "what threads that accept do",
        without: Some(NO_SCHEDULER),
    },
    Probe {
        names: &["sched_wakeup"],
        tracepoint: "sched_wakeup",
        tells: "when threads that accept are woken",
        without: Some(NO_SCHEDULER),
    },
];

const NO_SCHEDULER: &str =
    "what threads that accept do is not seen (tracepoints sched_switch and sched_wakeup, Linux 5.18)";

/// Programs that look at the first bytes of connections: only where asked for.
pub(crate) const FIRST_BYTES: &[Probe] = &[
    Probe {
        names: &["peek_exit"],
        tracepoint: "sys_exit",
        tells: "first bytes of connections, as calls return",
        without: Some(NO_FIRST_BYTES),
    },
    Probe {
        names: &["peek_enter"],
        tracepoint: "sys_enter",
        tells: "first bytes of connections, as calls begin",
        without: Some(NO_FIRST_BYTES),
    },
];

/// The program that reads the stacks of calls that make a descriptor: only where asked for. It is attached before the one that
/// tells the call.
pub(crate) const STACKS: &[Probe] = &[Probe {
    names: &["stack_exit"],
    tracepoint: "sys_exit",
    tells: "stacks of calls that make a descriptor",
    without: Some("from where descriptors are made is not told"),
}];

const NO_FIRST_BYTES: &str = "what is spoken on connections is not told (bpf_loop, Linux 5.17)";
