/** The types that several calls take and give. Public, every one of them. */

/** An IP address and a port; for a Unix socket its path and 0. */
export type Address = [ip: string, port: number];

/** Which end of a connection began it: the `"client"` connected, the `"server"` accepted. */
export type Side = "client" | "server";
