import { z } from "zod";
import type { Refuse } from "./shared.ts";
import { sharedSettings } from "./shared.ts";
import { flag, integer, oneOf, setting, text } from "./types.ts";

/** The settings of target docker only. */
export const dockerOnly = {
  replicas: setting(
    integer(1, 64).default(1),
    "Servers behind the load balancer, each with the whole model in RAM and CPU cores of its own. " +
      "1 answers a single user fastest; one for each concurrent user, up to one per core, answers most.",
  ),
  memlock: setting(
    oneOf("unlimited", "inherit").optional(),
    "The containers' limit for locked memory. inherit keeps the Docker daemon's limit, which IPC_LOCK then overrides. If unset, each update finds out whether the daemon may raise it, and uses unlimited if so.",
  ),
  port: setting(integer(1, 65_535).default(8088), "The load balancer's port on this machine."),
  bindAddress: setting(
    z
      .union([z.ipv4(), z.ipv6()], { error: "not an IP address" })
      .describe("an IP address of this machine")
      .default("127.0.0.1"),
    "The address that the port listens on. On any address but loopback, clients need an API key.",
  ),
  statsPort: setting(
    integer(1, 65_535).default(8404),
    "The loopback port of the load balancer's statistics page (/), its Prometheus metrics (/metrics), the gateways' (/gateway-1/metrics, /gateway-2/metrics) and the replicas' (/llama-1/metrics, …).",
  ),
  monitoring: setting(
    flag().default(false),
    "true adds Prometheus and a dashboard on loopback (docs/monitoring.md). They keep 15 days of data, at most 1 GB.",
  ),
  monitoringPort: setting(
    integer(1, 65_535).default(8405),
    "The loopback port of the dashboard (/user/) and of Prometheus' HTTP API (/api/v1) if monitoring is true.",
  ),
  tlsCertificate: setting(
    text(/^[^\r\n]+$/, "the path of a PEM file").optional(),
    "The certificate for HTTPS, with the rest of its chain. Each update reads it; a new one is served without closing the port.",
  ),
  tlsKey: setting(
    text(/^[^\r\n]+$/, "the path of a PEM file").optional(),
    "The certificate's private key. Anybody who may use Docker on this machine can read it.",
  ),
  registry: setting(
    text(
      /^(local|[A-Za-z0-9.-]+(:\d+)?(\/[a-z0-9._-]+)+)$/,
      "local, or host/repository of a registry, such as registry.example.com/team/bitnet-server",
    ).default("local"),
    "The registry for the images. local runs one in a container on loopback.",
  ),
  registryPort: setting(integer(1, 65_535).default(5088), "The loopback port of the local registry."),
  registryUsername: setting(text(/^\S+$/, "the registry's user name").optional(), "User name at an external registry."),
  registryPassword: setting(
    text(/^[^\r\n]+$/, "the registry's password or token, on one line").optional(),
    "Password or token at an external registry.",
    { secret: true },
  ),
};

export const dockerSchema = z.strictObject({ target: z.literal("docker"), ...sharedSettings, ...dockerOnly });
export type DockerSettings = z.output<typeof dockerSchema>;

/** Checks that need several settings. Any may be missing: an invalid one has been reported already. */
export function checkDocker(
  settings: Partial<DockerSettings>,
  isSet: (key: string) => boolean,
  refuse: Refuse<keyof DockerSettings>,
): void {
  const { registry, registryUsername } = settings;
  checkPorts(settings, isSet, refuse);
  if (registry === "local" && registryUsername !== undefined) {
    refuse(
      "registryUsername",
      "the local registry has no users",
      "no user name; or an external registry in `registry`",
    );
  }
  if (isSet("tlsCertificate") !== isSet("tlsKey")) {
    const missing = isSet("tlsCertificate") ? "tlsKey" : "tlsCertificate";
    refuse(missing, "a certificate and its key belong together, and only one of them is set", "both or neither");
  }
  if (isSet("registryUsername") !== isSet("registryPassword")) {
    const missing = isSet("registryUsername") ? "registryPassword" : "registryUsername";
    refuse(missing, "a user name and a password belong together, and only one of them is set", "both or neither");
  }
}

/** The ports that a stack opens. An external registry needs none here; nor does monitoring if it is off. */
export function portsOf(settings: Partial<DockerSettings>) {
  const { registry, port, statsPort, registryPort, monitoring, monitoringPort } = settings;
  return {
    port,
    statsPort,
    ...(monitoring === true ? { monitoringPort } : {}),
    ...(registry === "local" ? { registryPort } : {}),
  };
}

/** Of two equal ports, picks one that the user has set. */
function checkPorts(
  settings: Partial<DockerSettings>,
  isSet: (key: string) => boolean,
  refuse: Refuse<keyof DockerSettings>,
): void {
  const ports = Object.entries(portsOf(settings)) as [keyof ReturnType<typeof portsOf>, number | undefined][];
  for (const [index, [key, port]] of ports.entries()) {
    const twin = ports.slice(0, index).find(([, other]) => other !== undefined && other === port);
    if (twin === undefined) continue;
    const [wrong, other] = isSet(key) ? [key, twin[0]] : [twin[0], key];
    refuse(wrong, `${other} is the same port${isSet(other) ? "" : ", by default"}`, "a different port for each");
  }
}
