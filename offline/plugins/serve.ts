import grpc from "@grpc/grpc-js";
import engine from "@pulumi/pulumi/proto/engine_grpc_pb.js";
import engineMessages from "@pulumi/pulumi/proto/engine_pb.js";
import plugin from "@pulumi/pulumi/proto/plugin_pb.js";
import services from "@pulumi/pulumi/proto/provider_grpc_pb.js";
import messages from "@pulumi/pulumi/proto/provider_pb.js";
import empty from "google-protobuf/google/protobuf/empty_pb.js";
import { Detailed } from "./failures.ts";
import type { Provider } from "./provider.ts";
import { ResourceCalls, type Log } from "./resourceCalls.ts";
import { plain, toStruct } from "./structs.ts";

/**
 * Serves the provider to the engine that started this process, as a plugin is expected to: the engine's address is the
 * first plain argument, the port listened on is printed.
 *
 * `main()` of @pulumi/pulumi/provider would do, were it not that it passes on neither the provider's configuration nor
 * previews, old inputs, detailed differences or a way to log.
 */
export async function serve(provider: Provider): Promise<void> {
  const server = new grpc.Server();
  const client = engineOf(process.argv.slice(2));
  server.addService(services.ResourceProviderService, handlers(provider, engineLog(client)));
  const bind = Promise.withResolvers<number>();
  server.bindAsync("127.0.0.1:0", grpc.ServerCredentials.createInsecure(), (error, port) => {
    if (error) bind.reject(error);
    else bind.resolve(port);
  });
  console.log(String(await bind.promise));
  endWithEngine(client);
}

/** Milliseconds between two looks whether the engine is still there. */
const watch = 10_000;

/** An engine that was killed ends nobody: its plugins notice by themselves (pulumi's rpcutil.Healthcheck). */
function endWithEngine(client: engine.EngineClient): void {
  setInterval(() => {
    client.waitForReady(Date.now() + watch, (error) => {
      if (error) process.exit(1);
    });
  }, watch);
}

function engineOf(args: readonly string[]): engine.EngineClient {
  const address = args.findLast((arg) => !arg.startsWith("-")) ?? "";
  return new engine.EngineClient(address, grpc.credentials.createInsecure());
}

function engineLog(client: engine.EngineClient): Log {
  const { INFO, WARNING } = engineMessages.LogSeverity;
  return (urn, severity, message, ephemeral) => {
    const request = new engineMessages.LogRequest();
    request.setUrn(urn).setMessage(message).setEphemeral(ephemeral);
    request.setSeverity(severity === "info" ? INFO : WARNING);
    client.log(request, () => undefined); // a lost line of log is no reason to fail
  };
}

/** The service that the engine calls, by the names of its calls in pulumi's provider.proto. */
function handlers(provider: Provider, log: Log): grpc.UntypedServiceImplementation {
  const resources = new ResourceCalls(provider, log);
  return {
    configure: unary((request: messages.ConfigureRequest) => {
      const variables = request.getVariablesMap().toArray();
      provider.configure?.(Object.fromEntries(variables.map(([key, value]) => [key.replace(/^.*:/, ""), value])));
      return new messages.ConfigureResponse().setAcceptsecrets(true).setSupportspreview(true);
    }),

    getPluginInfo: unary(() => new plugin.PluginInfo().setVersion(provider.version)),

    cancel: unary(() => new empty.Empty()),

    invoke: unary(async (request: messages.InvokeRequest) => {
      const token = request.getTok();
      if (!provider.invoke) throw new Error(`${token} is not among the functions that this stand-in plugin knows`);
      const answer = await provider.invoke(token, plain(request.getArgs()));
      return new messages.InvokeResponse().setReturn(toStruct(answer, []));
    }),

    check: unary((request: messages.CheckRequest) => resources.check(request)),
    diff: unary((request: messages.DiffRequest) => resources.diff(request)),
    create: unary((request: messages.CreateRequest) => resources.create(request)),
    read: unary((request: messages.ReadRequest) => resources.read(request)),
    update: unary((request: messages.UpdateRequest) => resources.update(request)),
    delete: unary((request: messages.DeleteRequest) => resources.delete(request)),
  };
}

/** Answers a call of gRPC with what `handle` returns, or with the error that it throws. */
function unary<Request, Response>(handle: (request: Request) => Promise<Response> | Response) {
  return (call: grpc.ServerUnaryCall<Request, Response>, callback: grpc.sendUnaryData<Response>): void => {
    const answer = async (): Promise<Response> => handle(call.request);
    answer().then(
      (response) => {
        callback(null, response);
      },
      (error: unknown) => {
        const details = error instanceof Error ? error.message : String(error);
        const metadata = error instanceof Detailed ? error.metadata : new grpc.Metadata();
        callback({ code: grpc.status.UNKNOWN, details, metadata });
      },
    );
  };
}
