import { once } from "node:events";
import { mkdtemp, readFile, rm } from "node:fs/promises";
import type { IncomingMessage, RequestListener, ServerResponse } from "node:http";
import { createServer, request as forward } from "node:http";
import { createServer as createTlsServer } from "node:https";
import type { AddressInfo, Server } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { text } from "node:stream/consumers";
import { execa } from "execa";

/** What AWS knows of an instance and its stack. */
export interface Situation {
  region: string;
  instanceId: string;
  group: string;
  hook: string;
  logGroup: string;
  secret: { arn: string; version: string; text: string };
  /** ECR's host, and the port on this machine of the registry behind it. */
  registry: { host: string; port: number };
  /** Called when the instance says that it can be used. */
  onLaunched: () => Promise<void>;
}

/** A call of an API, by whoever has the role of the instance. */
export interface Call {
  /** Such as Logs_20140328.PutLogEvents. */
  action: string;
  input: Readonly<Record<string, unknown>>;
}

/** Plays AWS to an instance: its metadata service, the APIs that its tools call, and ECR. */
export interface Services {
  /** Where they listen, on this machine's loopback: plain, and TLS for all the `hosts`. */
  ports: { metadata: number; tls: number };
  hosts: readonly string[];
  /** Whom the instance has to trust. */
  certificate: string;
  /** The calls that were answered well. */
  calls: readonly Call[];
  stop(): Promise<void>;
}

/** What only an instance can know, because only its metadata service tells. */
const role = { name: "instance-role", accessKeyId: "ASIAINSTANCEROLE0000", sessionToken: "token-of-the-role" };
const registryLogin = Buffer.from("AWS:password-for-twelve-hours").toString("base64");
const metadataToken = "token-of-the-metadata-service";

export async function startServices(situation: Situation): Promise<Services> {
  const { region, registry } = situation;
  const apis = ["secretsmanager", "autoscaling", "logs", "api.ecr"].map((api) => `${api}.${region}.amazonaws.com`);
  const hosts = [...apis, registry.host];
  const { key, certificate } = await selfSigned(hosts);
  const calls: Call[] = [];
  const answer = api(situation);

  const metadata = createServer(answerMetadata);
  const tls = createTlsServer({ key, cert: certificate }, (request, response) => {
    if (request.headers.host === registry.host) passOn(request, response, registry.port);
    else void answerCall(request, response, answer, calls);
  });
  return {
    ports: { metadata: await listen(metadata), tls: await listen(tls) },
    hosts,
    certificate,
    calls,
    async stop() {
      for (const server of [metadata, tls]) {
        server.closeAllConnections();
        server.close();
        await once(server, "close");
      }
    },
  };
}

async function listen(server: Server): Promise<number> {
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  return (server.address() as AddressInfo).port;
}

/** Its own authority. Python 3.13 asks for the uses of its key, too. */
async function selfSigned(hosts: readonly string[]): Promise<{ key: string; certificate: string }> {
  const folder = await mkdtemp(join(tmpdir(), "bitnet-server-certificate-"));
  try {
    const names = hosts.map((host) => `DNS:${host}`).join();
    const uses = "keyUsage=critical,digitalSignature,keyCertSign";
    const kind = ["-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-noenc", "-days", "2"];
    const named = ["-subj", "/CN=AWS stand-in", "-addext", `subjectAltName=${names}`, "-addext", uses];
    await execa("openssl", ["req", ...kind, ...named, "-keyout", "key", "-out", "certificate"], { cwd: folder });
    const read = (name: string) => readFile(join(folder, name), "utf8");
    return { key: await read("key"), certificate: await read("certificate") };
  } finally {
    await rm(folder, { recursive: true });
  }
}

/** Version 2 alone, as the launch template asks for: without a token there is no answer. */
const answerMetadata: RequestListener = ({ method, url = "", headers }, response) => {
  const credentials = "/latest/meta-data/iam/security-credentials/";
  const hour = (offset: number) => new Date(Date.now() + offset * 3_600_000).toISOString();
  const answers: Record<string, string> = {
    [credentials]: role.name,
    [credentials + role.name]: JSON.stringify({
      Code: "Success",
      Type: "AWS-HMAC",
      LastUpdated: hour(-1),
      Expiration: hour(6),
      AccessKeyId: role.accessKeyId,
      SecretAccessKey: "secret-of-the-role",
      Token: role.sessionToken,
    }),
  };
  const answer = answers[url];
  if (method === "PUT" && url === "/latest/api/token") {
    const ttl = String(headers["x-aws-ec2-metadata-token-ttl-seconds"]);
    response.writeHead(200, { "x-aws-ec2-metadata-token-ttl-seconds": ttl }).end(metadataToken);
  } else if (headers["x-aws-ec2-metadata-token"] !== metadataToken) response.writeHead(401).end();
  else if (answer === undefined) response.writeHead(404).end();
  else response.end(answer);
};

