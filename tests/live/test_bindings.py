"""RC-2: sockets are the union of the bindings; RC-10: one that cannot be opened."""
import socket
import sys
import threading

import pytest

from tests.kit import process, relais
from tests.kit.talk import Talk

SINGLE, OTHER = "127.106.1.1", "127.106.1.2"
NEAR, FAR = "127.106.2.1", "127.106.3.1"  # clients


def receive(name, *bindings, ranges):
    return relais.receive(name, *bindings, ranges=[ranges], banner="220 %{connector}", allow=["submit", "any-sender"])


def wide(port, address="0.0.0.0", ranges="127.0.0.0/8"):
    return receive("Wide", f"{address}:{port}", ranges=ranges)


def single(port, address=SINGLE, ranges="127.106.2.0/24"):
    return receive("Single", f"{address}:{port}", ranges=ranges)


def who(port, host, source=None):
    with Talk(port, host=host, source=source, hello=False) as talk:
        return talk.banner


def sockets(port, table="tcp"):
    """How many of IPv4 (or "tcp6") listen on PORT."""
    with open(f"/proc/net/{table}") as lines:
        return sum(fields[3] == "0A" and fields[1].endswith(f":{port:04X}")
                   for fields in map(str.split, lines) if len(fields) > 3)


def bindings(node):
    return {b["address"]: b["open"] for b in node.status()["bindings"]}


def check_who(port):
    assert who(port, SINGLE, NEAR) == "220 Single"
    assert who(port, SINGLE, FAR) == "220 Wide"
    assert who(port, OTHER, NEAR) == "220 Wide", "it is not Single's address"


@pytest.mark.parametrize("address", ["0.0.0.0", "*"])
@pytest.mark.parametrize("is_wide_first", [True, False])
def test_a_single_address_beside_all(start, address, is_wide_first):
    """Whoever stands first: one socket, and the smallest range of those the client has reached."""
    port = process.free_port("0.0.0.0")
    blocks = [wide(port, address), single(port)]
    node = start("".join(blocks if is_wide_first else reversed(blocks)), port)
    check_who(port)
    status = node.status()
    assert status["healthy"], status["bindings"]
    assert sockets(port) == 1
    assert set(bindings(node)) == {f"0.0.0.0:{port}", f"{SINGLE}:{port}"} | ({f"[::]:{port}"} if address == "*" else set())


@pytest.mark.parametrize("is_wide_first", [True, False])
def test_of_ipv6(start, is_wide_first):
    port = process.free_port("0.0.0.0")
    blocks = [wide(port, "[::]", "::/0"), single(port, "[::1]", "::1")]
    node = start("".join(blocks if is_wide_first else reversed(blocks)), port)
    assert who(port, "::1") == "220 Single"
    assert node.status()["healthy"] and sockets(port, "tcp6") == 1


def test_both_kinds(start):
    """All of IPv4 and all of IPv6 are two sockets, which have nothing of one another."""
    port = process.free_port("0.0.0.0")
    node = start(receive("Four", f"0.0.0.0:{port}", ranges="127.0.0.0/8") +
                 receive("Six", f"[::]:{port}", ranges="::/0"), port)
    assert who(port, SINGLE) == "220 Four" and who(port, "::1") == "220 Six"
    assert node.status()["healthy"]
    assert (sockets(port), sockets(port, "tcp6")) == (1, 1)


class Knocking:
    """Clients that come one after the other, all the time."""

    def __init__(self, port, host):
        self.heard, self.is_over = [], False
        self.thread = threading.Thread(target=self.run, args=(port, host), daemon=True)

    def run(self, port, host):
        while not self.is_over:
            try:
                self.heard.append(who(port, host, NEAR))
            except OSError as error:
                self.heard.append(error)

    def more(self):
        before = len(self.heard)
        process.wait_for("more clients", lambda: len(self.heard) > before + 5)

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.is_over = True
        self.thread.join(60)


@pytest.mark.parametrize("address", ["0.0.0.0", "*"])
def test_all_addresses_come_and_go(start, address):
    """RC-11: a socket on all addresses beside a live one on a single one, at a reload, and away again:
    sessions go on, and there is no moment at which a client is turned away."""
    port = process.free_port("0.0.0.0")
    node = start(single(port), port)
    with Talk(port, host=SINGLE, source=NEAR) as stays, Knocking(port, SINGLE) as knocking:
        for _ in range(10):
            node.configure(wide(port, address) + single(port))
            node.tool("reload")
            assert node.status()["healthy"], node.status()["bindings"]
            check_who(port)
            knocking.more()
            node.configure(single(port))
            node.tool("reload")
            assert bindings(node) == {f"{SINGLE}:{port}": True}
            with pytest.raises(ConnectionRefusedError):
                who(port, OTHER)
            knocking.more()
        assert stays.say("NOOP").startswith("250")
    assert set(knocking.heard) == {"220 Single"}


