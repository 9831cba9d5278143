"""RC-3: the most specific range wins; PE-3: relay refused; two connectors that cannot be told apart."""
import os
import subprocess
import sys

import pytest

from conftest import needs_root
from tests.kit import process, relais
from tests.kit.talk import Talk

ASK = """\
import socket, sys
s = socket.create_connection(("192.168.0.1", 2525), 10, (sys.argv[1], 0))
f = s.makefile("rb")
print(f.readline().decode().rstrip())
s.sendall(b"EHLO x\\r\\nMAIL FROM:<a@b.test>\\r\\nRCPT TO:<c@elsewhere.test>\\r\\nQUIT\\r\\n")
print(f.read().decode().splitlines()[-2])
"""


class Network:
    """Two hosts and a wire: 192.168.0.1 has the relay, the other one has many addresses."""

    def __init__(self, *addresses):
        self.relay, self.client = f"relais{os.getpid()}a", f"relais{os.getpid()}b"
        for name in (self.relay, self.client):
            self.ip("netns", "add", name)
            self.ip("-n", name, "link", "set", "lo", "up")
        self.ip("link", "add", "v0", "netns", self.relay, "type", "veth", "peer", "name", "v0", "netns", self.client)
        self.ip("-n", self.relay, "addr", "add", "192.168.0.1/24", "dev", "v0")
        for address in addresses:
            self.ip("-n", self.client, "addr", "add", address, "dev", "v0")
        for name in (self.relay, self.client):
            self.ip("-n", name, "link", "set", "v0", "up")
        self.ip("-n", self.relay, "route", "add", "default", "dev", "v0")

    @staticmethod
    def ip(*arguments):
        subprocess.run(["ip", *arguments], check=True)

    def ask(self, source):
        done = subprocess.run(["ip", "netns", "exec", self.client, sys.executable, "-c", ASK, source],
                              stdout=subprocess.PIPE, text=True, timeout=30, check=True)
        return done.stdout.splitlines()

    def remove(self):
        for name in (self.relay, self.client):
            subprocess.run(["ip", "netns", "del", name])


@pytest.fixture
def network():
    made = Network("192.168.0.30/24", "192.168.0.31/24", "10.9.8.7/32", "192.168.0.200/24")
    yield made
    made.remove()


@needs_root
def test_the_most_specific_range_wins(network, folder):
    config = "".join(relais.receive(name, "*:2525", ranges=ranges, banner="220 %{connector}", allow=allow)
                     for name, ranges, allow in [
                         ("Everybody", ["0.0.0.0/0"], ["submit", "any-sender"]),
                         ("Office", ["192.168.0.0/24"], ["submit", "any-sender"]),
                         ("Storage", ["192.168.0.30"], ["submit", "any-sender", "any-recipient"])])
    node = relais.Relais(folder + "/relais", config, [])
    node.spawn(prefix=["ip", "netns", "exec", network.relay])
    try:
        node.wait_log("listening|binding")
        refused = "550 5.7.54 SMTP; Unable to relay recipient in non-accepted domain"

        def answers():
            try:
                return network.ask("192.168.0.30")
            except subprocess.CalledProcessError:
                return None
        banner, recipient = process.wait_for("the relay to answer", answers, pause=0.3)
        assert banner == "220 Storage"
        assert recipient.startswith("250 2.1.5"), recipient
        assert network.ask("192.168.0.31") == ["220 Office", refused]
        assert network.ask("192.168.0.200") == ["220 Office", refused]
        assert network.ask("10.9.8.7") == ["220 Everybody", refused]
    finally:
        node.stop()


def test_by_loopback_addresses(start):
    """The same choice without root."""
    port = process.free_port("0.0.0.0")
    start("".join(relais.receive(name, f"127.0.0.1:{port}", ranges=[ranges], banner="220 %{connector}")
                  for name, ranges in [("Host", "127.0.0.30"), ("Net", "127.0.0.0/24"), ("Span", "127.1.0.0-127.1.0.9")]),
          port)
    for source, banner in [("127.0.0.30", "220 Host"), ("127.0.0.31", "220 Net"), ("127.1.0.3", "220 Span")]:
        with Talk(port, source=source, hello=False) as talk:
            assert talk.banner == banner
    with Talk(port, source="127.2.0.1", hello=False) as talk:
        assert talk.banner.startswith("554 5.7.1"), talk.banner
        assert talk.reply() == "", "it should have hung up"


OVERLAPS = {
    "the same range": ("10.0.0.0/8", "10.0.0.0/8", "10.0.0.0"),
    "neither in the other": ("10.0.0.0-10.0.0.20", "10.0.0.10-10.0.0.30", "10.0.0.10"),
    "the same address": ("10.0.0.1", "10.0.0.1", "10.0.0.1"),
}


@pytest.mark.parametrize("case", OVERLAPS)
def test_overlapping_ranges_are_refused(folder, case):
    first, second, address = OVERLAPS[case]
    port = process.free_port()
    node = relais.Relais(folder, relais.receive("Scanners", f"127.0.0.1:{port}", ranges=[first]) +
                         relais.receive("Printers", f"127.0.0.1:{port}", ranges=[second]))
    done = node.tool("check", check=False)
    text = done.stdout + done.stderr
    assert done.returncode != 0
    assert "Scanners" in text and "Printers" in text and address in text and "relais.conf:" in text, text
    node.spawn()
    assert node.process.wait(20 * process.SLOWER) != 0, "the daemon must not start either"
    assert "Scanners" in node.log() and "Printers" in node.log()


def test_relay_is_refused_in_these_words(start):
    port = process.free_port("0.0.0.0")
    start(relais.domain("example.com") +
          relais.receive("Strangers", f"127.0.0.1:{port}", ranges=["127.0.0.0/8"], allow=["submit", "any-sender"]) +
          relais.receive("Ours", f"127.0.0.1:{port}", ranges=["127.0.0.7"]), port)
    with Talk(port) as stranger:
        stranger.say("MAIL FROM:<a@sender.test>")
        assert stranger.say("RCPT TO:<b@elsewhere.test>") == \
            "550 5.7.54 SMTP; Unable to relay recipient in non-accepted domain"
        assert stranger.say("RCPT TO:<b@example.com>").startswith("250 2.1.5")
    with Talk(port, source="127.0.0.7") as ours:
        ours.say("MAIL FROM:<a@sender.test>")
        assert ours.say("RCPT TO:<b@elsewhere.test>").startswith("250 2.1.5")
