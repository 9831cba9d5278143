"""SC-1, SC-5: who the hosts of a next hop are: records that change, smart hosts by their MX."""
import email
import email.policy
import re
import threading
import time

import pytest

from tests.kit import dovecot, mails, process, relais, sink, unbound
from tests.kit.talk import Talk

OLD, NEW, SPARE, DEAD = (f"127.103.0.{n}" for n in (11, 12, 13, 14))
ADDRESSES = [f"old.example. 1 IN A {OLD}", f"new.example. 1 IN A {NEW}", f"spare.example. 1 IN A {SPARE}",
             f"dead.example. 1 IN A {DEAD}"]
POOLS = ["pool.example. 1 IN MX 10 dead.example.", "pool.example. 1 IN MX 20 old.example.", "next.example. 1 IN MX 10 new.example.",
         "plain.example. 1 IN A " + SPARE]

US = "127.103.0.21"
LOOPS = [
    f"us.example. A {US}", f"mail.example. A {SPARE}", "outside.example. A 0.0.0.0",
    "by-address.example. MX 10 us.example.", "by-address.example. MX 20 spare.example.",
    "by-connector.example. MX 10 mail.example.", "by-connector.example. MX 20 spare.example.",
    f"implicit.example. A {US}", f"elsewhere.example. A {SPARE}",
    "behind-better.example. MX 10 new.example.", "behind-better.example. MX 20 us.example.",
    "behind-better.example. MX 30 spare.example.",
    "behind-dead.example. MX 10 dead.example.", "behind-dead.example. MX 20 us.example.",
    "behind-dead.example. MX 30 spare.example.",
    "unspecified.example. MX 10 outside.example.",
]


def moving(*hosts):
    """The records of a domain that is served by HOSTS just now."""
    return ADDRESSES + POOLS + LOOPS + [f"moving.example. 1 IN MX {10 * n} {host}.example." for n, host in enumerate(hosts, 1)]


class World:
    def __init__(self, start, names, port, targets):
        self.start, self.names, self.target, self.targets = start, names, port, targets
        self.old, self.new, self.spare = targets

    def relay(self, *ways, **options):
        """A node with these send connectors; returns it."""
        port = process.free_port()
        config = relais.block("dns", None, servers=[self.names.server], timeout="2s")
        config += relais.receive("In", f"127.0.0.1:{port}") + "".join(ways)
        return self.start(config, port, **options)

    def smart(self, *hosts, **options):
        """A send connector with blocks of smart hosts: ("name", {options})."""
        text = relais.send("Out", **options)
        return text[:text.rindex("}")] + "".join(relais.block("smart_host", name, **more) for name, more in hosts) + "}\n"

    def came(self):
        return [len(target.mails) for target in self.targets]


@pytest.fixture
def world(folder, start):
    port = process.free_port("0.0.0.0")
    with unbound.Unbound(f"{folder}/unbound", moving("old"), ["refused.example."]) as names, \
            sink.Sink(OLD, port) as old, sink.Sink(NEW, port) as new, sink.Sink(SPARE, port) as spare:
        yield World(start, names, port, (old, new, spare))


def send(node, count=1, recipient="b@moving.example"):
    with Talk(node.ports[0]) as talk:
        for _ in range(count):
            assert talk.send(mails.PLAIN, recipients=[recipient]).startswith("250 2.")


class Traffic:
    """Mail without a pause, so that the connection to the host is never idle."""

    def __init__(self, node):
        self.node, self.count, self.ends = node, 0, threading.Event()
        self.thread = threading.Thread(target=self._run)

    def _run(self):
        with Talk(self.node.ports[0]) as talk:
            while not self.ends.wait(0.01):
                assert talk.send(mails.PLAIN, recipients=["b@moving.example"]).startswith("250 2.")
                self.count += 1

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.ends.set()
        self.thread.join()


def test_records_that_change_under_traffic(world):
    """SC-5: the old host still accepts, and is connected all the time: mail moves to the new one once the record
    says so; nothing is lost or doubled, and the old one's connection ends with QUIT."""
    node = world.relay(relais.send("Out", mx=True, mx_port=world.target, messages_per_connection="unlimited", connections=1))
    with Traffic(node) as traffic:
        process.wait_for("mail at the old host", lambda: world.old.mails)
        world.names.change(moving("new"))
        process.wait_for("mail at the new host", lambda: world.new.mails, 60)
        process.wait_for("the old host's connection to end", lambda: not world.old.open)
        before = len(world.old.mails)
        process.wait_for("more at the new host", lambda: len(world.new.mails) > 20)
        assert len(world.old.mails) == before and not world.old.open
    node.wait_empty()
    assert sum(world.came()) == traffic.count
    assert [line for line in world.old.commands if line.upper().startswith(b"QUIT")]
    hosts = [h["name"] for r in node.ask("queues")[0] if r["name"] == "Out/moving.example" for h in r["hosts"]]
    assert hosts == ["new.example"], hosts
    assert not [line for line in node.log().splitlines() if "host_down" in line or "hop_down" in line]


