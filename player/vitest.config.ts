import { defineConfig, mergeConfig } from "vitest/config";
import page from "./vite.config";

/** Apart from the page's own settings, which a machine without the tests' packages reads too. */
export default mergeConfig(
  page,
  defineConfig({
    test: { include: ["test/**/*.test.ts"], globalSetup: "test/setup.ts", testTimeout: 60_000 },
  }),
);