def test_all_addresses_and_then_one(start):
    """From the other side: it was open first, and what it had goes on at a socket of its own."""
    port = process.free_port("0.0.0.0")
    node = start(wide(port) + single(port), port)
    with Talk(port, host=SINGLE, source=NEAR) as stays, Talk(port, host=OTHER, source=FAR) as too, \
            Knocking(port, SINGLE) as knocking:
        for _ in range(5):
            node.configure(single(port))
            node.tool("reload")
            assert bindings(node) == {f"{SINGLE}:{port}": True} and sockets(port) == 1
            knocking.more()
            node.configure(single(port) + wide(port))
            node.tool("reload")
            check_who(port)
        for talk in (stays, too):
            assert talk.say("NOOP").startswith("250"), "a running session is not dropped"
    assert set(knocking.heard) == {"220 Single"}


@pytest.mark.parametrize("is_live", [False, True])
def test_all_addresses_cannot_be_had(start, is_live):
    """RC-10: that connector alone is without its binding, at the start and when it comes at a reload."""
    port = process.free_port("0.0.0.0")
    with socket.create_server(("127.106.9.9", port)):
        node = start(single(port) if is_live else wide(port) + single(port))
        process.wait_for("the single one", lambda: bindings(node).get(f"{SINGLE}:{port}"))
        if is_live:
            node.configure(wide(port) + single(port))
            node.tool("reload")
        assert bindings(node) == {f"0.0.0.0:{port}": False, f"{SINGLE}:{port}": True}
        assert not node.status()["healthy"]
        assert f"binding_failed connector=Wide address=0.0.0.0:{port}" in node.log()
        assert who(port, SINGLE, NEAR) == "220 Single"
    process.wait_for("it to be healthy", lambda: node.status()["healthy"], 60)
    check_who(port)


def test_a_shared_binding_that_cannot_be_had(start):
    """RC-10: it is told of all connectors that are without it."""
    port, good = process.free_port("127.106.9.1"), process.free_port(SINGLE)
    blocks = [receive(name, f"127.106.9.1:{port}", ranges=ranges)
              for name, ranges in [("One", "127.106.2.0/24"), ("Two", "127.106.3.0/24"), ("Three", "127.106.4.0/24")]]
    with socket.create_server(("127.106.9.1", port)):
        node = start("".join(blocks) + receive("Good", f"{SINGLE}:{good}", ranges="127.0.0.0/8"), good)
        node.wait_log(f'binding_failed connector="One, Two, Three" address=127.106.9.1:{port}')
        bad, = [b for b in node.status()["bindings"] if not b["open"]]
        assert bad["connectors"] == ["One", "Two", "Three"] and bad["connector"] == "One, Two, Three"
        shown = node.tool("status").stdout
        assert f"127.106.9.1:{port} (One, Two, Three) NOT OPEN" in shown, shown
        metrics = node.tool("metrics").stdout
        for name in ("One", "Two", "Three"):
            assert f'relais_binding_open{{connector="{name}",address="127.106.9.1:{port}"}} 0' in metrics


# seccomp(2): socket(AF_INET6, ...) fails with EAFNOSUPPORT, as where the kernel has no IPv6.  x86-64.
WITHOUT_IPV6 = """
import ctypes, os, struct, sys
rules = [(0x20, 0, 0, 0), (0x15, 0, 3, 41), (0x20, 0, 0, 16), (0x15, 0, 1, 10), (0x06, 0, 0, 0x50000 | 97),
         (0x06, 0, 0, 0x7fff0000)]
text = ctypes.create_string_buffer(b"".join(struct.pack("HBBI", *r) for r in rules))
program = ctypes.create_string_buffer(struct.pack("HxxxxxxP", len(rules), ctypes.addressof(text)))
libc = ctypes.CDLL(None, use_errno=True)
assert libc.prctl(38, 1, 0, 0, 0) == 0 and libc.prctl(22, 2, program, 0, 0) == 0, os.strerror(ctypes.get_errno())
os.execv(sys.argv[1], sys.argv[1:])
"""


def test_all_addresses_without_ipv6(folder):
    """`*` is what there is: where IPv6 is switched off nothing is missing, and no alarm is raised."""
    port = process.free_port()
    node = relais.Relais(folder, wide(port, "*"), [port])
    node.spawn(prefix=[sys.executable, "-c", WITHOUT_IPV6])
    try:
        node.wait_ready()
        assert who(port, SINGLE) == "220 Wide"
        assert bindings(node) == {f"0.0.0.0:{port}": True} and node.status()["healthy"]
        assert sockets(port, "tcp6") == 0
    finally:
        process.end(node.process)


def test_an_address_that_is_not_ours(start):
    """RC-10: what is wrong is said, not that some host could not be reached."""
    good = process.free_port(SINGLE)
    node = start(receive("Elsewhere", "192.0.2.77:2525", ranges="127.0.0.0/8") + receive("Good", f"{SINGLE}:{good}", ranges="127.0.0.0/8"), good)
    node.wait_log('binding_failed connector=Elsewhere address=192.0.2.77:2525 error="this machine has no such address"')
    bad, = [b for b in node.status()["bindings"] if not b["open"]]
    assert bad["error"] == "this machine has no such address"
    assert "this machine has no such address" in node.tool("status").stdout
