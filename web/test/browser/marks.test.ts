import type { Page } from "playwright-core";
import { afterAll, beforeAll, expect, test } from "vitest";
import type { App } from "../../src/interact/app.ts";
import { RULER_HEIGHT } from "../../src/layout/timeline.ts";
import { CELL_PX } from "../../src/render/slotgrid.ts";
import { busy } from "../fake/busy.ts";
import { FakeSession } from "../fake/session.ts";
import { Browser, open } from "./browser.ts";

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
    await page.getByText("10.9.9.9:443 is not known to be this host's").waitFor();
    await expect.poll(() => page.locator(".details").evaluate((details) => details.scrollTop)).toBe(0);
    const event = page.locator(".failure").getByRole("button", { name: String(failed.seq), exact: true });
    await expect.poll(() => event.count()).toBe(1);
    expect(opened.errors).toEqual([]);
  } finally {
    await opened.close();
  }
});

test("a click on the mark of dropped connections leads to the event that tells of it", async () => {
  const session = busy();
  const dropped = session.lines.find(({ event }) => event === "overflow");
  if (!dropped?.process || dropped.t === undefined) throw new Error("nothing was dropped");
  const opened = await open(browser, session);
  const { page } = opened;
  try {
    await page.locator('[role=row][data-state="listening"]').first().waitFor();
    const { x, y } = await placeOf(page, dropped.process, 3, dropped.t);
    // It stands in the upper part of its row.
    await page.mouse.move(x, y - 8);
    // Each dropped two, and what stands too near to the first is told with it.
    await page.locator(".tooltip span", { hasText: /^dropped [2468] packets of clients$/ }).waitFor();
    await page.mouse.click(x, y - 8);
    const event = page.locator(".eventrows [role=row]:has([data-now])");
    await event.locator("[data-event=overflow]").waitFor();
    await expect.poll(() => event.locator("[data-now]").textContent()).toBe(String(dropped.seq));
    // Below it, and above what was accepted, is the listener itself.
    await page.mouse.click(x, y);
    await page.locator('[role=row][aria-selected="true"][data-local="0.0.0.0:8080"]').waitFor();
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
    await expect.poll(() => page.locator("[data-limit]").innerText()).toBe("limit 48: 4 are free");
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
    // Most of a table that is hardly used is not drawn: where it ends is said.
    await page.keyboard.press("2");
    await page.locator(".descriptors select").selectOption({ label: "slow-server 2000" });
    const end = page.locator(".slotgrid [data-limit]");
    await expect.poll(() => end.textContent()).toBe("The first 12 are drawn; limit 1,024: 1,020 are free. ");
    expect(opened.errors).toEqual([]);
  } finally {
    await opened.close();
  }
});

test("cells tell a socket's state by their form, under the system's own colours too", async () => {
  const fake = new FakeSession("cells", "recording");
  const server = fake.process(1, "server", { fd_limit: 64 });
  fake.listen(server, 1, "127.0.0.1:80");
  const states: [phase: string, state: string][] = [
    ["created", "CLOSE"],
    ["bound", "CLOSE"],
    ["connecting", "SYN_SENT"],
    ["connected", "ESTAB"],
    ["half_closed", "CLOSE_WAIT"],
    ["half_closed", "FIN_WAIT2"],
    ["closed", "CLOSE"],
  ];
  states.forEach(([phase, state], i) => {
    const socket = fake.socket(server, 2 + i, { family: "inet", protocol: "tcp" });
    if (phase !== "created") fake.step(socket, phase, state);
  });
  fake.open(server, 9, "file", "/x");
  fake.pass(1000);
  const opened = await open(browser, fake);
  const { page } = opened;
  try {
    await page.emulateMedia({ forcedColors: "active" });
    await page.locator('[role=row][data-state="listening"]').first().waitFor();
    await page.keyboard.press("2");
    await page.getByRole("button", { name: "Cells" }).click();
    /** What is drawn left of the numbers of cells 1 to 9. */
    const looks = () =>
      page.locator(".slotgrid canvas").evaluate((canvas: HTMLCanvasElement, side) => {
        const context = canvas.getContext("2d");
        return Array.from({ length: 9 }, (_, i) => {
          const { data } = context?.getImageData((i + 1) * side + 1, 1, 4, 15) ?? { data: [] };
          return Array.from({ length: 60 }, (_, at) => ((data[4 * at] ?? 0) < 128 ? "#" : ".")).join("");
        });
      }, CELL_PX);
    await expect.poll(async () => new Set(await looks()).size).toBe(9);
    expect(opened.errors).toEqual([]);
  } finally {
    await opened.close();
  }
});
