import { readdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import { gzipSync } from "node:zlib";
import type { Page } from "playwright-core";
import { afterAll, beforeAll, expect, test } from "vitest";
import { HOSTILE, nginx, type Story } from "../fake/nginx.ts";
import { FakeSession } from "../fake/session.ts";
import { Browser, DIST, type Opened, open } from "./browser.ts";

let browser: Browser;
beforeAll(async () => {
  browser = await Browser.launch();
});
afterAll(() => browser.close());

const PATIENCE = { timeout: 10_000, interval: 30 };

/** Runs a test on a page of its own; at its end nothing may have been thrown, and no request may have left. */
async function on(session: FakeSession, run: (opened: Opened) => Promise<void>, expected: RegExp[] = []) {
  const opened = await open(browser, session);
  try {
    await run(opened);
    expect(opened.errors.filter((error) => !expected.some((one) => one.test(error)))).toEqual([]);
    const own = new Set([new URL(opened.server.url).host]);
    expect(new Set(opened.requests.map((url) => new URL(url).host))).toEqual(own);
  } finally {
    await opened.close();
  }
}

const CUT = [/WebSocket connection .* failed/, /ERR_CONNECTION/, /Failed to load resource/];

/** The name of the row of a process's slot. */
function slot(page: Page, story: Story, fd: number) {
  return page.locator(`[role=row][aria-level="2"][data-process="${story.worker.id}"][data-fd="${fd}"]`);
}

async function begun(page: Page): Promise<void> {
  await page.locator('[role=row][data-state="listening"]').first().waitFor();
}

async function name(page: Page, story: Story, fd: number): Promise<string> {
  return (await slot(page, story, fd).getAttribute("aria-label")) ?? "";
}

const link = (page: Page) => page.locator(".connection").getAttribute("data-link");

async function span(page: Page): Promise<number> {
  return Number(await page.locator("[data-span]").getAttribute("data-span"));
}

/** What the lanes show at the middle of a row, as `rgb` triples from left to right. */
async function colours(page: Page, row: string): Promise<Set<string>> {
  return new Set(
    await page.evaluate((selector) => {
      const canvas = document.querySelector<HTMLCanvasElement>(".lanes canvas");
      const box = document.querySelector(selector)?.getBoundingClientRect();
      const context = canvas?.getContext("2d");
      if (!canvas || !context || !box) return [];
      const y = Math.round(
        ((box.top + box.height / 2 - canvas.getBoundingClientRect().top) * canvas.height) /
          canvas.clientHeight,
      );
      const { data } = context.getImageData(0, y, canvas.width, 1);
      return Array.from(
        { length: canvas.width },
        (_, i) => `${data[4 * i]},${data[4 * i + 1]},${data[4 * i + 2]}`,
      );
    }, row),
  );
}

const packed = async (path: string) => gzipSync(await readFile(join(DIST, path))).length;

test("the page is small: what it needs at first, and all of it (P3)", async () => {
  const html = await readFile(join(DIST, "index.html"), "utf8");
  const first = [...html.matchAll(/(?:src|href)="\/(assets\/[^"]+)"/g)].map(([, path]) => path ?? "");
  const all = (await readdir(join(DIST, "assets"))).map((name) => `assets/${name}`);
  const sum = async (paths: string[]) => (await Promise.all(paths.map(packed))).reduce((a, b) => a + b, 0);
  expect(first.length).toBeGreaterThan(1);
  expect(await sum(first)).toBeLessThan(60 * 1024);
  expect(await sum(all)).toBeLessThan(120 * 1024);
});

test("the first picture has rows, counters and bars", async () => {
  const story = nginx();
  await on(story.session, async ({ page }) => {
    await begun(page);
    expect(await page.locator("[data-counter=events]").textContent()).toBe(
      `${story.session.lines.length} events`,
    );
    expect(await page.locator("[data-counter=lost]").textContent()).toBe("0 lost");
    expect(await page.locator(".connection").textContent()).toBe("live");
    expect(await name(page, story, 6)).toBe(
      "fd 6, tcp socket listening on 127.0.0.1:80, 14 children, queue 3 of 511",
    );
    const row = `[role=row][data-process="${story.worker.id}"][data-fd="6"][aria-level="2"]`;
    // The colour of `listening` in the light.
    await expect.poll(() => colours(page, row), PATIENCE).toContain("25,15,148");
  });
});

test("the session's numbers are there before the stream is", async () => {
  const story = nginx("early");
  story.session.lose(17);
  const opened = await open(browser, story.session, "nowhere");
  const { page, server } = opened;
  try {
    server.holds = true;
    await page.goto(server.url);
    await page.locator("[data-counter=events]").waitFor();
    expect(await page.locator("[data-counter=events]").textContent()).toBe(
      `${story.session.lines.length} events`,
    );
    expect(await page.locator("[data-counter=lost]").textContent()).toBe("17 lost");
    expect(await page.locator("[data-counter=kept]").textContent()).toBe("kept since 12:00:00");
    expect(await page.locator(".connection").textContent()).toBe("connecting");
    await page.getByRole("heading", { name: "Connecting" }).waitFor();
  } finally {
    await opened.close();
  }
});

test("a recording that was cut off says so", async () => {
  const { session } = nginx("cut", "recording");
  session.cutOff = 1234;
  await on(session, async ({ page }) => {
    await begun(page);
    expect(await page.locator("[data-counter=cut]").getAttribute("title")).toContain("first 1,234 records");
  });
});

test("an accept appears while the page is open", async () => {
  const story = nginx();
  await on(story.session, async ({ page, server }) => {
    await begun(page);
    const { session, listener, worker } = story;
    const child = session.queue(listener, "127.0.0.1:60001");
    session.pass(0.5);
    session.accept(worker, listener, child, 21);
    server.push();
    await slot(page, story, 21).waitFor();
    expect(await name(page, story, 21)).toBe(
      "fd 21, tcp socket 127.0.0.1:80 from 127.0.0.1:60001, accepted from fd 6, connected less than 1 s",
    );
    expect(await slot(page, story, 21).getAttribute("data-listener")).toBe(listener.id);
    expect(await name(page, story, 6)).toContain("15 children");
    await expect.poll(() => server.acks.at(-1), PATIENCE).toBe(session.rev);
  });
});

test("children are readable through rows, also those whose slot was used again", async () => {
  const story = nginx();
  await on(story.session, async ({ page }) => {
    await begun(page);
    const rows = page.locator(`[role=row][aria-level="3"][data-listener="${story.listener.id}"]`);
    const peers = await rows.evaluateAll((all) => all.map((row) => (row as HTMLElement).dataset["peer"]));
    expect(peers).toEqual([
      ...Array.from({ length: 14 }, (_, i) => `127.0.0.1:${51200 + i}`),
      ...Array.from({ length: 3 }, (_, i) => `127.0.0.1:${51500 + i}`),
    ]);
    const states = await rows.evaluateAll((all) => all.map((row) => (row as HTMLElement).dataset["state"]));
    expect(states).toEqual([
      ...Array(11).fill("closed"),
      ...Array(3).fill("connected"),
      ...Array(3).fill("queued"),
    ]);
    await slot(page, story, 6).focus();
    await page.keyboard.press("ArrowLeft");
    await expect.poll(() => rows.count(), PATIENCE).toBe(0);
    await page.keyboard.press("ArrowRight");
    await expect.poll(() => rows.count(), PATIENCE).toBe(17);
  });
});

test("pause holds the view, not the capture", async () => {
  const story = nginx();
  await on(story.session, async ({ page, server }) => {
    await begun(page);
    await page.keyboard.press("Space");
    const paused = page.getByRole("button", { name: /^Paused/ });
    await paused.waitFor();
    const before = story.session.lines.length;
    story.session.pass(100_000);
    story.session.open(story.worker, 30, "file", "/tmp/new");
    server.push();
    await expect
      .poll(() => paused.textContent(), PATIENCE)
      .toBe(`Paused+${story.session.lines.length - before}`);
    expect(await slot(page, story, 30).count()).toBe(0);
    await page.keyboard.press("Space");
    await slot(page, story, 30).waitFor();
  });
});

test("keys zoom, pan and follow", async () => {
  const story = nginx();
  await on(story.session, async ({ page }) => {
    await begun(page);
    const live = page.getByRole("button", { name: "Live" });
    await expect.poll(() => span(page), PATIENCE).toBe(60e9);
    await page.keyboard.press("w");
    await expect.poll(() => span(page), PATIENCE).toBe(40e9);
    await page.keyboard.press("+");
    await expect.poll(() => span(page), PATIENCE).toBe(26666666667);
    await page.keyboard.press("s");
    await page.keyboard.press("-");
    await expect.poll(() => span(page), PATIENCE).toBe(60e9);
    expect(await live.getAttribute("aria-pressed")).toBe("true");
    await page.keyboard.press("a");
    await expect.poll(() => live.getAttribute("aria-pressed"), PATIENCE).toBe("false");
    await page.keyboard.press("l");
    await expect.poll(() => live.getAttribute("aria-pressed"), PATIENCE).toBe("true");
    await page.mouse.move(1000, 300);
    await page.keyboard.down("Control");
    await page.mouse.wheel(0, -200);
    await page.keyboard.up("Control");
    await expect.poll(() => span(page), PATIENCE).toBeLessThan(60e9);
    await page.keyboard.press("0");
    await expect.poll(() => live.getAttribute("aria-pressed"), PATIENCE).toBe("false");
    await page.keyboard.press("Shift+?");
    await page.locator("dialog[open]").waitFor();
    await page.keyboard.press("Escape");
    await expect.poll(() => page.locator("dialog[open]").count(), PATIENCE).toBe(0);
  });
});

test("the time cursor shows the table of an instant", async () => {
  const story = nginx("cursor", "recording");
  await on(story.session, async ({ page }) => {
    await begun(page);
    await slot(page, story, 6).click();
    await page.keyboard.press("2");
    const fds = () =>
      page
        .locator("[data-table-fd]")
        .evaluateAll((all) => all.map((one) => Number((one as HTMLElement).dataset["tableFd"])));
    const now = [0, 1, 2, 4, 6, 7, 8, 9, 10, 12, 14, 15];
    await expect.poll(fds, PATIENCE).toEqual(now);
    // A recording is shown whole, with a twentieth of room at each side: 5 s lie at this part of the width.
    const whole = story.session.now;
    const box = await page.locator(".lanes").boundingBox();
    if (!box) throw new Error("no lanes");
    const x = box.x + (box.width * (5e9 + whole * 0.05)) / (whole * 1.1);
    await page.mouse.click(x, box.y + 12);
    await page.locator("[data-instant=cursor]").waitFor();
    expect(await page.locator("[data-instant=cursor]").textContent()).toMatch(/^at 12:00:0[45]\./);
    await expect.poll(fds, PATIENCE).toEqual([0, 1, 2, 4, 6, 7, 8, 9]);
    await page.getByRole("button", { name: "Back to now" }).click();
    await expect.poll(fds, PATIENCE).toEqual(now);
  });
});

test("a broken connection is told and resumed", async () => {
  const story = nginx();
  await on(
    story.session,
    async ({ page, server }) => {
      await begun(page);
      await expect.poll(() => server.acks.at(-1), PATIENCE).toBe(story.session.rev);
      const rev = story.session.rev;
      const seq = story.session.lines.at(-1)?.seq;
      server.cut();
      story.session.pass(10);
      story.session.open(story.worker, 31, "file", "/tmp/meanwhile");
      await slot(page, story, 31).waitFor();
      expect(server.hellos.map(({ resume }) => resume)).toEqual([null, { session: "fake-1", rev, seq }]);
      expect(await link(page)).toBe("open");
      await expect.poll(() => page.locator("p[role=status]").textContent(), PATIENCE).toBe("Reconnected.");
    },
    CUT,
  );
});

test("while the server is away, the page says up to when it knows", async () => {
  const story = nginx();
  await on(
    story.session,
    async ({ page, server }) => {
      await begun(page);
      const { port } = server;
      await server.stop();
      await expect
        .poll(() => page.locator(".connection").textContent(), PATIENCE)
        .toMatch(/^reconnecting, data up to 12:00:5\d$/);
      await server.start(port);
      await expect.poll(() => link(page), PATIENCE).toBe("open");
    },
    CUT,
  );
});

test("another session starts anew", async () => {
  const story = nginx();
  await on(
    story.session,
    async ({ page, server }) => {
      await begun(page);
      const next = new FakeSession("fake-2");
      const redis = next.process(77, "redis-server");
      next.listen(redis, 5, "127.0.0.1:6379");
      server.session = next;
      server.cut();
      await page.locator(`[role=row][data-process="${redis.id}"][data-fd="5"]`).waitFor();
      expect(await page.locator("[role=row][aria-level='1']").count()).toBe(1);
    },
    CUT,
  );
});

test("a page without access says how to get it", async () => {
  const story = nginx();
  await on(
    story.session,
    async ({ page, server }) => {
      await begun(page);
      server.refuses = true;
      server.cut();
      await page.getByText("Open the URL that").waitFor();
      expect(await link(page)).toBe("refused");
    },
    CUT,
  );
});

test("hostile names are text", async () => {
  const story = nginx();
  await on(story.session, async ({ page }) => {
    await begun(page);
    const row = page.locator('[role=row][data-pid="1313"]');
    expect(await row.textContent()).toContain("evil<img src=x onerror=alert(1)>\\u{202e}txt.\\u{7}");
    // It lies out of sight: what the browser scrolls there moves the lanes as well, and back again.
    const top = page.locator('[role=row][data-pid="811"]');
    for (const one of [row, top, row]) {
      await one.click();
      await expect.poll(() => one.getAttribute("aria-selected"), PATIENCE).toBe("true");
    }
    await row.press("ArrowRight");
    await page.locator('[role=row][data-kind=file][aria-label*="evil"]').click();
    await page.keyboard.press("5");
    await page.getByText("/tmp/evil<img").first().waitFor();
    expect(await page.locator("img").count()).toBe(0);
    expect(await page.locator("body").textContent()).not.toContain(HOSTILE);
  });
});

test("loss is loud", async () => {
  const story = nginx();
  await on(story.session, async ({ page, server }) => {
    await begun(page);
    story.session.pass(10);
    story.session.lose(17);
    server.push();
    const counter = page.locator("[data-counter=lost]");
    await expect.poll(() => counter.textContent(), PATIENCE).toBe("17 lost");
    expect(await counter.getAttribute("class")).toContain("alarm");
    expect(await counter.getAttribute("title")).toBe("ring_full: 17");
    expect(await page.locator("p[role=status]").textContent()).toBe("17 events lost.");
  });
});

test("a recording does not follow", async () => {
  const story = nginx("recorded", "recording");
  await on(story.session, async ({ page }) => {
    await begun(page);
    expect(await page.locator(".connection").textContent()).toBe("recording");
    expect(await page.getByRole("button", { name: "Live" }).count()).toBe(0);
  });
});

test("nothing dirty means no frame", async () => {
  const story = nginx("quiet", "recording");
  const opened = await open(browser, story.session, "nowhere");
  try {
    await opened.page.addInitScript(() => {
      const counted = window as unknown as { frames: number };
      counted.frames = 0;
      const original = window.requestAnimationFrame.bind(window);
      window.requestAnimationFrame = (then) => {
        counted.frames += 1;
        return original(then);
      };
    });
    await opened.page.goto(opened.server.url);
    await begun(opened.page);
    const frames = () => opened.page.evaluate(() => (window as unknown as { frames: number }).frames);
    let before = -1;
    await expect
      .poll(
        async () => {
          const last = before;
          before = await frames();
          return before === last;
        },
        { timeout: 10_000, interval: 500 },
      )
      .toBe(true);
    expect(before).toBeGreaterThan(0);
  } finally {
    await opened.close();
  }
});

test("the row filter hides, counts, complains and is cleared", async () => {
  const story = nginx();
  await on(story.session, async ({ page }) => {
    await begun(page);
    const slots = page.locator('[role=row][aria-level="2"]');
    const note = page.locator("#row-filter-note");
    await page.keyboard.press("/");
    await page.keyboard.type("state:listening");
    await expect.poll(() => slots.count(), PATIENCE).toBe(2);
    expect(await note.textContent()).toMatch(/^2 of \d+$/);
    await page.keyboard.type("x");
    await page.getByText(/^The filter hides all \d+ rows$/).waitFor();
    await page.getByRole("button", { name: "Clear the filter" }).click();
    await expect.poll(() => slots.count(), PATIENCE).toBeGreaterThan(10);
    await page.locator("#row-filter").fill("prot:443");
    await expect.poll(() => note.textContent(), PATIENCE).toMatch(/^prot:443: no field is called "prot"/);
  });
});

test("the list of events takes the server's filter, and selects", async () => {
  const story = nginx();
  await on(
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
      await page.locator(".eventrows button.link").last().click();
      const selected = page.locator('[role=row][aria-selected="true"]');
      await expect.poll(() => selected.getAttribute("data-socket"), PATIENCE).toBe(story.open.socket.id);
      await page.keyboard.press("5");
      await page.getByRole("searchbox", { name: "Filter events" }).fill("evnt:accept");
      await page.getByText(/no field is called "evnt"/).waitFor();
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

test("everything is reachable by keyboard", async () => {
  const story = nginx();
  await on(story.session, async ({ page }) => {
    await begun(page);
    const focused = () => page.evaluate(() => document.activeElement?.getAttribute("aria-label") ?? "");
    for (let i = 0; i < 20 && !(await focused()).startsWith("process nginx 811"); i += 1)
      await page.keyboard.press("Tab");
    expect(await focused()).toContain("process nginx 811");
    for (let i = 0; i < 5; i += 1) await page.keyboard.press("ArrowDown");
    await expect.poll(focused, PATIENCE).toContain("listening on 127.0.0.1:80");
    await page.keyboard.press("Enter");
    const selected = page.locator('[role=row][aria-selected="true"]');
    await expect.poll(() => selected.getAttribute("data-socket"), PATIENCE).toBe(story.listener.id);
    await page.keyboard.press("]");
    await page.keyboard.press("]");
    await expect
      .poll(() => page.locator(".details h2").last().textContent(), PATIENCE)
      .toContain("tcp socket");
    await page.getByText("127.0.0.1:51201").first().waitFor();
    await page.keyboard.press("p");
    await expect.poll(() => selected.getAttribute("data-socket"), PATIENCE).toBe(story.listener.id);
    await page.keyboard.press("Escape");
    await expect.poll(() => selected.count(), PATIENCE).toBe(0);
  });
});

test("of many rows only those in sight are in the document, and the keyboard still reaches all", async () => {
  const fake = new FakeSession("many");
  const server = fake.process(1, "server");
  fake.listen(server, 3, "127.0.0.1:80");
  for (let fd = 4; fd < 3000; fd += 1) fake.open(server, fd, "file", `/x/${fd}`);
  fake.pass(1000);
  await on(fake, async ({ page }) => {
    await begun(page);
    const rows = page.locator("[role=treegrid] [role=row]");
    expect(await rows.count()).toBeLessThan(100);
    expect(await page.locator("[role=treegrid]").getAttribute("aria-rowcount")).toBe("2998");
    await rows.first().focus();
    await page.keyboard.press("End");
    const focused = () => page.evaluate(() => document.activeElement?.getAttribute("data-fd"));
    await expect.poll(focused, PATIENCE).toBe("2999");
    await page.keyboard.press("ArrowUp");
    await expect.poll(focused, PATIENCE).toBe("2998");
  });
});

test("the accept queues: who waits, against which limit, sorted by any column", async () => {
  const story = nginx("queues", "recording");
  await on(story.session, async ({ page }) => {
    await begun(page);
    await page.keyboard.press("3");
    const row = page.locator(`[role=row]:has([data-listener="${story.listener.id}"])`);
    expect(await row.locator("[data-waiting]").textContent()).toBe("3");
    expect(await row.textContent()).toContain("511");
    await page.getByRole("img", { name: "Length of the accept queue of 127.0.0.1:80" }).waitFor();
    const header = page.getByRole("columnheader", { name: "Waiting" });
    await header.getByRole("button").click();
    expect(await header.getAttribute("aria-sort")).toBe("ascending");
    await header.getByRole("button").click();
    expect(await header.getAttribute("aria-sort")).toBe("descending");
  });
});

test("the connections: both ends, the rows' filter, another instant", async () => {
  const story = nginx("connected", "recording");
  await on(story.session, async ({ page }) => {
    await begun(page);
    await page.keyboard.press("4");
    const rows = page.locator("[data-connection]");
    await rows.nth(3).waitFor();
    await page.locator("#row-filter").fill("port:9000");
    await expect.poll(() => rows.count(), PATIENCE).toBe(1);
    await page.locator("#row-filter").fill("peer:*:51213");
    const cells = page.locator(".connectionrows .spacer [role=row] [role=cell]");
    await expect
      .poll(async () => (await cells.allTextContents()).slice(0, 5), PATIENCE)
      .toEqual(["127.0.0.1:51213", "", "127.0.0.1:80", "nginx 812 fd 10", "connected"]);
    await cells.getByRole("button", { name: "127.0.0.1:80" }).click();
    await page.locator(`[role=row][aria-selected="true"][data-socket="${story.open.socket.id}"]`).waitFor();
  });
});

test("three places to start: the fullest queue, the fullest table, the most errors", async () => {
  const story = nginx();
  await on(story.session, async ({ page }) => {
    await begun(page);
    const start = (name: string) => page.locator(`[data-start=${name}]`);
    expect(await start("queue").textContent()).toBe("3/511 queued on 127.0.0.1:80");
    expect(await start("limit").textContent()).toBe("12/1,024 fds of nginx 812");
    expect(await start("errors").textContent()).toBe("1 failed in nginx 811");
    await start("queue").click();
    await page.locator('[role=row][aria-selected="true"][data-state="listening"]').waitFor();
    await start("errors").click();
    await expect.poll(() => page.getByLabel("Filter events").inputValue(), PATIENCE).toBe("pid:811 error:*");
    await page.locator("[data-event=bind]").waitFor();
  });
});
