import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { busy } from "../fake/busy.ts";
import { nginx } from "../fake/nginx.ts";
import { FakeSession } from "../fake/session.ts";
import { findings } from "./axe.ts";
import { Browser, type Opened, open, RESULTS } from "./browser.ts";

/** What reaches people with other eyes, windows and habits, and what reaches back no further. */

let browser: Browser;
beforeAll(async () => {
  browser = await Browser.launch();
});
afterAll(() => browser.close());

async function begun({ page }: Opened): Promise<void> {
  await page.locator('[role=row][data-state="listening"]').first().waitFor();
}

test("who wants less motion gets a frame a second while following", async () => {
  const frames = async (reducedMotion: "reduce" | "no-preference"): Promise<number> => {
    const opened = await open(browser, nginx("calm").session, "nowhere");
    const { page, server } = opened;
    try {
      await page.emulateMedia({ reducedMotion });
      await page.clock.install();
      await page.goto(server.url);
      await begun(opened);
      const painted = () =>
        page.evaluate(
          () =>
            (globalThis as unknown as { sockreel: { frames: { painted: number } } }).sockreel.frames.painted,
        );
      await page.clock.runFor(1_500);
      const before = await painted();
      // The newest moment is guessed for three seconds after the last word of the server.
      await page.clock.runFor(4_000);
      return (await painted()) - before;
    } finally {
      await opened.close();
    }
  };
  const calm = await frames("reduce");
  expect(calm).toBeGreaterThan(1);
  expect(calm).toBeLessThan(10);
  expect(await frames("no-preference")).toBeGreaterThan(2 * calm);
});

test("in 320 pixels a port is whole or its address is left out, and whose the rows are hides none of them", async () => {
  const fake = new FakeSession("ports");
  const server = fake.process(4_194_303, "server");
  fake.listen(server, 3, "0.0.0.0:80");
  fake.listen(server, 4, "[2001:db8:85a3:8d3:1319:8a2e:370:7348]:65535");
  for (let fd = 5; fd < 60; fd += 1) fake.open(server, fd, "file", `/x/${fd}`);
  fake.pass(1000);
  const opened = await open(browser, fake);
  const { page } = opened;
  try {
    await page.setViewportSize({ width: 320, height: 640 });
    await begun(opened);
    const shown = () =>
      page.locator(".address").evaluateAll((all) =>
        all.map((name) => {
          const box = name.getBoundingClientRect();
          return [...name.children]
            .filter((part) => {
              const { top, right } = part.getBoundingClientRect();
              return top < box.bottom && right <= box.right + 0.5;
            })
            .map((part) => part.textContent)
            .join("");
        }),
      );
    await expect.poll(shown).toEqual(["0.0.0.0:80", ":65535"]);
    await page.locator(".heads .clip").hover();
    await page.mouse.wheel(0, 300);
    const above = page.locator(".above");
    await expect.poll(() => above.innerText()).toContain("4194303");
    const [pill, corner] = [await above.boundingBox(), await page.locator(".corner").boundingBox()];
    if (!pill || !corner) throw new Error("not there");
    expect(pill.y + pill.height).toBeLessThanOrEqual(corner.y + corner.height);
    expect(pill.x + pill.width).toBeLessThanOrEqual(corner.x + corner.width);
    await above.click();
    await expect.poll(() => above.count()).toBe(0);
    expect(opened.errors).toEqual([]);
  } finally {
    await opened.close();
  }
});

test("in 320 pixels, as at 400 %, the filter and the tables are usable", async () => {
  const story = nginx("small", "recording");
  const opened = await open(browser, story.session);
  const { page } = opened;
  try {
    await page.setViewportSize({ width: 320, height: 640 });
    await begun(opened);
    expect(await page.evaluate(() => document.documentElement.scrollWidth)).toBe(320);
    const filter = page.locator("#row-filter");
    const box = await filter.boundingBox();
    expect(box && box.x >= 0 && box.x + box.width <= 320).toBe(true);
    await filter.fill("state:listening");
    await expect.poll(() => page.locator('[role=row][aria-level="2"]').count()).toBe(2);
    await filter.fill("");
    // Who listens where can be read, and whose it is.
    const cut = await page
      .locator('[role=row][data-state="listening"] .name, [role=row][data-pid="811"] .name')
      .evaluateAll((all) =>
        all.filter((name) => name.scrollWidth > name.clientWidth).map((name) => name.textContent),
      );
    expect(cut).toEqual([]);
    for (const [name, rows] of [
      ["Descriptors", ".fds"],
      ["Events", ".eventrows"],
    ] as const) {
      await page.getByRole("tab", { name, exact: true }).click();
      const first = page.locator(`${rows} .spacer [role=row] [role=cell]`).first();
      await first.waitFor();
      await page.screenshot({ path: join(RESULTS, `tiny-${name.toLowerCase()}.png`) });
      expect(await findings(page)).toEqual([]);
    }
    expect(opened.errors).toEqual([]);
  } finally {
    await opened.close();
  }
});

