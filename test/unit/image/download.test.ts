import { randomBytes } from "node:crypto";
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import type { IncomingMessage, ServerResponse } from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { execa } from "execa";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import type { WebServer } from "../model/webServer.ts";
import { startWebServer } from "../model/webServer.ts";

const [first, second] = [randomBytes(100_000), randomBytes(100_000)];
const half = 50_000;

let folder: string;
let server: WebServer | undefined;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "download-"));
});
afterEach(async () => {
  await server?.close();
  server = undefined;
  rmSync(folder, { recursive: true });
});

/** Answers with the file from a byte on; `cut`: only up to its half. */
function give(response: ServerResponse, file: Buffer, { from = 0, cut = false, etag = "" }): void {
  const headers = {
    "content-length": file.length - from,
    ...(etag === "" ? {} : { etag }),
    ...(from === 0 ? {} : { "content-range": `bytes ${from}-${file.length - 1}/${file.length}` }),
  };
  response.writeHead(from === 0 ? 200 : 206, headers);
  if (cut) response.write(file.subarray(from, half), () => response.destroy());
  else response.end(file.subarray(from));
}

const wanted = ({ headers }: IncomingMessage) => Number(/^bytes=(\d+)-$/.exec(headers.range ?? "")?.[1] ?? 0);

/** Runs the script once, as the image's build and the private model's command do. */
async function download(
  listener: (request: IncomingMessage, response: ServerResponse, count: number) => void,
  config = "",
) {
  let count = 0;
  server ??= await startWebServer((request, response) => {
    listener(request, response, ++count);
  });
  const path = join(folder, "file");
  const env = { MODEL_URL: `${server.url}/model.gguf?token=secret` };
  const run = await execa("sh", ["docker/server/build/download.sh", path], {
    env,
    input: config,
    all: true,
    reject: false,
  });
  return { run, path, ranges: server.requests.map(({ headers }) => headers.range) };
}

test("goes on where it broke off, if the server says that the file is still the same", async () => {
  const { run, path, ranges } = await download((request, response, count) => {
    const same = request.headers["if-range"] === '"first"';
    give(response, first, { etag: '"first"', cut: count === 1, from: same ? wanted(request) : 0 });
  });
  expect(run.exitCode, run.all).toBe(0);
  expect(readFileSync(path).equals(first)).toBe(true);
  expect(ranges).toEqual([undefined, `bytes=${half}-`]);
  expect(readdirSync(folder)).toEqual(["file"]);
});

describe("starts over, and never joins two versions,", () => {
  test.each<[string, (request: IncomingMessage, response: ServerResponse, count: number) => void]>([
    [
      "where the file has no ETag",
      (request, response, count) => {
        give(response, count === 1 ? first : second, { cut: count === 1, from: wanted(request) });
      },
    ],
    [
      "where its ETag is a weak one",
      (request, response, count) => {
        give(response, count === 1 ? first : second, { etag: 'W/"x"', cut: count === 1, from: wanted(request) });
      },
    ],
    [
      "where it is another one meanwhile",
      (_, response, count) => {
        give(response, count === 1 ? first : second, { etag: count === 1 ? '"first"' : '"second"', cut: count === 1 });
      },
    ],
    [
      "where the server ignores If-Range and sends the rest of another file",
      (request, response, count) => {
        const etag = count === 1 ? '"first"' : '"second"';
        give(response, count === 1 ? first : second, { etag, cut: count === 1, from: wanted(request) });
      },
    ],
    [
      "where the rest has no ETag",
      (request, response, count) => {
        const etag = count === 1 ? '"first"' : "";
        give(response, count === 1 ? first : second, { etag, cut: count === 1, from: wanted(request) });
      },
    ],
    [
      "where the ETag is only that of a redirect",
      (request, response, count) => {
        if (!request.url?.startsWith("/real")) response.writeHead(302, { location: "/real", etag: '"link"' }).end();
        else give(response, count <= 2 ? first : second, { cut: count <= 2, from: wanted(request) });
      },
    ],
  ])("%s", async (_, listener) => {
    const { run, path } = await download(listener);
    expect(run.exitCode, run.all).toBe(0);
    expect(readFileSync(path).equals(second)).toBe(true);
  });

  test("where an earlier run was killed before it could look at the rest", async () => {
    // The first half is of the first file, the second half of a server that ignored If-Range.
    writeFileSync(join(folder, "file"), Buffer.concat([first.subarray(0, half), second.subarray(half)]));
    writeFileSync(join(folder, "file.headers"), 'HTTP/1.1 200 OK\r\nETag: "first"\r\n\r\n');
    writeFileSync(join(folder, "file.resumed"), 'HTTP/1.1 206 Partial Content\r\nETag: "second"\r\n\r\n');
    const { run, path } = await download((_, response) => {
      give(response, second, { etag: '"second"' });
    });
    expect(run.exitCode, run.all).toBe(0);
    expect(readFileSync(path).equals(second)).toBe(true);
  });
});

test("an earlier run's download that is whole is not asked for again", async () => {
  writeFileSync(join(folder, "file"), first);
  writeFileSync(join(folder, "file.headers"), 'HTTP/1.1 200 OK\r\nETag: "first"\r\n\r\n');
  const { run, path } = await download((_, response) => {
    response.writeHead(416, { "content-range": `bytes */${first.length}` }).end();
  });
  expect(run.exitCode, run.all).toBe(0);
  expect(readFileSync(path).equals(first)).toBe(true);
});

test.each([
  [401, "401, gated or private"],
  [404, "404, there is no such file"],
])("status %i ends it at once", async (status, said) => {
  const { run, ranges } = await download((_, response) => {
    response.writeHead(status).end("no");
  });
  expect(run.exitCode).toBe(1);
  expect(run.all).toContain(said);
  expect(ranges).toHaveLength(1);
});

test("the token comes by standard input, and is printed nowhere", async () => {
  const { run, path } = await download((request, response) => {
    if (request.headers.authorization === "Bearer the-token") give(response, first, {});
    else response.writeHead(401).end();
  }, 'header = "Authorization: Bearer the-token"\n');
  expect(run.exitCode, run.all).toBe(0);
  expect(existsSync(path)).toBe(true);
  expect(run.all).not.toContain("the-token");
});
