import type {
  Descriptor,
  Info,
  Line,
  Process,
  ServerMessage,
  Socket,
  Source,
  Status,
} from "../../src/protocol/types.gen.ts";

/** 2026-11-22T12:00:00Z. */
export const T0_NS = "1795348800000000000";
const MS = 1e6;

export type Change = Extract<ServerMessage, { kind: "change" }>;

/** Calls that make a descriptor, by the event that tells of them; what comes otherwise comes without one. */
const CALLS: Readonly<Record<string, string>> = {
  open: "openat",
  epoll: "epoll_create1",
  eventfd: "eventfd2",
  pipe: "pipe2",
  pass: "recvmsg",
};

/** What an address says of its socket. */
function kindOf(address: string): Pick<Socket, "family" | "protocol"> {
  if (address.startsWith("unix:")) return { family: "unix", protocol: null };
  return { family: address.startsWith("[") ? "inet6" : "inet", protocol: "tcp" };
}

/** What the kernel's number for it is called (`state_name` of tracer-model). */
function established({ family, type }: Socket): string {
  return family === "unix" || type === "dgram" ? "ESTAB" : "ESTABLISHED";
}

/** A session told by a script: each verb changes objects as the daemon would, and `take` gives what changed. */
export class FakeSession {
  readonly processes = new Map<string, Process>();
  readonly descriptors = new Map<string, Descriptor>();
  readonly sockets = new Map<string, Socket>();
  readonly lines: Line[] = [];
  readonly #revs = new Map<string, number>();
  #rev = 0;
  #ids = 0;
  #lost = 0;
  now = 0;
  /** After how many records the recording was cut off. */
  cutOff: number | undefined;
  keptSince = 0;
  /** What the kernel does not tell. */
  missing = [
    "operations of io_urings are not seen: their descriptors are found by the next check of the tables (tracepoints of io_uring, Linux 6.0)",
  ];

  constructor(
    readonly id = "fake-1",
    readonly source: Source = "live",
  ) {}

  get rev(): number {
    return this.#rev;
  }

  get status(): Status {
    return {
      now: this.now,
      rev: this.#rev,
      events: this.lines.length,
      lost: this.#lost,
      lost_by_cause: this.#lost > 0 ? [{ cause: "ring_full", count: this.#lost }] : [],
      doubtful: [...this.processes.values()].filter((one) => one.standing === "doubtful").length,
      repairs: 0,
      checks: 0,
      checks_ns: 0,
      kept: this.lines.length,
      first_seq: 1,
      kept_since: this.keptSince,
      ...(this.cutOff === undefined ? {} : { cut_off: this.cutOff }),
    };
  }

  get info(): Info {
    return {
      version: "0.1.0",
      session: this.id,
      source: this.source,
      selection: "all processes",
      t0_ns: T0_NS,
      now: this.now,
      attached: ["fentry:inet_csk_accept", "raw_tp:sched_process_fork"],
      missing: this.missing,
      status: this.status,
    };
  }

  /** Time goes on. */
  pass(ms: number): void {
    this.now += ms * MS;
  }

  process(pid: number, comm: string, more: Partial<Process> = {}): Process {
    const id = `${pid}@${5119676157000 + pid}`;
    const process: Process = {
      id,
      pid,
      ppid: 1,
      comm,
      exe: `/usr/sbin/${comm}`,
      ns_pid: pid,
      pidns: 4026531836,
      cgroup: `/system.slice/${comm}.service`,
      table: `t${pid}`,
      seen: this.now,
      ended: null,
      status: null,
      fd_limit: 1024,
      thread_tables: [],
      standing: "exact",
      repaired: null,
      why: null,
      since: null,
      ...more,
    };
    this.processes.set(id, process);
    this.#touch(id);
    return process;
  }

  exit(process: Process): void {
    process.ended = this.now;
    process.status = 0;
    for (const descriptor of this.descriptors.values()) {
      if (descriptor.table !== process.table || descriptor.closed !== null) continue;
      this.#empty(descriptor, "exit");
      const socket = this.sockets.get(descriptor.socket ?? "");
      if (socket?.holders === 0) {
        socket.closed_first ??= "local";
        socket.ended = this.now;
        if (socket.steps.at(-1)?.phase !== "closed") this.step(socket, "closed", "CLOSE");
      }
    }
    this.#touch(process.id);
    this.#line(process, { event: "exit", via: "exit", status: 0 });
  }

