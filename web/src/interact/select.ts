import { childSentence, processName, slotSentence } from "../a11y/sentences.ts";
import { childKey, processKey, type Row, slotKey } from "../layout/rows.ts";
import type { Descriptor, Process, Socket } from "../protocol/types.gen.ts";
import { joined } from "../store/entities.ts";
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

  /** The process of the selection, or the first one with a socket, or the first one. */
  process(): Process | undefined {
    const chosen = this.app.process(this.app.state.selection.value?.process);
    if (chosen) return chosen;
    const rows = this.app.state.rows.value.rows;
    return (rows.find((row) => row.kind === "slot" && row.socket) ?? rows[0])?.process;
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
      case "child": {
        const holder = this.#entities.holders(row.socket.id)[0];
        this.#set({ row: row.key, process: row.process.id, descriptor: holder?.id, socket: row.socket.id });
        return;
      }
      case "more":
        return;
    }
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
    const found = this.#place(socket, prefer);
    if (!found) {
      this.app.say(`${id} is held by no process that is shown.`);
      return;
    }
    const { process, holder, row } = found;
    this.app.expand(processKey(process.id), true);
    this.app.layNow();
    this.#set({ row, process: process.id, descriptor: holder?.id, socket: id });
    this.reveal(holder?.opened ?? joined(socket));
  }

  /** Selects one descriptor and brings it into sight. */
  jumpTo(descriptor: Descriptor): void {
    const process = this.owner(descriptor.table);
    if (!process) return;
    this.app.expand(processKey(process.id), true);
    this.app.layNow();
    this.#set({
      row: slotKey(process.id, descriptor.fd),
      process: process.id,
      descriptor: descriptor.id,
      socket: descriptor.socket ?? undefined,
    });
    this.reveal(descriptor.opened);
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
      selection.socket || selection.descriptor ? "details" : this.app.state.tab.peek();
    this.app.say(`Selected ${this.#words(selection)}.`);
    this.app.frames.request();
  }

  #words({ process, descriptor, socket }: Selection): string {
    const held = descriptor === undefined ? undefined : this.#entities.descriptors.get(descriptor);
    const found = socket === undefined ? undefined : this.#entities.sockets.get(socket);
    if (held) return slotSentence(this.#entities, held, found, this.app.edge);
    if (found) return childSentence(this.#entities, found, this.app.edge);
    const one = this.app.process(process);
    return one ? `process ${processName(one)}` : "nothing";
  }

  #place(
    socket: Socket,
    prefer: string | undefined,
  ): { process: Process; holder: Descriptor | undefined; row: string } | undefined {
    const preferred = this.app.process(prefer)?.table;
    const holders = this.#entities.holders(socket.id);
    const holder = holders.find((one) => one.table === preferred) ?? holders[0];
    if (holder) {
      const process = this.owner(holder.table, prefer);
      return process && { process, holder, row: slotKey(process.id, holder.fd) };
    }
    // A child that no descriptor points to stands in its listener's list.
    const parents = socket.listener ? this.#entities.holders(socket.listener) : [];
    const parent = parents.find((one) => one.table === preferred) ?? parents[0];
    const process = parent && this.owner(parent.table, prefer);
    if (!process || !parent) return undefined;
    this.app.expand(slotKey(process.id, parent.fd), true);
    return { process, holder: undefined, row: childKey(process.id, parent.fd, socket.id) };
  }

  /** The process that uses a table; the preferred one where several do. */
  owner(table: string, prefer?: string): Process | undefined {
    const preferred = this.app.process(prefer);
    if (preferred?.table === table) return preferred;
    for (const process of this.#entities.processes.values()) if (process.table === table) return process;
    return undefined;
  }
}
