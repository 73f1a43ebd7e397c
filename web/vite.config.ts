import { defineConfig } from "vite";

export default defineConfig({
  build: {
    target: "es2022",
    // Every asset stands in a file of its own: the page's policy forbids inline code, and `data:` fonts and scripts.
    assetsInlineLimit: 0,
    modulePreload: { polyfill: false },
    rolldownOptions: {
      // What the page and its later parts share is one file: many small ones pack badly.
      output: { codeSplitting: { groups: [{ name: "shared", minShareCount: 2 }] } },
    },
  },
});
