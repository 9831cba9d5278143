"""SC-4: several smart hosts, dead ones, and another connector when none is left."""
import re
import socket
import threading

import pytest

from tests.kit import mails, process, relais, sink
from tests.kit.talk import Talk


def host(port, **options):
    return relais.block("smart_host", f"[127.0.0.1]:{port}", **options)


def with_hosts(name, *hosts, **options):
    """A send connector with blocks of smart hosts in it."""
    text = relais.send(name, **options)
    return text[:text.rindex("}")] + "".join(hosts) + "}\n"


def relay(start, *connectors, **options):
    port = process.free_port()
    node = start(relais.receive("In", f"127.0.0.1:{port}") + "".join(connectors), port, **options)
    return node, port


def send(port, count=1, recipients=("b@example.com",)):
    with Talk(port) as talk:
        for _ in range(count):
            assert talk.send(mails.PLAIN, recipients=recipients).startswith("250 2.")


def events(node, name):
    return [line for line in node.log().splitlines() if re.search(rf"\b{name}\b", line)]


def states(node, queue="Out"):
    """What is known of each host of a queue."""
    rows, _ = node.ask("queues")
    return {h["name"]: h["state"] for row in rows if row["name"] == queue for h in row.get("hosts", [])}


def test_by_priority(start):
    """All mail goes to the first; the others are not even connected to."""
    with sink.Sink() as first, sink.Sink() as second, sink.Sink() as third:
        _, port = relay(start, with_hosts("Out", host(third.port, priority=30), host(first.port, priority=10),
                                          host(second.port, priority=20)))
        send(port, 30)
        process.wait_for("30 mails", lambda: len(first.mails) == 30)
        assert second.connections == third.connections == 0


def test_spread_by_weight(start):
    """One connection a mail, so each is a choice: 3 to 1, roughly."""
    with sink.Sink() as heavy, sink.Sink() as light, sink.Sink() as spare:
        _, port = relay(start, with_hosts("Out", host(heavy.port, weight=3), host(light.port, weight=1),
                                          host(spare.port, priority=20), messages_per_connection=1))
        send(port, 200)
        process.wait_for("200 mails", lambda: len(heavy.mails) + len(light.mails) == 200)
        # 150 are expected, and the deviation is 6.
        assert 115 <= len(heavy.mails) <= 185, len(heavy.mails)
        assert not spare.mails


def test_a_dead_host_is_remembered_and_probed(start):
    """No mail waits for it, it is tried in the background alone, and it is used again when it is back."""
    dead = process.free_port()
    with sink.Sink() as second, sink.Sink() as third:
        node, port = relay(start, with_hosts("Out", host(dead, priority=10), host(second.port, priority=20),
                                             host(third.port, priority=30), retry=["1s"], messages_per_connection=5))
        send(port, 50)
        process.wait_for("50 mails at the second", lambda: len(second.mails) == 50, 5)
        assert not third.mails and not events(node, "hop_down")
        assert len(events(node, "host_down")) == 1
        with sink.Sink(port=dead) as first:
            node.wait_log("host_up")
            # The probe is a session without a mail.
            assert not first.mails and not any(c.startswith(b"MAIL") for c in first.commands)
            process.wait_for("those to the second to end", lambda: not second.open)
            send(port, 50)
            process.wait_for("mails at the first again", lambda: len(first.mails) >= 40)
            process.wait_for("100 mails", lambda: len(first.mails) + len(second.mails) == 100)
            node.wait_empty()
        # And down again, under way: nothing is lost.
        send(port, 50)
        process.wait_for("150 mails", lambda: len(first.mails) + len(second.mails) == 150)
        node.wait_empty()


class Misbehaving:
    """Accepts connections on PORT and does as told; counts them."""

    def __init__(self, says=None):
        self.says, self.connections, self.open = says, 0, []
        self.server = socket.create_server(("127.0.0.1", 0), backlog=100)
        self.port = self.server.getsockname()[1]
        self.thread = threading.Thread(target=self._run, daemon=True)
        self.thread.start()

    def _run(self):
        while True:
            try:
                client, _ = self.server.accept()
            except OSError:
                return
            self.connections += 1
            self.open.append(client)
            if self.says is not None:
                try:
                    client.sendall(self.says)
                except OSError:
                    pass  # he has heard enough
                client.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.server.shutdown(socket.SHUT_RDWR)
        self.server.close()
        self.thread.join()
        for client in self.open:
            client.close()