test("at a laptop's width the tools stand in one line, also while the view is paused and events were lost", async () => {
  const { session } = nginx("laptop");
  const opened = await open(browser, session);
  const { page, server } = opened;
  try {
    await begun(opened);
    await page.keyboard.press("Space");
    session.lose(17);
    server.push();
    await page.getByRole("button", { name: "Paused+1" }).waitFor();
    for (const width of [1280, 1366, 1600]) {
      await page.setViewportSize({ width, height: 720 });
      const boxes = await page
        .locator(".toolbar > *")
        .evaluateAll((all) =>
          all.map((one) => one.getBoundingClientRect()).map((box) => [box.top, box.bottom]),
        );
      // Each begins above where any other ends.
      expect(Math.max(...boxes.map(([top = 0]) => top)), `${width}`).toBeLessThan(
        Math.min(...boxes.map(([, bottom = 0]) => bottom)),
      );
      expect((await page.locator("#row-filter").boundingBox())?.width).toBeGreaterThanOrEqual(96);
    }
    expect(opened.errors).toEqual([]);
  } finally {
    await opened.close();
  }
});

test("in a narrow window what matters most of a table is in sight, and what is not is counted", async () => {
  const opened = await open(browser, busy("columns"));
  const { page } = opened;
  try {
    await page.setViewportSize({ width: 390, height: 844 });
    await begun(opened);
    await page.locator('[role=row][aria-level="1"]', { hasText: "gateway" }).first().click();
    for (const [key, table, inSight, beyond] of [
      ["2", ".fds", ["fd", "Kind", "State", "Name or address", "Opened by", "Open for", "Flags"], 0],
      ["3", ".queuerows", ["Waiting", "Oldest waits", "Full queue", "Other drops"], 4],
      ["4", ".connectionrows", ["Client", "Server", "State", "Waited"], 7],
      ["5", ".eventrows", ["Time", "Process", "Call", "fd", "Result"], 2],
    ] as const) {
      await page.keyboard.press(key);
      const box = page.locator(`.virtualbox:has(${table})`);
      const more = box.locator(".beyond");
      await expect
        .poll(() => more.allTextContents())
        .toEqual(beyond === 0 ? [] : [`${beyond} more columns →`]);
      const seen = await box
        .getByRole("columnheader")
        .evaluateAll((heads) =>
          heads
            .filter(
              (head) => head.getBoundingClientRect().right <= (head.closest(".virtual")?.clientWidth ?? 0),
            )
            .map((head) => head.textContent),
        );
      expect(seen).toEqual(expect.arrayContaining([...inSight]));
    }
    // A click leads towards them.
    await page.keyboard.press("4");
    await page.getByText("7 more columns →").click();
    await expect
      .poll(() => page.locator(".connectionrows").evaluate((box) => box.scrollLeft))
      .toBeGreaterThan(0);
    await page.locator(".connectionrows").evaluate((box) => box.scrollBy(1000, 0));
    await expect.poll(() => page.locator(".beyond").count()).toBe(0);
    // With more room all stands in one line again.
    await page.setViewportSize({ width: 1280, height: 844 });
    await page.locator(".connectionrows:not(.paired)").waitFor();
    await expect.poll(() => page.locator(".beyond").count()).toBe(0);
    expect(opened.errors).toEqual([]);
  } finally {
    await opened.close();
  }
});

