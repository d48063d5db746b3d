import { mkdtemp, rm } from "node:fs/promises";
import { basename, join } from "node:path";
import { execa } from "execa";
import { tools } from "../../../cli/paths.ts";
import type { LocalFiles } from "../../../components/image/buildContext.ts";
import { stageBuildContext } from "../../../components/image/buildContext.ts";
import { engineSource } from "../../../offline/engineSource.ts";
import { dockerBuild } from "../support/build.ts";
import { checkout } from "../../../cli/paths.ts";

export interface Build {
  succeeded: boolean;
  /** Everything that `docker build` said, in plain text. */
  output: string;
}

export interface BuildOptions {
  /** Files of this machine. Default engine: ik_llama.cpp's source, which any network has. */
  files?: LocalFiles;
  args?: Readonly<Record<string, string>>;
  tag?: string;
  /** Default: this machine's. */
  platform?: string;
  /** Files for `--secret id=<name>,src=<file>`, by name. */
  secrets?: Readonly<Record<string, string>>;
  /** Changes the build context before it is built. */
  change?: (context: string) => Promise<void>;
}

/** Plain `docker build`, with nothing but what lies in docker/ and the files given. */
export async function buildImage({
  files = {},
  args = {},
  secrets = {},
  platform,
  tag,
  change,
}: BuildOptions): Promise<Build> {
  const engine = files.engine ?? join(checkout, engineSource);
  // On the checkout's file system, so that models and sources are linked, not copied.
  const context = await mkdtemp(join(tools, "context-"));
  try {
    stageBuildContext(join(checkout, "docker/server"), context, { ...files, engine });
    await change?.(context);
    const model: Record<string, string> = files.model === undefined ? {} : { MODEL_URL: basename(files.model) };
    const build = await dockerBuild(context, { ENGINE_REPO: basename(engine), ...model, ...args }, [
      "--progress=plain",
      ...Object.entries(secrets).map(([id, file]) => `--secret=id=${id},src=${file}`),
      ...(platform === undefined ? [] : ["--platform", platform]),
      ...(tag === undefined ? [] : ["--tag", tag]),
    ]);
    return { succeeded: !build.failed, output: build.all };
  } finally {
    await rm(context, { recursive: true });
  }
}

/** An image's layers: those of its history that are not just a setting. */
export async function layersOf(image: string): Promise<{ id: string; bytes: number }[]> {
  const { stdout: ids } = await execa("docker", ["inspect", "--format", '{{join .RootFS.Layers "\\n"}}', image]);
  const history = ["history", "--no-trunc", "--human=false", "--format", "{{.Size}} {{.CreatedBy}}", image];
  const { stdout: lines } = await execa("docker", history);
  const sizes = lines
    .split("\n")
    .filter((line) => !/^0 (ENV|ARG|LABEL|EXPOSE|HEALTHCHECK|ENTRYPOINT|CMD|USER|WORKDIR|STOPSIGNAL)\b/.test(line))
    .map((line) => Number.parseInt(line))
    .reverse();
  const all = ids.split("\n");
  if (all.length !== sizes.length)
    throw new Error(`${image} has ${all.length} layers, and a history of ${sizes.length}`);
  return all.map((id, index) => ({ id, bytes: sizes[index] ?? 0 }));
}
