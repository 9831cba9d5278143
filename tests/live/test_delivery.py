"""What the next hop does, and what becomes of the mail: retry, failover, bounces, expiry."""
import email
import email.policy
import ssl

from tests.kit import dovecot, mails, process, relais, sink
from tests.kit.talk import Talk


def one_hop(start, target, *more, spaces=("example.com",), **options):
    """A relay that hands example.com to TARGET and keeps sender.test's mail in a Maildir."""
    port = process.free_port()
    node = start(relais.receive("In", f"127.0.0.1:{port}") +
                 relais.send("Out", spaces=spaces, smart_hosts=[f"[127.0.0.1]:{target}"], **options) + "".join(more), port)
    return node, port


def back_home(folder):
    return relais.send("Home", spaces=["sender.test"], maildir=f"{folder}/mail/%u")


def one_notice(folder, user="a"):
    path = process.wait_for("a notice", lambda: dovecot.maildir(f"{folder}/mail/{user}"), 30)[0]
    with open(path, "rb") as f:
        return email.message_from_binary_file(f, policy=email.policy.default)


def check_notice(notice, recipient, status, action="failed"):
    """RFC 3464 as an independent parser sees it."""
    assert notice.get_content_type() == "multipart/report"
    assert notice.get_param("report-type") == "delivery-status"
    human, machine, original = notice.iter_parts()
    assert human.get_content_type() == "text/plain" and recipient in human.get_content()
    assert machine.get_content_type() == "message/delivery-status"
    about_message, about_recipient = machine.get_payload()[:2]
    assert about_message["Reporting-MTA"] == "dns; relay.test"
    assert about_recipient["Final-Recipient"].lower() == f"rfc822; {recipient}"
    assert about_recipient["Action"] == action
    assert about_recipient["Status"] == status
    assert original.get_content_type() in ("message/rfc822", "text/rfc822-headers")
    assert "Subject: plain" in original.as_string()
    assert notice["Return-Path"] == "<>"
    assert notice["Auto-Submitted"] and notice["Message-ID"] and notice["Date"]
    assert not notice.defects and not machine.defects
    return about_recipient


def test_text_without_a_header_stays_text(start):
    """Behind our Received field it would be its last line, or a field of its own."""
    texts = [b" folded: no, this is text\r\n", b"just text\r\nFrom: nobody\r\n", b"word", b"\r\nhas an empty line\r\n"]
    with sink.Sink() as target:
        node, port = one_hop(start, target.port)
        for text in texts:
            with Talk(port) as talk:
                talk.say("MAIL FROM:<a@sender.test>"), talk.say("RCPT TO:<b@example.com>")
                talk.raw(b"BDAT %d LAST\r\n" % len(text) + text)
                assert talk.reply().startswith("250 2.")
        process.wait_for("all of them", lambda: len(target.mails) == len(texts), 30)
        for text in texts:
            body = text.removeprefix(b"\r\n").rstrip(b"\r\n") + b"\r\n"
            mail, = [m for m in target.mails if m.content.endswith(body)]
            assert mail.content.count(b"\r\n\r\n") == 1 and mail.content.endswith(b"\r\n\r\n" + body), mail.content


def test_a_later_try_succeeds(start):
    tries = []

    def answer(stage, text):
        if stage == "rcpt":
            tries.append(text)
            return "451 4.2.0 later" if len(tries) < 3 else None
    with sink.Sink(answer=answer) as target:
        node, port = one_hop(start, target.port)
        with Talk(port) as talk:
            assert talk.send(mails.PLAIN).startswith("250 2.")
        process.wait_for("the third try", lambda: target.mails, 30)
        mails.check_same(target.mails[0].content, mails.PLAIN)
        node.wait_empty()
        assert len(tries) == 3 and len(target.mails) == 1


def test_one_bad_recipient_does_not_hold_the_others(start, folder):
    def answer(stage, text):
        if stage == "rcpt" and "bad" in text:
            return "550 5.1.1 no such user"
        if stage == "rcpt" and "slow" in text:
            return "450 4.2.1 later"
    with sink.Sink(answer=answer) as target:
        node, port = one_hop(start, target.port, back_home(folder))
        with Talk(port) as talk:
            assert talk.send(mails.PLAIN, recipients=[f"{u}@example.com" for u in ("good", "bad", "slow", "fine")]).startswith("250")
        process.wait_for("the mail", lambda: target.mails)
        assert target.mails[0].recipients == ["good@example.com", "fine@example.com"]
        about = check_notice(one_notice(folder), "bad@example.com", "5.1.1")
        assert "550 5.1.1 no such user" in about["Diagnostic-Code"].replace("\n", "")
        assert about["Remote-MTA"] == "dns; [127.0.0.1]"
        process.wait_for("the notice to be over", lambda: [r["to"] for r in node.ask("queue")[0]] == [["slow@example.com"]])


