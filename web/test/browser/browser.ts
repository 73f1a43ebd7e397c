import { mkdir, mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { type BrowserContext, chromium, type Page } from "playwright-core";
import { expect } from "vitest";
import { FakeServer } from "../fake/server.ts";
import type { FakeSession } from "../fake/session.ts";

const HERE = fileURLToPath(new URL(".", import.meta.url));
export const DIST = join(HERE, "../../dist");
export const RESULTS = join(HERE, "../../test-results");

const ARGS = [
  "--no-sandbox",
  "--disable-gpu",
  "--disable-quic",
  "--no-first-run",
  "--disable-background-networking",
  "--disable-component-update",
  "--disable-sync",
];

/** A Chromium of its own with a fresh profile. */
export class Browser {
  private constructor(
    readonly context: BrowserContext,
    readonly profile: string,
  ) {}

  static async launch(): Promise<Browser> {
    await mkdir(RESULTS, { recursive: true });
    const profile = await mkdtemp(join(tmpdir(), "sockreel-chromium-"));
    const context = await chromium.launchPersistentContext(profile, {
      executablePath: process.env["CHROMIUM"] ?? "/usr/bin/chromium",
      headless: true,
      args: ARGS,
      timezoneId: "UTC",
      viewport: { width: 1600, height: 900 },
    });
    return new Browser(context, profile);
  }

  async close(): Promise<void> {
    await this.context.close();
    await rm(this.profile, { recursive: true, force: true });
  }
}

/** A page on a server of its own, with everything that it asked for and complained about. */
export interface Opened {
  readonly server: FakeServer;
  readonly page: Page;
  readonly requests: string[];
  readonly errors: string[];
  close(): Promise<void>;
}

/** `before` is done to the page before it goes anywhere. */
export async function open(
  browser: Browser,
  session: FakeSession,
  path = "",
  before: (page: Page) => Promise<unknown> = async () => undefined,
): Promise<Opened> {
  const server = new FakeServer(session, DIST);
  await server.start();
  const page = await browser.context.newPage();
  // Nothing here takes longer, and what is not there is told by its own name, before a test ends.
  page.setDefaultTimeout(30_000);
  const requests: string[] = [];
  const errors: string[] = [];
  page.on("request", (request) => requests.push(request.url()));
  page.on("websocket", (socket) => requests.push(socket.url()));
  page.on("pageerror", (error) => errors.push(String(error)));
  page.on("console", (message) => {
    if (message.type() === "error") errors.push(message.text());
  });
  await before(page);
  await page.goto(server.url + path);
  return {
    server,
    page,
    requests,
    errors,
    close: async () => {
      await page.close();
      await server.stop();
    },
  };
}

/** Runs a test on a page of its own; at its end nothing may have been thrown, and no request may have left. */
export async function on(
  browser: Browser,
  session: FakeSession,
  run: (opened: Opened) => Promise<void>,
  expected: RegExp[] = [],
) {
  const opened = await open(browser, session);
  const own = new Set([new URL(opened.server.url).host]);
  try {
    await run(opened);
    expect(opened.errors.filter((error) => !expected.some((one) => one.test(error)))).toEqual([]);
    expect(new Set(opened.requests.map((url) => new URL(url).host))).toEqual(own);
  } finally {
    await opened.close();
  }
}

/** The row of a process's slot. */
export function slotRow(page: Page, process: string, fd: number) {
  return page.locator(`[role=row][aria-level="2"][data-process="${process}"][data-fd="${fd}"]`);
}

/** The first listener is there. */
export async function begun(page: Page): Promise<void> {
  await page.locator('[role=row][data-state="listening"]').first().waitFor();
}
