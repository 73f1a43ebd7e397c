// Generated from tracer-user/wire by `BLESS=1 cargo test -p tracer-wire`; do not edit.

/**
 * Who accepts.
 */
export type Balance = {
/**
 * Listeners that share an address by `SO_REUSEPORT` are one group; others are one each.
 */
groups: Array<Group>,
/**
 * What the answer rests on.
 */
basis: Basis, };

/**
 * What an answer rests on.
 */
export type Basis = {
/**
 * The instant that it is about.
 */
at: When,
/**
 * What was looked at: `every process`, or what is followed, as the user asked for it.
 */
scope: string,
/**
 * What it cannot know, in sentences.
 */
caveats: Array<string>, };

/**
 * Page to server.
 */
export type ClientMessage = { "kind": "hello",
/**
 * Session and revision to continue from.
 */
resume: Resume | null, } | { "kind": "ack",
/**
 * The change's `to`; the `rev` of what is kept.
 */
rev: number, };

/**
 * A connection: the ends of it that are known.
 */
export type Connection = {
/**
 * The end that connected; of a pair of sockets the one that was made first.
 */
client?: ConnectionEnd,
/**
 * The end that a listener made.
 */
server?: ConnectionEnd,
/**
 * What is spoken, as the ends tell it: `http/1`, `http/2`, `websocket`, `tls`, `redis`, `postgresql`, or `unknown`; absent
 * where first bytes are not looked at (`--peek`).
 */
app_protocol?: string,
/**
 * `tls`: the server's name that the client asks for, as far as it is known.
 */
sni?: string,
/**
 * The name goes on.
 */
sni_cut?: boolean,
/**
 * Who closed first: `client` or `server`, as far as is known.
 */
closed_first?: string,
/**
 * When.
 */
closed_at?: When, };

/**
 * One end.
 */
export type ConnectionEnd = {
/**
 * Its socket.
 */
socket: Socket,
/**
 * Processes that have or last had it.
 */
owners: Array<Party>,
/**
 * The kernel's counters, at its end, or while it is open as they were read for the answer. Of TCP alone.
 */
tcp?: Tcp,
/**
 * When it ended.
 */
ended?: When, };

/**
 * Connections with their ends.
 */
export type Connections = {
/**
 * In the order in which they began; beyond a thousand the newest.
 */
connections: Array<Connection>,
/**
 * How many are left out.
 */
left_out: number,
/**
 * What the answer rests on.
 */
basis: Basis, };

/**
 * A descriptor: one slot of one table, from filled to emptied.
 */
export type Descriptor = {
/**
 * `d7`.
 */
id: string,
/**
 * Table.
 */
table: string,
/**
 * Number.
 */
fd: number,
/**
 * Open file description (`f12`): descriptors with the same one are duplicates of each other.
 */
file: string,
/**
 * Kind of the file, as in events.
 */
kind: string,
/**
 * Path or name; empty for a socket. Not markup: hostile text.
 */
name: string,
/**
 * Inode number, decimal.
 */
ino: string,
/**
 * Device of the inode, `major:minor`.
 */
dev: string,
/**
 * Close-on-exec.
 */
cloexec: boolean,
/**
 * When it was filled.
 */
opened: number,
/**
 * How: an event's name, or `fork`, `snapshot`, `repair`.
 */
opened_by: string,
/**
 * When it was emptied.
 */
closed: number | null,
/**
 * How: `close`, `dup`, `exec`, `exit`, `repair`.
 */
closed_by: string | null,
/**
 * The socket behind it.
 */
socket: string | null, };

/**
 * `GET /api/v1/descriptors?process=&at=`: one process's tables at an instant.
 */
export type Descriptors = {
/**
 * The process.
 */
process: Process,
/**
 * The instant.
 */
at: number,
/**
 * The descriptors at that instant, by number: of the process's own table, then of each table of its threads.
 */
descriptors: Array<Descriptor>,
/**
 * Entries of the file tables of its io_urings at that instant, by ring and index.
 */
direct: Array<Direct>,
/**
 * The sockets behind them.
 */
sockets: Array<Socket>, };

/**
 * A descriptor without a number: an entry of an io_uring's file table.
 */
export type Direct = {
/**
 * `d7`.
 */
id: string,
/**
 * The number that the ring has, where that is known.
 */
ring: number | null,
/**
 * Index in the ring's file table.
 */
direct: number,
/**
 * Open file description (`f12`).
 */
file: string,
/**
 * Kind of the file, as in events.
 */
kind: string,
/**
 * Path or name; empty for a socket. Not markup: hostile text.
 */
name: string,
/**
 * Inode number, decimal.
 */
ino: string,
/**
 * When it was filled.
 */
opened: number,
/**
 * How: an event's name or `snapshot`.
 */
opened_by: string,
/**
 * The socket behind it.
 */
socket: string | null, };

/**
 * What a listener dropped.
 */
export type Drops = {
/**
 * Packets, by the listener's own counter (`sk_drops`), since it was first sampled.
 */
total: number,
/**
 * When that was.
 */
since?: When,
/**
 * How many met a full queue, at least.
 */
queue_full_min?: number,
/**
 * At most.
 */
queue_full_max?: number,
/**
 * How many the counter has twice: the last segment of a handshake counts as a connection and as a packet.
 */
counted_twice: number,
/**
 * How many were dropped for another reason, at least.
 */
other_min?: number,
/**
 * At most.
 */
other_max?: number,
/**
 * How far `ListenOverflows` of the network namespace grew meanwhile, for all its listeners.
 */
host_overflows?: number,
/**
 * The sample that told of the newest.
 */
noticed?: When,
/**
 * Dropped connections whose moment and peer the kernel told; of the others both are unknown.
 */
moments: number,
/**
 * The newest of those.
 */
refused: Array<RefusedClient>,
/**
 * SYNs that clients on this machine sent again.
 */
sent_again: number,
/**
 * The newest of those.
 */
clients: Array<RefusedClient>, };

/**
 * Who else has a descriptor of a pipe, a message queue or the like.
 */
export type End = {
/**
 * `pid@start`.
 */
process: string,
/**
 * Thread group id.
 */
pid: number,
/**
 * Name.
 */
comm: string,
/**
 * Number of the descriptor.
 */
fd: number,
/**
 * `r`, `w` or `u`.
 */
access?: string, };

/**
 * `GET /api/v1/events?from_seq=&to_seq=&limit=&filter=&from=&to=`.
 */
export type Events = {
/**
 * Lines as `sockreel dump --json` prints them.
 */
events: Array<Line>,
/**
 * `from_seq` of the next page; null at the end.
 */
next_seq: number | null, };

/**
 * Why a call failed or a connection broke.
 */
