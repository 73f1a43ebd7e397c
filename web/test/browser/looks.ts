import { join } from "node:path";
import type { Page } from "playwright-core";
import { afterAll, beforeAll, expect, test } from "vitest";
import { busy } from "../fake/busy.ts";
import { nginx } from "../fake/nginx.ts";
import { FakeSession } from "../fake/session.ts";
import { findings } from "./axe.ts";
import { Browser, begun, type Opened, open, RESULTS } from "./browser.ts";

/** What is asked of the server, or drawn in the next frame, is there by then; no assertion rests on it. */
export const SETTLE_MS = 150;

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
      await begun(opened.page);
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
      await begun(opened.page);
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
      await begun(opened.page);
      server.refuses = true;
      server.cut();
      await page.getByText("This page may not read the session").waitFor();
    },
  },
  hidden: {
    session: () => nginx("hidden").session,
    reach: async (opened) => {
      await begun(opened.page);
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

/** Pictures of every state and view in a theme, in rooms of three sizes; none has a serious finding. */
export function looks(theme: "light" | "dark"): void {
  let browser: Browser;
  beforeAll(async () => {
    browser = await Browser.launch();
  });
  afterAll(() => browser.close());

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
          await begun(opened.page);
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
