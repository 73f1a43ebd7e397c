import type { Row } from "../layout/rows.ts";

/** What a key does in a tree grid whose rows have the focus (W3C ARIA Authoring Practices, treegrid pattern). */
export type Move =
  | { readonly kind: "none" }
  | { readonly kind: "focus"; readonly index: number }
  | { readonly kind: "expand"; readonly expanded: boolean }
  | { readonly kind: "select" };

const NONE: Move = { kind: "none" };

/** @param page Rows of one page. */
export function moved(key: string, rows: readonly Row[], at: number, page: number): Move {
  const row = rows[at];
  if (!row) return NONE;
  const expanded = "expanded" in row ? row.expanded : undefined;
  const focus = (index: number): Move => ({
    kind: "focus",
    index: Math.min(rows.length - 1, Math.max(0, index)),
  });
  switch (key) {
    case "ArrowDown":
      return focus(at + 1);
    case "ArrowUp":
      return focus(at - 1);
    case "PageDown":
      return focus(at + page);
    case "PageUp":
      return focus(at - page);
    case "Home":
      return focus(0);
    case "End":
      return focus(rows.length - 1);
    case "Enter":
      return { kind: "select" };
    case "ArrowRight":
      if (expanded === false) return { kind: "expand", expanded: true };
      return expanded === true ? focus(at + 1) : NONE;
    case "ArrowLeft": {
      if (expanded === true) return { kind: "expand", expanded: false };
      for (let parent = at - 1; parent >= 0; parent -= 1) {
        if ((rows[parent]?.level ?? 0) < row.level) return focus(parent);
      }
      return NONE;
    }
    default:
      return NONE;
  }
}
