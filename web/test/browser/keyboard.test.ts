import type { Page } from "playwright-core";
import { afterAll, beforeAll, expect, test } from "vitest";
import { busy } from "../fake/busy.ts";
import { nginx } from "../fake/nginx.ts";
import type { FakeSession } from "../fake/session.ts";
import { Browser, type Opened, open } from "./browser.ts";

/** The main tasks without a pointer: nothing here clicks, hovers or focuses an element by script. */

let browser: Browser;
beforeAll(async () => {
  browser = await Browser.launch();
});
afterAll(() => browser.close());

/** More than there are stops on the page. */
const STOPS = 120;

/** Name and looks of what has the focus. */
const focused = (page: Page) =>
  page.evaluate(() => {
    const one = document.activeElement;
    if (!(one instanceof HTMLElement) || one === document.body) return undefined;
    const { outlineStyle, outlineWidth } = getComputedStyle(one);
    const box = one.getBoundingClientRect();
    const label =
      "labels" in one ? (one.labels as NodeListOf<HTMLElement> | null)?.[0]?.textContent : undefined;
    return {
      name: (one.getAttribute("aria-label") ?? (label || one.textContent) ?? "").trim(),
      ring: outlineStyle === "none" ? 0 : Number.parseFloat(outlineWidth),
      inSight:
        box.width > 0 && box.bottom > 0 && box.top < innerHeight && box.right > 0 && box.left < innerWidth,
    };
  });

/** Goes on with Tab until something has the focus; every stop on the way is in sight and shows that it has it. */
async function tabTo(page: Page, name: RegExp): Promise<void> {
  const passed: string[] = [];
  for (let i = 0; i < STOPS; i += 1) {
    await page.keyboard.press("Tab");
    const at = await focused(page);
    if (!at) continue;
    expect(at, `focus on "${at.name}"`).toMatchObject({ inSight: true });
    expect(at.name, "a stop without a name").not.toBe("");
    expect(at.ring, `the ring around "${at.name}"`).toBeGreaterThanOrEqual(2);
    if (name.test(at.name)) return;
    passed.push(at.name);
  }
  throw new Error(`Tab does not come to ${name}, but to: ${passed.join(" | ")}`);
}

/** Walks down the rows until one has a name. */
async function downTo(page: Page, name: RegExp): Promise<void> {
  for (let i = 0; i < STOPS; i += 1) {
    const at = await focused(page);
    if (at && name.test(at.name)) {
      expect(at).toMatchObject({ inSight: true });
      expect(at.ring).toBeGreaterThanOrEqual(2);
      return;
    }
    await page.keyboard.press("ArrowDown");
  }
  throw new Error(`no row ${name}`);
}

const announced = (page: Page) => page.locator('p[role="status"][aria-live="polite"]').textContent();
/** What stays in sight until it is put away, and is announced when it comes. */
const noted = (page: Page) => page.locator('div[role="status"]').textContent();

async function on(session: FakeSession, run: (opened: Opened) => Promise<void>): Promise<void> {
  const opened = await open(browser, session);
  try {
    await opened.page.locator('[role=row][data-state="listening"]').first().waitFor();
    await run(opened);
    expect(opened.errors).toEqual([]);
  } finally {
    await opened.close();
  }
}

test("another kind of rows, by the list and by its key", async () => {
  await on(nginx().session, async ({ page }) => {
    const rows = () => page.locator("[role=treegrid]").getAttribute("aria-rowcount");
    const before = await rows();
    await tabTo(page, /^Rows$/);
    await page.keyboard.press("ArrowDown");
    await expect.poll(() => announced(page)).toBe("Rows are instances now.");
    await expect.poll(rows).not.toBe(before);
    // A list takes the keys for itself until one leaves it.
    await page.keyboard.press("Escape");
    await page.keyboard.press("i");
    await expect.poll(() => announced(page)).toBe("Rows are listeners now.");
    await expect.poll(() => page.locator("#row-filter-note").textContent()).toBe("1 listener");
    await tabTo(page, /^tcp listener|listening on|127\.0\.0\.1:80/);
    await expect.poll(() => page.evaluate(() => document.activeElement?.getAttribute("role"))).toBe("row");
  });
});

test("two instants of a table are compared", async () => {
  await on(busy(), async ({ page }) => {
    await tabTo(page, /process slow-server|process leaky/);
    await page.keyboard.press("Home");
    await downTo(page, /process leaky/);
    await page.keyboard.press("Enter");
    await page.keyboard.press("2");
    await page.keyboard.press("Space");
    await expect.poll(() => announced(page)).toBe("Paused. Tracing goes on.");
    await page.keyboard.press("t");
    await expect.poll(async () => (await focused(page))?.name).toMatch(/time/i);
    await page.keyboard.type("12:00:03");
    await page.keyboard.press("Enter");
    await tabTo(page, /^Compare/);
    await page.keyboard.press("Enter");
    await tabTo(page, /^Back to now/);
    await page.keyboard.press("Enter");
    await expect
      .poll(async () => Number(await page.locator("[data-differences]").getAttribute("data-differences")))
      .toBeGreaterThan(0);
  });
});

