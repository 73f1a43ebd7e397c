import type { Page } from "playwright-core";
import { afterAll, beforeAll, expect, test } from "vitest";
import { busy } from "../fake/busy.ts";
import { FakeSession, T0_NS } from "../fake/session.ts";
import { Browser, type Opened, open } from "./browser.ts";

let browser: Browser;
beforeAll(async () => {
  browser = await Browser.launch();
});
afterAll(() => browser.close());

/** A server that opened a file every millisecond: event `n` at millisecond `n - 3`. */
function long(by = "open"): FakeSession {
  const fake = new FakeSession("long");
  const process = fake.process(1, "server");
  fake.listen(process, 3, "127.0.0.1:80");
  for (let i = 0; i < 6000; i += 1) {
    fake.pass(1);
    fake.open(process, 4 + (i % 7), i % 1000 === 0 ? "pipe" : "file", `/x/${i}`, by);
  }
  return fake;
}

async function listed(fake: FakeSession, run: (opened: Opened) => Promise<void>): Promise<void> {
  const opened = await open(browser, fake, "nowhere");
  try {
    opened.server.tail = 100;
    await opened.page.goto(opened.server.url);
    await opened.page.locator('[role=row][data-state="listening"]').first().waitFor();
    await opened.page.keyboard.press("5");
    await opened.page.locator(".eventrows").waitFor();
    await run(opened);
    expect(opened.errors.filter((error) => !error.includes("404"))).toEqual([]);
  } finally {
    await opened.close();
  }
}

/** Numbers of the events in the document, in the order in which they stand. */
async function numbers(page: Page): Promise<number[]> {
  const cells = page.locator(".eventrows .spacer [role=row] [role=cell]:first-child");
  return (await cells.allTextContents()).map(Number);
}

async function goTo(page: Page, ms: number): Promise<void> {
  await page.locator("#go-to").fill(String(BigInt(T0_NS) + BigInt(ms * 1e6)));
  await page.locator("#go-to").press("Enter");
}

test("the list follows the time cursor, and goes on from there in both directions", async () => {
  await listed(long(), async ({ page, server }) => {
    const at = server.session.lines.find(({ t }) => (t ?? 0) >= 3000e6)?.seq ?? 0;
    await goTo(page, 3000);
    await expect.poll(() => page.locator("[data-now]").textContent()).toBe(String(at));
    await page.getByText("1,000 of 6,003 kept").waitFor();
    await expect.poll(() => numbers(page)).toContain(at - 1);
    await page.getByRole("button", { name: "Load older" }).click();
    await page.getByText("1,500 of 6,003 kept").waitFor();
    // What was in sight stays there.
    await expect.poll(() => numbers(page)).toContain(at);
    await page.getByRole("button", { name: "Load newer" }).click();
    await page.getByText("2,000 of 6,003 kept").waitFor();
    await page.getByRole("button", { name: "Newest" }).click();
    await expect.poll(async () => (await numbers(page)).at(-1)).toBe(6003);
  });
});

test("a list of pairs stands at its end, however much room is left for it", async () => {
  for (const [width, height] of [
    [390, 844],
    [800, 450],
  ] as const) {
    const opened = await open(browser, long(), "nowhere");
    const { page, server } = opened;
    try {
      server.tail = 100;
      await page.setViewportSize({ width, height });
      await page.goto(server.url);
      await page.locator('[role=row][data-state="listening"]').first().waitFor();
      await page.keyboard.press("5");
      // What says that there are more columns takes room, too.
      await page.locator(".beyond").waitFor();
      const below = () =>
        page.locator(".eventrows").evaluate((box) => box.scrollHeight - box.clientHeight - box.scrollTop);
      await expect.poll(below).toBeLessThan(1);
      const last = server.session.lines.at(-1)?.seq;
      await expect.poll(async () => (await numbers(page)).at(-1)).toBe(last);
    } finally {
      await opened.close();
    }
  }
});

test("a filtered list begins with the newest, and says how far back it goes", async () => {
  await listed(long(), async ({ page }) => {
    const filter = page.getByRole("searchbox", { name: "Filter events" });
    await filter.fill("event:open");
    await page.getByText(/^500 that fit since 12:00:05$/).waitFor();
    expect((await numbers(page)).at(-1)).toBe(6003);
    await filter.fill("path:*000");
    await page.getByText(/^5 that fit$/).waitFor();
    await expect.poll(() => numbers(page)).toEqual([1004, 2004, 3004, 4004, 5004]);
  });
});

test("a sorted list says what it covers, and is in that order", async () => {
  // What a check found has its number in `fd`; what an openat made has it in its result.
  await listed(long("repair"), async ({ page }) => {
    const fd = page.getByRole("columnheader", { name: "fd" });
    await fd.getByRole("button").click();
    await expect
      .poll(() => page.locator("[data-sorted]").textContent())
      .toBe("sorted: the 100 that were read");
    const cells = page.locator(".eventrows .spacer [role=row] [role=cell]:nth-child(5)");
    const up = (await cells.allTextContents()).map(Number);
    expect(up).toEqual([...up].sort((a, b) => a - b));
    expect(up[0]).toBe(4);
    await fd.getByRole("button").click();
    const down = (await cells.allTextContents()).map(Number);
    expect(down).toEqual([...down].sort((a, b) => b - a));
    expect(down[0]).toBe(10);
    // Of a hundred only those in sight are in the document.
    expect(down.length).toBeLessThan(60);
  });
});

test("the filter of rows holds for the accept queues: listeners, and who waits", async () => {
  const session = busy("filtered");
  const opened = await open(browser, session);
  const { page } = opened;
  try {
    await page.locator('[role=row][data-state="listening"]').first().waitFor();
    await page.keyboard.press("3");
    const rows = page.locator(".queuerows [data-listener]");
    await expect.poll(() => rows.count()).toBe(5);
    await page.locator("#row-filter").fill("port:5432");
    await expect.poll(() => rows.allTextContents()).toEqual(["[::]:5432"]);
    await page.getByText("4 of 5 do not fit the filter of rows.").waitFor();
    // Who has it open by inheritance does not stand for who listens, but fits.
    const owner = page.locator(".queuerows .spacer [role=row] [role=cell]").nth(1);
    await expect.poll(() => owner.textContent()).toBe("leaky 2001 +1");
    await page.locator("#row-filter").fill("pid:2003 state:listening");
    await expect.poll(() => rows.allTextContents()).toEqual(["[::]:5432"]);
    await page.locator("#row-filter").fill("peer:10.0.*");
    await expect.poll(() => rows.allTextContents()).toEqual(["0.0.0.0:8080"]);
    await page.locator("#row-filter").fill("pid:2000,2002");
    const waiting = page.getByRole("columnheader", { name: "Waiting" }).getByRole("button");
    await waiting.click();
    await expect.poll(() => rows.allTextContents()).toEqual(["127.0.0.1:9100", "0.0.0.0:8080"]);
    await waiting.click();
    await expect.poll(() => rows.allTextContents()).toEqual(["0.0.0.0:8080", "127.0.0.1:9100"]);
    expect(opened.errors).toEqual([]);
  } finally {
    await opened.close();
  }
});
