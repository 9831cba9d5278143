"""PM-2, QU-1: a message that relaisd crashes with twice goes to the poison queue; the rest flows.

The crash is made from outside: tests/crash/die.c, loaded before relaisd, lets it run into a bad
address when it copies bytes that hold a text, while a file is there."""
import collections
import json
import os
import re
import signal

import pytest

from tests.kit import cluster, mails, process, relais, sink
from tests.kit.talk import Talk

DIE = os.path.join(process.BUILD, "tests", "crash", "die.so")
MARK = "X-Kill: relaisd"
KILLER = MARK.encode() + b"\r\n" + mails.PLAIN


# The library stands in for memcpy, and so do they: there is nothing to be seen with both.
__test__ = not process.is_sanitized()


def put(port, recipient, sender="a@sender.test", content=mails.PLAIN):
    with Talk(port) as talk:
        answer = talk.send(content, sender=sender, recipients=[recipient])
        assert answer.startswith("250 2."), answer
        return answer.split()[-1]


class Killing:
    """NODE runs with the library, and is started again when it crashes, as systemd would."""

    def __init__(self, node, mark=MARK, place="memcpy", by="SEGV"):
        self.node, self.crashes = node, 0
        self.armed = os.path.join(node.folder, "armed")
        self.env = dict(DIE_OF=mark, DIE_IN=place, DIE_BY=by, DIE_WHILE=self.armed)
        self.signal = signal.SIGABRT if by == "ABRT" else signal.SIGSEGV

    def spawn(self):
        self.node.spawn(preload=DIE, env=self.env)

    def start(self):
        self.spawn()
        self.node.wait_ready()
        return self

    def arm(self):
        open(self.armed, "w").close()

    def disarm(self):
        os.unlink(self.armed)

    def go_on(self, is_done, seconds=60):
        """Until IS_DONE; each crash is one, and followed by a new start."""
        def step():
            if self.node.process.poll() is not None:
                assert self.node.process.returncode == -self.signal, self.node.log()[-3000:]
                self.crashes += 1
                self.spawn()
                return False
            try:
                return is_done()
            except (OSError, AssertionError, ValueError):
                return False
        process.wait_for("it to get over its crashes", step, seconds)


@pytest.fixture
def make(folder, request):
    """make(killer options): a relay whose next hop TARGET is not there yet, with the library."""
    made = []

    def run(more="", base=relais.BASE, **killer):
        port, target = process.free_port(), process.free_port()
        node = relais.Relais(os.path.join(folder, "relais"), relais.receive("In", f"127.0.0.1:{port}") +
                             relais.send("Out", smart_hosts=[f"[127.0.0.1]:{target}"]) + more, [port], base=base)
        node.port, node.target = port, target
        killing = Killing(node, **killer)
        made.append(killing)
        request.module._nodes = [node]
        return killing.start()

    yield run
    for killing in made:
        if killing.node.process.poll() is None:
            killing.node.stop()


def poison(node):
    return node.ask("queue", queue="poison")[0]


def make_poison(killing, **more):
    """The id of a message that stands in the poison queue now."""
    node = killing.node
    bad = put(node.port, "bad@example.com", content=KILLER, **more)
    killing.arm()
    with sink.Sink(port=node.target) as target:
        killing.go_on(lambda: len(poison(node)) == 1)
        assert not target.mails
    return bad


def tracked(node, event):
    return [line for line in node.log_of("tracking").splitlines() if f",{event}," in line]


# --- The way there ----------------------------------------------------------------------------------

@pytest.mark.parametrize("by", ["SEGV", "ABRT", "STACK"])
def test_two_crashes_and_the_rest_flows(make, by):
    killing = make(by=by)
    node = killing.node
    many = 300 if by == "SEGV" else 30
    for i in range(many):
        put(node.port, f"good{i}@example.com")
        if i == many // 2:
            bad = put(node.port, "bad@example.com", content=KILLER)
    killing.arm()
    with sink.Sink(port=node.target) as target:
        killing.go_on(lambda: len(poison(node)) == 1 and node.queued() == 1)
        got = collections.Counter(r for mail in target.mails for r in mail.recipients)
    assert killing.crashes == 2
    assert set(got) == {f"good{i}@example.com" for i in range(many)}
    # Those that were under way at a crash, on each of four connections, may come again (D1).
    assert sum(got.values()) - many <= 2 * 4 * 8 and max(got.values()) <= 3
    row, = poison(node)
    name = "SIGABRT" if by == "ABRT" else "SIGSEGV"
    assert row["id"] == bad and row["status"] == "suspended" and row["queue"] == "poison"
    assert re.fullmatch(rf"relaisd crashed 2 times with it, last at \S+Z by {name}, while: deliver",
                        row["last_error"])
    log = node.log(whole=True)
    assert len(re.findall(rf"crashed id={bad} signal={name} at=\S+ doing=deliver count=[12] threshold=2", log)) == 2
    assert len(re.findall(rf" poison id={bad} ", log)) == 1


