import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { stripVTControlCharacters } from "node:util";
import type { Page } from "playwright-core";
import { inBrowser } from "./browser.ts";

// The pictures in the documentation, made while the tests run:
// PICTURES=docs/images npx vitest run --project e2e test/e2e/up.test.ts
const { PICTURES: folder } = process.env;

/** Takes a picture of what a browser shows, if pictures are wanted. */
export async function takePicture(page: Page, name: string): Promise<void> {
  if (folder !== undefined) await page.screenshot({ path: join(folder, `${name}.png`), fullPage: true });
}

/** Draws what `npm run up` printed as a terminal leaves it, if pictures are wanted. */
export async function drawTerminal(command: string, output: string, name: string): Promise<void> {
  if (folder === undefined) return;
  await inBrowser(async (page) => {
    const text = `$ ${command}\n${asTerminalLeavesIt(output)}`;
    const html = text.replaceAll("&", "&amp;").replaceAll("<", "&lt;");
    await page.setContent(
      `<pre style="margin:0;padding:16px;background:#1e1e1e;color:#ddd;font:13px monospace">${html}</pre>`,
    );
    const terminal = page.locator("pre");
    await terminal.screenshot({ path: join(folder, `${name}.png`) });
  });
}

/** A terminal does not keep the lines of steps that begin. The last lines name the test's own state: no user has that. */
function asTerminalLeavesIt(output: string): string {
  return stripVTControlCharacters(output)
    .replaceAll(/^ {2}.* …\n/gm, "")
    .replace(/\n+for plain `pulumi`.*/s, "")
    .trim();
}

/** Keeps a service busy until its charts have something to show, if pictures are wanted. */
export async function whileBusy(begin: () => { stop: () => Promise<void> }): Promise<void> {
  if (folder === undefined) return;
  for (const seconds of [40, 120]) {
    const users = begin();
    await sleep(seconds * 1000);
    await users.stop();
    await sleep(5000);
  }
}
