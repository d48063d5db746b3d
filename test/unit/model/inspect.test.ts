import { execFileSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import type { RequestListener } from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, afterEach, beforeAll, describe, expect, test } from "vitest";
import { UserError } from "../../../components/errors.ts";
import type { InspectOptions } from "../../../components/model/inspect.ts";
import { inspectModel } from "../../../components/model/inspect.ts";
import type { SyntheticModelOptions } from "../../../tools/syntheticModel.ts";
import { uint32, uint64 } from "../../../tools/gguf.ts";
import { writeSyntheticModel } from "../../../tools/syntheticModel.ts";
import type { WebServer } from "./webServer.ts";
import { serveRange, startWebServer } from "./webServer.ts";

let folder = "";
let good: Buffer = Buffer.alloc(0);
let server: WebServer | undefined;

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), "inspect-model-"));
  good = await model({ name: "a model", contextLength: 2048 });
});
afterAll(() => {
  rmSync(folder, { recursive: true });
});
afterEach(async () => {
  await server?.close();
  server = undefined;
});

async function model(options: SyntheticModelOptions): Promise<Buffer> {
  const path = join(folder, "generated.gguf");
  await writeSyntheticModel(path, options);
  return readFileSync(path);
}

function file(bytes: Uint8Array, name = "model.gguf"): string {
  const path = join(folder, name);
  writeFileSync(path, bytes);
  return path;
}

/** A copy of the good model with some bytes written over. */
function patched(change: (bytes: Buffer) => void): Buffer {
  const bytes = Buffer.from(good);
  change(bytes);
  return bytes;
}

async function serve(listener: RequestListener): Promise<string> {
  server = await startWebServer(listener);
  return `${server.url}/model.gguf`;
}

const inspect = (location: string, options: Partial<InspectOptions> = {}) =>
  inspectModel({
    key: "modelUrl",
    value: location,
    location,
    engine: "bitnet.cpp",
    patience: { silence: 300, pause: 1 },
    ...options,
  });

/** The one problem that an inspection ends with; every one names the setting and its value. */
async function problem(
  location: string,
  options: Partial<InspectOptions> = {},
): Promise<{ wrong: string; right: string }> {
  const error: unknown = await inspect(location, options).catch((reason: unknown) => reason);
  if (!(error instanceof UserError)) throw new Error("a UserError was expected", { cause: error });
  expect(error.problems).toHaveLength(1);
  const [{ key, value, wrong, right } = { key: "", wrong: "", right: "" }] = error.problems;
  expect({ key, value }).toEqual({ key: "modelUrl", value: location });
  return { wrong, right };
}

describe("a BitNet model is understood", () => {
  const facts = {
    architecture: "bitnet-b1.58",
    name: "a model",
    contextLength: 2048,
    layers: 2,
    width: 512,
    heads: 4,
    kvHeads: 2,
    headWidth: 128,
    vocabulary: 512,
    ternaryType: "I2_S",
  };

  test("from a local file", async () => {
    const found = await inspect(file(good));
    expect(found).toMatchObject({ ...facts, fileSize: good.length });
    expect(found.tensors).toHaveLength(24);
  });

  test("from a URL, of which no more than a part is fetched", async () => {
    const padded = Buffer.concat([good, Buffer.alloc(8_000_000)]);
    const url = await serve(serveRange(padded));
    expect(await inspect(url)).toMatchObject({ ...facts, fileSize: padded.length });
    expect(server?.requests.map(({ headers }) => headers.range)).toEqual(["bytes=0-1999999"]);
  });

  test("if its header is longer than one fetch", async () => {
    // A key of 3 MB in front of all others; with what stands around the text, its length is a multiple of 32.
    const key = Buffer.concat([
      uint64(4),
      Buffer.from("long"),
      uint32(8),
      uint64(3_000_008),
      Buffer.alloc(3_000_008, "x"),
    ]);
    const bytes = Buffer.concat([good.subarray(0, 24), key, good.subarray(24)]);
    bytes.writeBigUInt64LE(good.readBigUInt64LE(16) + 1n, 16);
    const url = await serve(serveRange(bytes));
    expect(await inspect(url)).toMatchObject(facts);
    expect(server?.requests.length).toBeGreaterThan(1);
  });

  test("from a server that ignores ranges", async () => {
    const url = await serve((_, response) => response.writeHead(200, { "Content-Length": good.length }).end(good));
    expect(await inspect(url)).toMatchObject({ ...facts, fileSize: good.length });
  });

  test("behind a redirect", async () => {
    const ranges = serveRange(good);
    const url = await serve((request, response) => {
      if (request.url === "/there") ranges(request, response);
      else response.writeHead(302, { Location: "/there" }).end();
    });
    expect(await inspect(url)).toMatchObject(facts);
  });

  test("although the server fails twice first", async () => {
    const ranges = serveRange(good);
    let count = 0;
    const url = await serve((request, response) => {
      count++;
      if (count === 1) response.writeHead(503).end();
      else if (count === 2) response.destroy();
      else ranges(request, response);
    });
    expect(await inspect(url)).toMatchObject(facts);
    expect(count).toBe(3);
  });

  test("from a private place, with the token", async () => {
    const ranges = serveRange(good);
    const url = await serve((request, response) => {
      if (request.headers.authorization === "Bearer sesame") ranges(request, response);
      else response.writeHead(401).end();
    });
    expect(await inspect(url, { token: "sesame" })).toMatchObject(facts);
  });

  test("with weights that ik_llama.cpp's build requantises", async () => {
    expect(await inspect(file(good), { engine: "ik_llama.cpp" })).toMatchObject(facts);
  });
});

