"""Queues and messages that are suspended, filters, priorities, ages (QU-1, QU-5, QU-6, QU-7)."""
import json
import os
import socket

import pytest

from tests.kit import mails, process, relais, sink
from tests.kit.talk import Talk

URGENT = b"X-Priority: 1\r\n"


def put(node, recipient, sender="a@sender.test", content=mails.PLAIN, extra=""):
    with Talk(node.ports[0]) as talk:
        assert talk.say(f"MAIL FROM:<{sender}>{extra}").startswith("250")
        assert talk.say(f"RCPT TO:<{recipient}>").startswith("250")
        talk.say("DATA")
        talk.raw(content.replace(b"\r\n.", b"\r\n..") + b".\r\n")
        answer = talk.reply()
        assert answer.startswith("250 2."), answer
        return answer.split()[-1]


@pytest.fixture
def relay(start):
    """Two next hops, both down until the test starts them."""
    port, one, two = process.free_port(), process.free_port(), process.free_port()
    node = start(relais.receive("In", f"127.0.0.1:{port}", trust_priority="true") +
                 relais.send("One", spaces=["one.test"], smart_hosts=[f"[127.0.0.1]:{one}"], retry=["1h"]) +
                 relais.send("Two", spaces=["two.test"], smart_hosts=[f"[127.0.0.1]:{two}"], retry=["1h"]), port)
    node.one, node.two = one, two
    return node


def statuses(node):
    return {row["id"]: row["status"] for row in node.ask("queue")[0]}


def queue(node, name):
    return next(row for row in node.ask("queues")[0] if row["name"] == name)


def wait_down(node, *names):
    process.wait_for("the first attempts", lambda: all(queue(node, name)["status"] == "retry" for name in names))


# --- Suspended ------------------------------------------------------------------------------------

def test_a_suspended_message_stays_so_over_a_restart(relay):
    kept, goes = put(relay, "kept@one.test"), put(relay, "goes@one.test")
    wait_down(relay, "One")
    assert relay.tool("suspend", kept).stdout == "suspended: 1 message\n"
    relay.kill()
    relay.start()
    assert statuses(relay)[kept] == "suspended"
    with sink.Sink(port=relay.one) as target:
        relay.tool("retry", "One")
        process.wait_for("the other one", lambda: len(target.mails) == 1)
        assert target.mails[0].recipients == ["goes@one.test"]
        process.wait_for("it to be over", lambda: goes not in statuses(relay))
        relay.tool("retry", kept)  # not what it takes
        assert statuses(relay) == {kept: "suspended"} and goes not in statuses(relay)
        assert relay.tool("resume", kept).stdout == "resumed: 1 message\n"
        process.wait_for("it to go", lambda: len(target.mails) == 2)
        relay.wait_empty()


def test_a_suspended_queue_stays_so_over_a_restart(relay):
    put(relay, "a@one.test")
    wait_down(relay, "One")
    assert relay.tool("suspend", "One").stdout == "suspended: 1 queue with 1 message\n"
    relay.kill()
    with sink.Sink(port=relay.one) as target:
        relay.start()
        put(relay, "b@one.test")
        assert queue(relay, "One")["status"] == "suspended"
        relay.tool("retry", "--all")
        relay.tool("status")
        assert not target.connections and relay.queued() == 2
        relay.tool("resume-queue", "-Identity", "relay\\One")
        process.wait_for("both", lambda: len(target.mails) == 2)
        relay.wait_empty()
        assert queue(relay, "One")["status"] in ("ready", "active")


def test_a_queue_without_mail_is_resumed(relay):
    put(relay, "a@one.test")
    relay.tool("suspend", "One")
    relay.tool("remove", "--all", "--yes")
    relay.stop()
    relay.start()
    assert queue(relay, "One")["status"] == "suspended" and queue(relay, "One")["messages"] == 0
    relay.tool("resume", "One")
    assert not [row for row in relay.ask("queues")[0] if row["name"] == "One"]


def test_a_login_that_hangs_is_no_session_yet(start):
    port = process.free_port()
    with socket.create_server(("127.113.0.1", 0)) as server:
        server.settimeout(30)
        node = start(relais.receive("In", f"127.0.0.1:{port}") +
                     relais.send("Out", smart_hosts=[f"[127.113.0.1]:{server.getsockname()[1]}"], user="u", password="secret",
                                 auth=["plain"], tls="none", auth_without_tls=True), port)
        put(node, "a@one.test")
        host, _ = server.accept()
        with host, host.makefile("rb") as lines:
            host.settimeout(30)
            host.sendall(b"220 slow\r\n")
            assert lines.readline().startswith(b"EHLO")
            host.sendall(b"250-slow\r\n250 AUTH PLAIN\r\n")
            assert lines.readline().startswith(b"AUTH PLAIN")
            row = queue(node, "Out")
            assert (row["connections"], row["status"]) == (1, "connecting"), row


# --- Filters --------------------------------------------------------------------------------------

