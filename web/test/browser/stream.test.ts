import type { Page } from "playwright-core";
import { afterAll, beforeAll, expect, test } from "vitest";
import { nginx, type Story } from "../fake/nginx.ts";
import { FakeSession } from "../fake/session.ts";
import { Browser, begun, type Opened, on, slotRow } from "./browser.ts";

let browser: Browser;
beforeAll(async () => {
  browser = await Browser.launch();
});
afterAll(() => browser.close());

const CUT = [/WebSocket connection .* failed/, /ERR_CONNECTION/, /Failed to load resource/];

/** A page whose connection is cut, or refused, once it is there: the browser complains of that alone. */
async function cutting(run: (opened: Opened, story: Story) => Promise<void>): Promise<void> {
  const story = nginx();
  const cut = async (opened: Opened) => {
    await begun(opened.page);
    await run(opened, story);
  };
  await on(browser, story.session, cut, CUT);
}

const link = (page: Page) => page.locator(".connection").getAttribute("data-link");

test("a broken connection is told and resumed", () =>
  cutting(async ({ page, server }, story) => {
    await expect.poll(() => server.acks.at(-1)).toBe(story.session.rev);
    const rev = story.session.rev;
    const seq = story.session.lines.at(-1)?.seq;
    server.cut();
    story.session.pass(10);
    story.session.open(story.worker, 31, "file", "/tmp/meanwhile");
    await slotRow(page, story.worker.id, 31).waitFor();
    expect(server.hellos.map(({ resume }) => resume)).toEqual([null, { session: "fake-1", rev, seq }]);
    await expect.poll(() => link(page)).toBe("open");
    await expect.poll(() => page.locator("p[role=status]").textContent()).toBe("Reconnected.");
  }));

test("while the server is away, the page says up to when it knows", () =>
  cutting(async ({ page, server }) => {
    const { port } = server;
    await server.stop();
    await expect
      .poll(() => page.locator(".connection").textContent())
      .toMatch(/^reconnecting, data up to 12:00:5\d$/);
    const rate = page.locator("[data-counter=rate]");
    await expect.poll(() => rate.textContent()).toBe("–/s");
    await server.start(port);
    await expect.poll(() => link(page)).toBe("open");
    await expect.poll(() => rate.textContent()).toMatch(/^\d+\/s$/);
  }));

test("while the server is away, every view is there", () =>
  cutting(async ({ page, server, requests }) => {
    // Cells are in a part of the page that another part brings.
    await expect.poll(() => requests.some((url) => /slotgrid-.*\.js$/.test(url))).toBe(true);
    await page.waitForLoadState("networkidle");
    await server.stop();
    await expect.poll(() => link(page)).toBe("away");
    await page.getByRole("tab", { name: "Descriptors" }).click();
    await page.getByRole("button", { name: "Cells" }).click();
    await page.locator(".cells canvas").waitFor();
    // What is not told any more is of the last moment that was.
    await expect.poll(() => page.locator("[data-instant]").textContent()).toMatch(/^at 12:00:5\d$/);
    await page.getByRole("tab", { name: "Findings" }).click();
    await page
      .getByText("sockreel cannot be reached; what is missing is asked as soon as it answers.")
      .first()
      .waitFor();
  }));

test("another session starts anew", () =>
  cutting(async ({ page, server }) => {
    const next = new FakeSession("fake-2");
    const redis = next.process(77, "redis-server");
    next.listen(redis, 5, "127.0.0.1:6379");
    server.session = next;
    server.cut();
    await page.locator(`[role=row][data-process="${redis.id}"][data-fd="5"]`).waitFor();
    await expect.poll(() => page.locator("[role=row][aria-level='1']").count()).toBe(1);
  }));

test("a page without access says how to get it", () =>
  cutting(async ({ page, server }) => {
    server.refuses = true;
    server.cut();
    await page.getByText("Open the URL that").waitFor();
    // What is there already stays in sight and can be used.
    await expect.poll(() => page.locator(".empty").count()).toBe(0);
    await expect.poll(() => link(page)).toBe("refused");
    // Nothing will be followed, and there is no rate to tell.
    const live = page.getByRole("button", { name: "Live", exact: true });
    await expect.poll(() => live.getAttribute("aria-pressed")).toBe("false");
    await expect.poll(() => page.locator("[data-counter=rate]").textContent()).toBe("–/s");
  }));
