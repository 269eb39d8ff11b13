/**
 * The certificate of a program that serves TLS: one that its user has, or one made for the occasion.
 *
 * @module
 */

import { generate } from "selfsigned";
import { createHash, X509Certificate } from "node:crypto";
import type { CertifiedKey } from "../stack/application/tls.ts";
import { type Option, toggle, UsageError } from "./cli.ts";
import { readTextFile } from "./transfer/text_file.ts";

/** The options that choose it. */
export const certificateOptions = {
  tls: toggle("Serve TLS; without --cert with a certificate made for this run"),
  cert: file("Serve TLS with the certificate (PEM) in this file"),
  key: file("The private key (PEM) of --cert"),
} as const;

function file(help: string): Option<string | null> {
  return { placeholder: "FILE", help, fallback: null, parse: (text) => text };
}

/** The values of {@linkcode certificateOptions}. */
export interface CertificateValues {
  /** Whether to serve TLS. */
  readonly tls: boolean;
  /** The certificate's file, or null. */
  readonly cert: string | null;
  /** Its key's file, or null. */
  readonly key: string | null;
}

/** A certificate, and how a client can tell it. */
export interface Certificate extends CertifiedKey {
  /** SHA-256 of the certificate, as browsers and openssl show it. */
  readonly fingerprint: string;
}

/**
 * Checks the options before anything is opened.
 *
 * @throws {UsageError} If only one of the two files is named.
 */
export function checkCertificateOptions({ cert, key }: CertificateValues): void {
  if ((cert === null) === (key === null)) return;
  throw new UsageError(
    `Option --${cert === null ? "key" : "cert"} needs --${cert === null ? "cert" : "key"} beside it`,
  );
}

/**
 * The certificate that the options ask for; null if they do not ask for TLS.
 *
 * @param names Names and addresses that a certificate made here is to be good for.
 * @throws {Error} If a file cannot be read, or holds no certificate.
 */
export async function certificateFor(values: CertificateValues, names: readonly string[]): Promise<Certificate | null> {
  const { tls, cert, key } = values;
  if (cert !== null && key !== null) return withFingerprint(await readTextFile(cert), await readTextFile(key));
  return tls ? await makeCertificate(names) : null;
}

/** Makes a certificate that nobody vouches for. */
async function makeCertificate(names: readonly string[]): Promise<Certificate> {
  const altNames = names.map((name) =>
    /^[\d.]+$/.test(name) ? { type: 7 as const, ip: name } : { type: 2 as const, value: name }
  );
  const made = await generate([{ name: "commonName", value: names[0] ?? "tapstack" }], {
    keyType: "ec",
    algorithm: "sha256",
    extensions: [{ name: "subjectAltName", altNames }],
  });
  return withFingerprint(made.cert, made.private);
}

function withFingerprint(cert: string, key: string): Certificate {
  let der: Uint8Array;
  try {
    der = new X509Certificate(cert).raw;
  } catch {
    throw new Error("Cannot use the certificate: the file holds none in PEM form");
  }
  const digest = createHash("sha256").update(der).digest("hex").toUpperCase();
  return { cert, key, fingerprint: digest.match(/../g)!.join(":") };
}
