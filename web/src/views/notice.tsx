import { useApp } from "./context.ts";

/** Something that the user should know, until it is put away. */
export function Notice() {
  const { notice, offer } = useApp().state;
  // The region stays while it is empty: of one that comes with its text, screen readers often say nothing.
  return (
    <div role="status">
      {notice.value && (
        <p class="notice">
          <span>{notice}</span>
          {offer.value?.about === notice.value && (
            <button
              type="button"
              onClick={() => {
                notice.value = "";
                offer.value?.run();
              }}
            >
              {offer.value.title}
            </button>
          )}
          <button
            type="button"
            aria-label="Put away"
            title="Put away (Esc)"
            onClick={() => (notice.value = "")}
          >
            ×
          </button>
        </p>
      )}
    </div>
  );
}
