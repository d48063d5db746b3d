import { expect, test } from "vitest";
import { criticalFindings, scanState } from "../../../components/aws/scanFindings.ts";

const attributes = [
  { key: "package_version", value: "3.5.0" },
  { key: "package_name", value: "openssl" },
];

test("a CRITICAL finding of basic scanning is named with its package, and no other is", () => {
  const findings = [
    { name: "CVE-2026-0001", severity: "CRITICAL", attributes },
    { name: "CVE-2026-0002", severity: "HIGH", attributes },
  ];
  expect(criticalFindings({ imageScanFindings: { findings } })).toEqual(["CVE-2026-0001 in openssl 3.5.0"]);
});

test("so is one of Amazon Inspector's, once for each package", () => {
  const packages = [{ name: "libssl3", version: "3.5.0" }, { name: "openssl" }, { name: "openssl" }];
  const packageVulnerabilityDetails = { vulnerabilityId: "CVE-2026-0001", vulnerablePackages: packages };
  const enhancedFindings = [
    { severity: "CRITICAL", packageVulnerabilityDetails },
    { severity: "CRITICAL", title: "A secret in a file" },
    { severity: "MEDIUM", packageVulnerabilityDetails },
  ];
  expect(criticalFindings({ imageScanFindings: { enhancedFindings } })).toEqual([
    ...["CVE-2026-0001 in libssl3 3.5.0", "CVE-2026-0001 in openssl", "A secret in a file"],
  ]);
});

test.each([
  [undefined, "pending"],
  ["PENDING", "pending"],
  ["IN_PROGRESS", "pending"],
  ["COMPLETE", "done"],
  ["ACTIVE", "done"],
  ["FAILED", "unknown"],
  ["UNSUPPORTED_IMAGE", "unknown"],
])("a scan that is %s is %s", (status, state) => {
  expect(scanState(status === undefined ? {} : { imageScanStatus: { status } })).toMatchObject({ state });
});
