import { doubtWord, exitWord } from "../a11y/sentences.ts";
import { visible } from "../base/escape.ts";
import { count, duration } from "../base/time.ts";
import type { Line } from "../protocol/types.gen.ts";

/** One event for those who learn: what happened, and why that is so. */
export interface Told {
  readonly what: string;
  /** The rule behind it, with its source; empty where the sentence says it all. */
  readonly why: string;
}

const LOWEST =
  "The kernel gives the lowest number that is free (open(2), socket(2): the lowest-numbered descriptor).";

/** An event as a sentence. */
export function tell(line: Line): Told {
  if (line.event === "lost") {
    return told(
      `${count(line.count ?? 0)} ${line.count === 1 ? "record was" : "records were"} lost here.`,
      "What happened meanwhile is not known: events of this server may be missing. Tables are compared with the kernel's and set right.",
    );
  }
  if (line.pending)
    return told(`${call(line)} waits.`, "It has not returned yet; a second line comes when it does.");
  if (line.error && line.call) return failed(line);
  return TELL[line.event]?.(line) ?? other(line);
}

function told(what: string, why = ""): Told {
  return { what, why };
}

const address = (text: string | undefined) => (text ? visible(text) : "no address");
const name = (line: Line) => line.call ?? line.event;
const call = (line: Line) => `${line.call ?? line.event}(${line.fd === undefined ? "" : line.fd})`;
const given = (line: Line) => line.new_fd ?? line.ret ?? "?";

