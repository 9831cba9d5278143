"""What the administrator sees of two machines, and what he may order (SHADOW.md 7; OP)."""
import json
import os
import shutil

import pytest

from tests.kit import cluster, mails, process, relais, sink
from tests.kit.talk import Talk

SAFE = "250 2.0.0 queued as "


def send(node, count=1):
    ids = []
    with Talk(node.port, node.host) as talk:
        for n in range(count):
            answer = talk.send(mails.PLAIN, recipients=[f"u{n}@example.com"])
            assert answer.startswith(SAFE), answer
            ids.append(answer[len(SAFE):])
    return ids


@pytest.fixture
def pair(folder, request):
    """Two nodes whose next hop is down; started again they find it down still."""
    closed = process.free_port()
    both = cluster.Cluster(folder, relais.send("Out", smart_hosts=[f"[127.0.0.1]:{closed}"], retry=["1h"]))
    request.module._nodes = both.nodes
    both.start()
    both.closed = closed
    yield both
    both.__exit__(None, None, None)


def wait_verdict(node, words, seconds=20):
    return process.wait_for(f"'{words}'", lambda: words in node.tool("shadow", "status").stdout.splitlines()[0], seconds)


# --- Is it redundant, and why not -----------------------------------------------------------------

def test_alone(start):
    port = process.free_port()
    node = start(relais.receive("In", f"127.0.0.1:{port}") + relais.send("Out", smart_hosts=["[127.0.0.1]:9"]), port)
    first = node.tool("shadow", "status").stdout.splitlines()[0]
    assert first == "NOT redundant: single node: messages are on this disk alone"
    assert "redundancy         " + first in node.tool("status").stdout
    assert "shadow" not in node.tool("queues").stdout
    assert "messages           0 to deliver, 0 of them on two nodes\n" in node.tool("shadow", "status").stdout
    with Talk(port) as talk:
        assert talk.send(mails.PLAIN).startswith(SAFE) and talk.send(mails.PLAIN).startswith(SAFE)
    assert ("messages           2 to deliver, 0 of them on two nodes\n"
            "                   2 taken without shadow redundancy: on this disk alone\n") in node.tool("shadow", "status").stdout
    assert json.loads(node.tool("--json", "shadow", "status").stdout)["alone"] == 2


def test_it_is_switched_off(pair):
    """What is taken meanwhile is counted, and copied as soon as it is switched on again."""
    one, _ = pair.nodes
    one.tool("set-transport-config", "-ShadowRedundancyEnabled", "$false")
    send(one, 2)
    shown = one.tool("shadow", "status").stdout
    assert shown.startswith("NOT redundant: switched off") and "2 taken without shadow redundancy: on this disk alone\n" in shown
    one.tool("set-transport-config", "-ShadowRedundancyEnabled", "$true")
    shown = process.wait_for("both copies", lambda: "2 to deliver, 2 of them on two nodes" in (t := one.tool("shadow", "status").stdout) and t)
    assert "without shadow redundancy" not in shown


def test_both_are_there(pair):
    one, two = pair.nodes
    send(one, 3)
    wait_verdict(one, "redundant: every message is on two nodes")
    process.wait_for("the same in status", lambda: "redundancy         redundant: every message is on two nodes\n"
                     in one.tool("status").stdout)
    text = process.wait_for("the node to be live", lambda: " live " in (t := one.tool("shadow", "status").stdout) and t)
    lines = text.splitlines()
    row = next(line.split() for line in lines if line.startswith(two.name))
    assert row[1:3] == ["live", "up"] and row[5] == "3", text
    assert "messages           3 to deliver, 3 of them on two nodes" in lines
    assert "copies held        3 for other nodes" in two.tool("shadow", "status").stdout
    status = process.wait_for("the same in JSON", lambda: (s := json.loads(one.tool("--json", "shadow", "status").stdout))
                              ["redundant"] and s)
    assert status["on_two_nodes"] == 3 and status["single"] == 0 and not status.get("alarms")
    assert status["nodes"][0]["node"] == two.name and status["nodes"][0]["contact_ms"] < 5000
    assert set(status["maybe_twice"]) == {"d1", "d2", "d3", "d4", "d6"}
    assert status["copies_sent"] == 3 and 0 < status["copy_us_p50"] <= status["copy_us_p99"]
    process.wait_for("the same for a program", lambda: one.status()["redundant"] is True)


