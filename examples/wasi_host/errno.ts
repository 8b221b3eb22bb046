import { socket } from "@taskio/net";

/** WASI's names of failures; the place of a name in the list is its number. */
const NAMES =
  ("SUCCESS 2BIG ACCES ADDRINUSE ADDRNOTAVAIL AFNOSUPPORT AGAIN ALREADY BADF BADMSG BUSY " +
    "CANCELED CHILD CONNABORTED CONNREFUSED CONNRESET DEADLK DESTADDRREQ DOM DQUOT EXIST FAULT FBIG " +
    "HOSTUNREACH IDRM ILSEQ INPROGRESS INTR INVAL IO ISCONN ISDIR LOOP MFILE MLINK MSGSIZE MULTIHOP " +
    "NAMETOOLONG NETDOWN NETRESET NETUNREACH NFILE NOBUFS NODEV NOENT NOEXEC NOLCK NOLINK NOMEM " +
    "NOMSG NOPROTOOPT NOSPC NOSYS NOTCONN NOTDIR NOTEMPTY NOTRECOVERABLE NOTSOCK NOTSUP NOTTY NXIO " +
    "OVERFLOW OWNERDEAD PERM PIPE PROTO PROTONOSUPPORT PROTOTYPE RANGE ROFS SPIPE SRCH STALE " +
    "TIMEDOUT TXTBSY XDEV NOTCAPABLE").split(" ");

export const SUCCESS = 0,
  AGAIN = 6,
  BADF = 8,
  FAULT = 21,
  INVAL = 28,
  IO = 29,
  MFILE = 33,
  NOSYS = 52,
  NOTSOCK = 57,
  NOTSUP = 58,
  SPIPE = 70;

/** A failure of a call, thrown where it is found. */
export class Failure extends Error {
  readonly errno: number;

  constructor(errno: number) {
    super(NAMES[errno]);
    this.errno = errno;
  }
}

/** The number for an error; `undefined` if it is not one that a guest can be told. */
export function errnoOf(error: unknown): number | undefined {
  if (error instanceof Failure) return error.errno;
  if (!(error instanceof socket.SocketError)) return undefined;
  const errno = error.code === "EOPNOTSUPP" ? NOTSUP : NAMES.indexOf(error.code.slice(1));
  return errno > 0 ? errno : IO; // such as a failure of TLS, of which WASI knows nothing
}
