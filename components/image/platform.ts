/** This machine's platform in Docker's words: what an image for this machine's own Docker Engine is built for. */
export function dockerPlatform(): "linux/amd64" | "linux/arm64" {
  return process.arch === "arm64" ? "linux/arm64" : "linux/amd64";
}
