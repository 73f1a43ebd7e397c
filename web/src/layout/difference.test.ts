import { expect, test } from "vitest";
import { FakeSession } from "../../test/fake/session.ts";
import { Session } from "../store/session.ts";
import { differences } from "./difference.ts";

test("what became of each number between two instants", () => {
  const fake = new FakeSession();
  const server = fake.process(1, "server");
  fake.open(server, 0, "file", "/stays");
  const goes = fake.open(server, 1, "file", "/goes");
  const other = fake.open(server, 2, "file", "/old");
  const socket = fake.socket(server, 3);
  const brief = fake.open(server, 5, "file", "/brief");
  fake.pass(10);
  const from = fake.now;
  fake.pass(10);
  fake.close(server, goes, "local");
  fake.close(server, other, "local");
  fake.close(server, brief, "local");
  fake.open(server, 2, "file", "/new");
  fake.open(server, 4, "file", "/comes");
  const again = fake.open(server, 5, "file", "/brief, too");
  fake.step(socket, "connecting", "SYN_SENT");
  fake.pass(5);
  fake.close(server, again, "local");
  fake.pass(5);
  const session = new Session();
  session.apply({ kind: "hello", info: fake.info, resumed: false });
  session.apply(fake.change(0, 0));
  const { entities } = session;
  const at = (t: number) => ({ at: t, table: entities.tableAt(server.table, t) });
  const found = differences(at(from), at(fake.now), (one) => entities.sockets.get(one.socket ?? ""));
  expect(found.map(({ fd, kind }) => `${fd} ${kind}`)).toEqual([
    "1 closed",
    "2 replaced",
    "3 changed",
    "4 opened",
    "5 closed",
  ]);
  expect(differences(at(from), at(from), () => undefined)).toEqual([]);
});