test("a range is measured and saved as a file", async () => {
  await on(nginx().session, async ({ page }) => {
    await expect.poll(() => noted(page)).toBe("");
    await tabTo(page, /process nginx 811/);
    await downTo(page, /listening on 127\.0\.0\.1:80/);
    await page.keyboard.press("Enter");
    await page.keyboard.press("r");
    await expect.poll(() => page.locator('[aria-label="Measured range"]').count()).toBe(1);
    const saved = page.waitForEvent("download");
    await page.keyboard.press("x");
    expect((await saved).suggestedFilename()).toMatch(/\.html$/);
    await expect.poll(() => noted(page)).toContain("The file is in your downloads.");
    await tabTo(page, /^Put away$/);
    await page.keyboard.press("Enter");
    await expect.poll(() => noted(page)).toBe("");
  });
});

test("a lesson, event by event", async () => {
  await on(nginx().session, async ({ page }) => {
    await page.keyboard.press("e");
    await expect.poll(() => announced(page)).toBe("Lesson.");
    const sentence = () => page.locator(".sentence").first().textContent();
    await page.locator(".sentence strong").waitFor();
    await page.keyboard.press("Home");
    const told = new Set<string | null>();
    for (let i = 0; i < 6; i += 1) {
      const before = await sentence();
      told.add(before);
      await page.keyboard.press(i === 0 ? "ArrowLeft" : "ArrowRight");
      if (i > 0) await expect.poll(sentence).not.toBe(before);
    }
    expect(told.size).toBeGreaterThan(4);
    await tabTo(page, /accept/i);
    await page.keyboard.press("Enter");
    await expect.poll(sentence).toMatch(/accept/i);
    await page.keyboard.press("e");
    await expect.poll(() => announced(page)).toBe("Timeline.");
  });
});

test("why a call failed", async () => {
  await on(busy(), async ({ page }) => {
    await tabTo(page, /process slow-server|process leaky/);
    await page.keyboard.press("Home");
    await downTo(page, /process failing/);
    await page.keyboard.press("Enter");
    await page.keyboard.press("1");
    await tabTo(page, /connect on fd 7/);
    await page.keyboard.press("Enter");
    await page.getByText("10.9.9.9:443 is not known to be this host's").waitFor();
  });
});

test("single keys can be switched off; other keys, and finding a command, go on", async () => {
  const { session } = nginx("keys", "recording");
  const opened = await open(browser, session);
  const { page } = opened;
  try {
    await page.locator('[role=row][data-state="listening"]').first().waitFor();
    const tab = () => page.locator("[role=tab][aria-selected=true]").textContent();
    await page.keyboard.press("5");
    await expect.poll(tab).toBe("Events");
    await page.keyboard.press("?");
    await page.getByLabel(/Single keys are commands/).press("Space");
    await page.keyboard.press("Escape");
    await page.locator("dialog.help[open]").waitFor({ state: "detached" });
    for (const key of ["3", "w", "e", "/", "?", "Space"]) await page.keyboard.press(key);
    await expect.poll(() => tab()).toBe("Events");
    await expect.poll(() => page.locator("dialog[open]").count()).toBe(0);
    await page.reload();
    await page.locator('[role=row][data-state="listening"]').first().waitFor();
    const before = await tab();
    await page.keyboard.press("5");
    await expect.poll(() => tab()).toBe(before);
    await page.keyboard.press("F1");
    await page.keyboard.type("single keys");
    await page.keyboard.press("Enter");
    await expect
      .poll(() => page.locator("[role=status].unseen").textContent())
      .toBe("Single keys are commands.");
    await page.keyboard.press("5");
    await expect.poll(tab).toBe("Events");
    expect(opened.errors).toEqual([]);
  } finally {
    await opened.close();
  }
});

test("the strip of all kept time, as a table", async () => {
  const story = nginx("strip", "recording");
  story.session.lose(17);
  await on(story.session, async ({ page }) => {
    await tabTo(page, /^All kept time as a table$/);
    await page.keyboard.press("Enter");
    const rows = page.locator("dialog.striptable tbody tr");
    await expect.poll(() => rows.count()).toBe(24);
    const cells = (nth: number) => rows.locator(`td:nth-of-type(${nth})`).allTextContents();
    const sum = async (nth: number) =>
      (await cells(nth)).reduce((all, n) => all + Number(n.replace("?", "")), 0);
    // A call that failed, and a connection that was refused.
    expect(await sum(2)).toBe(2);
    expect(await sum(4)).toBe(17);
    // While events were lost, nothing was counted for certain.
    const lossy = (await cells(4)).map((lost) => lost !== "0");
    for (const nth of [1, 2]) expect((await cells(nth)).map((n) => n.endsWith("?"))).toEqual(lossy);
    await tabTo(page, /^12:00:0[0-9]/);
    await page.keyboard.press("Enter");
    await expect.poll(() => page.locator("[data-span]").textContent()).toMatch(/^2\.\d+ s in sight$/);
  });
});