def test_a_refused_message_does_not_hold_those_behind_it(start):
    """One connection, and what came first is refused for now, at each stage: the others of this next hop do not wait."""
    words = {"mail": "451 4.7.1 later", "rcpt": "450 4.2.1 mailbox busy", "dot": "452 4.3.1 no room for this"}
    meant = []

    def answer(stage, text):
        if stage == "mail":
            meant[:] = [s for s in words if f"{s}@sender.test" in text]
        return words[stage] if stage in meant else None
    with sink.Sink(answer=answer) as target:
        node, port = one_hop(start, target.port, connections=1, message_retry="1h")
        with Talk(port) as talk:
            for sender in [*words] * 3 + ["good"] * 50:
                assert talk.send(mails.PLAIN, sender=f"{sender}@sender.test").startswith("250 2.")
        process.wait_for("the others", lambda: len(target.mails) == 50, 60)
        process.wait_for("the refused to wait", lambda: node.queued() == 9 and node.ask("queues")[0][0]["deferred"] == 9, 60)
        assert {m.sender for m in target.mails} == {"good@sender.test"}
        for row in node.ask("queue")[0]:
            assert words[row["from"].split("@")[0]] in row["last_error"] and row["next_attempt_s"] > 3000, row


def test_refused_content_is_bounced(start, folder):
    with sink.Sink(answer=lambda stage, text: "554 5.6.0 not this" if stage == "dot" else None) as target:
        node, port = one_hop(start, target.port, back_home(folder))
        with Talk(port) as talk:
            assert talk.send(mails.PLAIN).startswith("250")
        check_notice(one_notice(folder), "b@example.com", "5.6.0")
        node.wait_empty()


def test_no_bounce_of_a_bounce(start, folder):
    with sink.Sink(answer=lambda stage, text: "550 5.1.1 nobody" if stage == "rcpt" else None) as target:
        node, port = one_hop(start, target.port, back_home(folder), spaces=("*",))
        with Talk(port) as talk:
            assert talk.send(mails.PLAIN, sender="").startswith("250")
        node.wait_empty()
        assert not any(b"MAIL FROM:<>" in c and n for n, c in enumerate(target.commands) if n > 20)
        assert sum(c.startswith(b"RCPT") for c in target.commands) == 1
        # A notice that is refused itself ends there too.
        with Talk(port) as talk:
            assert talk.send(mails.PLAIN, sender="x@elsewhere.test").startswith("250")
        node.wait_empty()
        assert sum(c.startswith(b"RCPT") for c in target.commands) == 3


def test_expiry(start, folder):
    closed = process.free_port()
    port = process.free_port()
    node = start(relais.block("queue", None, expiry="2s") + relais.receive("In", f"127.0.0.1:{port}") +
                 relais.send("Out", spaces=["example.com"], smart_hosts=[f"[127.0.0.1]:{closed}"]) + back_home(folder), port)
    with Talk(port) as talk:
        assert talk.send(mails.PLAIN).startswith("250")
    about = check_notice(one_notice(folder), "b@example.com", "4.4.7")
    assert "QUEUE.Expired" in about["Diagnostic-Code"]
    node.wait_empty()


def test_failover_to_the_second_smart_host(start):
    port, dead = process.free_port(), process.free_port()
    with sink.Sink() as target:
        hosts = relais.block("smart_host", f"[127.0.0.1]:{dead}", priority=1) + \
            relais.block("smart_host", f"[127.0.0.1]:{target.port}", priority=2)
        start(relais.receive("In", f"127.0.0.1:{port}") +
              relais.send("Out", smart_hosts=[]).replace("    smart_hosts = {  }\n", hosts), port)
        with Talk(port) as talk:
            for _ in range(50):
                assert talk.send(mails.PLAIN).startswith("250")
        # At once, not after a retry plan: the dead one is remembered.
        process.wait_for("50 mails", lambda: len(target.mails) == 50, 10)


def test_connection_lost_after_the_dot_means_again(start):
    lost = []

    def answer(stage, text):
        if stage == "dot" and not lost:
            lost.append(1)
            return "drop"
    with sink.Sink(answer=answer) as target:
        node, port = one_hop(start, target.port)
        with Talk(port) as talk:
            assert talk.send(mails.PLAIN).startswith("250")
        process.wait_for("the second try", lambda: target.mails)
        mails.check_same(target.mails[0].content, mails.PLAIN)
        node.wait_empty()


def test_starttls_when_offered(start, server_certificate):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*server_certificate)
    with sink.Sink(tls=context) as target:
        node, port = one_hop(start, target.port)
        with Talk(port) as talk:
            assert talk.send(mails.PLAIN).startswith("250")
        process.wait_for("the mail", lambda: target.mails)
        assert target.mails[0].is_tls
        node.wait_empty()


