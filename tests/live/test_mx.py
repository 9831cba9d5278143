"""SC-5: delivery by MX, with the answers of a real name server (RFC 5321, 5.1)."""
import email
import email.policy
import re

import pytest

from tests.kit import dovecot, mails, process, relais, sink, unbound
from tests.kit.talk import Talk

RECORDS = [
    # Two hosts that live, in the wrong order in the file.
    "order.example. MX 20 two.example.", "order.example. MX 10 one.example.",
    "one.example. A 127.0.0.11", "two.example. A 127.0.0.12", "dead.example. A 127.0.0.13",
    "backup.example. MX 10 dead.example.", "backup.example. MX 20 two.example.",
    "half.example. MX 10 missing.example.", "half.example. MX 20 two.example.",
    "implicit.example. A 127.0.0.11",
    "null.example. MX 0 .", "null.example. A 127.0.0.11",
    "nothing.example. TXT text",
    "alias.example. CNAME order.example.",
    "to-alias.example. MX 10 host-alias.example.", "host-alias.example. CNAME one.example.",
    "loop.example. MX 10 relay.test.", "loop.example. MX 20 one.example.",
    "below-us.example. MX 10 two.example.", "below-us.example. MX 20 relay.test.",
    "below-us.example. MX 30 one.example.",
    "below-dead.example. MX 10 dead.example.", "below-dead.example. MX 20 RELAY.test.",
    "below-dead.example. MX 30 one.example.",
    "six.example. MX 10 dual.example.", "six-first.example. MX 10 dual.example.",
    "dual.example. AAAA ::1", "dual.example. A 127.0.0.11",
    "xn--bcher-kva.example. MX 10 one.example.",
]


class World:
    """A relay that delivers by MX to two sinks on one port, and sender.test's mail into a Maildir."""

    def __init__(self, folder, node, one, two):
        self.folder, self.node, self.one, self.two = folder, node, one, two

    def send(self, domain, sender="a", count=1):
        with Talk(self.node.ports[0]) as talk:
            for _ in range(count):
                talk.say(f"MAIL FROM:<{sender}@sender.test>")
                assert talk.say(f"RCPT TO:<b@{domain}>").startswith("250")
                talk.say("DATA")
                talk.raw(mails.PLAIN.replace(b"\r\n.", b"\r\n..") + b".\r\n")
                assert talk.reply().startswith("250 2.")

    @staticmethod
    def came(target, domain):
        return [m for m in target.mails if m.recipients == [f"b@{domain}"]]

    def wait(self, target, domain, count=1):
        process.wait_for(f"{count} mails for {domain}", lambda: len(self.came(target, domain)) == count)

    def bounce(self, user):
        """(status, diagnostic) of the notice in USER's mailbox."""
        path = process.wait_for("a notice", lambda: dovecot.maildir(f"{self.folder}/mail/{user}"))[0]
        with open(path, "rb") as f:
            notice = email.message_from_binary_file(f, policy=email.policy.default)
        about = list(notice.iter_parts())[1].get_payload()[1]
        return about["Status"], about["Diagnostic-Code"]

    def waiting(self, domain):
        """What is said of the one mail for DOMAIN that waits; None when none does."""
        rows, _ = self.node.ask("queue")
        found = [r for r in rows if r["to"] == [f"b@{domain}"]]
        return found[0].get("last_error") if found else None

    def log_of(self, domain):
        return [line for line in self.node.log().splitlines() if domain in line]


@pytest.fixture(scope="module")
def world(module_folder):
    # One port on several addresses.
    port, target = process.free_port("0.0.0.0"), process.free_port("0.0.0.0")
    with unbound.Unbound(f"{module_folder}/unbound", RECORDS, ["refused.example."]) as names, \
            sink.Sink("127.0.0.11", target, extensions=("PIPELINING", "8BITMIME", "SMTPUTF8")) as one, \
            sink.Sink("127.0.0.12", target) as two:
        config = relais.block("dns", None, servers=[names.server], timeout="3s") + \
            relais.receive("In", f"127.0.0.1:{port}") + relais.send("Out", mx=True, mx_port=target) + \
            relais.send("Home", spaces=["sender.test"], maildir=f"{module_folder}/mail/%u")
        with relais.Relais(f"{module_folder}/relais", config, [port]) as node:
            yield World(module_folder, node, one, two)


