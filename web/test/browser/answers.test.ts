import { join } from "node:path";
import { pathToFileURL } from "node:url";
import type { Page } from "playwright-core";
import { afterAll, beforeAll, expect, test } from "vitest";
import type { Line } from "../../src/protocol/types.gen.ts";
import { nginx, type Story } from "../fake/nginx.ts";
import { FakeSession, T0_NS } from "../fake/session.ts";
import { answersOf, trouble } from "../fake/trouble.ts";
import { findings } from "./axe.ts";
import { Browser, type Opened, open, RESULTS } from "./browser.ts";

let browser: Browser;
beforeAll(async () => {
  browser = await Browser.launch();
});
afterAll(() => browser.close());

async function on(story: Story, look: (opened: Opened) => Promise<void>): Promise<void> {
  trouble(story);
  const opened = await open(browser, story.session);
  opened.server.answers = answersOf(story);
  try {
    await opened.page.locator('[role=row][data-state="listening"]').first().waitFor();
    await look(opened);
    expect(opened.errors).toEqual([]);
  } finally {
    await opened.close();
  }
}

const card = (page: Page, title: string) => page.locator(`[data-answer="${title}"]`);

/** What a card says, with spaces as people see them. */
const words = async (page: Page, title: string) =>
  (await card(page, title).innerText()).replaceAll(/\s+/g, " ");

/** Waits until a card says all of this: its parts come by answers of their own. */
async function says(page: Page, title: string, ...parts: string[]): Promise<void> {
  for (const part of parts) await expect.poll(() => words(page, title)).toContain(part);
}

/** The number of the newest event that fits. */
const seqOf = ({ session }: Story, fits: (line: Line) => boolean) => session.lines.findLast(fits)?.seq;

/** The time of day of a story's end. */
const timeOf = ({ session }: Story) =>
  new Date(Number(BigInt(T0_NS) / 1_000_000n) + Math.floor(session.now / 1e6)).toISOString().slice(11, 23);

/** The first row of the table of queues, by its heads. */
async function row(page: Page): Promise<Record<string, string | undefined>> {
  const texts = (selector: string) => page.locator(`.queuerows ${selector}`).allInnerTexts();
  const heads = await texts("[role=columnheader]");
  const cells = await texts(".spacer [role=cell]");
  expect(cells.length).toBe(heads.length);
  return Object.fromEntries(heads.map((head, i) => [head.replace(/\W+$/, ""), cells[i]]));
}

const listenerRow = (page: Page, { worker }: Story) =>
  page.locator(`[role=row][data-state=listening][data-process="${worker.id}"]`);

test("who has the other ends of a pipe", async () => {
  const story = nginx();
  const { session, master, worker } = story;
  const pipe = session.open(master, 9, "pipe", "pipe:[4711]", "pipe");
  session.open(worker, 19, "pipe", "pipe:[4711]", "fork");
  const opened = await open(browser, session);
  const answers = answersOf(story);
  const [table] = answers.fds.tables;
  const [row] = table?.descriptors ?? [];
  if (!table || !row) throw new Error("no table");
  const { socket: _, ...plain } = row;
  const end = { process: worker.id, pid: worker.pid, comm: worker.comm, fd: 19, access: "r" };
  const held = {
    ...plain,
    process: master.id,
    pid: master.pid,
    fd: 9,
    kind: "pipe",
    ino: pipe.ino,
    ipc: "pipe",
  };
  const tables = [{ ...table, descriptors: [{ ...held, others: [end] }] }];
  opened.server.answers = { ...answers, fds: { ...answers.fds, tables } };
  const { page } = opened;
  try {
    await page.locator(`[role=row][aria-level="2"][data-process="${master.id}"][data-fd="9"]`).click();
    await card(page, "Other ends").locator("tbody tr").waitFor();
    await says(page, "Other ends", "nginx 812 19 reads");
    await card(page, "Other ends").getByRole("button", { name: "19" }).click();
    await page
      .locator(`[role=row][aria-selected="true"][data-process="${worker.id}"][data-fd="19"]`)
      .waitFor();
    expect(opened.errors).toEqual([]);
  } finally {
    await opened.close();
  }
});

