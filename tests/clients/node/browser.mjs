// The browser of the tests that drive a page, and the place of their screenshots.
import { existsSync, mkdirSync } from "node:fs";
import { delimiter, join } from "node:path";
import { chromium } from "playwright-core";
import { root } from "./support.mjs";

export const artifacts = join(process.env.CARGO_TARGET_DIR || join(root, "target"), "artifacts");

function browserPath() {
  if (process.env.CHROMIUM) return process.env.CHROMIUM;
  const names = ["chromium", "chromium-browser", "google-chrome-stable", "google-chrome"];
  const found = process.env.PATH.split(delimiter).flatMap((dir) => names.map((name) => join(dir, name))).find(existsSync);
  if (!found) throw new Error(`no browser: none of ${names.join(", ")} is in PATH, and CHROMIUM is not set`);
  return found;
}

export function launch() {
  mkdirSync(artifacts, { recursive: true });
  return chromium.launch({ executablePath: browserPath() });
}
