import { defineConfig } from "vitest/config";

export default defineConfig({
  test: {
    include: ["test/browser/**/*.test.ts"],
    // Two at a time, as fast as two processors go; each has a Chromium and servers of its own.
    maxWorkers: 2,
    testTimeout: 120_000,
    hookTimeout: 60_000,
    // What a page shows comes when it comes: nothing that may still change is read once.
    expect: { poll: { timeout: 30_000, interval: 30 } },
    reporters: ["default", "./test/browser/count.ts"],
  },
});