test("the queues view tells percentiles, drops, a stuck acceptor and who waits", async () => {
  const story = nginx();
  await on(story, async ({ page, server }) => {
    const failed = String(seqOf(story, ({ error }) => error === "EMFILE"));
    const slowest = String(seqOf(story, ({ wait_ns }) => wait_ns === 900e6));
    await page.keyboard.press("3");
    await card(page, "This queue").locator("[data-waits]").waitFor();
    await says(
      page,
      "This queue",
      `EMFILE, 12 times: 3 connections have waited for up to 9.50 s, and nothing was accepted for 14.7 s? · event ${failed}`,
      "Accept queue 3?, limit 511 (holds 512; asked for 511) at ",
      "Accepted 14 of 17 queued",
      `Waited p50 144 µs, p90 250 µs, p99 900 ms, p99.9 900 ms, max 900 ms · event ${slowest}`,
      "9 packets: 4 to 6 met a full queue, 3 to 5 for another reason",
      "EMFILE 12 times",
      "Waiting to be accepted (3) Peer Waits for Since",
      "127.0.0.1:51500 9.50 s",
      "17 events were lost: what they would have told may be missing.",
    );
    // A wait has one age, in the table and in the answer beside it, though the page's own newest moment goes on.
    const asOf = () => page.locator(".queues > .all > .bar").innerText();
    await expect.poll(asOf).toBe(`As of ${timeOf(story)}.`);
    await says(page, "This queue", `As of ${timeOf(story)};`);
    expect(await row(page)).toMatchObject({
      Listener: "127.0.0.1:80",
      Waiting: "3?",
      "Oldest waits": "9.50 s?",
      Accepted: "14?",
      "Median wait": "144 µs",
      "Max wait": "900 ms",
      "Full queue": "4 to 6",
      "Other drops": "3 to 5",
      Limit: "511",
      Backlog: "511",
    });
    // Who waits still may wait for longer than all who were accepted: the head says whose waits these are.
    await page.getByRole("columnheader", { name: "Max wait of those accepted" }).waitFor();
    expect(server.asked).toContain("queues");
    // Evidence leads to its event.
    await card(page, "This queue").getByRole("button", { name: failed, exact: true }).first().click();
    await page.locator('#tab-events[aria-selected="true"]').waitFor();
  });
});

test("who waits and was not told of one by one is counted in the table, too", async () => {
  const story = nginx();
  await on(story, async ({ page, server }) => {
    const answers = answersOf(story);
    const [queue] = answers.queues.queues;
    if (!queue) throw new Error("no queue");
    const waits = { ...queue.waits, without_start: 2 };
    const more = { ...queue, len: 600, others: 597, accepted: 16, waits };
    server.answers = { ...answers, queues: { ...answers.queues, queues: [more] } };
    await page.keyboard.press("3");
    await says(
      page,
      "This queue",
      "600?, limit 511 (holds 512; asked for 511), 88 more than it holds at ",
      "Accepted 16 of 17 queued; of 2 it is not known when they were queued",
      "Waiting to be accepted (600)",
      "and 597 more in the queue",
    );
    expect(await row(page)).toMatchObject({ Waiting: "600?", "Oldest waits": "9.50 s?", Accepted: "16?" });
  });
});

test("a listener's details say who holds it and who accepts", async () => {
  const story = nginx();
  await on(story, async ({ page, server }) => {
    await listenerRow(page, story).click();
    await card(page, "Who holds it").locator("table").waitFor();
    await says(
      page,
      "Who holds it",
      "nginx 812 6 inherited from nginx 811",
      "812 nginx still holds it, though 813 nginx of its generation gave it up (#12) for 814 nginx",
      "Accepted and open 3",
      "1 × TIME_WAIT",
      "Held, not followed fd 3 of evil<img src=x onerror=alert(1)>\\u{202e}txt.\\u{7} 77",
    );
    const holder = card(page, "Who holds it").locator("tbody tr").nth(1).locator("td");
    expect((await holder.allInnerTexts()).slice(4)).toEqual(["still", "14"]);
    await says(page, "Who accepts", "nginx 812 812 14 7 0.50", "nginx 811 none 0 0 no accepts never");
    expect(server.asked).toContain("who?of=127.0.0.1%3A80");
    // A hostile name is text.
    await expect.poll(() => page.locator("img[src=x]").count()).toBe(0);
    await page.screenshot({ path: join(RESULTS, "answers-listener.png") });
    await card(page, "Who holds it").getByRole("button", { name: "nginx 811" }).click();
    await page.locator('[role=row][aria-selected="true"][aria-level="1"]', { hasText: "nginx" }).waitFor();
  });
});

