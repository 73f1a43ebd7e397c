import { describe, expect, test } from "vitest";
import { HOSTILE, nginx } from "../../test/fake/nginx.ts";
import { FakeSession } from "../../test/fake/session.ts";
import { layRows } from "../layout/lay.ts";
import type { Row } from "../layout/rows.ts";
import { Session } from "../store/session.ts";
import { describe as describeRow } from "../views/rowtext.ts";
import { exitWord, fileName, place, standing } from "./sentences.ts";
import { moved } from "./treegrid.ts";

function rows(fake: FakeSession, expanded = new Map<string, boolean>()) {
  const session = new Session();
  session.apply({ kind: "hello", info: fake.info, resumed: false });
  session.apply(fake.change(0, 0));
  const laid = layRows("slots", {
    entities: session.entities,
    failures: session.failures,
    edge: fake.now,
    matching: undefined,
    expanded,
  });
  const texts = laid.rows.map((row: Row) => describeRow(session, row, fake.now));
  const sentences = texts.map(({ sentence }) => sentence);
  return { rows: laid.rows, sentences, tails: texts.map(({ tail }) => tail.join("|")), session };
}

describe("sentences", () => {
  const told = nginx();
  const { sentences, tails } = rows(told.session);

  test("a process", () => {
    expect(sentences[0]).toBe("process nginx 811, 7 open descriptors of at most 1,024, exact");
    expect(sentences).toContain("process curl 990, 0 open descriptors, exact, ended, exit code 0");
  });

  test("a listener", () => {
    expect(sentences).toContain(
      "fd 6, tcp socket listening on 127.0.0.1:80, 17 children, queue 3, limit 511",
    );
  });

  test("at a row's end, what waits and what is doubtful come first, since the end is what is left out", () => {
    expect(tails).toContain("q 3|, limit 511|  ·  17 children");
    expect(tails).toContain("doubtful|  ·  1/1,024| fds");
    expect(tails[0]).toBe("7/1,024| fds");
    expect(tails).toContain("18.0 µs queued");
  });

  test("an accepted socket, and a slot that held one", () => {
    expect(sentences).toContain(
      "fd 10, tcp socket 127.0.0.1:80 from 127.0.0.1:51213, accepted from fd 6, connected 6 s",
    );
    expect(sentences).toContain(
      "fd 11, empty, last held tcp socket 127.0.0.1:80 from 127.0.0.1:51210, accepted from fd 6, closed after 10.5 s, closed first by this side",
    );
  });

  test("what has no name says so, unless its kind is one that has none", () => {
    const fake = new FakeSession();
    const server = fake.process(1, "server");
    const names = [
      fake.open(server, 3, "file", "/x"),
      fake.open(server, 4, "file", ""),
      fake.open(server, 5, "pipe", ""),
      fake.open(server, 6, "char_device", ""),
    ].map(fileName);
    expect(names).toEqual(["/x", "(name not known)", "pipe", "char device"]);
  });

  test("a failed connection", () => {
    expect(sentences).toContain("fd 15, tcp socket to 10.0.0.8:9000, unconnected 3 s, error ECONNREFUSED");
  });

  test("a socket before it has an address, though it has one now", () => {
    const fake = new FakeSession();
    const server = fake.process(1, "server");
    const made = fake.now;
    const listener = fake.listen(server, 3, "[::1]:80");
    expect(place(listener, made)).toBe("without an address");
    expect(place(listener, made + 3e6)).toBe("[::1]:80");
    expect(place(listener, fake.now)).toBe("listening on [::1]:80");
    // One that was given its address without a call of its own has it as long as nothing else is known.
    const sender = fake.socket(server, 4, { local: "127.0.0.1:5000" });
    expect(place(sender, fake.now)).toBe("127.0.0.1:5000");
  });

  test("files and other things", () => {
    expect(sentences).toContain("fd 4, file /var/log/nginx/access.log, open 56 s");
    expect(sentences).toContain("fd 7, epoll [eventpoll], open 56 s");
  });

  test("children", () => {
    expect(sentences).toContain(
      "from 127.0.0.1:51200, fd 9, accepted after waiting 18.0 µs, closed after 10.9 s, closed first by the peer",
    );
    expect(sentences).toContain("from 127.0.0.1:51502, waiting in the accept queue");
  });

  test("hostile names are escaped", () => {
    const evil = sentences.find((sentence) => sentence.includes("1313"));
    expect(evil).toBe(
      "process evil<img src=x onerror=alert(1)>\\u{202e}txt.\\u{7} 1313, 1 open descriptors of at most 1,024, doubtful: its table was not read",
    );
    expect(sentences.some((sentence) => sentence.includes(HOSTILE))).toBe(false);
  });

  test("one child is not children", () => {
    const fake = new FakeSession();
    const server = fake.process(1, "server");
    const listener = fake.listen(server, 3, "[::1]:80");
    fake.accept(server, listener, fake.queue(listener, "[::1]:1"), 4, 3);
    expect(rows(fake).sentences[1]).toBe(
      "fd 3, tcp socket listening on [::1]:80, 1 child, queue 0, limit 511",
    );
  });

  test("exit words", () => {
    expect([null, 0, 256, 9, 139].map(exitWord)).toEqual([
      "",
      ", exit code 0",
      ", exit code 1",
      ", killed by signal 9",
      ", killed by signal 11",
    ]);
  });
});