describe("what cannot be fetched is refused", () => {
  test.each([
    [404, "the server has no such file (404)", "the address of a GGUF file"],
    [401, "(401): it is gated or private", "set modelToken to an access token"],
    [403, "(403): it is gated or private", "set modelToken to an access token"],
    [500, "the server answered with status 500", "a server that gives the file"],
  ])("status %i", async (status, wrong, right) => {
    const found = await problem(await serve((_, response) => response.writeHead(status).end()));
    expect(found.wrong).toContain(wrong);
    expect(found.right).toContain(right);
  });

  test("a token that does not help, which no message shows", async () => {
    const url = await serve((_, response) => response.writeHead(403).end());
    const error: unknown = await inspect(url, { token: "sesame" }).catch((reason: unknown) => reason);
    expect(String(error)).toContain("a modelToken that may read it");
    expect(String(error)).not.toContain("sesame");
  });

  test("a token is not sent on to another host", async () => {
    const seen: (string | undefined)[] = [];
    const other = await startWebServer((request, response) => {
      seen.push(request.headers.authorization);
      serveRange(good)(request, response);
    });
    try {
      const url = await serve((_, response) => response.writeHead(302, { Location: `${other.url}/model.gguf` }).end());
      await inspect(url, { token: "sesame" });
      expect(seen).toEqual([undefined]);
    } finally {
      await other.close();
    }
  });

  test("a redirect loop", async () => {
    const found = await problem(
      await serve((_, response) => response.writeHead(302, { Location: "/model.gguf" }).end()),
    );
    expect(found.wrong).toBe("its redirects never end");
    expect(found.right).toContain("at most 20 redirects");
  });

  test("a host that cannot be reached", async () => {
    const url = await serve(() => undefined);
    await server?.close();
    const found = await problem(url);
    expect(found.wrong).toMatch(/^127\.0\.0\.1:\d+ cannot be reached \(ECONNREFUSED\)$/);
    expect(found.right).toContain("an address that this machine can reach");
  });

  test("a host that does not exist", async () => {
    const found = await problem("http://no-such-host.invalid/model.gguf");
    expect(found.wrong).toContain("no-such-host.invalid cannot be reached");
  });

  test("a server that is silent, after three attempts", async () => {
    const found = await problem(await serve(() => undefined));
    expect(found.wrong).toContain("was silent for 0.3 s");
    expect(server?.requests).toHaveLength(3);
  });

  test("a download that is cut off", async () => {
    const found = await problem(
      await serve((_, response) => {
        response.writeHead(206, {
          "Content-Range": `bytes 0-${good.length - 1}/${good.length}`,
          "Content-Length": good.length,
        });
        response.write(good.subarray(0, 5000), () => response.destroy());
      }),
    );
    expect(found.wrong).toContain("broke off");
    expect(found.right).toContain("a file that was downloaded elsewhere");
  });

  test.each(["ftp://example.com/model.gguf", "file:///model.gguf", "s3://bucket/model.gguf"])("%s", async (url) => {
    const found = await problem(url);
    expect(found.wrong).toBe(`${url.slice(0, url.indexOf("/"))}// is not supported`);
    expect(found.right).toContain("an http:// or https:// URL");
  });

  test("a URL that is none", async () => {
    expect((await problem("http://")).wrong).toBe("it is not a valid URL");
  });

  test("a URL with a password in it", async () => {
    expect((await problem("https://user:word@example.com/model.gguf")).right).toContain("a token goes into modelToken");
  });

  test("a local file that does not exist, a folder, and a pipe, which would never end", async () => {
    expect((await problem(join(folder, "none.gguf"))).wrong).toBe("there is no such file");
    const pipe = join(folder, "pipe.gguf");
    execFileSync("mkfifo", [pipe]);
    expect((await problem(pipe)).wrong).toBe("it is not a file");
    expect((await problem(folder)).wrong).toBe("it is not a file");
  });
});

