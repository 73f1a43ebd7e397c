import { readFile } from "node:fs/promises";
import { createRequire } from "node:module";
import type { Page } from "playwright-core";

const AXE = createRequire(import.meta.url).resolve("axe-core/axe.min.js");

/** What axe looks for only where it is asked to: the size of what is pressed (WCAG 2.5.8). */
const ASKED = ["target-size"];

/** Serious findings of axe, as `rule: element` lines. */
export async function findings(page: Page, asked: readonly string[] = []): Promise<string[]> {
  if (!(await page.evaluate(() => "axe" in globalThis))) await page.evaluate(await readFile(AXE, "utf8"));
  return page.evaluate(
    async (asked) => {
      /** Whether a row of a table is partly under its head: a turn of the wheel brings it out. */
      const isCut = (element: Element | undefined) => {
        const head = element?.closest(".virtual")?.querySelector(".tr.head")?.getBoundingClientRect();
        const row = element?.closest(".spacer .tr")?.getBoundingClientRect();
        return head !== undefined && row !== undefined && row.top < head.bottom;
      };
      const { axe } = globalThis as unknown as { axe: typeof import("axe-core") };
      const { violations } = await axe.run(document, {
        elementRef: true,
        // Nobody reads in detail what passed.
        resultTypes: ["violations"],
        rules: Object.fromEntries(asked.map((rule) => [rule, { enabled: true }])),
      });
      return violations
        .filter(({ impact }) => impact === "serious" || impact === "critical")
        .flatMap(({ id, nodes }) =>
          nodes
            .filter(({ element }) => id !== "target-size" || !isCut(element))
            .map((node) => `${id}: ${node.html.slice(0, 160)} ${node.failureSummary}`),
        );
    },
    [...ASKED, ...asked],
  );
}
