import { readFile } from "node:fs/promises";
import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { extname, join, normalize } from "node:path";
import type { Duplex } from "node:stream";
import { type WebSocket, WebSocketServer } from "ws";
import { parseFilter } from "../../src/base/filter.ts";
import { Clock } from "../../src/base/time.ts";
import type { Answers } from "../../src/net/answers.ts";
import { lineFields } from "../../src/net/linefields.ts";
import type { ClientMessage, ServerMessage } from "../../src/protocol/types.gen.ts";
import { isQuestion, plainOf } from "./answers.ts";
import { type FakeSession, T0_NS } from "./session.ts";

const TYPES: Readonly<Record<string, string>> = {
  ".html": "text/html; charset=utf-8",
  ".js": "text/javascript",
  ".css": "text/css",
  ".svg": "image/svg+xml",
};

/** As strict as the daemon's own. */
const POLICY =
  "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self' data:; frame-ancestors 'none'";

interface Client {
  readonly wire: WebSocket;
  rev: number;
  seq: number;
  busy: boolean;
}

/** Serves the built page and speaks the daemon's protocol about a session that a test tells. */
export class FakeServer {
  readonly #server: Server;
  readonly #sockets: WebSocketServer;
  readonly #clients = new Set<Client>();
  /** Events that a new client gets at most; older ones are at `/api/v1/events`. */
  tail = 1000;
  /** Lets nobody into the stream, and refuses nobody: they wait. */
  holds = false;
  readonly #held: Duplex[] = [];
  /** Answers 401 to everything but the page itself. */
  refuses = false;
  /** What is answered; without it, what the session says of itself. */
  answers: Answers | undefined;
  /** Has no time for questions. */
  busy = false;
  /** Paths and queries of what was asked. */
  readonly asked: string[] = [];
  /** What clients asked for when they said hello. */
  readonly hellos: (ClientMessage & { kind: "hello" })[] = [];
  readonly acks: number[] = [];

  constructor(
    public session: FakeSession,
    readonly root: string,
  ) {
    this.#server = createServer((request, response) => void this.#answer(request.url ?? "/", response));
    this.#sockets = new WebSocketServer({ noServer: true });
    this.#server.on("upgrade", (request, socket, head) => {
      if (this.refuses || request.url !== "/api/v1/live") {
        socket.end("HTTP/1.1 401 Unauthorized\r\n\r\n");
        return;
      }
      if (this.holds) {
        this.#held.push(socket);
        return;
      }
      this.#sockets.handleUpgrade(request, socket, head, (wire) => this.#joined(wire));
    });
  }

  async start(port = 0): Promise<void> {
    await new Promise<void>((done) => this.#server.listen(port, "127.0.0.1", done));
  }

  get port(): number {
    return (this.#server.address() as AddressInfo).port;
  }

  get url(): string {
    return `http://127.0.0.1:${this.port}/`;
  }

  async stop(): Promise<void> {
    this.cut();
    if (!this.#server.listening) return;
    await new Promise<void>((done) => this.#server.close(() => done()));
  }

  /** Breaks every connection. */
  cut(): void {
    for (const { wire } of this.#clients) wire.terminate();
    this.#clients.clear();
    for (const socket of this.#held) socket.destroy();
    this.#server.closeAllConnections();
  }

  /** Sends what changed to every client that is ready for it. */
  push(): void {
    for (const client of this.#clients) this.#send(client);
  }

  send(message: ServerMessage): void {
    for (const { wire } of this.#clients) wire.send(JSON.stringify(message));
  }

  #joined(wire: WebSocket): void {
    const client: Client = { wire, rev: 0, seq: 0, busy: false };
    wire.on("message", (data) => {
      const message = JSON.parse(String(data)) as ClientMessage;
      if (message.kind === "ack") {
        this.acks.push(message.rev);
        client.busy = false;
        if (client.rev < this.session.rev) this.#send(client);
        return;
      }
      this.hellos.push(message);
      const resumed = message.resume?.session === this.session.id;
      client.rev = resumed ? (message.resume?.rev ?? 0) : 0;
      client.seq = resumed ? this.session.lines.length : Math.max(0, this.session.lines.length - this.tail);
      wire.send(JSON.stringify({ kind: "hello", info: this.session.info, resumed } satisfies ServerMessage));
      this.#clients.add(client);
      this.#send(client);
    });
    wire.on("close", () => this.#clients.delete(client));
  }

  #send(client: Client): void {
    if (client.busy) return;
    const change = this.session.change(client.rev, client.seq);
    client.rev = change.to;
    client.seq = this.session.lines.length;
    client.busy = true;
    client.wire.send(JSON.stringify(change));
  }

  async #answer(path: string, response: import("node:http").ServerResponse): Promise<void> {
    const url = new URL(path, "http://fake");
    const json = (status: number, body: unknown) => {
      response.writeHead(status, { "content-type": "application/json" });
      response.end(JSON.stringify(body));
    };
    if (url.pathname.startsWith("/api/") && this.refuses)
      return json(401, { error: "The token is missing." });
    if (url.pathname === "/api/v1/info") return json(200, this.session.info);
    if (url.pathname === "/api/v1/events") return this.#events(url, json);
    const [, question] = url.pathname.match(/^\/api\/v1\/answers\/(\w+)$/) ?? [];
    if (question !== undefined) {
      this.asked.push(question + url.search);
      const answers = this.answers ?? plainOf(this.session, Object.fromEntries(url.searchParams));
      if (this.busy) return json(503, { error: "The session is busy; ask again." });
      if (isQuestion(question, answers)) return json(200, answers[question]);
    }
    const file = normalize(url.pathname === "/" ? "/index.html" : url.pathname);
    try {
      const told = JSON.stringify(this.session.info).replaceAll("&", "&amp;").replaceAll('"', "&quot;");
      const read = await readFile(join(this.root, file));
      const body = file.endsWith(".html")
        ? read.toString().replace('name="sockreel-info" content=""', `name="sockreel-info" content="${told}"`)
        : read;
      response.writeHead(200, {
        "content-type": TYPES[extname(file)] ?? "application/octet-stream",
        "content-security-policy": POLICY,
      });
      response.end(body);
    } catch {
      json(404, { error: `There is no ${file}.` });
    }
  }

  #events(url: URL, json: (status: number, body: unknown) => void): void {
    const from = Number(url.searchParams.get("from_seq") ?? 0);
    const before = Number(url.searchParams.get("to_seq") ?? Number.POSITIVE_INFINITY);
    const limit = Number(url.searchParams.get("limit") ?? 100);
    const moment = url.searchParams.get("from");
    const since = moment === null ? 0 : new Clock(T0_NS).offset(BigInt(moment));
    const filter = parseFilter(url.searchParams.get("filter") ?? "", lineFields(new Clock(T0_NS)));
    if (typeof filter !== "function") {
      json(400, { error: `filter: ${filter.token}: ${filter.reason}` });
      return;
    }
    const fits = this.session.lines.filter(
      (line) => line.seq >= from && line.seq < before && (line.t ?? 0) >= since && filter(line),
    );
    const events = fits.slice(0, limit);
    const next = fits.length > limit ? (events.at(-1)?.seq ?? 0) + 1 : null;
    json(200, { events, next_seq: next });
  }
}
