"""Delivery status notifications as an independent parser, Python's email, reads them (RFC 3464, 3461, 6533)."""
import email
import email.policy
import email.utils

import pytest

from tests.kit import dovecot, mails, process, relais, sink
from tests.kit.talk import Talk


class Notices:
    """A relay whose next hop says what ANSWER says, and what comes back to a@sender.test."""

    def __init__(self, start, folder, target, queue=None, spaces=("example.com",), entry=None, more="", **out):
        self.folder, self.port = folder, process.free_port()
        self.node = start((relais.block("queue", None, **queue) if queue else "") +
                          relais.receive("In", f"127.0.0.1:{self.port}", **(entry or {})) + more +
                          relais.send("Out", spaces=spaces, smart_hosts=[f"[127.0.0.1]:{target}"], **out) +
                          relais.send("Home", spaces=["sender.test"], maildir=f"{folder}/mail/%u"), self.port)

    def send(self, mail_options="", rcpt_options="", content=mails.PLAIN, sender="a@sender.test", recipient="b@example.com"):
        with Talk(self.port) as talk:
            assert talk.say(f"MAIL FROM:<{sender}> {mail_options}".rstrip()).startswith("250")
            assert talk.say(f"RCPT TO:<{recipient}> {rcpt_options}".rstrip()).startswith("250")
            assert talk.say("DATA").startswith("354")
            talk.raw(content.replace(b"\r\n.", b"\r\n..") + b".\r\n")
            assert talk.reply().startswith("250")

    def files(self):
        return dovecot.maildir(f"{self.folder}/mail/a")

    def one(self):
        path = process.wait_for("a notice", self.files, 40)[0]
        with open(path, "rb") as f:
            return email.message_from_binary_file(f, policy=email.policy.default)


def parts(notice):
    """(text, fields about the message, fields about the recipient, the original)."""
    assert notice.get_content_type() == "multipart/report" and notice.get_param("report-type") == "delivery-status"
    human, machine, original = notice.iter_parts()
    assert not notice.defects and not human.defects and not machine.defects
    about_message, *about = machine.get_payload()
    assert len(about) == 1
    assert about_message["Reporting-MTA"] == "dns; relay.test" and email.utils.parsedate(about_message["Arrival-Date"])
    assert notice["Return-Path"] == "<>" and notice["Auto-Submitted"].startswith("auto-")
    assert notice["To"] and notice["From"] and notice["Date"] and notice["Message-ID"]
    return human.get_content(), about_message, about[0], original


def check_is_header(original):
    """RFC 3461, 4.3: only a failure may bring the whole message back, whatever RET says."""
    assert original.get_content_type() == "text/rfc822-headers"
    assert "Subject: plain" in original.get_content() and "the last" not in original.get_content()


@pytest.fixture
def hop():
    """A next hop that a test tells what to say: hop.says(stage, reply)."""
    replies = {}
    with sink.Sink(answer=lambda stage, text: replies.get(stage), extensions=("PIPELINING", "8BITMIME", "SIZE 0", "SMTPUTF8")) as target:
        target.says = replies.__setitem__
        yield target


def test_failed(start, folder, hop):
    hop.says("rcpt", "550 5.2.1 mailbox closed")
    notices = Notices(start, folder, hop.port)
    notices.send("RET=FULL ENVID=Case+2B7", "NOTIFY=FAILURE ORCPT=rfc822;First+2B@example.com")
    text, about_message, about, original = parts(notices.one())
    assert (about["Action"], about["Status"]) == ("failed", "5.2.1")
    assert about["Final-Recipient"] == "rfc822; b@example.com"
    assert about["Original-Recipient"].replace("; ", ";") == "rfc822;First+@example.com"
    assert (about["Remote-MTA"], about["Diagnostic-Code"]) == ("dns; [127.0.0.1]", "smtp; 550 5.2.1 mailbox closed")
    assert about_message["Original-Envelope-Id"] == "Case+7"
    assert email.utils.parsedate(about["Last-Attempt-Date"])
    assert "b@example.com" in text
    assert f"The server 127.0.0.1[127.0.0.1]:{hop.port} said: 550 5.2.1 mailbox closed" in " ".join(text.split())
    assert original.get_content_type() == "message/rfc822"
    inner = original.get_payload(0)
    assert inner["Subject"] == "plain" and "the last" in inner.get_content()
    assert ",DSN," in notices.node.log_of("tracking")


def test_headers_alone_when_the_sender_says_so(start, folder, hop):
    hop.says("rcpt", "550 5.2.1 mailbox closed")
    notices = Notices(start, folder, hop.port)
    notices.send("RET=HDRS")
    check_is_header(parts(notices.one())[3])


def diagnosis(about):
    """Diagnostic-Code as one line."""
    return " ".join(about["Diagnostic-Code"].split())