describe("rows of a paused view", () => {
  const fake = new FakeSession();
  const server = fake.process(1, "server");
  const listener = fake.listen(server, 3, "[::1]:80");
  const worker = fake.fork(server, 2);
  fake.accept(server, listener, fake.queue(listener, "[::1]:1"), 4, 3);
  const waiting = fake.queue(listener, "[::1]:2");
  // The server counts who is queued, too, and knows of 98 that are not kept.
  listener.children = 100;
  fake.pass(2000);
  const edge = fake.now;
  const { rows: laid, session } = rows(fake);
  const told = () => laid.map((row) => describeRow(session, row, edge));
  const before = told();
  const ofListener = laid.findIndex((row) => row.kind === "slot" && row.slot.fd === 3);
  const ofWaiting = laid.findIndex((row) => row.kind === "child" && row.socket.id === waiting.id);

  // All of this is of later: the child is accepted, meets an error and ends, others come, the limit is another one.
  fake.pass(10);
  fake.accept(worker, listener, waiting, 5, 3);
  fake.step(waiting, "closed", "CLOSE", "ECONNRESET");
  waiting.ended = fake.now;
  for (const port of [3, 4, 5]) fake.queue(listener, `[::1]:${port}`);
  listener.children = 103;
  Object.assign(listener, { queue_limit: 1, former_limits: [{ until: fake.now, limit: 511 }] });
  session.apply(fake.change(session.resume?.rev ?? 0, fake.lines.length));

  test("tell nothing that happens later", () => {
    expect(session.entities.now).toBe(edge + 10e6);
    expect(told()).toEqual(before);
  });

  test("tell the length, the limit and the children of their moment, and the newest ones of the newest", () => {
    const at = (t: number) => {
      const { sentence, tail, data } = describeRow(session, laid[ofListener] as Row, t);
      return [sentence, tail.join("|"), data["data-children"]];
    };
    expect(at(edge)).toEqual([
      "fd 3, tcp socket listening on [::1]:80, 100 children, queue 1, limit 511",
      "q 1|, limit 511|  ·  100 children",
      "100",
    ]);
    expect(at(fake.now)).toEqual([
      "fd 3, tcp socket listening on [::1]:80, 103 children, queue 3, limit 1",
      "q 3|, limit 1|  ·  103 children",
      "103",
    ]);
  });

  test("a child waits until it is accepted", () => {
    const at = (t: number) => {
      const { sentence, lead, tail } = describeRow(session, laid[ofWaiting] as Row, t);
      return [sentence, lead, tail.join("|")];
    };
    expect(at(edge)).toEqual(["from [::1]:2, waiting in the accept queue", "·", ""]);
    expect(at(fake.now)).toEqual([
      "from [::1]:2, fd 5, accepted after waiting 2.01 s, closed, error ECONNRESET",
      "5",
      "in server 2|  ·  2.01 s queued",
    ]);
  });
});