export type Explained = {
/**
 * The explanation as a sentence.
 */
text: string,
/**
 * Its cause by name: `address_held`, `nobody_listens`, `table_full` ...
 */
cause: string,
/**
 * The same failure was explained in full a moment before, by the event in `events`.
 */
again?: boolean,
/**
 * `EADDRINUSE`: options of the socket that asked, those that are set.
 */
options?: Array<string>,
/**
 * The sockets that it rests on, the most telling first; at most 8.
 */
sockets?: Array<ExplainedSocket>,
/**
 * How many more of these there are.
 */
more?: number,
/**
 * `EMFILE`: the limit on descriptors; `ENFILE`: on open files of the machine.
 */
limit?: number,
/**
 * The limit was concluded: below it every number is taken.
 */
limit_inferred?: boolean,
/**
 * How many are in use.
 */
used?: number,
/**
 * `EMFILE`: what fills the table, most first; at most 8.
 */
kinds?: Array<ExplainedKind>,
/**
 * When the oldest of the most frequent was made; nanoseconds since the Unix epoch.
 */
since_ns?: number,
/**
 * How often the same call failed in the same way without a pause of a second, this one included.
 */
failures?: number,
/**
 * For how long.
 */
failing_ns?: number,
/**
 * How long before this event what explains it happened.
 */
ago_ns?: number,
/**
 * `EACCES`: the first port that everybody may bind (`ip_unprivileged_port_start`).
 */
first_port?: number,
/**
 * The events that it rests on, by `seq`.
 */
events?: Array<number>,
/**
 * What was not seen and might say more: `unfollowed`, `cut_short`, `leftovers_elsewhere`, `searches`,
 * `reads_and_writes`, `peer`, `limit`.
 */
unseen?: Array<string>, };

/**
 * A descriptor that holds a socket.
 */
export type ExplainedHolder = {
/**
 * `pid@start`.
 */
process: string,
/**
 * Thread group id.
 */
pid: number,
/**
 * Name of the process.
 */
comm: string,
/**
 * Number of the descriptor.
 */
fd: number, };

/**
 * Descriptors of one kind that one call made.
 */
export type ExplainedKind = {
/**
 * What they hold: `socket`, `file` ...
 */
kind: string,
/**
 * What made them: `accept`, `open` ...
 */
by: string,
/**
 * How many.
 */
count: number, };

/**
 * A socket that an explanation rests on.
 */
export type ExplainedSocket = {
/**
 * The socket (`s41`), where it is a followed process's.
 */
socket?: string,
/**
 * Local address.
 */
local?: string,
/**
 * Peer's address.
 */
peer?: string,
/**
 * State.
 */
state?: string,
/**
 * Network namespace (inode number).
 */
netns: number,
/**
 * Options that are set.
 */
options?: Array<string>,
/**
 * What its address has to do with the one that was asked for: `same`, `wildcard`, `dual_stack`.
 */
relation?: string,
/**
 * Who holds it, or held it last; at most 8.
 */
holders?: Array<ExplainedHolder>, };

/**
 * Accepts that failed.
 */
export type FailedAccept = {
/**
 * Name of the error.
 */
error: string,
/**
 * How often.
 */
count: number,
/**
 * The last time.
 */
last: When, };

/**
 * Descriptor tables at an instant, or what changed between two.
 */
export type Fds = {
/**
 * Only what changed since this moment, where that was asked for.
 */
since?: When,
/**
 * One a process, in the order of their numbers.
 */
tables: Array<Table>,
/**
 * What the answer rests on.
 */
basis: Basis, };

/**
 * A limit that an accept queue had.
 */
export type FormerLimit = {
/**
 * Until when.
 */
until: number,
/**
 * The limit: the queue held one more.
 */
limit: number, };

/**
 * A place in a program.
 */
export type Frame = {
/**
 * Path of the mapped file; absent for code that is no file's.
 */
file?: string,
/**
 * Place in the file, bytes; without a file the address. In hexadecimal digits: a JSON number is exact up to 2^53 only.
 */
offset: string,
/**
 * The function, where the file has a symbol for it.
 */
symbol?: string,
/**
 * Place in the function, bytes.
 */
symbol_offset?: number, };

/**
 * Listeners of one address.
 */
export type Group = {
/**
 * Its listeners, in the order in which they were made.
 */
members: Array<Member>,
/**
 * Threads that accept, and processes that could and did not.
 */
workers: Array<Worker>,
/**
 * What is wrong, if anything.
 */
findings: Array<Imbalance>, };

/**
 * Descriptors of one kind, made by one call, of which some are left open again and again.
 */
export type Growing = {
/**
 * Whose.
 */
process: Party,
/**
 * What they hold: `socket`, `file` ...
 */
kind: string,
/**
 * The event of the call that made them: `accept`, `open` ...
 */
by: string,
/**
 * How many were left in `over_ns`.
 */
left: number,
/**
 * How many were made in that time, as far as those that were closed are kept.
 */
made: number,
/**
 * Of that time not all that were closed are kept: more may have been made, and one of them may have been open for longer.
 */
made_at_least: boolean,
/**
 * The time that was judged.
 */
over_ns: number,
/**
 * Longest time that one of them was open and was then closed; absent where none was.
 */
longest_ns?: number,
/**
 * When the first that is left was made.
 */
since: When,
/**
 * When the last of that kind was made, left or not, if that is longer ago than a seventh of `over_ns`: what is left is there,
 * but it grows no more. Absent: it does.
 */
stopped?: When,
/**
 * Which threads made them, most first; of the newest 64, as far as their events are kept.
 */
threads: Array<Thread>,
/**
 * Some of them, newest first.
 */
newest: Array<Left>,
/**
 * From where they were made, most first; absent where stacks are not read (`--stacks`).
 */
stacks?: Array<MadeAt>, };

/**
 * One socket and its owners.
 */
export type Handover = {
/**
 * The socket.
 */
socket: Socket,
/**
 * Since when it listens, where that was seen.
 */
listening?: When,
/**
 * Its owners in the order in which they came by it, those that gave it up included.
 */
owners: Array<Owner>,
/**
 * What is noteworthy.
 */
findings: Array<Noteworthy>, };

/**
 * Sockets that took connections or datagrams for several processes.
 */
export type Handovers = {
/**
 * In the order in which they were first seen.
 */
sockets: Array<Handover>,
/**
 * What the answer rests on.
 */
basis: Basis, };

/**
 * A socket and who holds it.
 */
export type Held = {
/**
 * The socket.
 */
socket: Socket,
/**
 * Since when it has the address; absent where it had it when tracing began.
 */
bound?: When,
/**
 * Since when it listens, likewise.
 */
listening?: When,
/**
 * Who holds it.
 */
holders: Array<Holder>,
/**
 * Who holds it and is not followed.
 */
others: Array<Other>,
/**
 * Who held it before.
 */
former: Array<Holder>,
/**
 * When it ended.
 */
ended?: When, };

/**
 * A socket and who holds it.
 */
export type HeldSocket = {
/**
 * The socket.
 */
socket: Socket,
/**
 * Who holds it; nobody while it waits in an accept queue, or is brought to an end by the kernel.
 */
holders: Array<Holder>, };

/**
 * Sockets at an instant.
 */
export type HeldSockets = {
/**
 * In the order in which they were first seen.
 */
sockets: Array<HeldSocket>,
/**
 * What the answer rests on.
 */
basis: Basis, };

/**
 * A process that holds or held something through a descriptor.
 */
