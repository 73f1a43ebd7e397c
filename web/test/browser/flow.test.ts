import { readdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import { gzipSync } from "node:zlib";
import type { Page } from "playwright-core";
import { afterAll, beforeAll, expect, test } from "vitest";
import { HOSTILE, nginx, type Story } from "../fake/nginx.ts";
import { FakeSession } from "../fake/session.ts";
import { Browser, begun, DIST, on, open, slotRow } from "./browser.ts";

let browser: Browser;
beforeAll(async () => {
  browser = await Browser.launch();
});
afterAll(() => browser.close());

async function name(page: Page, story: Story, fd: number): Promise<string> {
  return (await slotRow(page, story.worker.id, fd).getAttribute("aria-label")) ?? "";
}

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
  await on(browser, story.session, async ({ page }) => {
    await begun(page);
    await expect
      .poll(() => page.locator("[data-counter=events]").textContent())
      .toBe(`${story.session.lines.length} events`);
    await expect.poll(() => page.locator("[data-counter=lost]").textContent()).toBe("0 lost");
    await expect.poll(() => page.locator(".connection").textContent()).toBe("live");
    await expect
      .poll(() => name(page, story, 6))
      .toBe("fd 6, tcp socket listening on 127.0.0.1:80, 17 children, queue 3, limit 511");
    const row = `[role=row][data-process="${story.worker.id}"][data-fd="6"][aria-level="2"]`;
    // The colour of `listening` in the light.
    await expect.poll(() => colours(page, row)).toContain("25,15,148");
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
    await expect
      .poll(() => page.locator("[data-counter=events]").textContent())
      .toBe(`${story.session.lines.length} events`);
    await expect.poll(() => page.locator("[data-counter=lost]").textContent()).toBe("17 lost");
    await expect.poll(() => page.locator("[data-counter=kept]").textContent()).toBe("kept since 12:00:00");
    await expect.poll(() => page.locator(".connection").textContent()).toBe("connecting");
    await page.getByRole("heading", { name: "Connecting" }).waitFor();
  } finally {
    await opened.close();
  }
});

test("a recording that was cut off says so", async () => {
  const { session } = nginx("cut", "recording");
  session.cutOff = 1234;
  await on(browser, session, async ({ page }) => {
    await begun(page);
    await expect
      .poll(() => page.locator("[data-counter=cut]").getAttribute("title"))
      .toContain("first 1,234 records");
  });
});

test("an accept appears while the page is open", async () => {
  const story = nginx();
  await on(browser, story.session, async ({ page, server }) => {
    await begun(page);
    const { session, listener, worker } = story;
    const child = session.queue(listener, "127.0.0.1:60001");
    session.pass(0.5);
    session.accept(worker, listener, child, 21);
    server.push();
    await slotRow(page, story.worker.id, 21).waitFor();
    await expect
      .poll(() => name(page, story, 21))
      .toBe(
        "fd 21, tcp socket 127.0.0.1:80 from 127.0.0.1:60001, accepted from fd 6, connected less than 1 s",
      );
    await expect
      .poll(() => slotRow(page, story.worker.id, 21).getAttribute("data-listener"))
      .toBe(listener.id);
    await expect.poll(() => name(page, story, 6)).toContain("18 children");
    await expect.poll(() => server.acks.at(-1)).toBe(session.rev);
  });
});

test("children are readable through rows, also those whose slot was used again", async () => {
  const story = nginx();
  await on(browser, story.session, async ({ page }) => {
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
    await slotRow(page, story.worker.id, 6).focus();
    await page.keyboard.press("ArrowLeft");
    await expect.poll(() => rows.count()).toBe(0);
    await page.keyboard.press("ArrowRight");
    await expect.poll(() => rows.count()).toBe(17);
  });
});

