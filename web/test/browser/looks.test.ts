import { join } from "node:path";
import type { Page } from "playwright-core";
import { afterAll, beforeAll, expect, test } from "vitest";
import { DENSITIES } from "../../src/layout/rows.ts";
import { busy } from "../fake/busy.ts";
import { nginx } from "../fake/nginx.ts";
import { FakeSession } from "../fake/session.ts";
import { findings } from "./axe.ts";
import { Browser, type Opened, open, RESULTS } from "./browser.ts";

let browser: Browser;
beforeAll(async () => {
  browser = await Browser.launch();
});
afterAll(() => browser.close());

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

/** What a page may have to show, and when it shows it. */
const STATES: Readonly<
  Record<string, { session: () => FakeSession; reach: (opened: Opened) => Promise<void> }>
> = {
  empty: {
    session: () => new FakeSession("empty"),
    reach: ({ page }) => page.getByText("Nothing to see yet").waitFor(),
  },
  busy: {
    session: () => busy(),
    reach: async (opened) => {
      await settled(opened);
      await opened.page.keyboard.press("m");
    },
  },
  lossy: {
    session: () => {
      const { session } = nginx("lossy");
      session.lose(12_345);
      session.pass(4000);
      return session;
    },
    reach: async ({ page }) => {
      await page.getByText("12,345 lost").waitFor();
    },
  },
  broken: {
    session: () => nginx("broken").session,
    reach: async (opened) => {
      await settled(opened);
      // What the page brings itself is there a moment later.
      await opened.page.waitForLoadState("networkidle");
      await opened.server.stop();
      await opened.page.locator('.connection[data-link="away"]').waitFor();
    },
  },
  refused: {
    session: () => nginx("refused").session,
    reach: async (opened) => {
      const { page, server } = opened;
      await settled(opened);
      server.refuses = true;
      server.cut();
      await page.getByText("This page may not read the session").waitFor();
    },
  },
  hidden: {
    session: () => nginx("hidden").session,
    reach: async (opened) => {
      await settled(opened);
      await opened.page.locator("#row-filter").fill("port:9999");
      await opened.page.getByText("The filter hides all").waitFor();
    },
  },
};

const tab = (name: string) => async (page: Page) => {
  await page.getByRole("tab", { name, exact: true }).click();
};

/** Views that every state has. */
const EVERYWHERE: Readonly<Record<string, (page: Page) => Promise<void>>> = {
  slots: async () => undefined,
  instances: (page) => page.keyboard.press("i"),
  listeners: async (page) => {
    await page.keyboard.press("i");
    await page.keyboard.press("i");
  },
  details: async (page) => {
    await tab("Details")(page);
    const listener = page.locator('[role=row][data-state="listening"]').first();
    if ((await listener.count()) > 0) await listener.click();
  },
  descriptors: tab("Descriptors"),
  cells: async (page) => {
    await tab("Descriptors")(page);
    const cells = page.getByRole("button", { name: "Cells" });
    if ((await cells.count()) > 0) await cells.click();
  },
  queues: tab("Queues"),
  connections: tab("Connections"),
  events: tab("Events"),
  findings: tab("Findings"),
  lesson: (page) => page.keyboard.press("e"),
  table: async (page) => {
    await page.keyboard.press("F1");
    await page.keyboard.type("as a table");
    await page.keyboard.press("Enter");
    await page.locator("dialog.striptable[open]").waitFor();
  },
};

/** What one does to see a view, after the page has settled. */
const VIEWS: Readonly<Record<string, (page: Page) => Promise<void>>> = {
  "leaky-cells": async (page) => {
    await page.locator('[role=row][aria-level="1"]', { hasText: "leaky" }).first().click();
    await page.keyboard.press("2");
    await page.getByRole("button", { name: "Cells" }).click();
  },
  kinds: async (page) => {
    await page.locator('[role=row][aria-level="1"]', { hasText: "gateway" }).first().click();
    await page.keyboard.press("2");
    await page.locator("[data-table-fd='10']").waitFor();
  },
  counters: async (page) => {
    await page.locator('[role=row][aria-level="2"][data-peer="[::1]:52001"]').first().click();
    await page.keyboard.press("1");
    await page.getByText("3 segments sent again").waitFor();
  },
  pair: async (page) => {
    await page.locator('[role=row][aria-level="2"][data-peer="unix:"]').first().click();
    await page.keyboard.press("1");
    await page.getByText("fd 8 of gateway 1990").waitFor();
  },
  compare: async (page) => {
    await page.locator('[role=row][aria-level="1"]', { hasText: "leaky" }).first().click();
    await page.keyboard.press("2");
    await page.keyboard.press("Space");
    await page.locator("#go-to").fill("12:00:03");
    await page.locator("#go-to").press("Enter");
    await page.getByRole("button", { name: "Compare" }).click();
    await page.getByRole("button", { name: "Back to now" }).click();
    await page.locator("[data-differences]").waitFor();
  },
  failure: async (page) => {
    await page.locator('[role=row][aria-level="1"]', { hasText: "failing" }).first().click();
    await page.keyboard.press("1");
    await page
      .getByRole("button", { name: /connect on fd 7/ })
      .first()
      .click();
    await page.getByText("10.9.9.9:443 is not known to be this host's").waitFor();
  },
  key: async (page) => {
    await page.keyboard.press("k");
    await page.locator("dialog.key[open] canvas").first().waitFor();
  },
  share: (page) => page.getByRole("button", { name: "Share" }).click(),
  lesson: async (page) => {
    await page.keyboard.press("e");
    // Everything before it has to be read first, which a busy machine does slowly.
    await page.locator(".sentence strong").waitFor({ timeout: 40_000 });
    await page.locator(".chain button", { hasText: "accept" }).click();
  },
};