export type Holder = {
/**
 * `pid@start`.
 */
process: string,
/**
 * Thread group id.
 */
pid: number,
/**
 * Its number as itself sees it (pid_namespaces(7)), where that is another.
 */
ns_pid?: number,
/**
 * Name.
 */
comm: string,
/**
 * Its control group: a path from the root of the cgroup2 hierarchy (cgroups(7)), where known.
 */
cgroup?: string,
/**
 * Number of the descriptor.
 */
fd: number,
/**
 * Close-on-exec.
 */
cloexec: boolean,
/**
 * Since when; at the latest, where `how` is `snapshot` or `repair`.
 */
since: When,
/**
 * How it came by it: the call's event (`socket`, `accept`, `dup`, ...), `fork` (inherited), `pass` (over `SCM_RIGHTS`, by
 * pidfd_getfd(2) or a seccomp supervisor), `snapshot` (it had it when tracing began), `repair` (a check found it).
 */
how: string,
/**
 * `how` and `from` were concluded: when tracing began, its parent had the same open file under the same number.
 */
inferred?: boolean,
/**
 * Whom it has it from: the process that forked it, or that passed it.
 */
from?: Party,
/**
 * When it ceased to hold it.
 */
until?: When,
/**
 * How: `close`, `dup`, `exec`, `exit`, `repair`, `unshare` (it has a copy since then).
 */
until_by?: string,
/**
 * Programs that it executed with the descriptor open.
 */
kept_across?: Array<Kept>, };

/**
 * How often, and when last.
 */
export type HowOften = {
/**
 * How often.
 */
count: number,
/**
 * The last time.
 */
last: When, };

/**
 * A connection whose peer hung up.
 */
export type HungUp = {
/**
 * The socket.
 */
socket: Socket,
/**
 * Who holds it.
 */
holders: Array<Holder>,
/**
 * When the peer's FIN came; before that, where `found`.
 */
since: When,
/**
 * It was found so when tracing began, or by a check: it is older.
 */
found: boolean,
/**
 * How long ago.
 */
age_ns: number,
/**
 * The process that hung up, where it is followed.
 */
peer?: Party, };

/**
 * What is wrong with a group.
 */
export type Imbalance = {
/**
 * `stranded`: connections wait at one of several listeners, where nobody accepts; `idle`: a process never accepts while
 * others do; `herd`: threads are woken for connections that another one takes.
 */
kind: string,
/**
 * The same for people.
 */
text: string,
/**
 * The listener.
 */
listener?: string,
/**
 * The processes.
 */
processes: Array<Party>,
/**
 * Connections that wait, what others accepted, or wake-ups for nothing.
 */
count: number,
/**
 * For how long the oldest has waited, nanoseconds.
 */
oldest_ns?: number,
/**
 * The evidence: of `stranded` when the oldest was queued; of `idle` the newest accept of the others; of `herd` the newest
 * accept, whatever came of it.
 */
evidence?: When, };

/**
 * `GET /api/v1/info`: what this session is.
 */
export type Info = {
/**
 * Version of the program.
 */
version: string,
/**
 * Identity of the session: differs for every start of the daemon and for every recording.
 */
session: string,
/**
 * `live` or `recording`.
 */
source: Source,
/**
 * What is followed, as the user asked for it.
 */
selection: string,
/**
 * Nanoseconds since the Unix epoch of offset 0, decimal.
 */
t0_ns: string,
/**
 * The newest moment that the model has reached.
 */
now: number,
/**
 * What is attached and what is missing.
 */
attached: Array<string>,
/**
 * What this kernel cannot tell, in sentences.
 */
missing: Array<string>,
/**
 * Status at this moment.
 */
status: Status, };

/**
 * A program that was executed while a descriptor was open.
 */
export type Kept = {
/**
 * The program, as `execve` was called.
 */
path: string,
/**
 * When.
 */
at: When, };

/**
 * What a server leaves behind. Empty lists: nothing was found.
 */
export type Leaks = {
/**
 * Descriptors that only grow, most first.
 */
growing: Array<Growing>,
/**
 * Connections in `CLOSE_WAIT` for 5 s or longer, oldest first: the peer hung up, their holder does not close.
 */
hung_up: Array<HungUp>,
/**
 * Accepted connections of TCP that sent something of which nothing was ever read, by the kernel's own read position, for
 * 5 s or longer. A check of the tables finds it, so it takes two; of the past only what is so still is told.
 */
unread: Array<Unread>,
/**
 * Sockets that were open across an exec, and still are; but for those that take connections, or datagrams under a name of
 * their own, which `handovers` tells.
 */
survived_exec: Array<SurvivedExec>,
/**
 * Tables that grow or are filled to 80 % of their limit or more, and those that were asked for.
 */
room: Array<Room>,
/**
 * What the answer rests on.
 */
basis: Basis, };

/**
 * A descriptor that was left.
 */
export type Left = {
/**
 * Number.
 */
fd: number,
/**
 * When it was made.
 */
made: When, };

/**
 * A connection that no process holds and that the kernel keeps an address for.
 */
export type Leftover = {
/**
 * The kernel's state: `TIME_WAIT`, `FIN_WAIT2` and so on.
 */
state: string,
/**
 * `inet` or `inet6`.
 */
family: string,
/**
 * `tcp`.
 */
protocol?: string,
/**
 * Local address.
 */
local: string,
/**
 * Peer's address.
 */
peer: string,
/**
 * Inode number of its network namespace.
 */
netns: number,
/**
 * The socket that it was (`s41`), where that is known.
 */
socket?: string,
/**
 * It was concluded from how the connection ended, and of a peer on another host that it has closed; otherwise the kernel was
 * asked.
 */
inferred: boolean,
/**
 * When it is gone at the latest, where that is known.
 */
gone?: When, };

/**
 * One event as scripts see it. A field that has no meaning for an event is left out.
 *
 * Names, paths and addresses are bytes in the kernel; those that are no UTF-8 carry U+FFFD in their place.
 */
