// The monitor: what it makes of snapshots, and how it behaves on a terminal.

import { assertEquals, assertMatch, assertNotMatch, assertStringIncludes } from "@std/assert";
import { socket, task } from "@taskio/net";
import { formatAge, formatCount } from "../../examples/monitor/columns.ts";
import { publish } from "../../examples/monitor/publish.ts";
import { render, View } from "../../examples/monitor/screen.ts";
import { formatAddress, type Snapshot } from "../../examples/monitor/snapshot.ts";
import { leavingNothing } from "../settle.ts";
import { Folder } from "./folder.ts";
import { runProgram } from "./program.ts";
import { hasPty, Pty } from "./pty.ts";

Deno.test("formatCount() takes at most four characters and a sign of the unit", () => {
  const numbers = [0, 999, 999.6, 1234, 9949, 9960, 99_999, 999_499, 999_500, 1.5e6, 2e10, 3e15];
  assertEquals(numbers.map(formatCount), [
    ...["0", "999", "1.0k", "1.2k", "9.9k", "10k", "100k", "999k", "1.0M", "1.5M", "20G", "3.0P"],
  ]);
});

Deno.test("formatAge() gives the two highest units", () => {
  const ages = [0, 59_999, 60_000, 3_599_000, 3_600_000, 86_399_000, 100_000_000];
  assertEquals(ages.map(formatAge), ["0s", "59s", "1m00s", "59m59s", "1h00m", "23h59m", "1d3h"]);
});

Deno.test("formatAddress() writes addresses of every kind", () => {
  assertEquals(formatAddress(["127.0.0.1", 80]), "127.0.0.1:80");
  assertEquals(formatAddress(["::1", 80]), "[::1]:80");
  assertEquals(formatAddress(["/run/a.sock", 0]), "/run/a.sock");
  assertEquals(formatAddress(undefined), "");
});

const id = (n: number) => n as never;

function stream(n: number, bytesIn: number, more = {}): socket.StreamRecord {
  return {
    id: id(n),
    kind: "stream",
    side: "server",
    tls: false,
    local: ["10.0.0.1", 80],
    remote: [`10.0.0.${n}`, 50_000 + n],
    proxy: undefined,
    bytesIn,
    bytesOut: 0,
    queuedIn: 0,
    queuedOut: 0,
    pending: [],
    age: 1000,
    ...more,
  };
}

function snapshot(time: number, sockets: socket.SocketRecord[]): Snapshot {
  return { pid: 42, time, sockets, tasks: [], settled: 0 };
}

const WIDE = { columns: 200, rows: 24 };

/** The lines of the table, without its head. */
function rowsOf(now: Snapshot, before?: Snapshot, view = new View(), size = WIDE): string[] {
  const lines = render(now, before, view, size).slice(3, -1);
  return lines.map(({ text }) => text.trim()).filter((text) => text !== "");
}

Deno.test("render() shows rates between two snapshots, the highest first", () => {
  const before = snapshot(1000, [stream(2, 500), stream(3, 0), stream(4, 7000)]);
  const now = snapshot(3000, [stream(2, 1500), stream(3, 6000), stream(4, 7000), stream(5, 100)]);
  const rows = rowsOf(now, before).map((row) => row.split(/ +/));
  assertEquals(rows.map(([id, , , , rate]) => [id, rate]), [
    ["3", "3.0k"],
    ["2", "500"],
    ["5", "100"], // new: the rate of its whole life, a second
    ["4", "0"],
  ]);
});

Deno.test("render() sorts by the column that was chosen, both ways", () => {
  const now = snapshot(1000, [stream(2, 10), stream(3, 30), stream(4, 20)]);
  const view = new View();
  const ids = () => rowsOf(now, undefined, view).map((row) => row.split(" ")[0]).join("");
  assertEquals(ids(), "342");
  view.sort.reverse = true;
  assertEquals(ids(), "243");
  const sortBy = (title: string) => {
    while (view.sort.title !== title) view.sortByNext(-1);
  };
  sortBy("remote");
  assertEquals(ids(), "234");
  sortBy("id");
  assertEquals(ids(), "432");
  view.sortByNext(-1);
  assertEquals(view.sort.title, "age"); // all the way round
});

