// Whether this machine has IPv6: what needs it is skipped where it has not.

export const hasIpv6: boolean = (() => {
  try {
    Deno.listen({ hostname: "::1", port: 0 }).close();
    return true;
  } catch (error) {
    console.log(`Tests of IPv6 are skipped: cannot listen on ::1: ${(error as Error).message}`);
    return false;
  }
})();