describe("rows of a table that may be wrong", () => {
  const fake = new FakeSession();
  const server = fake.process(1, "server");
  const listener = fake.listen(server, 3, "[::1]:80");
  fake.queue(listener, "[::1]:1");
  fake.pass(1000);
  fake.lose(7);
  fake.pass(1000);
  const { rows: laid, session } = rows(fake, new Map([[`${server.id}/3`, true]]));
  const at = (t: number) => laid.map((row) => describeRow(session, row, fake.now, t));
  const why = `doubtful: records were lost, since ${session.clock.timeOfDay(fake.now - 1e9, 1e9)}`;

  test("say so, each of them, and why", () => {
    const now = at(fake.now);
    expect(now.map(({ doubt }) => doubt)).toEqual([why, why, why]);
    expect(now.map(({ tail }) => tail.join("|"))).toEqual([
      "doubtful|  ·  1/1,024| fds",
      "?|  ·  q 1|, limit 511|  ·  1 child",
      "?",
    ]);
    expect(now[1]?.sentence).toBe(
      `fd 3, tcp socket listening on [::1]:80, 1 child, queue 1, limit 511, ${why}`,
    );
  });

  test("say nothing of it at a moment before", () => {
    const before = at(500e6);
    expect(before.map(({ doubt }) => doubt)).toEqual([undefined, undefined, undefined]);
    expect(before.map(({ tail }) => tail.join("|"))).toEqual([
      "1/1,024| fds",
      "q 1|, limit 511|  ·  1 child",
      "",
    ]);
  });

  test("a check that finds nothing wrong takes the doubt away", () => {
    fake.check();
    session.apply(fake.change(session.resume?.rev ?? 0, fake.lines.length));
    expect(at(fake.now).map(({ doubt }) => doubt)).toEqual([undefined, undefined, undefined]);
  });

  test("one that was never read has lost nothing", () => {
    const other = fake.process(2, "other");
    fake.doubt(other, "unread");
    session.apply(fake.change(session.resume?.rev ?? 0, fake.lines.length));
    expect(standing(session.entities.processes.get(other.id) ?? other)).toBe(
      "doubtful: its table was not read",
    );
  });
});

describe("rows at the time cursor", () => {
  const fake = new FakeSession();
  const server = fake.process(1, "server");
  const listener = fake.listen(server, 3, "[::1]:80");
  fake.pass(1000);
  const child = fake.queue(listener, "[::1]:1");
  fake.pass(1000);
  const held = fake.accept(server, listener, child, 4, 3);
  fake.pass(1000);
  fake.close(server, held, "peer");
  const late = fake.process(2, "late");
  fake.pass(1000);
  const { rows: laid, session } = rows(fake, new Map([[`${server.id}/3`, true]]));
  const at = (t?: number) =>
    laid.map((row) => {
      const { chip, tail, sentence } = describeRow(session, row, fake.now, t);
      return [chip, tail.join("|"), sentence];
    });

  test("tell what was open, waiting and connected then", () => {
    expect(laid.map(({ kind }) => kind)).toEqual(["process", "slot", "child", "slot", "process"]);
    expect(at(1_500e6)).toEqual([
      ["", "1/1,024| fds", "process server 1, 1 open descriptors of at most 1,024, exact"],
      [
        "listening",
        "q 1|, limit 511|  ·  1 child",
        "fd 3, tcp socket listening on [::1]:80, 1 child, queue 1, limit 511",
      ],
      ["queued", "", "from [::1]:1, waiting in the accept queue"],
      ["not yet", "from fd 3", "fd 4, nothing yet"],
      ["", "not yet", `process late ${late.pid}, not seen yet`],
    ]);
    expect(at(2_500e6).map(([chip]) => chip)).toEqual(["", "listening", "connected", "connected", ""]);
    expect(at(500e6)[2]).toEqual(["not yet", "", "from [::1]:1, not there yet"]);
  });

  test("and without one what is there now", () => {
    expect(at().map(([chip]) => chip)).toEqual(["", "listening", "closed", "closed", ""]);
  });
});

describe("keys of the tree grid", () => {
  const told = nginx();
  const laid = rows(told.session).rows;
  const listener = laid.findIndex((row) => row.level === 2 && "expanded" in row && row.expanded === true);

  test("up and down stop at the ends", () => {
    expect(moved("ArrowDown", laid, 0, 5)).toEqual({ kind: "focus", index: 1 });
    expect(moved("ArrowUp", laid, 0, 5)).toEqual({ kind: "focus", index: 0 });
    expect(moved("End", laid, 0, 5)).toEqual({ kind: "focus", index: laid.length - 1 });
    expect(moved("PageDown", laid, laid.length - 2, 5)).toEqual({ kind: "focus", index: laid.length - 1 });
    expect(moved("Home", laid, 7, 5)).toEqual({ kind: "focus", index: 0 });
  });

  test("right expands or goes in, left collapses or goes out", () => {
    expect(moved("ArrowLeft", laid, listener, 5)).toEqual({ kind: "expand", expanded: false });
    expect(moved("ArrowRight", laid, listener, 5)).toEqual({ kind: "focus", index: listener + 1 });
    expect(moved("ArrowLeft", laid, listener + 3, 5)).toEqual({ kind: "focus", index: listener });
    expect(moved("ArrowRight", laid, listener + 3, 5)).toEqual({ kind: "none" });
  });
});
