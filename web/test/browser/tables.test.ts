import { afterAll, beforeAll, expect, test } from "vitest";
import { busy } from "../fake/busy.ts";
import { nginx } from "../fake/nginx.ts";
import { FakeSession, T0_NS } from "../fake/session.ts";
import { Browser, begun, on, open, slotRow } from "./browser.ts";

let browser: Browser;
beforeAll(async () => {
  browser = await Browser.launch();
});
afterAll(() => browser.close());

test("the row filter hides, counts, complains and is cleared", async () => {
  const story = nginx();
  await on(browser, story.session, async ({ page }) => {
    await begun(page);
    const slots = page.locator('[role=row][aria-level="2"]');
    const note = page.locator("#row-filter-note");
    await page.keyboard.press("/");
    await page.keyboard.type("state:listening");
    await expect.poll(() => slots.count()).toBe(2);
    await expect.poll(() => note.textContent()).toMatch(/^2 of \d+$/);
    await page.keyboard.type("x");
    await page.getByText(/^The filter hides all \d+ rows$/).waitFor();
    await page.getByText("The filter of rows hides every process.").waitFor();
    await page.getByRole("button", { name: "Clear the filter" }).click();
    await expect.poll(() => slots.count()).toBeGreaterThan(10);
    await page.locator("#row-filter").fill("prot:443");
    await expect.poll(() => note.textContent()).toMatch(/^prot:443: no field is called "prot"/);
  });
});

test("the list of events takes the server's filter, and selects", async () => {
  const story = nginx();
  await on(
    browser,
    story.session,
    async ({ page }) => {
      await begun(page);
      await page.keyboard.press("5");
      const events = page.locator("[data-event]");
      await page.getByRole("searchbox", { name: "Filter events" }).fill("event:accept pid:812");
      await page.getByText("14 that fit").waitFor();
      const kinds = await events.evaluateAll((all) =>
        all.map((one) => (one as HTMLElement).dataset["event"]),
      );
      expect(new Set(kinds)).toEqual(new Set(["accept"]));
      // A failure has a form beside its colour.
      await page.getByRole("searchbox", { name: "Filter events" }).fill("error:*");
      const result = page.locator(".eventrows .spacer [role=cell].bad");
      await expect.poll(() => result.allTextContents()).toEqual(["! EADDRINUSE"]);
      await page.getByRole("searchbox", { name: "Filter events" }).fill("event:accept pid:812");
      await page.getByText("14 that fit").waitFor();
      await page.locator(".eventrows button.link").last().click();
      const selected = page.locator('[role=row][aria-selected="true"]');
      await expect.poll(() => selected.getAttribute("data-socket")).toBe(story.open.socket.id);
      await page.keyboard.press("5");
      await page.getByRole("searchbox", { name: "Filter events" }).fill("evnt:accept");
      await page.getByText(/no field is called "evnt"/).waitFor();
      // Neither that nothing fits nor that there is more is known.
      await expect.poll(() => page.locator(".events").textContent()).not.toMatch(/fit|Load/);
    },
    [/400/],
  );
});

test("older events are read on demand", async () => {
  const fake = new FakeSession("old");
  const process = fake.process(1, "server");
  fake.listen(process, 3, "127.0.0.1:80");
  for (let i = 0; i < 1200; i += 1) {
    fake.pass(1);
    fake.open(process, 4 + i, "file", `/x/${i}`);
  }
  const opened = await open(browser, fake, "nowhere");
  try {
    opened.server.tail = 100;
    await opened.page.goto(opened.server.url);
    await begun(opened.page);
    await opened.page.keyboard.press("5");
    await opened.page.getByText("100 of 1,203 kept").waitFor();
    await opened.page.getByRole("button", { name: "Load older" }).click();
    await opened.page.getByText("600 of 1,203 kept").waitFor();
  } finally {
    await opened.close();
  }
});

test("the accept queues: who waits, against which limit, sorted by any column", async () => {
  const story = nginx("queues", "recording");
  await on(browser, story.session, async ({ page }) => {
    await begun(page);
    await page.keyboard.press("3");
    const row = page.locator(`[role=row]:has([data-listener="${story.listener.id}"])`);
    await expect.poll(() => row.locator("[data-waiting]").textContent()).toBe("3");
    await expect.poll(() => row.textContent()).toContain("511");
    await page.getByRole("img", { name: "Length of the accept queue of 127.0.0.1:80" }).waitFor();
    // Three of 512 do not fill their picture, and the limit is said to lie beyond it.
    const chart = page.locator(".plot");
    await expect.poll(() => chart.locator("> :nth-child(1)").textContent()).toBe("50");
    await expect.poll(() => chart.locator("> :nth-child(3)").textContent()).toBe("↑ limit 511");
    // It goes where the lanes go.
    const times = chart.locator(".times");
    const before = await times.textContent();
    await page.keyboard.press("a");
    await expect.poll(() => times.textContent()).not.toBe(before);
    const header = page.getByRole("columnheader", { name: "Waiting" });
    await header.getByRole("button").click();
    await expect.poll(() => header.getAttribute("aria-sort")).toBe("ascending");
    await header.getByRole("button").click();
    await expect.poll(() => header.getAttribute("aria-sort")).toBe("descending");
  });
});

