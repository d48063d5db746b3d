/**
 * The default name under which a model is served: its repository's on Hugging Face, or else its own (`general.name`),
 * or else its file's. Like the setting modelAlias, it is safe in a URL, on a command line and in a line-based file.
 * docker/server/build/check-gguf.pl has the same rule, for images that are built without Pulumi.
 * @param location a URL, whose query is not part of the name and may be a secret; or a path
 */
export function servedName(location: string, ownName: string | undefined): string {
  const repository = /^https:\/\/huggingface\.co\/[^/]+\/([^/]+)\/resolve\//.exec(location)?.[1];
  const address = /^https?:\/\//i.test(location) ? location.replace(/[?#].*$/s, "") : location;
  const file = address.replace(/^.*\//s, "");
  return [repository, ownName, file].map(safe).find((name) => name !== "") ?? "bitnet";
}

function safe(name = ""): string {
  const letters = name
    .replace(/[.-]gguf$/i, "")
    .replaceAll(/[^A-Za-z0-9._:/-]+/g, "-")
    .replace(/^[^A-Za-z0-9]+/, "");
  return letters.slice(0, 100).replace(/-+$/, "");
}
