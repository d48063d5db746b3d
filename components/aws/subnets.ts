/** A zone's two subnets. */
export interface ZoneLayout {
  zone: string;
  /** For the load balancer and the NAT gateway. */
  publicCidr: string;
  /** For the instances and the endpoints. */
  privateCidr: string;
}

/** The most zones that a VPC's range is shared out among; each needs two subnets, of a sixteenth of the range each. */
export const maxZones = 8;

const extraBits = 4;

/**
 * Shares a VPC's range out among zones: 16 parts of equal size, the first eight public, the others private, so that
 * a zone more moves no subnet that is already there.
 * @param cidr of /16 to /24, which leaves 16 to 4096 addresses a subnet (AWS takes subnets of /28 and larger)
 */
export function layOutSubnets(cidr: string, zones: readonly string[]): ZoneLayout[] {
  const [base, prefix] = parseCidr(cidr);
  const size = 2 ** (32 - prefix - extraBits);
  const part = (index: number) => `${formatAddress(base + index * size)}/${prefix + extraBits}`;
  return zones.map((zone, index) => ({ zone, publicCidr: part(index), privateCidr: part(maxZones + index) }));
}

/** Whether an IPv4 range is one that a VPC of ours can have: private, on its boundary, of /16 to /24. */
export function isVpcCidr(cidr: string): boolean {
  const match = /^(\d{1,3})\.(\d{1,3})\.(\d{1,3})\.(\d{1,3})\/(\d{1,2})$/.exec(cidr);
  if (match === null || match.slice(1, 5).some((octet) => Number(octet) > 255)) return false;
  const [base, prefix] = parseCidr(cidr);
  return prefix >= 16 && prefix <= 24 && base % 2 ** (32 - prefix) === 0 && isPrivate(base);
}

/** RFC 1918. */
function isPrivate(address: number): boolean {
  const within = (cidr: string) => {
    const [base, prefix] = parseCidr(cidr);
    return address >= base && address < base + 2 ** (32 - prefix);
  };
  return ["10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16"].some(within);
}

function parseCidr(cidr: string): [base: number, prefix: number] {
  const [address = "", prefix = ""] = cidr.split("/");
  return [address.split(".").reduce((sum, octet) => sum * 256 + Number(octet), 0), Number(prefix)];
}

function formatAddress(address: number): string {
  return [24, 16, 8, 0].map((shift) => Math.floor(address / 2 ** shift) % 256).join(".");
}
