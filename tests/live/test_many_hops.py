"""More next hops than connections (QU-8): those that answer are served whatever the others do."""
import contextlib
import os
import socket
import subprocess
import time

import pytest

from tests.kit import big_queue, process, relais, unbound

LIVE, DEAD = "127.90.5.1", "127.90.5.2"
DELIVERIES = 16


@contextlib.contextmanager
def hanging(port):
    """Connections to it are neither made nor refused: its backlog is full."""
    with contextlib.ExitStack() as stack:
        listener = stack.enter_context(socket.socket())
        listener.bind((DEAD, port))
        listener.listen(0)
        for _ in range(4):
            s = stack.enter_context(socket.socket())
            s.setblocking(False)
            s.connect_ex((DEAD, port))
        yield


@pytest.fixture
def relay(folder, request):
    """40 domains of each kind: lN.example answers, dN.example hangs."""
    port, mx_port = process.free_port(), process.free_port()
    names = unbound.Unbound(os.path.join(folder, "dns"),
                            [f"l{n}.example. A {LIVE}" for n in range(40)] +
                            [f"d{n}.example. A {DEAD}" for n in range(40)])
    config = relais.receive("In", f"127.0.0.1:{port}")
    config += relais.send("Out", mx=True, mx_port=mx_port, retry=["2s"], tls="none")
    config += relais.block("dns", None, servers=[names.server])
    config += relais.block("limits", None, deliveries=DELIVERIES)
    node = relais.Relais(os.path.join(folder, "relais"), config, [port])
    node.mx_port = mx_port
    names.start()
    node.start()
    sink = subprocess.Popen([process.RELAIS, "sink", "--listen", f"{LIVE}:{mx_port}", *getattr(request, "param", [])],
                            stdout=subprocess.DEVNULL)
    process.wait_for("the sink", lambda: process.listens(mx_port))
    yield node, port
    process.end(sink)
    node.kill()
    names.stop()


def left(node, name):
    return node.ask("queue", filter=f"to ~ {name}@*", limit=0)[1]["matched"]


def hanging_connections(node):
    return sum(row["connections"] for row in node.ask("queues")[0] if "/d" in row["name"])


def deliver(node, port, recipients, seconds):
    before = node.queued()
    began = time.monotonic()
    big_queue.send(port, recipients)
    process.wait_for("those that answer", lambda: node.queued() <= before, seconds * process.SLOWER, pause=0.02)
    return time.monotonic() - began


def test_more_hops_than_connections(relay):
    """An idle connection is kept for 5 s by itself; 40 hops with 16 connections would take 10 s and more."""
    node, port = relay
    for _ in range(2):
        deliver(node, port, [f"u{i}@l{n}.example" for i in range(5) for n in range(40)], 4)


@pytest.mark.parametrize("relay", [["--delay", f"{30 * process.SLOWER:.0f}ms"]], indirect=True)
def test_a_long_backlog_gives_others_their_turn(relay):
    """Four next hops with much to do have all connections; the others need not wait for their end."""
    node, port = relay
    big_queue.fill(port, [f"much@l{n}.example" for _ in range(1500) for n in range(4)])
    big_queue.send(port, [f"other@l{n}.example" for n in range(4, 40)])
    process.wait_for("the others", lambda: left(node, "other") == 0, 30 * process.SLOWER, pause=0.02)
    assert left(node, "much") > 0


def test_hosts_that_hang_do_not_take_all_connections(relay):
    node, port = relay
    with hanging(node.mx_port):
        deliver(node, port, [f"u@l{n}.example" for n in range(40)], 10)
        big_queue.send(port, [f"u@d{n}.example" for n in range(40)])
        process.wait_for("connections that hang", lambda: hanging_connections(node) > 0)
        for _ in range(3):
            deliver(node, port, [f"u{i}@l{n}.example" for i in range(5) for n in range(40)], 5)
        assert node.queued() == 40
