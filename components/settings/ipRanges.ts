import ipaddr from "ipaddr.js";

/** Whether the stack's VPC can have an IPv4 range: private (RFC 1918), on its boundary, from /16 to /24. */
export function isVpcCidr(cidr: string): boolean {
  if (!ipaddr.IPv4.isValidCIDRFourPartDecimal(cidr)) return false;
  const [address, prefix] = ipaddr.IPv4.parseCIDR(cidr);
  return prefix >= 16 && prefix <= 24 && networkOf(cidr) === cidr && address.range() === "private";
}

/** The range that an address is in, written with its first address: 203.0.113.0/24 for 203.0.113.5/24. IPv6, too. */
export function networkOf(cidr: string): string {
  const [address, prefix] = ipaddr.parseCIDR(cidr);
  const network = (address.kind() === "ipv4" ? ipaddr.IPv4 : ipaddr.IPv6).networkAddressFromCIDR(cidr);
  // In any notation.
  return address.toString() === network.toString() ? cidr : `${network.toString()}/${prefix}`;
}

/** Whether an address can be reached only from this machine. */
export function isLoopback(address: string): boolean {
  return address === "::1" || address.startsWith("127.");
}
