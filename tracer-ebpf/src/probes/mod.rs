//! The programs, one file a family. What is attached to what, since when, and why:
//!
//! | program | tracepoint | kernels | why this one |
//! |---|---|---|---|
//! | `call_enter`, `call_exit` | `raw_syscalls:sys_enter`, `sys_exit` as `tp_btf` | 5.5 | no tracefs, no patched kernel text |
//! | `fork` | `sched_process_fork` | 5.5 | the child's table exists and the child has not run yet |
//! | `exec` | `sched_process_exec` | 5.5 | close-on-exec descriptors are closed by now |
//! | `exit` | `sched_process_exit` | 5.5 | runs for every way to die |
//! | `state`, `state_again` | `inet_sock_set_state` | 5.11 | every TCP state passes here; a child is in its queue when established |
//! | `ring_submit` | `io_uring_submit_req`, before 6.4 `io_uring_submit_sqe` | 6.0 | a number is empty from here on, if it is closed |
//! | `ring_create`, `ring_register` | `io_uring_create`, `io_uring_register` | 6.0 | a ring has its number, its file table is changed |
//! | `ring_refused` | `io_uring_req_failed` | 6.0 | a request that is refused keeps its number no longer than this |
//! | `ring_complete`, `ring_complete_values` | `io_uring_complete` | 6.0 | carries the result; arguments changed in 6.16 |
//! | `ring_overflow` | `io_uring_cqe_overflow` | 6.0 | completions that find the queue full |
//! | `retransmit` | `tcp_retransmit_skb` | 4.15 | a client's SYN that a listener on this machine did not answer |
//! | `dropped` | `kfree_skb` | 6.11 with the listener | the moment at which a full queue dropped a handshake's last segment |
//! | `sched_switch`, `sched_wakeup` | the tracepoints of that name | 5.18 | only where asked for: what a thread that accepts does |
//! | `peek_enter`, `peek_exit` | `raw_syscalls:sys_enter`, `sys_exit` | 5.17 | only where asked for: first bytes of connections |
//! | `stack_exit` | `raw_syscalls:sys_exit` | 5.5 | only where asked for: from where a descriptor was made |
//! | `snapshot` | iterator `task_file` | 5.8 | reads tables without a race with `/proc` |
//! | `look` | iterator `task_file` | 5.8 | who holds a port or a name, whether or not it is followed |
//! | `leftovers` | iterator `tcp` | 5.9 | connections that nobody holds: `TIME_WAIT` and its kin |
//! | `listener_row` | none: user space runs it | 5.17 | reads queues of every namespace, also where nobody accepts |

mod addfd;
mod call;
mod dropped;
pub(crate) mod fanotify;
mod found;
mod let_down;
mod listeners;
mod look;
mod outcome;
mod passed;
mod peek;
mod process;
mod queue;
mod ring;
mod ring_files;
mod ring_request;
mod ring_told;
mod ring_waiting;
mod sched;
mod snapshot;
mod stack;
mod wanted;

pub(crate) use addfd::Search;
pub(crate) use passed::{PASSING_LEN, Room, SENT_LEN, Walk};
pub(crate) use peek::Looking;
