"""SH-1, SH-3, SH-4, SH-6, SH-8: 250 means on two machines."""
import re
import threading
import time

import pytest

from tests.kit import cluster, mails, process, relais, sink
from tests.kit.talk import Talk

SAFE = "250 2.0.0 queued as "


def out(port, **options):
    return relais.send("Out", smart_hosts=[f"[127.0.0.1]:{port}"], **options)


@pytest.fixture
def pair(folder, request):
    """pair(sends, ...): two nodes, started."""
    made = []

    def run(sends, start=True, **options):
        both = cluster.Cluster(folder, sends, **options)
        made.append(both)
        request.module._nodes = both.nodes
        return both.start() if start else both

    yield run
    for both in made:
        both.__exit__(None, None, None)


class Client(threading.Thread):
    """Sends one mail beside the test; what it was told, and after how long."""

    def __init__(self, port, content=mails.PLAIN, **more):
        super().__init__(daemon=True)
        self.port, self.content, self.more, self.answer, self.seconds = port, content, more, None, None
        self.start()

    def run(self):
        with Talk(self.port, timeout=60) as talk:
            begun = time.monotonic()
            self.answer = talk.send(self.content, **self.more)
            self.seconds = time.monotonic() - begun

    def wait(self):
        self.join(60 * process.SLOWER)
        assert not self.is_alive()
        return self.answer


def send(node, count=1, **more):
    ids = []
    with Talk(node.port) as talk:
        for _ in range(count):
            answer = talk.send(mails.PLAIN, **more)
            assert answer.startswith(SAFE), answer
            ids.append(answer[len(SAFE):])
    return ids


def header(mail, name):
    """A field of ours, unfolded; None: it is not there."""
    head = re.sub(rb"\r\n[ \t]+", b" ", mail.content.split(b"\r\n\r\n", 1)[0])
    found = re.search(rb"^%s: (.*?)\r?$" % name.encode(), head, re.M)
    return found[1].decode() if found else None


TAKEN = "X-Relais-Taken-Over"


def refuse_all(stage, text):
    return "451 4.7.1 later" if stage == "rcpt" else None


# --- 250 and the copy --------------------------------------------------------------------------

def test_the_holder_has_what_was_acknowledged(pair):
    """It lies on both as soon as 250 is said, and on none after its delivery."""
    with sink.Sink(answer=refuse_all) as busy:
        both = pair(out(busy.port), transport=dict(shadow_copy_timeout="20s", shadow_acceptance_timeout="60s"))
        first, second = both.nodes
        ids = send(first, 20)
        assert second.held() == set(ids)
        assert second.ids() == set() and first.ids() == set(ids) and first.held() == set()
        busy.answer = lambda stage, text: None
        first.tool("retry", "--all")
        first.wait_empty()
        process.wait_for("the copies to go", lambda: not second.held())
        assert len(busy.mails) == 20
        assert all(header(mail, TAKEN) is None for mail in busy.mails)


def test_both_ways_at_once(pair):
    with sink.Sink() as target:
        both = pair(out(target.port))
        clients = [Client(node.port) for node in both.nodes for _ in range(20)]
        assert all(client.wait().startswith(SAFE) for client in clients)
        process.wait_for("all mails", lambda: len(target.mails) == 40)
        for node in both.nodes:
            node.wait_empty()
            process.wait_for("the copies to go", lambda: not node.held())


def test_a_big_one_is_copied_from_the_disk(pair):
    with sink.Sink(answer=refuse_all) as busy:
        # A second, the tests' usual time, is not much for five megabytes on a machine that is busy.
        both = pair([out(busy.port), out(busy.port)], size_max="64M",
                    transport=dict(shadow_copy_timeout="20s", shadow_acceptance_timeout="60s"))
        first, second = both.nodes
        content = mails.big(5_000_000)
        with Talk(first.port, timeout=60) as talk:
            answer = talk.send(content)
        assert answer.startswith(SAFE), answer
        assert second.held() == {answer[len(SAFE):]}
        first.kill()
        busy.answer = lambda stage, text: None
        process.wait_for("the mail", lambda: busy.mails, 30)
        mails.check_same(busy.mails[0].content, content, added=(TAKEN.lower(),))