def test_the_other_one_dies(pair):
    one, two = pair.nodes
    two.kill()
    wait_verdict(one, f"NOT redundant: no other node takes copies: {two.name} ")
    mid, = send(one)
    first = one.tool("shadow", "status").stdout.splitlines()[0]
    assert first.startswith("NOT redundant: 1 message has one copy, oldest ") and f": {two.name} " in first, first
    assert one.status()["redundant"] is False and any(two.name in a for a in one.status()["alarms"])
    single = one.tool("shadow", "list", "--single").stdout
    assert mid in single and "u0@example.com" in single and "a@sender.test" in single, single
    shown = one.tool("message", "show", mid).stdout
    assert f"copies at          {one.name}\n" in shown and "one copy           " in shown, shown
    two.start()
    wait_verdict(one, "redundant: every message is on two nodes")
    assert f"copies at          {one.name}, {two.name}\n" in one.tool("message", "show", mid).stdout
    assert one.tool("shadow", "list", "--single").stdout == "there is none\n"


def test_heard_and_not_reached(pair):
    """A wrong address in one of the two files: that one says so and why, once, and takes nothing over."""
    one, two = pair.nodes
    ids = send(two, 2)
    wait_verdict(two, "redundant: every message is on two nodes")
    right = two.address
    two.address = lambda: f"{two.host}:{pair.closed}"
    pair.configure(one)
    one.tool("reload")

    def see():
        node, = one.shadow()["nodes"]
        return node["state"] == "unreachable" and node["unanswered_ms"] > 4000 and node
    node = process.wait_for("it to be long enough", see, 30)
    assert not node["up"] and "refused" in node["link_error"]
    assert f"NOT redundant: no other node takes copies: {two.name} cannot be reached for " in one.tool("shadow", "status").stdout
    assert f"\nno link to {two.name}: {node['link_error']}\n" in one.tool("shadow", "status").stdout
    assert one.log().count("node_silent") == one.log().count("alarm alarm=node-silent") == 1
    assert one.held() == set(ids) and not one.ids()
    done = one.tool("shadow", "takeover", two.name, check=False)
    assert done.returncode == 75 and "it is not silent" in done.stderr, done

    two.address = right
    pair.configure(one)
    one.tool("reload")
    pair.wait_together()
    wait_verdict(one, "redundant: every message is on two nodes")
    process.wait_for("the alarm to end", lambda: one.log().count("alarm_cleared alarm=node-silent") == 1)
    assert "no link to" not in one.tool("shadow", "status").stdout


# --- Copies held for another ----------------------------------------------------------------------

def test_shadow_queues(pair):
    one, two = pair.nodes
    ids = send(one, 3)
    name = f"shadow\\{one.name}"
    row = next(r for r in two.ask("queues")[0] if r["name"] == name)
    assert (row["kind"], row["messages"]) == ("shadow", 3) and row["status"] in ("live", "silent")
    assert name in two.tool("queues").stdout
    assert two.ask("queue") == ([], {"ok": True, "messages": 0, "held": 3})  # nothing that it is to deliver
    listed = two.tool("queue")
    assert listed.stdout == "nothing is waiting\n" and "3 copies are held for other nodes" in listed.stderr
    for queue in (name, "shadow\\ex01"):  # the first label will do
        listed = two.ask("queue", queue=queue)[0]
        assert sorted(r["id"] for r in listed) == sorted(ids)
        assert {r["status"] for r in listed} == {"held"} and {r["to"][0] for r in listed} == {f"u{n}@example.com" for n in range(3)}
    text = two.tool("queue", name).stdout
    assert all(mid in text for mid in ids) and "held" in text
    assert two.ask("queue", queue="shadow\\nobody")[1]["code"] == 66
    held = two.tool("shadow", "list").stdout
    assert all(mid in held for mid in ids) and one.name in held
    assert len(two.tool("--json", "shadow", "list", "--held", "ex01", "--limit", "2").stdout.splitlines()) == 2