def test_the_lowest_preference_first(world):
    world.send("order.example", count=20)
    world.wait(world.one, "order.example", 20)
    assert not world.came(world.two, "order.example")


@pytest.mark.parametrize("domain", ["backup.example", "half.example"])
def test_a_dead_first_host(world, domain):
    """Nobody listens there, or it has no address: the second one, within the same attempt."""
    world.send(domain)
    world.wait(world.two, domain)
    assert not [line for line in world.log_of(domain) if "hop_down" in line]


def test_a_domain_without_mx_is_its_own_host(world):
    world.send("implicit.example")
    world.wait(world.one, "implicit.example")


BOUNCES = {
    "null.example": ("5.1.10", "556"),
    "no-such-name.example": ("5.1.2", "550"),
    "loop.example": ("5.4.6", "554"),
}


@pytest.mark.parametrize("domain", BOUNCES)
def test_bounced_at_once(world, domain):
    """Null MX (RFC 7505), NXDOMAIN, and ourselves as the best MX."""
    user = domain.split(".")[0]
    world.send(domain, sender=user)
    status, diagnostic = world.bounce(user)
    assert (status, diagnostic[6:9]) == BOUNCES[domain], diagnostic
    assert domain in diagnostic.replace("\r\n ", "")
    assert not world.came(world.one, domain) and not world.came(world.two, domain)


@pytest.mark.parametrize("domain", ["refused.example", "elsewhere.invalid.org", "nothing.example"])
def test_deferred_when_dns_fails(world, domain):
    """REFUSED, SERVFAIL, and a host that has no address: nothing final was said."""
    world.send(domain)
    error = process.wait_for("an error", lambda: world.waiting(domain))
    assert error.startswith("451 4.4.3"), error
    world.node.tool("remove", "--queue", f"Out/{domain}")


def test_no_name_server_at_all(start):
    port, nobody = process.free_port(), process.free_port()
    node = start(relais.block("dns", None, servers=[f"127.0.0.1@{nobody}"], timeout="1s") +
                 relais.receive("In", f"127.0.0.1:{port}") + relais.send("Out", mx=True), port)
    with Talk(port) as talk:
        assert talk.send(mails.PLAIN, recipients=["b@order.example"]).startswith("250")
    error = process.wait_for("an error", lambda: node.ask("queue")[0][0].get("last_error"))
    assert error.startswith("451 4.4.3"), error


@pytest.mark.parametrize("domain", ["alias.example", "to-alias.example"])
def test_aliases(world, domain):
    """The recipient's domain is a CNAME (the address is not rewritten); an MX points to one,
    which RFC 5321 forbids and everybody takes."""
    world.send(domain)
    world.wait(world.one, domain)


def test_ourselves_among_the_hosts(world):
    """Those better than we are are tried, those behind us never."""
    world.send("below-us.example")
    world.wait(world.two, "below-us.example")
    world.send("below-dead.example")
    process.wait_for("an error", lambda: world.waiting("below-dead.example"))
    assert not world.came(world.one, "below-dead.example") and not world.came(world.one, "below-us.example")
    world.node.tool("remove", "--queue", "Out/below-dead.example")


def test_an_address_literal(world):
    world.send("[127.0.0.12]")
    world.wait(world.two, "[127.0.0.12]")


def test_an_internationalized_domain(world):
    """It is looked up by its A-labels."""
    with Talk(world.node.ports[0]) as talk:
        talk.say("MAIL FROM:<a@sender.test> SMTPUTF8")
        assert talk.say("RCPT TO:<b@b\u00fccher.example>").startswith("250")
        talk.say("DATA")
        talk.raw(mails.PLAIN.replace(b"\r\n.", b"\r\n..") + b".\r\n")
        assert talk.reply().startswith("250 2.")
    process.wait_for("the mail", lambda: any(m.recipients == ["b@b\u00fccher.example"] for m in world.one.mails))


def test_ipv6_refuses_then_ipv4_at_once(world):
    """SM-8: the same attempt, no retry plan in between."""
    world.send("six.example")
    world.wait(world.one, "six.example")
    assert not [line for line in world.log_of("six.example") if re.search("hop_down|host_down", line)]


def test_ipv6_is_first(world):
    with sink.Sink("::1", world.one.port) as six:
        world.send("six-first.example")
        world.wait(six, "six-first.example")
