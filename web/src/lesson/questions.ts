import { visible } from "../base/escape.ts";
import { count, duration } from "../base/time.ts";
import { queueAt } from "../layout/waits.ts";
import type { Line, Process, Socket } from "../protocol/types.gen.ts";
import type { Entities } from "../store/entities.ts";

/** A question that books leave open, answered from the record. */
export interface Answer {
  readonly question: string;
  readonly answer: string;
  /** What the answer rests on, each with where to look. */
  readonly evidence: readonly Evidence[];
  /** The record holds what answers it. */
  readonly known: boolean;
}

export interface Evidence {
  readonly text: string;
  /** When it happened. */
  readonly t: number;
}

/** What a lesson is about. */
export interface Subject {
  readonly entities: Entities;
  readonly listener: Socket;
  readonly process: Process;
  /** The server's lines, in order. */
  readonly lines: readonly Line[];
  readonly edge: number;
}

/** Pieces of evidence of one answer. */
const MOST = 3;

export function answers(subject: Subject): Answer[] {
  return [ownPort(subject), beforeAccept(subject), nextNumber(subject), seeking(subject), afterFork(subject)];
}

function ownPort({ entities, listener, edge }: Subject): Answer {
  const question = "Does each accepted socket get a port of its own?";
  const accepted = entities
    .children(listener.id)
    .filter((child) => child.accepted !== null && child.accepted <= edge && child.local !== null);
  const port = portOf(listener.local);
  if (accepted.length === 0 || port === undefined) {
    return unknown(question, "Nothing was accepted on an internet address yet: visit the server.");
  }
  const same = accepted.filter((child) => portOf(child.local) === port);
  const peers = new Set(accepted.map(({ peer }) => peer)).size;
  const answer =
    same.length === accepted.length
      ? `No. All ${count(accepted.length)} accepted sockets have port ${port}, the listener's own; they differ in the peer's address (${count(peers)} different ones). A connection is known by both addresses together.`
      : `${count(same.length)} of ${count(accepted.length)} have the listener's port ${port}; the others were redirected.`;
  const evidence = accepted.slice(0, MOST).map((child) => ({
    text: `${visible(child.local ?? "")} ↔ ${visible(child.peer ?? "")}`,
    t: child.accepted ?? 0,
  }));
  return { question, answer, evidence, known: true };
}

function beforeAccept({ entities, listener, edge }: Subject): Answer {
  const question = "What does listen do with a client before accept?";
  const queued = entities
    .children(listener.id)
    .filter((child) => child.queued !== null && child.queued <= edge);
  if (queued.length === 0) {
    return unknown(question, "No client was seen to enter the queue yet: visit the server.");
  }
  const { waiting } = queueAt(queued, edge);
  const accepted = queued.filter((child) => child.accepted !== null && child.accepted <= edge);
  const taken = accepted
    .filter((child) => child.wait_ns !== null)
    .sort((a, b) => (b.wait_ns ?? 0) - (a.wait_ns ?? 0));
  const gone = queued.length - accepted.length - waiting.length;
  const waits = (child: Socket) => edge - (child.queued ?? edge);
  const became = [
    accepted.length > 0 &&
      `${count(accepted.length)} of them ${were(accepted.length)} accepted later${taken[0] ? `, after ${duration(taken[0].wait_ns ?? 0)} at most` : ""}`,
    waiting[0] &&
      `${count(waiting.length)} still ${waiting.length === 1 ? "waits" : "wait"}, for up to ${duration(waits(waiting[0]))} so far`,
    gone > 0 && `${count(gone)} ended in the queue`,
  ];
  // As the kernel's number for it is called: `ESTAB` of a unix socket (ss(8)).
  const state = queued[0]?.steps.find(({ phase }) => phase === "queued")?.state ?? "connected";
  const answer =
    `The kernel connects it and lets it wait: ${count(queued.length)} ${queued.length === 1 ? "client" : "clients"} ${were(queued.length)} ${state} in the queue, not accepted yet. ` +
    `${became.filter((one) => one).join("; ")}.`;
  const evidence = [
    ...taken.slice(0, waiting.length > 0 ? MOST - 1 : MOST).map((child) => ({
      text: `${visible(child.peer ?? "")} was connected ${duration(child.wait_ns ?? 0)} before accept returned`,
      t: child.queued ?? 0,
    })),
    ...waiting.slice(0, MOST).map((child) => ({
      text: `${visible(child.peer ?? "")} is connected and has waited ${duration(waits(child))}`,
      t: child.queued ?? 0,
    })),
  ].slice(0, MOST);
  return { question, answer, evidence, known: true };
}

function were(n: number): string {
  return n === 1 ? "was" : "were";
}

/** Calls whose number is the lowest that is free; dup2, dup3 and passing by number are told theirs. */
const LOWEST =
  /^(socket|accept4?|open|openat|openat2|creat|dup|epoll_create1?|eventfd2?|timerfd_create|pidfd_open)$/;
/** Allocations that are looked at. */
const CHECKED = 500;

