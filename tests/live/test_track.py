"""The message tracking log, the connectivity log, and `relais track` (OP-4, OP-5)."""
import csv
import json
import os
import re
import signal
import socket
import struct

import pytest

from tests.kit import process, relais, sink
from tests.kit.talk import Talk

HOST = "127.87.0.1"
MAIL = b"Subject: the third page\r\nMessage-ID: <page3@printer.test>\r\n\r\nhere\r\n"


def base(log):
    """The usual beginning of a configuration, with LOG among the options of logs."""
    return relais.BASE.replace("    target = stderr\n", f"    target = stderr\n{log}\n")


def config(folder, port, target):
    with open(f"{folder}/aliases", "w") as f:
        f.write("team: a@example.com, b@example.com\n")
    return (f'alias_files = {{ "{folder}/aliases" }}\n' + relais.domain("example.com") +
            relais.receive("Devices", f"{HOST}:{port}", fqdn="in.relay.test", recipients_max=1000) +
            relais.send("Home", spaces=["home.test"], maildir=f"{folder}/mail/%u") +
            relais.send("Out", smart_hosts=[f"[127.0.0.1]:{target.port}"], message_retry="1h"))


@pytest.fixture
def node(start, folder, request):
    port = process.free_port()
    with sink.Sink(answer=sink.by_name) as target:
        node = start(config(folder, port, target), port, base=base(getattr(request, "param", "")))
        node.target, node.port = target, port
        yield node


def rows(node, name="tracking"):
    """The lines of a log by the names of its header."""
    header, *lines = node.log_of(name).splitlines(keepends=True)
    assert header.startswith("#Fields: ")
    return list(csv.DictReader(lines, fieldnames=header[9:].strip().split(",")))


def events(node, **want):
    return [r for r in rows(node) if all(r[k.replace("_", "-")] == v for k, v in want.items())]


def wait_event(node, count=1, **want):
    return process.wait_for(f"{want} in the tracking log",
                            lambda: (e := events(node, **want)) and len(e) >= count and e)


def send(node, *recipients, sender="scan@example.com", mail=MAIL):
    with Talk(node.port, host=HOST) as talk:
        assert talk.send(mail, sender=sender, recipients=recipients).startswith("250")


def test_trace_where_the_log_is_not_a_file(node):
    """The session and what became of its mail: the tracking log stands in for the journal."""
    send(node, "x@home.test", "nobody@far.test")
    wait_event(node, event_id="FAIL")
    delivered, = wait_event(node, event_id="DELIVER")
    text = node.tool("trace", delivered["internal-message-id"]).stdout
    assert "EHLO client.test" in text and ",DELIVER," in text and ",FAIL," in text and ",RECEIVE," in text, text


@pytest.mark.parametrize("log", ["json = yes", "json = no"])
def test_trace_finds_the_session(start, folder, log):
    """Of a message that is gone, in logs of both kinds, and though the connector has a comma in its name."""
    port = process.free_port()
    with sink.Sink(answer=sink.by_name) as target:
        node = start(config(folder, port, target).replace('"Devices"', '"Devices, old"'), port, base=base(log))
        node.target, node.port = target, port
        send(node, "a@example.com")
        node.wait_empty()
        mid, = re.findall(r"[0-9a-f]{32}", next(line for line in node.log_of("tracking").splitlines() if "RECEIVE" in line))
        text = node.tool("trace", mid).stdout
        assert "EHLO client.test" in text and "QUIT" not in text and "SEND" in text, text


def test_trace_of_a_long_session(node):
    """What became of the message is told, though its session has more lines than are shown."""
    with Talk(node.port, host=HOST) as talk:
        for _ in range(27):
            talk.raw(b"NOOP\r\n" * 100)
            assert all(talk.reply().startswith("250") for _ in range(100))
        assert talk.send(MAIL, recipients=["a@example.com"]).startswith("250")
    sent, = wait_event(node, event_id="SEND")
    done = node.tool("trace", sent["internal-message-id"])
    assert "NOOP" in done.stdout and ",RECEIVE," in done.stdout and ",SEND," in done.stdout
    assert "queued as " + sent["internal-message-id"] in done.stdout
    assert "there are more lines of the session" in done.stderr


