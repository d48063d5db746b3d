import type { Source } from "../offline/network.ts";

/**
 * The sites that a stack's image is built from, as its settings have them.
 * @param settings by key, with Pulumi.yaml's defaults; "" means not set
 */
export function buildSources(settings: Readonly<Record<string, string>>): Source[] {
  const { baseImage = "", modelUrl = "", engineRepo = "" } = settings;
  return [
    ...(isOnDockerHub(baseImage) ? (["Docker Hub"] as const) : []),
    // Every model of the catalogue is there.
    ...(modelUrl === "" || isOn(modelUrl, "huggingface.co") ? (["Hugging Face"] as const) : []),
    // Both engines are there.
    ...(engineRepo === "" || isOn(engineRepo, "github.com") ? (["GitHub"] as const) : []),
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