const NOTHING = async () => undefined;
/** States of which one picture says all: no view has anything. */
const PLAIN = ["refused", "hidden"];
/** What is asked of the server, or drawn in the next frame, is there by then; no assertion rests on it. */
const SETTLE_MS = 150;

/** Back to rows as slots, and to the timeline. */
async function leave(page: Page, view: string): Promise<void> {
  if (view === "instances") for (const _ of [1, 2]) await page.keyboard.press("i");
  if (view === "listeners") await page.keyboard.press("i");
  if (view === "cells") {
    const cells = page.getByRole("button", { name: "Cells" });
    if ((await cells.count()) > 0) await cells.click();
  }
  if (view === "details") await page.keyboard.press("Escape");
  if (view === "lesson") await page.keyboard.press("e");
  if (view === "table") await page.keyboard.press("Escape");
}

const ROOMS = [
  ["wide", 1600, 900],
  ["narrow", 390, 844],
  // A window of 1600 by 900 at 200 %.
  ["zoomed", 800, 450],
] as const;

for (const theme of ["light", "dark"] as const) {
  for (const [room, width, height] of ROOMS) {
    test(`${theme}, ${room}: no serious findings in any state or view`, { timeout: 300_000 }, async () => {
      const found: string[] = [];
      const shows = async (opened: Opened, name: string) => {
        await opened.page.screenshot({ path: join(RESULTS, `${name}-${room}-${theme}.png`) });
        found.push(...(await findings(opened.page)).map((one) => `${name}: ${one}`));
      };
      const prepared = async (session: FakeSession) => {
        const opened = await open(browser, session);
        await opened.page.setViewportSize({ width, height });
        await opened.page.emulateMedia({ colorScheme: theme });
        return opened;
      };
      for (const [name, { session, reach }] of Object.entries(STATES)) {
        const opened = await prepared(session());
        try {
          await reach(opened);
          for (const [view, go] of Object.entries(PLAIN.includes(name) ? { slots: NOTHING } : EVERYWHERE)) {
            await go(opened.page);
            await opened.page.waitForTimeout(SETTLE_MS);
            await shows(opened, `${name}-${view}`);
            await leave(opened.page, view);
          }
        } finally {
          await opened.close();
        }
      }
      for (const [name, go] of Object.entries(VIEWS)) {
        const opened = await prepared(busy());
        try {
          await settled(opened);
          await go(opened.page);
          await opened.page.waitForTimeout(SETTLE_MS);
          await shows(opened, `view-${name}`);
        } finally {
          await opened.close();
        }
      }
      expect(found).toEqual([]);
    });
  }
}

test("high contrast, as the system asks for it or as it is set here", { timeout: 120_000 }, async () => {
  for (const colorScheme of ["light", "dark"] as const) {
    for (const asks of ["system", "setting"] as const) {
      const opened = await open(browser, busy());
      const { page } = opened;
      try {
        await page.setViewportSize({ width: 1600, height: 900 });
        await page.emulateMedia({ colorScheme, contrast: asks === "system" ? "more" : "no-preference" });
        await settled(opened);
        if (asks === "setting") {
          await page.keyboard.press("?");
          await page.getByLabel("High contrast").check();
          await page.keyboard.press("Escape");
          // It lasts.
          await page.reload();
          await settled(opened);
        }
        const text = () =>
          page.evaluate(() => getComputedStyle(document.documentElement).getPropertyValue("--text"));
        await expect.poll(text).toBe(colorScheme === "light" ? "#000000" : "#ffffff");
        for (const [key, tab] of ["details", "descriptors", "queues", "connections", "events"].entries()) {
          await page.keyboard.press(String(key + 1));
          await page.waitForTimeout(SETTLE_MS);
          await page.screenshot({ path: join(RESULTS, `contrast-${tab}-${colorScheme}.png`) });
          expect(await findings(page, ["color-contrast-enhanced"])).toEqual([]);
        }
        if (asks === "setting") {
          await page.keyboard.press("?");
          await page.getByLabel("High contrast").uncheck();
          await expect.poll(text).not.toMatch(/#0{6}|#f{6}/);
        }
        expect(opened.errors).toEqual([]);
      } finally {
        await opened.close();
      }
    }
  }
});

test("the system's own colours, with rows of every height", { timeout: 60_000 }, async () => {
  for (const colorScheme of ["light", "dark"] as const) {
    const opened = await open(browser, busy());
    const { page } = opened;
    try {
      await page.setViewportSize({ width: 1600, height: 900 });
      await page.emulateMedia({ colorScheme, forcedColors: "active" });
      await settled(opened);
      for (const [i, density] of DENSITIES.entries()) {
        await page.keyboard.press(`Shift+Digit${i + 1}`);
        await page.waitForTimeout(SETTLE_MS);
        await page.screenshot({ path: join(RESULTS, `forced-${density}-${colorScheme}.png`) });
      }
      await page.keyboard.press("k");
      await page.locator("dialog.key[open] canvas").first().waitFor();
      await page.screenshot({ path: join(RESULTS, `forced-key-${colorScheme}.png`) });
      expect(opened.errors).toEqual([]);
    } finally {
      await opened.close();
    }
  }
});
