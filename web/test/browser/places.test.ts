import { join } from "node:path";
import type { Page } from "playwright-core";
import { afterAll, beforeAll, expect, test } from "vitest";
import { nginx } from "../fake/nginx.ts";
import { T0_NS } from "../fake/session.ts";
import { Browser, type Opened, open, RESULTS } from "./browser.ts";

let browser: Browser;
beforeAll(async () => {
  browser = await Browser.launch();
  await browser.context.grantPermissions(["clipboard-read", "clipboard-write"]);
});
afterAll(() => browser.close());

async function begun({ page }: Opened): Promise<void> {
  await page.locator('[role=row][data-state="listening"]').first().waitFor();
}

/** Left edge of the lanes, and pixels of a second, by two ticks that the page itself labels. */
async function lanes(page: Page): Promise<{ x: number; y: number; width: number }> {
  const box = await page.locator(".lanes").boundingBox();
  if (!box) throw new Error("no lanes");
  return box;
}

const copied = (page: Page) => page.evaluate(() => navigator.clipboard.readText());

test("a link brings another page to the same place, to the nanosecond", async () => {
  const story = nginx("linked", "recording");
  const opened = await open(browser, story.session);
  const { page, server } = opened;
  try {
    await begun(opened);
    await page.locator('[role=row][aria-level="2"][data-fd="10"]').first().click();
    await page.locator("#row-filter").fill("comm:nginx -kind:file");
    await page.locator("body").click({ position: { x: 5, y: 5 } });
    const box = await lanes(page);
    await page.mouse.click(box.x + box.width / 3, box.y + 10);
    await page.keyboard.press("w");
    await page.keyboard.press("m");
    await page.keyboard.press("5");
    await page.keyboard.press("y");
    await page.getByText("on the clipboard").waitFor();
    const address = await copied(page);
    expect(address).toBe(page.url());
    expect(address).not.toContain("token");

    const other = await browser.context.newPage();
    await other.goto("about:blank");
    await other.goto(address);
    await other.locator('[role=row][aria-selected="true"][data-fd="10"]').waitFor();
    await expect.poll(() => other.locator("#row-filter").inputValue()).toBe("comm:nginx -kind:file");
    await expect.poll(() => other.locator("#tab-events").getAttribute("aria-selected")).toBe("true");
    await other.bringToFront();
    await other.keyboard.press("y");
    await expect.poll(() => copied(other)).toBe(address);
    await other.screenshot({ path: join(RESULTS, "linked.png") });
    await other.close();
    expect(opened.errors).toEqual([]);
    expect(new Set(opened.requests.map((url) => new URL(url).host))).toEqual(
      new Set([new URL(server.url).host]),
    );
  } finally {
    await opened.close();
  }
});

test("a link of a server that went on for an hour still means the same", async () => {
  const story = nginx("hour");
  const opened = await open(browser, story.session);
  const { page, server } = opened;
  try {
    await begun(opened);
    await page.locator('[role=row][aria-level="2"][data-fd="10"]').first().click();
    const box = await lanes(page);
    // Into the past, away from following, and into what is kept.
    for (const key of "awww") await page.keyboard.press(key);
    await page.mouse.click(box.x + box.width / 2, box.y + 10);
    await page.keyboard.press("y");
    await page.getByText("on the clipboard").waitFor();
    const address = await copied(page);
    const seen = (one: Page) =>
      one.evaluate(() => {
        const told = document.querySelector("[data-span]");
        const row = document.querySelector('[role=row][aria-selected="true"]');
        return {
          span: told?.getAttribute("data-span"),
          cursor: Math.round(Number(told?.getAttribute("data-cursor"))),
          selected: row instanceof HTMLElement ? { ...row.dataset } : undefined,
          shown: location.hash,
        };
      });
    const before = await seen(page);
    expect(before.cursor).toBeGreaterThan(0);
    // The same numbers are used again and again meanwhile: what was selected is neither the newest nor the oldest of its slot.
    const { session, worker, listener } = story;
    session.pass(3_600_000);
    for (let i = 0; i < 40; i += 1) {
      session.pass(50);
      const child = session.queue(listener, `127.0.0.1:${60_000 + i}`);
      session.close(worker, session.accept(worker, listener, child, 30 + (i % 3)), "peer");
    }
    server.push();

    const other = await browser.context.newPage();
    await other.goto("about:blank");
    await other.goto(address);
    await other.locator('[role=row][aria-selected="true"][data-fd="10"]').waitFor();
    await expect.poll(() => seen(other)).toEqual(before);
    await other.bringToFront();
    await other.keyboard.press("y");
    await expect.poll(() => copied(other)).toBe(address);
    // Followed within an open page, which looks elsewhere by now.
    await other.getByText("on the clipboard").waitFor();
    // The notice, then the selection.
    await other.keyboard.press("Escape");
    await other.keyboard.press("Escape");
    await other.keyboard.press("l");
    await expect.poll(async () => (await seen(other)).selected).toBeUndefined();
    await other.evaluate((hash) => {
      location.hash = "";
      location.hash = hash;
    }, new URL(address).hash);
    await expect.poll(() => seen(other)).toEqual(before);
    await other.close();
    expect(opened.errors).toEqual([]);
  } finally {
    await opened.close();
  }
});

