import { createHash, randomBytes } from "node:crypto";
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { basename, join } from "node:path";
import { execa } from "execa";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { BrokenModels } from "../support/brokenModels.ts";
import { breakModels } from "../support/brokenModels.ts";
import type { TestModel } from "../support/testModel.ts";
import { drawModel } from "../support/testModel.ts";
import type { WebServer } from "../support/webServer.ts";
import { selfSigned, startWebServer } from "../support/webServer.ts";
import { buildImage } from "./build.ts";

const token = randomBytes(16).toString("hex");
let folder: string;
let model: TestModel;
let broken: BrokenModels;
let web: WebServer;
/** An engine that nobody has compiled before, so that no cache hides an attempt to compile it. */
let engine: string;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "bitnet-server-refusals-"));
  model = await drawModel(folder);
  broken = await breakModels(model.path, folder);
  web = await startWebServer({ "model.gguf": model.path }, { token });
  engine = join(folder, "engine.tar");
  await writeFile(join(folder, "CMakeLists.txt"), `message(FATAL_ERROR "${model.name}")\n`);
  await execa("tar", ["-cf", engine, "--transform", "s,^,engine/,", "CMakeLists.txt"], { cwd: folder });
});

afterAll(async () => {
  await web.stop();
  await rm(folder, { recursive: true });
});

/** What the build says about the model's address, and nothing was compiled. */
async function refusal(options: Parameters<typeof buildImage>[0]): Promise<string> {
  const { succeeded, output } = await buildImage({ ...options, files: { engine, ...options.files } });
  expect(succeeded).toBe(false);
  expect(output).not.toContain("CMake Error");
  return /(?:MODEL_URL|ENGINE)=.*/.exec(output)?.[0] ?? output;
}

describe("docker build refuses, before it compiles,", () => {
  test.each<[keyof BrokenModels, string]>([
    ["safetensors", "safetensors, not GGUF"],
    ["empty", "the file is empty"],
    ["threeBytes", 'does not begin with "GGUF"'],
    ["truncated", "it is truncated: it has"],
    ["version1", "a GGUF of version 1"],
    ["bigEndian", "a big-endian GGUF"],
    ["hugeCount", "claims 1152921504606846976 tensors"],
    ["alignment64", "its tensors are aligned to 64 bytes"],
    ["llama", "no BitNet model; the types of its linear layers are ggml type 12"],
  ])("%s", async (kind, wrong) => {
    const said = await refusal({ files: { model: broken[kind] } });
    expect(said).toContain(`MODEL_URL=${basename(broken[kind])}`);
    expect(said).toContain(wrong);
  });

  test.each([
    ["an address without a file", "/status/404", "404, there is no such file"],
    ["a private model", "/private/model.gguf", "401, gated or private: give a token"],
    ["a forbidden model", "/status/403", "403, gated or private: give a token"],
    ["a redirect loop", "/loop", "redirected more than 10 times"],
    ["a web page", "/page", "a web page (HTML)"],
  ])("%s", async (_, path, wrong) => {
    const url = `${web.url}${path}`;
    const said = await refusal({ args: { MODEL_URL: url } });
    expect(said).toContain(`MODEL_URL=${url}`);
    expect(said).toContain(wrong);
  });

  test("an address that is not http(s)", async () => {
    expect(await refusal({ args: { MODEL_URL: "ftp://example.com/x.gguf" } })).toContain("only http:// and https://");
  });

  test("a file that is not in the build context", async () => {
    expect(await refusal({ args: { MODEL_URL: "absent.gguf" } })).toContain("no file context/model/absent.gguf");
  });

  test("a file with another sum than MODEL_SHA256", async () => {
    const said = await refusal({ files: { model: model.path }, args: { MODEL_SHA256: "0".repeat(64) } });
    expect(said).toMatch(/MODEL_SHA256=0{64} is not this file's sum, which is [0-9a-f]{64}/);
  });

  test("an engine that does not exist", async () => {
    const said = await refusal({ files: { model: model.path }, args: { ENGINE: "llama.cpp" } });
    expect(said).toContain("ENGINE=llama.cpp: there is no such engine; use bitnet.cpp or ik_llama.cpp");
  });
});

test("a disk that is full while the model is downloaded is named, and not tried again", async () => {
  const said = await refusal({
    args: { MODEL_URL: `${web.url}/models/model.gguf` },
    // The kernel's own full disk, in place of the builder's cache.
    change: async (context) => {
      const path = join(context, "build/fetch-model.sh");
      const script = await readFile(path, "utf8");
      const full = script.replace(/part=\/download\/.*/, "part=/dev/full");
      expect(full).not.toBe(script);
      await writeFile(path, full);
    },
  });
  expect(said).toContain("no space left on device");
  expect(web.requests.filter((request) => request === "GET /models/model.gguf")).toHaveLength(1);
});

test("a download that breaks off is resumed where it broke off", async () => {
  const { output } = await buildImage({ files: { engine }, args: { MODEL_URL: `${web.url}/cut/model.gguf` } });
  expect(output).toContain(`CMake Error`); // so far it came: the model is good, the engine of this test is not
  expect(web.requests).toContain("GET /cut/model.gguf bytes=400000-");
});

test("a file that is another one when the download is resumed is fetched from its beginning", async () => {
  const args = { MODEL_URL: `${web.url}/changing/model.gguf` };
  const { output } = await buildImage({ files: { engine }, args: { ...args, MODEL_SHA256: await sum(model.path) } });
  expect(output).toContain("sends another file than before");
  expect(output).toContain(`CMake Error`);
  const asked = web.requests.filter((request) => request.includes("/changing/"));
  expect(asked).toEqual([expect.not.stringContaining("bytes"), expect.stringContaining("bytes=400000-"), asked[0]]);
});

test("a private model is downloaded with the token of --secret id=token, which the build does not print", async () => {
  const secret = join(folder, "token");
  await writeFile(secret, `${token}\n`);
  const args = { MODEL_URL: `${web.url}/private/model.gguf` };
  const { output } = await buildImage({ files: { engine }, args, secrets: { token: secret } });
  expect(output).toContain(`CMake Error`);
  expect(output).not.toContain(token);
});

test("a server with a company's own certificate is trusted with --secret id=ca, and not without", async () => {
  const certificate = await selfSigned(folder);
  const secure = await startWebServer({ "model.gguf": model.path }, { tls: certificate });
  try {
    const options = { files: { engine }, args: { MODEL_URL: `${secure.url}/models/model.gguf` } };
    expect(await refusal(options)).toContain("give the signer's with --secret id=ca");
    const { output } = await buildImage({ ...options, secrets: { ca: certificate.path } });
    expect(output).toContain(`CMake Error`);
  } finally {
    await secure.stop();
  }
});

async function sum(path: string): Promise<string> {
  return createHash("sha256")
    .update(await readFile(path))
    .digest("hex");
}
