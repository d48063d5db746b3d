import { mkdir, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { execa } from "execa";
import { afterAll, beforeAll, expect, test, vi } from "vitest";
import { checkout, tools } from "../../../cli/paths.ts";
import { stageBuildContext } from "../../../components/image/buildContext.ts";
import { hidePreTokenizer, placeholderTemplate, setChatTemplate } from "../../support/chatTemplate.ts";
import { dockerBuild } from "../support/build.ts";
import { chat, client } from "../support/chat.ts";
import { docker, replicaRights } from "../support/docker.ts";
import { freePort, isHealthy } from "../support/net.ts";
import type { TestModel } from "../support/testModel.ts";
import { drawModel } from "../support/testModel.ts";
import { buildImage } from "./build.ts";

const image = "bitnet-server-test-chat-template";
let folder: string;
let model: TestModel;
let container: string | undefined;
let url: string;

beforeAll(async () => {
  folder = await mkdtemp(join(tools, "chat-template-test-"));
  model = await drawModel(folder);
  await setChatTemplate(model.path, placeholderTemplate);
  await hidePreTokenizer(model.path);
  const { succeeded, output } = await buildImage({ files: { model: model.path }, tag: image });
  if (!succeeded) throw new Error(output);
  const port = await freePort();
  const flags = ["--detach", ...replicaRights, `--publish=127.0.0.1:${port}:8080`];
  container = (await execa("docker", ["run", ...flags, image])).stdout;
  url = `http://127.0.0.1:${port}`;
  await vi.waitUntil(() => isHealthy(url), { timeout: 60_000 });
});

afterAll(async () => {
  if (container !== undefined) await docker.getContainer(container).remove({ force: true });
  await execa("docker", ["rmi", image], { reject: false });
  await rm(folder, { recursive: true });
});

test("a conversation with a model that has the placeholder is put to it as it was trained", async () => {
  const messages = [
    { role: "system", content: " Be brief. " },
    { role: "user", content: "Are you there?" },
    { role: "assistant", content: "Yes." },
    { role: "user", content: "Go on." },
  ];
  const response = await fetch(`${url}/apply-template`, { method: "POST", body: JSON.stringify({ messages }) });
  expect(await response.json()).toEqual({
    prompt:
      "System: Be brief.<|eot_id|>User: Are you there?<|eot_id|>Assistant: Yes.<|eot_id|>User: Go on.<|eot_id|>Assistant: ",
  });
});

test("such a model answers, and ends its answer", async () => {
  expect(await chat(client(`${url}/v1`), 4)).toMatchObject({ text: model.answer(4), finishReason: "stop" });
});

test("what its file does not say of its tokenizer, the server was told", async () => {
  const { all } = await execa("docker", ["logs", container ?? ""], { all: true });
  expect(all).toMatch(/tokenizer\.ggml\.pre.*llama-bpe/);
  expect(all).not.toMatch(/missing pre-tokenizer type/);
});

// bitnet.cpp has no Jinja: its source is mended. Here only the lines that matter, and those around them.
test("in bitnet.cpp's source the placeholder's stand-in becomes the trained form", async () => {
  const root = join(folder, "bitnet");
  const lines = (...texts: string[]) => `${texts.join("\n")}\n`;
  const before = lines(
    '    } else if (tmpl == "other") {',
    "        ss << message->content;",
    '    } else if (tmpl_contains("BITNET")) {',
    "            if (is_system) {",
    '                ss << "System: ";',
    "                ss << message->content;",
    "            } else if (is_user) {",
    '                ss << "User: ";',
    '                ss << message->content << "<|eot_id|>Assistant: ";',
    "            } else {",
    "                ss << message->content;",
    "            }",
    "        }",
    "    } else {",
    "        // template not supported",
  );
  const after = lines(
    '    } else if (tmpl == "other") {',
    "        ss << message->content;",
    '    } else if (tmpl_contains("BITNET")) {',
    "            if (is_system) {",
    '                ss << "System: ";',
    '                ss << trim(message->content) << "<|eot_id|>";',
    "            } else if (is_user) {",
    '                ss << "User: ";',
    '                ss << trim(message->content) << "<|eot_id|>";',
    "            } else {",
    '                ss << "Assistant: ";',
    '                ss << trim(message->content) << "<|eot_id|>";',
    "            }",
    "        }",
    '        if (add_ass) { ss << "Assistant: "; }',
    "    } else {",
    "        // template not supported",
  );
  const path = "3rdparty/llama.cpp/src/llama.cpp";
  for (const [name, content] of Object.entries({
    [path]: before,
    "src/ggml-bitnet-mad.cpp": "",
    "include/README": "",
  })) {
    await mkdir(dirname(join(root, name)), { recursive: true });
    await writeFile(join(root, name), content);
  }
  const engine = join(folder, "bitnet.tar");
  await execa("tar", ["-cf", engine, "-C", folder, "bitnet"]);
  const context = join(folder, "context");
  stageBuildContext(join(checkout, "docker/server"), context, { engine });
  await writeFile(
    join(context, "Dockerfile"),
    `${await readFile(join(context, "Dockerfile"), "utf8")}\nFROM scratch AS mended\nCOPY --from=engine-source /src/${path} /\n`,
  );
  const output = join(folder, "mended");
  const args = { ENGINE: "bitnet.cpp", ENGINE_REPO: "bitnet.tar" };
  const built = await dockerBuild(context, args, ["--target=mended", `--output=type=local,dest=${output}`]);
  expect(built.exitCode, built.all).toBe(0);
  expect(await readFile(join(output, "llama.cpp"), "utf8")).toBe(after);
});