const TELL: Readonly<Record<string, (line: Line) => Told>> = {
  socket: (line) =>
    told(
      `socket() made a ${line.protocol ?? line.type ?? ""} socket and gave it descriptor ${given(line)}.`,
      `It has no address yet and nobody can reach it. ${LOWEST}`,
    ),
  socketpair: (line) =>
    told(`socketpair() made two sockets that are connected to each other: descriptors ${numbers(line)}.`),
  bind: (line) =>
    told(
      `bind() gave descriptor ${line.fd} the address ${address(line.local)}.`,
      "Only the address is taken; clients are still refused (bind(2)).",
    ),
  listen: (line) =>
    told(
      `listen() made descriptor ${line.fd} wait for clients on ${address(line.local)}${line.queue_limit === undefined ? "" : `; queue limit ${count(line.queue_limit)}`}.`,
      "From now on the kernel answers clients by itself and queues those that are connected. The limit is the smaller of the backlog and net.core.somaxconn (listen(2)); the queue holds one more (include/net/sock.h, sk_acceptq_is_full; net/unix/af_unix.c, unix_recvq_full).",
    ),
  queued: (line) =>
    told(
      `${address(line.peer)} is connected and waits in the queue of ${address(line.local)}.`,
      "The kernel finished the handshake without the server: the client may send already.",
    ),
  accept: (line) =>
    told(
      `${name(line)}() took ${address(line.peer)}${line.wait_ns === undefined ? "" : `, which had waited ${duration(line.wait_ns)},`} out of the queue and gave it descriptor ${given(line)}.`,
      `It is a new socket with the listener's own port; descriptor ${line.fd} goes on listening (accept(2)). ${LOWEST}`,
    ),
  connect: (line) =>
    told(
      `connect() of descriptor ${line.fd} reached ${address(line.peer ?? line.asked)}${line.local ? ` from ${address(line.local)}` : ""}.`,
      "A socket without an address gets one from the kernel then (ip(7), ip_local_port_range).",
    ),
  close: closed,
  shutdown: (line) =>
    told(
      `shutdown() ended descriptor ${line.fd} for ${WAYS[line.how ?? ""] ?? "both directions"}.`,
      "The descriptor stays; only what goes through it ends (shutdown(2)).",
    ),
  dup: (line) =>
    told(
      `${name(line)}() made descriptor ${given(line)} another number of what ${line.fd} stands for.`,
      "Both share one open file: offset and flags, but not close-on-exec (dup(2)).",
    ),
  open: (line) => told(`${name(line)}() opened ${address(line.path)} as descriptor ${given(line)}.`, LOWEST),
  fork: (line) =>
    told(
      `${name(line)}() made a child process, ${line.child?.split("@")[0] ?? line.ret ?? "?"}${line.fds ? `, which has descriptors ${line.fds.join(", ")} too` : ""}.`,
      "The child has a copy of the table; each copy stands for the same open file, a listener's queue included (fork(2)).",
    ),
  exec: (line) =>
    told(
      `The process runs ${address(line.path)} now${line.fds ? `; descriptors ${line.fds.join(", ")} were closed` : ""}.`,
      "Descriptors stay open across an exec unless they are marked close-on-exec (execve(2), O_CLOEXEC).",
    ),
  exit: (line) =>
    told(
      `The process ended${exitWord(line.status ?? null)}${line.fds ? `; descriptors ${line.fds.join(", ")} were closed` : ""}.`,
      "The kernel closes whatever is still open (_exit(2)).",
    ),
  pass: (line) =>
    line.dir === "out"
      ? told(
          `Descriptors ${numbers(line)} were sent over descriptor ${line.fd}.`,
          "The receiver gets numbers of its own for the same open files (unix(7), SCM_RIGHTS).",
        )
      : told(
          `Descriptor ${numbers(line)} was received from another process.`,
          "It stands for the sender's open file, under the lowest number that is free here (unix(7), SCM_RIGHTS).",
        ),
  state: (line) =>
    told(
      `The ${line.peer ? `connection with ${address(line.peer)}` : "socket"} ${line.from ? `went from ${line.from} to` : "stays"} ${line.to ?? "?"}${line.error ? `: ${visible(line.error)}` : ""}.`,
      line.from
        ? (STATES[line.to ?? ""] ?? "")
        : "A unix socket keeps its state when the other end goes; who reads or writes finds out.",
    ),
  setsockopt: (line) =>
    told(`setsockopt() set ${line.option ?? "an option"} of descriptor ${line.fd} to ${line.value ?? "?"}.`),
  setfd: (line) =>
    told(
      `Descriptor ${line.fd} ${line.cloexec ? "closes" : "stays open"} when the process runs another program.`,
      "Close-on-exec belongs to the number, not to the open file (fcntl(2), F_SETFD).",
    ),
  setfl: (line) =>
    told(
      `Calls on descriptor ${line.fd} ${line.nonblock ? "do not wait" : "wait"} from now on.`,
      "O_NONBLOCK belongs to the open file: it holds for every number that shares it (fcntl(2), F_SETFL).",
    ),
  lseek: (line) => told(`lseek() moved in descriptor ${line.fd}.`),
  snapshot: (line) =>
    told(
      line.fd === undefined
        ? `${line.local ? `The socket of ${address(line.local)}` : "A socket"} was there when tracing began.`
        : `Descriptor ${line.fd} was open when tracing began: ${line.path ? visible(line.path) : address(line.local ?? line.kind)}.`,
    ),
  repair: (line) =>
    told(`Descriptor ${line.fd ?? "?"} was not what had been told; the kernel's table set it right.`),
  overflow: (line) =>
    told(
      line.drops === undefined
        ? `${address(line.peer)} met a full queue on ${address(line.local)} and was dropped.`
        : `${address(line.local)} dropped ${count(line.drops)} ${line.drops === 1 ? "packet" : "packets"}, with ${line.queue_len ?? "?"} in the queue.`,
      line.queue_full_max === 0
        ? "None of what it dropped so far met a full queue. A listener drops for other reasons, too: a filter, or a signature that is missing, for two (SO_ATTACH_FILTER, socket(7); TCP_MD5SIG, tcp(7))."
        : "A full queue lets nobody in: the kernel drops what clients send, as if it had been lost, and they send it again (listen(2), net/ipv4/tcp_input.c, tcp_conn_request).",
    ),
  retransmit: (line) =>
    told(
      `${address(line.local)} got no answer from ${address(line.peer)} and asked for the connection again.`,
      "A first segment without an answer is sent again after about a second, and later after longer and longer (tcp(7), tcp_syn_retries; tcp_syn_linear_timeouts).",
    ),
  spoken: (line) =>
    told(
      line.app_protocol === "unknown" || line.app_protocol === undefined
        ? `What is spoken with ${address(line.peer)} is not known.`
        : `${visible(line.app_protocol)} is spoken with ${address(line.peer)}${line.sni === undefined ? "" : `, for the server name ${visible(line.sni)}`}.`,
      "The first bytes of a connection tell; the kernel itself knows nothing of it.",
    ),
  standing: (line) =>
    told(
      line.standing === "exact"
        ? "What is told of the table is certain again."
        : line.standing === "repaired"
          ? `What is told of the table is right again; ${count(line.repaired ?? 0)} differences were found so far.`
          : `What is told of the table may be wrong: ${doubtWord(line.why)}.`,
      "The table is compared with the kernel's own after every loss, and from time to time.",
    ),
  register: (line) =>
    told(
      `An entry of an io_uring's own file table was ${line.new_direct === undefined ? "emptied" : "filled"}.`,
      "Such an entry has no descriptor number (io_uring_register(2)).",
    ),
  unshare: () => told("The thread has a descriptor table of its own now.", "unshare(2), CLONE_FILES."),
};

