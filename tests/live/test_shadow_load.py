"""Two nodes under load, on three loops each, while settings change and a node dies: the run that
the sanitizers look at."""
import json
import os
import signal
import subprocess

import pytest

from tests.kit import cluster, process, relais

SESSIONS = 50
LOOPS = relais.block("limits", None, loops=3)


@pytest.fixture
def target(folder):
    """(port, file with a line for each mail that came)"""
    came, port = os.path.join(folder, "came"), process.free_port()
    open(came, "w").close()
    sink = subprocess.Popen([process.RELAIS, "sink", "--listen", f"127.0.0.1:{port}", "--append", came,
                             "--fail-rate", "2"], stdout=subprocess.DEVNULL)
    process.wait_for("the sink", lambda: process.listens(port))
    yield port, came
    process.end(sink)


@pytest.fixture
def both(folder, target, request):
    nodes = cluster.Cluster(folder, relais.send("Out", smart_hosts=[f"[127.0.0.1]:{target[0]}"]), more=LOOPS)
    request.module._nodes = nodes.nodes
    nodes.start()
    yield nodes
    nodes.__exit__(None, None, None)


class Load:
    """MESSAGES to one node, until each of them has its 250."""

    def __init__(self, node, name, messages, size="2k", sessions=SESSIONS, more=()):
        self.name, self.messages = name, messages
        self.process = subprocess.Popen(
            [process.RELAIS, "load", "--json", "--to", f"127.0.0.1:{node.port}", "--size", size, "--sessions",
             str(sessions), "--messages", str(messages), "--id-prefix", name, "--retry", *more],
            stdout=subprocess.PIPE, text=True)

    def is_over(self):
        return self.process.poll() is not None

    def wait(self):
        """The ids of what was acknowledged: all of it."""
        out, _ = self.process.communicate(timeout=100 * process.SLOWER)
        assert self.process.returncode == 0, out
        assert json.loads(out)["acknowledged"] == self.messages
        return {f"{self.name}-{n + 1}" for n in range(self.messages)}


def wait_over(both):
    for node in both.nodes:
        node.wait_empty(100)
    for node in both.nodes:
        process.wait_for("the copies to go", lambda: not node.held(), 30)


def check_all_came(target, ids):
    with open(target[1]) as f:
        names = f.read().split()
    assert set(names) == ids, f"{len(ids - set(names))} lost of {len(ids)}"
    return len(names) - len(ids)  # twice


def change(both, node, **transport):
    """Settings are read again while it works."""
    revision = node.status()["revision"]
    both.configure(node, transport=transport)
    node.reload()
    process.wait_for("the reload", lambda: node.status()["revision"] > revision)


def test_settings_change(both, target):
    """Redundancy is switched off and on again: sessions of all loops see it in the middle of a mail.
    Nothing is lost, and nothing comes twice: nobody dies here, so a node that is slow for some seconds must
    not be taken for lost, from before the first mail on."""
    patient = dict(shadow_heartbeat_retry_count=40)
    for node in both.nodes:
        change(both, node, **patient)
    loads = [Load(node, f"n{at}-{size}", count, size, sessions)
             for at, node in enumerate(both.nodes)
             for size, count, sessions in [("2k", 1200, 25), ("300k", 40, 5)]]
    for turn in range(4):
        for node in both.nodes:
            change(both, node, shadow_redundancy=turn % 2 == 1, **patient)
    ids = set().union(*(load.wait() for load in loads))
    both.wait_together()
    wait_over(both)
    assert check_all_came(target, ids) == 0


def test_a_node_is_killed(both, target):
    """And returns with its spool, and is killed again: what was acknowledged comes."""
    first, second = both.nodes
    loads = [Load(first, "small", 4000), Load(first, "big", 60, "300k", 5), Load(second, "other", 800, sessions=10)]
    for _ in range(2):
        process.wait_for("copies", lambda: second.shadow() and second.held())
        second.kill()
        process.wait_for("its loss to be seen", lambda: not both._is_together(first), 30)
        second.start()
        both.wait_together()
    ids = set().union(*(load.wait() for load in loads))
    wait_over(both)
    twice = check_all_came(target, ids)
    print(f"{len(ids)} acknowledged, {twice} twice")


def test_it_ends_under_load(both, target):
    """TERM in the middle: an ordered end of both, and nothing acknowledged is lost after it."""
    acked = [os.path.join(both.nodes[0].folder, "acked"), os.path.join(both.nodes[1].folder, "acked")]
    loads = [Load(node, f"n{at}", 100000, sessions=25, more=["--acked", acked[at]]) for at, node in enumerate(both.nodes)]
    process.wait_for("mail", lambda: all(os.path.exists(a) and os.path.getsize(a) > 1000 for a in acked))
    for node in both.nodes:
        node.stop()
    for load in loads:
        load.process.send_signal(signal.SIGKILL)
        load.process.communicate()
    both.start()
    wait_over(both)
    ids = set()
    for path in acked:
        with open(path) as f:
            ids |= set(f.read().split())
    with open(target[1]) as f:
        assert not ids - set(f.read().split())
