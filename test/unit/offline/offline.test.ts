import { readFileSync } from "node:fs";
import pulumi from "@pulumi/pulumi/package.json" with { type: "json" };
import { expect, test } from "vitest";
import { StackText } from "../../../cli/stackSettings.ts";
import { probeNetwork } from "../../../cli/network.ts";
import { offlineStackFile } from "../../../offline/stack.ts";

const dev = "config:\n  bitnet-server:model: some-model\n  bitnet-server:replicas: 2\n";

test("the offline stack names what stands in for downloads, and has the rest from dev", () => {
  const stack = new StackText(offlineStackFile(undefined, dev));
  expect(stack.get("engine")).toBe("ik_llama.cpp");
  expect(stack.get("engineRepo")).toBe(".tools/engine/ik_llama.cpp.tar.gz");
  expect(stack.get("baseImage")).toBe("bitnet-server-base:trixie");
  expect(stack.get("modelUrl")).toBe(".tools/models/tiny.gguf");
  expect(stack.get("smokeAnswer")).toContain(" 7 ");
  expect(stack.get("replicas")).toBe("2");
  expect(stack.has("model")).toBe(false);
});

test("the offline stack has nothing from dev that is about dev's model or engine", () => {
  const own = {
    ...{ model: "some-model", modelUrl: "https://example.com/m.gguf", modelSha256: "0".repeat(64), modelToken: "t" },
    ...{ modelAlias: "mine", contextSize: 131072, smokePrompt: "Who?", smokeAnswer: "Me.", engineRef: "main" },
    ...{ engine: "bitnet.cpp", engineRepo: "https://example.com/engine" },
  };
  const lines = Object.entries({ ...own, port: 9000, parallel: 4 }).map(
    ([key, value]) => `  bitnet-server:${key}: ${value}\n`,
  );
  const devs = `config:\n${lines.join("")}`;
  const stack = new StackText(offlineStackFile(undefined, devs));
  expect(stack.get("port")).toBe("9000");
  for (const [key, value] of Object.entries(own)) expect(stack.get(key)).not.toBe(String(value));
  expect(stack.get("parallel")).toBe("4");

  const withOwnModel = new StackText(offlineStackFile("config:\n  bitnet-server:modelUrl: /models/mine.gguf\n", devs));
  for (const key of ["modelAlias", "modelSha256", "smokePrompt", "smokeAnswer"])
    expect(withOwnModel.has(key)).toBe(false);
});

test("written again, the offline stack keeps what the user changed and what Pulumi added", () => {
  const first = offlineStackFile(undefined, dev);
  const edited = first.replace("replicas: 2", "replicas: 3 # mine") + "encryptionsalt: v1:abc\n";
  expect(offlineStackFile(edited, dev)).toBe(edited);
});

test("a user's own model in the offline stack is not given the generated one's name and answer", () => {
  const stack = new StackText(offlineStackFile("config:\n  bitnet-server:modelUrl: /models/mine.gguf\n", dev));
  expect(stack.get("modelUrl")).toBe("/models/mine.gguf");
  expect(stack.has("modelAlias")).toBe(false);
  expect(stack.has("smokeAnswer")).toBe(false);
});

test("a network is open when every source answers, Docker Hub by asking for a login", async () => {
  const network = await probeNetwork((url) =>
    Promise.resolve(new Response(null, { status: url === "https://registry-1.docker.io/v2/" ? 401 : 200 })),
  );
  expect(network).toMatchObject({ open: true, reason: "" });
});

test("a network is closed when a source cannot be reached, and says which and why", async () => {
  const network = await probeNetwork((url) => {
    if (url === "https://huggingface.co/robots.txt") return Promise.resolve(new Response(null, { status: 403 }));
    const cause = Object.assign(new Error(), { code: "ENOTFOUND" });
    return url === "https://get.pulumi.com/"
      ? Promise.reject(new TypeError("fetch failed", { cause }))
      : Promise.resolve(new Response());
  });
  expect(network.open).toBe(false);
  expect(network.canReach("GitHub")).toBe(true);
  expect(network.canReach("Pulumi")).toBe(false);
  expect(network.reason).toBe("cannot reach Hugging Face, Pulumi (HTTP 403; ENOTFOUND)");
});

test("the Pulumi CLI that is built from source has the version of @pulumi/pulumi", () => {
  const goMod = readFileSync(new URL("../../../offline/pulumi-cli/go.mod", import.meta.url), "utf8");
  expect(goMod).toContain(`github.com/pulumi/pulumi/pkg/v3 v${pulumi.version}\n`);
});
