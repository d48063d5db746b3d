import type { Source } from "./network.ts";

/** The settings that say what an image is built from; undefined = not set. */
export interface BuildSettings {
  readonly baseImage?: string | undefined;
  readonly modelUrl?: string | undefined;
  readonly engineRepo?: string | undefined;
}

/** The sites that a stack's image is built from, according to its settings. */
export function buildSources({ baseImage = "", modelUrl, engineRepo }: BuildSettings): Source[] {
  return [
    ...(isOnDockerHub(baseImage) ? (["Docker Hub"] as const) : []),
    // All models of the catalogue are on Hugging Face.
    ...(modelUrl === undefined || isOn(modelUrl, "huggingface.co") ? (["Hugging Face"] as const) : []),
    // Both engines are on GitHub.
    ...(engineRepo === undefined || isOn(engineRepo, "github.com") ? (["GitHub"] as const) : []),
  ];
}

/** For Docker, the part before the first slash is a registry if it looks like a host. */
function isOnDockerHub(image: string): boolean {
  const [first = "", ...rest] = image.split("/");
  const hasHost = rest.length > 0 && /[.:]|^localhost$/.test(first);
  return !hasHost || first === "docker.io";
}

function isOn(url: string, host: string): boolean {
  return URL.parse(url)?.hostname === host;
}