test("the picture of a queue claims no time that nobody saw, and shows where events were lost", async () => {
  const session = busy("seen");
  session.lose(17);
  session.pass(1000);
  await on(browser, session, async ({ page }) => {
    await begun(page);
    await page.keyboard.press("3");
    const chart = page.locator(".queuechart");
    // A minute is in sight, and the record began in its midst.
    await expect
      .poll(() => chart.locator("figcaption").textContent())
      .toMatch(
        /^0\.0\.0\.0:8080: at most 9 were seen to wait from 12:00:00 to 12:00:\d\d; 17 events were lost meanwhile \(dense stripes\); 24 packets were dropped \(marked at the top\); limit 8 \(holds 9\); wide stripes: not known$/,
      );
    await expect.poll(() => chart.locator("[data-over=unknown]").count()).toBe(2);
    await expect.poll(() => chart.locator("[data-over=lost]").getAttribute("title")).toBe("17 lost");
    // Unknown before the record, unknown after it, and the loss between them: the picture is drawn anew as time goes on.
    const inOrder = () =>
      chart.locator("[data-over]").evaluateAll((all) => {
        const [before, after, lost] = all.map((one) => one.getBoundingClientRect());
        return before && after && lost && before.right < lost.left && lost.right <= after.left;
      });
    await expect.poll(inOrder).toBe(true);
    // Twelve moments at which two packets each were dropped.
    const drops = chart.locator("[data-over=drops]");
    const titles = await drops.evaluateAll((all) => all.map((one) => one.getAttribute("title")));
    expect(titles.reduce((sum, title) => sum + Number.parseInt(title ?? "", 10), 0)).toBe(24);
    // What its height and width mean stands around it.
    const axes = () => chart.locator(".axis").allTextContents();
    await expect.poll(async () => (await axes())[0]).toBe("90");
    await expect.poll(async () => (await axes())[1]).toMatch(/^11:59:5\d12:00:3\d$/);
    await expect.poll(() => chart.locator(".plot > :nth-child(3)").textContent()).toBe("limit 8");
    // The same in words, for who does not see it.
    await chart.getByText("As a table").click();
    const cells = await chart
      .locator("tbody tr")
      .evaluateAll((rows) =>
        rows.map((row) => [...row.querySelectorAll("td")].map((cell) => Number(cell.textContent))),
      );
    expect(cells.length).toBe(12);
    const column = (at: number) => cells.map((row) => row[at] ?? 0);
    const sum = (all: number[]) => all.reduce((a, b) => a + b, 0);
    expect([Math.max(...column(0)), sum(column(1)), sum(column(2))]).toEqual([9, 24, 17]);
  });
});

test("the connections: both ends, the rows' filter, another instant", async () => {
  const story = nginx("connected", "recording");
  const { session, worker, listener } = story;
  const early = { listener: listener.id, inferred: true, local: "127.0.0.1:80", peer: "127.0.0.1:51999" };
  session.step(session.socket(worker, 20, early), "connected", "ESTABLISHED");
  await on(browser, story.session, async ({ page }) => {
    await begun(page);
    await page.keyboard.press("4");
    const rows = page.locator("[data-connection]");
    await rows.nth(3).waitFor();
    // A recording has no now.
    await expect
      .poll(() => page.locator(".connections .bar").textContent())
      .toMatch(/connections at 12:00:5\d/);
    await page.locator("#row-filter").fill("port:9000");
    await expect.poll(() => rows.count()).toBe(1);
    await page.locator("#row-filter").fill("peer:*:51213");
    const cells = page.locator(".connectionrows .spacer [role=row] [role=cell]");
    await expect
      .poll(async () => (await cells.allTextContents()).slice(0, 5))
      .toEqual(["127.0.0.1:51213", "–", "127.0.0.1:80", "nginx 812 fd 10", "connected"]);
    // How long it waited; still; and not known of one that was accepted before tracing began.
    const waited = async () => (await cells.allTextContents())[5];
    await expect.poll(waited).toBe("252 µs");
    await page.locator("#row-filter").fill("peer:*:51500");
    await expect.poll(waited).toBe("still waits");
    await page.locator("#row-filter").fill("peer:*:51999");
    await expect.poll(waited).toBe("unknown");
    await page.locator("#row-filter").fill("peer:*:51213");
    await cells.getByRole("button", { name: "127.0.0.1:80" }).click();
    await page.locator(`[role=row][aria-selected="true"][data-socket="${story.open.socket.id}"]`).waitFor();
  });
});