Deno.test("render() tells of a listener what came of those who connected", () => {
  const listener: socket.ListenerRecord = {
    id: id(1),
    kind: "listener",
    tls: true,
    local: ["::", 443],
    accepted: 100,
    ready: 2,
    handshaking: 3,
    dropped: 4,
    validTo: undefined,
    pending: [id(9)],
    age: 10_000,
  };
  const [row] = rowsOf(snapshot(1000, [listener]));
  assertStringIncludes(row, "100 accepted (10/s), 4 dropped, 3 in handshake, 2 ready");
  assertStringIncludes(row, "listener tls");
});

Deno.test("render() lets nobody move the cursor", () => {
  const evil = stream(2, 0, { remote: ["/tmp/\x1b[2J\u{1f600}", 0] });
  const text = render(snapshot(0, [evil]), undefined, new View(), WIDE).map(({ text }) => text);
  assertNotMatch(text.join(""), /[^ -~]/);
});

Deno.test("render() fits every window", () => {
  const sockets = Array.from({ length: 50 }, (_, i) => stream(i + 1, i * 1000));
  const now = snapshot(1000, sockets);
  for (const columns of [1, 2, 5, 10, 20, 40, 80, 200]) {
    for (const rows of [1, 2, 3, 4, 5, 24, 100]) {
      const lines = render(now, undefined, new View(), { columns, rows });
      assertEquals([lines.length, lines.some(({ text }) => text.length > columns)], [rows, false]);
    }
  }
  // What is left of a narrow table are its most important columns, and the sorted one.
  const narrow = render(now, undefined, new View(), { columns: 33, rows: 10 });
  assertMatch(narrow[2].text, /^id +remote +in\/sv *$/);
});

Deno.test("render() scrolls no further than there are rows", () => {
  const now = snapshot(1000, Array.from({ length: 10 }, (_, i) => stream(i + 1, 0)));
  const view = new View();
  view.top = 100;
  assertEquals(rowsOf(now, undefined, view, { columns: 100, rows: 9 }).length, 5);
  assertEquals(view.top, 5);
  view.top = -3;
  rowsOf(now, undefined, view);
  assertEquals(view.top, 0);
});

const linux = Deno.build.os !== "windows";

function test(name: string, run: (path: string) => Promise<void>, missing = false): void {
  Deno.test({
    name: missing ? `${name} (skipped: no python3 to make a terminal with)` : name,
    ignore: missing || !linux,
    fn: () =>
      leavingNothing(async () => {
        using folder = new Folder();
        const path = `${folder.path}/monitor.sock`;
        publish(path);
        try {
          await run(path);
        } finally {
          socket.list().forEach(socket.close);
          await task.wait();
        }
      }),
  });
}

test("publish() answers each line with a snapshot", async (path) => {
  assertEquals(Deno.statSync(path).mode! & 0o777, 0o600);
  const client = await socket.unixconnect(path);
  for (let i = 0; i < 2; i++) {
    const receiving = socket.recvLine(client, { max: 1 << 20 });
    await task.await(socket.send(client, "\n"));
    const line = await task.await(receiving);
    const { pid, sockets, tasks, settled }: Snapshot = JSON.parse(line!);
    assertEquals([pid, settled], [Deno.pid, 0]);
    assertEquals(sockets.map(({ id }) => id), socket.list());
    const kinds = tasks.map(({ kind }) => kind).sort();
    assertEquals(kinds, ["accept", "handler", "recvLine", "serve"]); // the recvLine is this test's
  }
  socket.close(client);
});

test("monitor prints the table once without a terminal", async (path) => {
  const server = socket.tcpserver("127.0.0.1", 0);
  const { code, stdout, stderr } = await runProgram("monitor/monitor", `--path=${path}`, "--once");
  assertEquals([code, stderr], [0, ""]);
  const [summary, , head, ...rows] = stdout.trimEnd().split("\n");
  assertMatch(summary, RegExp(`^process ${Deno.pid}  1 listening, 0 connected `));
  assertMatch(
    head,
    /^ *id +kind +local +remote +in\/sv +out\/s +in +out +q-in +q-out +tasks +age$/,
  );
  // The monitor's own sockets are left out.
  assertEquals(rows.length, 1);
  assertMatch(
    rows[0],
    RegExp(`^ *${server}  listener +127\\.0\\.0\\.1:\\d+ +0 accepted \\(0/s\\) `),
  );
  socket.close(server);
});

test("monitor says that it needs a terminal", async (path) => {
  const { code, stderr } = await runProgram("monitor/monitor", `--path=${path}`);
  assertEquals(code, 1);
  assertEquals(
    stderr,
    "monitor/monitor: standard input and output must be a terminal; or give --once\n",
  );
});