export type Line = {
/**
 * Number of the line: 1, 2, 3 ... without gaps.
 */
seq: number,
/**
 * Nanoseconds since the Unix epoch; for a call, when it returned. Beyond 2^53: scripts that need it exact read
 * it as an integer; the page uses `t`.
 */
ts_ns: number,
/**
 * Nanoseconds since the session's `t0`; only in the API.
 */
t?: number,
/**
 * `pid@start`; absent for `lost`, which belongs to no process.
 */
process?: string,
/**
 * Thread group id.
 */
pid?: number,
/**
 * Thread id; absent where no thread of the process did it.
 */
tid?: number,
/**
 * Name of the process.
 */
comm?: string,
/**
 * Kind of the event: the base name of the call, or what happened without one.
 */
event: string,
/**
 * The exact system call, as strace prints it.
 */
call?: string,
/**
 * Joins the two lines of a call that ran longer than 100 ms.
 */
call_id?: number,
/**
 * The call still runs.
 */
pending?: boolean,
/**
 * The descriptor that the call names, or the slot that the event is about.
 */
fd?: number,
/**
 * The kernel's return value; negative: `-errno`.
 */
ret?: number,
/**
 * Name of the error of a failed call or of a socket's verdict: `EADDRINUSE`, `ERESTARTSYS`.
 */
error?: string,
/**
 * The descriptor that the call made.
 */
new_fd?: number,
/**
 * Slots that one call or fork filled or ended together; for a `pass` over a socket every slot that was received
 * (`dir` is `in`) or sent (`out`). A single one is described by the other fields.
 */
fds?: Array<number>,
/**
 * Close-on-exec after the event, of the slot that it filled or changed.
 */
cloexec?: boolean,
/**
 * `O_NONBLOCK` after a `setfl`; on an event that made a descriptor, only where it is set.
 */
nonblock?: boolean,
/**
 * What the slot holds: `socket`, `file`, `pipe`, `epoll` ...
 */
kind?: string,
/**
 * Inode number of what the slot holds.
 */
inode?: number,
/**
 * The path in the caller's memory; in a snapshot the kernel's.
 */
path?: string,
/**
 * The socket (`s41`).
 */
socket?: string,
/**
 * The listener that the socket came from.
 */
listener?: string,
/**
 * Address family: `inet`, `inet6`, `unix` ...; by number where it has no name.
 */
family?: string,
/**
 * Socket type: `stream`, `dgram` ...
 */
type?: string,
/**
 * Protocol: `tcp`, `udp` ...; absent where the family has none.
 */
protocol?: string,
/**
 * `socket`, `socketpair`, `pass`, `snapshot`, `repair`: the socket's network namespace, by inode number
 * (network_namespaces(7)).
 */
netns?: number,
/**
 * Local address, from the kernel's socket after the call.
 */
local?: string,
/**
 * Peer's address, from the kernel's socket after the call.
 */
peer?: string,
/**
 * The address that the caller passed, copied once from its memory at entry.
 */
asked?: string,
/**
 * `setsockopt`: the level, `SOL_SOCKET`, `SOL_TCP` or `SOL_IPV6`.
 */
level?: string,
/**
 * `setsockopt`: the option: `SO_REUSEADDR`, `SO_REUSEPORT`, `SO_LINGER`, `TCP_DEFER_ACCEPT`, `TCP_FASTOPEN` or
 * `IPV6_V6ONLY`.
 */
option?: string,
/**
 * `setsockopt`: the value that the caller passed, copied once from its memory at entry; for `SO_LINGER` the seconds,
 * -1: off.
 */
asked_value?: number,
/**
 * `setsockopt`: the value that the kernel's socket has after the call, in the same way; for `TCP_DEFER_ACCEPT` the
 * seconds that the kernel makes of it.
 */
value?: number,
/**
 * `listen`, `snapshot`, `repair`: the socket's options that are set, `NAME` or `NAME=VALUE`: those above, and
 * `O_NONBLOCK`.
 */
options?: Array<string>,
/**
 * The backlog that `listen` was called with. One below 0 asks for as much as there may be (`__sys_listen`, net/socket.c).
 */
backlog?: number,
/**
 * Accept queue: length.
 */
queue_len?: number,
/**
 * Accept queue: limit, min of backlog and somaxconn (listen(2)).
 */
queue_limit?: number,
/**
 * From queued to accepted.
 */
wait_ns?: number,
/**
 * `accept` where the scheduler is traced and the thread had accepted here before: how long of the wait the thread was
 * asleep in a call that waits for connections. This and the next four, without `blocked_in`, add up to `wait_ns`.
 */
asleep_ns?: number,
/**
 * Likewise: ready to run, and not running.
 */
runnable_ns?: number,
/**
 * Likewise: running.
 */
running_ns?: number,
/**
 * Likewise: asleep or stopped elsewhere.
 */
blocked_ns?: number,
/**
 * The call in which most of `blocked_ns` was, or `stopped`.
 */
blocked_in?: string,
/**
 * Likewise: not known.
 */
unknown_ns?: number,
/**
 * Likewise: calls of accept on this listener that failed meanwhile for want of something, `EMFILE=2`.
 */
accept_failed?: Array<string>,
/**
 * `accept`: the thread went to sleep since its accept before.
 */
slept?: boolean,
/**
 * `overflow`: packets that the listener dropped since the sample before (`sk_drops`).
 */
drops?: number,
/**
 * `overflow`: since it was first sampled.
 */
drops_total?: number,
/**
 * `overflow`: how many of `drops_total` met a full queue, at least.
 */
queue_full_min?: number,
/**
 * `overflow`: at most.
 */
queue_full_max?: number,
/**
 * `overflow`: nanoseconds between the two samples.
 */
period_ns?: number,
/**
 * The end of a TCP connection: bytes that the peer acknowledged, as `TCP_INFO` counts them (tcp(7)): a SYN and a FIN
 * are one each.
 */
bytes_acked?: number,
/**
 * The end of a TCP connection: bytes that were received in order; a FIN is one.
 */
bytes_received?: number,
/**
 * The end of a TCP connection: smoothed round trip time, microseconds; 0: not measured.
 */
rtt_us?: number,
/**
 * The end of a TCP connection: segments that were sent again.
 */
retransmits?: number,
/**
 * `spoken`: what is spoken on the connection, as bytes in the caller's memory tell it: `http/1`, `http/2`, `websocket`,
 * `tls`, `redis`, `postgresql` or `unknown`.
 */
app_protocol?: string,
/**
 * `spoken`: the server's name that a ClientHello of TLS asks for, where it is within the bytes that are looked at.
 */
sni?: string,
/**
 * `spoken`: the name goes on beyond them.
 */
sni_cut?: boolean,
/**
 * How long the call ran; it began at `ts_ns - dur_ns`.
 */
dur_ns?: number,
/**
 * The socket's state before, as the kernel names it without `TCP_`; for a family that is only connected or not, as
 * ss(8) names it: `UNCONN`, `ESTAB`, `LISTEN`. Not there where a connection stays in its state and a call found it broken.
 */
from?: string,
/**
 * The socket's state after; for a snapshot, the state.
 */
to?: string,
/**
 * Direction of a `pass`: `in` or `out`.
 */
dir?: string,
/**
 * Who closed a connection first: `local` or `peer`.
 */
closed_first?: string,
/**
 * `fork`: the new process, `pid@start`. `ret` is what its parent sees: its number in the parent's pid namespace.
 */
child?: string,
/**
 * `fork`: the child's number in its own pid namespace, where that is not the initial one (pid_namespaces(7)). `exec`,
 * `snapshot`, `repair`: the process's.
 */
ns_pid?: number,
/**
 * With `ns_pid`: that namespace, by inode number.
 */
pidns?: number,
/**
 * `fork`: the child's control group, as a path from the root of the cgroup2 hierarchy (cgroups(7)). `exec`, `snapshot`,
 * `repair`: the process's.
 */
cgroup?: string,
/**
 * `exit`: wait status (wait(2)).
 */
status?: number,
/**
 * `shutdown`: `SHUT_RD`, `SHUT_WR` or `SHUT_RDWR` (shutdown(2)); by number where it is none of them.
 */
how?: string,
/**
 * `lost`: how many records.
 */
count?: number,
/**
 * `lost`: why.
 */
cause?: string,
/**
 * `standing`: how far the process's table can be trusted from here on: `exact`, `repaired` or `doubtful`. A process of
 * which no line tells is exact.
 */
standing?: string,
/**
 * `standing`, where it is `repaired`: how many differences were found and set right so far.
 */
repaired?: number,
/**
 * `standing`, where it is `doubtful`: why, as a `cause`; or `unread`: no snapshot has read the table.
 */
why?: string,
/**
 * `standing`, where it is `repaired` or `doubtful`: since when, nanoseconds since the Unix epoch.
 */
since_ns?: number,
/**
 * `io_uring`: the number that the ring has in the table of its process.
 */
ring?: number,
/**
 * In place of `fd`: an entry of the ring's file table, which has no number.
 */
direct?: number,
/**
 * In place of `new_fd` likewise.
 */
new_direct?: number,
/**
 * In place of `fds` likewise.
 */
directs?: Array<number>,
/**
 * The number of the ring whose file table `new_direct` is in, where that is not `ring` (`IORING_MSG_SEND_FD`).
 */
new_ring?: number,
/**
 * How the event came about: `syscall`, `io_uring`, `exec`, `exit`, `fork`, `snapshot`, `repair`, `kernel`.
 */
via: string,
/**
 * A fact in this event was concluded, not read.
 */
inferred?: boolean,
/**
 * Its place in the order is later than its time.
 */
late?: boolean,
/**
 * The operation was submitted; it tells nothing if it succeeds (`IOSQE_CQE_SKIP_SUCCESS`).
 */
unconfirmed?: boolean,
/**
 * A check found that an unconfirmed operation succeeded: a second line of it, without a result.
 */
confirmed?: boolean,
/**
 * Several operations in flight had the mark of this one: which of them completed was concluded.
 */
doubtful?: boolean,
/**
 * Why it failed, where that can be said.
 */
explain?: Explained,
/**
 * CPU whose record it came from.
 */
cpu?: number,
/**
 * Number of that record on its CPU: complete numbers prove a complete stream.
 */
cpu_seq?: number, };