test("the connections say what was lost, and lead to where", async () => {
  const session = busy("lost");
  session.lose(17);
  session.pass(1000);
  await on(browser, session, async ({ page }) => {
    await begun(page);
    await page.keyboard.press("4");
    const bar = page.locator(".connections .bar");
    await expect
      .poll(() => bar.innerText())
      .toContain("17 events were lost: some connections may be missing, others may have ended.");
    await bar.getByRole("button", { name: "17 events were lost" }).click();
    await page.locator(".eventrows [data-event=lost]").waitFor();
    await page.keyboard.press("4");
    // Before the loss nothing is missing.
    await page.keyboard.press("Space");
    await page.locator("#go-to").fill("12:00:10");
    await page.locator("#go-to").press("Enter");
    await expect.poll(() => bar.innerText()).not.toContain("lost");
  });
});

test("connections of every kind: bytes and round trip where the kernel counts them, a pair without names, UDP", async () => {
  const session = busy();
  const [read] = [...session.sockets.values()].flatMap(({ tcp }) => tcp ?? []);
  if (!read) throw new Error("no counters were read");
  await on(browser, session, async ({ page }) => {
    await begun(page);
    await page.keyboard.press("4");
    await page.locator("#row-filter").fill("comm:gateway");
    const rows = page.locator(".connectionrows .spacer [role=row]");
    const cells = async () =>
      (
        await rows.evaluateAll((all) =>
          all.map((row) => [...row.querySelectorAll("[role=cell]")].map((cell) => cell.textContent)),
        )
      )
        .map((row) => row.filter((_, i) => i !== 6))
        .slice(0, 5);
    const unnamed = [...session.sockets.values()].filter(({ local }) => local === "unix:");
    const [client, one, two] = unnamed.map(({ ino }) => `* ${ino}`);
    await expect.poll(cells).toEqual([
      [
        "[::1]:52000",
        "visitor 1993 fd 3",
        "[::1]:8443",
        "gateway 1990 fd 4",
        "connected",
        "400 ms",
        "",
        "812",
        "48,210,331",
        "58.0 µs",
        "0",
        "tcp",
      ],
      [
        "[::1]:52001",
        "visitor 1993 fd 4",
        "[::1]:8443",
        "gateway 1990 fd 5",
        "connected",
        "1.30 s",
        "",
        "902",
        "1,210,331",
        "98.0 µs",
        "3",
        "tcp",
      ],
      [
        client,
        "gateway 1990 fd 6",
        "unix:/run/cache.sock",
        "cache 1991 fd 4",
        "connected",
        "50.0 µs",
        "",
        ...["–", "–", "–", "–"],
        "unix",
      ],
      [one, "gateway 1990 fd 7", two, "gateway 1990 fd 8", "connected", "", "", "–", "–", "–", "–", "unix"],
      [
        "10.0.0.2:50123",
        "gateway 1990 fd 9",
        "10.0.0.53:53",
        "–",
        "connected",
        "",
        "",
        "–",
        "–",
        "–",
        "–",
        "udp",
      ],
    ]);
    // One of them by itself, and where its other end is.
    await rows.nth(1).getByRole("button", { name: "[::1]:8443" }).click();
    const facts = page.locator(".details");
    await facts.getByText("902 received, 1,210,331 acknowledged").waitFor();
    await facts.getByText("98.0 µs, 3 segments sent again").waitFor();
    await facts.getByRole("button", { name: "fd 4 of visitor 1993" }).click();
    await facts.getByRole("heading", { name: "fd 4 of visitor 1993" }).waitFor();
    await facts.getByRole("button", { name: "fd 5 of gateway 1990" }).waitFor();
  });
});

test("a descriptor whose name is not known says so, and why; a pipe has its inode", async () => {
  const fake = new FakeSession("unnamed", "recording");
  const server = fake.process(1, "server");
  const pipe = fake.open(server, 4, "pipe", "", "pipe");
  fake.open(server, 5, "file", "");
  fake.open(server, 6, "socket", "");
  fake.listen(server, 7, "127.0.0.1:80");
  fake.pass(1000);
  await on(browser, fake, async ({ page }) => {
    await begun(page);
    const names = page.locator(".fds .spacer [role=row] [role=cell]:nth-child(4)");
    await expect
      .poll(() => names.allTextContents())
      .toEqual([`pipe:[${pipe.ino}]`, "(name not known)", "(address not known)", "127.0.0.1:80"]);
    await expect
      .poll(() => names.evaluateAll((all) => all.map((one) => one.getAttribute("title"))))
      .toEqual([
        null,
        "The record does not tell the name of this file.",
        "This socket is not followed, or not kept any more.",
        null,
      ]);
  });
});