def test_expired(start, folder):
    port = process.free_port()
    notices = Notices(start, folder, port, queue={"expiry": "2s"})
    notices.send()
    _, _, about, _ = parts(notices.one())
    assert (about["Action"], about["Status"]) == ("failed", "4.4.7")
    assert about["Last-Attempt-Date"] is None  # this end is no attempt's
    assert about["Remote-MTA"] is None         # nobody was there to say anything
    assert diagnosis(about).startswith("smtp; 550 4.4.7 QUEUE.Expired; message expired; last: 451 4.4.1 "
                                       f"127.0.0.1[127.0.0.1]:{port}: connect: ")


def test_expired_for_the_host_refuses(start, folder, hop):
    """The sender, and who reads the logs, hear what was in the way all the time."""
    hop.says("rcpt", "450 4.2.2 mailbox full")
    notices = Notices(start, folder, hop.port, queue={"expiry": "2s"})
    notices.send()
    text, _, about, original = parts(notices.one())
    why = f"550 4.4.7 QUEUE.Expired; message expired; last: 127.0.0.1[127.0.0.1]:{hop.port} said: 450 4.2.2 mailbox full"
    assert (about["Action"], about["Status"], about["Remote-MTA"]) == ("failed", "4.4.7", "dns; [127.0.0.1]")
    assert diagnosis(about) == f"smtp; {why}" and why in " ".join(text.split()) and "The server" not in text
    assert original.get_content_type() == "message/rfc822"
    notices.node.wait_empty()
    assert why in notices.node.log() and "last: 127.0.0.1[127.0.0.1]" in notices.node.log_of("tracking")


def test_delayed(start, folder):
    port = process.free_port()
    notices = Notices(start, folder, port, queue={"expiry": "1d", "delay_notice": "1s"})
    notices.send("ENVID=late", "NOTIFY=DELAY")
    text, about_message, about, original = parts(notices.one())
    assert (about["Action"], about["Status"], about["Remote-MTA"]) == ("delayed", "4.4.1", None)
    assert diagnosis(about).startswith(f"smtp; 451 4.4.1 127.0.0.1[127.0.0.1]:{port}: connect: ")
    assert about["Last-Attempt-Date"] is None
    assert email.utils.parsedate_to_datetime(about["Will-Retry-Until"]) > email.utils.parsedate_to_datetime(about_message["Arrival-Date"])
    assert about_message["Original-Envelope-Id"] == "late"
    assert "do not need to send it again" in " ".join(text.split())
    check_is_header(original)
    process.wait_for("the notice to be over", lambda: notices.node.queued() == 1)


@pytest.mark.parametrize("stage, reply, status", [
    ("rcpt", "450 4.2.2 mailbox full", "4.2.2"),
    ("rcpt", "450 mailbox busy", "4.0.0"),
    ("connect", "421 4.7.28 slow down", "4.7.28"),
])
def test_delayed_by_what_the_host_says(start, folder, hop, stage, reply, status):
    hop.says(stage, reply)
    notices = Notices(start, folder, hop.port, queue={"expiry": "1d", "delay_notice": "2s"})
    notices.send()
    text, _, about, _ = parts(notices.one())
    assert (about["Action"], about["Status"], about["Remote-MTA"]) == ("delayed", status, "dns; [127.0.0.1]")
    assert diagnosis(about) == f"smtp; {reply}"
    assert f"The server 127.0.0.1[127.0.0.1]:{hop.port} said: {reply}" in " ".join(text.split())


def test_delayed_for_the_host_hangs_up(start, folder, hop):
    """Nobody has said that: there is no Remote-MTA (RFC 3464, 2.3.5)."""
    hop.says("rcpt", "drop")
    notices = Notices(start, folder, hop.port, queue={"expiry": "1d", "delay_notice": "2s"})
    notices.send()
    text, _, about, _ = parts(notices.one())
    assert (about["Action"], about["Status"], about["Remote-MTA"]) == ("delayed", "4.4.2", None)
    assert diagnosis(about).startswith(f"smtp; 451 4.4.2 127.0.0.1[127.0.0.1]:{hop.port}: connection lost: ")
    assert "said" not in text


def test_delayed_in_a_suspended_queue(start, folder, hop):
    notices = Notices(start, folder, hop.port, queue={"expiry": "1d", "delay_notice": "1s"})
    hop.says("rcpt", "450 4.2.2 mailbox full")  # until its queue is there
    notices.send(rcpt_options="NOTIFY=NEVER")
    process.wait_for("a first try", lambda: any(c.startswith(b"RCPT") for c in hop.commands))
    notices.node.tool("suspend-queue", "Out")
    notices.send()
    text, _, about, _ = parts(notices.one())
    assert (about["Action"], about["Status"], about["Remote-MTA"]) == ("delayed", "4.3.2", None)
    assert diagnosis(about) == "smtp; 451 4.3.2 the queue is suspended" and "no route" not in text


def test_delayed_by_our_own_limit(start, folder, hop):
    notices = Notices(start, folder, hop.port, queue={"expiry": "1d", "delay_notice": "1s"}, messages_per_minute=1)
    notices.send(rcpt_options="NOTIFY=NEVER")
    process.wait_for("the first mail", lambda: hop.mails)
    notices.send()
    _, _, about, _ = parts(notices.one())
    assert (about["Action"], about["Status"], about["Remote-MTA"]) == ("delayed", "4.4.5", None)
    assert "1 message a minute" in diagnosis(about)