FAILURES = {
    "accept": (SAFE, 0),
    "reject": ("451 4.4.0 Message failed to be made redundant", 0),
    "delay": (SAFE, 3),
}


@pytest.mark.parametrize("failure", FAILURES)
def test_a_silent_holder(pair, failure):
    """The client waits while the holder may still answer, then hears what is configured."""
    answer, delay = FAILURES[failure]
    with sink.Sink(answer=refuse_all) as busy:
        both = pair(out(busy.port), shadow_failure=failure, max_acknowledgement_delay="3s",
                    transport=dict(shadow_heartbeat_timeout_interval="5s", shadow_heartbeat_retry_count=10))
        first, second = both.nodes
        second.freeze()
        client = Client(first.port)
        assert client.wait().startswith(answer), client.answer
        # One attempt lasts a second.
        assert client.seconds >= 0.9 + delay, client.seconds
        assert len(first.ids()) == (failure != "reject")
        second.thaw()
        busy.answer = lambda stage, text: None
        first.tool("retry", "--all")
        first.wait_empty()
        process.wait_for("the copies to go", lambda: not second.held(), 30)
        assert len(busy.mails) == (failure != "reject")


def test_a_holder_that_answers_late(pair):
    """Frozen for a moment: the client waits for it, no longer."""
    with sink.Sink(answer=refuse_all) as busy:
        both = pair(out(busy.port), shadow_failure="reject",
                    transport=dict(shadow_copy_timeout="20s", shadow_acceptance_timeout="20s",
                                   shadow_heartbeat_timeout_interval="20s"))
        first, second = both.nodes
        second.freeze()
        client = Client(first.port)
        time.sleep(1)  # the pause itself, not a wait for something
        assert client.is_alive()
        second.thaw()
        assert client.wait().startswith(SAFE)
        assert second.held() == {client.answer[len(SAFE):]}


@pytest.mark.parametrize("failure", FAILURES)
def test_no_holder(pair, failure):
    """It is known to be gone: nobody waits for it."""
    answer, delay = FAILURES[failure]
    with sink.Sink(answer=refuse_all) as busy:
        both = pair(out(busy.port), shadow_failure=failure, max_acknowledgement_delay="3s",
                    transport=dict(shadow_copy_timeout="20s", shadow_acceptance_timeout="20s"))
        first, second = both.nodes
        second.kill()
        process.wait_for("its loss to be seen", lambda: not both._is_together(first))
        client = Client(first.port)
        assert client.wait().startswith(answer), client.answer
        assert delay <= client.seconds < delay + 5 * process.SLOWER, client.seconds
        assert len(first.ids()) == (failure != "reject")


def test_what_was_accepted_alone_is_copied_later(pair):
    with sink.Sink(answer=refuse_all) as busy:
        both = pair(out(busy.port))
        first, second = both.nodes
        second.kill()
        ids = send(first, 10)
        second.start()
        process.wait_for("the copies", lambda: second.held() == set(ids), 30)


def test_who_comes_back_is_connected_to_at_once(pair):
    """Not after the pause that its absence had made longer and longer."""
    with sink.Sink() as target:
        both = pair(out(target.port), transport=dict(shadow_heartbeat_timeout_interval="20s"))
        first, second = both.nodes
        first.kill()
        time.sleep(9)  # pauses of a second, two, four, and in the middle of eight
        first.start()
        both.wait_together(4)


# --- A node is lost ----------------------------------------------------------------------------