def test_a_copy_is_shown_and_left_alone(pair):
    one, two = pair.nodes
    mid, = send(one)
    shown = two.tool("message", "show", mid).stdout
    assert f"held for           {one.name}\n" in shown and "status             held\n" in shown, shown
    assert "Subject: plain" in shown and "u0@example.com" in shown
    mails.check_same(two.tool("message", "export", mid).stdout.encode(), mails.PLAIN)
    for command in ("retry", "remove"):
        done = two.tool(command, mid, check=False)
        assert done.returncode == 66 and f"is a copy held for {one.name}, which is to deliver it" in done.stderr, done
    assert two.held() == {mid}
    for command in ("resume", "drop"):
        done = two.tool("shadow", command, mid, check=False)
        assert done.returncode == 66 and "neither set aside nor unclaimed" in done.stderr, done
    one.tool("remove", mid)
    process.wait_for("the copy to go", lambda: not two.held())
    assert two.tool("message", "show", mid, check=False).returncode == 66


def test_copies_with_the_daemon_down(pair):
    """They are no messages of this node's: nobody may think that he has to deliver them."""
    one, two = pair.nodes
    mid, = send(one)
    own, = send(two)
    two.stop()
    rows = {r["id"]: r for r in map(json.loads, two.tool("--json", "queue").stdout.splitlines())}
    assert rows[own]["status"] == "stored" and rows[mid]["status"] == "held", rows
    assert rows[mid]["held_for_store"] == one.shadow()["store"]
    assert "copies             1 held for other nodes" in two.tool("status", check=False).stdout
    assert "1 messages, 1 copies of other nodes'" in two.tool("spool", "check").stdout
    assert "status             held\n" in two.tool("message", "show", mid).stdout


# --- Orders ---------------------------------------------------------------------------------------

def test_takeover_of_a_node_that_answers(pair):
    one, two = pair.nodes
    ids = send(one, 2)
    two.tool("set-transport-config", "-ShadowHeartbeatTimeoutInterval", "00:00:20")  # it is live, however slow
    for command, what in (("takeover", "takes over"), ("evict", "evicts it")):
        done = two.tool("shadow", command, one.name, check=False)
        assert done.returncode == 75, done
        assert f"it is not silent; --force {what} all the same (counted as D4)" in done.stderr, done
        assert f"{one.name} answered " in done.stderr
    assert two.ids() == set()
    assert two.tool("shadow", "takeover", "--force", "ex01").stdout == f"taking over 2 messages of {one.name}\n"
    process.wait_for("the take-over", lambda: two.ids() == set(ids))
    process.wait_for("the first to hold them", lambda: one.held() == set(ids))
    assert two.shadow()["maybe_twice"]["d4"] > 0
    assert "shadow takeover" in two.log()
    shown = two.tool("message", "show", ids[0]).stdout
    assert f"taken over from    {one.name}\n" in shown and "generation         1\n" in shown, shown


def test_takeover_of_a_node_that_is_silent_but_not_lost_yet(pair):
    """Who is told no hears for how long it is silent, when it is lost, and what to do meanwhile."""
    one, two = pair.nodes
    ids = send(one, 2)
    two.tool("set-transport-config", "-ShadowHeartbeatRetryCount", "1000")
    one.kill()
    process.wait_for("silence", lambda: two.shadow()["nodes"][0]["state"] == "silent")
    for command, what in (("takeover", "takes over"), ("evict", "evicts it")):
        done = two.tool("shadow", command, one.name, check=False)
        assert done.returncode == 75, done
        assert f"{one.name} is silent for " in done.stderr and "without an answer" in done.stderr, done
        assert f"--force {what} now" in done.stderr and "not silent" not in done.stderr, done
    two.tool("shadow", "takeover", "--force", one.name)
    process.wait_for("what was held", lambda: two.ids() == set(ids))
    events = two.shadow()["events"]
    assert events["node_silent"] >= 1 and events["takeover"] >= 1, events