/**
 * One cause of loss.
 */
export type LostCount = {
/**
 * As in `lost` events.
 */
cause: string,
/**
 * How many.
 */
count: number, };

/**
 * Descriptors that are left and were made from one place.
 */
export type MadeAt = {
/**
 * How many.
 */
left: number,
/**
 * Which threads made them, as in `threads` of all.
 */
threads: Array<Thread>,
/**
 * The stack of the calls, innermost first; absent where it was not read.
 */
stack?: Stack, };

/**
 * A listener of a group.
 */
export type Member = {
/**
 * The listener.
 */
socket: Socket,
/**
 * Processes that have it.
 */
owners: Array<Party>,
/**
 * Connections that the kernel queued there.
 */
assigned: number,
/**
 * Connections that were accepted from there.
 */
accepted: number,
/**
 * How many wait there.
 */
waiting: number,
/**
 * For how long the oldest of them has waited, nanoseconds.
 */
oldest_ns?: number, };

/**
 * Something that people look for when a port is not free, or answers from an old program.
 */
export type Noteworthy = {
/**
 * `kept_alive`: its maker is gone, a child keeps it. `left_behind`: a reload left an old worker with it. `stray`: a child
 * inherited it by accident.
 */
what: string,
/**
 * The processes that it is about.
 */
processes: Array<Party>,
/**
 * The same in a sentence.
 */
text: string,
/**
 * Since when. `kept_alive`: its maker ceased to hold it. `left_behind`: the last of its generation that gave it up did.
 * `stray`: it executed its program.
 */
since: When, };

/**
 * A process that is not followed and holds a socket: found by one look at the kernel's tables.
 */
export type Other = {
/**
 * `pid@start`.
 */
process: string,
/**
 * Process.
 */
pid: number,
/**
 * Name.
 */
comm: string,
/**
 * Descriptor.
 */
fd: number,
/**
 * How it came by it: `unknown`, since it is not followed.
 */
how: string,
/**
 * Inode number of the socket.
 */
ino: string,
/**
 * Local address of the socket.
 */
local: string,
/**
 * State of the socket, where its family has one.
 */
state?: string, };

/**
 * An owner.
 */
export type Owner = {
/**
 * Connections that it accepted from the socket, of those that are kept.
 */
accepted: number,
/**
 * `pid@start`.
 */
process: string,
/**
 * Thread group id.
 */
pid: number,
/**
 * Its number as itself sees it (pid_namespaces(7)), where that is another.
 */
ns_pid?: number,
/**
 * Name.
 */
comm: string,
/**
 * Its control group: a path from the root of the cgroup2 hierarchy (cgroups(7)), where known.
 */
cgroup?: string,
/**
 * Number of the descriptor.
 */
fd: number,
/**
 * Close-on-exec.
 */
cloexec: boolean,
/**
 * Since when; at the latest, where `how` is `snapshot` or `repair`.
 */
since: When,
/**
 * How it came by it: the call's event (`socket`, `accept`, `dup`, ...), `fork` (inherited), `pass` (over `SCM_RIGHTS`, by
 * pidfd_getfd(2) or a seccomp supervisor), `snapshot` (it had it when tracing began), `repair` (a check found it).
 */
how: string,
/**
 * `how` and `from` were concluded: when tracing began, its parent had the same open file under the same number.
 */
inferred?: boolean,
/**
 * Whom it has it from: the process that forked it, or that passed it.
 */
from?: Party,
/**
 * When it ceased to hold it.
 */
until?: When,
/**
 * How: `close`, `dup`, `exec`, `exit`, `repair`, `unshare` (it has a copy since then).
 */
until_by?: string,
/**
 * Programs that it executed with the descriptor open.
 */
kept_across?: Array<Kept>, };

/**
 * A process in an answer.
 */
export type Party = {
/**
 * `pid@start`.
 */
process: string,
/**
 * Thread group id.
 */
pid: number,
/**
 * Name.
 */
comm: string, };

/**
 * Body of every error answer.
 */
export type Problem = {
/**
 * What is wrong, the cause and the way out.
 */
error: string, };

/**
 * A process.
 */
export type Process = {
/**
 * `pid@start`.
 */
id: string,
/**
 * Thread group id.
 */
pid: number,
/**
 * Parent's pid.
 */
ppid: number | null,
/**
 * Name.
 */
comm: string,
/**
 * Path of the program.
 */
exe: string | null,
/**
 * Its number in its own pid namespace (pid_namespaces(7)), where known.
 */
ns_pid: number | null,
/**
 * That namespace, by inode number.
 */
pidns: number | null,
/**
 * Its control group: a path from the root of the cgroup2 hierarchy (cgroups(7)).
 */
cgroup: string | null,
/**
 * Descriptor table (`t3`); processes may share one (`CLONE_FILES`).
 */
table: string,
/**
 * Tables that only other threads of it have (`unshare(CLONE_FILES)` in a thread).
 */
thread_tables: Array<string>,
/**
 * When it was first seen.
 */
seen: number,
/**
 * When it ended.
 */
ended: number | null,
/**
 * Wait status, once it ended (wait(2)).
 */
status: number | null,
/**
 * Soft limit on descriptors (`RLIMIT_NOFILE`).
 */
fd_limit: number | null,
/**
 * `exact`, `repaired` or `doubtful`.
 */
standing: string,
/**
 * For `repaired`: how many differences.
 */
repaired: number | null,
/**
 * For `doubtful`: why.
 */
why: string | null,
/**
 * For `repaired` and `doubtful`: since when.
 */
since: number | null, };