BANNERS = {
    "421": b"421 4.3.2 not now\r\n",
    "554": b"554 5.3.2 no service here\r\n",
    "hangs up": b"",
    "nonsense": b"\x00\x01SSH-2.0-nothing\r\n",
    "no end of a line": b"220" + b"x" * 100_000,
}


@pytest.mark.parametrize("banner", BANNERS)
def test_a_host_that_does_not_want_us(start, banner):
    """Whatever it says at the banner, the next host gets the mail, and nothing is bounced."""
    with Misbehaving(BANNERS[banner]) as bad, sink.Sink() as good:
        node, port = relay(start, with_hosts("Out", host(bad.port, priority=10), host(good.port, priority=20)))
        send(port, 20)
        process.wait_for("20 mails", lambda: len(good.mails) == 20, 5)
        assert bad.connections >= 1 and states(node)["127.0.0.1"]
        node.wait_empty()
        assert not [line for line in events(node, "status") if "status=sent" not in line]


def test_alone_and_unwilling_means_retry(start):
    """554 at the banner of the only host: the mail waits; RFC 5321, 3.1, means the host, not the mail."""
    with Misbehaving(BANNERS["554"]) as bad:
        node, port = relay(start, with_hosts("Out", host(bad.port)))
        send(port)
        node.wait_log("hop_down")
        process.wait_for("a further try", lambda: bad.connections >= 2)
        assert node.queued() == 1
        row = node.ask("queues")[0][0]
        assert "554 5.3.2 no service here" in row["last_error"], row


def test_a_silent_host(start):
    """It takes the connection and says nothing.  The greeting's time limit is waited for once."""
    with Misbehaving() as silent, sink.Sink() as good:
        node, port = relay(start, with_hosts("Out", host(silent.port, priority=10), host(good.port, priority=20),
                                             greeting_timeout="1s", retry=["30s"]))
        send(port, 20)
        process.wait_for("20 mails", lambda: len(good.mails) == 20, 10)
        node.wait_empty()
        send(port, 20)
        process.wait_for("40 mails", lambda: len(good.mails) == 40, 5)
        assert silent.connections == 1
        assert "timed out" in events(node, "host_down")[0]


def test_all_dead_then_one_comes_back(start):
    dead = [process.free_port() for _ in range(3)]
    node, port = relay(start, with_hosts("Out", *[host(p, priority=n) for n, p in enumerate(dead)]))
    send(port, 20)
    node.wait_log("hop_down")
    assert node.queued() == 20
    row = node.ask("queues")[0][0]
    assert row["status"] in ("retry", "connecting") and "4.4.1" in row["last_error"], row
    with sink.Sink(port=dead[2]) as back:
        process.wait_for("all mails", lambda: len(back.mails) == 20)
        node.wait_log("hop_up")
        node.wait_empty()


def two_connectors(preferred, other, **options):
    """B costs more than A and stands in for it."""
    return (with_hosts("A", host(preferred), spaces=["*:1"], failover=True, **options) +
            with_hosts("B", host(other), spaces=["*:10"]))


def test_failover_to_the_next_connector_and_back(start):
    dead = process.free_port()
    with sink.Sink() as other:
        node, port = relay(start, two_connectors(dead, other.port))
        send(port, 50)
        process.wait_for("all by the other connector", lambda: len(other.mails) == 50, 5)
        with sink.Sink(port=dead) as preferred:
            # It is asked in the background, without a mail that would wait for the answer.
            node.wait_log("hop_up|host_up")
            assert not any(c.startswith(b"MAIL") for c in preferred.commands)
            send(port, 50)
            process.wait_for("all by the preferred one", lambda: len(preferred.mails) == 50)
            assert len(other.mails) == 50
        node.wait_empty()