def test_what_is_said_of_it(make):
    killing = make()
    node = killing.node
    bad = make_poison(killing)
    killing.disarm()
    queue, = [row for row in node.ask("queues")[0] if row["name"] == "poison"]
    assert (queue["kind"], queue["status"], queue["messages"]) == ("poison", "suspended", 1)
    assert queue["identity"].startswith("relay\\")
    assert "1 message in the poison queue" in node.tool("status").stdout
    assert node.status()["poison"] == 1
    metrics = node.tool("metrics").stdout
    assert "relais_poison_messages 1\n" in metrics and "relais_alarms 1\n" in metrics
    assert 'relais_events_total{event="poison"} 1\n' in metrics
    shown = node.tool("message", "show", bad).stdout
    assert "poison" in shown and "while: deliver" in shown and "X-Kill" in shown
    line, = tracked(node, "POISONMESSAGE")
    assert bad in line and "while: deliver" in line
    # Both spellings, and each name of the queue.
    for words in (("queue", "poison"), ("get-message", "-Queue", "Poison"), ("get-message", "-Queue", "relay\\poison"),
                  ("queue", "--filter", "queue = poison"), ("queue", "--filter", "error ~ *crashed*")):
        rows = [json.loads(line) for line in node.tool("--json", *words).stdout.splitlines()]
        assert [row["id"] for row in rows] == [bad], words
    rows = node.tool("--json", "get-queue", "-Filter", "DeliveryType -eq 'poison'", check=False)
    assert rows.returncode == 0 and json.loads(rows.stdout)["name"] == "poison", rows.stderr
    whole = node.tool("resume", "poison", check=False)
    assert whole.returncode != 0 and "relais resume --queue poison" in whole.stderr and len(poison(node)) == 1
    assert KILLER in node.tool("message", "export", bad).stdout.encode().replace(b"\n", b"\r\n")


def test_it_is_not_redirected(make):
    """It waits for the administrator, so there is nothing to be tried again."""
    killing = make()
    node = killing.node
    bad = make_poison(killing)
    killing.disarm()
    put(node.port, "good@example.com")
    elsewhere = f"127.0.0.1:{process.free_port()}"
    for more in ([], ["--what-if"]):
        done = node.tool("redirect", "--to", elsewhere, *more, bad, check=False)
        assert (done.returncode, done.stdout) == (65, "") and "poison" in done.stderr
    asked = node.tool("redirect", "--to", elsewhere, "--queue", "poison")
    assert asked.stdout == "redirected: 0 messages\n" and "poison, so not redirected: 1" in asked.stderr
    tried = node.tool("redirect", "--to", elsewhere, "--all", "--what-if")
    assert "what if: 1 message would be redirected" in tried.stdout and "so not redirected: 1" in tried.stderr
    put(node.port, "other@example.com")
    done = node.tool("redirect", "--to", elsewhere, "--all", check=False)
    assert done.returncode == 64 and "that is all 2 messages" in done.stderr
    done = node.tool("redirect", "--to", elsewhere, "--all", "--yes")
    assert done.stdout == "redirected: 2 messages\n" and "so not redirected: 1" in done.stderr
    assert [row["id"] for row in poison(node)] == [bad]


