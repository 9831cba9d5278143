"""PR-1: the local program never waits for the network."""
import os
import re
import subprocess
import time

import pytest

from conftest import needs_root
from tests.kit import mails, process, relais, sink
from tests.kit.talk import Talk

COUNT = 1000


def send_and_time(port):
    """COUNT mails on one connection; the seconds from MAIL to 250 of each, in order of size."""
    seconds = []
    with Talk(port) as talk:
        for n in range(COUNT):
            began = time.monotonic()
            talk.raw(b"MAIL FROM:<a@sender.test>\r\nRCPT TO:<b@example.com>\r\nDATA\r\n")
            replies = [talk.reply() for _ in range(3)]
            assert [r[:3] for r in replies] == ["250", "250", "354"], replies
            talk.raw(mails.PLAIN.replace(b"<plain@", b"<%d@" % n).replace(b"\r\n.", b"\r\n..") + b".\r\n")
            reply = talk.reply()
            assert reply.startswith("250 2."), reply
            seconds.append(time.monotonic() - began)
    return sorted(seconds)


def check_p99(seconds):
    p99 = seconds[len(seconds) * 99 // 100]
    assert p99 < 0.250 * process.SLOWER, f"p99 is {p99 * 1000:.1f} ms"


def numbers_of(target):
    return {re.search(rb"^Message-ID: <(\d+)@", m.content, re.M)[1] for m in target.mails}


def check_all_came(target):
    process.wait_for("all mails at the smart host", lambda: len(numbers_of(target)) == COUNT, 60)
    assert len(target.mails) == COUNT, "delivered twice without a reason"


def test_smart_host_down(start):
    port, target_port = process.free_port(), process.free_port()
    node = start(relais.receive("In", f"127.0.0.1:{port}") +
                 relais.send("Out", smart_hosts=[f"[127.0.0.1]:{target_port}"]), port)
    check_p99(send_and_time(port))
    with sink.Sink(port=target_port) as target:
        check_all_came(target)
        node.wait_empty()


def test_smart_host_silent(start):
    """It accepts the connection and never says a word: worse than down."""
    import socket
    port = process.free_port()
    silent = socket.create_server(("127.0.0.1", 0))
    target_port = silent.getsockname()[1]
    start(relais.receive("In", f"127.0.0.1:{port}") +
          relais.send("Out", smart_hosts=[f"[127.0.0.1]:{target_port}"], greeting_timeout="1s"), port)
    check_p99(send_and_time(port))
    silent.close()
    with sink.Sink(port=target_port) as target:
        check_all_came(target)


@pytest.mark.parametrize("name", ["mail.nowhere.example", "mail.nowhere.test"])
def test_dns_unreachable(start, name):
    """The smart host is a name, and no DNS server answers; or the name, our own mistake, cannot be
    (libunbound itself denies all of .test)."""
    port, dns_port = process.free_port(), process.free_port()
    node = start(relais.block("dns", None, servers=[f"127.0.0.1@{dns_port}"], timeout="1s") +
                 relais.receive("In", f"127.0.0.1:{port}") +
                 relais.send("Out", smart_hosts=[name]), port)
    check_p99(send_and_time(port))
    assert node.queued() == COUNT


def test_restart_keeps_the_queue(start):
    port, target_port = process.free_port(), process.free_port()
    node = start(relais.receive("In", f"127.0.0.1:{port}") +
                 relais.send("Out", smart_hosts=[f"[127.0.0.1]:{target_port}"]), port)
    send_and_time(port)
    node.stop()
    with sink.Sink(port=target_port) as target:
        node.start()
        check_all_came(target)


IN_A_NAMESPACE = """\
set -e
ip link set lo up
for folder in /run /var/log /var/spool; do mount -t tmpfs tmpfs $folder; done
exec "$0" -c "$1"
"""


def inside(pid, *command):
    return subprocess.run(["nsenter", "-t", str(pid), "-n", *command], stdout=subprocess.PIPE, check=True, text=True).stdout


@needs_root
def test_an_empty_file_is_a_safe_satellite(folder):
    """No network but loopback, no DNS, nothing configured: it runs, and on loopback alone."""
    file = os.path.join(folder, "relais.conf")
    open(file, "w").close()
    with open(os.path.join(folder, "log"), "w") as log:
        daemon = subprocess.Popen(["unshare", "--net", "--mount", "sh", "-c", IN_A_NAMESPACE, process.RELAISD, file],
                                  stdout=log, stderr=log, stdin=subprocess.DEVNULL)
    try:
        def listening():
            if daemon.poll() is not None:
                raise AssertionError(open(os.path.join(folder, "log")).read())
            lines = inside(daemon.pid, "ss", "-Hltn").splitlines()
            return [line.split()[3] for line in lines]
        # Before it has a network of its own, those of this machine are seen.
        process.wait_for("loopback alone", lambda: sorted(listening()) == ["127.0.0.1:25", "[::1]:25"])
        assert inside(daemon.pid, "ss", "-Hlun") == ""
        # What it takes it keeps, though there is no way out.
        inside(daemon.pid, "swaks", "--server", "127.0.0.1:25", "--helo", "client.test", "--from", "a@sender.test", "--to", "b@example.com",
               "--timeout", "10")
    finally:
        process.end(daemon)
    assert daemon.returncode == 0


def test_memory_of_a_satellite(start):
    """A few MB."""
    port = process.free_port()
    node = start(relais.receive("In", f"127.0.0.1:{port}"), port)
    own = process.memory_bytes(node.pid, "RssAnon")
    assert own < 16 * 1024 * 1024 * process.SLOWER ** 2, f"{own / 1e6:.1f} MB"
