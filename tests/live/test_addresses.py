"""Chapter 6: who exists, who stands for whom, and what devices call themselves."""
import email
import email.policy
import json
import time

import pytest

from tests.kit import dovecot, mails, process, relais, sink
from tests.kit.talk import Talk

ALIASES = """\
root: admin@example.com
    # old: nobody has that any more
team: a, b@elsewhere.test,
    #bob@elsewhere.test
    c@example.com
loop: loop
both: a, c
everybody: :include:everybody
"""


@pytest.fixture
def node(start, folder):
    """Takes example.com, whose users it knows, and hands all but sender.test to a sink."""
    with open(f"{folder}/aliases", "w") as f:
        f.write(ALIASES)
    with open(f"{folder}/users", "w") as f:
        f.write("a\nadmin\nc\nloop\nlost\n")
    with open(f"{folder}/everybody", "w") as f:
        f.write("".join(f"user{i}@dept{i % 7}.elsewhere.test\n" for i in range(5000)))
    port = process.free_port()
    with sink.Sink() as target:
        node = start(f'alias_files = {{ "{folder}/aliases" }}\n' +
                     relais.receive("In", f"127.0.0.1:{port}", allow=["submit", "any-sender", "own-domain-sender"]) +
                     relais.block("accepted_domain", "example.com", recipients=f"{folder}/users") +
                     relais.block("accepted_domain", "catch.test", recipients=f"{folder}/users", catch_all="lost@example.com") +
                     relais.block("accepted_domain", "root.test", recipients=f"{folder}/users", catch_all="root@example.com") +
                     relais.block("accepted_domain", "inside.test", type="internal-relay") +
                     relais.block("rewrite_sender", "*@*.local", to="scanner+%u@example.com") +
                     relais.send("Out", smart_hosts=[f"[127.0.0.1]:{target.port}"]) +
                     relais.send("Home", spaces=["sender.test"], maildir=f"{folder}/mail/%u"), port)
        node.target, node.port = target, port
        yield node


def test_the_file_of_recipients_is_shown(node):
    row = json.loads(node.tool("get-accepted-domain", "--json", "example.com").stdout)
    assert row["recipients"].endswith("/users") and "recipients" not in json.loads(node.tool("get-accepted-domain", "--json", "inside.test").stdout)
    assert f"recipients                 : {row['recipients']}\n" in node.tool("get-accepted-domain", "example.com").stdout


def delivered(node, sender, *recipients):
    """What the next hop was told, when each of RECIPIENTS was accepted."""
    before = len(node.target.mails)
    with Talk(node.port) as talk:
        assert talk.send(mails.PLAIN, sender=sender, recipients=recipients).startswith("250")
    node.wait_empty()
    found = node.target.mails[before:]
    return {m.sender for m in found}, sorted(r for m in found for r in m.recipients)


def reports(folder):
    """What a@sender.test was told: for each notification, of the message and of its first recipient."""
    found = []
    for path in dovecot.maildir(f"{folder}/mail/a"):
        with open(path, "rb") as f:
            notice = email.message_from_binary_file(f, policy=email.policy.default)
        _, machine, original = notice.iter_parts()
        assert original.get_content_type() == "text/rfc822-headers"  # nothing has failed: RFC 3461, 4.3
        found.append(tuple(machine.get_payload()[:2]))
    return found


@pytest.mark.parametrize("recipient, want", [
    ("a@example.com", ["a@example.com"]),
    ("A@Example.COM", ["A@Example.COM"]),
    ("root@example.com", ["admin@example.com"]),
    ("team@example.com", ["a@example.com", "b@elsewhere.test", "c@example.com"]),
    ("loop@example.com", ["loop@example.com"]),
    ("anybody@catch.test", ["lost@example.com"]),
    ("anybody@root.test", ["admin@example.com"]),  # by way of the alias that the catch-all is
    ("anybody@inside.test", ["anybody@inside.test"]),
])
def test_who_stands_for_whom(node, recipient, want):
    assert delivered(node, "x@elsewhere.test", recipient) == ({"x@elsewhere.test"}, want)
    rows, _ = node.ask("explain", **{"to": f":{node.port}", "mail": "x@elsewhere.test", "rcpt": [recipient]})
    explained = [r["about"] for r in rows if r["stage"] == "resolved"]
    assert sorted(explained or [recipient]) == want


