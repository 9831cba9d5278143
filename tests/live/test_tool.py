"""The tool: what lies in the queue, while the daemon runs and when it is down."""
import email
import email.policy
import os

import pytest

from tests.kit import dovecot, mails, process, relais, sink
from tests.kit.talk import Talk


@pytest.fixture
def waiting(start, folder):
    """A relay with three mails for a next hop that is down."""
    port, target = process.free_port(), process.free_port()
    node = start(relais.receive("In", f"127.0.0.1:{port}") +
                 relais.send("Out", spaces=["example.com"], smart_hosts=[f"[127.0.0.1]:{target}"], retry=["1h"]) +
                 relais.send("Home", spaces=["sender.test"], maildir=f"{folder}/mail/%u"), port)
    with Talk(port) as talk:
        for n in range(3):
            assert talk.send(mails.PLAIN, recipients=[f"u{n}@example.com"]).startswith("250")
    process.wait_for("the first attempt", lambda: all(row.get("last_error") for row in node.ask("queue")[0]))
    node.target = target
    return node


def test_the_queue_is_listed(waiting):
    text = waiting.tool("queue").stdout
    assert all(f"u{n}@example.com" in text for n in range(3)), text
    assert "a@sender.test" in text
    listed = waiting.ask("queue")[0]
    assert sorted(row["to"][0] for row in listed) == [f"u{n}@example.com" for n in range(3)]
    assert "3" in waiting.tool("queues").stdout
    assert "health" in waiting.tool("status").stdout


def test_a_message_is_shown_and_exported(waiting, folder):
    row = waiting.ask("queue")[0][0]
    shown = waiting.tool("message", "show", row["id"]).stdout
    assert row["to"][0] in shown and "Subject: plain" in shown
    exported = waiting.tool("message", "export", row["id"]).stdout.encode()
    mails.check_same(exported, mails.PLAIN)
    assert email.message_from_bytes(exported, policy=email.policy.default)["Subject"] == "plain"


def test_the_same_with_the_daemon_down(waiting):
    row = waiting.ask("queue")[0][0]
    waiting.stop()
    text = waiting.tool("queue").stdout
    assert all(f"u{n}@example.com" in text for n in range(3)), text
    assert "Subject: plain" in waiting.tool("message", "show", row["id"]).stdout
    mails.check_same(waiting.tool("message", "export", row["id"]).stdout.encode(), mails.PLAIN)
    assert "3" in waiting.tool("spool", "check").stdout


def test_remove_and_retry(waiting, folder):
    by_user = {row["to"][0]: row["id"] for row in waiting.ask("queue")[0]}
    waiting.tool("remove", by_user["u0@example.com"])
    waiting.tool("remove", "--ndr", by_user["u1@example.com"])
    process.wait_for("the notice of the second", lambda: dovecot.maildir(f"{folder}/mail/a"))
    assert len(dovecot.maildir(f"{folder}/mail/a")) == 1
    with open(dovecot.maildir(f"{folder}/mail/a")[0], "rb") as f:
        assert b"u1@example.com" in f.read()
    with sink.Sink(port=waiting.target) as target:
        waiting.tool("retry", "--all")
        process.wait_for("the third", lambda: target.mails)
        waiting.wait_empty()
        assert [m.recipients for m in target.mails] == [["u2@example.com"]]


def test_trace_tells_what_happened(waiting):
    row = waiting.ask("queue")[0][0]
    text = waiting.tool("trace", row["id"]).stdout
    assert row["to"][0] in text, text


def test_a_damaged_record_is_set_aside(waiting):
    """SP-6: told, never fatal, never delivered in part; the others go on."""
    waiting.kill()
    segment = next(os.path.join(waiting.spool, n) for n in sorted(os.listdir(waiting.spool))
                   if n.endswith(".seg") and b"u1@example.com" in open(os.path.join(waiting.spool, n), "rb").read())
    with open(segment, "r+b") as f:
        at = f.read().index(b"u1@example.com")
        f.seek(at)
        f.write(b"X")
    check = waiting.tool("spool", "check", check=False)
    assert check.returncode != 0 and "damage" in (check.stdout + check.stderr).lower(), check
    with sink.Sink(port=waiting.target) as target:
        waiting.start()
        process.wait_for("the other two", lambda: len(target.mails) == 2)
        assert sorted(m.recipients[0] for m in target.mails) == ["u0@example.com", "u2@example.com"]
        assert waiting.status()["set_aside"] == 1


@pytest.mark.parametrize("arguments, code", [
    (["nonsense"], 64), (["queue", "--nonsense"], 64), (["message", "show", "zz"], 64), (["-c", "/nonexistent", "check"], 66)])
def test_mistakes_have_their_exit_code(folder, arguments, code):
    node = relais.Relais(folder, "")
    done = node.tool(*arguments, check=False)
    assert done.returncode == code, (done.returncode, done.stderr)
    assert done.stderr


@pytest.mark.parametrize("arguments, why", [
    (["stauts"], "unknown command 'stauts'; did you mean 'relais status'?"),
    (["mesage", "show"], "did you mean 'relais message show'?"),
    (["queu", "nonsense"], "did you mean 'relais queue'?"),
    (["get-receivconnector"], "did you mean 'relais get-receive-connector'?"),
    (["Get-ReceivConnector"], "did you mean 'relais get-receive-connector'?"),
    (["report", "foo"], "'report foo' is no command; there are: report clients, "),
    (["report"], "'report' is no command; there are: report clients, "),
    (["help", "stauts"], "did you mean 'relais status'?"),
    (["xyzzy"], "unknown command 'xyzzy'\n"),
    (["queue", "--limt", "1"], "unknown option '--limt'; did you mean --limit?"),
    (["get-message-tracking-log", "-Sendr", "a@b.test"], "unknown option '-Sendr'; did you mean --sender?"),
])
def test_what_was_meant_is_asked(folder, arguments, why):
    done = relais.Relais(folder, "").tool(*arguments, check=False)
    assert done.returncode == 64 and why in done.stderr, done


@pytest.mark.parametrize("file, why", [("/tmp", "a folder, not a file"), ("/dev/null", "no ordinary file")])
def test_check_says_why_it_is_no_file(folder, file, why):
    done = relais.Relais(folder, "").tool("check", file, check=False)
    assert done.returncode == 78 and done.stderr.strip().endswith(f"{file}: {why}"), done


def test_a_folder_of_certificates_that_is_not_there(folder):
    node = relais.Relais(folder, f'certificate_folder = "{folder}/none"')
    done = node.tool("certificate", "list", check=False)
    assert done.returncode == 66 and f"{folder}/none: no such" in done.stderr, done
    assert "certificate_folder = " in done.stderr
