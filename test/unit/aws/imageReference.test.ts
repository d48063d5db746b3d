import type { RequestListener } from "node:http";
import { afterEach, expect, test } from "vitest";
import { ecrOf, parseReference, platformsOf, repositoryArnOf } from "../../../components/aws/imageReference.ts";
import type { WebServer } from "../model/webServer.ts";
import { startWebServer } from "../model/webServer.ts";

const digest = `sha256:${"0".repeat(64)}`;
const ofEcr = parseReference(`123456789012.dkr.ecr.eu-central-1.amazonaws.com/team/bitnet@${digest}`);

let registry: WebServer | undefined;
afterEach(async () => {
  await registry?.close();
  registry = undefined;
});

/** A registry with one repository. @param needs the authorization without which it refuses, and how it says so */
async function registryWith(documents: Record<string, object>, needs?: { authorization: string; challenge: string }) {
  const listener: RequestListener = ({ url = "", headers }, response) => {
    if (url.startsWith("/token?")) {
      response.end(JSON.stringify({ token: new URLSearchParams(url.slice(7)).get("scope") }));
    } else if (needs !== undefined && headers.authorization !== needs.authorization) {
      response.writeHead(401, { "www-authenticate": needs.challenge.replace("HOST", headers.host ?? "") }).end();
    } else {
      const found = documents[url.replace("/v2/team/bitnet/", "")];
      response.writeHead(found === undefined ? 404 : 200).end(JSON.stringify(found));
    }
  };
  registry = await startWebServer(listener);
  return parseReference(`${new URL(registry.url).host}/team/bitnet@${digest}`);
}

const single = {
  [`manifests/${digest}`]: { config: { digest: "sha256:c" } },
  "blobs/sha256:c": { os: "linux", architecture: "arm64", config: { Env: [] } },
};

test("an image of ECR is known by its registry's name, and the policy names its repository", () => {
  expect(ecrOf(ofEcr)).toEqual({ account: "123456789012", region: "eu-central-1" });
  expect(repositoryArnOf(ofEcr, "aws")).toBe("arn:aws:ecr:eu-central-1:123456789012:repository/team/bitnet");
  const elsewhere = parseReference(`ghcr.io/team/bitnet@${digest}`);
  expect([ecrOf(elsewhere), repositoryArnOf(elsewhere, "aws")]).toEqual([undefined, undefined]);
});

test("the platform of an image is in its configuration, those of several are in their index", async () => {
  expect(await platformsOf(await registryWith(single), undefined)).toEqual(["linux/arm64"]);
  await registry?.close();
  const manifests = ["amd64", "arm64", "unknown"].map((architecture) => ({
    platform: { os: architecture === "unknown" ? "unknown" : "linux", architecture },
  }));
  const index = await registryWith({ [`manifests/${digest}`]: { manifests } });
  expect(await platformsOf(index, undefined)).toEqual(["linux/amd64", "linux/arm64"]);
});

test("a public registry that wants a token is given one", async () => {
  const challenge = 'Bearer realm="http://HOST/token",service="registry",scope="repository:team/bitnet:pull"';
  const reference = await registryWith(single, { authorization: "Bearer repository:team/bitnet:pull", challenge });
  expect(await platformsOf(reference, undefined)).toEqual(["linux/arm64"]);
});

test("a private one is given the login, and its refusal is told", async () => {
  const login = { username: "AWS", password: "token" };
  const authorization = `Basic ${Buffer.from("AWS:token").toString("base64")}`;
  const reference = await registryWith(single, { authorization, challenge: "Basic" });
  expect(await platformsOf(reference, login)).toEqual(["linux/arm64"]);
  await expect(platformsOf(reference, { ...login, password: "old" })).rejects.toThrow("the registry answers 401");
});

test("an image that is not there is told", async () => {
  const reference = await registryWith({});
  await expect(platformsOf(reference, undefined)).rejects.toThrow("the registry answers 404");
});