@pytest.mark.parametrize("recipients, want", [
    (["a@example.com", "A@Example.com"], ["a@example.com"]),
    (["team@example.com", "both@example.com", "c@example.com"], ["a@example.com", "b@elsewhere.test", "c@example.com"]),
    (["c@example.com", "team@example.com"], ["a@example.com", "b@elsewhere.test", "c@example.com"]),
    (["x@catch.test", "lost@example.com", "y@catch.test"], ["lost@example.com"]),
])
def test_one_mailbox_gets_one_copy(node, recipients, want):
    """Whether it is named twice, by two aliases, or by an alias and by itself."""
    assert delivered(node, "x@elsewhere.test", *recipients)[1] == want
    received = [line for line in node.log().splitlines() if " received id=" in line]
    assert f" nrcpt={len(want)} " in received[-1]


def test_what_is_asked_of_one_mailbox_is_told_once(node, folder):
    """By way of the alias nobody is to hear of it; by its own name the sender wants to."""
    with Talk(node.port) as talk:
        talk.say("MAIL FROM:<a@sender.test> ENVID=Q2")
        assert talk.say("RCPT TO:<team@example.com> NOTIFY=NEVER ORCPT=rfc822;team@example.com").startswith("250")
        for _ in range(2):
            assert talk.say("RCPT TO:<c@example.com> NOTIFY=SUCCESS ORCPT=rfc822;C@example.com").startswith("250")
        talk.say("DATA")
        talk.raw(mails.PLAIN + b".\r\n")
        assert talk.reply().startswith("250")
    node.wait_empty()
    assert len([c for c in node.target.commands if c.startswith(b"RCPT")]) == 3
    (_, about), = reports(folder)
    assert (about["Action"], about["Original-Recipient"]) == ("relayed", "rfc822;C@example.com")
    assert about["Final-Recipient"] == "rfc822; c@example.com"


def test_nobody_is_called_that(node):
    with Talk(node.port) as talk:
        assert talk.say("MAIL FROM:<x@elsewhere.test>").startswith("250")
        assert talk.say("RCPT TO:<nobody@example.com>") == "550 5.1.1 User unknown [recipient-unknown@In]"
        assert talk.say("RCPT TO:<b@elsewhere.test>").startswith("550 5.7.54 ")  # an alias may lead there, a client may not
        assert talk.say("RCPT TO:<team@example.com>").startswith("250")
    # No word to the forged sender of what was refused: it is the client's to tell.
    rows, _ = node.ask("queue")
    assert rows == [] and not any(m.sender == "" for m in node.target.mails)


def test_devices_that_send_as_nonsense(node):
    assert delivered(node, "root@printer.local", "a@example.com") == ({"scanner+root@example.com"}, ["a@example.com"])
    assert "sender rewritten to <scanner+root@example.com>" in node.log_of("protocol")


NONSENSE = b"""From: Front desk\r
 <root@printer.local> (2nd floor)\r
Sender: root@printer.local\r
Reply-To: help@example.com, "Desk, front" <desk@printer.local>\r
To: root@printer.local\r
DKIM-Signature: v=1; d=printer.local; h=from\r
\r
From: root@printer.local\r
"""


def test_what_devices_call_themselves_in_the_header(node):
    """AD-4: From, Sender and Reply-To follow the envelope; everything else stays byte for byte."""
    def sent(content, sender="root@printer.local"):
        with Talk(node.port) as talk:
            assert talk.send(content, sender=sender, recipients=["a@example.com"]).startswith("250")
        node.wait_empty()
        return mails.without_trace(node.target.mails[-1].content)

    want = NONSENSE.replace(b"<root@printer.local>", b"<scanner+root@example.com>")
    want = want.replace(b"Sender: root@printer.local", b"Sender: scanner+root@example.com")
    want = want.replace(b"<desk@printer.local>", b"<scanner+desk@example.com>")
    assert sent(NONSENSE) == want
    assert "senders rewritten in the header: 3" in node.log_of("protocol")
    assert sent(NONSENSE, sender="good@elsewhere.test") == want  # each address goes by itself
    assert sent(mails.PLAIN, sender="root@printer.local") == mails.PLAIN
    with open(node.file) as f:
        text = f.read().replace('to = "scanner+%u@example.com"', 'to = "scanner+%u@example.com"\n    header = no')
    with open(node.file, "w") as f:
        f.write(text.replace('receive_connector "In" {', 'receive_connector "In" {\n    add_missing_headers = yes'))
    node.reload()
    node.wait_log(" reloaded ")
    lines = sent(NONSENSE)
    assert lines.endswith(NONSENSE) and b"From: <" not in lines
    # Who says nothing of himself is who the envelope says he is, by his new name.
    assert b"From: <scanner+root@example.com>\r\n" in sent(b"Subject: scan\r\n\r\n")


