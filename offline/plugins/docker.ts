import { configure } from "./docker/client.ts";
import { container } from "./docker/container.ts";
import { image } from "./docker/image.ts";
import { network } from "./docker/network.ts";
import { volume } from "./docker/volume.ts";
import { serve } from "./serve.ts";

await serve({
  version: "5.0.0",
  configure,
  resources: {
    "docker:index/container:Container": container,
    "docker:index/image:Image": image,
    "docker:index/network:Network": network,
    "docker:index/volume:Volume": volume,
  },
});