/**
 * `GET /api/v1/processes`.
 */
export type Processes = {
/**
 * Every kept process, in the order in which they were first seen.
 */
processes: Array<Process>, };

/**
 * A listener and its queue.
 */
export type Queue = {
/**
 * The listener.
 */
socket: Socket,
/**
 * Processes that have it.
 */
owners: Array<Party>,
/**
 * Length.
 */
len?: number,
/**
 * When it was that.
 */
len_at?: When,
/**
 * Limit: the lesser of the backlog that was asked for and `somaxconn` (listen(2)).
 */
limit?: number,
/**
 * How many connections it holds: one more than the limit. It may have more: handshakes that end at the same moment overshoot,
 * and a limit that listen(2) lowered leaves those that wait.
 */
holds?: number,
/**
 * The backlog that `listen` was called with, where that was seen.
 */
asked?: number,
/**
 * The longest that the queue was.
 */
longest?: number,
/**
 * When.
 */
longest_at?: When,
/**
 * Connections that were queued.
 */
queued: number,
/**
 * Connections that were accepted.
 */
accepted: number,
/**
 * Waits of accepted connections.
 */
waits: Waits,
/**
 * Connections that wait, the one that has waited for longest first.
 */
waiting: Array<WaitingConnection>,
/**
 * Connections in the queue that are not among them: beyond those that are told, or that nothing told of.
 */
others: number,
/**
 * The queue over time: the seconds in which it changed.
 */
lengths: Array<QueueLength>,
/**
 * What the listener dropped.
 */
drops?: Drops,
/**
 * Unix sockets: connects of followed processes that found the queue full (`EAGAIN`). They are counted by the name that they
 * asked for: listeners of one name in several network or mount namespaces have one count.
 */
turned_away?: HowOften,
/**
 * Accepts that failed, but for want of a connection.
 */
failed: Array<FailedAccept>,
/**
 * What is wrong, if anything.
 */
findings: Array<QueueFinding>, };

/**
 * What is wrong with a queue.
 */
export type QueueFinding = {
/**
 * `stuck`: connections wait and nobody accepts; `slow`: they wait for long although somebody does; `overflowed`:
 * it was full, and connections were dropped or turned away.
 */
kind: string,
/**
 * The same for people.
 */
text: string,
/**
 * Connections that wait for too long, or that were dropped or turned away.
 */
count: number,
/**
 * For how long the oldest has waited, nanoseconds.
 */
oldest_ns?: number,
/**
 * `stuck`: what accepts fail with, where they are tried.
 */
error?: string,
/**
 * The evidence: of `stuck` the newest accept, or the newest that failed; absent where there was none; of `slow` when the oldest was queued; of
 * `overflowed` what told of the newest.
 */
evidence?: When, };

/**
 * The length of a queue in one second.
 */
export type QueueLength = {
/**
 * The first change of that second.
 */
when: When,
/**
 * The longest it was in it.
 */
longest: number,
/**
 * After its last change.
 */
last: number,
/**
 * The limit then.
 */
limit: number, };

/**
 * Accept queues.
 */
export type Queues = {
/**
 * By listener, in the order in which they were made.
 */
queues: Array<Queue>,
/**
 * When queues were sampled last; absent of the past.
 */
sampled?: When,
/**
 * Nanoseconds between two samples.
 */
period_ns?: number,
/**
 * What the answer rests on.
 */
basis: Basis, };

/**
 * A connection that was dropped, or a client that got no answer.
 */
export type RefusedClient = {
/**
 * When.
 */
when: When,
/**
 * Address of the client.
 */
peer?: string, };

/**
 * Where a client left off.
 */
export type Resume = {
/**
 * The session's identity.
 */
session: string,
/**
 * The last change's `to`.
 */
rev: number,
/**
 * `seq` of the newest event that the client has or was told to be left out.
 */
seq?: number, };

/**
 * How far a table is from its limit.
 */
export type Room = {
/**
 * Whose table.
 */
process: Party,
/**
 * Soft limit on descriptors (`RLIMIT_NOFILE`), as last read.
 */
limit: number,
/**
 * Descriptors in use.
 */
used: number,
/**
 * How many are left behind in 1000 s; absent where none is.
 */
left_per_1000_s?: number,
/**
 * Time until the limit is reached at that rate.
 */
reached_in_ns?: number, };

/**
 * One descriptor.
 */
export type Row = {
/**
 * With `since`: `opened` or `closed`.
 */
change?: string,
/**
 * Kind of the file, as in events.
 */
kind: string,
/**
 * How it may be used, as lsof(8) marks it: `r`, `w`, or `u` for both; absent where that is not known.
 */
access?: string,
/**
 * Path or name; empty for a socket. Not markup: hostile text.
 */
name: string,
/**
 * Inode number, decimal.
 */
ino: string,
/**
 * Open file description (`f12`): descriptors with the same one are duplicates of each other.
 */
file: string,
/**
 * The socket behind it.
 */
socket?: Socket,
/**
 * What it communicates through: `pipe`, `fifo`, `mqueue`, `eventfd`, `shared_memory`.
 */
ipc?: string,
/**
 * Everybody else who has a descriptor of that.
 */
others?: Array<End>,
/**
 * `pid@start`.
 */
process: string,
/**
 * Thread group id.
 */
pid: number,
/**
 * Its number as itself sees it (pid_namespaces(7)), where that is another.
 */
ns_pid?: number,
/**
 * Name.
 */
comm: string,
/**
 * Its control group: a path from the root of the cgroup2 hierarchy (cgroups(7)), where known.
 */
cgroup?: string,
/**
 * Number of the descriptor.
 */
fd: number,
/**
 * Close-on-exec.
 */
cloexec: boolean,
/**
 * Since when; at the latest, where `how` is `snapshot` or `repair`.
 */
since: When,
/**
 * How it came by it: the call's event (`socket`, `accept`, `dup`, ...), `fork` (inherited), `pass` (over `SCM_RIGHTS`, by
 * pidfd_getfd(2) or a seccomp supervisor), `snapshot` (it had it when tracing began), `repair` (a check found it).
 */
how: string,
/**
 * `how` and `from` were concluded: when tracing began, its parent had the same open file under the same number.
 */
inferred?: boolean,
/**
 * Whom it has it from: the process that forked it, or that passed it.
 */
from?: Party,
/**
 * When it ceased to hold it.
 */
until?: When,
/**
 * How: `close`, `dup`, `exec`, `exit`, `repair`, `unshare` (it has a copy since then).
 */
until_by?: string,
/**
 * Programs that it executed with the descriptor open.
 */
kept_across?: Array<Kept>, };

/**
 * Server to page, one JSON object a WebSocket message.
 */
