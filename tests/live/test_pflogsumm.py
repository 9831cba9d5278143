"""What analysers of Postfix logs make of ours (OP-4): the real pflogsumm counts what went through a relay."""
import re
import subprocess

import pytest

from tests.kit import process, relais, sink
from tests.kit.talk import Talk

HOST = "127.105.0.1"
MAIL = b"Subject: counted\r\nMessage-ID: <=\"a\" from=<x@y.test> nrcpt=9 size=9>\r\n\r\nhere\r\n"
SCRIPT = f"{process.TOP}/share/mail-log.sed"


@pytest.fixture
def log(start, folder):
    """The log of a relay that delivered five times (once to a mailbox), deferred and bounced once, and refused twice;
    mail came from two senders three times, and a notification from nobody."""
    port = process.free_port()
    with sink.Sink(answer=sink.by_name) as target:
        node = start(relais.receive("Not anybody's", f"{HOST}:{port}", allow=("submit", "any-sender")) +
                     relais.domain("*.test") +
                     relais.send("Home", spaces=["home.test"], maildir=f"{folder}/mail/%u") +
                     relais.send("Out", smart_hosts=[f"[127.0.0.1]:{target.port}"], message_retry="1h"), port)
        for sender, recipients in (("one@in.test", ["a@far.test", "b@far.test", "nobody@far.test"]),
                                   ("one@in.test", ["later@far.test", "x@home.test"]), ("two@in.test", ["a@far.test"])):
            with Talk(port, host=HOST) as talk:
                assert talk.send(MAIL, sender=sender, recipients=recipients).startswith("250")
        with Talk(port, host=HOST) as talk:
            assert talk.say("MAIL FROM:<three@in.test>").startswith("250")
            for name in ("c", "d"):
                assert talk.say(f"RCPT TO:<{name}@elsewhere.example>").startswith("550")
        process.wait_for("all of it", lambda: node.log().count("status=sent") == 5 and node.queued() == 1)
        yield node.log()


def summary(log, script=True):
    """{"delivered": 4 ...} of its first part, and {heading: {name: count}} of the lists behind it."""
    if script:
        log = subprocess.run(["sed", "-E", "-f", SCRIPT], input=log, capture_output=True, text=True, check=True).stdout
    done = subprocess.run(["pflogsumm", "--syslog_name=relais", "--iso_date_time"], input=log, capture_output=True,
                          text=True, check=True)
    assert done.stderr == "", done.stderr
    totals = {name: int(n) for n, name in re.findall(r"^ +(\d+) +([a-z][a-z ]*?)(?: +\(.*\))?$", done.stdout, re.M)}
    lists = {}
    for heading, body in re.findall(r"^(\w[^\n]*)\n-{3,}\n(.*?)(?=\n\n|\Z)", done.stdout, re.M | re.S):
        lists[heading] = {name: int(n) for n, name in re.findall(r"^ +(\d+) +(\S+@\S+|from=<>)$", body, re.M)}
    return totals, lists, done.stdout


def as_journal(log):
    """What `journalctl` and rsyslog's files show of a service's stderr."""
    return re.sub(r"^", "Nov 22 10:00:00 relay relaisd[42]: ", log, flags=re.M).removesuffix("Nov 22 10:00:00 relay relaisd[42]: ")


def as_syslog(log):
    """With `target = syslog` the time and the host are syslog's."""
    return re.sub(r"^\S+Z ", "Nov 22 10:00:00 relay ", log, flags=re.M)


@pytest.mark.parametrize("shape", [str, as_journal, as_syslog])
def test_what_pflogsumm_counts(log, shape):
    totals, lists, text = summary(shape(log))
    assert {name: totals[name] for name in ("received", "delivered", "deferred", "bounced", "rejected", "senders", "recipients")} \
        == {"received": 3, "delivered": 5, "deferred": 1, "bounced": 1, "rejected": 2, "senders": 2, "recipients": 4}, text
    assert lists["Senders by message count"] == {"one@in.test": 2, "two@in.test": 1}, text
    assert lists["Recipients by message count"] == {"a@far.test": 2, "b@far.test": 1, "x@home.test": 1, "one@in.test": 1}, text
    assert "4.2.0 try later" in text and "5.1.1 no such user" in text, text
    assert "Unable to relay recipient in non-accepted domain (total: 2)" in text, text
    assert str(2 * len(MAIL)) in text  # the bytes of the first sender


