import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { nginx } from "../fake/nginx.ts";
import { findings } from "./axe.ts";
import { Browser, type Opened, open, PATIENCE, RESULTS } from "./browser.ts";

/** What reaches people with other eyes, windows and habits, and what reaches back no further. */

let browser: Browser;
beforeAll(async () => {
  browser = await Browser.launch();
});
afterAll(() => browser.close());

async function begun({ page }: Opened): Promise<void> {
  await page.locator('[role=row][data-state="listening"]').first().waitFor();
}

test("who wants less motion gets a frame a second while following", async () => {
  const frames = async (reducedMotion: "reduce" | "no-preference"): Promise<number> => {
    const opened = await open(browser, nginx("calm").session, "nowhere");
    const { page, server } = opened;
    try {
      await page.emulateMedia({ reducedMotion });
      await page.clock.install();
      await page.goto(server.url);
      await begun(opened);
      const painted = () =>
        page.evaluate(
          () =>
            (globalThis as unknown as { sockreel: { frames: { painted: number } } }).sockreel.frames.painted,
        );
      await page.clock.runFor(1_500);
      const before = await painted();
      // The newest moment is guessed for three seconds after the last word of the server.
      await page.clock.runFor(4_000);
      return (await painted()) - before;
    } finally {
      await opened.close();
    }
  };
  const calm = await frames("reduce");
  expect(calm).toBeGreaterThan(1);
  expect(calm).toBeLessThan(10);
  expect(await frames("no-preference")).toBeGreaterThan(2 * calm);
});

test("in 320 pixels, as at 400 %, the filter and the tables are usable", async () => {
  const story = nginx("small", "recording");
  const opened = await open(browser, story.session);
  const { page } = opened;
  try {
    await page.setViewportSize({ width: 320, height: 640 });
    await begun(opened);
    expect(await page.evaluate(() => document.documentElement.scrollWidth)).toBe(320);
    const filter = page.locator("#row-filter");
    const box = await filter.boundingBox();
    expect(box && box.x >= 0 && box.x + box.width <= 320).toBe(true);
    await filter.fill("state:listening");
    await expect.poll(() => page.locator('[role=row][aria-level="2"]').count(), PATIENCE).toBe(2);
    await filter.fill("");
    // Who listens where can be read, and whose it is.
    const cut = await page
      .locator('[role=row][data-state="listening"] .name, [role=row][data-pid="811"] .name')
      .evaluateAll((all) =>
        all.filter((name) => name.scrollWidth > name.clientWidth).map((name) => name.textContent),
      );
    expect(cut).toEqual([]);
    for (const [name, rows] of [
      ["Descriptors", ".fds"],
      ["Events", ".eventrows"],
    ] as const) {
      await page.getByRole("tab", { name, exact: true }).click();
      const first = page.locator(`${rows} .spacer [role=row] [role=cell]`).first();
      await first.waitFor();
      await page.screenshot({ path: join(RESULTS, `tiny-${name.toLowerCase()}.png`) });
      expect(await findings(page)).toEqual([]);
    }
    expect(opened.errors).toEqual([]);
  } finally {
    await opened.close();
  }
});

test("in a low window, as at 200 %, rows and the lower part share what there is, and come back as they were", async () => {
  const story = nginx("low", "recording");
  const opened = await open(browser, story.session);
  const { page } = opened;
  try {
    await page.setViewportSize({ width: 800, height: 900 });
    await begun(opened);
    const high = async (part: string) => (await page.locator(part).boundingBox())?.height ?? 0;
    const grip = page.getByRole("separator", { name: "Height of the lower part" });
    await grip.press("ArrowUp");
    const chosen = await high(".drawer");
    await page.setViewportSize({ width: 800, height: 450 });
    await expect.poll(() => high(".drawer"), PATIENCE).toBeLessThan(chosen);
    expect(await high(".stage")).toBeGreaterThanOrEqual(148);
    const bottom = await page.locator(".drawer").evaluate((part) => part.getBoundingClientRect().bottom);
    expect(bottom).toBeLessThanOrEqual(450);
    await page.setViewportSize({ width: 800, height: 900 });
    await page.keyboard.press("e");
    await page.locator(".sentence strong").waitFor();
    await page.keyboard.press("e");
    await expect.poll(() => high(".drawer"), PATIENCE).toBe(chosen);
    expect(opened.errors).toEqual([]);
  } finally {
    await opened.close();
  }
});

test("what is older than what is kept is said to be incomplete", async () => {
  const story = nginx("kept", "recording");
  story.session.keptSince = 20e9;
  const opened = await open(browser, story.session);
  const { page } = opened;
  try {
    await begun(opened);
    expect(await page.locator("[data-counter=kept]").textContent()).toBe("kept since 12:00:20");
    const hint = page.getByText("Before the oldest kept event: may be incomplete.");
    for (const [time, said] of [
      ["12:00:10", 1],
      ["12:00:30", 0],
    ] as const) {
      await page.locator("#go-to").fill(time);
      await page.locator("#go-to").press("Enter");
      await expect.poll(() => hint.count(), PATIENCE).toBe(said);
    }
    expect(opened.errors).toEqual([]);
  } finally {
    await opened.close();
  }
});
