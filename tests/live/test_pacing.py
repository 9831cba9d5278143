"""SC-7 and QU-2 together: a host's "slow down" slows whom it is about, and holds nobody else."""
import threading
import time

import pytest

from tests.kit import mails, process, relais, sink
from tests.kit.talk import Talk
from tests.live.test_smart_hosts import events, hosts

HERE = "127.101.0.1"
OVER = "450 4.7.1 Sender rejected: sending limit exceeded, 100 per hour"
BUSY = "432 4.3.2 Concurrent connections limit exceeded"


def relay(start, target, **options):
    port = process.free_port()
    node = start(relais.receive("In", f"127.0.0.1:{port}") +
                 relais.send("Out", smart_hosts=[f"[{HERE}]:{target.port}"], **options), port)
    return node, port


def send(port, count, sender="a@sender.test", recipient="b@example.com"):
    with Talk(port) as talk:
        for _ in range(count):
            assert talk.send(mails.PLAIN, sender=sender, recipients=[recipient]).startswith("250 2.")


class Choosy(sink.Sink):
    """Says WORDS at STAGE to what ABOUT is in: the sender's or recipient's line."""

    def __init__(self, stage, about, words=OVER):
        self.about, self.words, self.at, self.is_meant = about, words, stage, {}
        self.refused = 0
        super().__init__(host=HERE, answer=self._answer)

    def _answer(self, stage, text):
        mine = threading.get_ident()  # a session is a thread
        if stage == "mail":
            self.is_meant[mine] = False
        if stage in ("mail", "rcpt"):
            self.is_meant[mine] |= self.about in text
        if stage == self.at and self.is_meant.get(mine):
            self.refused += 1
            return self.words
        return None


# --- About one --------------------------------------------------------------------------------------

@pytest.mark.parametrize("stage, about", [("mail", "much@sender.test"), ("rcpt", "full@example.com"), ("dot", "much@sender.test")])
def test_one_who_has_had_his_share_holds_nobody(start, stage, about):
    """A mass mailing stands in front of all, its sender (or what it goes to) gets no more this hour.  One at a time,
    with a pause of up to a minute after each, the others would be there after hours."""
    much, count = 30, 150
    with Choosy(stage, about) as target:
        node, port = relay(start, target, message_retry="1h")
        who = {"sender": about} if "sender" in about else {"recipient": about}
        others = [("c@sender.test", "c@example.com"), ("d@sender.test", "d@example.com")]
        send(port, much, **who)
        for sender, recipient in others:
            send(port, count // 2, sender=sender, recipient=recipient)
        begin = time.monotonic()
        process.wait_for("all others", lambda: len(target.mails) == count, 60)
        process.wait_for("his to be deferred", lambda: node.queued() == much and
                         node.ask("queues")[0][0]["deferred"] == much, 60)
        print(f"others after {time.monotonic() - begin:.1f} s; refused {target.refused}")
        assert not [m for m in target.mails if about in (m.sender, *m.recipients)]
        rows, _ = node.ask("queue", filter='LastError -like "*sending limit exceeded*"')
        assert len(rows) == much and all(row["status"] == "retry" and row["attempts"] >= 1 for row in rows), rows
        assert target.refused <= 2 * much  # each was tried once, a few twice
        # It was not the host's, which is as fast as it was.
        assert hosts(node)[target.port]["state"] == "up" and not events(node, "host_down"), hosts(node)
        slow = events(node, "host_slow")
        assert len(slow) <= 3 and bool(slow) == bool(events(node, "host_recovered"))
        # His share is new, and all of it goes.
        target.about = "nobody"
        node.tool("retry", "Out")
        node.wait_empty()
        assert len(target.mails) == count + much


@pytest.mark.parametrize("stage, limited", [("mail", "much{}@sender.test"), ("rcpt", "full{}@example.com")])
def test_twenty_who_have_had_theirs_hold_nobody(start, stage, limited):
    """Each one's first refusal could be about all, and others get through in between: nothing gets slower for it."""
    rounds, many = 3, 20
    with Choosy(stage, limited[:4]) as target:
        node, port = relay(start, target, message_retry="1h")
        for n in range(rounds * many):
            who = {"sender": f"u{n}@sender.test", "recipient": f"r{n}@example.com"}
            send(port, 2, **who)
            send(port, 1, **who | {"sender" if stage == "mail" else "recipient": limited.format(n % many)})
        process.wait_for("all others", lambda: len(target.mails) == 2 * rounds * many, 60)
        process.wait_for("theirs to be deferred", lambda: node.ask("queues")[0][0].get("deferred") == rounds * many, 60)
        assert hosts(node)[target.port]["state"] == "up", hosts(node)
        assert target.refused <= 2 * rounds * many


def test_one_message_alone(start):
    """Nobody else is there to be compared with: after a few tries it waits like any other, and is no reason for others to."""
    with Choosy("mail", "much@sender.test") as target:
        node, port = relay(start, target, message_retry="1h")
        send(port, 1, sender="much@sender.test")
        process.wait_for("it to be deferred", lambda: node.ask("queues")[0][0]["deferred"] == 1, 60)
        row, = node.ask("queue")[0]
        assert OVER in row["last_error"] and row["attempts"] == target.refused == 4, row
        send(port, 1)
        process.wait_for("another's", lambda: len(target.mails) == 1, 60)


# --- About all --------------------------------------------------------------------------------------

@pytest.mark.parametrize("stage", ["mail", "rcpt"])
def test_the_only_host_refuses_all(start, stage):
    """It is asked less and less, what it said is to be seen, nothing is deferred or fails; all of it goes once it relents."""
    times, relents, count = [], threading.Event(), 8

    def answer(at, _text):
        if at != stage or relents.is_set():
            return None
        times.append(time.monotonic())
        return BUSY
    with sink.Sink(host=HERE, answer=answer) as target:
        node, port = relay(start, target, message_retry="1h")
        for n in range(count):
            send(port, 1, sender=f"{n % 3}@sender.test", recipient=f"{n % 4}@example.com")
        process.wait_for("some tries", lambda: times and times[-1] - times[0] > 6.5, 60)
        # Those of one moment were under way together; the pauses between the moments double.
        moments = [t for n, t in enumerate(times) if n == 0 or t - times[n - 1] > 0.5]
        waits = [b - a for a, b in zip(moments, moments[1:])]
        assert len(waits) >= 3 and waits[-1] > 3.5 and waits[-1] > waits[0] + 1.5, waits
        state = hosts(node)[target.port]
        assert state["state"] == "slow" and BUSY in state["error"] and state["connections_max"] == 1, state
        rows, _ = node.ask("queue", filter=f'LastError -like "*{BUSY}*"')
        assert rows and all(row["attempts"] and row["status"] in ("ready", "active") for row in rows), rows
        assert BUSY in node.tool("message", "show", rows[0]["id"]).stdout
        assert node.queued() == count and not events(node, "hop_down")
        relents.set()
        node.wait_empty()
        assert len(target.mails) == count
