import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { nginx } from "../fake/nginx.ts";
import { Browser, open, RESULTS } from "./browser.ts";

let browser: Browser;
beforeAll(async () => {
  browser = await Browser.launch();
});
afterAll(() => browser.close());

test("a server's story, event by event", async () => {
  const story = nginx("lesson", "recording");
  const opened = await open(browser, story.session);
  const { page } = opened;
  try {
    await page.locator('[role=row][data-state="listening"]').first().waitFor();
    await page.keyboard.press("e");
    const sentence = page.locator(".sentence");
    await sentence.getByText("socket() made a socket and gave it descriptor 6.").waitFor();
    expect(await page.locator(".chain .done").count()).toBe(1);
    expect(await page.locator(".door").textContent()).toContain("created");
    await page.keyboard.press("ArrowRight");
    await sentence.getByText("bind() gave descriptor 6 the address 127.0.0.1:80.").waitFor();
    await page.keyboard.press("ArrowRight");
    await sentence.getByText("listen() made descriptor 6 wait for clients").waitFor();
    expect(await page.locator(".chain .done").count()).toBe(3);
    expect(await page.locator(".numbers .touched th").allTextContents()).toEqual(["6"]);

    // The first accept, by the chain; its client stands among the served, with the number that it got.
    await page.locator(".chain button", { hasText: "accept" }).click();
    await sentence.getByText("accept4() took the connection of 127.0.0.1:51200").waitFor();
    expect(await page.locator(".client.served").allTextContents()).toEqual(["9 127.0.0.1:51200"]);
    expect(await page.locator("[data-lesson-step]").textContent()).toMatch(/^Event 5 of /);

    expect(await page.getByText("No. All 14 accepted sockets have port 80").count()).toBe(1);
    await page.screenshot({ path: join(RESULTS, "lesson.png") });

    // The timeline has the time cursor that it had; the lesson goes on where it was left.
    await page.keyboard.press("e");
    await page.locator("[role=treegrid]").waitFor();
    expect(await page.locator("[data-span]").getAttribute("data-cursor")).toBeNull();
    expect(await page.locator("[data-instant]").getAttribute("data-instant")).toBe("now");
    await page.keyboard.press("e");
    await sentence.getByText("accept4() took the connection of 127.0.0.1:51200").waitFor();
    expect(opened.errors).toEqual([]);
  } finally {
    await opened.close();
  }
});

test("the last event leaves those who wait in the queue", async () => {
  const story = nginx("lesson-end", "recording");
  const opened = await open(browser, story.session);
  const { page } = opened;
  try {
    await page.locator('[role=row][data-state="listening"]').first().waitFor();
    await page.keyboard.press("e");
    await page.locator(".sentence strong").waitFor();
    await page.evaluate(() => {
      const { sockreel } = globalThis as unknown as {
        sockreel: { lesson: { go(step: number): void }; setCursor(t: undefined): void };
      };
      sockreel.lesson.go(10_000);
    });
    await page.locator(".client.served").first().waitFor();
    expect(await page.locator(".queuepicture figcaption").first().textContent()).toMatch(
      /^Waiting: \d+ of 512/,
    );
    expect(opened.errors).toEqual([]);
  } finally {
    await opened.close();
  }
});

test("a view whose code could not be had says so, and is tried again", async () => {
  const story = nginx("lesson-late", "recording");
  let away = true;
  const opened = await open(browser, story.session, "", (page) =>
    page.route(/\/assets\/lesson-.*\.js$/, (route) => (away ? route.abort() : route.continue())),
  );
  const { page } = opened;
  try {
    await page.locator('[role=row][data-state="listening"]').first().waitFor();
    await page.keyboard.press("e");
    await page.getByText("This part of the page could not be loaded.").waitFor();
    away = false;
    await page.getByRole("button", { name: "Try again" }).click();
    await page.locator(".sentence strong").waitFor();
  } finally {
    await opened.close();
  }
});
