import { stat } from "node:fs/promises";
import { arch } from "node:os";
import { isAbsolute, join, relative } from "node:path";
import { execa } from "execa";
import { changedInputs } from "../compare.ts";
import { refuseUnknown, type Known } from "../refuseUnknown.ts";
import type { Context, Resource } from "../provider.ts";
import { UNKNOWN, hasUnknown, isObject, textOf, type Properties, type Value } from "../values.ts";
import { contextDigest } from "./contextDigest.ts";
import { client, poll, reason, unlessMissing } from "./client.ts";
import { follow } from "./pull.ts";
import { parseReference, storedAuth } from "./registryAuth.ts";

/** The inputs that this project uses. */
const known: Known = {
  imageName: {},
  build: { fields: { args: {}, builderVersion: {}, context: {}, dockerfile: {}, platform: {} } },
  registry: { fields: { server: {}, username: {}, password: {} } },
  ...{ skipPush: {}, buildOnPreview: {} },
};

/** docker.Image as pulumi-docker 5.0.0 has it: built on every change of its inputs or its build context, then pushed. */
export const image: Resource = {
  check: async (news, _olds, context) => {
    refuseUnknown("docker.Image", known, news);
    const build = await checkedBuild(news["build"], context);
    const name = news["imageName"];
    if (news["skipPush"] !== true && typeof name === "string" && name !== UNKNOWN)
      registryOf(name, registryInput(news));
    return { ...news, build, buildOnPreview: news["buildOnPreview"] ?? false };
  },

  diff: (state, oldInputs, news) => {
    const built = isObject(state["__inputs"]) ? state["__inputs"] : oldInputs;
    const { registry, ...changes } = changedInputs(built, news);
    const [before, after] = [built, news].map((inputs) => registryInput(inputs));
    // Credentials come and go without a need for another build.
    const moved = registry && (registry.kind !== "update" || before?.["server"] !== after?.["server"]);
    return { changes: moved ? { ...changes, registry } : changes };
  },

  create: async (inputs, context) => ({ id: textOf(inputs["imageName"]), outputs: await build(inputs, context) }),

  update: (_id, inputs, _state, context) => build(inputs, context),

  // The copy of the inputs is secret as a whole: a build argument or a password may be in it.
  secretOutputs: ["__inputs"],
};

/** The build with its defaults and the digest of its context, which makes a changed file a changed input. */
async function checkedBuild(given: Value | undefined, context: Context): Promise<Value> {
  if (given === UNKNOWN) return given;
  const build: Properties = isObject(given) ? given : {};
  const directory = build["context"] ?? ".";
  const dockerfile = build["dockerfile"] ?? (directory === UNKNOWN ? UNKNOWN : join(textOf(directory), "Dockerfile"));
  const platform = build["platform"] ?? hostPlatform();
  if (build["platform"] === undefined) {
    context.log(
      "info",
      `Building your image for ${hostPlatform()} architecture.\nTo ensure you are building for the correct platform, ` +
        "consider explicitly setting the `platform` field on ImageBuildOptions.",
    );
  }
  if (directory === UNKNOWN || dockerfile === UNKNOWN) return { ...build, context: directory, dockerfile, platform };
  await requireDockerfile(textOf(directory), textOf(dockerfile));
  const digest = await contextDigest(textOf(directory), textOf(dockerfile));
  return { ...build, context: directory, dockerfile, platform, contextDigest: digest };
}

function hostPlatform(): string {
  return `linux/${arch() === "x64" ? "amd64" : arch()}`;
}

async function requireDockerfile(directory: string, dockerfile: string): Promise<void> {
  const missing = await stat(dockerfile).then(() => undefined, reason);
  if (missing === undefined) return;
  if (isAbsolute(dockerfile))
    throw new Error(`expected a relative Dockerfile path; got "${dockerfile}" instead: ${missing}`);
  const inContext = join(directory, dockerfile);
  const found = await stat(inContext).then(
    () => true,
    () => false,
  );
  const advice = found ? `. Try setting \`dockerfile\` to "${inContext}"` : `: ${missing}`;
  throw new Error(`could not open dockerfile at relative path "${dockerfile}"${advice}`);
}

function registryInput(inputs: Properties): Readonly<Record<string, string>> {
  const { registry } = inputs;
  if (!isObject(registry)) return {};
  return Object.fromEntries(
    Object.entries(registry).filter(
      (entry): entry is [string, string] => typeof entry[1] === "string" && entry[1] !== UNKNOWN,
    ),
  );
}