test("a process's details say what it leaves behind, when it is full, and what it has from others", async () => {
  const story = nginx();
  await on(story, async ({ page }) => {
    await page.locator(`[role=row][aria-level="1"][data-process="${story.worker.id}"]`).click();
    await page.keyboard.press("1");
    await card(page, "What it leaves behind").locator("[data-finding=growing]").waitFor();
    await says(
      page,
      "What it leaves behind",
      "1 connection stays open though the peer hung up",
      "nginx 812 uses 14 of the 1,024 descriptors that it may have",
      "nginx 812 leaves socket descriptors open: 3 of 14 made by accept in 50.0 s",
      "thread 812 (3)",
      "2 from ngx_event_accept, made by thread 812 (2)",
      "/usr/sbin/nginx(ngx_event_accept+0x102) [0x4f1c2]",
      "No more is known: /usr/sbin/nginx keeps no frame pointer there.",
      "1 without a known place",
      "In use Limit At this rate nginx 812 14 1,024 full in 4 h 40 m",
      "CLOSE_WAIT for Hung up by",
      "8.00 s not followed",
    );
    await says(page, "Has from other processes", "tcp 127.0.0.1:80 inherited from nginx 811", " still");
    await page.screenshot({ path: join(RESULTS, "answers-process.png") });
    await card(page, "What it leaves behind")
      .getByRole("button", { name: `fd ${story.open.descriptor.fd}`, exact: true })
      .click();
    await page.locator(`[role=row][aria-selected="true"][data-fd="${story.open.descriptor.fd}"]`).waitFor();
  });
});

test("findings stand together; at another instant they are asked for anew, and say so until they are there", async () => {
  const story = nginx();
  await on(story, async ({ page, server }) => {
    await page.keyboard.press("6");
    await expect.poll(() => page.locator(".finding").count()).toBe(6);
    const failed = seqOf(story, ({ error }) => error === "EMFILE");
    await says(page, "Accept queues", "127.0.0.1:80: accept fails with EMFILE", `14.7 s? · event ${failed}`);
    await page.screenshot({ path: join(RESULTS, "answers-findings.png") });
    const lanes = await page.locator(".lanes").boundingBox();
    await page.mouse.click((lanes?.x ?? 0) + 900, (lanes?.y ?? 0) + 12);
    const at = await page.locator("[data-cursor]").getAttribute("data-cursor");
    // A cursor stands at a whole nanosecond.
    const epoch = BigInt(T0_NS) + BigInt(at ?? "");
    await expect.poll(() => server.asked).toContain(`leaks?at=${epoch}`);
    // This server answers about its end alone.
    await says(page, "Left behind", "which is not the instant that is shown");
  });
});

test("that nothing was found is claimed only where everything is known; what is not known comes first", async () => {
  for (const lost of [0, 17]) {
    const { session } = nginx("nothing");
    if (lost > 0) session.lose(lost);
    else session.missing = [];
    const opened = await open(browser, session);
    const { page, errors } = opened;
    try {
      await page.locator('[role=row][data-state="listening"]').first().waitFor();
      await page.keyboard.press("6");
      const said = lost > 0 ? "No listener was seen left out" : "No listener is left out";
      await says(page, "Workers", said);
      const cards = page.locator(".findings > section");
      await expect.poll(() => cards.count()).toBe(5);
      const heads = await cards.evaluateAll((all) => all.map((one) => one.getAttribute("aria-label")));
      expect(heads.indexOf("What was looked at")).toBe(0);
      expect(errors).toEqual([]);
    } finally {
      await opened.close();
    }
  }
});

test("nothing is called all right that nobody saw", async () => {
  const fake = new FakeSession("blank");
  const opened = await open(browser, fake);
  const { page, server } = opened;
  try {
    await page.keyboard.press("6");
    await says(page, "Accept queues", "No process was seen: there is no queue to look at.");
    await says(page, "Workers", "there are no workers to compare.");
    await says(page, "Listeners with several owners", "there are no owners to look at.");
    await says(page, "Left behind", "No process was seen: nothing tells what is left behind.");
    const looked = page.getByRole("region", { name: "What was looked at" });
    await expect
      .poll(() => looked.textContent())
      .toContain("all processes; 0 processes were seen, no listener.");
    await expect.poll(() => looked.textContent()).toContain("operations of io_urings are not seen");

    const listener = fake.listen(fake.process(1, "server"), 3, "127.0.0.1:80");
    server.push();
    await says(page, "Workers", "Nothing was accepted: nothing tells who is left out or idle.");
    await says(page, "Accept queues", "No queue was seen to be stuck, slow or overflowed.");
    await expect.poll(() => looked.textContent()).toContain("1 process was seen, 1 socket listens.");
    expect(listener.children).toBe(0);
    expect(opened.errors).toEqual([]);
  } finally {
    await opened.close();
  }
});

