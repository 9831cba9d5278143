"""What is queued leaves by another host, by command (QU-5)."""
import threading

import pytest

from tests.kit import mails, process, relais, sink
from tests.kit.talk import Talk
from tests.live.test_queue import put


@pytest.fixture
def pair(start):
    """A, whose next hops are down; B, which would send all to END, and takes anything from anybody."""
    ports = {name: process.free_port() for name in ("a", "b", "one", "two", "end")}
    b = start(relais.receive("In", f"127.0.0.1:{ports['b']}") +
              relais.send("End", smart_hosts=[f"[127.0.0.1]:{ports['end']}"], retry=["1h"]), ports["b"], name="b")
    a = start(relais.receive("In", f"127.0.0.1:{ports['a']}") +
              relais.send("One", spaces=["one.test"], smart_hosts=[f"[127.0.0.1]:{ports['one']}"], retry=["1h"]) +
              relais.send("Two", spaces=["two.test"], smart_hosts=[f"[127.0.0.1]:{ports['two']}"], retry=["1h"]),
              ports["a"], name="a")
    a.where, b.where = f"127.0.0.1:{ports['a']}", f"127.0.0.1:{ports['b']}"
    a.next, b.next = ports["one"], ports["end"]
    return a, b


def queues(node):
    return {row["name"]: row["messages"] for row in node.ask("queues")[0] if row["messages"]}


def test_all_goes_to_the_other_node(pair):
    a, b = pair
    for n in range(3):
        put(a, f"u{n}@one.test")
    put(a, "u@two.test")
    put(a, "u@nowhere.test")  # no route takes it
    said = a.tool("redirect", "--to", b.where, "--all", "--what-if").stdout
    assert "5 messages would be redirected" in said and len(queues(a)) == 3
    assert a.tool("redirect", "--to", b.where, "--all", "--yes").stdout == "redirected: 5 messages\n"
    process.wait_for("all at the other node", lambda: a.queued() == 0 and b.queued() == 5)
    with sink.Sink(port=b.next) as end:
        b.tool("retry", "--all", "--yes")
        process.wait_for("delivery", lambda: len(end.mails) == 5)


def test_those_that_a_filter_picks(pair):
    a, b = pair
    put(a, "u@one.test")
    put(a, "u@two.test")
    assert a.tool("redirect", "--to", b.where, "--queue", "Two").stdout == "redirected: 1 message\n"
    process.wait_for("it", lambda: queues(a) == {"One": 1} and b.queued() == 1)
    id = a.ask("queue")[0][0]["id"]
    a.tool("redirect-message", "-Target", b.where, "-Identity", id)
    process.wait_for("the other", lambda: a.queued() == 0 and b.queued() == 2)


def test_undone_and_over_a_reload(pair):
    a, _ = pair
    dead = f"127.0.0.1:{process.free_port()}"
    put(a, "u@one.test")
    put(a, "u@two.test")
    a.tool("redirect", "--to", dead, "--all", "--yes")
    name = f"redirect/[127.0.0.1]:{dead.split(':')[1]}"
    assert queues(a) == {name: 2}
    a.tool("reload")
    assert queues(a) == {name: 2}
    assert a.tool("redirect", "--undo", "--filter", "to ~ *@two.test").stdout == "undone: 1 message\n"
    assert queues(a) == {name: 1, "Two": 1}
    a.tool("redirect", "--undo")
    assert queues(a) == {"One": 1, "Two": 1}


def test_nothing_to_undo(pair):
    """That is no reason to try again: the message follows its route."""
    a, _ = pair
    id = put(a, "u@one.test")
    for more in ([], ["--what-if"]):
        done = a.tool("redirect", "--undo", *more, id, check=False)
        assert (done.returncode, done.stdout) == (66, "") and "it is not redirected" in done.stderr
    a.tool("redirect", "--to", f"127.0.0.1:{process.free_port()}", id)
    assert "1 message would be undone" in a.tool("redirect", "--undo", "--what-if", id).stdout
    assert a.tool("redirect", "--undo", id).stdout == "undone: 1 message\n"


def test_undone_while_another_recipient_is_delivered(pair):
    """It goes nowhere until that has ended, though the host it was redirected to is there now: then by its route."""
    a, _ = pair
    dead, hold = process.free_port(), threading.Event()
    name = f"redirect/[127.0.0.1]:{dead}"
    with Talk(a.ports[0]) as talk:
        assert talk.send(mails.PLAIN, recipients=["u@one.test", "u@two.test"]).startswith("250")
    a.tool("redirect", "--to", f"127.0.0.1:{dead}", "--queue", "Two")
    assert queues(a) == {"One": 1, name: 1}
    with sink.Sink(port=a.next, answer=lambda stage, _: stage == "dot" and not hold.wait(60) or None) as one:
        a.tool("retry", "One")
        process.wait_for("delivery to begin", lambda: any(c.startswith(b"DATA") for c in one.commands))
        assert a.tool("redirect", "--undo").stdout == "undone: 1 message\n"
        other = put(a, "v@two.test")
        a.tool("redirect", "--to", f"127.0.0.1:{dead}", other)
        with sink.Sink(port=dead) as there:
            a.tool("retry", name)
            process.wait_for("what stood behind it", lambda: there.mails)
            assert [mail.recipients for mail in there.mails] == [["v@two.test"]]
            assert queues(a)[name] == 1
            hold.set()
            process.wait_for("its route", lambda: queues(a) == {"Two": 1})
            assert len(there.mails) == 1
        assert [mail.recipients for mail in one.mails] == [["u@one.test"]]


def test_what_is_refused_there_follows_its_route(pair):
    a, _ = pair
    put(a, "u@one.test")
    with sink.Sink(answer=lambda stage, _: "550 5.7.54 not here" if stage == "rcpt" else None) as wrong:
        a.tool("redirect", "--to", f"127.0.0.1:{wrong.port}", "--all", "--yes")
        process.wait_for("it to come back", lambda: queues(a) == {"One": 1})
    with sink.Sink(port=a.next) as right:
        a.tool("retry", "One")
        process.wait_for("delivery", lambda: len(right.mails) == 1)


def test_there_and_back_again(pair):
    """What two nodes send one another goes on when nobody sends it any more."""
    a, b = pair
    put(a, "u@one.test")
    for _ in range(2):
        a.tool("redirect", "--to", b.where, "--all", "--yes")
        process.wait_for("it at B", lambda: b.queued() == 1 and a.queued() == 0)
        b.tool("redirect", "--to", a.where, "--all", "--yes")
        process.wait_for("it at A", lambda: a.queued() == 1 and b.queued() == 0)
    with sink.Sink(port=a.next) as end:
        a.tool("retry", "One")
        process.wait_for("delivery", lambda: len(end.mails) == 1)
        assert end.mails[0].content.count(b"Received: from") == 5


@pytest.mark.parametrize("words, says", [
    (["--to", "no host!", "--all"], "no host"),
    (["--all"], "--to HOST, or --undo?"),
    (["--to", "b.test"], "which?"),
], ids=["no host", "whereto", "what"])
def test_mistakes(pair, words, says):
    a, _ = pair
    done = a.tool("redirect", *words, check=False)
    assert done.returncode == 64 and says in done.stderr


def test_the_server_is_the_one_that_is_asked(pair):
    a, b = pair
    put(a, "u@one.test")
    done = a.tool("redirect-message", "-Server", "elsewhere", "-Target", b.where, check=False)
    assert done.returncode == 64 and "elsewhere" in done.stderr and a.queued() == 1
