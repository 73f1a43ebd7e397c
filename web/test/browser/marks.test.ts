import type { Page } from "playwright-core";
import { afterAll, beforeAll, expect, test } from "vitest";
import type { App } from "../../src/interact/app.ts";
import { RULER_HEIGHT } from "../../src/layout/timeline.ts";
import { CELL_PX } from "../../src/render/slotgrid.ts";
import { busy } from "../fake/busy.ts";
import { Browser, open, PATIENCE } from "./browser.ts";

let browser: Browser;
beforeAll(async () => {
  browser = await Browser.launch();
});
afterAll(() => browser.close());

/** Where an instant is on the row of a process's slot, in the middle of its height; the rows stand still meanwhile. */
async function placeOf(
  page: Page,
  process: string,
  fd: number,
  t: number,
): Promise<{ x: number; y: number }> {
  await page.keyboard.press("Space");
  const lanes = page.locator(".lanes");
  const [x, y] = await lanes.evaluate(
    (area, { process, fd, t }) => {
      const { sockreel } = globalThis as unknown as { sockreel: App };
      const { rows } = sockreel.state.rows.value;
      const row = rows.find((one) => one.kind === "slot" && one.process.id === process && one.slot.fd === fd);
      if (!row) throw new Error(`no row of fd ${fd} of ${process}`);
      sockreel.revealRow(row);
      const scale = sockreel.viewport.scale(area.clientWidth);
      return [scale.x(t), row.y + row.height / 2 - sockreel.state.scroll.value] as const;
    },
    { process, fd, t },
  );
  const box = await lanes.boundingBox();
  if (!box) throw new Error("no lanes");
  return { x: box.x + x, y: box.y + RULER_HEIGHT + y };
}

test("a click on the cross of a failed call leads to its explanation", async () => {
  const session = busy();
  const failed = session.lines.findLast(({ error }) => error === "ECONNREFUSED");
  if (!failed?.process || failed.fd === undefined || failed.t === undefined)
    throw new Error("nothing failed");
  const opened = await open(browser, session);
  const { page } = opened;
  try {
    await page.locator('[role=row][data-state="listening"]').first().waitFor();
    const { x, y } = await placeOf(page, failed.process, failed.fd, failed.t);
    // Its process has more cards than there is room for, and one is at the end of them.
    await page.locator(`[role=row][aria-level="1"][data-process="${failed.process}"]`).click();
    await page.keyboard.press("1");
    await page.locator(".details").evaluate((details) => details.scrollTo(0, details.scrollHeight));
    await page.mouse.click(x, y);
    await page.getByText("Nobody listens on 10.9.9.9:443.").waitFor();
    await expect
      .poll(() => page.locator(".details").evaluate((details) => details.scrollTop), PATIENCE)
      .toBe(0);
    const event = page.locator(".failure").getByRole("button", { name: String(failed.seq), exact: true });
    expect(await event.count()).toBe(1);
    expect(opened.errors).toEqual([]);
  } finally {
    await opened.close();
  }
});

test("a table's cells say what they hold and lead there; the limit is a row among the others", async () => {
  const session = busy();
  const [shared] = [...session.descriptors.values()].filter(({ name }) => name === "/var/lib/shared");
  if (!shared) throw new Error("nothing was passed");
  const opened = await open(browser, session);
  const { page } = opened;
  try {
    const select = (pid: number) =>
      page
        .locator('[role=row][aria-level="1"]', { hasText: String(pid) })
        .first()
        .click();
    await page.locator('[role=row][data-state="listening"]').first().waitFor();
    await select(2001);
    await page.keyboard.press("2");
    // The listener is 3, its 40 children are 4 to 43; the limit comes after them.
    await page.locator("#drawer-panel [role=row]", { hasText: "[::1]:50000" }).hover();
    await page.mouse.wheel(0, 5_000);
    await page.locator("[data-limit]").waitFor();
    expect(await page.locator("[data-limit]").innerText()).toBe("limit 48: 7 are free");
    await select(2003);
    await page.getByRole("button", { name: "Cells" }).click();
    const cells = page.locator(".slotgrid .cells");
    const columns = await cells.evaluate(
      (area, side) => Math.max(8, Math.floor((area.clientWidth - 4) / side)),
      CELL_PX,
    );
    const position = {
      x: ((shared.fd % columns) + 0.5) * CELL_PX,
      y: (Math.floor(shared.fd / columns) + 0.5) * CELL_PX,
    };
    await cells.hover({ position });
    await page.locator(".slotgrid .legend", { hasText: "/var/lib/shared" }).waitFor();
    await cells.click({ position });
    await page.locator(`[role=row][aria-selected="true"][data-fd="${shared.fd}"]`).waitFor();
    expect(opened.errors).toEqual([]);
  } finally {
    await opened.close();
  }
});