const PERMISSIONS = ["--allow-net", "--allow-read", "--allow-write"];

function start(path: string, rows: number, columns: number): Pty {
  const args = [`--path=${path}`, "--every=20"];
  const program = ["run", ...PERMISSIONS, "examples/monitor/monitor.ts", ...args];
  return new Pty(rows, columns, [Deno.execPath(), ...program]);
}

/** What the program printed after it gave the terminal back. */
const afterwards = (pty: Pty) => pty.printed.split("\x1b[?1049l").slice(1).join();

test("monitor redraws in place, sorts, scrolls and survives a narrow window", async (path) => {
  const [one, other] = await socket.pair();
  await using pty = start(path, 12, 140);
  await pty.shows(/0 listening, 2 connected/);
  assertEquals([pty.screen.alternate, pty.screen.hidden], [true, true]);
  assertMatch(pty.screen.text, /^ *id +kind .*in\/sv/m);

  // It shows what changes.
  const receiving = socket.recv(other);
  await pty.shows(RegExp(`^ *${other} .* 1 +\\d+s$`, "m"));
  await task.await(socket.send(one, "x".repeat(1234)));
  await task.await(receiving);
  await pty.shows(RegExp(`^ *${other} .* 1\\.2k `, "m"));
  const server = socket.tcpserver("127.0.0.1", 0);
  await pty.shows(/1 listening, 2 connected/);

  await pty.press("\x1b[C");
  await pty.shows(/ in\/s +out\/sv /);
  await pty.press("r");
  await pty.shows(/ out\/s\^ /);
  await pty.press("t");
  await pty.shows(/^ *id +kind +agev +socket +remote$/m);
  await pty.press("t");
  await pty.resize(6, 30);
  await pty.shows(/^ *id +.*out\/s\^$/m);
  await pty.shows(/^q quit {2}left\/right sort {2}r rev$/m);
  assertEquals(pty.screen.text.split("\n").length, 6);
  await pty.press("\x1b[B");
  await pty.resize(1, 1);
  await pty.shows(/^p$/);
  await pty.resize(12, 140);
  await pty.press("\x1b[A ");
  await pty.shows(/space go on/);
  // While it is paused nothing changes.
  socket.close(server);
  await pty.press(" ");
  await pty.shows(/0 listening, 2 connected .*space pause/s);

  await pty.press("q");
  assertEquals(await pty.ended(), { code: 0, same: true });
  assertEquals([pty.screen.alternate, pty.screen.hidden], [false, false]);
  assertEquals(afterwards(pty), "");
  [one, other].forEach(socket.close);
}, !hasPty);

const WAYS_OUT: [name: string, act: (pty: Pty) => Promise<void>][] = [
  ["q", (pty) => pty.press("q")],
  ["Ctrl-C", (pty) => pty.press("\x03")],
  ["SIGINT", (pty) => pty.signal("SIGINT")],
  ["SIGTERM", (pty) => pty.signal("SIGTERM")],
];

for (const [name, act] of WAYS_OUT) {
  test(`monitor leaves the terminal as it was on ${name}`, async (path) => {
    await using pty = start(path, 24, 80);
    await pty.shows(/0 listening, 0 connected/);
    await act(pty);
    assertEquals(await pty.ended(), { code: 0, same: true });
    assertEquals([pty.screen.alternate, pty.screen.hidden], [false, false]);
    assertEquals(afterwards(pty), "");
  }, !hasPty);
}

test("monitor leaves the terminal as it was when the program ends", async (path) => {
  await using pty = start(path, 24, 80);
  await pty.shows(/0 listening, 0 connected/);
  socket.list().forEach(socket.close);
  assertEquals(await pty.ended(), { code: 1, same: true });
  assertEquals([pty.screen.alternate, pty.screen.hidden], [false, false]);
  assertEquals(afterwards(pty), "monitor/monitor: the program has ended\r\n");
}, !hasPty);

test("monitor says when nobody publishes", async (path) => {
  const { code, stderr } = await runProgram("monitor/monitor", `--path=${path}.not`, "--once");
  assertEquals(code, 1);
  const advice = "Start a program that calls publish, or give --path.";
  assertMatch(stderr, RegExp(`^monitor/monitor: connect .*\\(ENOENT\\)\\. ${advice}\n$`));
});
