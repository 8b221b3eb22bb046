/** From an ID to what it stands for, or to the error that says what it is instead. */
import {
  checkId,
  fault,
  nameOf,
  type SocketId,
  Task,
  type TaskId,
  wasIssued,
} from "../../task/core/mod.ts";
import { failure } from "./failure.ts";
import type { SocketError } from "./error.ts";
import { handles } from "./handle.ts";
import { Listener } from "./listener.ts";
import { Stream } from "./stream.ts";
import { Unbound } from "./unbound.ts";

/** The connection with this ID, `undefined` if there is none. */
export function findStream(id: SocketId): Stream | undefined {
  const handle = handles.get(id);
  if (!(handle instanceof Stream)) return undefined;
  if (handle.givenBy !== undefined) handle.keep();
  return handle;
}

/** The listener with this ID, `undefined` if there is none. */
export function findListener(id: SocketId): Listener | undefined {
  const handle = handles.get(id);
  return handle instanceof Listener ? handle : undefined;
}

/** For synchronous calls. */
export function getStream(op: string, id: SocketId): Stream {
  const stream = findStream(id);
  if (stream === undefined) throw noSuch(op, id);
  return stream;
}

/** For synchronous calls. */
export function getListener(op: string, id: SocketId): Listener {
  const listener = findListener(id);
  if (listener === undefined) throw noSuch(op, id);
  return listener;
}

/** For calls that give a task: one that is Faulted already, since the ID will not do. */
export function refuse(op: string, id: SocketId): TaskId<never> {
  return faulted(op, id, noSuch(op, id));
}

/** A task that is Faulted already. */
export function faulted(op: string, id: SocketId, error: Error): TaskId<never> {
  const task = new Task(op, id, undefined);
  fault(task, error);
  return task.id;
}

/** Why an ID will not do. */
export function noSuch(op: string, id: SocketId): SocketError {
  checkId(FOR_LISTENERS.has(op) ? "server" : "id", id);
  const handle = handles.get(id);
  if (handle instanceof Listener) {
    return handle.fail("EOPNOTSUPP", op, `${id} is a listener, not a connection`);
  }
  if (handle instanceof Stream) {
    return handle.fail("EOPNOTSUPP", op, `${id} is a connection, not a listener`);
  }
  if (handle instanceof Unbound) {
    const code = FOR_LISTENERS.has(op) ? "EINVAL" : "ENOTCONN";
    return handle.fail(code, op, `${id} neither listens nor is it connected yet`);
  }
  return failure("EBADF", op, { socket: id, text: whatIs(id) });
}

const FOR_LISTENERS = new Set(["accept", "hasconnection", "serve"]);

function whatIs(id: number): string {
  const name = nameOf(id);
  if (name?.startsWith("a socket")) return `${id} is ${name}`;
  if (name !== undefined) return `${id} is ${name}, not a socket`;
  return wasIssued(id)
    ? `${id} is no socket: it was closed, or was a task`
    : `${id} is no socket: no such ID was ever given out`;
}
