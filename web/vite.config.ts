import { defineConfig } from "vite";

const LATER =
  /src\/(views\/(answers|details|descriptors|queuechart|queues|connections|eventlist|findings|measured|share|slotgrid|sorted|starts|striptable|virtual)|base\/bytes|lesson\/lesson|interact\/(feed|places?|reading)|layout\/(connections|difference|measure|slotgrid|starts|waits)|render\/slotgrid|styles\/(help|share|tables|views)|store\/ordered|a11y\/spoken)\b/;

export default defineConfig({
  build: {
    target: "es2022",
    // Every asset stands in a file of its own: the page's policy forbids inline code, and `data:` fonts and scripts.
    assetsInlineLimit: 0,
    modulePreload: { polyfill: false },
    rolldownOptions: {
      // What the page and its later parts share is one file, and what later parts alone share another: many small ones
      // pack badly.
      output: {
        codeSplitting: {
          groups: [
            { name: "later", test: LATER, priority: 1, includeDependenciesRecursively: false },
            { name: "dialog", test: /views\/dialog/, priority: 1, includeDependenciesRecursively: false },
            { name: "shared", minShareCount: 2 },
          ],
        },
      },
    },
  },
});