describe("what is no GGUF is refused", () => {
  const page = Buffer.from("<!DOCTYPE html><html><body>Sign in</body></html>");
  const safetensors = Buffer.concat([
    uint64(60),
    Buffer.from('{"__metadata__":{"format":"pt"}}'.padEnd(60)),
    Buffer.alloc(100),
  ]);
  const cases: [string, Buffer, string, string][] = [
    ["an HTML page", page, "it is a web page (HTML), not a model", "/resolve/main/FILE, not …/blob/main/FILE"],
    ["a safetensors file", safetensors, "it is a safetensors file, not GGUF", "a GGUF file of a BitNet model"],
    ["an empty file", Buffer.alloc(0), "the file is empty", "a GGUF file of a BitNet model"],
    ["3 bytes", Buffer.from("GGU"), 'it has only 3 bytes and does not begin with "GGUF"', "a GGUF file"],
    ["a GGUF cut off after 8 bytes", Buffer.from("GGUF\x03\0\0\0"), "truncated: 8 bytes", "the complete file"],
    [
      "a Git LFS pointer",
      Buffer.from("version https://git-lfs.github.com/spec/v1\n"),
      "a Git LFS pointer",
      "git lfs pull",
    ],
    ["any other file", Buffer.alloc(100, "x"), 'it does not begin with "GGUF"', "a GGUF file of a BitNet model"],
  ];

  test.each(cases)("%s, from a local file", async (_, bytes, wrong, right) => {
    const found = await problem(file(bytes));
    expect(found.wrong).toContain(wrong);
    expect(found.right).toContain(right);
  });

  test.each(cases)("%s, from a URL", async (_, bytes, wrong, right) => {
    const found = await problem(await serve(serveRange(bytes)));
    expect(found.wrong).toContain(wrong);
    expect(found.right).toContain(right);
  });
});

describe("a damaged GGUF is refused", () => {
  test("truncated in its data", async () => {
    const cut = good.subarray(0, good.length - 1000);
    for (const location of [file(cut), await serve(serveRange(cut))]) {
      const found = await problem(location);
      expect(found.wrong).toMatch(
        new RegExp(`^it is truncated: it has ${cut.length} bytes, .* tensors up to byte \\d+$`),
      );
      expect(found.right).toContain("the complete file");
    }
  });

  test.each([100, 3000, 8000])("truncated in its header, after %i bytes", async (length) => {
    const found = await problem(file(good.subarray(0, length)));
    expect(found.wrong).toBe("it is truncated: the file ends within its header");
    expect(found.right).toContain("the complete file");
  });

  test("of version 1", async () => {
    const found = await problem(file(patched((bytes) => bytes.writeUInt32LE(1, 4))));
    expect(found.wrong).toBe("it is a GGUF of version 1");
    expect(found.right).toContain("version 2 or 3");
  });

  test("big-endian", async () => {
    const found = await problem(file(patched((bytes) => bytes.writeUInt32BE(3, 4))));
    expect(found.wrong).toContain("big-endian");
    expect(found.right).toContain("little-endian");
  });

  test.each([
    ["2^60 tensors", 8, 2n ** 60n],
    ["100,001 tensors", 8, 100_001n],
    ["2^60 keys", 16, 2n ** 60n],
  ])("that claims %s, at once", async (_, at, count) => {
    const before = performance.now();
    const found = await problem(file(patched((bytes) => bytes.writeBigUInt64LE(count, at))));
    expect(found.wrong).toContain(`${count} `);
    expect(found.wrong).toContain("damaged");
    expect(found.right).toContain("the complete file");
    expect(performance.now() - before).toBeLessThan(1000);
  });

  test("that claims more tensors than it lists", async () => {
    const found = await problem(file(patched((bytes) => bytes.writeBigUInt64LE(99_999n, 8))));
    expect(found.right).toContain("the complete file");
  });

  test("with a string of 2^50 bytes", async () => {
    const found = await problem(file(patched((bytes) => bytes.writeBigUInt64LE(2n ** 50n, 24))));
    expect(found.wrong).toContain("its header cannot be read");
  });
});