def test_takeover_of_a_dead_node(pair):
    one, two = pair.nodes
    ids = send(one, 2)
    one.kill()
    process.wait_for("silence", lambda: two.shadow()["nodes"][0]["state"] in ("silent", "gone"))
    process.wait_for("the take-over", lambda: two.tool("shadow", "takeover", one.name, check=False).returncode == 0)
    process.wait_for("what was held", lambda: two.ids() == set(ids))
    assert two.shadow()["events"]["takeover"] >= 1
    # There is no RECEIVE here to look for.
    found = [json.loads(line) for line in two.tool("--json", "track", "--sender", "a@sender.test").stdout.splitlines()]
    assert {m["id"] for m in found} == set(ids)
    resubmits = [e for m in found for e in m["events"] if e["event-id"] == "RESUBMIT"]
    resubmits.sort(key=lambda e: e["recipient-address"])
    assert [(e["recipient-address"], e["recipient-count"], e["node"]) for e in resubmits] == [
        ([f"u{n}@example.com"], "1", one.name) for n in range(2)], found
    assert all(e["sender-address"] == "a@sender.test" and int(e["total-bytes"]) > 0 for e in resubmits)
    shown = two.tool("track", "--recipient", "u1@example.com").stdout
    assert f"{ids[1]}" in shown and f"  from a@sender.test, {resubmits[1]['total-bytes']} bytes\n" in shown
    assert f"RESUBMIT  from node {one.name}; for u1@example.com\n" in shown, shown


def test_evict(pair):
    one, two = pair.nodes
    ids = send(one, 2)
    one.kill()
    process.wait_for("silence", lambda: two.shadow()["nodes"][0]["state"] in ("silent", "gone"))
    done = process.wait_for("the order to be taken", lambda: (d := two.tool("shadow", "evict", one.name, check=False)).returncode == 0 and d)
    assert f"{one.name} is evicted: its store is retired for ever" in done.stdout
    process.wait_for("what was held", lambda: two.ids() == set(ids))
    one.start()
    # It is refused with the store it has, and begins a new one; what the other took it holds for it.
    process.wait_for("a new store", lambda: one.shadow()["events"]["own_store_new"] >= 1)
    process.wait_for("both together", lambda: pair._is_together(two) and pair._is_together(one))
    process.wait_for("the fence to be done", lambda: one.ids() == set() and one.held() == set(ids))
    assert two.ids() == set(ids)


def test_a_node_that_left_is_not_forgotten(pair):
    """What is held for a node that is no longer configured is told of, and can be had by order: also
    after a restart."""
    one, two = pair.nodes
    ids = send(one, 2)
    one.kill()
    two.configure_in([], pair.sends[1])
    words = f"2 copies held for {one.name}, which is no longer configured: relais shadow evict {one.name}"
    assert f"warning: {words}\n" in two.tool("reload").stderr
    for _ in range(2):
        assert f"ALARM              {words}\n" in two.tool("status").stdout
        assert words in two.tool("shadow", "status").stdout
        assert two.held() == set(ids) and {row["held_for"] for row in two.rows("held")} == {one.name}
        done = two.tool("shadow", "evict", one.name, check=False)
        assert done.returncode == 75 and "no longer configured, so nobody asks" in done.stderr, done
        process.wait_for("the alarm", lambda: "alarm=copies-of-one-that-left" in two.log())
        two.stop()
        two.start()
    two.tool("shadow", "evict", "--force", one.name)
    process.wait_for("what was held", lambda: two.ids() == set(ids) and not two.held())
    assert not two.status().get("alarms"), two.status()["alarms"]


