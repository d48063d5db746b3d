import type { Source } from "./network.ts";

/** The settings that say what an image is built from; undefined = not set. */
export interface BuildSettings {
  readonly baseImage?: string | undefined;
  readonly modelUrl?: string | undefined;
  readonly engineRepo?: string | undefined;
}

/** The sites that a stack's image is built from, as its settings have them. */
export function buildSources({ baseImage = "", modelUrl, engineRepo }: BuildSettings): Source[] {
  return [
    ...(isOnDockerHub(baseImage) ? (["Docker Hub"] as const) : []),
    // Every model of the catalogue is there.
    ...(modelUrl === undefined || isOn(modelUrl, "huggingface.co") ? (["Hugging Face"] as const) : []),
    // Both engines are there.
    ...(engineRepo === undefined || isOn(engineRepo, "github.com") ? (["GitHub"] as const) : []),
  ];
}

/** Docker takes what stands before the first slash for a registry if it looks like a host. */
function isOnDockerHub(image: string): boolean {
  const [first = "", ...rest] = image.split("/");
  const hasHost = rest.length > 0 && /[.:]|^localhost$/.test(first);
  return !hasHost || first === "docker.io";
}

function isOn(url: string, host: string): boolean {
  return URL.parse(url)?.hostname === host;
}
