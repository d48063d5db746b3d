import * as aws from "@pulumi/aws";
import type { Problem } from "../../errors.ts";
import { UserError } from "../../errors.ts";
import type { AwsSettings } from "../../settings/aws.ts";
import { checkDelegation, publicNameServers } from "./delegation.ts";
import { wordsOf } from "./words.ts";

/** A load balancer takes certificates of its own region only. */
export function checkCertificate(certificateArn: string | undefined, region: string): Problem[] {
  const itsRegion = certificateArn?.split(":")[3];
  if (itsRegion === undefined || itsRegion === region) return [];
  const wrong = `the certificate is in ${itsRegion}, and the load balancer in ${region}`;
  return [{ key: "certificateArn", value: certificateArn, wrong, right: `a certificate of ACM in ${region}` }];
}

/**
 * The zone for the domain's record. Undefined: no record is created.
 * @throws UserError if there is none, or if public DNS does not lead to it
 */
export async function lookUpHostedZone(settings: Partial<AwsSettings>): Promise<string | undefined> {
  const { domain, hostedZone, certificateArn, internal = false } = settings;
  if (domain === undefined || (certificateArn !== undefined && hostedZone === undefined)) return undefined;
  const parent = domain.slice(domain.indexOf(".") + 1);
  // The domain may itself be a zone. Nobody has a zone for a top-level domain.
  const names = hostedZone === undefined ? [domain, parent].filter((name) => name.includes(".")) : [hostedZone];
  const zones = await Promise.allSettled(names.map((name) => aws.route53.getZone({ name, privateZone: internal })));
  const found = zones.find((zone) => zone.status === "fulfilled");
  if (found !== undefined) {
    const { zoneId, name: zone, nameServers } = found.value;
    // ACM follows public DNS to the record that proves the domain. With an existing certificate, that is not needed.
    if (!internal && certificateArn === undefined) {
      const problems = checkDelegation({ domain, zone, nameServers }, await publicNameServers(zone));
      if (problems.length > 0) throw new UserError(...problems);
    }
    return zoneId;
  }
  const words = zones.flatMap((zone) => (zone.status === "rejected" ? wordsOf(zone.reason) : []));
  const kind = internal ? "private" : "public";
  const wrong = `no ${kind} zone ${names.join(" or ")}: ${words.at(-1) ?? ""}`;
  const right =
    "a name in a Route 53 zone of this account (hostedZone names the zone), or a certificateArn, with the DNS record made by hand";
  throw new UserError({ key: "domain", value: domain, wrong, right });
}
