/** Removes every image that the stack $STACK has built, older ones too: they carry its label (docker/server/Dockerfile). */
import Docker from "dockerode";

const docker = new Docker();
const stack = process.env.STACK;
if (stack === undefined || stack === "") {
  throw new Error("STACK is not set");
}
const images = await docker.listImages({ filters: { label: [`bitnet-server.stack=${stack}`] } });
for (const { Id } of images) {
  // By force, because an image can have several tags: its own, the registry's, and one by digest.
  await docker.getImage(Id).remove({ force: true });
}
console.log(`removed ${images.length} images`);