export type ServerMessage = { "kind": "hello",
/**
 * The session.
 */
info: Info,
/**
 * True where what follows continues the revision that the client named, false where it starts anew.
 */
resumed: boolean, } | { "kind": "change",
/**
 * Revision that this change builds on.
 */
from: number,
/**
 * Revision that it leads to.
 */
to: number,
/**
 * Changed processes.
 */
processes: Array<Process>,
/**
 * Changed descriptors.
 */
descriptors: Array<Descriptor>,
/**
 * Changed sockets.
 */
sockets: Array<Socket>,
/**
 * The newest events since the last change, oldest first.
 */
events: Array<Line>,
/**
 * Events between the last change and this one that are left out here; `events` has them at `/api/v1/events`.
 */
skipped: number,
/**
 * More changes are ready: the server sends them after this one is acknowledged.
 */
more: boolean,
/**
 * Counters.
 */
status: Status, } | { "kind": "evict",
/**
 * Descriptors.
 */
descriptors: Array<string>,
/**
 * Sockets.
 */
sockets: Array<string>,
/**
 * Processes.
 */
processes: Array<string>, } | { "kind": "kept",
/**
 * The revision.
 */
rev: number,
/**
 * Processes.
 */
processes: Array<string>,
/**
 * Numbers of descriptors (`d7` is 7), in runs of consecutive ones: first and last of each, lowest first.
 */
descriptors: Array<[number, number]>,
/**
 * The same of sockets.
 */
sockets: Array<[number, number]>,
/**
 * More of it follows once this is acknowledged.
 */
more: boolean, };

/**
 * Where waits went.
 */
export type Slow = {
/**
 * By listener, in the order in which they were made.
 */
listeners: Array<SlowListener>,
/**
 * What the answer rests on.
 */
basis: Basis, };

/**
 * Waits at a listener.
 */
export type SlowListener = {
/**
 * The listener.
 */
socket: Socket,
/**
 * Waits of which it is known where they went.
 */
known: number,
/**
 * Accepted connections of which it is not: their acceptor was not seen accepting here before, or nobody knows when they
 * were queued, or the scheduler is not traced.
 */
unknown: number,
/**
 * The sum of those that are known.
 */
total: Split,
/**
 * Accepts that failed, but for want of a connection.
 */
failed: Array<FailedAccept>,
/**
 * The slowest waits, slowest first.
 */
slowest: Array<Slowest>, };

/**
 * A slow wait.
 */
export type Slowest = {
/**
 * From queued to accepted.
 */
wait_ns: number,
/**
 * The accept.
 */
accepted: When,
/**
 * The connection.
 */
socket?: string,
/**
 * Who accepted.
 */
by: Party,
/**
 * Its thread.
 */
tid: number,
/**
 * Where the wait went; absent: unknown.
 */
split?: Split,
/**
 * The largest part: `asleep`, `runnable`, `running`, `blocked` or `unknown`.
 */
cause: string, };

/**
 * A socket.
 */
export type Socket = {
/**
 * `s41`.
 */
id: string,
/**
 * `inet`, `unix`, ...; by number where unknown.
 */
family: string,
/**
 * `stream`, `dgram`, ...
 */
type: string,
/**
 * `tcp`, `udp`, ...; absent where the family has none.
 */
protocol: string | null,
/**
 * Inode number of its network namespace.
 */
netns: number,
/**
 * Inode number, decimal; `0` before it is accepted.
 */
ino: string,
/**
 * Local address; absent before it has one.
 */
local: string | null,
/**
 * Peer's address.
 */
peer: string | null,
/**
 * Options that are set, each as `NAME` or `NAME=VALUE`: `SO_REUSEADDR`, `SO_REUSEPORT`, `IPV6_V6ONLY`, `SO_LINGER`
 * (seconds), `TCP_DEFER_ACCEPT` (seconds), `TCP_FASTOPEN` (length of its queue), `O_NONBLOCK`.
 */
options: Array<string>,
/**
 * Its life, oldest first; never empty.
 */
steps: Array<Step>,
/**
 * The listener that it came from.
 */
listener: string | null,
/**
 * `listener` was concluded, not read.
 */
inferred: boolean,
/**
 * For a listener: children so far.
 */
children: number,
/**
 * For a listener: the backlog asked for. One below 0 asks for as much as there may be (`__sys_listen`, net/socket.c).
 */
backlog: number | null,
/**
 * For a listener: accept queue length when last read.
 */
queue_len: number | null,
/**
 * For a listener: its limit.
 */
queue_limit: number | null,
/**
 * For a listener that listened anew with another backlog: limits that it had before, oldest first; of them the newest 32.
 */
former_limits?: Array<FormerLimit>,
/**
 * For a child: when it entered the queue.
 */
queued: number | null,
/**
 * For a child: when it was accepted.
 */
accepted: number | null,
/**
 * For a child: from queued to accepted, nanoseconds.
 */
wait_ns: number | null,
/**
 * Child: the process that accepted it.
 */
accepted_by?: string,
/**
 * Listener: packets that it dropped since it was first sampled.
 */
drops?: number,
/**
 * TCP connection: its counters, as they were last read.
 */
tcp?: Tcp,
/**
 * What was spoken on it, oldest first, as bytes in its holders' memory tell it; the newest counts. Only where that is
 * asked for (`--peek`).
 */
spoken?: Array<Spoken>,
/**
 * Unix socket: the other end.
 */
other_end?: string,
/**
 * `local` or `peer`.
 */
closed_first: string | null,
/**
 * Descriptors that point to it now.
 */
holders: number,
/**
 * When it ended.
 */
ended: number | null, };

/**
 * `GET /api/v1/sockets?state=&port=&listener=&at=`.
 */
export type Sockets = {
/**
 * Every kept socket that fits, in the order in which they were first seen.
 */
sockets: Array<Socket>, };

/**
 * Where the events come from.
 */
export type Source = "live" | "recording";

/**
 * Parts of a wait, nanoseconds: what the accepting thread did meanwhile.
 */
export type Split = {
/**
 * Asleep in a call that waits for connections (accept, epoll, poll, select, `io_uring_enter`).
 */
asleep_ns: number,
/**
 * Ready to run, and not running.
 */
runnable_ns: number,
/**
 * Running.
 */
running_ns: number,
/**
 * Asleep or stopped elsewhere.
 */
blocked_ns: number,
/**
 * The call in which most of that was, or `stopped`.
 */
blocked_in?: string,
/**
 * Not known.
 */
unknown_ns: number,
/**
 * Accepts on this listener that failed meanwhile for want of something, `EMFILE=2`.
 */
accept_failed: Array<string>, };

/**
 * What is spoken on a connection.
 */
export type Spoken = {
/**
 * When that was known.
 */
t: number,
/**
 * `http/1`, `http/2`, `websocket`, `tls`, `redis`, `postgresql` or `unknown`.
 */
app_protocol: string,
/**
 * `tls`: the server's name that the client asks for, where it is within the bytes that are looked at.
 */
sni?: string,
/**
 * The name goes on beyond them.
 */
sni_cut?: boolean,
/**
 * It was concluded: a switch whose header `Upgrade` is not within those bytes.
 */
inferred?: boolean, };

/**
 * The stack of a call in the caller's own program.
 */
