"""SM-2: only CRLF . CRLF ends a mail, and what is passed on cannot end earlier at the next host."""
import pytest

from tests.kit import process, relais, sink
from tests.kit.talk import Talk

ENDS = {
    "LF.LF": b"\n.\n", "CR.CR": b"\r.\r", "CRLF.LF": b"\r\n.\n", "LF.CRLF": b"\n.\r\n", "CR.LF": b"\r.\n",
    "LF.CR": b"\n.\r", "CRLF.CR": b"\r\n.\r", "CR.CRLF": b"\r.\r\n", "CRLF.NUL.CRLF": b"\r\n.\0\r\n",
    "CRLF.NUL-dot.CRLF": b"\r\n\0.\r\n", "CRCRLF.CRCRLF": b"\r\r\n.\r\r\n", "CRLF.CRCRLF": b"\r\n.\r\r\n",
    "LFLF.LF": b"\n\n.\n", "bare LF": b"\n", "bare CR": b"\r", "NUL": b"\0", "CRLF..CRLF": b"\r\n..\r\n",
}
SECOND = b"MAIL FROM:<evil@evil.test>\r\nRCPT TO:<victim@example.com>\r\nDATA\r\nSubject: smuggled\r\n\r\nsmuggled"


@pytest.fixture(scope="module")
def pair(module_folder):
    port, tolerant = process.free_port(), process.free_port()
    with sink.Sink() as target:
        config = relais.receive("In", f"127.0.0.1:{port}", errors_max=1000)
        config += relais.receive("Tolerant", f"127.0.0.1:{tolerant}", errors_max=1000, tolerate=["bare-lf"])
        config += relais.send("Out", smart_hosts=[f"[127.0.0.1]:{target.port}"])
        with relais.Relais(f"{module_folder}/relais", config, [port, tolerant]) as node:
            yield node, target


def deliver(port, content):
    with Talk(port) as talk:
        for line in ("MAIL FROM:<a@sender.test>", "RCPT TO:<b@example.com>"):
            assert talk.say(line).startswith("250")
        assert talk.say("DATA").startswith("354")
        talk.raw(content + b"\r\n.\r\n")
        reply = talk.reply()
        # Exactly one reply: nothing in it was taken for a command.
        assert talk.say("NOOP").startswith("250"), reply
        assert talk.say("QUIT").startswith("221")
    return reply


def check_receiver(target, before, accepted):
    """After a marker mail has come through, all that was before it has come."""
    mails = target.mails[before:-1]
    assert all(m.sender == "a@sender.test" for m in mails), [m.sender for m in mails]
    assert len(mails) == (1 if accepted else 0)
    for mail in mails:
        rest = mail.content.replace(b"\r\n", b"")
        assert b"\r" not in rest and b"\n" not in rest and b"\0" not in rest, "passed on as received"


@pytest.mark.parametrize("connector", [0, 1], ids=["strict", "tolerant"])
@pytest.mark.parametrize("end", ENDS)
def test_stays_one_mail_or_none(pair, end, connector):
    node, target = pair
    before = len(target.mails)
    reply = deliver(node.ports[connector], b"Subject: first\r\n\r\nfirst" + ENDS[end] + SECOND)
    harmless = end == "CRLF..CRLF"  # a stuffed dot is a dot
    assert reply.startswith("250 2.") if harmless else reply[:4] in ("250 ", "550 "), reply
    if connector == 0 and not harmless:
        assert reply.startswith("550 5.6.0" if "NUL" in end else "550 5.6.11"), reply
    with Talk(node.ports[0]) as talk:
        assert talk.send(b"Subject: marker\r\n\r\n", sender="marker@sender.test").startswith("250")
    process.wait_for("the marker", lambda: any(m.sender == "marker@sender.test" for m in target.mails[before:]))
    # The marker may overtake: on other connections mails go side by side.
    if reply.startswith("250"):
        process.wait_for("the mail", lambda: len(target.mails) == before + 2)
        target.mails[before:] = sorted(target.mails[before:], key=lambda m: m.sender == "marker@sender.test")
    check_receiver(target, before, reply.startswith("250"))


def test_bdat_cannot_smuggle(pair):
    """A chunk is counted; a dot in it is content, and is stuffed for a receiver without CHUNKING."""
    node, target = pair
    before = len(target.mails)
    content = b"Subject: chunk\r\n\r\nfirst\r\n.\r\n" + SECOND + b"\r\n.\r\n"
    with Talk(node.ports[0]) as talk:
        talk.say("MAIL FROM:<a@sender.test>")
        talk.say("RCPT TO:<b@example.com>")
        talk.raw(b"BDAT %d LAST\r\n" % len(content) + content)
        assert talk.reply().startswith("250 2.")
    process.wait_for("the mail", lambda: len(target.mails) == before + 1)
    assert target.mails[-1].content.endswith(content)


def test_bdat_with_bare_line_feeds(pair):
    node, _ = pair
    content = b"Subject: chunk\r\n\r\nfirst\n.\n" + SECOND + b"\n"
    with Talk(node.ports[0]) as talk:
        talk.say("MAIL FROM:<a@sender.test>")
        talk.say("RCPT TO:<b@example.com>")
        talk.raw(b"BDAT %d LAST\r\n" % len(content) + content)
        assert talk.reply().startswith("550 5.6.11")
        assert talk.say("NOOP").startswith("250")