def test_the_log_tells_the_whole_path(node):
    send(node, "team@example.com", "nobody@far.test", "later@far.test", "x@home.test")
    receive, = wait_event(node, event_id="RECEIVE", connector_id="Devices")
    mid = receive["internal-message-id"]
    assert receive["recipient-address"] == "team@example.com;nobody@far.test;later@far.test;x@home.test"
    assert receive["client-ip"].startswith("127.") and receive["server-ip"] == HOST
    assert receive["server-hostname"] == "in.relay.test" and receive["source"] == "SMTP"
    assert receive["message-id"] == "<page3@printer.test>" and receive["sender-address"] == "scan@example.com"
    assert receive["total-bytes"] == str(len(MAIL)) and receive["message-subject"] == ""
    expand, = wait_event(node, event_id="EXPAND")
    assert expand["related-recipient-address"] == "team@example.com" and expand["internal-message-id"] == mid
    assert expand["recipient-address"] == "a@example.com;b@example.com" and expand["recipient-count"] == "2"
    assert expand["connector-id"] == "Devices"
    sent = wait_event(node, 2, event_id="SEND", internal_message_id=mid)
    assert sorted(r["recipient-address"] for r in sent) == ["a@example.com", "b@example.com"]
    assert sent[0]["server-ip"] == "127.0.0.1" and sent[0]["recipient-status"].startswith("250")
    assert sent[0]["connector-id"] == "Out" and sent[0]["message-id"] == "<page3@printer.test>"
    deliver, = wait_event(node, event_id="DELIVER")
    assert deliver["source"] == "MAILDIR" and deliver["recipient-address"] == "x@home.test"
    fail, = wait_event(node, event_id="FAIL")
    assert fail["recipient-status"].startswith("550 5.1.1") and fail["recipient-address"] == "nobody@far.test"
    defer, = wait_event(node, event_id="DEFER")
    assert defer["recipient-status"].startswith("451 4.2.0")
    dsn, = wait_event(node, event_id="DSN")
    assert dsn["reference"] == mid and dsn["recipient-address"] == "scan@example.com"
    wait_event(node, event_id="SEND", internal_message_id=dsn["internal-message-id"])
    assert node.tool("remove", mid)
    drop, = wait_event(node, event_id="DROP")
    assert drop["internal-message-id"] == mid


def test_who_has_left_before_it_is_safe(start, folder):
    """D2: the logs have of that client what they have of others, and its connector by name."""
    port = process.free_port()
    with sink.Sink(answer=sink.by_name) as busy:
        # He sends all of it and hangs up while relaisd stands still: it reads the message, and has nobody to answer to.
        delayed = relais.receive("Devices", f"{HOST}:{port}", ranges=["127.0.0.0/8"], allow=["submit", "any-sender"],
                                 shadow_failure="delay", max_acknowledgement_delay="4s")
        node = start(re.sub(r'receive_connector "Devices" \{.*?\n\}\n', lambda _: delayed, config(folder, port, busy),
                            flags=re.S), port)
        with Talk(port, host=HOST) as talk:
            os.kill(node.pid, signal.SIGSTOP)
            talk.raw(b"MAIL FROM:<scan@sender.test>\r\nRCPT TO:<team@example.com>\r\nRCPT TO:<later@example.com>\r\n"
                     b"BDAT %d LAST\r\n" % len(MAIL) + MAIL)
            talk.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))  # a reset
        os.kill(node.pid, signal.SIGCONT)
        wait_event(node, event_id="DEFER")
        node.wait_log("untold id=")
        log = node.log()
        mid, session, client = re.search(r" received id=(\w+) session=(\w+) connector=Devices client=(127\S+) helo=client\.test .*"
                                         r"from=<scan@sender\.test> nrcpt=3 ", log).groups()
        assert f"expanded id={mid} session={session} connector=Devices " in log
        assert f"untold id={mid} session={session} connector=Devices client={client}" in log
    receive, = events(node, event_id="RECEIVE")
    assert receive["recipient-address"] == "team@example.com;later@example.com" and receive["session-id"] == session
    assert receive["client-ip"] == client.split(":")[0] and receive["client-hostname"] == "client.test"
    assert receive["server-ip"] == HOST and receive["server-hostname"] == "relay.test"
    assert receive["connector-id"] == events(node, event_id="EXPAND")[0]["connector-id"] == "Devices"


