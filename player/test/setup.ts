/** CLIP's tokens of 5,000 texts, which are too large to keep: written by Python before the tests. */

import { execFileSync } from "node:child_process";
import { existsSync } from "node:fs";
import type { TestProject } from "vitest/node";

const FOLDER = new URL("../node_modules/.cache/", import.meta.url).pathname;
const FILE = `${FOLDER}clip-tokens.json`;

export default function setup({ provide }: TestProject): void {
  if (!existsSync(FILE)) {
    const command = ["run", "python", "tests/golden/make.py", "--clip", FOLDER];
    execFileSync("uv", command, { cwd: new URL("../..", import.meta.url), stdio: "inherit" });
  }
  provide("clipTokens", FILE);
}

declare module "vitest" {
  interface ProvidedContext {
    clipTokens: string;
  }
}
