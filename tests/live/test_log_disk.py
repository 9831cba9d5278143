"""The disk of the logs hangs, or some of their files cannot be read: mail goes on, and who asks is told (OP-3, OP-5).

The disk is made to hang from outside: tests/crash/hang.c, loaded before relaisd, keeps its reads or writes of log
files from coming back while a file is there."""
import json
import os
import socket
import subprocess

import pytest

from tests.kit import mails, process, relais, sink
from tests.kit.talk import Talk

HANG = os.path.join(process.BUILD, "tests", "crash", "hang.so")
HOST = "127.63.1.1"
SESSION = "0123456789abcdef"

__test__ = not process.is_sanitized()


class Disk:
    """The logs in FOLDER are on it."""

    def __init__(self, folder):
        self.files = {name: os.path.join(folder, f"no-{name}") for name in ("reads", "writes")}
        self.log = os.path.join(folder, "hung")
        self.options = dict(preload=HANG, env=dict(
            HANG_OF=os.path.join(folder, "protocol.log"), HANG_LOG=self.log,
            HANG_READS_WHILE=self.files["reads"], HANG_WRITES_WHILE=self.files["writes"]))

    def hang(self, what):
        open(self.files[what], "w").close()

    def come_back(self, what):
        os.unlink(self.files[what])

    def calls(self, kind):
        """How many there were: "r" or "w"."""
        with open(self.log) as f:
            return f.read().count(kind)


@pytest.fixture
def node(start, folder):
    """Home is a Maildir; Out goes to a port where nobody listens yet."""
    port, far = process.free_port(), process.free_port()
    disk = Disk(os.path.join(folder, "relais"))
    node = start(relais.receive("In", f"{HOST}:{port}") +
                 relais.send("Home", spaces=["home.test"], maildir=f"{folder}/mail/%u") +
                 relais.send("Out", smart_hosts=[f"[{HOST}]:{far}"], retry=["1h"], message_retry="1h"),
                 port, **disk.options)
    node.disk, node.port, node.far = disk, port, far
    return node


def send(node, recipient):
    with Talk(node.port, host=HOST) as talk:
        assert talk.send(mails.PLAIN, sender="a@sender.test", recipients=[recipient]).startswith("250")


class Trace:
    """One that is asked for; its answer may come later."""

    def __init__(self, node, name=SESSION):
        self.socket = socket.socket(socket.AF_UNIX)
        self.socket.settimeout(60 * process.SLOWER)
        self.socket.connect(os.path.join(node.folder, "control"))
        self.socket.sendall(json.dumps({"command": "trace", "id": name}).encode() + b"\n")

    def answer(self):
        """Its last object; there are no rows."""
        return json.loads(self.socket.makefile().readline())

    def close(self):
        self.socket.close()


def hanging_traces(node, count):
    """COUNT are asked for, and one of them hangs at least."""
    node.disk.hang("reads")
    traces = [Trace(node) for _ in range(count)]
    process.wait_for("a trace to hang", lambda: node.disk.calls("r") > 0)
    assert node.status()["ok"]
    return traces


def test_mail_goes_on_while_traces_hang(node, folder):
    """What rests is read from the spool, and Maildirs are written, though more traces hang than the pool has threads."""
    send(node, "rests@far.test")
    node.stop()
    node.start(**node.disk.options)  # so it is on the disk alone
    node.wait_log("hop_down")
    hanging_traces(node, 6)
    with sink.Sink(host=HOST, port=node.far) as target:
        node.tool("retry", "--all")
        send(node, "x@home.test")
        process.wait_for("the message that rested", lambda: target.mails)
        node.wait_empty()
    assert len(os.listdir(f"{folder}/mail/x/new")) == 1
    node.disk.come_back("reads")


def test_a_trace_that_hangs_does_not_keep_relaisd(node):
    hanging_traces(node, 6)
    node.stop()  # it must go in peace


def test_traces_wait_for_one_another(node):
    """In the order they came in; not for ever."""
    first, second = hanging_traces(node, 2)
    answer = second.answer()
    assert not answer["ok"] and answer["code"] == 75 and "another one has not ended" in answer["error"], answer
    third = Trace(node)
    node.disk.come_back("reads")
    for trace in (first, third):
        answer = trace.answer()
        assert answer["error"] == "the logs say nothing of it" and answer["code"] == 66, answer


def sockets(node):
    """How many it has open."""
    def is_socket(fd):
        try:
            return os.readlink(f"/proc/{node.pid}/fd/{fd}").startswith("socket:")
        except FileNotFoundError:
            return False
    return sum(map(is_socket, os.listdir(f"/proc/{node.pid}/fd")))