def test_relayed_to_a_host_that_reports_nothing(start, folder, hop):
    notices = Notices(start, folder, hop.port)
    notices.send(rcpt_options="NOTIFY=SUCCESS")
    _, _, about, original = parts(notices.one())
    assert (about["Action"], about["Status"][0]) == ("relayed", "2")
    check_is_header(original)


def test_a_host_that_reports_does_so_itself(start, folder):
    with sink.Sink(extensions=("PIPELINING", "8BITMIME", "SIZE 0", "DSN")) as target:
        notices = Notices(start, folder, target.port)
        notices.send("RET=HDRS ENVID=Q1", "NOTIFY=SUCCESS,DELAY ORCPT=rfc822;b@example.com")
        notices.node.wait_empty()
        assert notices.files() == []
        said = b"\n".join(target.commands)
        assert b"RET=HDRS" in said and b"ENVID=Q1" in said
        assert b"NOTIFY=SUCCESS,DELAY" in said and b"ORCPT=rfc822;b@example.com" in said


def test_delivered_into_a_mailbox(start, folder, hop):
    notices = Notices(start, folder, hop.port)
    notices.send("RET=FULL", "NOTIFY=SUCCESS", recipient="c@sender.test")
    text, _, about, original = parts(notices.one())
    assert (about["Action"], about["Status"][0]) == ("delivered", "2")
    assert about["Remote-MTA"] is None and "The server" not in text and "delivered to Maildir" in text
    check_is_header(original)
    assert about["Final-Recipient"] == "rfc822; c@sender.test"


@pytest.mark.parametrize("notify", ["NEVER", "SUCCESS"])
def test_who_does_not_want_to_know(start, folder, hop, notify):
    hop.says("rcpt", "550 5.2.1 mailbox closed")
    notices = Notices(start, folder, hop.port)
    notices.send(rcpt_options=f"NOTIFY={notify}")
    notices.node.wait_empty()
    assert notices.files() == []


def test_internationalised(start, folder, hop):
    """RFC 6533: utf-8 addresses as they are, in types of their own."""
    hop.says("rcpt", "550 5.2.1 mailbox closed")
    notices = Notices(start, folder, hop.port)
    notices.send("SMTPUTF8 BODY=8BITMIME", content=mails.utf8(), recipient="\u4f60@example.com")
    notice = notices.one()
    human, machine, original = notice.iter_parts()
    assert machine.get_content_type() == "message/global-delivery-status"
    assert original.get_content_type() == "message/global"
    raw = notice.as_bytes(policy=email.policy.SMTPUTF8).decode()
    assert "Final-Recipient: utf-8; \u4f60@example.com" in raw
    assert "Action: failed" in raw and "Status: 5.2.1" in raw
    assert "\u4f60@example.com" in human.get_content()


def test_what_the_host_cannot_do(start, folder):
    """It was not asked: that is our word, about it."""
    with sink.Sink() as target:
        notices = Notices(start, folder, target.port)
        notices.send("SMTPUTF8 BODY=8BITMIME", content=mails.utf8(), recipient="\u4f60@example.com")
        notice = notices.one()
    human, machine, _ = notice.iter_parts()
    raw = machine.as_bytes(policy=email.policy.SMTPUTF8).decode()
    assert "Status: 5.6.9" in raw and "Remote-MTA: dns; [127.0.0.1]" in raw
    assert "SMTPUTF8, which the next host does not offer" in " ".join(human.get_content().split())
    assert "The server" not in human.get_content()


def test_nothing_is_said_to_a_forged_sender(start, folder, hop):
    """What is refused in the session is the client's to tell, also beside what is taken: no backscatter."""
    with open(f"{folder}/users", "w") as f:
        f.write("b\nall\n")
    notices = Notices(start, folder, hop.port, entry={"refuse_recipients": ["all@example.com"]},
                      more=relais.block("accepted_domain", "example.com", recipients=f"{folder}/users"))
    with Talk(notices.port) as talk:
        assert talk.say("MAIL FROM:<a@sender.test>").startswith("250")
        assert talk.say("RCPT TO:<b@example.com> NOTIFY=FAILURE,DELAY").startswith("250")
        for refused, why in (("all", "550 5.7."), ("nobody", "550 5.1.1 ")):
            assert talk.say(f"RCPT TO:<{refused}@example.com> NOTIFY=FAILURE,DELAY").startswith(why)
        assert talk.say("DATA").startswith("354")
        talk.raw(mails.PLAIN + b".\r\n")
        assert talk.reply().startswith("250")
    with Talk(notices.port) as talk:  # taken recipients, refused content
        assert talk.send(b"bare\nline feed\r\n").startswith("550 5.6.11")
    notices.node.wait_empty()
    assert [(m.sender, m.recipients) for m in hop.mails] == [("a@sender.test", ["b@example.com"])]
    assert not any(c.startswith(b"MAIL FROM:<>") for c in hop.commands) and notices.files() == []
    assert ",DSN," not in notices.node.log_of("tracking")