test("pause holds the view, not the capture", async () => {
  const story = nginx();
  await on(browser, story.session, async ({ page, server }) => {
    await begun(page);
    await page.keyboard.press("Space");
    const paused = page.getByRole("button", { name: /^Paused/ });
    await paused.waitFor();
    await expect.poll(() => page.locator(".connection").textContent()).toBe("capturing");
    await expect.poll(() => page.locator("[aria-pressed=true]").allTextContents()).toEqual(["Paused"]);
    const before = story.session.lines.length;
    story.session.pass(100_000);
    story.session.open(story.worker, 30, "file", "/tmp/new");
    server.push();
    await expect.poll(() => paused.textContent()).toBe(`Paused+${story.session.lines.length - before}`);
    await expect.poll(() => slotRow(page, story.worker.id, 30).count()).toBe(0);
    await page.keyboard.press("Space");
    await slotRow(page, story.worker.id, 30).waitFor();
  });
});

test("keys zoom, pan and follow", async () => {
  const story = nginx();
  await on(browser, story.session, async ({ page }) => {
    await begun(page);
    const live = page.getByRole("button", { name: "Live" });
    await expect.poll(() => span(page)).toBe(60e9);
    await page.keyboard.press("w");
    await expect.poll(() => span(page)).toBe(40e9);
    await page.keyboard.press("+");
    await expect.poll(() => span(page)).toBe(26666666667);
    await page.keyboard.press("s");
    await page.keyboard.press("-");
    await expect.poll(() => span(page)).toBe(60e9);
    await expect.poll(() => live.getAttribute("aria-pressed")).toBe("true");
    await page.keyboard.press("a");
    await expect.poll(() => live.getAttribute("aria-pressed")).toBe("false");
    await page.keyboard.press("l");
    await expect.poll(() => live.getAttribute("aria-pressed")).toBe("true");
    // A lesson stands at an event of the past.
    await page.keyboard.press("e");
    await expect.poll(() => live.getAttribute("aria-pressed")).toBe("false");
    await page.keyboard.press("e");
    await expect.poll(() => live.getAttribute("aria-pressed")).toBe("true");
    await page.mouse.move(1000, 300);
    await page.keyboard.down("Control");
    await page.mouse.wheel(0, -200);
    await page.keyboard.up("Control");
    await expect.poll(() => span(page)).toBeLessThan(60e9);
    await page.keyboard.press("0");
    await expect.poll(() => live.getAttribute("aria-pressed")).toBe("false");
    await page.keyboard.press("Shift+?");
    await page.locator("dialog[open]").waitFor();
    await page.keyboard.press("Escape");
    await expect.poll(() => page.locator("dialog[open]").count()).toBe(0);
  });
});

test("the time cursor shows the table of an instant", async () => {
  const story = nginx("cursor", "recording");
  await on(browser, story.session, async ({ page }) => {
    await begun(page);
    await slotRow(page, story.worker.id, 6).click();
    await page.keyboard.press("2");
    const fds = () =>
      page
        .locator("[data-table-fd]")
        .evaluateAll((all) => all.map((one) => Number((one as HTMLElement).dataset["tableFd"])));
    const now = [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 12, 14, 15];
    await expect.poll(fds).toEqual(now);
    // A recording is shown whole, with a twentieth of room at each side: 5 s lie at this part of the width.
    const whole = story.session.now;
    const box = await page.locator(".lanes").boundingBox();
    if (!box) throw new Error("no lanes");
    const x = box.x + (box.width * (5e9 + whole * 0.05)) / (whole * 1.1);
    await page.mouse.click(x, box.y + 12);
    await page.locator("[data-instant=cursor]").waitFor();
    await expect.poll(() => page.locator("[data-instant=cursor]").textContent()).toMatch(/^at 12:00:0[45]\./);
    await expect.poll(fds).toEqual([0, 1, 2, 3, 4, 5, 6, 7, 8, 9]);
    await page.getByRole("button", { name: "To the end" }).click();
    await expect.poll(fds).toEqual(now);
  });
});