test("what stands at a row's end is whole or left out, and a listener's row says whose it is, in any width", async () => {
  const opened = await open(browser, busy("ends"));
  const { page } = opened;
  try {
    await begun(opened);
    /** What is seen of each row's end, and what of it is cut. */
    const ends = () =>
      page.locator(".tail").evaluateAll((tails) => {
        const seen: string[] = [];
        const cut: string[] = [];
        for (const tail of tails) {
          const line = tail.getBoundingClientRect();
          const parts = [...tail.childNodes].filter((part) => {
            const range = document.createRange();
            range.selectNodeContents(part);
            const box = range.getBoundingClientRect();
            if (box.width === 0 || box.top >= line.bottom - 0.5) return false;
            if (box.left < line.left - 0.5 || box.right > line.right + 0.5) cut.push(part.textContent ?? "");
            return true;
          });
          seen.push(parts.map((part) => part.textContent).join(""));
        }
        return { seen, cut };
      });
    for (const [width, queue] of [
      [1600, "q 8, limit 8"],
      [800, "q 8"],
      [390, ""],
      [320, ""],
    ] as const) {
      await page.setViewportSize({ width, height: 844 });
      for (const mode of ["slots", "instances", "listeners"]) {
        await page.getByLabel("Rows", { exact: true }).selectOption(mode);
        await page
          .locator(`.head-row.${mode.slice(0, -1)}`)
          .first()
          .waitFor();
        const { seen, cut } = await ends();
        expect(cut, `${mode}, ${width}`).toEqual([]);
        if (mode !== "listeners") continue;
        for (const server of ["slow-server 2000", "gateway 1990"]) {
          expect(seen.join("\n"), `${width}`).toContain(server);
        }
        expect(seen.join("\n")).toContain(queue);
      }
    }
    // All tabs of the lower part are in sight, too.
    for (const width of [390, 320]) {
      await page.setViewportSize({ width, height: 844 });
      const tabs = await page.getByRole("tab").evaluateAll((all) =>
        all.map((tab) => {
          const { left, right } = tab.getBoundingClientRect();
          return left >= 0 && right <= innerWidth;
        }),
      );
      expect(tabs).toEqual(Array(6).fill(true));
    }
    expect(opened.errors).toEqual([]);
  } finally {
    await opened.close();
  }
});

test("in a low window, as at 200 %, rows and the lower part share what there is, and come back as they were", async () => {
  const story = nginx("low", "recording");
  const opened = await open(browser, story.session);
  const { page } = opened;
  try {
    await page.setViewportSize({ width: 800, height: 900 });
    await begun(opened);
    const high = async (part: string) => (await page.locator(part).boundingBox())?.height ?? 0;
    const grip = page.getByRole("separator", { name: "Height of the lower part" });
    await grip.press("ArrowUp");
    const chosen = await high(".drawer");
    await page.setViewportSize({ width: 800, height: 450 });
    await expect.poll(() => high(".drawer")).toBeLessThan(chosen);
    expect(await high(".stage")).toBeGreaterThanOrEqual(148);
    const bottom = await page.locator(".drawer").evaluate((part) => part.getBoundingClientRect().bottom);
    expect(bottom).toBeLessThanOrEqual(450);
    await page.setViewportSize({ width: 800, height: 900 });
    await page.keyboard.press("e");
    await page.locator(".sentence strong").waitFor();
    await page.keyboard.press("e");
    await expect.poll(() => high(".drawer")).toBe(chosen);
    expect(opened.errors).toEqual([]);
  } finally {
    await opened.close();
  }
});

test("what is older than what is kept is said to be incomplete", async () => {
  const story = nginx("kept", "recording");
  story.session.keptSince = 20e9;
  const opened = await open(browser, story.session);
  const { page } = opened;
  try {
    await begun(opened);
    await expect.poll(() => page.locator("[data-counter=kept]").textContent()).toBe("kept since 12:00:20");
    const hint = page.getByText("Before the oldest kept event: may be incomplete.");
    for (const [time, said] of [
      ["12:00:10", 1],
      ["12:00:30", 0],
    ] as const) {
      await page.locator("#go-to").fill(time);
      await page.locator("#go-to").press("Enter");
      await expect.poll(() => hint.count()).toBe(said);
    }
    expect(opened.errors).toEqual([]);
  } finally {
    await opened.close();
  }
});
