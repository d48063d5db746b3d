import struct from "google-protobuf/google/protobuf/struct_pb.js";
import { conceal, reveal, type Path, type Properties } from "./values.ts";

/** With secrets still wrapped as the engine wraps them. */
export function raw(properties: struct.Struct | undefined): Properties {
  return properties ? properties.toJavaScript() : {};
}

/** With secrets in the clear. */
export function plain(properties: struct.Struct | undefined): Properties {
  return reveal(raw(properties)) as Properties;
}

/** With the secrets at the given places wrapped for the engine. */
export function toStruct(properties: Properties, secrets: readonly Path[]): struct.Struct {
  return struct.Struct.fromJavaScript(conceal(properties, secrets) as Properties);
}