def test_no_mail_waits_for_a_preferred_connector_that_hangs(start):
    """Its host takes connections and is silent: each probe takes long, and mail must not."""
    with Misbehaving() as silent, sink.Sink() as other:
        node, port = relay(start, two_connectors(silent.port, other.port, greeting_timeout="9s"))
        send(port)
        process.wait_for("the first mail, by the other connector", lambda: len(other.mails) == 1)
        # The next probe is under way.
        process.wait_for("the probe", lambda: silent.connections >= 2)
        send(port, 10)
        process.wait_for("the mails", lambda: len(other.mails) == 11, 6)


def test_mail_that_waits_for_the_alternative_comes_back_too(start):
    """Both down: what was moved to B goes by A as soon as A is up, though B stays down."""
    dead_a, dead_b = process.free_port(), process.free_port()
    node, port = relay(start, two_connectors(dead_a, dead_b))
    send(port, 20)
    process.wait_for("both to be down", lambda: len(events(node, "hop_down")) >= 2)
    assert node.queued() == 20
    with sink.Sink(port=dead_a) as preferred:
        process.wait_for("all by A", lambda: len(preferred.mails) == 20)
        node.wait_empty()


def test_both_down_and_the_alternative_comes_first(start):
    dead_a, dead_b = process.free_port(), process.free_port()
    node, port = relay(start, two_connectors(dead_a, dead_b))
    send(port, 20)
    process.wait_for("both to be down", lambda: len(events(node, "hop_down")) >= 2)
    with sink.Sink(port=dead_b) as other:
        process.wait_for("all by B", lambda: len(other.mails) == 20)
        node.wait_empty()


def test_without_failover_it_waits(start):
    dead = process.free_port()
    with sink.Sink() as other:
        node, port = relay(start, two_connectors(dead, other.port).replace("failover = true", "failover = false"))
        send(port, 5)
        node.wait_log("hop_down")
        assert node.queued() == 5 and not other.connections


def test_a_slow_next_hop_does_not_slow_another(start):
    """QU-2: fair between next hops, though one has taken all the connections it may."""
    with Misbehaving(None) as stalled, sink.Sink() as fast:
        node, port = relay(start, relais.block("limits", None, deliveries=6) +
                           with_hosts("Slow", host(stalled.port), spaces=["slow.test"], connections=4) +
                           with_hosts("Fast", host(fast.port), spaces=["*"], connections=4))
        send(port, 200, ["b@slow.test"])
        process.wait_for("the slow one to be busy", lambda: stalled.connections >= 1)
        send(port, 200)
        process.wait_for("the fast ones", lambda: len(fast.mails) == 200, 10)
        process.wait_for("those to be settled", lambda: node.queued() == 200)


def test_both_in_one_message(start):
    """A recipient at a hop that hangs does not hold the other one of the same mail."""
    with Misbehaving() as stalled, sink.Sink() as fast:
        node, port = relay(start, with_hosts("Slow", host(stalled.port), spaces=["slow.test"]) +
                           with_hosts("Fast", host(fast.port)))
        send(port, 1, ["b@slow.test", "b@example.com"])
        process.wait_for("the fast one", lambda: len(fast.mails) == 1, 5)
        assert fast.mails[0].recipients == ["b@example.com"] and node.queued() == 1


def test_slow_for_all_its_connections(start):
    """A host that stalls after the end of data on each connection: the other hop's mail flows."""
    release = threading.Event()
    with sink.Sink(answer=lambda stage, text: release.wait(60) and None if stage == "dot" else None) as slow, \
            sink.Sink() as fast:
        node, port = relay(start, with_hosts("Slow", host(slow.port), spaces=["slow.test"], connections=3) +
                           with_hosts("Fast", host(fast.port)))
        send(port, 50, ["b@slow.test"])
        process.wait_for("its connections", lambda: slow.connections == 3)
        send(port, 200)
        process.wait_for("the fast ones", lambda: len(fast.mails) == 200, 10)
        release.set()
        node.wait_empty()
        assert len(slow.mails) == 50