def test_it_stays_and_others_blame_nobody(make):
    """kill -9 and a signal from outside are nobody's fault; poison outlives them, and never expires."""
    killing = make(base=relais.BASE + "queue {{\n    expiry = 1s\n    delay_notice = 0s\n}}\n")
    node = killing.node
    bad = make_poison(killing)
    said = poison(node)[0]["last_error"]
    killing.disarm()
    for number in (signal.SIGKILL, signal.SIGABRT):
        node.process.send_signal(number)
        node.process.wait()
        killing.start()
        row, = poison(node)
        assert row["id"] == bad and row["last_error"] == said
    assert "crashed signal=SIGABRT" in node.log() and "no message was in work" in node.log()
    process.wait_for("its time to be over", lambda: poison(node)[0]["age_s"] >= 3)
    assert [row["id"] for row in poison(node)] == [bad]
    node.kill()
    # With the daemon down.
    for words in (("queue",), ("queue", "poison")):
        row = json.loads(node.tool("--json", *words).stdout)
        assert (row["id"], row["queue"], row["last_error"]) == (bad, "poison", said)
    assert "X-Kill" in node.tool("message", "export", bad).stdout
    assert re.search(r"^queue\s+poison$", node.tool("message", "show", bad).stdout, re.M)
    killing.start()


def test_one_crash_is_forgotten_with_its_message(make):
    killing = make()
    node = killing.node
    bad = put(node.port, "bad@example.com", content=KILLER)
    killing.arm()
    with sink.Sink(port=node.target) as target:
        node.process.wait()
        killing.disarm()
        killing.start()
        process.wait_for("it to be delivered", lambda: len(target.mails) == 1)
        node.wait_empty()
    with open(os.path.join(node.folder, "poison")) as notes:
        assert notes.read().startswith(f"{bad} 1 0 ")
    node.stop()
    killing.start()
    assert os.path.getsize(os.path.join(node.folder, "poison")) == 0


def test_never(make):
    killing = make(base=relais.BASE + "queue {{\n    poison_threshold = never\n}}\n")
    node = killing.node
    put(node.port, "bad@example.com", content=KILLER)
    killing.arm()
    with sink.Sink(port=node.target) as target:
        killing.go_on(lambda: killing.crashes >= 3)
        killing.disarm()
        killing.go_on(lambda: len(target.mails) == 1)
    assert not poison(node)


def test_a_maildir(make, folder):
    """What the pool does for a message is that message's doing, too."""
    mail = os.path.join(folder, "mail")
    open(mail, "w").close()  # where a folder should be: it has to wait, and is read from the disk then
    killing = make(relais.send("Box", spaces=["box.test"], maildir=f"{mail}/%u"))
    node = killing.node
    bad = put(node.port, "bad@box.test", content=KILLER)
    process.wait_for("the first attempt", lambda: node.ask("queue")[0][0]["attempts"])
    killing.arm()
    os.unlink(mail)
    killing.go_on(lambda: len(poison(node)) == 1)
    assert killing.crashes == 2 and poison(node)[0]["id"] == bad
    killing.disarm()
    assert node.tool("resume", bad).stdout == "resumed: 1 message\n"
    node.wait_empty()
    assert len(os.listdir(os.path.join(mail, "bad", "new"))) == 1


# --- The way out ------------------------------------------------------------------------------------

def test_resume(make):
    killing = make()
    node = killing.node
    bad = make_poison(killing)
    with sink.Sink(port=node.target) as target:
        # Armed still: it counts from zero, so it takes two crashes again.
        assert node.tool("resume-message", "-Identity", bad, check=False).returncode in (0, 69, 75, 76)
        killing.go_on(lambda: killing.crashes == 4 and len(poison(node)) == 1)
        killing.disarm()
        assert not target.mails
        assert node.tool("resume", "--queue", "poison").stdout == "resumed: 1 message\n"
        process.wait_for("it to be delivered", lambda: len(target.mails) == 1)
        assert target.mails[0].recipients == ["bad@example.com"]
        node.wait_empty()
    assert node.status()["poison"] == 0 and not node.status().get("alarms")
    assert node.tool("queue", "poison").stdout == "nothing is waiting\n"
    assert len(tracked(node, "POISONMESSAGE")) == 2


def test_remove(make):
    killing = make()
    node = killing.node
    make_poison(killing)
    killing.disarm()
    assert node.tool("remove", "--queue", "poison", "--no-ndr", "--yes").stdout == "removed: 1 message\n"
    assert node.queued() == 0
    bad = make_poison(killing, sender="who@sender.test")
    killing.disarm()
    with sink.Sink(port=node.target) as target:
        assert node.tool("remove", bad, "--ndr").stdout == "removed: 1 message\n"
        process.wait_for("the notification", lambda: len(target.mails) == 1)
        assert target.mails[0].recipients == ["who@sender.test"] and b"bad@example.com" in target.mails[0].content
        node.wait_empty()


# --- At the start -----------------------------------------------------------------------------------