def test_a_record_that_goes_and_comes(world):
    """What is known of a host that stays is kept, and one that comes back is as good as new."""
    node = world.relay(relais.send("Out", mx=True, mx_port=world.target))
    with Traffic(node):
        process.wait_for("mail at the old host", lambda: world.old.mails)
        world.names.change(moving("new", "old"))
        process.wait_for("mail at the new host", lambda: world.new.mails, 60)
        world.names.change(moving("old"))
        count = len(world.old.mails)
        process.wait_for("mail at the old host again", lambda: len(world.old.mails) > count + 20, 60)
    node.wait_empty()


def test_names_that_fail_under_traffic(world):
    """DNS is down: the hosts of before serve on."""
    node = world.relay(relais.send("Out", mx=True, mx_port=world.target))
    with Traffic(node) as traffic:
        process.wait_for("mail at the old host", lambda: world.old.mails)
        world.names.stop()
        # Longer than the record lives and the question takes, twice over: told by mail that has come since.
        began = time.monotonic()
        process.wait_for("seconds of mail", lambda: time.monotonic() - began > 8 and len(world.old.mails) > 50, 60)
    node.wait_empty()
    assert world.came() == [traffic.count, 0, 0]
    assert not [line for line in node.log().splitlines() if "hop_down" in line]


def test_several_smart_hosts_by_their_mx(world):
    """Each name without brackets stands for the hosts of its MX records, in its own place."""
    node = world.relay(world.smart(("pool.example", {"port": world.target, "priority": 10}),
                                   ("next.example", {"port": world.target, "priority": 20})))
    send(node, 20)
    node.wait_empty()
    assert world.came() == [20, 0, 0], "the second MX of the first name, whose first is dead"
    shown = node.tool("connector", "show", "Out").stdout
    assert shown.count("by its MX") == 2, shown


def test_a_name_shares_its_weight(world):
    node = world.relay(world.smart((f"pool.example:{world.target}", {"weight": 1}), (f"next.example:{world.target}", {"weight": 1}),
                                   (f"[spare.example]:{world.target}", {"weight": 2}), messages_per_connection=1, connections=8))
    send(node, 300)
    node.wait_empty()
    old, new, spare = world.came()
    assert 30 < old < 130 and 30 < new < 130 and 90 < spare < 210, world.came()


def test_port_and_no_brackets(world):
    """`name:port` is looked up like `name`; without MX records it is the host itself."""
    node = world.relay(relais.send("Out", smart_hosts=[f"next.example:{world.target}"]),
                       relais.send("Plain", spaces=["plain.test"], smart_hosts=[f"plain.example:{world.target}"]))
    send(node, 3)
    send(node, 2, "b@plain.test")
    node.wait_empty()
    assert world.came() == [0, 3, 2]


def test_one_name_that_cannot_be_looked_up(world):
    """The others carry the mail, and it is told that this one does not."""
    node = world.relay(world.smart((f"refused.example:{world.target}", {"priority": 1}), (f"next.example:{world.target}", {"priority": 2})))
    send(node, 5)
    node.wait_empty()
    assert world.came() == [0, 5, 0]
    node.wait_log("host_down.*host=refused.example")
    hosts = {h["name"]: h for r in node.ask("queues")[0] if r["name"] == "Out" for h in r["hosts"]}
    assert hosts["refused.example"]["state"] == "down" and "4.4.3" in hosts["refused.example"]["error"]
    assert hosts["new.example"]["state"] == "up"


# --- Ourselves ---


def looping(world, folder, *bindings):
    """A node that listens on the hosts' port, and finds itself among them."""
    port = process.free_port()
    config = relais.block("dns", None, servers=[world.names.server], timeout="2s")
    config += relais.receive("In", f"127.0.0.1:{port}") + relais.receive("Us", *bindings, fqdn="mail.example")
    config += relais.send("Out", mx=True, mx_port=world.target, retry=["1h"]) + \
        relais.send("Home", spaces=["sender.test"], maildir=f"{folder}/mail/%u")
    node = world.start(config, port)
    return node


def came_by_us(node):
    """The clients that came to the hosts' port."""
    return re.findall(r"connector=Us client=.*", node.log())


def bounced(node, folder, recipient):
    """The status and the diagnostic that the sender is told."""
    user = recipient.split("@")[1].split(".")[0].strip("[")
    with Talk(node.ports[0]) as talk:
        assert talk.send(mails.PLAIN, sender=f"{user}@sender.test", recipients=[recipient]).startswith("250 2.")
    path = process.wait_for(f"the notice for {recipient}", lambda: dovecot.maildir(f"{folder}/mail/{user}"))[0]
    with open(path, "rb") as f:
        notice = email.message_from_binary_file(f, policy=email.policy.default)
    about = list(notice.iter_parts())[1].get_payload()[1]
    return about["Status"], about["Diagnostic-Code"].replace("\r\n", "")


