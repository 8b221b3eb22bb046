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

/** How many descriptors a process may have, as far as one can know. */
export function descriptorLimit(): number {
  if (!canCount) return 0;
  const limits = Deno.readTextFileSync("/proc/self/limits");
  return Number(/^Max open files +(\d+)/m.exec(limits)?.[1] ?? 0);
}

/** Waits until no more sockets than `before` are open; a leak makes it fail. */
export async function descriptorsBackTo(before: number): Promise<void> {
  await until(
    () => openDescriptors() <= before,
    `no more than the ${before} sockets from before are open`,
  );
}