def test_what_waited_keeps_its_message_id(start, folder):
    """A message at rest has let go of it: after a deferral, after a restart, and when it is given up without a try; the
    sender of none is told, so that nothing of them is read for that."""
    answers = {"later@far.test": "451 4.2.0 try later"}
    with sink.Sink(answer=lambda stage, text: next((a for who, a in answers.items() if stage == "rcpt" and who in text),
                                                   None)) as target:
        port = process.free_port()
        node = start(config(folder, port, target), port)
        node.target, node.port = target, port
        mail = {name: MAIL.replace(b"page3", name.encode()) for name in ("waited", "slept", "expired")}
        send(node, "later@far.test", mail=mail["waited"])
        wait_event(node, event_id="DEFER", message_id="<waited@printer.test>")
        answers.clear()
        node.tool("retry", "--all")
        wait_event(node, event_id="SEND", message_id="<waited@printer.test>")
        node.wait_empty()
        node.tool("suspend", "Out")
        send(node, "a@far.test", mail=mail["slept"])
        node.stop()
        node.start()
        node.tool("resume", "Out")
        wait_event(node, event_id="SEND", message_id="<slept@printer.test>")
        node.wait_empty()
        node.tool("suspend", "Out")
        send(node, "b@far.test", sender="", mail=mail["expired"])
        node.configure(relais.block("queue", None, expiry="1s") + config(folder, port, target))
        node.reload()
        wait_event(node, event_id="FAIL", message_id="<expired@printer.test>")
        assert [e["event-id"] for m in track(node, "--id", "expired@printer.test") for e in m["events"]] == ["RECEIVE", "FAIL"]
        # RECEIVE is gone with an old file: what became of it is found all the same.
        rows_left = [line for line in node.log_of("tracking").splitlines(keepends=True) if ",RECEIVE," not in line]
        with open(f"{node.folder}/tracking.log", "w", newline="") as f:
            f.writelines(rows_left)
        for name, want in (("waited", ["DEFER", "SEND"]), ("slept", ["SEND"]), ("expired", ["FAIL"])):
            found, = track(node, "--id", f"<{name}@printer.test>")
            assert [e["event-id"] for e in found["events"]] == want, name


def test_a_mailbox_that_had_no_room_at_first(node, folder):
    """The same, where no host is asked."""
    with open(f"{folder}/mail", "w"):
        send(node, "x@home.test")
    wait_event(node, event_id="DEFER", message_id="<page3@printer.test>", source="MAILDIR")
    os.remove(f"{folder}/mail")
    node.tool("retry", "--all")
    wait_event(node, event_id="DELIVER", message_id="<page3@printer.test>")