def test_the_holder_delivers_what_a_lost_node_had(pair):
    """Its spool is gone, too.  It comes back with a new one: nothing is delivered twice."""
    with sink.Sink(answer=refuse_all) as busy, sink.Sink() as target:
        both = pair([out(busy.port), out(target.port)])
        first, second = both.nodes
        send(first, 20)
        first.kill()
        first.lose_spool()
        process.wait_for("all mails", lambda: len(target.mails) == 20, 30)
        for mail in target.mails:
            assert re.match(r"from ex01\.test by ex02\.test; generation 1; \w{3}, \d", header(mail, TAKEN)), mail.content
        second.wait_empty()
        lines = [line for line in second.log().splitlines() if "status=sent" in line]
        assert len(lines) == 20 and all("taken-over-from=ex01.test, generation=1" in line for line in lines), lines
        busy.answer = lambda stage, text: None
        first.start()
        both.wait_together()
        second.wait_empty()
        send(first)
        first.wait_empty()
        assert len(target.mails) == 20 and len(busy.mails) == 1


def test_a_node_that_returns_delivers_nothing_twice(pair):
    """With its spool: what the other has taken is held for that one, and shown so."""
    with sink.Sink(answer=refuse_all) as busy, sink.Sink(answer=refuse_all) as target:
        both = pair([out(busy.port), out(target.port)])
        first, second = both.nodes
        ids = set(send(first, 20))
        first.kill()
        process.wait_for("the take-over", lambda: second.ids() == ids, 30)
        busy.answer = lambda stage, text: None
        first.start()
        both.wait_together()
        process.wait_for("it to hold them for the other", lambda: first.held() == ids)
        assert first.ids() == set() and not busy.mails
        target.answer = lambda stage, text: None
        second.tool("retry", "--all")
        second.wait_empty()
        process.wait_for("the copies to go", lambda: not first.held())
        assert len(target.mails) == 20 and not busy.mails


def test_taken_over_is_said_after_a_restart_too(pair):
    with sink.Sink(answer=refuse_all) as busy:
        both = pair(out(busy.port))
        first, second = both.nodes
        ids = set(send(first, 3))
        first.kill()
        process.wait_for("the take-over", lambda: second.ids() == ids, 30)
        second.kill()
        busy.answer = lambda stage, text: None
        second.start()
        process.wait_for("the mails", lambda: len(busy.mails) == 3, 30)
        assert all(header(mail, TAKEN).startswith("from ex01.test by ex02.test; generation 1;") for mail in busy.mails)


def test_only_the_rest_is_taken_over(pair):
    """Two of three recipients have it: the holder delivers to the third alone."""
    def third_later(stage, text):
        return "451 4.7.1 later" if stage == "rcpt" and "c@" in text else None

    with sink.Sink(answer=third_later) as busy, sink.Sink() as target:
        both = pair([out(busy.port, message_retry="60s"), out(target.port)])
        first, second = both.nodes
        send(first, recipients=["a@example.com", "b@example.com", "c@example.com"])
        process.wait_for("the first two", lambda: busy.mails)
        assert busy.mails[0].recipients == ["a@example.com", "b@example.com"]
        process.wait_for("the holder to hear it", lambda: len(second.rows("held")[0]["to"]) == 1)
        first.kill()
        process.wait_for("the rest", lambda: target.mails, 30)
        second.wait_empty()
        assert [mail.recipients for mail in target.mails] == [["c@example.com"]]
        resubmit, = [line for line in second.log_of("tracking").splitlines() if ",RESUBMIT," in line]
        assert ",c@example.com," in resubmit and "b@example.com" not in resubmit


def test_a_notification_is_made_once(pair):
    """The recipient was refused, its sender told, then the node is lost: nobody tells him again."""
    def no_such(stage, text):
        if stage != "rcpt" or "sender.test" in text:
            return None
        return "550 5.1.1 no such user" if "b@example.com" in text else "451 4.7.1 later"

    with sink.Sink(answer=no_such) as busy:
        both = pair(out(busy.port, message_retry="60s"))
        first, second = both.nodes
        send(first, recipients=["b@example.com", "later@example.com"])
        process.wait_for("the notification", lambda: busy.mails)
        # That the notification itself is over, too: else it is taken over (D1).
        process.wait_for("the holder to hear it", lambda: [len(row["to"]) for row in second.rows("held")] == [1])
        first.kill()
        process.wait_for("the take-over", lambda: len(second.ids()) == 1, 30)
        busy.answer = lambda stage, text: "550 5.1.1 no such user" if stage == "rcpt" and "example.com" in text else None
        second.tool("retry", "--all")
        second.wait_empty()
        notices = [mail for mail in busy.mails if mail.sender == ""]
        # One of each recipient.
        assert len(notices) == 2
        assert sum(b"b@example.com" in mail.content.split(b"message/rfc822")[0] for mail in notices) == 1


