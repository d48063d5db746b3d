import { existsSync } from "node:fs";
import type { Page } from "playwright-core";
import { chromium } from "playwright-core";

/** Opens a page in a real browser, Debian's or the one that is installed, and closes it whatever happens. */
export async function inBrowser(look: (page: Page) => Promise<void>): Promise<void> {
  const debian = "/usr/bin/chromium";
  const quiet = ["--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking"];
  const browser = await chromium.launch({
    ...(existsSync(debian) ? { executablePath: debian } : { channel: "chrome" }),
    // Chromium's own sandbox refuses to run as root.
    args: ["--no-sandbox", "--disable-component-update", "--disable-sync", ...quiet],
  });
  try {
    await look(await browser.newPage({ viewport: { width: 1280, height: 900 } }));
  } finally {
    await browser.close();
  }
}
