"""Processes, ports and waiting: what every live test, crash harness and benchmark shares."""
import fcntl
import os
import re
import signal
import socket
import subprocess
import tempfile
import time

TOP = os.path.abspath(os.path.join(os.path.dirname(__file__), "..", ".."))
BUILD = os.environ.get("RELAIS_BUILD", os.path.join(TOP, "build"))
RELAISD = os.path.join(BUILD, "relaisd")
RELAIS = os.path.join(BUILD, "relais")

# Sanitizers make everything slower: deadlines are multiplied by this.
SLOWER = float(os.environ.get("RELAIS_TEST_SLOWER", "1"))


def is_sanitized():
    """Then no library can be loaded before relaisd that stands in for what the sanitizers stand in for, too."""
    linked = subprocess.run(["ldd", RELAISD], stdout=subprocess.PIPE, text=True).stdout
    return "libasan" in linked or "libtsan" in linked


class Timeout(AssertionError):
    """What was waited for did not come in time."""


def wait_for(what, is_done, seconds=20, pause=0.02):
    """Polls IS_DONE until it is true and returns its value; WHAT names it in the error."""
    deadline = time.monotonic() + seconds * SLOWER
    while True:
        value = is_done()
        if value:
            return value
        if time.monotonic() > deadline:
            raise Timeout(f"waited {seconds * SLOWER:.0f} s for: {what}")
        time.sleep(pause)


# Below the ephemeral range, so that no client takes one first.
with open("/proc/sys/net/ipv4/ip_local_port_range") as _range:
    _ephemeral = int(_range.read().split()[0])
PORTS = range(10000, min(_ephemeral, 31000) if _ephemeral > 15000 else 31000)
PORT_CURSOR = os.path.join(tempfile.gettempdir(), f"relais-test-port.{os.getuid()}")


def wait_minute(seconds=10):
    """Rates are counted by the minutes of this clock: what takes so long does not cross the end of one."""
    wait_for("the next minute", lambda: time.monotonic() % 60 < 60 - seconds, 2 * seconds)


def free_port(host="127.0.0.1"):
    """A port nobody listens on, and given to nobody else: all test processes of the machine go
    through PORTS in turn, so that one who binds later, or never, meets no other."""
    with open(PORT_CURSOR, "a+") as cursor:
        fcntl.flock(cursor, fcntl.LOCK_EX)
        cursor.seek(0)
        last = int(cursor.read() or 0)
        for step in range(1, len(PORTS) + 1):
            port = PORTS[(last + step) % len(PORTS)]
            if _can_bind(host, port):
                cursor.truncate(0)
                cursor.write(str(last + step))
                return port
    raise RuntimeError("no free port")


def _can_bind(host, port):
    with socket.socket() as s:
        s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            s.bind((host, port))
            return True
        except OSError:
            return False


def listens(port, host="127.0.0.1"):
    """Does something accept at HOST:PORT?  Looked up, not tried: a test connection would be seen
    by what listens."""
    wanted = f":{port:04X}"
    for table in ("/proc/net/tcp", "/proc/net/tcp6"):
        with open(table) as lines:
            for line in lines:
                fields = line.split()
                if len(fields) > 3 and fields[3] == "0A" and fields[1].endswith(wanted):
                    return True
    return False


def is_stopped(pid):
    """By a signal: it will not answer."""
    try:
        with open(f"/proc/{pid}/stat") as f:
            return f.read().rsplit(")", 1)[1].split()[0] in "Tt"
    except OSError:
        return False


def end(process, seconds=15):
    """Ends a process we started: TERM, and KILL when that is not heard.  Returns its code."""
    if process.poll() is None:
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(seconds * SLOWER)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
    return process.returncode


def children(pid):
    """PID and all that came from it."""
    parents = {}
    for name in os.listdir("/proc"):
        if name.isdigit():
            try:
                with open(f"/proc/{name}/stat") as f:
                    parents.setdefault(int(f.read().rsplit(")", 1)[1].split()[1]), []).append(int(name))
            except OSError:
                pass
    found, todo = [], [pid]
    while todo:
        pid = todo.pop()
        found.append(pid)
        todo += parents.get(pid, [])
    return found


def memory_bytes(pid, field="VmRSS"):
    """A line of /proc/PID/status, in bytes."""
    with open(f"/proc/{pid}/status") as f:
        return int(re.search(rf"^{field}:\s+(\d+) kB", f.read(), re.M)[1]) * 1024
