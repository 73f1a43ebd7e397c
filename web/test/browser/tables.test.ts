import { afterAll, beforeAll, expect, test } from "vitest";
import { nginx } from "../fake/nginx.ts";
import { FakeSession } from "../fake/session.ts";
import { Browser, begun, on, open, PATIENCE } from "./browser.ts";

let browser: Browser;
beforeAll(async () => {
  browser = await Browser.launch();
});
afterAll(() => browser.close());

test("the row filter hides, counts, complains and is cleared", async () => {
  const story = nginx();
  await on(browser, story.session, async ({ page }) => {
    await begun(page);
    const slots = page.locator('[role=row][aria-level="2"]');
    const note = page.locator("#row-filter-note");
    await page.keyboard.press("/");
    await page.keyboard.type("state:listening");
    await expect.poll(() => slots.count(), PATIENCE).toBe(2);
    expect(await note.textContent()).toMatch(/^2 of \d+$/);
    await page.keyboard.type("x");
    await page.getByText(/^The filter hides all \d+ rows$/).waitFor();
    await page.getByText("The filter of rows hides every process.").waitFor();
    await page.getByRole("button", { name: "Clear the filter" }).click();
    await expect.poll(() => slots.count(), PATIENCE).toBeGreaterThan(10);
    await page.locator("#row-filter").fill("prot:443");
    await expect.poll(() => note.textContent(), PATIENCE).toMatch(/^prot:443: no field is called "prot"/);
  });
});

test("the list of events takes the server's filter, and selects", async () => {
  const story = nginx();
  await on(
    browser,
    story.session,
    async ({ page }) => {
      await begun(page);
      await page.keyboard.press("5");
      const events = page.locator("[data-event]");
      await page.getByRole("searchbox", { name: "Filter events" }).fill("event:accept pid:812");
      await page.getByText("14 that fit").waitFor();
      const kinds = await events.evaluateAll((all) =>
        all.map((one) => (one as HTMLElement).dataset["event"]),
      );
      expect(new Set(kinds)).toEqual(new Set(["accept"]));
      await page.locator(".eventrows button.link").last().click();
      const selected = page.locator('[role=row][aria-selected="true"]');
      await expect.poll(() => selected.getAttribute("data-socket"), PATIENCE).toBe(story.open.socket.id);
      await page.keyboard.press("5");
      await page.getByRole("searchbox", { name: "Filter events" }).fill("evnt:accept");
      await page.getByText(/no field is called "evnt"/).waitFor();
      // Neither that nothing fits nor that there is more is known.
      expect(await page.locator(".events").textContent()).not.toMatch(/fit|Load/);
    },
    [/400/],
  );
});

test("older events are read on demand", async () => {
  const fake = new FakeSession("old");
  const process = fake.process(1, "server");
  fake.listen(process, 3, "127.0.0.1:80");
  for (let i = 0; i < 1200; i += 1) {
    fake.pass(1);
    fake.open(process, 4 + i, "file", `/x/${i}`);
  }
  const opened = await open(browser, fake, "nowhere");
  try {
    opened.server.tail = 100;
    await opened.page.goto(opened.server.url);
    await begun(opened.page);
    await opened.page.keyboard.press("5");
    await opened.page.getByText("100 of 1,203 kept").waitFor();
    await opened.page.getByRole("button", { name: "Load older" }).click();
    await opened.page.getByText("600 of 1,203 kept").waitFor();
  } finally {
    await opened.close();
  }
});

test("the accept queues: who waits, against which limit, sorted by any column", async () => {
  const story = nginx("queues", "recording");
  await on(browser, story.session, async ({ page }) => {
    await begun(page);
    await page.keyboard.press("3");
    const row = page.locator(`[role=row]:has([data-listener="${story.listener.id}"])`);
    expect(await row.locator("[data-waiting]").textContent()).toBe("3");
    expect(await row.textContent()).toContain("511");
    await page.getByRole("img", { name: "Length of the accept queue of 127.0.0.1:80" }).waitFor();
    const header = page.getByRole("columnheader", { name: "Waiting" });
    await header.getByRole("button").click();
    expect(await header.getAttribute("aria-sort")).toBe("ascending");
    await header.getByRole("button").click();
    expect(await header.getAttribute("aria-sort")).toBe("descending");
  });
});

test("the connections: both ends, the rows' filter, another instant", async () => {
  const story = nginx("connected", "recording");
  await on(browser, story.session, async ({ page }) => {
    await begun(page);
    await page.keyboard.press("4");
    const rows = page.locator("[data-connection]");
    await rows.nth(3).waitFor();
    // A recording has no now.
    expect(await page.locator(".connections .bar").textContent()).toMatch(/connections at 12:00:5\d/);
    await page.locator("#row-filter").fill("port:9000");
    await expect.poll(() => rows.count(), PATIENCE).toBe(1);
    await page.locator("#row-filter").fill("peer:*:51213");
    const cells = page.locator(".connectionrows .spacer [role=row] [role=cell]");
    await expect
      .poll(async () => (await cells.allTextContents()).slice(0, 5), PATIENCE)
      .toEqual(["127.0.0.1:51213", "", "127.0.0.1:80", "nginx 812 fd 10", "connected"]);
    await cells.getByRole("button", { name: "127.0.0.1:80" }).click();
    await page.locator(`[role=row][aria-selected="true"][data-socket="${story.open.socket.id}"]`).waitFor();
  });
});