def test_a_message_id_that_is_ours(start, folder):
    """Of a mail that had none, and of a notification."""
    with sink.Sink(answer=sink.by_name) as target:
        port = process.free_port()
        node = start(relais.receive("In", f"{HOST}:{port}", add_missing_headers=True) +
                     relais.send("Out", smart_hosts=[f"[127.0.0.1]:{target.port}"]), port)
        node.target, node.port = target, port
        send(node, "a@far.test", "nobody@far.test", mail=b"Subject: none\r\n\r\nhere\r\n")
        dsn, = wait_event(node, event_id="DSN")
        wait_event(node, event_id="SEND", internal_message_id=dsn["internal-message-id"])
        sent = [next(line[12:].strip() for line in mail.content.decode().splitlines() if line.startswith("Message-ID: "))
                for mail in target.mails]
        assert len(set(sent)) == 2
        assert {r["message-id"] for r in rows(node) if r["internal-message-id"] == dsn["internal-message-id"]} == \
            {dsn["message-id"]}
        assert {r["message-id"] for r in rows(node)} == set(sent)


def test_many_recipients_take_several_lines(node):
    names = [f"recipient-with-a-long-name-{n:04}@far.test" for n in range(300)]
    send(node, *names)
    wait_event(node, 300, event_id="SEND")
    lines = events(node, event_id="RECEIVE")
    assert len(lines) > 1 and {r["recipient-count"] for r in lines} == {"300"}
    assert [a for r in lines for a in r["recipient-address"].split(";")] == names


@pytest.mark.parametrize("node", ["json = no", "json = yes"], indirect=True)
def test_quotes_in_names_take_room_too(node):
    """None is cut at the end of a line, though a quote is written as two bytes."""
    names = [f'"a b\\{n % 10}{n:03}"@far.test' for n in range(900)]
    send(node, *names)
    node.wait_empty()
    found, = track(node, "--sender", "scan@example.com")
    named = [name for e in found["events"] if e["event-id"] == "RECEIVE" for name in e["recipient-address"]]
    assert sorted(named) == sorted(names)


@pytest.mark.parametrize("node", ["log_subjects = yes"], indirect=True)
def test_subjects_are_kept_where_that_is_asked_for(node):
    send(node, "a@example.com")
    assert wait_event(node, event_id="RECEIVE")[0]["message-subject"] == "the third page"


def test_the_connectivity_log(node):
    send(node, "a@example.com")
    wait_event(node, event_id="SEND")
    node.stop()
    begun, up, over = [r for r in rows(node, "connectivity") if r["connector-id"] == "Out"]
    assert [r["event"] for r in (begun, up, over)] == ["+", "*", "-"]
    assert begun["remote-endpoint"] == f"127.0.0.1:{node.target.port}" and begun["source"] == "SMTP"
    assert len({r["session-id"] for r in (begun, up, over)}) == 1
    assert up["description"].startswith("up after ") and "TLS: none" in up["description"]
    assert over["description"].startswith("messages: 1, recipients: 1, bytes: ")
    node.start()


def test_a_host_that_does_not_answer(start, folder):
    port, dead = process.free_port(), process.free_port()
    node = start(relais.receive("In", f"{HOST}:{port}") +
                 relais.send("Out", smart_hosts=[f"[127.0.0.1]:{dead}"]), port)
    node.port = port
    send(node, "a@example.com")
    process.wait_for("the failure", lambda: any("error: " in r["description"] and r["event"] == "-"
                                                for r in rows(node, "connectivity")))
    assert any(r["event"] == "*" and "does not answer" in r["description"] for r in rows(node, "connectivity"))


@pytest.mark.parametrize("node", ["json = yes"], indirect=True)
def test_json_lines(node):
    send(node, "a@example.com")

    def sent():
        return [r for r in map(json.loads, node.log_of("tracking").splitlines()) if r["event-id"] == "SEND"]
    row, = process.wait_for("SEND", sent)
    assert row["recipient-address"] == "a@example.com" and "message-subject" not in row


def test_none_is_written_where_none_is_wanted(start, folder):
    port = process.free_port()
    with sink.Sink() as target:
        off = relais.BASE.replace('"{folder}/tracking.log"', "off").replace('"{folder}/connectivity.log"', "off")
        node = start(config(folder, port, target), port, base=off)
        node.port = port
        send(node, "a@example.com")
        node.wait_empty()
    assert not os.path.exists(f"{node.folder}/tracking.log") and not os.path.exists(f"{node.folder}/connectivity.log")