@pytest.mark.parametrize("bound", ["to addresses", "to all"])
def test_mail_never_goes_to_ourselves(world, folder, bound):
    """By a receive connector's name, by an address of a binding, as MX and without one, as a literal: 554 5.4.6 at
    once, and nobody who comes behind us is tried."""
    if bound == "to all":  # no sink can have the port then
        for target in world.targets:
            target.stop()
            target.stop = lambda: None  # it has
        node = looping(world, folder, f"0.0.0.0:{world.target}")
    else:
        node = looping(world, folder, f"{US}:{world.target}", f"127.0.0.1:{world.target}")
    for recipient in ["b@by-address.example", "b@by-connector.example", "b@implicit.example", f"b@[{US}]", "b@unspecified.example"]:
        status, diagnostic = bounced(node, folder, recipient)
        assert status == "5.4.6" and "554 5.4.6 Mail for" in diagnostic and "loops back to myself" in diagnostic, (recipient, diagnostic)
    send(node, 1, "b@by-address.example")  # once more, when all of it is known already
    process.wait_for("the notice", lambda: dovecot.maildir(f"{folder}/mail/a"))
    node.wait_empty()
    assert world.came() == [0, 0, 0]
    assert not came_by_us(node)


def test_hosts_before_us(world, folder):
    """They get the mail; when they are down it waits, and who comes behind us never gets it."""
    node = looping(world, folder, f"{US}:{world.target}")
    send(node, 1, "b@behind-better.example")
    node.wait_empty()
    send(node, 1, "b@behind-dead.example")
    error = process.wait_for("an error", lambda: next((r.get("last_error") for r in node.ask("queue")[0]), None))
    assert "4.4.1" in error and DEAD in error, error
    assert world.came() == [0, 1, 0]


def test_a_smart_host_that_is_ourselves(start, folder):
    """A binding of ours is never given mail, which `relais check` tells beforehand; the same address on another port is
    somebody else."""
    port, inner = process.free_port(), process.free_port(US)
    with sink.Sink(US) as other:
        receive = relais.receive("In", f"127.0.0.1:{port}") + relais.receive("Us", f"{US}:{inner}")
        node = start(receive + relais.send("Out", smart_hosts=[f"[{US}]:{inner}", f"[{US}]:{other.port}"], retry=["1h"]), port)
        assert f'{US}, port {inner}, of send connector "Out" is a binding of this node' in node.tool("check").stderr
        send(node, 20)
        node.wait_empty()
        assert len(other.mails) == 20
        assert not came_by_us(node)
        node.configure(receive + relais.send("Out", smart_hosts=[f"[{US}]:{inner}"], retry=["1h"]))
        node.tool("reload")
        send(node)
        error = process.wait_for("an error", lambda: next((r.get("last_error") for r in node.ask("queue")[0]), None))
        assert error.startswith("451 4.4.6") and "is this node itself" in error, error
        assert not came_by_us(node)


def test_a_named_smart_host_that_is_ourselves(start, folder):
    """Its address is known for an hour, and no attempt later on goes there either."""
    port, inner = process.free_port(), process.free_port(US)
    with unbound.Unbound(f"{folder}/unbound", [f"us.example. 3600 IN A {US}"]) as names:
        node = start(relais.block("dns", None, servers=[names.server], timeout="2s") + relais.receive("In", f"127.0.0.1:{port}") +
                     relais.receive("Us", f"{US}:{inner}") + relais.send("Out", smart_hosts=[f"[us.example]:{inner}"], retry=["1s"]), port)
        send(node)
        process.wait_for("three attempts", lambda: came_by_us(node) or next(
            r for r in node.ask("queues")[0] if r["name"] == "Out").get("retries", 0) >= 3, 60)
        assert not came_by_us(node)
        waiting = node.ask("queue")[0]
        assert len(waiting) == 1 and waiting[0]["last_error"].startswith("451 4.4.6"), waiting


def test_our_address_as_a_literal_twice(start):
    port, inner = process.free_port(), process.free_port(US)
    node = start(relais.receive("In", f"127.0.0.1:{port}") + relais.receive("Us", f"{US}:{inner}") +
                 relais.send("Out", mx=True, mx_port=inner, retry=["1h"]), port)
    for _ in range(3):
        with Talk(port) as talk:
            assert talk.send(mails.PLAIN, sender="", recipients=[f"b@[{US}]"]).startswith("250 2.")
        node.wait_empty()
    assert len(re.findall("554 5.4.6 Mail for", node.log())) >= 3
    assert not came_by_us(node)
