"""Python's socket module over taskio: TCP, blocking and with timeouts, for the standard library.

A call starts a task of the host's and `run_sync` suspends Python until it has settled. What fails
comes back as the name of an error, since Python's numbers here are not Linux's.
"""

import errno
import io

import taskio
from pyodide.ffi import run_sync, to_js

AF_UNSPEC, AF_INET, AF_INET6 = 0, 2, 10
SOCK_STREAM, IPPROTO_TCP, SOL_SOCKET = 1, 6, 1
SO_REUSEADDR, SO_KEEPALIVE, TCP_NODELAY = 2, 9, 1
SHUT_RD, SHUT_WR, SHUT_RDWR = 0, 1, 2
has_ipv6 = True
error, timeout = OSError, TimeoutError
_GLOBAL_DEFAULT_TIMEOUT = object()
_default_timeout = None


class gaierror(OSError):
    pass


def _check(outcome):
    if outcome.code is None:
        return outcome.value
    if outcome.code in ("ENOTFOUND", "EAI_AGAIN"):
        raise gaierror(-2, outcome.message)
    # OSError picks the class that belongs to the number: ConnectionRefusedError, TimeoutError …
    raise OSError(getattr(errno, outcome.code, errno.EPROTO), outcome.message)


class socket:
    def __init__(self, family=AF_INET, type=SOCK_STREAM, proto=0, fileno=None):
        self.family, self.type, self.proto = family, type, proto
        self._id = -1 if fileno is None else fileno
        self._timeout = _default_timeout
        self._address, self._files, self._closed = None, 0, False

    def _wait(self, call, *args):
        limit = None if self._timeout is None else self._timeout * 1000
        return _check(run_sync(call(limit, self._id, *args)))

    def connect(self, address):
        self._id = self._wait(taskio.connect, *address[:2])

    def bind(self, address):
        self._address = address

    def listen(self, backlog=128):
        self._id = _check(taskio.listen(*self._address[:2], backlog))

    def accept(self):
        conn = socket(self.family, fileno=self._wait(taskio.accept))
        return conn, conn.getpeername()

    def recv(self, size, flags=0):
        return self._wait(taskio.recv, size).to_bytes() if size > 0 else b""

    def recv_into(self, buffer, nbytes=0, flags=0):
        view = memoryview(buffer).cast("B")
        data = self.recv(nbytes or len(view))
        view[: len(data)] = data
        return len(data)

    def send(self, data, flags=0):
        return self._wait(taskio.send, to_js(bytes(data)))

    def sendall(self, data, flags=0):
        self.send(data)

    def shutdown(self, how):
        if how != SHUT_RD:
            self._wait(taskio.shutdown)

    def close(self):
        self._closed = True
        if self._files == 0:
            taskio.close(self._id)

    def makefile(self, mode="r", buffering=-1, *, encoding=None, errors=None, newline=None):
        raw = _File(self, mode)
        if buffering == 0:
            return raw
        pair = raw.readable() and raw.writable()
        make = io.BufferedReader if raw.readable() else io.BufferedWriter
        file = io.BufferedRWPair(raw, raw) if pair else make(raw)
        return file if "b" in mode else io.TextIOWrapper(file, encoding, errors, newline)

    def settimeout(self, seconds):
        self._timeout = seconds

    def gettimeout(self):
        return self._timeout

    def setblocking(self, flag):
        self._timeout = None if flag else 0.0

    def setsockopt(self, *args):
        pass  # Connections have TCP_NODELAY and listeners SO_REUSEADDR as it is

    def getpeername(self):
        return tuple(_check(taskio.getpeer(self._id)))

    def getsockname(self):
        return tuple(_check(taskio.getlocal(self._id)))

    def fileno(self):
        return -1 if self._closed else self._id

    def __enter__(self):
        return self

    def __exit__(self, *args):
        self.close()


class _File(io.RawIOBase):
    """What makefile() gives: it keeps the connection open until it is closed, too."""

    def __init__(self, sock, mode):
        self._sock, self._mode = sock, mode
        sock._files += 1

    def readable(self):
        return "r" in self._mode

    def writable(self):
        return "w" in self._mode

    def readinto(self, buffer):
        return self._sock.recv_into(buffer)

    def write(self, data):
        return self._sock.send(data)

    def close(self):
        if not self.closed:
            super().close()
            self._sock._files -= 1
            if self._sock._closed:
                self._sock.close()


def create_connection(address, timeout=_GLOBAL_DEFAULT_TIMEOUT, source_address=None, **_):
    sock = socket()
    if timeout is not _GLOBAL_DEFAULT_TIMEOUT:
        sock.settimeout(timeout)
    sock.connect(address)
    return sock


def create_server(address, *, family=AF_INET, backlog=128, **_):
    sock = socket(family)
    sock.bind(address)
    sock.listen(backlog)
    return sock


def getdefaulttimeout():
    return _default_timeout


def setdefaulttimeout(seconds):
    global _default_timeout
    _default_timeout = seconds


def gethostname():
    return "localhost"


def getfqdn(name=""):
    return name or "localhost"
