import { promises as dns } from "node:dns";
import type { Problem } from "../../errors.ts";

/**
 * Public resolvers (Cloudflare's and Google's): a name that only this network resolves must not pass for a public one.
 */
const publicResolvers = ["1.1.1.1", "8.8.8.8"];

/** A zone's name servers according to public DNS. Undefined: public DNS cannot be reached from here. */
export async function publicNameServers(zone: string): Promise<readonly string[] | undefined> {
  const resolver = new dns.Resolver({ timeout: 2000, tries: 1 });
  resolver.setServers(publicResolvers);
  try {
    return await resolver.resolveNs(zone);
  } catch (error) {
    const { code = "" } = error as NodeJS.ErrnoException;
    return ["ENOTFOUND", "ENODATA"].includes(code) ? [] : undefined;
  }
}

/**
 * Whether public DNS delegates the zone to Route 53. If it does not, ACM never sees the record that proves the name,
 * and the update would wait more than an hour for its certificate.
 * @param nameServers the hosted zone's
 * @param answer see {@link publicNameServers}
 */
export function checkDelegation(
  { domain, zone, nameServers }: { domain: string; zone: string; nameServers: readonly string[] },
  answer: readonly string[] | undefined,
): Problem[] {
  const plain = (names: readonly string[]) => names.map((name) => name.toLowerCase().replace(/\.$/, ""));
  if (answer === undefined || plain(answer).some((server) => plain(nameServers).includes(server))) return [];
  const seen = answer.length === 0 ? "names no server for it" : `sends them to ${answer.join(", ")}`;
  const wrong = `those who ask for it do not reach its zone ${zone} in Route 53: public DNS ${seen}`;
  const right = `NS records for ${zone} in its parent zone, or at its registrar: ${nameServers.join(", ")}`;
  return [{ key: "domain", value: domain, wrong, right }];
}
