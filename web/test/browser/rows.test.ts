import { join } from "node:path";
import type { Page } from "playwright-core";
import { afterAll, beforeAll, expect, test } from "vitest";
import type { App } from "../../src/interact/app.ts";
import { nginx } from "../fake/nginx.ts";
import { findings } from "./axe.ts";
import { Browser, open, RESULTS } from "./browser.ts";

let browser: Browser;
beforeAll(async () => {
  browser = await Browser.launch();
});
afterAll(() => browser.close());

const heads = (page: Page) =>
  page.$$eval('[role=row][aria-level="1"] .name', (all) =>
    all.map((one) => `${one.textContent}${one.nextElementSibling?.textContent}`),
  );

test("rows can be lower, pinned and closed, by keys; a link carries it", async () => {
  const story = nginx();
  const opened = await open(browser, story.session);
  const { page } = opened;
  try {
    await page.locator('[role=row][data-state="listening"]').first().waitFor();
    const height = () =>
      page
        .locator(`[role=row][data-process="${story.worker.id}"][data-fd="6"][aria-level="2"]`)
        .evaluate((row) => row.getBoundingClientRect().height);
    for (const [key, density, high] of [
      ["Shift+Digit2", "compact", 18],
      ["Shift+Digit3", "dense", 6],
    ] as const) {
      await page.keyboard.press(key);
      await expect.poll(height).toBe(high);
      await expect.poll(() => page.getByLabel("Height of rows").inputValue()).toBe(density);
      await page.screenshot({ path: join(RESULTS, `rows-${density}.png`) });
      expect(await findings(page)).toEqual([]);
    }
    await page.keyboard.press("Shift+Digit1");
    await expect.poll(height).toBe(24);

    const before = await heads(page);
    expect(before[1]).toBe("nginx 812");
    await page.locator(`[role=row][aria-level="1"][data-process="${story.worker.id}"]`).click();
    await page.keyboard.press("Shift+P");
    await expect.poll(() => heads(page)).toEqual(["nginx 812", "nginx 811", ...before.slice(2)]);
    await expect
      .poll(() => page.locator('[role=row][aria-level="1"]').first().getAttribute("aria-label"))
      .toMatch(/, pinned$/);
    await page.screenshot({ path: join(RESULTS, "rows-pinned.png") });

    await page.keyboard.press("Shift+Digit2");
    await page.keyboard.press("y");
    const linked = () => new URL(page.url()).hash;
    await expect.poll(linked).toContain("high=compact");
    const hash = linked();
    const other = await browser.context.newPage();
    await other.goto(opened.server.url + hash);
    await expect.poll(() => heads(other)).toEqual(["nginx 812", "nginx 811", ...before.slice(2)]);
    await expect.poll(() => other.getByLabel("Height of rows").inputValue()).toBe("compact");
    await other.close();

    await page.keyboard.press("Shift+P");
    await expect.poll(() => heads(page)).toEqual(before);
    const expanded = () => page.locator('[role=row][aria-level="1"][aria-expanded="true"]').count();
    await expect.poll(() => expanded()).toBeGreaterThan(0);
    await page.keyboard.press("*");
    await expect.poll(expanded).toBe(0);
    await page.keyboard.press("*");
    await expect.poll(expanded).toBe(before.length);
    expect(opened.errors).toEqual([]);
  } finally {
    await opened.close();
  }
});

test("rows do not jump while others come: what is under the pointer stays, and what came out of sight is told", async () => {
  const story = nginx();
  const opened = await open(browser, story.session);
  const { page, server } = opened;
  try {
    await page.locator('[role=row][data-state="listening"]').first().waitFor();
    const row = page.locator(
      `[role=row][data-process="${story.worker.id}"][data-fd="8"][aria-level="2"] .name`,
    );
    await row.hover();
    const at = async () => Math.round((await row.boundingBox())?.y ?? Number.NaN);
    const before = await at();
    for (let i = 0; i < 5; i += 1) {
      story.session.pass(10);
      story.session.open(story.master, 20 + i, "file", `/new/${i}`);
    }
    server.push();
    const above = page.locator(`[role=row][data-process="${story.master.id}"][aria-level="2"]`);
    await expect.poll(() => above.count()).toBeGreaterThan(9);
    await expect.poll(() => at()).toBe(before);
    await expect.poll(() => page.locator(".arrived").count()).toBe(0);

    for (let i = 0; i < 20; i += 1) {
      story.session.pass(10);
      const process = story.session.process(3000 + i, "late");
      story.session.open(process, 0, "char_device", "/dev/null");
    }
    server.push();
    const told = page.locator(".arrived");
    await expect.poll(() => told.textContent()).toMatch(/^\+\d+ processes ↓$/);
    await expect.poll(() => at()).toBe(before);
    await page.screenshot({ path: join(RESULTS, "rows-arrived.png") });
    expect(await findings(page)).toEqual([]);
    await told.click();
    await page.locator('[role=row][aria-level="1"]', { hasText: "late 3019" }).waitFor();
    await page.mouse.move(800, 5);
    await page.locator(".lanes").hover();
    await page.mouse.wheel(0, 5000);
    await expect.poll(() => told.count()).toBe(0);
    expect(opened.errors).toEqual([]);
  } finally {
    await opened.close();
  }
});

test("forms tell states apart in the lowest rows and under the system's own colours", async () => {
  const story = nginx("forced", "recording");
  const opened = await open(browser, story.session);
  const { page } = opened;
  try {
    await page.emulateMedia({ forcedColors: "active" });
    await page.locator('[role=row][data-state="listening"]').first().waitFor();
    await page.keyboard.press("Shift+Digit3");
    /** How far from white each pixel of a row's height is at some moments, 0 to 1. */
    const inks = (fd: number, ...times: number[]) =>
      page.evaluate(
        ({ fd, process, times }) => {
          const { sockreel } = globalThis as unknown as { sockreel: App };
          const canvas = document.querySelector<HTMLCanvasElement>(".lanes canvas");
          const row = document.querySelector(
            `[role=row][aria-level="2"][data-process="${process}"][data-fd="${fd}"]`,
          );
          const context = canvas?.getContext("2d");
          if (!canvas || !context || !row) throw new Error(`no row of fd ${fd}`);
          const scale = sockreel.viewport.scale(canvas.clientWidth);
          const { top, height } = row.getBoundingClientRect();
          const from = Math.round(top - canvas.getBoundingClientRect().top);
          return times.map((t) => {
            const { data } = context.getImageData(Math.round(scale.x(t)), from, 1, height);
            return Array.from({ length: height }, (_, i) => 1 - (data[4 * i] ?? 0) / 255);
          });
        },
        { fd, process: story.worker.id, times },
      );
    await expect.poll(async () => (await inks(0, 20e9))[0]?.length).toBe(6);
    // A file's line is stronger than what parts two rows.
    const [file = []] = await inks(0, 20e9);
    expect(Math.max(...file.slice(0, 5))).toBeGreaterThan(2 * (file[5] ?? 1));
    // Where clients wait, a listener's bar is another one.
    const [idle, waiting] = await inks(6, 20e9, story.session.now - 1e9);
    expect(idle).not.toEqual(waiting);
    expect(await findings(page)).toEqual([]);
    expect(opened.errors).toEqual([]);
  } finally {
    await opened.close();
  }
});
