import { createHash } from "node:crypto";
import { readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join, relative, resolve } from "node:path";
import { defineConfig, type Plugin } from "vite";

/** What the service worker fetches at once; the runtime, of which each machine needs one, comes when used. */
const LATER = /ort-wasm|\.map$|^sw\.js$|^precache\.json$|^bundles\//;

/** Writes precache.json: the files of the page, and a version that changes with any of them. */
function precache(): Plugin {
  let folder = "";
  return {
    name: "precache",
    apply: "build",
    configResolved(config) {
      folder = resolve(config.root, config.build.outDir);
    },
    writeBundle() {
      const files = readdirSync(folder, { recursive: true, withFileTypes: true })
        .filter((entry) => entry.isFile())
        .map((entry) => relative(folder, join(entry.parentPath, entry.name)).replaceAll("\\", "/"))
        .filter((file) => !LATER.test(file))
        .sort();
      const hash = createHash("sha256");
      for (const file of files) hash.update(file).update(readFileSync(join(folder, file)));
      const version = hash.digest("hex").slice(0, 16);
      writeFileSync(join(folder, "precache.json"), JSON.stringify({ version, files }));
    },
  };
}

export default defineConfig({
  base: "./",
  plugins: [precache()],
  build: {
    target: "es2024",
    rolldownOptions: {
      input: { index: "index.html", sw: "src/workers/service.worker.ts" },
      output: {
        entryFileNames: ({ name }) => (name === "sw" ? "sw.js" : "assets/[name]-[hash].js"),
      },
    },
  },
  worker: { format: "es" },
  server: {
    headers: {
      "cross-origin-opener-policy": "same-origin",
      "cross-origin-embedder-policy": "require-corp",
    },
  },
});
