import { defineConfig } from "vite";

/** The page's code in one piece, for files that show a session without a server. */
export default defineConfig({
  plugins: [
    {
      name: "script-alone",
      // The page's own build has made the style sheet already.
      generateBundle(_, bundle) {
        for (const name of Object.keys(bundle)) if (name.endsWith(".css")) delete bundle[name];
      },
    },
  ],
  build: {
    target: "es2022",
    emptyOutDir: false,
    assetsInlineLimit: 0,
    modulePreload: false,
    copyPublicDir: false,
    cssCodeSplit: false,
    rolldownOptions: {
      input: "src/main.tsx",
      output: {
        format: "es",
        codeSplitting: false,
        entryFileNames: "onefile.js",
      },
    },
  },
});
