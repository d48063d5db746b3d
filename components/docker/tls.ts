import { createPrivateKey, X509Certificate } from "node:crypto";
import { readFileSync } from "node:fs";
import type { Problem } from "../errors.ts";
import { UserError } from "../errors.ts";

/**
 * Reads the certificate and key with which the edge serves HTTPS. It never shows a key, not even part of it.
 * @returns the certificate, the rest of its chain and the key, in PEM format, as HAProxy expects; undefined if none is
 *   set
 * @throws UserError if a file cannot be read or has the wrong content, or if the two do not belong together
 */
export function readTls(files: {
  tlsCertificate?: string | undefined;
  tlsKey?: string | undefined;
}): string | undefined {
  const { tlsCertificate, tlsKey } = files;
  if (tlsCertificate === undefined || tlsKey === undefined) return undefined;
  const certificatePem = read("tlsCertificate", tlsCertificate);
  const keyPem = read("tlsKey", tlsKey);
  const certificate = parse("tlsCertificate", tlsCertificate, () => new X509Certificate(certificatePem));
  const key = parse("tlsKey", tlsKey, () => createPrivateKey(keyPem));
  if (!certificate.checkPrivateKey(key)) {
    throw refuse("tlsKey", tlsKey, "it is not the certificate's key", `the key of ${tlsCertificate}`);
  }
  if (new Date(certificate.validTo) < new Date()) {
    throw refuse(
      "tlsCertificate",
      tlsCertificate,
      `it expired on ${certificate.validTo}`,
      "a certificate that is valid",
    );
  }
  return `${certificatePem.trim()}\n${keyPem.trim()}`;
}

type Key = "tlsCertificate" | "tlsKey";

const rightForm: Readonly<Record<Key, string>> = {
  tlsCertificate: "the path of a PEM file with the certificate first, then the rest of its chain",
  tlsKey: "the path of a PEM file with the certificate's private key, without a passphrase",
};

function read(setting: Key, path: string): string {
  try {
    return readFileSync(path, "utf8");
  } catch (error) {
    const code = (error as NodeJS.ErrnoException).code ?? "unknown error";
    throw refuse(setting, path, `it cannot be read (${code})`, rightForm[setting]);
  }
}

function parse<T>(setting: Key, path: string, attempt: () => T): T {
  try {
    return attempt();
  } catch {
    const what = setting === "tlsKey" ? "it holds no private key that can be used" : "it holds no certificate";
    throw refuse(setting, path, what, rightForm[setting]);
  }
}

function refuse(key: Key, value: string, wrong: string, right: string): UserError {
  return new UserError({ key, value, wrong, right } satisfies Problem);
}
