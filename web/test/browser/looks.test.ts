import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { DENSITIES } from "../../src/layout/rows.ts";
import { busy } from "../fake/busy.ts";
import { nginx } from "../fake/nginx.ts";
import { findings } from "./axe.ts";
import { Browser, begun, open, RESULTS } from "./browser.ts";
import { SETTLE_MS } from "./looks.ts";

let browser: Browser;
beforeAll(async () => {
  browser = await Browser.launch();
});
afterAll(() => browser.close());

const SIZES = [
  ["wide", 1600, 900],
  ["laptop", 1280, 720],
  ["narrow", 390, 844],
] as const;

test("a child with its link, and the time cursor", async () => {
  const told = nginx("picture", "recording");
  const opened = await open(browser, told.session);
  const { page } = opened;
  try {
    await page.setViewportSize({ width: 1600, height: 1000 });
    await begun(page);
    await page.locator(`[role=row][data-state=listening][data-process="${told.worker.id}"]`).click();
    await page.keyboard.press("ArrowLeft");
    await page.locator('[role=row][aria-level="2"][data-fd="10"]').click();
    await page.mouse.click(1100, 56);
    await page.locator('[role=row][aria-selected="true"][data-fd="10"]').waitFor();
    await page.screenshot({ path: join(RESULTS, "child.png") });
    expect(await findings(page)).toEqual([]);
    await page.locator('[role=row][aria-level="1"]').last().click();
    await page.screenshot({ path: join(RESULTS, "process.png") });
    expect(opened.errors).toEqual([]);
  } finally {
    await opened.close();
  }
});

for (const theme of ["light", "dark"] as const) {
  for (const [name, width, height] of SIZES) {
    test(`${theme}, ${name}: no serious findings in any tab`, async () => {
      const told = nginx();
      if (name === "wide") told.session.lose(17);
      const opened = await open(browser, told.session);
      const { page } = opened;
      try {
        await page.setViewportSize({ width, height });
        await page.emulateMedia({ colorScheme: theme });
        await begun(page);
        for (const [key, tab] of [
          ["2", "descriptors"],
          ["3", "queues"],
          ["4", "connections"],
          ["5", "events"],
        ] as const) {
          await page.keyboard.press(key);
          await page.screenshot({ path: join(RESULTS, `${name}-${theme}-${tab}.png`) });
          expect(await findings(page)).toEqual([]);
        }
        const listener = page.locator(`[role=row][data-state=listening][data-process="${told.worker.id}"]`);
        await listener.click();
        await listener.press("ArrowRight");
        await page.keyboard.press("1");
        await page.locator("[role=row][aria-level='3']").first().waitFor();
        await page.screenshot({ path: join(RESULTS, `${name}-${theme}-details.png`) });
        expect(await findings(page)).toEqual([]);
        await page.keyboard.press("?");
        await page.locator("dialog[open]").waitFor();
        await page.screenshot({ path: join(RESULTS, `${name}-${theme}-help.png`) });
        expect(await findings(page)).toEqual([]);
        expect(opened.errors).toEqual([]);
      } finally {
        await opened.close();
      }
    });
  }
}

test("high contrast, as the system asks for it or as it is set here", { timeout: 120_000 }, async () => {
  for (const colorScheme of ["light", "dark"] as const) {
    for (const asks of ["system", "setting"] as const) {
      const opened = await open(browser, busy());
      const { page } = opened;
      try {
        await page.setViewportSize({ width: 1600, height: 900 });
        await page.emulateMedia({ colorScheme, contrast: asks === "system" ? "more" : "no-preference" });
        await begun(page);
        if (asks === "setting") {
          await page.keyboard.press("?");
          await page.getByLabel("High contrast").check();
          await page.keyboard.press("Escape");
          // It lasts.
          await page.reload();
          await begun(page);
        }
        const text = () =>
          page.evaluate(() => getComputedStyle(document.documentElement).getPropertyValue("--text"));
        await expect.poll(text).toBe(colorScheme === "light" ? "#000000" : "#ffffff");
        for (const [key, tab] of ["details", "descriptors", "queues", "connections", "events"].entries()) {
          await page.keyboard.press(String(key + 1));
          await page.waitForTimeout(SETTLE_MS);
          await page.screenshot({ path: join(RESULTS, `contrast-${tab}-${colorScheme}.png`) });
          expect(await findings(page, ["color-contrast-enhanced"])).toEqual([]);
        }
        if (asks === "setting") {
          await page.keyboard.press("?");
          await page.getByLabel("High contrast").uncheck();
          await expect.poll(text).not.toMatch(/#0{6}|#f{6}/);
        }
        expect(opened.errors).toEqual([]);
      } finally {
        await opened.close();
      }
    }
  }
});

test("the system's own colours, with rows of every height", { timeout: 60_000 }, async () => {
  for (const colorScheme of ["light", "dark"] as const) {
    const opened = await open(browser, busy());
    const { page } = opened;
    try {
      await page.setViewportSize({ width: 1600, height: 900 });
      await page.emulateMedia({ colorScheme, forcedColors: "active" });
      await begun(page);
      for (const [i, density] of DENSITIES.entries()) {
        await page.keyboard.press(`Shift+Digit${i + 1}`);
        await page.waitForTimeout(SETTLE_MS);
        await page.screenshot({ path: join(RESULTS, `forced-${density}-${colorScheme}.png`) });
      }
      await page.keyboard.press("k");
      await page.locator("dialog.key[open] canvas").first().waitFor();
      await page.screenshot({ path: join(RESULTS, `forced-key-${colorScheme}.png`) });
      expect(opened.errors).toEqual([]);
    } finally {
      await opened.close();
    }
  }
});
