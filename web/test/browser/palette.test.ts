import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { nginx } from "../fake/nginx.ts";
import { findings } from "./axe.ts";
import { Browser, type Opened, open, RESULTS } from "./browser.ts";

let browser: Browser;
beforeAll(async () => {
  browser = await Browser.launch();
});
afterAll(() => browser.close());

async function on(look: (opened: Opened, story: ReturnType<typeof nginx>) => Promise<void>): Promise<void> {
  const story = nginx();
  const opened = await open(browser, story.session);
  try {
    await opened.page.locator('[role=row][data-state="listening"]').first().waitFor();
    await look(opened, story);
    expect(opened.errors).toEqual([]);
  } finally {
    await opened.close();
  }
}

test("the palette finds commands, processes and listeners by the keyboard alone", async () => {
  await on(async ({ page }, { worker }) => {
    await page.keyboard.press("Control+p");
    const search = page.getByRole("combobox", { name: "Find a command" });
    await search.waitFor();
    expect(await search.evaluate((box) => box === document.activeElement)).toBe(true);
    await page.keyboard.type("812 process");
    await page.getByRole("option", { name: "nginx 812 process" }).waitFor();
    await page.screenshot({ path: join(RESULTS, "palette.png") });
    expect(await findings(page)).toEqual([]);
    await page.keyboard.press("Enter");
    await page.locator(`[role=row][aria-selected="true"][data-process="${worker.id}"]`).waitFor();

    // What is selected comes first now.
    await page.keyboard.press("F1");
    await search.waitFor();
    await page.keyboard.press("ArrowDown");
    await expect
      .poll(() => page.locator("[role=option][aria-selected=true]").innerText())
      .toMatch(/^Hide rows of nginx 812/);
    await page.keyboard.press("ArrowUp");
    await page.keyboard.press("Enter");
    await expect.poll(() => page.locator("#row-filter").inputValue()).toBe("pid:812");

    await page.keyboard.press("Control+p");
    await page.keyboard.type("colours dark");
    await page.keyboard.press("Enter");
    await page.locator('html[data-theme="dark"]').waitFor();

    // What everything means is found by a word, from the help, and by a key.
    await page.keyboard.press("Control+p");
    await page.keyboard.type("marks mean");
    await page.keyboard.press("Enter");
    const meanings = page.getByRole("dialog", { name: "Colours, forms and marks" });
    await meanings.getByText("What the listener dropped").waitFor();
    await page.keyboard.press("Escape");
    await expect.poll(() => meanings.isVisible()).toBe(false);
    await page.keyboard.press("?");
    await page.getByRole("button", { name: "Colours, forms and marks" }).click();
    await meanings.getByText("A listener and its child").waitFor();
    await expect.poll(() => page.getByRole("dialog").count()).toBe(1);
    await page.keyboard.press("Escape");
    await expect.poll(() => meanings.isVisible()).toBe(false);

    // Keys that are typed are no commands, and Escape closes this alone.
    await page.keyboard.press("Control+p");
    await page.keyboard.type("zzz e");
    await page.getByText("Nothing is called so.").waitFor();
    await page.keyboard.press("Escape");
    await expect.poll(() => page.locator("dialog.palette").isVisible()).toBe(false);
    await page.getByRole("treegrid").waitFor();
    await expect.poll(() => page.locator("#row-filter").inputValue()).toBe("pid:812");
  });
});
