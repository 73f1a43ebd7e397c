import { useApp } from "./context.ts";

/** Something that the user should know, until it is put away. */
export function Notice() {
  const { notice } = useApp().state;
  if (!notice.value) return null;
  return (
    <p class="notice" role="status">
      <span>{notice}</span>
      <button type="button" aria-label="Put away" title="Put away (Esc)" onClick={() => (notice.value = "")}>
        ×
      </button>
    </p>
  );
}