function nextNumber({ entities, process, lines, edge }: Subject): Answer {
  const question = "Which number does the next descriptor get, and why?";
  const made = lines
    .filter(
      (line) =>
        line.process === process.id &&
        LOWEST.test(line.call ?? "") &&
        line.new_fd !== undefined &&
        (line.t ?? 0) <= edge,
    )
    .slice(-CHECKED);
  const next = lowestFree(entities, process.table, edge);
  const rule = `The lowest that is free: the next one of ${nameOf(entities, process.table)} would be ${next} at the newest moment that is known.`;
  if (made.length === 0) return unknown(question, `${rule} No call that chooses so is in this record yet.`);
  const lowest = made.filter((line) => isLowest(entities, process.table, line));
  const again = lowest.filter((line) => wasUsed(entities, process.table, line));
  const answer = `${rule} ${count(lowest.length)} of the ${count(made.length)} calls looked at got the lowest number that was free; ${count(again.length)} of these had been used before and closed.${
    lowest.length < made.length
      ? " In the others a lower number became free while the call ran, or nothing tells what it held."
      : ""
  }`;
  const shown = again.length > 0 ? again : lowest;
  const evidence = shown.slice(-MOST).map((line) => ({
    text: `${line.call}() got ${line.new_fd}${line.new_fd ? `: 0 to ${line.new_fd - 1} were in use` : ""}`,
    t: line.t ?? 0,
  }));
  return { question, answer, evidence, known: true };
}

/** Whether every lower number held something when a call that made a descriptor began or returned. */
function isLowest(entities: Entities, table: string, { new_fd = 0, t = 0, dur_ns = 0 }: Line): boolean {
  const held = new Set<number>();
  for (const { fd, held: all } of entities.slots(table)) {
    if (fd >= new_fd) break;
    if (all.some(({ opened, closed }) => opened <= t && (closed === null || closed > t - dur_ns)))
      held.add(fd);
  }
  return held.size === new_fd;
}

function wasUsed(entities: Entities, table: string, { new_fd, t = 0 }: Line): boolean {
  const slot = entities.slots(table).find(({ fd }) => fd === new_fd);
  return slot?.held.some(({ closed }) => closed !== null && closed <= t) ?? false;
}

export function lowestFree(entities: Entities, table: string, at: number): number {
  const held = new Set(entities.tableAt(table, at).map(({ fd }) => fd));
  let free = 0;
  while (held.has(free)) free += 1;
  return free;
}

function seeking({ lines, edge }: Subject): Answer {
  const question = "What happens to lseek on a socket?";
  const tried = lines.filter(({ event, t = 0 }) => event === "lseek" && t <= edge);
  if (tried.length === 0) {
    return unknown(
      question,
      "No program in this record tried. Trace one that does: sockreel serve -- python3 -c 'import os, socket; os.lseek(socket.socket().fileno(), 0, 1)'",
    );
  }
  const refused = tried.filter(({ error }) => error === "ESPIPE");
  return {
    question,
    answer: `It fails with ESPIPE: a socket has no position. ${count(refused.length)} of ${count(tried.length)} tries in this record failed so.`,
    evidence: refused.slice(0, MOST).map((line) => ({
      text: `lseek(${line.fd}) returned ${line.ret} (${line.error})`,
      t: line.t ?? 0,
    })),
    known: true,
  };
}

function afterFork({ entities, listener, edge }: Subject): Answer {
  const question = "What becomes of a listener when its process forks?";
  const holders = entities.holders(listener.id).filter(({ opened }) => opened <= edge);
  const inherited = holders.filter(({ opened_by }) => opened_by === "fork");
  if (inherited.length === 0) return unknown(question, "This listener was not inherited by another process.");
  const counts = new Map<string, number>();
  for (const child of entities.children(listener.id)) {
    const table = entities.holders(child.id)[0]?.table;
    if (table !== undefined) counts.set(table, (counts.get(table) ?? 0) + 1);
  }
  const got = [...counts].map(([table, n]) => `${nameOf(entities, table)} got ${count(n)}`).join(", ");
  const more =
    inherited.length === 1
      ? "one more descriptor stands"
      : `${count(inherited.length)} more descriptors stand`;
  return {
    question,
    answer: `There is still one socket with one queue, and ${more} for it. Whoever accepts first gets the client${got ? `: ${got}` : ""}.`,
    evidence: inherited.slice(0, MOST).map(({ table, fd, opened }) => ({
      text: `descriptor ${fd} of ${nameOf(entities, table)}`,
      t: opened,
    })),
    known: true,
  };
}

function nameOf(entities: Entities, table: string): string {
  for (const process of entities.processes.values()) {
    if (process.table === table) return `${visible(process.comm)} ${process.pid}`;
  }
  return table;
}

function unknown(question: string, answer: string): Answer {
  return { question, answer, evidence: [], known: false };
}

function portOf(address: string | null): number | undefined {
  const digits = address?.match(/^(?:\d|\[).*:(\d+)$/)?.[1];
  return digits === undefined ? undefined : Number(digits);
}