HEAD = "2026-11-22T07:18:44.9Z relais[1]: "
ID = "26df0c529e581ca11209e7981da7ebc1"
CLIENT = "session=f430eefeeffbf50d connector=In"
FROM = "from=<a@b.test> nrcpt=2 size=77"


def lines(client, sender="a@b.test"):
    return [f"2026-11-22T07:18:44.9Z localhost relais/smtpd[1]: {ID}: client={client}",
            f"2026-11-22T07:18:44.9Z localhost relais/qmgr[1]: {ID}: from=<{sender}>, size=77, nrcpt=2 (queue active)"]


@pytest.mark.parametrize("line, want", [
    (f'received id={ID} {CLIENT} client=[2001:db8::1]:5 helo=x user="" by=relay {FROM} message-id=<1@b>',
     lines("unknown[2001:db8::1]")),
    (f'received id={ID} {CLIENT} client=unix:/run/x helo=x user="" by=relay {FROM} message-id=""',
     lines("localhost[127.0.0.1]")),
    (f'received id={ID} {CLIENT} client="unix:/run/a b" helo=x user="" by=relay {FROM}', lines("localhost[127.0.0.1]")),
    # What a client says of itself is never taken for what we say of it.
    (f'received id={ID} {CLIENT} client=192.0.2.1:5 helo="\\" from=<x@y> nrcpt=1 size=1" user="a b" by=relay {FROM} '
     'message-id="<from=<x@y> nrcpt=1 size=1>"', lines("unknown[192.0.2.1]")),
    (f'received id={ID} {CLIENT} client=192.0.2.1:5 helo=x user=u by=relay from=<"a b"@b.test> nrcpt=2 size=77',
     lines("unknown[192.0.2.1]", '"a b"@b.test')),
    (f'reject {CLIENT} client=192.0.2.1:5 helo=x stage=MAIL rule=sender about=<a@b.test> code=550 dsn=5.7.60 '
     'text="SMTP; no, \\"you\\""',
     ["2026-11-22T07:18:44.9Z localhost relais/smtpd[1]: NOQUEUE: reject: MAIL from unknown[192.0.2.1]: "
      '550 5.7.60 <a@b.test>: no, \\"you\\"; from=<a@b.test>']),
    ('reject connector=In client=192.0.2.1:5 stage=CONNECT rule=connections text="421 4.3.2 Too many" via=192.0.2.9:1',
     ["2026-11-22T07:18:44.9Z localhost relais/smtpd[1]: NOQUEUE: reject: CONNECT from unknown[192.0.2.1]: "
      "421 4.3.2 Too many"]),
    ('notice text="received id=1 client=1.2.3.4:5 from=<a@b> nrcpt=1 size=1"',
     ['2026-11-22T07:18:44.9Z localhost relais[1]: notice text="received id=1 client=1.2.3.4:5 from=<a@b> nrcpt=1 size=1"']),
])
def test_what_becomes_of_a_line(line, want):
    done = subprocess.run(["sed", "-E", "-f", SCRIPT], input=HEAD + line, capture_output=True, text=True, check=True)
    assert done.stdout.splitlines() == want


def test_delivery_lines_need_no_help_in_a_syslog(log):
    """As the issue has it: the delivery line is what analysers know, where a syslog has it."""
    totals, lists, text = summary(as_syslog(log), script=False)
    assert {name: totals[name] for name in ("delivered", "deferred", "bounced")} == \
        {"delivered": 5, "deferred": 1, "bounced": 1}, text
    assert lists["Recipients by message count"]["a@far.test"] == 2, text