/** The registry does not ask who calls; ECR does. */
function passOn(request: IncomingMessage, response: ServerResponse, port: number): void {
  const { method, url, headers } = request;
  if (headers.authorization !== `Basic ${registryLogin}`) {
    response.writeHead(401, { "www-authenticate": 'Basic realm="ECR"' }).end();
    return;
  }
  const passed = forward({ port, host: "127.0.0.1", method, path: url, headers }, (answer) => {
    response.writeHead(answer.statusCode ?? 502, answer.headers);
    answer.pipe(response);
  });
  passed.on("error", () => response.destroy());
  request.pipe(passed);
}

/** An error of AWS, by its code. */
class Refusal extends Error {}

type Answer = (call: Call) => Promise<object>;

/** Amazon's two protocols: JSON with the action in a header, and, for Auto Scaling, a form answered by XML. */
async function answerCall(
  request: IncomingMessage,
  response: ServerResponse,
  answer: Answer,
  calls: Call[],
): Promise<void> {
  const body = await text(request);
  const target = request.headers["x-amz-target"];
  const form = Object.fromEntries(new URLSearchParams(body));
  const call =
    typeof target === "string"
      ? { action: target, input: JSON.parse(body) as Record<string, unknown> }
      : { action: `AutoScaling.${form.Action ?? ""}`, input: form };
  const asXml = target === undefined;
  try {
    requireRole(request);
    const answered = await answer(call);
    calls.push(call);
    const xml = `<${form.Action ?? ""}Response><${form.Action ?? ""}Result/></${form.Action ?? ""}Response>`;
    if (asXml) response.end(xml);
    else response.setHeader("content-type", "application/x-amz-json-1.1").end(JSON.stringify(answered));
  } catch (error) {
    if (!(error instanceof Refusal)) throw error;
    const code = error.message;
    const xml = `<ErrorResponse><Error><Code>${code}</Code><Message>refused</Message></Error></ErrorResponse>`;
    response.writeHead(400).end(asXml ? xml : JSON.stringify({ __type: code, message: "refused" }));
  }
}

function requireRole({ headers }: IncomingMessage): void {
  const signed = headers.authorization?.includes(`Credential=${role.accessKeyId}/`) ?? false;
  if (!signed || headers["x-amz-security-token"] !== role.sessionToken) throw new Refusal("AccessDeniedException");
}

function api({ instanceId, group, hook, logGroup, secret, registry, onLaunched }: Situation): Answer {
  const streams = new Set<unknown>();
  let launched = false;
  return async ({ action, input }) => {
    switch (action) {
      case "secretsmanager.GetSecretValue":
        if (input.SecretId !== secret.arn || input.VersionId !== secret.version) break;
        return { ARN: secret.arn, Name: "keys", VersionId: secret.version, SecretString: secret.text };
      case "AmazonEC2ContainerRegistry_V20150921.GetAuthorizationToken": {
        const expiresAt = Date.now() / 1000 + 12 * 3600;
        const proxyEndpoint = `https://${registry.host}`;
        return { authorizationData: [{ authorizationToken: registryLogin, expiresAt, proxyEndpoint }] };
      }
      case "AutoScaling.CompleteLifecycleAction": {
        const known = input.AutoScalingGroupName === group && input.LifecycleHookName === hook;
        if (!known || input.InstanceId !== instanceId || launched) throw new Refusal("ValidationError");
        await onLaunched();
        launched = true;
        return {};
      }
      case "Logs_20140328.CreateLogStream":
        if (input.logGroupName !== logGroup) break;
        if (streams.has(input.logStreamName)) throw new Refusal("ResourceAlreadyExistsException");
        streams.add(input.logStreamName);
        return {};
      case "Logs_20140328.PutLogEvents":
        if (input.logGroupName !== logGroup || !streams.has(input.logStreamName)) break;
        return { nextSequenceToken: "1" };
      default:
        throw new Refusal("UnknownOperationException");
    }
    throw new Refusal("ResourceNotFoundException");
  };
}
