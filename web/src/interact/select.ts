import { childSentence, failureSentence, processName, slotSentence } from "../a11y/sentences.ts";
import { ownerOf, rowOfDescriptor, rowOfSocket } from "../layout/find.ts";
import { processKey, type Row, type Rows, slotKey } from "../layout/rows.ts";
import type { Descriptor, Process, Socket } from "../protocol/types.gen.ts";
import { joined, lastHeld } from "../store/entities.ts";
import type { Failure } from "../store/failures.ts";
import type { App } from "./app.ts";
import type { Selection } from "./state.ts";

/** Selecting things and walking between listeners and their children. */
export class Selecting {
  constructor(readonly app: App) {}

  get #entities() {
    return this.app.session.entities;
  }

  descriptor(): Descriptor | undefined {
    const id = this.app.state.selection.value?.descriptor;
    return id === undefined ? undefined : this.#entities.descriptors.get(id);
  }

  socket(): Socket | undefined {
    const id = this.app.state.selection.value?.socket;
    return id === undefined ? undefined : this.#entities.sockets.get(id);
  }

  failed(): Failure | undefined {
    const seq = this.app.state.selection.value?.failure;
    return seq === undefined ? undefined : this.app.session.failures.find(seq);
  }

  /** The process of the selection, or the first one with a socket, or the first one. */
  process(): Process | undefined {
    const chosen = this.app.process(this.app.state.selection.value?.process);
    if (chosen) return chosen;
    const rows = this.app.state.rows.value.rows;
    return (rows.find((row) => "socket" in row && row.socket) ?? rows[0])?.process;
  }

  /** Selects what a row holds at a moment: without one, what it holds now or held last. */
  row(row: Row, descriptor?: Descriptor): void {
    switch (row.kind) {
      case "process":
        this.#set({ row: row.key, process: row.process.id, descriptor: undefined, socket: undefined });
        return;
      case "slot": {
        const held = descriptor ?? row.descriptor;
        const socket = held.socket ?? undefined;
        this.#set({ row: row.key, process: row.process.id, descriptor: held.id, socket });
        return;
      }
      case "instance":
      case "listener": {
        const { key, process } = row;
        this.#set({ row: key, process: process.id, descriptor: row.descriptor.id, socket: row.socket?.id });
        return;
      }
      case "lane": {
        const newest = row.children.at(-1);
        if (newest) this.jump(newest.id);
        return;
      }
      case "child": {
        const holder = this.#entities.holders(row.socket.id)[0];
        this.#set({ row: row.key, process: row.process.id, descriptor: holder?.id, socket: row.socket.id });
        return;
      }
      case "more":
        return;
    }
  }

  /** Selects a failed call, with the row that it stands on. */
  failure({ seq, process: id, fd, socket, t }: Failure): void {
    const process = this.app.process(id);
    if (!process) {
      this.app.say("The process of this call is not kept any more.");
      return;
    }
    const descriptor =
      fd === undefined
        ? this.#entities.holders(socket ?? "").find(({ table }) => table === process.table)
        : this.#lastHeld(process, fd, t);
    if (descriptor) {
      this.app.expand(processKey(id), true);
      this.app.layNow();
    }
    const row = descriptor && rowOfDescriptor(this.#entities, this.app.state.rows.peek(), descriptor, id);
    this.#set({
      row: row?.key ?? processKey(id),
      process: id,
      descriptor: descriptor?.id,
      socket: descriptor?.socket ?? socket,
      failure: seq,
    });
    this.reveal(t);
  }

  /** What a slot held at a moment, or last before it. */
  #lastHeld(process: Process, fd: number, t: number): Descriptor | undefined {
    const slot = this.#entities.slots(process.table).find((one) => one.fd === fd);
    return slot && lastHeld(slot, t);
  }

  wholeProcess(process: Process): void {
    this.#set({ row: processKey(process.id), process: process.id, descriptor: undefined, socket: undefined });
  }

  /** Selects a socket wherever it is held, and brings it into sight. Says so where it is not kept any more. */
  jump(id: string, prefer = this.app.state.selection.peek()?.process): void {
    const socket = this.#entities.sockets.get(id);
    if (!socket) {
      this.app.say(`${id} is not kept any more.`);
      return;
    }
    const held = this.#held(socket, prefer);
    if (!held) {
      this.app.say(`${id} is held by no process that is shown.`);
      return;
    }
    const { process, holder } = held;
    this.app.expand(processKey(process.id), true);
    this.#set({
      row: this.#row((rows) => this.#rowOf(rows, socket, holder, process), process),
      process: process.id,
      descriptor: holder?.id,
      socket: id,
    });
    this.reveal(holder?.opened ?? joined(socket));
  }

  /** Selects one descriptor and brings it into sight. */
  jumpTo(descriptor: Descriptor): void {
    const process = this.owner(descriptor.table);
    if (!process) return;
    this.app.expand(processKey(process.id), true);
    this.#set({
      row: this.#row((rows) => rowOfDescriptor(this.#entities, rows, descriptor, process.id), process),
      process: process.id,
      descriptor: descriptor.id,
      socket: descriptor.socket ?? undefined,
    });
    this.reveal(descriptor.opened);
  }

  /** Selects what a number of a process held at a moment. */
  slotAt(id: string, fd: number, t: number): void {
    const table = this.app.process(id)?.table;
    const slot = table === undefined ? undefined : this.#entities.slots(table).find((one) => one.fd === fd);
    const held = slot && (lastHeld(slot, t) ?? slot.held[0]);
    if (held) this.jumpTo(held);
    else this.app.say(`fd ${fd} is not kept any more.`);
  }

  /** Finds a row in the rows as they are now; where this mode has none for it, slots have. */
  #row(find: (rows: Rows) => Row | undefined, process: Process): string {
    this.app.layNow();
    let row = find(this.app.state.rows.peek());
    if (!row && this.app.state.mode.peek() !== "slots") {
      this.app.setMode("slots");
      this.app.layNow();
      row = find(this.app.state.rows.peek());
    }
    return row?.key ?? processKey(process.id);
  }

  /** What is held has a row of its own; what nothing holds stands in its listener's list. */
  #rowOf(rows: Rows, socket: Socket, holder: Descriptor | undefined, process: Process): Row | undefined {
    const lane = rowOfSocket(this.#entities, rows, socket, process.id);
    if (lane?.kind === "lane" || lane?.kind === "listener" || !holder) return lane;
    return rowOfDescriptor(this.#entities, rows, holder, process.id);
  }

  /** The listener of the selected child. */
  parent(): void {
    const listener = this.socket()?.listener;
    if (listener) this.jump(listener);
    else this.app.say("Nothing with a listener is selected.");
  }

  /** From a listener to its first or last child, from a child to its neighbours. */
  child(step: 1 | -1): void {
    const socket = this.socket();
    if (!socket) {
      this.app.say("Select a listener or a child first.");
      return;
    }
    const siblings = this.#entities.children(socket.listener ?? socket.id);
    const at = socket.listener ? siblings.indexOf(socket) + step : step === 1 ? 0 : siblings.length - 1;
    const next = siblings[at];
    if (next) this.jump(next.id);
    else this.app.say(step === 1 ? "No later child." : "No earlier child.");
  }

  /** The time that the selection lived. */
  range(): [number, number] | undefined {
    const descriptor = this.descriptor();
    const edge = this.app.edge;
    if (descriptor) return [descriptor.opened, descriptor.closed ?? edge];
    const socket = this.socket();
    if (socket) return [joined(socket), socket.ended ?? edge];
    const process = this.app.process(this.app.state.selection.peek()?.process);
    return process && [process.seen, process.ended ?? edge];
  }

  /** Brings the selected row, and a moment of it, into sight. */
  reveal(at: number): void {
    const key = this.app.state.selection.peek()?.row;
    const { rows, index } = this.app.state.rows.peek();
    const row = key === undefined ? undefined : rows[index.get(key) ?? -1];
    if (row) this.app.revealRow(row);
    this.app.viewport.reveal(at);
    this.app.frames.request();
  }

  #set(selection: Selection): void {
    this.app.state.selection.value = selection;
    this.app.state.tab.value =
      selection.socket || selection.descriptor || selection.failure ? "details" : this.app.state.tab.peek();
    this.app.say(`Selected ${this.#words(selection)}.`);
    this.app.frames.request();
  }

  #words({ process, descriptor, socket, failure }: Selection): string {
    const failed = failure === undefined ? undefined : this.app.session.failures.find(failure);
    if (failed) return failureSentence(failed);
    const held = descriptor === undefined ? undefined : this.#entities.descriptors.get(descriptor);
    const found = socket === undefined ? undefined : this.#entities.sockets.get(socket);
    if (held) return slotSentence(this.#entities, held, found, this.app.edge);
    if (found) return childSentence(this.#entities, found, this.app.edge);
    const one = this.app.process(process);
    return one ? `process ${processName(one)}` : "nothing";
  }

  /** Who holds a socket, or would take it out of its queue. */
  #held(
    socket: Socket,
    prefer: string | undefined,
  ): { process: Process; holder: Descriptor | undefined } | undefined {
    const preferred = this.app.process(prefer)?.table;
    const choose = (all: readonly Descriptor[]) => all.find((one) => one.table === preferred) ?? all[0];
    const holder = choose(this.#entities.holders(socket.id));
    if (holder) {
      const process = this.owner(holder.table, prefer);
      return process && { process, holder };
    }
    const parent = choose(socket.listener ? this.#entities.holders(socket.listener) : []);
    const process = parent && this.owner(parent.table, prefer);
    if (!process || !parent) return undefined;
    this.app.expand(slotKey(process.id, parent.fd), true);
    return { process, holder: undefined };
  }

  owner(table: string, prefer?: string): Process | undefined {
    return ownerOf(this.#entities, table, prefer);
  }
}
