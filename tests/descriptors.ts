import { until } from "./settle.ts";

/** Whether this system tells what a process has open. */
export const canCount: boolean = Deno.build.os === "linux";

/** How many sockets this process has open, but for the nameless local ones of Deno's own. */
export function openDescriptors(): number {
  const local = new Set<string>();
  for (const line of Deno.readTextFileSync("/proc/self/net/unix").split("\n")) {
    const [, , , , , , inode, path] = line.split(/\s+/);
    if (path === undefined) local.add(`socket:[${inode}]`);
  }
  let count = 0;
  for (const { name } of Deno.readDirSync("/proc/self/fd")) {
    try {
      const target = Deno.readLinkSync(`/proc/self/fd/${name}`);
      if (target.startsWith("socket:") && !local.has(target)) count++;
    } catch {
      // It was that of the listing itself.
    }
  }
  return count;
}

/** Waits until no more sockets than `before` are open; a leak makes it fail. */
export async function descriptorsBackTo(before: number): Promise<void> {
  await until(
    () => openDescriptors() <= before,
    `no more than the ${before} sockets from before are open`,
  );
}
