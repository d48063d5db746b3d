import ipaddr from "ipaddr.js";
import { maxZones } from "../settings/aws.ts";

/** A zone's two subnets. */
export interface ZoneLayout {
  zone: string;
  /** For the load balancer and the NAT gateway. */
  publicCidr: string;
  /** For the instances and the endpoints. */
  privateCidr: string;
}

const extraBits = 4;

/**
 * Divides a VPC's range among zones: 16 equal parts, the first eight public, the others private. An additional zone
 * therefore moves no existing subnet.
 * @param cidr from /16 to /24, which leaves 16 to 4096 addresses per subnet (AWS accepts subnets of /28 and larger)
 */
export function layOutSubnets(cidr: string, zones: readonly string[]): ZoneLayout[] {
  const [address, prefix] = ipaddr.IPv4.parseCIDR(cidr);
  const base = Buffer.from(address.octets).readUInt32BE();
  const size = 2 ** (32 - prefix - extraBits);
  const part = (index: number) => `${formatAddress(base + index * size)}/${prefix + extraBits}`;
  return zones.map((zone, index) => ({ zone, publicCidr: part(index), privateCidr: part(maxZones + index) }));
}

function formatAddress(address: number): string {
  const octets = Buffer.alloc(4);
  octets.writeUInt32BE(address);
  return octets.join(".");
}
