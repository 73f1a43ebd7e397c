import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import type { App } from "../../src/interact/app.ts";
import { nginx } from "../fake/nginx.ts";
import { FakeSession } from "../fake/session.ts";
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
    await expect.poll(() => page.locator(".chain .done").count()).toBe(1);
    await expect.poll(() => page.locator(".door").textContent()).toContain("created");
    await page.keyboard.press("ArrowRight");
    await sentence.getByText("bind() gave descriptor 6 the address 127.0.0.1:80.").waitFor();
    await page.keyboard.press("ArrowRight");
    await sentence.getByText("listen() made descriptor 6 wait for clients").waitFor();
    await expect.poll(() => page.locator(".chain .done").count()).toBe(3);
    await expect.poll(() => page.locator(".numbers .touched th").allTextContents()).toEqual(["6"]);

    // The first accept, by the chain; its client stands among the served, with the number that it got.
    await page.locator(".chain button", { hasText: "accept" }).click();
    await sentence.getByText("accept4() took 127.0.0.1:51200").waitFor();
    await expect.poll(() => page.locator(".client.served").allTextContents()).toEqual(["9 127.0.0.1:51200"]);
    await expect.poll(() => page.locator("[data-lesson-step]").textContent()).toMatch(/^Event 5 of /);

    await expect.poll(() => page.getByText("No. All 14 accepted sockets have port 80").count()).toBe(1);
    await page.screenshot({ path: join(RESULTS, "lesson.png") });

    // The timeline has the time cursor that it had; the lesson goes on where it was left.
    await page.keyboard.press("e");
    await page.locator("[role=treegrid]").waitFor();
    await expect.poll(() => page.locator("[data-span]").getAttribute("data-cursor")).toBeNull();
    await expect.poll(() => page.locator("[data-instant]").getAttribute("data-instant")).toBe("now");
    await page.keyboard.press("e");
    await sentence.getByText("accept4() took 127.0.0.1:51200").waitFor();
    expect(opened.errors).toEqual([]);
  } finally {
    await opened.close();
  }
});

test("in a low window the ways on stay in sight, and where they are", async () => {
  const opened = await open(browser, nginx("lesson-low", "recording").session);
  const { page } = opened;
  try {
    await page.setViewportSize({ width: 800, height: 450 });
    await page.locator('[role=row][data-state="listening"]').first().waitFor();
    await page.keyboard.press("e");
    await page.locator(".sentence strong").waitFor();
    const top = (what: string) =>
      page.locator(what).evaluate((one) => Math.round(one.getBoundingClientRect().top));
    const before = await top(".story");
    for (const told of ["bind()", "listen()", "queue", "accept4()"]) {
      await page.getByRole("button", { name: "Next event" }).click();
      await page.locator(".sentence", { hasText: told }).waitFor();
      expect(await top(".story")).toBe(before);
    }
    const [last] = await page
      .locator(".chain li:last-child")
      .evaluateAll((all) => all.map((one) => one.getBoundingClientRect().bottom));
    expect(last).toBeLessThanOrEqual(450);
    const bar = await top(".lesson .bar");
    await page.locator(".lesson").evaluate((lesson) => lesson.scrollTo(0, lesson.scrollHeight));
    expect(await top(".lesson .bar")).toBe(bar);
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
    await expect
      .poll(() => page.locator(".queuepicture figcaption").first().textContent())
      .toMatch(/^Waiting: \d+, limit 511/);
    expect(opened.errors).toEqual([]);
  } finally {
    await opened.close();
  }
});