def test_filters_in_both_tongues(relay):
    ids = {name: put(relay, f"{name}@{domain}.test", sender=f"{name}@{sender}.test")
           for name, domain, sender in (("x", "one", "red"), ("y", "one", "blue"), ("z", "two", "red"))}
    wait_down(relay, "One", "Two")
    for words, want in {
        ("queue", "--filter", "from ~ *@red.test"): "xz",
        ("queue", "--filter", "from ~ *@red.test and queue = One"): "x",
        ("get-message", "-Filter", "FromAddress -like '*@red.test' -and Status -eq 'Retry'"): "xz",
        ("Get-Message", "-Filter", "{Recipient -eq 'Y@one.test'}", "-ResultSize", "Unlimited"): "y",
        ("Get-Message", "-Queue", "relay\\Two"): "z",
        ("queue", "--filter", "ip = 127.0.0.1 and priority = normal and size < 1M and age < 1h"): "xyz",
        ("queue", "--filter", "error ~ *refused*"): "xyz",
        ("queue", "--filter", "received < 2020-01-01"): "",
    }.items():
        got = {json.loads(line)["id"] for line in relay.tool("--json", *words).stdout.splitlines()}
        assert got == {ids[name] for name in want}, words
    wrong = relay.tool("queue", "--filter", "from ~ x and stauts = retry", check=False)
    assert wrong.returncode == 64 and "at character 14: 'stauts' is no field" in wrong.stderr
    rows = relay.tool("--json", "get-queue", "-Filter", "MessageCount -gt 1").stdout.splitlines()
    assert [json.loads(row)["name"] for row in rows] == ["One"]


def test_what_if_changes_nothing(relay):
    for n in range(3):
        put(relay, f"u{n}@one.test")
    wait_down(relay, "One")
    before = statuses(relay)
    for words in (["remove", "--filter", "queue = One"], ["remove", "--queue", "One"], ["suspend", "--filter", "queue = One"],
                  ["Suspend-Queue", "-Identity", "One"], ["retry", "--all"], ["remove", list(before)[0]]):
        said = relay.tool(*words, "--what-if").stdout
        assert "nothing was changed" in said, words
        assert statuses(relay) == before and queue(relay, "One")["status"] == "retry"
    assert "3 messages would be removed" in relay.tool("Remove-Message", "-Filter", "Size -gt 1", "-WhatIf").stdout


def test_everything_is_asked_about(relay):
    for n in range(3):
        put(relay, f"u{n}@one.test")
    wait_down(relay, "One")
    done = relay.tool("remove", "--filter", "queue = One", check=False)
    assert done.returncode == 64 and "that is all 3 messages" in done.stderr and relay.queued() == 3
    assert relay.tool("remove", "--filter", "to = u1@one.test").stdout == "removed: 1 message\n"
    assert relay.tool("Remove-Message", "-WithNDR", "$false", "-Filter", "Queue -eq One",
                      "-Confirm:$false").stdout == "removed: 2 messages\n"
    relay.wait_empty()


def test_one_recipient_of_two_is_removed(relay):
    with Talk(relay.ports[0]) as talk:
        assert talk.send(mails.PLAIN, recipients=["a@one.test", "b@two.test"]).startswith("250")
    wait_down(relay, "One", "Two")
    relay.tool("remove", "--filter", "queue = One", "--yes")
    assert [row["to"] for row in relay.ask("queue")[0]] == [["b@two.test"]]


def test_export_by_filter(relay, folder):
    ids = {put(relay, f"u{n}@one.test") for n in range(3)}
    os.mkdir(f"{folder}/out")
    assert relay.tool("message", "export", "--filter", "to ~ u*", "-o", f"{folder}/out").stdout == "exported: 3 messages\n"
    assert set(os.listdir(f"{folder}/out")) == {f"{mid}.eml" for mid in ids}
    assert b"Subject: plain" in open(f"{folder}/out/{ids.pop()}.eml", "rb").read()


# --- Priority -------------------------------------------------------------------------------------

def test_an_alert_overtakes_a_mass_mailing(relay):
    for n in range(80):
        put(relay, f"mass{n}@one.test", extra="" if n % 2 else " MT-PRIORITY=-3")
    wait_down(relay, "One")
    put(relay, "alert@one.test", content=URGENT + mails.PLAIN)
    assert relay.ask("queue", filter="priority = high")[1]["matched"] == 1
    with sink.Sink(port=relay.one) as target:
        relay.tool("retry", "One")
        process.wait_for("all", lambda: len(target.mails) == 81)
        order = [mail.recipients[0] for mail in target.mails]
    assert "alert@one.test" in order[:40], order  # several connections race
    normal = [order.index(f"mass{n}@one.test") for n in range(80) if n % 2]
    low = [order.index(f"mass{n}@one.test") for n in range(80) if not n % 2]
    assert sum(normal) < sum(low), order
    assert min(low) < max(normal), order  # a share is theirs


def test_who_is_not_trusted_asks_for_no_more(start):
    port, target = process.free_port(), process.free_port()
    node = start(relais.receive("In", f"127.0.0.1:{port}", priority="low") +
                 relais.send("Out", smart_hosts=[f"[127.0.0.1]:{target}"], retry=["1h"]), port)
    put(node, "a@one.test", content=URGENT + mails.PLAIN, extra=" MT-PRIORITY=5")
    assert node.ask("queue")[0][0]["priority"] == "low"


# --- Ages -----------------------------------------------------------------------------------------

def test_ages(relay):
    for n in range(3):
        put(relay, f"u{n}@one.test")
    put(relay, "u@two.test")
    wait_down(relay, "One", "Two")
    text = relay.tool("queue", "--by-age").stdout
    lines = [line.split() for line in text.splitlines()]
    assert lines[0][:3] == ["NEXT", "HOP", "STATUS"] and lines[1][0] == "TOTAL" and lines[1][1] == "4", text
    assert lines[2][:3] == ["One", "retry", "3"] and lines[3][:3] == ["Two", "retry", "1"], text
    assert relay.tool("Get-QueueDigest").stdout.splitlines()[0] == text.splitlines()[0]
    row = queue(relay, "One")
    assert "451 4.4.1 connect: connection refused" in row["last_error"] and row["next_attempt_s"] > 3000
    assert row["oldest_s"] < 60 and row["bytes"] > 300
