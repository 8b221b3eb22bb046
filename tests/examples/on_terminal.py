# Runs a command on a terminal of its own. Each line of standard input is JSON: {"keys": "q"} types,
# {"size": [rows, columns]} resizes. What the command prints goes to standard output. At its end the
# last line on standard error is JSON: its exit code, and whether it left the terminal as it was.
import fcntl, json, os, pty, select, signal, struct, subprocess, sys, termios

def resize(fd, rows, columns):
    fcntl.ioctl(fd, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))

def own_terminal():
    os.setsid()
    fcntl.ioctl(0, termios.TIOCSCTTY, 0)

ours, theirs = pty.openpty()
resize(ours, int(sys.argv[1]), int(sys.argv[2]))
before = termios.tcgetattr(theirs)
child = subprocess.Popen(sys.argv[3:], stdin=theirs, stdout=theirs, stderr=theirs,
                         preexec_fn=own_terminal)
sources = [ours, 0]
rest = b""
while True:
    ready, _, _ = select.select(sources, [], [], 0.02)
    if ours in ready:
        os.write(1, os.read(ours, 65536))
    if 0 in ready:
        data = os.read(0, 65536)
        if data == b"":
            sources.remove(0)
        *lines, rest = (rest + data).split(b"\n")
        for line in lines:
            order = json.loads(line)
            if "keys" in order:
                os.write(ours, order["keys"].encode())
            if "size" in order:
                resize(ours, *order["size"])
            if "signal" in order:
                child.send_signal(getattr(signal, order["signal"]))
    if not ready and child.poll() is not None:
        break
same = before == termios.tcgetattr(theirs)
print(json.dumps({"code": child.returncode, "same": same}), file=sys.stderr)
