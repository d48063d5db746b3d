import grpc from "@grpc/grpc-js";
import messages from "@pulumi/pulumi/proto/provider_pb.js";
import status from "@pulumi/pulumi/proto/status_pb.js";
import anyMessage from "google-protobuf/google/protobuf/any_pb.js";
import type struct from "google-protobuf/google/protobuf/struct_pb.js";
import type { PartialFailure } from "./provider.ts";

/** An error with more for the engine than its text, in gRPC's own header for that. */
export class Detailed extends Error {
  readonly metadata: grpc.Metadata;

  constructor(message: string, metadata: grpc.Metadata) {
    super(message);
    this.metadata = metadata;
  }
}

/** How a plugin tells the engine that a resource was created but did not come up. */
export function initFailed({ message, state }: PartialFailure, properties: struct.Struct): Detailed {
  const detail = new messages.ErrorResourceInitFailed();
  detail.setId(state.id).setProperties(properties).setReasonsList([message]);
  const packed = new anyMessage.Any();
  packed.pack(detail.serializeBinary(), "pulumirpc.ErrorResourceInitFailed");
  const details = new status.Status();
  details.setCode(grpc.status.UNKNOWN);
  details.setMessage(message);
  details.addDetails(packed);
  const metadata = new grpc.Metadata();
  metadata.add("grpc-status-details-bin", Buffer.from(details.serializeBinary()));
  return new Detailed(message, metadata);
}