# --- relais track ----------------------------------------------------------------------------------------------------

def track(node, *arguments, tool="track"):
    """The messages it finds, as it tells programs of them."""
    done = node.tool(tool, "--json", *arguments, check=False)
    assert done.returncode in (0, 66), done.stderr
    return [json.loads(line) for line in done.stdout.splitlines()]


def senders(found):
    return [m["from"] for m in found]


@pytest.fixture
def busy(node):
    """Three messages: to an alias and one who is deferred; to nobody, so that there is a notification; home."""
    send(node, "team@example.com", "later@far.test", sender="one@example.com")
    send(node, "nobody@far.test", sender="two@example.com", mail=MAIL.replace(b"page3", b"page4"))
    send(node, "x@home.test", sender="three@elsewhere.test", mail=MAIL.replace(b"page3", b"page5"))
    wait_event(node, event_id="DELIVER")
    wait_event(node, event_id="DEFER")
    dsn, = wait_event(node, event_id="DSN")
    wait_event(node, event_id="SEND", internal_message_id=dsn["internal-message-id"])
    return node


@pytest.mark.parametrize("arguments, want", [
    (["--sender", "one@example.com"], ["one@example.com"]),
    (["--sender", "*@elsewhere.test"], ["three@elsewhere.test"]),
    (["--sender", "@EXAMPLE.com"], ["one@example.com", "two@example.com", "<>"]),
    (["--sender", "<>"], ["two@example.com", "<>"]),
    (["--recipient", "b@example.com"], ["one@example.com"]),
    (["--recipient", "team@example.com"], ["one@example.com"]),
    (["--recipient", "b@example.com", "--recipient", "@home.test"], ["one@example.com", "three@elsewhere.test"]),
    (["--recipient", "b@example.com", "--event", "FAIL"], []),
    (["--event", "fail"], ["two@example.com", "<>"]),
    (["--id", "<page5@printer.test>"], ["three@elsewhere.test"]),
    (["page5@printer.test"], ["three@elsewhere.test"]),
    (["--since", "5m", "--sender", "one@example.com"], ["one@example.com"]),
    (["--until", "5m"], []),
    (["--since", "2020-01-01", "--until", "2020-01-02T10:05"], []),
    (["--limit", "1", "--sender", "*@*"], ["three@elsewhere.test"]),
])
def test_what_is_found(busy, arguments, want):
    assert senders(track(busy, *arguments)) == want


def test_it_can_be_asked_in_the_other_tongue(busy):
    done = busy.tool("get-message-tracking-log", "-EventId", "BLAH", check=False)
    assert done.returncode == 64 and "'BLAH' is no event" in done.stderr
    for arguments in (["-Sender", "two@example.com", "-EventId", "FAIL"], ["-MessageId", "<page4@printer.test>"],
                      ["-Recipients", "nobody@far.test", "-Start", "1h"]):
        assert senders(track(busy, *arguments, tool="Get-MessageTrackingLog")) == ["two@example.com", "<>"]


def test_the_whole_path(busy):
    one, = track(busy, "--sender", "one@example.com")
    assert [e["event-id"] for e in one["events"]][:2] == ["RECEIVE", "EXPAND"]
    assert sorted(e["event-id"] for e in one["events"][2:]) == ["DEFER", "SEND", "SEND"]
    queued, = one["queued"]
    assert queued["to"] == ["later@far.test"] and queued["status"] == "retry" and queued["next_attempt_s"] > 3000
    assert "451 4.2.0 try later" in queued["last_error"]
    failed, dsn = track(busy, "--recipient", "nobody@far.test")
    assert [e["event-id"] for e in failed["events"]][0] == "RECEIVE"
    assert {e["event-id"] for e in failed["events"]} == {"RECEIVE", "FAIL", "DSN"}
    assert dsn["is_related"] and [e["event-id"] for e in dsn["events"]][:1] == ["DSN"]
    assert failed["queue_is_known"] and "queued" not in failed
    # And from the notification to what it tells of.
    assert {m["id"] for m in track(busy, "--id", dsn["id"])} == {failed["id"], dsn["id"]}