def test_a_crash_at_every_start_ends(make):
    """The envelope kills while it is read from the spool, so before anything is open."""
    killing = make(mark="killer@sender.test")
    node = killing.node
    bad = put(node.port, "bad@example.com", sender="killer@sender.test")
    for i in range(20):
        put(node.port, f"good{i}@example.com")
    node.kill()
    killing.arm()
    killing.spawn()
    killing.go_on(lambda: len(poison(node)) == 1)
    assert killing.crashes == 2
    with sink.Sink(port=node.target) as target:
        process.wait_for("the others", lambda: len({r for m in target.mails for r in m.recipients}) == 20)
        row, = poison(node)
        assert row["id"] == bad and "while: recover" in row["last_error"]
        assert "not read" in node.tool("message", "show", bad).stdout
        assert "one line" in node.tool("message", "export", bad).stdout
        refused = node.tool("remove", bad, "--ndr", check=False)
        assert refused.returncode == 65 and "its envelope was not read" in refused.stderr
        killing.disarm()
        assert node.tool("resume", bad).stdout == "resumed: 1 message\n"
        process.wait_for("it to be delivered", lambda: len(target.mails) == 21)
        assert (target.mails[20].sender, target.mails[20].recipients) == ("killer@sender.test", ["bad@example.com"])
        node.wait_empty()


def test_what_was_not_read_is_removed(make):
    killing = make(mark="killer@sender.test")
    node = killing.node
    put(node.port, "bad@example.com", sender="killer@sender.test")
    node.kill()
    killing.arm()
    killing.spawn()
    killing.go_on(lambda: len(poison(node)) == 1)
    assert node.tool("remove", "--queue", "poison", "--yes").stdout == "removed: 1 message\n"
    assert node.queued() == 0
    node.stop()
    killing.start()
    assert node.queued() == 0 and killing.crashes == 2


# --- Two nodes --------------------------------------------------------------------------------------

def test_the_node_comes_back_with_two(folder, request):
    target = process.free_port()
    with cluster.Cluster(folder, relais.send("Out", smart_hosts=[f"[127.0.0.1]:{target}"]),
                         transport=dict(shadow_heartbeat_retry_count=40)) as both:
        request.module._nodes = both.nodes
        one, other = both.nodes
        killing = Killing(one)
        one.stop()
        killing.start()
        both.wait_together()
        for i in range(30):
            put(one.port, f"good{i}@example.com")
        bad = put(one.port, "bad@example.com", content=KILLER)
        assert bad in other.held()
        killing.arm()
        with sink.Sink(port=target) as there:
            killing.go_on(lambda: len(poison(one)) == 1 and one.queued() == 1)
            assert killing.crashes == 2 and poison(one)[0]["id"] == bad
            both.wait_together()
            process.wait_for("what the other holds to go", lambda: other.held() == {bad})
            assert {r for m in there.mails for r in m.recipients} == {f"good{i}@example.com" for i in range(30)}
            killing.disarm()
            one.tool("resume", bad)
            process.wait_for("it to be delivered", lambda: one.queued() == 0)
            process.wait_for("its copy to go", lambda: not other.held())
            assert len([m for m in there.mails if m.recipients == ["bad@example.com"]]) == 1


def test_the_count_goes_with_the_copy(folder, request):
    """R10: what was poison there is poison for who takes it over, without a crash of its own."""
    target = process.free_port()
    with cluster.Cluster(folder, relais.send("Out", smart_hosts=[f"[127.0.0.1]:{target}"])) as both:
        request.module._nodes = both.nodes
        one, other = both.nodes
        other.stop()
        killing = Killing(one)
        one.stop()
        killing.start()
        bad = put(one.port, "bad@example.com", content=KILLER)
        killing.arm()
        with sink.Sink(port=target):
            killing.go_on(lambda: len(poison(one)) == 1)
        killing.disarm()
        assert killing.crashes == 2
        other.start()
        process.wait_for("its copy", lambda: bad in other.held())
        one.kill()
        with sink.Sink(port=target) as there:
            process.wait_for("the take-over", lambda: [row["id"] for row in poison(other)] == [bad])
            assert poison(other)[0]["last_error"] == "other nodes crashed 2 times with it"
            assert not there.mails
            other.kill()
            other.start()
            assert [row["id"] for row in poison(other)] == [bad]
            other.tool("resume", bad)
            process.wait_for("it to be delivered", lambda: len(there.mails) == 1)
        one.start()