def test_a_taken_message_is_counted_once(pair):
    """The dead node's mail is delivered by the other, which is evicted or not: nothing was twice."""
    one, two = pair.nodes
    ids = send(one, 2)
    one.kill()
    process.wait_for("silence", lambda: two.tool("shadow", "evict", one.name, check=False).returncode == 0)
    process.wait_for("what was held", lambda: two.ids() == set(ids))
    with sink.Sink(port=pair.closed) as target:
        two.tool("retry", "--all")
        process.wait_for("both to be delivered", lambda: len(target.mails) == 2 and not two.ids())
    one.start()
    process.wait_for("the fence to be done", lambda: one.ids() == set() and one.held() == set() and pair._is_together(one))
    for node in pair.nodes:
        assert not any(node.shadow()["maybe_twice"].values()), node.shadow()["maybe_twice"]


def test_set_aside_is_decided_by_hand(pair):
    """An old image of the disk comes back: what it has may be delivered long ago."""
    one, two = pair.nodes
    ids = send(one, 2)
    two.tool("set-transport-config", "-ShadowHeartbeatRetryCount", "1000")  # however long the copying takes
    one.kill()
    shutil.copytree(one.spool, one.spool + ".old")
    one.start()
    process.wait_for("both together", lambda: pair._is_together(two) and pair._is_together(one))
    with sink.Sink(port=pair.closed) as target:
        process.wait_for("the mails to be queued again", lambda: one.ids() == set(ids))
        one.tool("retry", "--all")
        process.wait_for("both to be delivered", lambda: len(target.mails) == 2 and not one.ids() and not two.held())
    one.kill()
    one.lose_spool()
    os.rename(one.spool + ".old", one.spool)
    one.start()
    aside = process.wait_for("what is set aside", lambda: len(one.rows("aside")) == 2 and one.rows("aside"))
    assert {r["id"] for r in aside} == set(ids)
    assert any("set aside: 2 messages" in a for a in one.status()["alarms"])
    done = one.tool("retry", ids[0], check=False)
    assert done.returncode == 66 and "is set aside and not in the queue" in done.stderr, done
    assert one.tool("shadow", "drop", ids[0]).stdout == f"dropped: {ids[0]}\n"
    assert one.tool("shadow", "resume", ids[1]).stdout == f"to be delivered: {ids[1]}\n"
    process.wait_for("the one to be queued", lambda: one.ids() == {ids[1]})
    assert one.rows("aside") == []


def test_audit(pair):
    one, two = pair.nodes
    send(one, 3)
    assert "about 3 copies" in two.tool("shadow", "audit").stdout
    assert f"asking {one.name} about 3 copies" in two.tool("shadow", "audit", "ex01").stdout
    assert two.shadow()["events"]["audit_difference"] == 0
    assert len(two.held()) == 3


# --- Mistakes -------------------------------------------------------------------------------------

def test_a_node_nobody_knows(pair):
    one, two = pair.nodes
    for command in ("takeover", "evict", "audit"):
        done = one.tool("shadow", command, "ex07", check=False)
        assert done.returncode == 66 and f"no node 'ex07'; known: {two.name}" in done.stderr, done


@pytest.mark.parametrize("arguments, code", [
    (["status", "x"], 64), (["list", "--aside", "--single"], 64), (["takeover"], 64), (["takeover", "a", "b"], 64),
    (["evict", "--nonsense", "a"], 64), (["audit", "a", "b"], 64), (["resume"], 64), (["resume", "zz"], 64),
    (["drop", "zz"], 64), (["status"], 69), (["list"], 69), (["takeover", "a"], 69)], ids=lambda v: " ".join(v) if isinstance(v, list) else v)
def test_mistakes(folder, arguments, code):
    done = relais.Relais(folder, "").tool("shadow", *arguments, check=False)
    assert done.returncode == code and done.stderr, done


@pytest.mark.parametrize("request_of", [{}, {"do": "nonsense"}, {"do": "list", "which": "nonsense"}, {"do": "takeover"},
                                        {"do": "resume", "id": "zz"}, {"do": 7}], ids=str)
def test_requests_that_are_none(start, request_of):
    port = process.free_port()
    node = start(relais.receive("In", f"127.0.0.1:{port}"), port)
    assert node.ask("shadow", **request_of)[1]["code"] == 64