test("the strip's table of a record in which nothing happened says so", async () => {
  await on(browser, new FakeSession("nothing"), async ({ page }) => {
    await page.getByText("Nothing to see yet").waitFor();
    await page.keyboard.press("F1");
    await page.keyboard.type("as a table");
    await page.keyboard.press("Enter");
    const table = page.locator("dialog.striptable[open]");
    await table.getByText("Nothing was seen to happen in this time.").waitFor();
    await expect.poll(() => table.locator("tr").count()).toBe(0);
  });
});

test("how far a table can be trusted is said, why, and since when", async () => {
  const story = nginx("doubted", "recording");
  story.session.doubt(story.worker, "ring_full");
  const since = new Date(Number(BigInt(T0_NS) / 1_000_000n) + story.session.now / 1e6)
    .toISOString()
    .slice(11, 19);
  await on(browser, story.session, async ({ page }) => {
    await begun(page);
    await page.locator(".descriptors select").selectOption({ label: "nginx 812" });
    const bar = page.locator(".descriptors .bar");
    await expect.poll(() => bar.innerText()).toContain(`doubtful: records were lost, since ${since}`);
  });
});

test("after a check, that a table is exact is said with the loss that it was checked after", async () => {
  const { session, worker } = nginx("checked", "recording");
  session.lose(3);
  session.pass(1000);
  session.check();
  await on(browser, session, async ({ page }) => {
    await begun(page);
    await page.keyboard.press("2");
    await page.locator(".descriptors select").selectOption({ label: "nginx 812" });
    const bar = page.locator(".descriptors .bar");
    await expect.poll(() => bar.innerText()).toMatch(/exact, checked after the loss at \d\d:\d\d:\d\d\./);
    await expect.poll(() => page.locator(`[data-process="${worker.id}"] .doubt`).count()).toBe(0);
    await page.locator(`[role=row][aria-level="1"][data-process="${worker.id}"]`).click();
    await page.keyboard.press("1");
    await page.getByText("exact, checked after the loss at").waitFor();
  });
});

test("what may be wrong is marked wherever it is told, with why and since when", async () => {
  const { session, worker } = nginx("lossy", "recording");
  session.lose(17);
  const since = new Date(Number(BigInt(T0_NS) / 1_000_000n) + session.now / 1e6).toISOString().slice(11, 19);
  const why = `doubtful: records were lost, since ${since}`;
  await on(browser, session, async ({ page }) => {
    await begun(page);
    const listener = slotRow(page, worker.id, 6);
    await expect
      .poll(() => listener.locator(".tail").textContent())
      .toBe("?  ·  q 3, limit 511  ·  17 children");
    expect(await listener.locator(".tail").getAttribute("title")).toBe(why);
    expect(await listener.getAttribute("aria-label")).toContain(`, ${why}`);
    await listener.click();
    const marks = (of: string) =>
      page.locator(`${of} .doubt[role=img]`).evaluateAll((all) => all.map((one) => one.ariaLabel));
    // Of the descriptor, of the socket, of its queue.
    await expect.poll(() => marks(".details .card h2")).toEqual([why, why]);
    await expect.poll(() => marks(".details dd")).toEqual([why]);
    await page.getByText("fd 6 of nginx 812 and 1 more").waitFor();
    await page.keyboard.press("2");
    await expect.poll(() => marks('[data-table-fd="6"]')).toEqual([why]);
    await page.getByRole("button", { name: "Cells" }).click();
    await expect.poll(() => page.locator(".legend").textContent()).toContain(`? ${why}. `);
    // How many numbers are free.
    await expect.poll(() => marks("[data-limit]")).toEqual([why]);
    await page.keyboard.press("3");
    // How many wait, the oldest of them, and how many were accepted.
    await expect.poll(() => marks("[role=row]:has([data-waiting])")).toEqual([why, why, why]);
    // Before the loss nothing was doubtful.
    await page.locator("#go-to").fill("12:00:10");
    await page.locator("#go-to").press("Enter");
    await expect.poll(() => listener.locator(".tail").textContent()).not.toContain("?");
    await expect.poll(() => marks("[role=row]:has([data-waiting])")).toEqual([]);
    // What the rows tell is of that moment; where to start from is of the end, and says so.
    await expect.poll(() => listener.locator(".tail").textContent()).toBe("q 0, limit 511  ·  2 children");
    await expect.poll(() => page.locator(".starts").textContent()).toMatch(/^End:/);
  });
});