/** The registry that an image is pushed to: its host, or the address by which credentials for Docker Hub are kept. */
function registryOf(imageName: string, { server = "" }: Readonly<Record<string, string>>): string {
  const { registry } = parseReference(imageName);
  if (!server && !registry) {
    throw new Error(
      `"${imageName}": repository name must be canonical.\nThis resource requires all image names to be fully qualified.\n` +
        "For example, if you are attempting to push to Dockerhub, prefix your image name with `docker.io`:\n\n" +
        "`docker.io/repository/image:tag`",
    );
  }
  const host = server ? (server.replace(/^https?:\/\//, "").split("/")[0] ?? server) : (registry ?? "");
  const hub = ["index.docker.io", "docker.io", "registry-1.docker.io"].includes(host);
  return hub ? "https://index.docker.io/v1/" : host;
}

/** Builds and pushes, or in a preview does nothing unless told to. Returns the resource's outputs. */
async function build(inputs: Properties, context: Context): Promise<Properties> {
  const { imageName, build, skipPush, buildOnPreview } = inputs;
  if (context.preview && (buildOnPreview !== true || hasUnknown(imageName) || hasUnknown(build))) {
    return { ...inputs, ...Object.fromEntries(COMPUTED.map((name) => [name, UNKNOWN])) };
  }
  const name = textOf(imageName);
  const options = isObject(build) ? build : {};
  const { id, dockerfile } = await buildImage(name, options, context);
  const outputs = {
    __inputs: inputs,
    baseImageName: name,
    context: options["context"] ?? ".",
    dockerfile,
    imageName: name,
    platform: options["platform"] ?? hostPlatform(),
    registryServer: registryInput(inputs)["server"] ?? "",
  };
  if (skipPush === true || context.preview) return { ...outputs, repoDigest: id };
  await push(name, registryInput(inputs), context);
  return { ...outputs, repoDigest: await repoDigest(id, name) };
}

const COMPUTED = ["baseImageName", "context", "dockerfile", "platform", "registryServer", "repoDigest"];

/**
 * By Docker's own client: a build over the API alone needs a BuildKit session, and dockerode's (5.0.1) answers no health
 * checks, for which the engine drops it after a few seconds, and with it whatever step asks for a secret.
 */
async function buildImage(name: string, options: Properties, { progress }: Context) {
  const [context, dockerfile] = [textOf(options["context"]), textOf(options["dockerfile"])];
  progress("Starting Docker build");
  const building = execa("docker", ["build", ...buildOptions(name, options), context], {
    all: true,
    reject: false,
    env: { ...hiddenArgs(options), DOCKER_BUILDKIT: options["builderVersion"] === "BuilderV1" ? "0" : "1" },
  });
  const lines: string[] = [];
  for await (const line of building.iterable({ from: "all" })) {
    if (line.trim() !== "") progress(line);
    lines.splice(0, Math.max(0, lines.push(line) - 30));
  }
  const { exitCode } = await building;
  if (exitCode !== 0) throw new Error(`error reading build output: ${lines.join("\n")}`);
  // The image may show up a moment after the builder is done with it.
  const built = await poll(() => unlessMissing(client().getImage(name).inspect()), 1000, 5000);
  if (!built) throw new Error("unable to find built image in local image store");
  progress(`Image built successfully, local id "${built.Id}"`);
  return { id: built.Id, dockerfile: relative(context, dockerfile) };
}

/** The build arguments that Docker can take from its environment, where no other user sees them. */
function hiddenArgs({ args }: Properties): Record<string, string> {
  const entries = Object.entries(isObject(args) ? args : {});
  return Object.fromEntries(
    entries
      .map(([key, value]) => [key, textOf(value)] as const)
      .filter(([key, value]) => (process.env[key] ?? value) === value),
  );
}

function buildOptions(name: string, options: Properties): string[] {
  const hidden = hiddenArgs(options);
  const { args, platform } = options;
  return [
    ...["--progress=plain", `--tag=${name}`, `--file=${textOf(options["dockerfile"])}`],
    `--platform=${textOf(platform ?? hostPlatform())}`,
    ...Object.entries(isObject(args) ? args : {}).map(([key, value]) =>
      key in hidden ? `--build-arg=${key}` : `--build-arg=${key}=${textOf(value)}`,
    ),
  ];
}

async function push(
  name: string,
  registry: Readonly<Record<string, string>>,
  { log, progress }: Context,
): Promise<void> {
  const { username, password } = registry;
  const serveraddress = registryOf(name, registry);
  if (!username !== !password) {
    const [missing, given] = username ? ["password", "username"] : ["username", "password"];
    log("warning", `${missing} was not set, although ${given} was; using host credentials file`);
  }
  const inline = username && password ? { username, password, serveraddress } : undefined;
  const authconfig = inline ?? (await storedAuth(serveraddress)) ?? { username: "", password: "", serveraddress };
  progress("Pushing Image to the registry");
  const { repository, tag = "latest" } = parseReference(name);
  const stream = await client().getImage(repository).push({ tag, authconfig });
  await follow(stream, progress).catch((error: unknown) => {
    throw new Error(`error reading push output: ${pushFailure(reason(error))}`);
  });
}

function pushFailure(message: string): string {
  if (message !== "EOF") return message;
  return (
    "EOF\n: This error is most likely due to incorrect or mismatched registry credentials. " +
    "Please double check you are using the correct credentials and registry name"
  );
}

/** The pushed image as "repository@sha256:…", by which it can be pulled and is never mistaken for another. */
async function repoDigest(id: string, name: string): Promise<string> {
  const { RepoDigests } = await client().getImage(id).inspect();
  const { repository } = parseReference(name);
  return RepoDigests.find((digest) => parseReference(digest).repository === repository) ?? "<none>@<none>";
}