test("hostile names are text", async () => {
  const story = nginx();
  await on(browser, story.session, async ({ page }) => {
    await begun(page);
    const row = page.locator('[role=row][data-pid="1313"]');
    await expect
      .poll(() => row.textContent())
      .toContain("evil<img src=x onerror=alert(1)>\\u{202e}txt.\\u{7}");
    // It lies out of sight: what the browser scrolls there moves the lanes as well, and back again.
    const top = page.locator('[role=row][data-pid="811"]');
    for (const one of [row, top, row]) {
      await one.click();
      await expect.poll(() => one.getAttribute("aria-selected")).toBe("true");
    }
    await row.press("ArrowRight");
    await page.locator('[role=row][data-kind=file][aria-label*="evil"]').click();
    await page.keyboard.press("5");
    await page.getByText("/tmp/evil<img").first().waitFor();
    await expect.poll(() => page.locator("img").count()).toBe(0);
    await expect.poll(() => page.locator("body").textContent()).not.toContain(HOSTILE);
  });
});

test("loss is loud", async () => {
  const story = nginx();
  await on(browser, story.session, async ({ page, server }) => {
    await begun(page);
    story.session.pass(10);
    story.session.lose(17);
    server.push();
    const counter = page.locator("[data-counter=lost]");
    await expect.poll(() => counter.textContent()).toBe("17 lost");
    await expect.poll(() => counter.getAttribute("class")).toContain("alarm");
    await expect.poll(() => counter.getAttribute("title")).toBe("ring_full: 17");
    await expect.poll(() => page.locator("p[role=status]").textContent()).toBe("17 events lost.");
    // In the list, too, beside the moment: in a narrow window what else it says is out of sight.
    await page.keyboard.press("5");
    await page.locator("[data-event=lost]", { hasText: "17 lost" }).waitFor();
  });
});