export type Stack = {
/**
 * The innermost first.
 */
frames: Array<Frame>,
/**
 * Why it has no more: `no_frame_pointer` (the function of the last frame keeps none, so that its caller is unknown), `long`
 * (it goes on behind what is kept), `unread` (the process had ended, or may not be looked into: frames are bare addresses).
 * Absent where it is whole.
 */
cut?: string, };

/**
 * Counters that must always be in sight.
 */
export type Status = {
/**
 * The newest moment that the model has reached.
 */
now: number,
/**
 * Revision of the model.
 */
rev: number,
/**
 * Events so far.
 */
events: number,
/**
 * Records lost so far.
 */
lost: number,
/**
 * Lost records by cause.
 */
lost_by_cause: Array<LostCount>,
/**
 * Processes whose table is doubtful.
 */
doubtful: number,
/**
 * Events that set a table right.
 */
repairs: number,
/**
 * Snapshots that compared tables with the kernel's: periodic checks, and repairs after a loss.
 */
checks: number,
/**
 * How long the kernel took to write them, nanoseconds.
 */
checks_ns: number,
/**
 * Stacks of calls that make a descriptor that could not be read; absent where none are read (`--stacks`).
 */
stacks_missed?: number,
/**
 * Events that are still kept.
 */
kept: number,
/**
 * `seq` of the oldest kept event.
 */
first_seq: number,
/**
 * Time of the oldest kept event.
 */
kept_since: number,
/**
 * The recording was cut off after so many of the kernel's records: what came after them is missing.
 */
cut_off?: number, };

/**
 * A step in a socket's life: what it is from `t` on.
 */
export type Step = {
/**
 * When.
 */
t: number,
/**
 * `created`, `bound`, `listening`, `connecting`, `queued`, `connected`, `half_closed`, `closing`, `closed`.
 */
phase: string,
/**
 * The kernel's state without `TCP_`, where the family has one; `UNCONN`, `ESTAB` or `LISTEN` for one that has no others.
 */
state: string | null,
/**
 * Name of the error that came with it.
 */
error: string | null,
/**
 * The peer that it was about, where the socket has had another one since: a socket can be connected again.
 */
peer?: string, };

/**
 * A socket that survived an exec.
 */
export type SurvivedExec = {
/**
 * Whose.
 */
process: Party,
/**
 * Number of the descriptor.
 */
fd: number,
/**
 * The socket.
 */
socket: Socket,
/**
 * When the process executed its program.
 */
exec: When, };

/**
 * One process's descriptors.
 */
export type Table = {
/**
 * `pid@start`.
 */
process: string,
/**
 * Thread group id.
 */
pid: number,
/**
 * Name.
 */
comm: string,
/**
 * Soft limit on descriptors (`RLIMIT_NOFILE`), where known.
 */
fd_limit: number | null,
/**
 * By number, table by table.
 */
descriptors: Array<Row>,
/**
 * Entries of the file tables of its io_urings.
 */
direct: Array<Direct>,
/**
 * With `since`: descriptors that came after it and were gone by the instant.
 */
passing: number, };

/**
 * Counters of a TCP connection, as `TCP_INFO` has them (tcp(7)).
 */
export type Tcp = {
/**
 * When they were read.
 */
t: number,
/**
 * Bytes that the peer acknowledged; a SYN and a FIN are one each.
 */
bytes_acked: number,
/**
 * Bytes that were received in order; a FIN is one.
 */
bytes_received: number,
/**
 * Smoothed round trip time, microseconds; 0: not measured.
 */
rtt_us: number,
/**
 * Segments that were sent again.
 */
retransmits: number, };

/**
 * A thread and what it made.
 */
export type Thread = {
/**
 * Thread id.
 */
tid: number,
/**
 * How many.
 */
left: number, };

/**
 * An accepted connection from which nobody has ever read.
 */
export type Unread = {
/**
 * The socket.
 */
socket: Socket,
/**
 * Who holds it.
 */
holders: Array<Holder>,
/**
 * When the kernel was first found to keep something for it, by a check of the tables, which has no event.
 */
since: When,
/**
 * When it was found so last.
 */
read: When,
/**
 * What waits, in bytes.
 */
bytes: number,
/**
 * How long ago the first was.
 */
age_ns: number, };

/**
 * A connection that waits.
 */
export type WaitingConnection = {
/**
 * The connection.
 */
socket: string,
/**
 * Its peer.
 */
peer?: string,
/**
 * Since when.
 */
since: When,
/**
 * It was found waiting then, and has waited for longer.
 */
at_least: boolean,
/**
 * For how long, nanoseconds.
 */
age_ns: number, };

/**
 * Waits between queued and accepted, nanoseconds; percentiles have two significant digits.
 */
export type Waits = {
/**
 * How many there were.
 */
count: number,
/**
 * Accepted connections since when nobody knows when they were queued.
 */
without_start: number,
/**
 * Half of them waited no longer.
 */
p50_ns?: number,
/**
 * 90 % likewise.
 */
p90_ns?: number,
/**
 * 99 %.
 */
p99_ns?: number,
/**
 * 99.9 %.
 */
p999_ns?: number,
/**
 * The longest wait.
 */
max_ns?: number,
/**
 * The accept that ended the longest.
 */
max_at?: When, };

/**
 * A moment.
 */
export type When = {
/**
 * Nanoseconds since the Unix epoch, as in a line.
 */
ts_ns: number,
/**
 * Nanoseconds since the session's `t0`.
 */
t: number,
/**
 * The event that tells of it, where that is kept.
 */
seq?: number, };

/**
 * Who holds a port or a unix path.
 */
export type Who = {
/**
 * What was asked for.
 */
target: string,
/**
 * Listeners, and other sockets that have the address, in the order in which they were made.
 */
sockets: Array<Held>,
/**
 * Sockets that had it and are gone, newest first; of more than sixteen the newest.
 */
before: Array<Held>,
/**
 * How many of them are left out.
 */
before_left_out?: number,
/**
 * Sockets with this address that no process holds: the kernel brings their connections to an end.
 */
ownerless: Array<Held>,
/**
 * Connections of this address that the kernel keeps after their socket is gone, and that are not among those; beyond a
 * thousand the newest.
 */
leftovers: Array<Leftover>,
/**
 * How many of them are left out.
 */
leftovers_left_out?: number,
/**
 * Who listens at this address, or has it without a connection, at a socket that no followed process holds. The kernel is
 * asked for these and for `others` where a daemon answers about now.
 */
not_followed: Array<Other>,
/**
 * Connections that listeners of this address took in and that are open.
 */
connections: number,
/**
 * What the answer rests on.
 */
basis: Basis, };

/**
 * Who accepts, or could.
 */
export type Worker = {
/**
 * The process.
 */
process: Party,
/**
 * The thread; absent for a process that did not accept.
 */
tid?: number,
/**
 * Connections that it accepted.
 */
accepted: number,
/**
 * How often it slept, was woken, and its first accept since found nothing.
 */
woken_idle: number,
/**
 * The same for each connection that it accepted.
 */
woken_idle_per_accept?: number,
/**
 * Its last accept, whatever came of it.
 */
last?: When, };
