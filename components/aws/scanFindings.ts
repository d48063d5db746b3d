/** The part of ECR's answer about a scan that is used: docs.aws.amazon.com, API_DescribeImageScanFindings. */
export interface ScanAnswer {
  imageScanStatus?: { status?: string | undefined; description?: string | undefined } | undefined;
  imageScanFindings?:
    | {
        findings?: readonly Finding[] | undefined;
        enhancedFindings?: readonly EnhancedFinding[] | undefined;
      }
    | undefined;
}

/** Of basic scanning. */
interface Finding {
  name?: string | undefined;
  severity?: string | undefined;
  attributes?: readonly { key?: string | undefined; value?: string | undefined }[] | undefined;
}

/** Of Amazon Inspector's. */
interface EnhancedFinding {
  severity?: string | undefined;
  title?: string | undefined;
  packageVulnerabilityDetails?:
    | {
        vulnerabilityId?: string | undefined;
        vulnerablePackages?: readonly { name?: string | undefined; version?: string | undefined }[] | undefined;
      }
    | undefined;
}

export type ScanState = { state: "pending" } | { state: "done" } | { state: "unknown"; why: string };

/** A scan's state. Inspector keeps scanning while it watches an image (ACTIVE), with findings from the start. */
export function scanState({ imageScanStatus }: ScanAnswer): ScanState {
  const { status = "PENDING", description = "ECR gives no reason" } = imageScanStatus ?? {};
  if (status === "IN_PROGRESS" || status === "PENDING") return { state: "pending" };
  if (status === "COMPLETE" || status === "ACTIVE") return { state: "done" };
  return { state: "unknown", why: `${status}: ${description}` };
}

/** Each CRITICAL finding in a few words, such as "CVE-2026-0001 in openssl 3.5.0", without duplicates. */
export function criticalFindings({ imageScanFindings }: ScanAnswer): string[] {
  const { findings = [], enhancedFindings = [] } = imageScanFindings ?? {};
  const basic = findings.filter(isCritical).map(({ name = "a finding", attributes = [] }) => {
    const valueOf = (key: string) => attributes.find((attribute) => attribute.key === key)?.value;
    return described(name, valueOf("package_name"), valueOf("package_version"));
  });
  const enhanced = enhancedFindings.filter(isCritical).flatMap(({ title = "a finding", ...finding }) => {
    const { vulnerabilityId = title, vulnerablePackages = [] } = finding.packageVulnerabilityDetails ?? {};
    if (vulnerablePackages.length === 0) return [vulnerabilityId];
    return vulnerablePackages.map(({ name, version }) => described(vulnerabilityId, name, version));
  });
  return [...new Set([...basic, ...enhanced])];
}

function isCritical({ severity }: { severity?: string | undefined }): boolean {
  return severity === "CRITICAL";
}

function described(name: string, packageName: string | undefined, version = ""): string {
  return packageName === undefined ? name : `${name} in ${packageName} ${version}`.trim();
}
