import { readFile } from "node:fs/promises";
import { createRequire } from "node:module";
import { join } from "node:path";
import type { Page } from "playwright-core";
import { afterAll, beforeAll, expect, test } from "vitest";
import { nginx } from "../fake/nginx.ts";
import { Browser, type Opened, open, README_PICTURE, RESULTS } from "./browser.ts";

let browser: Browser;
beforeAll(async () => {
  browser = await Browser.launch();
});
afterAll(() => browser.close());

const AXE = createRequire(import.meta.url).resolve("axe-core/axe.min.js");

/** Serious findings of axe, as `rule: element` lines. */
async function findings(page: Page): Promise<string[]> {
  await page.evaluate(await readFile(AXE, "utf8"));
  return page.evaluate(async () => {
    const { axe } = globalThis as unknown as { axe: typeof import("axe-core") };
    const { violations } = await axe.run(document);
    return violations
      .filter(({ impact }) => impact === "serious" || impact === "critical")
      .flatMap(({ id, nodes }) =>
        nodes.map((node) => `${id}: ${node.html.slice(0, 160)} ${node.failureSummary}`),
      );
  });
}

async function settled({ page }: Opened): Promise<void> {
  await page.locator('[role=row][data-state="listening"]').first().waitFor();
}

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
    await settled(opened);
    await page.locator(`[role=row][data-state=listening][data-process="${told.worker.id}"]`).click();
    await page.keyboard.press("ArrowLeft");
    await page.locator('[role=row][aria-level="2"][data-fd="10"]').click();
    await page.mouse.click(1100, 56);
    await page.locator('[role=row][aria-selected="true"][data-fd="10"]').waitFor();
    await page.screenshot({ path: join(RESULTS, "child.png") });
    // The picture of the README is this one; it is renewed on request.
    if (process.env.BLESS) await page.screenshot({ path: README_PICTURE });
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
        await settled(opened);
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