const WAYS: Readonly<Record<string, string>> = {
  SHUT_RD: "reading",
  SHUT_WR: "writing",
  SHUT_RDWR: "both directions",
};

const STATES: Readonly<Record<string, string>> = {
  SYN_SENT: "A first segment asks for a connection (RFC 9293, section 3.5).",
  ESTABLISHED: "The handshake is done; both sides may send.",
  FIN_WAIT1: "This side said that it sends nothing more.",
  FIN_WAIT2: "The peer knows; it may still send.",
  CLOSE_WAIT: "The peer said that it sends nothing more; this side may still send, until it closes.",
  LAST_ACK: "Both sides said so; the last answer is awaited.",
  TIME_WAIT:
    "The side that closed first waits, so that late segments meet nobody else (RFC 9293, section 3.6).",
  LISTEN: "The kernel answers whoever asks for a connection now.",
  CLOSE: "Nothing is left of the connection.",
};

function closed(line: Line): Told {
  const by = { exec: " by an exec", exit: " by the end of the process" }[line.via] ?? "";
  const first = line.closed_first
    ? ` ${line.closed_first === "peer" ? "The peer" : "This side"} closed first.`
    : "";
  return told(
    `Descriptor ${line.fds?.join(", ") ?? line.fd} was closed${by}.${first}`,
    "The number is free again. A socket ends when no descriptor of any process stands for it any more (close(2)).",
  );
}

function failed(line: Line): Told {
  const asked = line.asked ?? line.path;
  const what = `${call(line)}${asked ? ` for ${address(asked)}` : ""} failed: ${visible(line.error ?? "")}.`;
  if (line.explain) return told(what, `Why: ${visible(line.explain.text)}.`);
  return told(what, ERRORS[`${line.event} ${line.error}`] ?? ERRORS[line.error ?? ""] ?? "");
}

const ERRORS: Readonly<Record<string, string>> = {
  EADDRINUSE: "Another socket has that address (bind(2)).",
  ECONNREFUSED: "Nobody listens there, or what is on the way refuses (connect(2)).",
  EMFILE: "The process has as many descriptors as it may have (getrlimit(2), RLIMIT_NOFILE).",
  EAGAIN: "There is nothing to do now, and the descriptor is not to wait (O_NONBLOCK).",
  EINPROGRESS: "The connection is being made; the verdict comes later (connect(2)).",
  EBADF: "No open descriptor has that number.",
  EACCES: "The process may not do that.",
  "lseek ESPIPE": "A socket is a stream: there is no place in it to go to (lseek(2)).",
};

function numbers(line: Line): string {
  return line.fds?.join(" and ") ?? String(line.new_fd ?? line.fd ?? "?");
}

function other(line: Line): Told {
  const made = line.new_fd === undefined ? "" : ` and gave it descriptor ${line.new_fd}`;
  const kind = (line.kind ?? line.event).replaceAll("_", " ");
  return line.call ? told(`${name(line)}() made ${kind}${made}.`, made ? LOWEST : "") : told(`${kind}.`);
}