test("a recording does not follow", async () => {
  const story = nginx("recorded", "recording");
  await on(browser, story.session, async ({ page }) => {
    await begun(page);
    await expect.poll(() => page.locator(".connection").textContent()).toBe("recorded");
    await expect.poll(() => page.getByRole("button", { name: "Live" }).count()).toBe(0);
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

test("everything is reachable by keyboard", async () => {
  const story = nginx();
  await on(browser, story.session, async ({ page }) => {
    await begun(page);
    const focused = () => page.evaluate(() => document.activeElement?.getAttribute("aria-label") ?? "");
    for (let i = 0; i < 20 && !(await focused()).startsWith("process nginx 811"); i += 1)
      await page.keyboard.press("Tab");
    await expect.poll(() => focused()).toContain("process nginx 811");
    for (let i = 0; i < 7; i += 1) await page.keyboard.press("ArrowDown");
    await expect.poll(focused).toContain("listening on 127.0.0.1:80");
    await page.keyboard.press("Enter");
    const selected = page.locator('[role=row][aria-selected="true"]');
    await expect.poll(() => selected.getAttribute("data-socket")).toBe(story.listener.id);
    await page.keyboard.press("]");
    await page.keyboard.press("]");
    await expect.poll(() => page.locator(".details h2").last().textContent()).toContain("tcp socket");
    await page.getByText("127.0.0.1:51201").first().waitFor();
    await page.keyboard.press("p");
    await expect.poll(() => selected.getAttribute("data-socket")).toBe(story.listener.id);
    await page.keyboard.press("Escape");
    await expect.poll(() => selected.count()).toBe(0);
  });
});

test("of many rows only those in sight are in the document, and the keyboard still reaches all", async () => {
  const fake = new FakeSession("many");
  const server = fake.process(1, "server");
  fake.listen(server, 3, "127.0.0.1:80");
  for (let fd = 4; fd < 3000; fd += 1) fake.open(server, fd, "file", `/x/${fd}`);
  fake.pass(1000);
  await on(browser, fake, async ({ page }) => {
    await begun(page);
    const rows = page.locator("[role=treegrid] [role=row]");
    await expect.poll(() => rows.count()).toBeLessThan(100);
    await expect.poll(() => page.locator("[role=treegrid]").getAttribute("aria-rowcount")).toBe("2998");
    await rows.first().focus();
    await page.keyboard.press("End");
    const focused = () => page.evaluate(() => document.activeElement?.getAttribute("data-fd"));
    await expect.poll(focused).toBe("2999");
    await page.keyboard.press("ArrowUp");
    await expect.poll(focused).toBe("2998");
  });
});

test("a place to start is named by its process's number, however long the name is", async () => {
  const fake = new FakeSession("long");
  const server = fake.process(4_194_303, "\u202esystemd-resolv", { fd_limit: 4 });
  fake.listen(server, 3, "[2001:db8:85a3:8d3:1319:8a2e:370:7348]:65535");
  fake.fail(server, { event: "connect", call: "connect", fd: 3, ret: -111, error: "ECONNREFUSED" });
  fake.pass(1000);
  await on(browser, fake, async ({ page }) => {
    await begun(page);
    for (const width of [1600, 390]) {
      await page.setViewportSize({ width, height: 844 });
      for (const name of ["limit", "errors"]) {
        const inside = await page.locator(`[data-start=${name}]`).evaluate((button) => {
          const range = document.createRange();
          const [named] = button.getElementsByClassName("named");
          range.selectNodeContents(named?.lastChild as Node);
          const [number, box] = [range.getBoundingClientRect(), button.getBoundingClientRect()];
          return [named?.lastChild?.textContent, number.width > 40 && number.right <= box.right];
        });
        expect(inside).toEqual(["4194303", true]);
      }
    }
  });
});

test("the places to start from say that records were lost, and which table is doubtful", async () => {
  const { session, worker } = nginx("doubts");
  const start = (page: Page, name: string) => page.locator(`[data-start=${name}]`);
  session.doubt(worker, "ring_full");
  await on(browser, session, async ({ page }) => {
    await expect.poll(() => start(page, "limit").textContent()).toBe("14?/1,024 fds of nginx 812");
    await expect.poll(() => start(page, "queue").textContent()).toBe("3 queued, limit 511 on 127.0.0.1:80");
  });
  session.lose(17);
  await on(browser, session, async ({ page }) => {
    await expect.poll(() => start(page, "queue").textContent()).toBe("3? queued, limit 511 on 127.0.0.1:80");
    await expect.poll(() => start(page, "errors").textContent()).toBe("1? failed in nginx 811");
    await expect
      .poll(() => start(page, "errors").getAttribute("title"))
      .toBe("The most errors: failed calls, and what ended connections. Records were lost: it may be wrong");
  });
});

test("three places to start: the fullest queue, the fullest table, the most errors", async () => {
  const story = nginx();
  await on(browser, story.session, async ({ page }) => {
    await begun(page);
    const start = (name: string) => page.locator(`[data-start=${name}]`);
    await expect.poll(() => start("queue").textContent()).toBe("3 queued, limit 511 on 127.0.0.1:80");
    await expect.poll(() => start("limit").textContent()).toBe("14/1,024 fds of nginx 812");
    await expect.poll(() => start("errors").textContent()).toBe("1 failed in nginx 811");
    // They tell what is now, and say so where the rows' heads tell what was.
    const ruler = await page.locator(".lanes").boundingBox();
    await page.mouse.click((ruler?.x ?? 0) + 60, (ruler?.y ?? 0) + 12);
    await page.locator("[data-instant=cursor]").waitFor();
    await expect.poll(() => start("limit").textContent()).toBe("14/1,024 fds of nginx 812");
    await expect.poll(() => page.locator(".starts").textContent()).toMatch(/^Now:/);
    const head = page.locator(`[role=row][data-pid="812"] .tail`);
    await expect.poll(() => head.textContent()).toBe("9/1,024 fds");
    await page.getByRole("button", { name: "Back to now" }).click();
    await expect.poll(() => head.textContent()).toBe("14/1,024 fds");
    await start("queue").click();
    await page.locator('[role=row][aria-selected="true"][data-state="listening"]').waitFor();
    await start("errors").click();
    await expect
      .poll(() => page.getByLabel("Filter events").inputValue())
      .toBe("pid:811 error:* -error:EAGAIN,EINPROGRESS,EINTR,ERESTART*");
    await page.locator("[data-event=bind]").waitFor();
  });
});