def test_a_trace_ends_when_its_client_is_gone(node):
    for n in range(1, 10):
        with open(f"{node.folder}/protocol.log.{n}", "w") as f:
            f.write("a line\n" * 100)
    before = sockets(node)
    first, second = hanging_traces(node, 2)
    first.close()
    second.close()
    # Of the one at work nothing is seen; it was looked at before the one that waited.
    process.wait_for("the one that waited to be forgotten", lambda: sockets(node) == before + 1)
    node.disk.come_back("reads")
    process.wait_for("the other one to end", lambda: sockets(node) == before)
    assert node.disk.calls("r") == 1


def test_logs_that_are_behind(node):
    """Their disk takes no more: what was in them before is found, and told to be old."""
    behind = "disk of the logs hangs: what happened last is not in them"
    send(node, "x@home.test")
    node.wait_empty()
    mid, = {m["id"] for m in map(json.loads, node.tool("--json", "track").stdout.splitlines())}
    before = node.disk.calls("w")
    node.disk.hang("writes")
    send(node, "y@home.test")
    process.wait_for("a write to hang", lambda: node.disk.calls("w") > before)
    for command in ("track", "trace"):
        found = node.tool(command, mid)
        assert "DELIVER" in found.stdout and behind in found.stderr, found
        none = node.tool(command, "f" * 32, check=False)
        assert none.returncode == 66 and "what happened last is not in them" in none.stderr, none
    node.disk.come_back("writes")
    process.wait_for("the logs", lambda: node.ask("sync-logs")[1]["written"])
    assert "y@home.test" in node.tool("track").stdout
    for command in ("track", "trace"):
        assert not node.tool(command, mid).stderr


# --- Files that cannot be read --------------------------------------------------------------------------------------

def test_a_file_that_cannot_be_read_is_told_of(node):
    """By track, which reads itself, and by trace, for which relaisd reads."""
    send(node, "x@home.test")
    node.wait_empty()
    mid, = {e["id"] for e in map(json.loads, node.tool("--json", "track").stdout.splitlines())}
    unknown = "f" * 32
    for name in ("tracking", "protocol"):
        os.symlink(f"{name}.log.2", f"{node.folder}/{name}.log.2")  # it leads to itself
    tracking, protocol = (f"{node.folder}/{name}.log.2: Too many levels of symbolic links" for name in ("tracking", "protocol"))

    found = node.tool("track", mid)
    assert "DELIVER" in found.stdout and f"{tracking}; what it says is not known" in found.stderr, found
    none = node.tool("track", unknown, check=False)
    assert none.returncode == 71 and f"{tracking}; no such message was found" in none.stderr, none

    found = node.tool("trace", mid)
    assert "DELIVER" in found.stdout and f"{protocol}; what it says is not known" in found.stderr, found
    assert tracking in found.stderr, found
    none = node.tool("trace", unknown, check=False)
    assert none.returncode == 74 and f"{protocol}; the logs say nothing of it else" in none.stderr, none

    for name in ("tracking", "protocol"):
        os.unlink(f"{node.folder}/{name}.log.2")
    assert not node.tool("track", mid).stderr and not node.tool("trace", mid).stderr
    assert node.tool("track", unknown, check=False).returncode == 66


def test_a_log_that_is_not_there(node):
    node.stop()
    os.unlink(f"{node.folder}/tracking.log")
    none = node.tool("track", "f" * 32, check=False)
    assert none.returncode == 66 and f"{node.folder}/tracking.log: No such file or directory" in none.stderr, none
    node.start(**node.disk.options)


def test_more_files_than_descriptors(start, folder):
    """A message in the oldest of them is found."""
    port, count = process.free_port(), 1500
    base = relais.BASE.replace("    target = stderr\n", f"    target = stderr\n    files = {count}\n")
    node = start(relais.receive("In", f"{HOST}:{port}") + relais.send("Home", maildir=f"{folder}/mail/%u"), port, base=base)
    node.port = port
    send(node, "x@home.test")
    node.wait_empty()
    mid, = {m["id"] for m in map(json.loads, node.tool("--json", "track").stdout.splitlines())}
    node.stop()
    os.rename(f"{node.folder}/tracking.log", f"{node.folder}/tracking.log.{count}")
    for n in range(1, count):
        open(f"{node.folder}/tracking.log.{n}", "w").close()
    node.start()
    command = ["prlimit", "--nofile=256:256", process.RELAIS, "-c", node.file, "track", mid]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60 * process.SLOWER)
    assert done.returncode == 0 and "DELIVER" in done.stdout and not done.stderr, done
    assert "DELIVER" in node.tool("trace", mid).stdout