describe("a GGUF of the wrong kind is refused", () => {
  test("a llama model in Q4_K", async () => {
    const found = await problem(file(await model({ architecture: "llama", weightType: "Q4_K" })));
    expect(found.wrong).toBe("it is not a BitNet model: the types of its linear layers are Q4_K (14)");
    expect(found.right).toContain("a BitNet (1-bit) model");
    expect(found.right).toContain("I2_S");
  });

  test("a BitNet model that was not quantised", async () => {
    const found = await problem(file(await model({ weightType: "F16" })));
    expect(found.wrong).toContain("F16 (14)");
  });

  test("with gaps between its tensors that llama-quantize would get wrong", async () => {
    const key = "general.alignment";
    const found = await problem(file(patched((bytes) => bytes.writeUInt32LE(64, bytes.indexOf(key) + key.length + 4))));
    expect(found.wrong).toBe("its tensors are aligned to 64 bytes");
    expect(found.right).toContain("aligned to 32 bytes");
  });

  test.each(["bitnet.cpp", "ik_llama.cpp"] as const)("of an architecture that %s does not run", async (engine) => {
    const found = await problem(file(await model({ architecture: "qwen2" })), { engine });
    expect(found.wrong).toBe(`its architecture is qwen2, which the engine ${engine} does not run`);
    expect(found.right).toContain("bitnet-b1.58");
  });

  // Turns the types of the ternary tensors, 36, into another one; sizes do not matter before the engine is asked.
  const retyped = (type: number) =>
    patched((bytes) => {
      const dims = Buffer.concat([uint32(2)]);
      for (let at = bytes.indexOf(".weight"); at >= 0 && at < 20_000; at = bytes.indexOf(".weight", at + 1)) {
        if (bytes.subarray(at + 7, at + 11).equals(dims) && bytes.readUInt32LE(at + 27) === 36) {
          bytes.writeUInt32LE(type, at + 27);
        }
      }
    });

  test.each([
    ["bitnet.cpp", 34, "TQ1_0", "a model in I2_S, or engine: ik_llama.cpp"],
    ["bitnet.cpp", 35, "TQ2_0", "a model in I2_S, or engine: ik_llama.cpp"],
    ["bitnet.cpp", 41, "Q1_0", "a model in I2_S"],
    ["bitnet.cpp", 134, "IQ1_BN", "or engine: ik_llama.cpp"],
    ["bitnet.cpp", 135, "IQ2_BN", "or engine: ik_llama.cpp"],
    ["ik_llama.cpp", 41, "Q1_0", "a model in I2_S or TQ1_0 or TQ2_0 or IQ1_BN or IQ2_BN"],
  ] as const)("%s with weights of type %i, %s", async (engine, number, name, right) => {
    const found = await problem(file(retyped(number)), { engine });
    expect(found.wrong).toBe(`its weights are ${name}, which the engine ${engine} was not shown to compute rightly`);
    expect(found.right).toContain(right);
  });

  test.each([
    [38, "TL1", "generated for the matrix sizes of one model"],
    [42, "Q2_0", "Ternary-Bonsai"],
    [142, "PQ2_0", "only its fork of llama.cpp computes (Ternary-Bonsai-2)"],
    [143, "PTQ1_0", "only its fork of llama.cpp computes (Ternary-Bonsai-2)"],
  ])(
    "with weights of type %i, %s, which no engine here computes: by its name, with the reason",
    async (number, name, reason) => {
      for (const engine of ["bitnet.cpp", "ik_llama.cpp"] as const) {
        const found = await problem(file(retyped(number)), { engine });
        expect(found.wrong).toContain(`its weights are ${name}: `);
        expect(found.wrong).toContain(reason);
        expect(found.right).toBe("weights of the types I2_S, TQ1_0, TQ2_0, Q1_0, IQ1_BN, IQ2_BN");
      }
    },
  );

  test.each([
    [39, "MXFP4"],
    [40, "NVFP4"],
  ])("with weights of type %i, which today's files have for %s", async (number, name) => {
    const found = await problem(file(retyped(number)), { engine: "bitnet.cpp" });
    expect(found.wrong).toBe(`it is not a BitNet model: the types of its linear layers are ${name} (14)`);
  });

  test("ik_llama.cpp takes its own type IQ2_BN as it is", async () => {
    // Each row is 4 bytes longer than in I2_S, so the file has to be, too.
    const bytes = Buffer.concat([retyped(135), Buffer.alloc(10_000)]);
    expect(await inspect(file(bytes), { engine: "ik_llama.cpp" })).toMatchObject({ ternaryType: "IQ2_BN" });
  });

  test("a tokenizer that the engine does not know", async () => {
    const bytes = patched((content) => content.write("falcon_e?", content.indexOf("llama-bpe")));
    const at = bytes.indexOf("falcon_e?");
    const renamed = Buffer.concat([bytes.subarray(0, at + 8), bytes.subarray(at + 9)]);
    renamed.writeBigUInt64LE(8n, at - 8);
    const found = await problem(file(Buffer.concat([renamed, Buffer.alloc(64)])), { engine: "ik_llama.cpp" });
    expect(found.wrong).toContain("its tokenizer is falcon_e, which the engine ik_llama.cpp does not know");
    expect(found.right).toContain("engine: bitnet.cpp");
  });
});
