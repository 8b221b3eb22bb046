// What Node tells of a certificate, as `tls.info` gives it.

import { assertEquals } from "@std/assert";
import { Buffer } from "node:buffer";
import type { PeerCertificate as NodeCertificate } from "node:tls";
import { decodePem } from "../../tls/core/pem.ts";
import { describe } from "../../tls/core/session.ts";
import { alternative, dns, forge, ip } from "./forge.ts";

const named = forge({
  issuer: "Root",
  subject: "localhost",
  extensions: [alternative(dns("a.test"), ip(1, 2, 3, 4))],
});
const [{ bytes }] = decodePem("cert", named.cert, () => true);

/** What Node tells, where it matters. */
function told(more: Partial<Record<keyof NodeCertificate, unknown>>): NodeCertificate {
  return {
    raw: Buffer.from(bytes),
    subject: { CN: "localhost" },
    issuer: { CN: "Root" },
    valid_from: "Jan  1 00:00:00 2026 GMT",
    valid_to: "Jan  1 00:00:00 2027 GMT",
    serialNumber: "05",
    fingerprint256: "AA:BB",
    ...more,
  } as NodeCertificate;
}

Deno.test("describe() gives what Node tells, and the names that are in the bytes", () => {
  const found = describe(told({ subjectaltname: "DNS:other.test" } as never));
  assertEquals(found, {
    subject: "localhost",
    issuer: "Root",
    names: ["a.test", "1.2.3.4"],
    validFrom: new Date("2026-01-01T00:00:00Z"),
    validTo: new Date("2027-01-01T00:00:00Z"),
    serialNumber: "05",
    fingerprint256: "AA:BB",
    raw: new Uint8Array(bytes),
  });
  assertEquals(found!.raw.buffer.byteLength, bytes.length);
});

Deno.test("describe() gives no names when the bytes cannot be read, or hold none", () => {
  const nameless = decodePem(
    "cert",
    forge({ issuer: "Root", subject: "x", extensions: [] }).cert,
    () => true,
  );
  for (const raw of [bytes.subarray(0, 40), new Uint8Array([1, 2, 3]), nameless[0].bytes]) {
    assertEquals(describe(told({ raw: Buffer.from(raw) }))!.names, []);
  }
});

Deno.test("describe() gives the first name of a party, if it has one", () => {
  const found = describe(told({ subject: { CN: ["one", "two"] }, issuer: {} }))!;
  assertEquals([found.subject, found.issuer], ["one", ""]);
  const bare = describe(told({ subject: undefined, issuer: { CN: [] } }))!;
  assertEquals([bare.subject, bare.issuer], ["", ""]);
});

Deno.test("describe() gives null when there is no certificate", () => {
  assertEquals([null, undefined, {} as never].map(describe), [null, null, null]);
});