def test_a_receiver_without_any_extension(start):
    """HELO alone, no PIPELINING, no 8BITMIME."""
    def answer(stage, text):
        return "502 5.5.1 what is that" if stage == "ehlo" and text.upper().startswith("EHLO") else None
    with sink.Sink(answer=answer, extensions=()) as target:
        node, port = one_hop(start, target.port)
        with Talk(port) as talk:
            assert talk.send(mails.PLAIN).startswith("250")
        process.wait_for("the mail", lambda: target.mails)
        mails.check_same(target.mails[0].content, mails.PLAIN)
        node.wait_empty()


def test_chunking_is_used_where_offered(start):
    with sink.Sink(extensions=("PIPELINING", "CHUNKING", "8BITMIME")) as target:
        node, port = one_hop(start, target.port)
        with Talk(port) as talk:
            assert talk.send(mails.PLAIN).startswith("250")
        process.wait_for("the mail", lambda: target.mails)
        mails.check_same(target.mails[0].content, mails.PLAIN)
        assert any(c.startswith(b"BDAT") for c in target.commands)


def test_lmtp_answers_for_each_recipient(start, folder):
    replies = iter(["250 ok", "550 5.2.2 full", "250 ok"])
    with sink.Sink(lmtp=True, answer=lambda stage, text: next(replies) if stage == "dot" else None) as target:
        port = process.free_port()
        node = start(relais.receive("In", f"127.0.0.1:{port}") +
                     relais.send("Out", spaces=["example.com"], lmtp=f"[127.0.0.1]:{target.port}") + back_home(folder), port)
        with Talk(port) as talk:
            assert talk.send(mails.PLAIN, recipients=[f"{u}@example.com" for u in "bcd"]).startswith("250")
        check_notice(one_notice(folder), "c@example.com", "5.2.2")
        node.wait_empty()
        assert len(target.mails) == 1


def test_more_recipients_than_one_transaction_takes(start):
    with sink.Sink() as target:
        node, port = one_hop(start, target.port, recipients_per_message=10)
        recipients = [f"u{n}@example.com" for n in range(200)]
        with Talk(port) as talk:
            assert talk.send(mails.PLAIN, recipients=recipients).startswith("250")
        node.wait_empty()
        assert sorted(r for m in target.mails for r in m.recipients) == sorted(recipients)
        assert max(len(m.recipients) for m in target.mails) <= 10


def test_the_201st_recipient(start):
    with sink.Sink() as target:
        node, port = one_hop(start, target.port)
        with Talk(port) as talk:
            talk.say("MAIL FROM:<a@sender.test>")
            for n in range(200):
                assert talk.say(f"RCPT TO:<u{n}@example.com>").startswith("250")
            assert talk.say("RCPT TO:<one-more@example.com>").startswith("452 4.5.3")
            talk.say("DATA")
            talk.raw(mails.PLAIN.replace(b"\r\n.", b"\r\n..") + b".\r\n")
            assert talk.reply().startswith("250 2.")
        node.wait_empty()
        assert sum(len(m.recipients) for m in target.mails) == 200


def test_delay_notice_once_and_only_to_who_wants_it(start, folder):
    closed, port = process.free_port(), process.free_port()
    config = relais.block("queue", None, expiry="1h", delay_notice="1s") + \
        relais.receive("In", f"127.0.0.1:{port}") + \
        relais.send("Out", spaces=["example.com"], smart_hosts=[f"[127.0.0.1]:{closed}"], retry=["1s"]) + back_home(folder)
    node = start(config, port)
    with Talk(port) as talk:
        assert talk.say("MAIL FROM:<quiet@sender.test>").startswith("250")
        assert talk.say("RCPT TO:<c@example.com> NOTIFY=FAILURE").startswith("250")
        assert talk.say("DATA").startswith("354")
        talk.raw(mails.PLAIN + b".\r\n")
        assert talk.reply().startswith("250")
        assert talk.send(mails.PLAIN).startswith("250")
    about = check_notice(one_notice(folder), "b@example.com", "4.4.1", "delayed")
    assert "refused" in about["Diagnostic-Code"] and about["Will-Retry-Until"]
    # Known after a crash too: no second word, and the mail is still delivered.
    process.wait_for("the end of the notice", lambda: node.queued() == 2)
    node.kill()
    node.start()
    with sink.Sink(port=closed) as target:
        process.wait_for("both mails", lambda: len(target.mails) == 2, 20)
        node.wait_empty()
    assert len(dovecot.maildir(f"{folder}/mail/a")) == 1
    assert not dovecot.maildir(f"{folder}/mail/quiet")