  exec(process: Process, comm: string): void {
    process.comm = comm;
    this.#touch(process.id);
    this.#line(process, { event: "exec", via: "exec" });
  }

  /** @param why A loss's cause, or `unread`. */
  doubt(process: Process, why: string): void {
    Object.assign(process, { standing: "doubtful", why, since: this.now });
    this.#touch(process.id);
  }

  /** A check finds every table as it was told. */
  check(): void {
    for (const process of this.processes.values()) {
      if (process.ended !== null || process.standing !== "doubtful") continue;
      Object.assign(process, { standing: "exact", why: null, since: null });
      this.#touch(process.id);
      this.#line(process, { event: "standing", via: "kernel", standing: "exact" });
    }
  }

  /** What every program begins with: 0, 1 and 2. */
  standard(process: Process): void {
    for (const fd of [0, 1, 2]) this.open(process, fd, "char_device", "/dev/null", "snapshot");
  }

  open(process: Process, fd: number, kind: string, name: string, by = "open", cloexec = false): Descriptor {
    const descriptor = this.#fill(process, fd, kind, name, by, null, cloexec);
    const call = CALLS[by];
    const made = call === undefined ? { fd, via: by } : { call, ret: fd, new_fd: fd, dur_ns: 5200 };
    this.#line(process, { event: by, path: name, kind, ...made });
    return descriptor;
  }

