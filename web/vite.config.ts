import { defineConfig } from "vite";

export default defineConfig({
  // Every asset stands in a file of its own: the page's policy forbids inline code, and `data:` fonts and scripts.
  build: { target: "es2022", assetsInlineLimit: 0, modulePreload: { polyfill: false } },
});
