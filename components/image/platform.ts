/** This machine's platform, in Docker's notation: the build target of images for this machine's own Docker Engine. */
export function dockerPlatform(): "linux/amd64" | "linux/arm64" {
  return process.arch === "arm64" ? "linux/arm64" : "linux/amd64";
}