  socket(process: Process, fd: number, more: Partial<Socket> = {}): Socket {
    const socket = this.#socket("created", null, more);
    this.#fill(process, fd, "socket", "", "socket", socket.id, true);
    this.#line(process, {
      event: "socket",
      call: "socket",
      ret: fd,
      new_fd: fd,
      socket: socket.id,
      dur_ns: 2100,
    });
    return socket;
  }

  listen(process: Process, fd: number, local: string, backlog = 511): Socket {
    const socket = this.socket(process, fd, kindOf(local));
    this.pass(2);
    socket.local = local;
    this.step(socket, "bound", socket.family === "unix" ? "UNCONN" : "CLOSE");
    this.#line(process, {
      event: "bind",
      call: "bind",
      fd,
      ret: 0,
      socket: socket.id,
      local,
      asked: local,
      dur_ns: 900,
    });
    this.pass(2);
    Object.assign(socket, { backlog, queue_len: 0, queue_limit: backlog });
    this.step(socket, "listening", "LISTEN");
    this.#line(process, {
      event: "listen",
      call: "listen",
      fd,
      ret: 0,
      socket: socket.id,
      local,
      backlog,
      dur_ns: 700,
    });
    return socket;
  }

  /** A child that waits in its listener's queue. @param local Its own address, where that is not the listener's. */
  queue(listener: Socket, peer: string, local = listener.local): Socket {
    const { family, protocol } = listener;
    const child = this.#socket("queued", established(listener), {
      family,
      protocol,
      listener: listener.id,
      local,
      peer,
    });
    child.queued = this.now;
    child.ino = "0";
    listener.children += 1;
    listener.queue_len = (listener.queue_len ?? 0) + 1;
    this.#touch(listener.id);
    return child;
  }

  accept(process: Process, listener: Socket, child: Socket, fd: number, from = 6): Descriptor {
    child.accepted = this.now;
    child.wait_ns = this.now - (child.queued ?? this.now);
    child.accepted_by = process.id;
    this.step(child, "connected", established(child));
    listener.queue_len = Math.max(0, (listener.queue_len ?? 0) - 1);
    this.#touch(listener.id);
    const descriptor = this.#fill(process, fd, "socket", "", "accept", child.id, true);
    this.#line(process, {
      event: "accept",
      call: "accept4",
      fd: from,
      ret: fd,
      new_fd: fd,
      socket: child.id,
      listener: listener.id,
      local: child.local ?? "",
      peer: child.peer ?? "",
      wait_ns: child.wait_ns,
      dur_ns: 920,
    });
    return descriptor;
  }

  /** A client of a listener on the same host, on whose side it is accepted. */
  connect(process: Process, fd: number, listener: Socket, local: string): { client: Socket; child: Socket } {
    const unix = listener.family === "unix";
    const { local: peer } = listener;
    const client = this.socket(process, fd, { family: listener.family, protocol: listener.protocol });
    if (!unix) this.step(client, "connecting", "SYN_SENT");
    this.pass(0.08);
    Object.assign(client, { local, peer: peer?.replace("[::]", "[::1]") ?? null });
    const child = this.queue(listener, local, client.peer);
    if (unix) {
      client.other_end = child.id;
      child.other_end = client.id;
    }
    this.step(client, "connected", established(client));
    this.#line(process, {
      event: "connect",
      call: "connect",
      fd,
      ret: 0,
      socket: client.id,
      asked: client.peer ?? "",
      dur_ns: 80_000,
    });
    return { client, child };
  }

  /** Two unix sockets that are each other's other end (socketpair(2)). */
  pair(process: Process, first: number, second: number): readonly [Socket, Socket] {
    const unnamed = { family: "unix", protocol: null, local: "unix:", peer: "unix:" };
    const [one, two] = [
      this.#socket("connected", "ESTAB", unnamed),
      this.#socket("connected", "ESTAB", unnamed),
    ];
    one.other_end = two.id;
    two.other_end = one.id;
    this.#fill(process, first, "socket", "", "socketpair", one.id, true);
    this.#fill(process, second, "socket", "", "socketpair", two.id, true);
    this.#line(process, { event: "socketpair", call: "socketpair", ret: 0, fds: [first, second] });
    return [one, two];
  }

  /** A datagram socket with an address of its own; it may have a peer, too. */
  udp(process: Process, fd: number, local: string, peer?: string): Socket {
    const { family } = kindOf(local);
    const socket = this.socket(process, fd, { family, type: "dgram", protocol: "udp" });
    Object.assign(socket, { local, peer: peer ?? null });
    this.step(socket, peer === undefined ? "bound" : "connected", peer === undefined ? "UNCONN" : "ESTAB");
    return socket;
  }

  /** The kernel's counters of a connection are read. */
  read(socket: Socket, tcp: Omit<NonNullable<Socket["tcp"]>, "t">): void {
    socket.tcp = { t: this.now, ...tcp };
    this.#touch(socket.id);
  }

  step(socket: Socket, phase: string, state: string | null, error: string | null = null): void {
    socket.steps = [...socket.steps, { t: this.now, phase, state, error }];
    this.#touch(socket.id);
  }

  close(process: Process, descriptor: Descriptor, first: "local" | "peer"): void {
    this.#empty(descriptor, "close");
    const socket = descriptor.socket ? this.sockets.get(descriptor.socket) : undefined;
    if (socket) {
      socket.closed_first ??= first;
      this.step(socket, "closing", first === "peer" ? "LAST_ACK" : "FIN_WAIT1");
      this.pass(1);
      socket.ended = this.now;
      this.step(socket, "closed", "CLOSE");
    }
    this.#line(process, {
      event: "close",
      call: "close",
      fd: descriptor.fd,
      ret: 0,
      ...(socket ? { socket: socket.id, closed_first: first } : {}),
      dur_ns: 1300,
    });
  }

  fork(parent: Process, pid: number): Process {
    const child = this.process(pid, parent.comm, { ppid: parent.pid });
    for (const descriptor of [...this.descriptors.values()]) {
      if (descriptor.table !== parent.table || descriptor.closed !== null) continue;
      this.#fill(
        child,
        descriptor.fd,
        descriptor.kind,
        descriptor.name,
        "fork",
        descriptor.socket,
        descriptor.cloexec,
      );
    }
    this.#line(parent, { event: "fork", call: "clone", ret: pid, child: child.id, dur_ns: 84000 });
    return child;
  }

  fail(process: Process, line: Partial<Line>): void {
    this.#line(process, { event: "bind", ...line });
  }

  /** A listener turns clients away. */
  overflow(process: Process, listener: Socket, drops: number): void {
    listener.drops = (listener.drops ?? 0) + drops;
    this.#touch(listener.id);
    this.#line(process, {
      event: "overflow",
      via: "kernel",
      listener: listener.id,
      socket: listener.id,
      local: listener.local ?? "",
      queue_len: listener.queue_len ?? 0,
      queue_limit: listener.queue_limit ?? 0,
      drops,
    });
  }

  /** Records are lost, and with them the certainty of every table (`lost` of tracer-model). */
  lose(count: number): void {
    this.#lost += count;
    for (const process of this.processes.values())
      if (process.ended === null && process.standing !== "doubtful") this.doubt(process, "ring_full");
    this.#push({ event: "lost", via: "kernel", count, cause: "ring_full" });
  }

  evict(id: string): void {
    this.processes.delete(id);
    this.descriptors.delete(id);
    this.sockets.delete(id);
  }

  /** What changed after a revision. */
  change(from: number, fromSeq: number): Change {
    const dirty = <T extends { id: string }>(all: Map<string, T>) =>
      [...all.values()].filter((one) => (this.#revs.get(one.id) ?? 0) > from);
    return structuredClone({
      kind: "change",
      from,
      to: this.#rev,
      processes: dirty(this.processes),
      descriptors: dirty(this.descriptors),
      sockets: dirty(this.sockets),
      events: this.lines.slice(fromSeq),
      skipped: 0,
      more: false,
      status: this.status,
    });
  }

  #touch(id: string): void {
    this.#rev += 1;
    this.#revs.set(id, this.#rev);
  }

  #next(letter: string): string {
    this.#ids += 1;
    return `${letter}${this.#ids}`;
  }

  #socket(phase: string, state: string | null, more: Partial<Socket>): Socket {
    const socket: Socket = {
      id: this.#next("s"),
      family: "inet",
      type: "stream",
      protocol: "tcp",
      netns: 4026531840,
      ino: String(81000 + this.#ids),
      local: null,
      peer: null,
      options: [],
      steps: [{ t: this.now, phase, state, error: null }],
      listener: null,
      inferred: false,
      children: 0,
      backlog: null,
      queue_len: null,
      queue_limit: null,
      queued: null,
      accepted: null,
      wait_ns: null,
      closed_first: null,
      holders: 0,
      ended: null,
      ...more,
    };
    this.sockets.set(socket.id, socket);
    this.#touch(socket.id);
    return socket;
  }

  #fill(
    process: Process,
    fd: number,
    kind: string,
    name: string,
    by: string,
    socket: string | null,
    cloexec: boolean,
  ): Descriptor {
    const descriptor: Descriptor = {
      id: this.#next("d"),
      table: process.table,
      fd,
      file: this.#next("f"),
      kind,
      name,
      ino: String(90000 + this.#ids),
      dev: "0:9",
      cloexec,
      opened: this.now,
      opened_by: by,
      closed: null,
      closed_by: null,
      socket,
    };
    this.descriptors.set(descriptor.id, descriptor);
    const held = socket ? this.sockets.get(socket) : undefined;
    if (held) {
      held.holders += 1;
      this.#touch(held.id);
    }
    this.#touch(descriptor.id);
    return descriptor;
  }

  #empty(descriptor: Descriptor, by: string): void {
    descriptor.closed = this.now;
    descriptor.closed_by = by;
    const held = descriptor.socket ? this.sockets.get(descriptor.socket) : undefined;
    if (held) {
      held.holders -= 1;
      this.#touch(held.id);
    }
    this.#touch(descriptor.id);
  }

  #line(process: Process, line: Partial<Line> & { event: string }): void {
    this.#push({
      process: process.id,
      pid: process.pid,
      tid: process.pid,
      comm: process.comm,
      via: "syscall",
      ...line,
    });
  }

  #push(line: Partial<Line> & { event: string }): void {
    const seq = this.lines.length + 1;
    this.lines.push({ via: "syscall", ...line, seq, ts_ns: Number(T0_NS) + this.now, t: this.now });
    this.#rev += 1;
  }
}