test("a server with 5,000 clients, all of them there: a lesson has room for some, and says how many there are", async () => {
  const CLIENTS = 5_000;
  const fake = new FakeSession("lesson-crowd", "recording");
  const server = fake.process(1, "server", { fd_limit: 2 * CLIENTS });
  const listener = fake.listen(server, 3, "127.0.0.1:80", CLIENTS);
  for (let i = 0; i < CLIENTS; i += 1) {
    const peer = `127.0.${i >> 8}.${i & 255}:40000`;
    if (i % 2 === 0) fake.queue(listener, peer);
    else fake.accept(server, listener, fake.queue(listener, peer), 3 + (i + 1) / 2, 3);
    fake.pass(1);
  }
  const opened = await open(browser, fake);
  const { page } = opened;
  try {
    await page.locator('[role=row][data-state="listening"]').first().waitFor();
    await page.keyboard.press("e");
    await page.locator(".sentence strong").waitFor({ timeout: 20_000 });
    await expect
      .poll(
        () =>
          page.evaluate(() => {
            const { sockreel } = globalThis as unknown as { sockreel: App };
            sockreel.lesson?.go(10_000);
            return sockreel.lesson?.story.value.length;
          }),
        { timeout: 20_000, interval: 100 },
      )
      .toBe(CLIENTS / 2 + 3);
    const figures = page.locator(".queuepicture figcaption");
    await expect
      .poll(() => figures.allTextContents())
      .toEqual(["Waiting: 2,500, limit 5,000 (holds 5,001)", "Served: 2,500"]);
    await expect.poll(() => page.locator(".client.waiting").count()).toBe(8);
    await expect.poll(() => page.locator(".client.served").count()).toBe(8);
    await expect.poll(() => page.locator(".queuepicture").getByText("and 2,492 more").count()).toBe(2);
    await expect.poll(() => page.locator(".numbers tr").count()).toBe(200);
    await expect.poll(() => page.locator(".numbers").getByText("and 2,301 more").count()).toBe(1);
    await expect.poll(() => page.locator(".story [role=row]").count()).toBeLessThan(80);
    await expect.poll(() => page.locator(".questions li").count()).toBeLessThan(60);
    await expect.poll(() => page.locator("#app *").count()).toBeLessThan(2_500);
    expect(opened.errors).toEqual([]);
  } finally {
    await opened.close();
  }
});

test("where records were lost, the story says so, and what follows may be wrong", async () => {
  const fake = new FakeSession("lesson-lossy", "recording");
  const server = fake.process(1, "server");
  fake.standard(server);
  const listener = fake.listen(server, 3, "127.0.0.1:80");
  const visit = (port: number, fd: number) => {
    fake.pass(100);
    fake.accept(server, listener, fake.queue(listener, `127.0.0.1:${port}`), fd, 3);
    fake.pass(100);
  };
  visit(1001, 4);
  fake.lose(12);
  visit(1002, 5);
  fake.lose(1);
  const opened = await open(browser, fake);
  const { page } = opened;
  try {
    await page.locator('[role=row][data-state="listening"]').first().waitFor();
    await page.keyboard.press("e");
    await page.locator(".sentence strong").waitFor();
    const events = page.locator(".story [data-lesson-event]");
    const told = () =>
      events.evaluateAll((all) => all.map((one) => (one as HTMLElement).dataset["lessonEvent"]));
    await expect.poll(told).toEqual(["socket", "bind", "listen", "accept", "lost", "accept", "lost"]);
    await page.getByText("; lowest free: 4").waitFor();
    const doubts = () => page.locator(".numbers .doubt").count();
    await events.nth(3).click();
    await expect.poll(doubts).toBe(0);
    await events.nth(4).click();
    await page.locator(".sentence").getByText("12 records were lost here.").waitFor();
    await page.locator(".sentence").getByText("events of this server may be missing").waitFor();
    await expect.poll(doubts).toBe(1);
    await events.nth(6).click();
    await page.locator(".sentence").getByText("1 record was lost here.").waitFor();
    await page.getByText("; lowest free: 6").waitFor();
    expect(opened.errors).toEqual([]);
  } finally {
    await opened.close();
  }
});

for (const [name, width, height] of [
  ["narrow", 320, 700],
  // A window of 1600 by 900 at 200 %.
  ["zoomed", 800, 450],
] as const) {
  test(`${name}: all of a lesson can be reached, nothing of it is cut at the sides`, async () => {
    const opened = await open(browser, nginx(`lesson-${name}`, "recording").session);
    const { page } = opened;
    try {
      await page.setViewportSize({ width, height });
      await page.locator('[role=row][data-state="listening"]').first().waitFor();
      await page.keyboard.press("e");
      await page.locator(".sentence strong").waitFor();
      await page.locator(".chain button", { hasText: "accept" }).click();
      const cut = () =>
        page.locator(".lesson *").evaluateAll((all) => {
          const right = document.querySelector(".lesson")?.getBoundingClientRect().right ?? 0;
          return all
            .filter((one) => one.checkVisibility() && one.getBoundingClientRect().width > 0)
            .filter(
              (one) => one.getBoundingClientRect().right > right || one.getBoundingClientRect().left < 0,
            )
            .map((one) => `${one.tagName} ${one.className} ${one.textContent}`);
        });
      await expect.poll(cut).toEqual([]);
      await page.locator(".questions li").last().scrollIntoViewIfNeeded();
      await page.screenshot({ path: join(RESULTS, `lesson-${name}.png`) });
      await page.locator(".lesson").evaluate((lesson) => lesson.scrollTo(0, 0));
      await page.screenshot({ path: join(RESULTS, `lesson-${name}-top.png`) });
    } finally {
      await opened.close();
    }
  });
}

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