def test_a_frozen_node_starts_nothing_when_it_wakes(pair):
    """Nobody told it that it was lost: it asks before it goes on (D3 is what was under way)."""
    with sink.Sink(answer=refuse_all) as busy, sink.Sink() as target:
        both = pair([out(busy.port, message_retry="60s"), out(target.port)])
        first, second = both.nodes
        send(first, 20)
        process.wait_for("the first attempts", lambda: first.log().count("status=deferred") == 20)
        first.freeze()
        process.wait_for("all mails", lambda: len(target.mails) == 20, 30)
        second.wait_empty()
        busy.answer = lambda stage, text: None
        first.thaw()
        first.tool("retry", "--all")
        both.wait_together()
        process.wait_for("it to forget them", lambda: not first.ids() and not first.held())
        assert len(target.mails) == 20 and not busy.mails


def test_withdrawn_while_it_is_delivered(pair):
    """The final dot was out before the node froze: this one may be there twice, and is counted."""
    arrived, release = threading.Event(), threading.Event()

    def answer(stage, _):
        if stage == "dot":
            arrived.set()
            release.wait(60)

    with sink.Sink(answer=answer) as slow, sink.Sink() as target:
        both = pair([out(slow.port), out(target.port)])
        first, second = both.nodes
        send(first)
        assert arrived.wait(20 * process.SLOWER)
        first.freeze()
        process.wait_for("the mail by the other", lambda: target.mails, 30)
        release.set()
        first.thaw()
        both.wait_together()
        first.wait_empty()
        process.wait_for("the copies to go", lambda: not first.held() and not second.held())
        assert len(target.mails) == 1 and len(slow.mails) == 1
        twice = [node.shadow()["maybe_twice"] for node in both.nodes]
        assert sum(counts["d1"] + counts["d3"] for counts in twice) >= 1, twice


def test_both_are_killed(pair):
    """With their spools kept: everything is delivered once, by the one that accepted it."""
    with sink.Sink(answer=refuse_all) as one, sink.Sink(answer=refuse_all) as other:
        both = pair([out(one.port), out(other.port)], transport=dict(shadow_heartbeat_retry_count=20))
        send(both.nodes[0], 20)
        send(both.nodes[1], 20)
        for node in both.nodes:
            node.kill()
        one.answer = other.answer = lambda stage, text: None
        for node in both.nodes:
            node.spawn()
        process.wait_for("all mails", lambda: len(one.mails) + len(other.mails) >= 40, 30)
        both.wait_together()
        for node in both.nodes:
            node.wait_empty()
            process.wait_for("the copies to go", lambda: not node.held())
        assert len(one.mails) == len(other.mails) == 20


def test_a_queue_that_was_alone_gets_a_second_node(pair, start, folder):
    """Another node is configured at run time: what waits is copied."""
    with sink.Sink(answer=refuse_all) as busy:
        both = pair(out(busy.port), start=False)
        first, second = both.nodes
        first.configure(relais.receive("In", f"127.0.0.1:{first.port}") + out(busy.port))
        first.ports = [first.port]
        first.start()
        ids = send(first, 10)
        second.start()
        both.configure(first)
        first.reload()
        both.wait_together()
        process.wait_for("the copies", lambda: second.held() == set(ids), 30)
        ids += send(first)
        assert second.held() == set(ids)


# --- One node alone: 250 when it is delivered ----------------------------------------------------

def alone(start, target_port, **options):
    port = process.free_port()
    options.setdefault("shadow_failure", "delay")
    return start(relais.receive("In", f"127.0.0.1:{port}", **options) + out(target_port), port), port


