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

/** The range that an address is in, by its first address: 203.0.113.0/24 for 203.0.113.5/24. IPv6, too. */
export function networkOf(cidr: string): string {
  const [address = "", prefix = ""] = cidr.split("/");
  const bits = address.includes(":") ? 128n : 32n;
  const hostBits = bits - BigInt(prefix);
  const network = (addressNumber(address) >> hostBits) << hostBits;
  if (network === addressNumber(address)) return cidr; // however it is written
  return bits === 32n ? `${formatAddress(Number(network))}/${prefix}` : `${formatIpv6(network)}/${prefix}`;
}

function addressNumber(address: string): bigint {
  if (!address.includes(":")) return BigInt(parseCidr(address)[0]);
  // URL knows every way to write one, and writes it in one: eight groups in hexadecimal, "::" for the longest zeros.
  const [left = "", right] = new URL(`http://[${address}]`).hostname.slice(1, -1).split("::");
  const groups = (text = "") => text.split(":").filter((group) => group !== "");
  const zeros = Array<string>(8 - groups(left).length - groups(right).length).fill("0");
  const all = [...groups(left), ...zeros, ...groups(right)];
  return BigInt(`0x${all.map((group) => group.padStart(4, "0")).join("")}`);
}

function formatIpv6(address: bigint): string {
  const groups = address.toString(16).padStart(32, "0").match(/.{4}/g) ?? [];
  return new URL(`http://[${groups.join(":")}]`).hostname.slice(1, -1);
}

function parseCidr(cidr: string): [base: number, prefix: number] {
  const [address = "", prefix = ""] = cidr.split("/");
  return [address.split(".").reduce((sum, octet) => sum * 256 + Number(octet), 0), Number(prefix)];
}

function formatAddress(address: number): string {
  return [24, 16, 8, 0].map((shift) => Math.floor(address / 2 ** shift) % 256).join(".");
}
