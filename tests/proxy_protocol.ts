// PROXY headers, as a load balancer sends them.

/** Address family in the upper half, protocol in the lower. */
export type Family = 0x00 | 0x11 | 0x12 | 0x21 | 0x31;

export function textBytes(text: string): Uint8Array<ArrayBuffer> {
  return new TextEncoder().encode(text);
}

const SIGNATURE = "\r\n\r\n\0\r\nQUIT\n";

/** A header of version 2; `command` has the version in its upper half. */
export function binaryHeader(
  command: number,
  family: Family,
  ...parts: Uint8Array[]
): Uint8Array<ArrayBuffer> {
  const size = parts.reduce((n, part) => n + part.length, 0);
  const header = new Uint8Array(16 + size);
  header.set(textBytes(SIGNATURE));
  header.set([command, family, size >> 8, size & 255], 12);
  let at = 16;
  for (const part of parts) {
    header.set(part, at);
    at += part.length;
  }
  return header;
}

export function tlv(type: number, value: Uint8Array): Uint8Array<ArrayBuffer> {
  return Uint8Array.of(type, value.length >> 8, value.length & 255, ...value);
}

/** The 16 bytes of an IPv6 address that is written with at most one `::`. */
export function ipv6Bytes(ip: string): number[] {
  const [head, tail] = ip.split("::").map((part) => part.split(":").filter(Boolean));
  const zeros = new Array(8 - head.length - (tail?.length ?? 0)).fill("0");
  return [...head, ...zeros, ...tail ?? []].flatMap((group) => {
    const value = parseInt(group, 16);
    return [value >> 8, value & 255];
  });
}