test("that the server is away is said once", async () => {
  const opened = await open(browser, nginx("away").session);
  const { page, server } = opened;
  try {
    await page.locator('[role=row][data-state="listening"]').first().waitFor();
    await page.waitForLoadState("networkidle");
    await server.stop();
    await page.locator('.connection[data-link="away"]').waitFor();
    await page.keyboard.press("6");
    await expect.poll(() => page.getByText("sockreel cannot be reached").count()).toBe(1);
    await expect.poll(() => page.locator("[data-answer]").count()).toBe(0);
    await page.locator('[role=row][data-state="listening"]').first().click();
    await page.keyboard.press("1");
    await says(page, "Who holds it", "Not asked yet.");
    await says(page, "Who accepts", "Not asked yet.");
    expect(await page.getByText("sockreel cannot be reached").count()).toBe(1);
  } finally {
    await opened.close();
  }
});

test("what is not answered is said, and the page's own figures stay", async () => {
  const story = nginx();
  await on(story, async ({ page, server, errors }) => {
    server.busy = true;
    await page.keyboard.press("3");
    await says(page, "This queue", "The session is busy; ask again.");
    const cells = page.locator(".queuerows .spacer [role=row]").first().locator("[role=cell]");
    expect((await cells.allInnerTexts()).slice(4)).toEqual([
      ...["–", "–", "511", "14?"],
      ...["144 µs", "900 ms", "900 ms", "511"],
    ]);
    // A browser logs each refusal.
    expect(errors.every((error) => error.includes("503"))).toBe(true);
    errors.length = 0;
  });
});

test("a file carries the answers about its end, and says what it does not hold", async () => {
  const story = nginx();
  const path = join(RESULTS, "answers.html");
  await on(story, async ({ page }) => {
    await page.getByRole("button", { name: "Share" }).click();
    const coming = page.waitForEvent("download");
    await page.getByRole("button", { name: /one HTML file/ }).click();
    await (await coming).saveAs(path);
  });
  const page = await browser.context.newPage();
  try {
    const requests: string[] = [];
    page.on("request", (request) => requests.push(request.url()));
    await page.goto(pathToFileURL(path).href);
    await listenerRow(page, story).click();
    await says(page, "Who holds it", "inherited from nginx 811");
    await page.locator(`[role=row][aria-level="1"][data-process="${story.worker.id}"]`).click();
    await page.keyboard.press("1");
    await says(page, "What it leaves behind", "full in 4 h 40 m");
    await says(page, "Has from other processes", "This needs the daemon: the file does not hold it.");
    expect(requests).toEqual([pathToFileURL(path).href]);
  } finally {
    await page.close();
  }
});

for (const theme of ["light", "dark"] as const) {
  for (const [name, width, height] of [
    ["wide", 1600, 1000],
    ["narrow", 390, 844],
  ] as const) {
    test(`${theme}, ${name}: answers have no serious findings of axe`, async () => {
      const story = nginx();
      await on(story, async ({ page }) => {
        await page.setViewportSize({ width, height });
        await page.emulateMedia({ colorScheme: theme });
        const look = async (view: string, title: string) => {
          await card(page, title).locator(".basis").waitFor();
          await page.screenshot({ path: join(RESULTS, `answers-${view}-${name}-${theme}.png`) });
          expect(await findings(page)).toEqual([]);
        };
        await page.keyboard.press("3");
        await look("queues", "This queue");
        await page.keyboard.press("6");
        await look("findings", "Left behind");
        await listenerRow(page, story).click();
        await look("listener", "Who accepts");
        await page.locator(`[role=row][aria-level="1"][data-process="${story.worker.id}"]`).click();
        await page.keyboard.press("1");
        await look("process", "Has from other processes");
      });
    });
  }
}
