import { readFileSync } from "node:fs";
import { join } from "node:path";

const script = readFileSync(join(import.meta.dirname, "userData.sh"), "utf8");

/** @param cluster the ECS cluster's name, of letters, digits and dashes: nothing in it can end the file that it stands in */
export function userData(cluster: string): string {
  if (!/^[a-zA-Z0-9-]{1,255}$/.test(cluster)) throw new RangeError(`not a cluster's name: ${cluster}`);
  return script.replace("@CLUSTER@", cluster);
}