def test_delayed_until_delivered(start):
    release = threading.Event()
    with sink.Sink(answer=lambda stage, text: release.wait(60) and None if stage == "dot" else None) as slow:
        _, port = alone(start, slow.port)
        client = Client(port)
        process.wait_for("the delivery to begin", lambda: any(c.startswith(b"RCPT") for c in slow.commands))
        time.sleep(0.5)  # a pause, in which nothing may be said
        assert client.is_alive()
        release.set()
        assert client.wait().startswith(SAFE)
        assert len(slow.mails) == 1


def test_delayed_for_the_longest_time(start):
    with sink.Sink(answer=refuse_all) as busy:
        node, port = alone(start, busy.port, max_acknowledgement_delay="2s")
        client = Client(port)
        assert client.wait().startswith(SAFE)
        assert 1.9 <= client.seconds < 10 * process.SLOWER, client.seconds
        assert node.queued() == 1


def test_delayed_until_refused(start):
    """Its sender is told by a notification: that is an end, too."""
    with sink.Sink(answer=lambda stage, text: "550 5.1.1 no" if stage == "rcpt" and "b@" in text else None) as target:
        _, port = alone(start, target.port)
        assert Client(port).wait().startswith(SAFE)
        process.wait_for("the notification", lambda: target.mails)


def test_a_stopping_node_keeps_nobody_waiting(start):
    with sink.Sink(answer=refuse_all) as busy:
        node, port = alone(start, busy.port)
        client = Client(port)
        process.wait_for("it to be queued", lambda: node.queued() == 1)
        node.stop()
        assert client.wait().startswith(SAFE)
        assert client.seconds < 10 * process.SLOWER


def test_a_client_that_does_not_wait(start):
    """It hangs up: the message is stored, and delivered, all the same."""
    release = threading.Event()
    with sink.Sink(answer=lambda stage, text: release.wait(60) and None if stage == "dot" else None) as slow:
        node, port = alone(start, slow.port)
        talk = Talk(port)
        for line in ["MAIL FROM:<a@sender.test>", "RCPT TO:<b@example.com>", "DATA"]:
            assert talk.say(line)[0] in "23"
        talk.raw(mails.PLAIN.replace(b"\r\n.", b"\r\n..") + b".\r\n")
        process.wait_for("it to be queued", lambda: node.queued() == 1)
        talk.close()
        release.set()
        process.wait_for("the mail", lambda: len(slow.mails) == 1)
        node.wait_empty()


@pytest.mark.parametrize("loops", [1, 3])
def test_a_fast_delivery_slows_nobody(start, loops):
    """The time of a transaction, with and without the wait: the delivery itself is what it costs."""
    def median(port):
        with Talk(port) as talk:
            times = []
            for _ in range(200):
                begun = time.monotonic()
                assert talk.send(mails.PLAIN).startswith(SAFE)
                times.append(time.monotonic() - begun)
            return sorted(times)[100]

    with sink.Sink() as target:
        at_once, delayed = process.free_port(), process.free_port()
        start(relais.block("limits", None, loops=loops) + relais.receive("In", f"127.0.0.1:{at_once}") +
              relais.receive("Delay", f"127.0.0.1:{delayed}", shadow_failure="delay") + out(target.port), at_once, delayed)
        for _ in range(5):  # what a pause would cost, it would cost each time
            plain, waits = median(at_once), median(delayed)
            if waits < plain + 0.02:
                break
        print(f"{loops} loops: 250 after {plain * 1e3:.2f} ms, when delivered after {waits * 1e3:.2f} ms")
        assert waits < plain + 0.02 * process.SLOWER, (plain, waits)


@pytest.mark.parametrize("loops", [1, 3])
def test_all_loops(pair, loops):
    """Sessions on loops of their own; the copies are the home loop's."""
    with sink.Sink() as target:
        both = pair(out(target.port), more=relais.block("limits", None, loops=loops))
        clients = [Client(node.port) for node in both.nodes for _ in range(30)]
        clients += [Client(node.port, content=mails.big(1_000_000)) for node in both.nodes for _ in range(3)]
        assert all(client.wait().startswith(SAFE) for client in clients)
        process.wait_for("all mails", lambda: len(target.mails) == 66)
        for node in both.nodes:
            node.wait_empty()