def test_what_people_read(busy):
    text = busy.tool("track", "--sender", "one@example.com").stdout
    assert "<page3@printer.test>" in text and "for team@example.com, later@far.test; by connector Devices" in text
    assert "team@example.com stands for a@example.com, b@example.com" in text
    assert "now: later@far.test; in queue " in text and ", next try in " in text
    text = busy.tool("track", "--recipient", "nobody@far.test").stdout
    assert "failure told to two@example.com by message " in text and "nothing of it is queued here" in text
    assert "\n  from <>" in text and "\n\n  " not in text and "\n  \n" not in text and "\n \n" not in text
    assert "; about message " in text


def test_when_the_daemon_is_down(busy):
    busy.stop()
    done = busy.tool("track", "--sender", "one@example.com")
    assert "DEFER" in done.stdout and "what is still queued is not known" in done.stderr
    busy.start()


def test_rotated_files_are_read_the_oldest_first(busy):
    busy.stop()
    file = f"{busy.folder}/tracking.log"
    lines = open(file).read().splitlines(keepends=True)
    half = len(lines) // 2
    with open(f"{file}.1", "w") as old, open(file, "w") as new:
        old.writelines(lines[:half])
        new.writelines(lines[:1] + lines[half:] + ["2026-11-22T10:00:00.000Z,half a li"])
    assert sorted(senders(track(busy))) == ["<>", "one@example.com", "three@elsewhere.test", "two@example.com"]
    busy.start()


@pytest.mark.parametrize("node", ["json = yes\n    log_subjects = yes"], indirect=True)
def test_json_files_and_subjects(node):
    send(node, "a@example.com")
    process.wait_for("it", lambda: any(e["event-id"] == "SEND" for m in track(node) for e in m["events"]))
    found, = track(node, "--subject", "Third")
    assert found["subject"] == "the third page"
    assert not track(node, "--subject", "third*") and len(track(node, "--subject", "*page")) == 1


@pytest.mark.parametrize("node", ["log_subjects = yes"], indirect=True)
def test_what_was_sent_before_its_250_was_said(node):
    """SEND stands in front of RECEIVE then, which has the subject."""
    send(node, "a@example.com", sender="one@example.com")
    wait_event(node, event_id="SEND")
    node.stop()
    with open(f"{node.folder}/tracking.log", newline="") as f:
        header, *lines = f.readlines()
    lines.sort(key=lambda line: ",RECEIVE," in line)
    assert ",SEND," in lines[0] and ",RECEIVE," in lines[-1]
    with open(f"{node.folder}/tracking.log", "w", newline="") as f:
        f.writelines([header, *lines])
    for more in ([], ["--event", "SEND"], ["--event", "RECEIVE"], ["--recipient", "a@example.com"], ["--until", "2099-01-01"],
                 ["--sender", "one@example.com", "--event", "SEND"]):
        assert senders(track(node, "--subject", "third page", *more)) == ["one@example.com"], more
    assert not track(node, "--subject", "fourth page", "--event", "SEND")
    assert not track(node, "--subject", "third page", "--event", "FAIL")
    node.start()


@pytest.mark.parametrize("arguments, why", [
    (["--sender", "a b"], "is no address and no pattern"),
    (["--since", "yesterday"], "is no time"),
    (["--event", "FOO"], "'FOO' is no event; there are: RECEIVE, EXPAND, SEND, DELIVER, DEFER, FAIL, DSN"),
    (["a", "b"], "unexpected 'b'"),
])
def test_mistakes(node, arguments, why):
    done = node.tool("track", *arguments, check=False)
    assert done.returncode == 64 and why in done.stderr
