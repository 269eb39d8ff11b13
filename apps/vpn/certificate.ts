/**
 * The server's certificate: one that its user has, or one that is made once and kept, so that clients that know its
 * fingerprint know the server again.
 *
 * @module
 */

import { X509Certificate } from "node:crypto";
import { type Certificate, certificateFor } from "../certificate.ts";
import type { TokenStore } from "./token_store.ts";

/** What is kept, and under which name. */
const setting = "certificate";

/** A certificate that ends sooner is replaced, in milliseconds. */
const leastLife = 86_400_000;

/** The files that a user names. */
export interface CertificateFiles {
  /** The certificate's file, or null. */
  readonly cert: string | null;
  /** Its key's file, or null. */
  readonly key: string | null;
}

/**
 * The certificate to serve with.
 *
 * @param names Names and addresses that a certificate made here is to be good for.
 * @throws {Error} If a file cannot be read, or holds no certificate.
 */
export async function serverCertificate(
  { cert, key }: CertificateFiles,
  names: readonly string[],
  store: TokenStore,
): Promise<Certificate> {
  if (cert !== null) return (await certificateFor({ tls: true, cert, key }, names))!;
  const kept = readKept(store);
  if (kept !== null) return kept;
  const made = (await certificateFor({ tls: true, cert: null, key: null }, names))!;
  store.keepSetting(setting, JSON.stringify(made));
  return made;
}

function readKept(store: TokenStore): Certificate | null {
  const text = store.setting(setting);
  if (text === null) return null;
  const kept = JSON.parse(text) as Certificate;
  return Date.parse(new X509Certificate(kept.cert).validTo) - Date.now() > leastLife ? kept : null;
}