def test_an_expanded_alias_is_reported_once(node, folder):
    """RFC 3461, 5.2.7: NOTIFY=SUCCESS is answered for the alias, not by each whom it stands for."""
    with Talk(node.port) as talk:
        talk.say("MAIL FROM:<a@sender.test> ENVID=Q1")
        assert talk.say("RCPT TO:<team@example.com> NOTIFY=SUCCESS,FAILURE ORCPT=rfc822;team@example.com").startswith("250")
        talk.say("DATA")
        talk.raw(mails.PLAIN + b".\r\n")
        assert talk.reply().startswith("250")
    node.wait_empty()
    (about_message, about), = reports(folder)
    assert about_message["Original-Envelope-Id"] == "Q1"
    assert (about["Action"], about["Status"]) == ("expanded", "2.1.5") and about["Last-Attempt-Date"] is None
    assert about["Final-Recipient"] == "rfc822; team@example.com"
    sent = [c for c in node.target.commands if c.startswith(b"RCPT")]
    assert len(sent) == 3 and not any(b"SUCCESS" in c for c in sent)


def test_nothing_is_reported_to_the_null_sender(node):
    """RFC 5321, 4.5.5, also of an alias that was expanded for a notification."""
    with Talk(node.port) as talk:
        talk.say("MAIL FROM:<>")
        assert talk.say("RCPT TO:<team@example.com> NOTIFY=SUCCESS").startswith("250")
        talk.say("DATA")
        talk.raw(mails.PLAIN + b".\r\n")
        assert talk.reply().startswith("250")
    node.wait_empty()
    assert sorted(r for m in node.target.mails for r in m.recipients) == ["a@example.com", "b@elsewhere.test", "c@example.com"]


def test_a_long_list_holds_nobody_up(node):
    """Ten of the longest aliases are as many recipients as a message may have; asking for one takes no time."""
    orcpt = "rfc822;" + "a" * 490
    with Talk(node.port) as talk:
        talk.say("MAIL FROM:<x@elsewhere.test>")
        began = time.monotonic()
        answers = [talk.say(f"RCPT TO:<everybody@example.com> NOTIFY=FAILURE ORCPT={orcpt}") for _ in range(12)]
        assert time.monotonic() - began < 12 * process.SLOWER
        assert [a[:3] for a in answers] == ["250"] * 10 + ["452"] * 2
        assert talk.say("RCPT TO:<a@example.com>").startswith("452")
        assert talk.say("RSET").startswith("250")


def test_recipients_with_long_texts_are_counted_by_them(start, folder):
    """What an envelope has no room for is refused, though there are not too many."""
    port = process.free_port()
    start(relais.receive("In", f"127.0.0.1:{port}", recipients_max=50000) + relais.block("accepted_domain", "*.example.com") +
          relais.send("Out", smart_hosts=["[127.0.0.1]:1"]), port)
    orcpt, local = "rfc822;" + "a" * 490, "b" * 64
    domain = ".".join(["c" * 60, "c" * 60, "c" * 50]) + ".example.com"
    with Talk(port) as talk:
        talk.say("MAIL FROM:<x@elsewhere.test>")
        codes = []
        for _ in range(90):
            talk.raw(500 * f"RCPT TO:<{local}@{domain}> ORCPT={orcpt}\r\n".encode())
            codes += [talk.reply()[:3] for _ in range(500)]
        good = codes.count("250")
        assert 40000 < good < 45000 and codes == ["250"] * good + ["452"] * (45000 - good)


def test_a_changed_file_counts_after_a_reload(node, folder):
    with open(f"{folder}/users", "a") as f:
        f.write("new\n")
    with Talk(node.port) as talk:
        talk.say("MAIL FROM:<x@elsewhere.test>")
        assert talk.say("RCPT TO:<new@example.com>").startswith("550 5.1.1 ")
    node.ask("reload")
    assert delivered(node, "x@elsewhere.test", "new@example.com")[1] == ["new@example.com"]
    with open(f"{folder}/users", "a") as f:
        f.write("@@\n")
    assert node.tool("reload", check=False).returncode
    assert delivered(node, "x@elsewhere.test", "new@example.com")[1] == ["new@example.com"]  # the old settings stay