test("a link whose time or selection is gone says so", async () => {
  const story = nginx("late", "recording");
  const second = 1_000_000_000n;
  const opened = await open(
    browser,
    story.session,
    `#v=1&t=${1n * second},${2n * second}&sel=4242@99/7@${second}`,
  );
  try {
    await begun(opened);
    await opened.page
      .getByText(/^The link shows \d\d:\d\d:\d\d to .*; events are kept since 12:00:00\.$/)
      .waitFor();
    await opened.page.getByRole("button", { name: "Show the oldest" }).click();
    await expect.poll(() => opened.page.locator(".notice").count()).toBe(0);
    await opened.page.keyboard.press("y");
    const shown = () => {
      const [from, to] = /t=(\d+)(?:,|%2C)(\d+)/.exec(new URL(opened.page.url()).hash)?.slice(1) ?? [];
      return [from, String(BigInt(to ?? 0) - BigInt(from ?? 0))];
    };
    await expect.poll(shown).toEqual([T0_NS, String(second)]);
    expect(opened.errors).toEqual([]);
  } finally {
    await opened.close();
  }
});

test("a range is measured, gone into and left again", async () => {
  const story = nginx("measured", "recording");
  const opened = await open(browser, story.session);
  const { page } = opened;
  try {
    await begun(opened);
    await page.locator('[role=row][aria-level="2"][data-fd="10"]').first().click();
    await page.keyboard.press("r");
    const measured = page.getByRole("region", { name: "Measured range" });
    await measured.waitFor();
    const told = story.session.lines.filter(({ t = 0 }) => t >= story.open.descriptor.opened).length;
    await expect.poll(() => measured.locator("[data-range-events]").textContent()).toBe(`, ${told} events`);
    // The last life of number 10: from its accept to the end of the recording.
    const life = story.session.now - story.open.descriptor.opened;
    await expect.poll(() => measured.textContent()).toContain(`${(life / 1e9).toFixed(2)} s`);
    const before = page.url();
    const span = () => page.locator("[data-span]").getAttribute("data-span");
    const whole = await span();
    await page.keyboard.press("z");
    await expect.poll(async () => Number(await span())).toBeLessThan(life * 1.2);
    await page.keyboard.press("Backspace");
    await expect.poll(span).toBe(whole);
    expect(page.url()).toBe(before);
    await page.keyboard.press("Escape");
    await expect.poll(() => measured.count()).toBe(0);

    const box = await lanes(page);
    await page.mouse.move(box.x + 300, box.y + 200);
    await page.mouse.down();
    await page.mouse.move(box.x + 700, box.y + 200, { steps: 4 });
    await page.mouse.up();
    await measured.waitFor();
    await page.screenshot({ path: join(RESULTS, "range.png") });
    await measured.getByRole("button", { name: "Events" }).click();
    await expect
      .poll(() => page.getByLabel("Filter events").inputValue())
      .toMatch(/^ts_ns:>=\d{19} ts_ns:<=\d{19}$/);
    expect(opened.errors).toEqual([]);
  } finally {
    await opened.close();
  }
});

test("bookmarks are set, walked along and removed", async () => {
  const story = nginx("marked", "recording");
  const opened = await open(browser, story.session);
  const { page } = opened;
  const cursor = () => page.locator("[data-cursor]").getAttribute("data-cursor");
  try {
    await begun(opened);
    const box = await lanes(page);
    const moments: (string | null)[] = [];
    for (const x of [200, 500]) {
      await page.mouse.click(box.x + x, box.y + 10);
      await page.keyboard.press("m");
      await page
        .locator("p[role=status]")
        .getByText(/^Bookmark at/)
        .waitFor();
      moments.push(await cursor());
    }
    expect(new Set(moments).size).toBe(2);
    await page.keyboard.press("<");
    await expect.poll(cursor).toBe(moments[0]);
    await page.keyboard.press(">");
    await expect.poll(cursor).toBe(moments[1]);
    await page.keyboard.press("m");
    await page
      .locator("p[role=status]")
      .getByText(/removed\.$/)
      .waitFor();
    await page.keyboard.press("<");
    await expect.poll(cursor).toBe(moments[0]);
    expect(opened.errors).toEqual([]);
  } finally {
    await opened.close();
  }
});

test("the strip shows the whole time and moves what is in sight", async () => {
  const story = nginx("overview", "recording");
  const opened = await open(browser, story.session);
  const { page } = opened;
  const span = async () => Number(await page.locator("[data-span]").getAttribute("data-span"));
  try {
    await begun(opened);
    const whole = await span();
    const strip = page.getByRole("img", {
      name: /^All kept time, 12:00:00 to 12:00:\d\d: \d+ events, 0 lost$/,
    });
    const box = await strip.boundingBox();
    if (!box) throw new Error("no strip");
    // A recording opens with all of it in sight: the window's right end is dragged to the middle.
    await page.mouse.move(box.x + box.width - 1, box.y + 18);
    await page.mouse.down();
    await page.mouse.move(box.x + box.width / 2, box.y + 18, { steps: 3 });
    await page.mouse.up();
    await expect.poll(span).toBeLessThan(whole * 0.6);
    await page.screenshot({ path: join(RESULTS, "overview.png") });
    await strip.dblclick();
    await expect.poll(span).toBe(whole);
    expect(opened.errors).toEqual([]);
  } finally {
    await opened.close();
  }
});
