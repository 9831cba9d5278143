"""Sessions: nobody can hold others up, nothing is smuggled into TLS, memory stays small."""
import os
import re
import select
import socket
import ssl
import struct
import subprocess
import threading
import time

import pytest

from tests.kit import mails, process, relais, sink
from tests.kit.talk import Talk

HOST = "127.107.1.1"


def relay(start, target, *bindings, **options):
    port = process.free_port()
    node = start(relais.receive("In", f"127.0.0.1:{port}", **options) +
                 relais.send("Out", smart_hosts=[f"[127.0.0.1]:{target.port}"]), port)
    return node, port


def test_commands_behind_starttls_in_the_clear(start):
    """SM-3: what came in the clear is not heard inside, and the session ends."""
    with sink.Sink() as target:
        _, port = relay(start, target)
        with Talk(port) as talk:
            assert "STARTTLS" in talk.extensions
            talk.raw(b"STARTTLS\r\nMAIL FROM:<evil@evil.test>\r\nRCPT TO:<b@example.com>\r\n")
            first = talk.reply()
            rest = talk.file.read()
            assert first == "" or not first.startswith("250"), first
            assert b"250" not in rest, rest
        with Talk(port) as talk:  # and the relay is well
            assert talk.say("NOOP").startswith("250")


def test_tls_inside(start):
    with sink.Sink() as target:
        node, port = relay(start, target)
        with Talk(port) as talk:
            assert talk.say("STARTTLS").startswith("220")
            context = ssl._create_unverified_context()
            talk.socket = context.wrap_socket(talk.socket)
            talk.file = talk.socket.makefile("rb")
            assert "STARTTLS" not in talk.say("EHLO client.test")
            assert talk.send(mails.PLAIN).startswith("250 2.")
        node.wait_empty()
        assert re.search(rb"with (UTF8)?E?SMTPS", target.mails[0].content)


def test_slow_clients_hold_nobody_up(start):
    """Fifty that send a byte and stop, in every state; then one that works as if alone."""
    with sink.Sink() as target:
        node, port = relay(start, target)
        stuck = []
        for n in range(50):
            talk = Talk(port)
            for line in ("MAIL FROM:<a@sender.test>", "RCPT TO:<b@example.com>", "DATA")[:n % 4]:
                talk.say(line)
            talk.raw(b"x")
            stuck.append(talk)
        with Talk(port) as talk:
            for _ in range(200):
                assert talk.send(mails.PLAIN).startswith("250 2.")
        node.wait_empty()
        for talk in stuck:
            talk.close()
        process.wait_for("no session", lambda: node.status()["sessions"] == 0)


def test_a_client_that_does_not_read(start):
    """Its replies pile up on its own connection; it is not read from any more."""
    with sink.Sink() as target:
        node, port = relay(start, target)
        deaf = socket.create_connection(("127.0.0.1", port))
        deaf.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        deaf.setblocking(False)
        sent = 0
        try:
            while sent < 64_000_000:
                sent += deaf.send(b"NOOP\r\n" * 1000)
        except BlockingIOError:
            pass
        assert sent < 64_000_000, "all of it was read"
        with Talk(port) as talk:
            assert talk.send(mails.PLAIN).startswith("250 2.")
        own = process.memory_bytes(node.pid, "RssAnon")
        assert own < 40e6 * process.SLOWER ** 2
        deaf.close()


def test_idle_sessions_end(start):
    with sink.Sink() as target:
        _, port = relay(start, target, idle_timeout="3s")
        with Talk(port) as talk:
            assert talk.reply().startswith("421 4.4.2")
            assert talk.reply() == ""


def test_half_open(start):
    """A client that shuts its side down in the middle of a mail: no mail, no session left."""
    with sink.Sink() as target:
        node, port = relay(start, target)
        with Talk(port) as talk:
            for line in ("MAIL FROM:<a@sender.test>", "RCPT TO:<b@example.com>", "DATA"):
                talk.say(line)
            talk.raw(b"Subject: half\r\n\r\nhalf a mail\r\n")
            talk.socket.shutdown(socket.SHUT_WR)
            process.wait_for("no session", lambda: node.status()["sessions"] == 0)
        assert node.queued() == 0 and not target.mails


def test_end_of_file_inside_bdat(start):
    with sink.Sink() as target:
        node, port = relay(start, target)
        with Talk(port) as talk:
            talk.say("MAIL FROM:<a@sender.test>")
            talk.say("RCPT TO:<b@example.com>")
            talk.raw(b"BDAT 1000 LAST\r\nSubject: half\r\n\r\n")
            talk.socket.shutdown(socket.SHUT_WR)
            process.wait_for("no session", lambda: node.status()["sessions"] == 0)
        assert node.queued() == 0 and not target.mails


def test_too_many_errors(start):
    with sink.Sink() as target:
        _, port = relay(start, target)
        with Talk(port) as talk:
            replies = []
            while not replies or replies[-1][:3] not in ("421", ""):
                replies.append(talk.say("NONSENSE"))
                assert len(replies) < 20
            assert replies[-1].startswith("421 4.7.0"), replies
            assert len(replies) in (5, 6)


def test_what_the_engine_refuses_is_logged(start):
    """As policy's refusals are: stage, rule, reply; and counted by rule."""
    with sink.Sink() as target:
        node, port = relay(start, target, size_max="64K", recipients_max=1, errors_max=2)
        with Talk(port) as talk:
            assert talk.say("MAIL FROM:<a@b.test> SIZE=100000").startswith("552")
            talk.say("MAIL FROM:<a@b.test>")
            talk.say("RCPT TO:<c@d.test>")
            for name in ("e@f.test", "g@h.test"):
                assert talk.say(f"RCPT TO:<{name}>").startswith("452")
            assert talk.say("DATA").startswith("354")
            talk.raw(b"bare\nline\r\n.\r\n")
            assert talk.reply().startswith("550 5.6.11")
            assert talk.say("RSET").startswith("250")
            talk.say("RCPT TO:<c@d.test>")
            talk.say("X" * 5000)
            assert talk.say("XYZZY").startswith("421")
            address = "{}:{}".format(*talk.socket.getsockname())
        node.wait_log("rule=errors ")
        found = re.findall(rf"reject .*client={re.escape(address)} .*stage=(\S+) rule=(\S+) about=(\S*) code=(\d+) dsn=(\S+)", node.log())
        assert found == [("MAIL", "size", "<a@b.test>", "552", "5.3.4"), ("RCPT", "recipients", "<e@f.test>", "452", "4.5.3"),
                         ("DATA", "bare-line-end", "<>", "550", "5.6.11"), ("RCPT", "sequence", "<>", "503", "5.5.1"),
                         ("COMMAND", "line-length", "<>", "500", "5.5.6"), ("COMMAND", "errors", "<>", "421", "4.7.0")]
        assert re.search(r'relais_refusals_total\{connector="In",rule="line-length"\} 1', node.tool("metrics").stdout)


def test_connections_of_one_source(start):
    with sink.Sink() as target:
        _, port = relay(start, target, connections_per_source=3)
        open_ones = [Talk(port) for _ in range(3)]
        with Talk(port, hello=False) as talk:
            assert talk.banner.startswith("421 4."), talk.banner
        with Talk(port, source="127.0.0.2") as talk:
            assert talk.say("NOOP").startswith("250")
        for talk in open_ones:
            talk.close()


def test_connections_of_one_source_at_two_connectors(start):
    """What an address has open at one connector does not count at another, and new settings forget nothing."""
    many, few = process.free_port("127.106.5.1"), process.free_port("127.106.5.1")
    node = start(relais.receive("Many", f"127.106.5.1:{many}", connections_per_source=50) +
                 relais.receive("Few", f"127.106.5.1:{few}", connections_per_source=2), many, few)

    def banner():
        with Talk(few, host="127.106.5.1", hello=False) as talk:
            return talk.banner
    open_ones = [Talk(port, host="127.106.5.1") for port in [many] * 5 + [few] * 2]
    assert all(talk.banner.startswith("220") for talk in open_ones)
    assert banner().endswith("[connections-per-source@Few]")
    node.tool("reload")
    assert banner().endswith("[connections-per-source@Few]")
    for talk in open_ones:
        talk.close()
    process.wait_for("room", lambda: banner().startswith("220"))


def test_too_large(start):
    with sink.Sink() as target:
        _, port = relay(start, target, size_max="64k")
        with Talk(port) as talk:
            assert re.search(r"^250[ -]SIZE 65536", talk.extensions, re.M)
            assert talk.say("MAIL FROM:<a@sender.test> SIZE=70000").startswith("552 5.3.4")
            assert talk.send(b"Subject: large\r\n\r\n" + b"x" * 70 * 1000 + b"\r\n").startswith("552 5.3.4")
            assert talk.send(mails.PLAIN).startswith("250 2.")


IDLE = 10_000


def test_ten_thousand_idle_connections(start):
    """Below 4 KiB each of ours, and mail flows meanwhile."""
    import resource
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    assert hard > IDLE + 100, f"only {hard} descriptors allowed here"
    with sink.Sink() as target:
        node, port = relay(start, target, connections_max=20000, connections_per_source=20000)
        before = process.memory_bytes(node.pid, "RssAnon")
        idle = []
        for n in range(IDLE):
            s = socket.create_connection(("127.0.0.1", port), 30)
            idle.append(s)
        for s in idle:
            assert s.recv(100).startswith(b"220")
        for s in idle:
            s.sendall(b"EHLO client.test\r\n")
        for s in idle:
            assert s.recv(1000).startswith(b"250")
        assert node.status()["sessions"] == IDLE
        each = (process.memory_bytes(node.pid, "RssAnon") - before) / IDLE
        print(f"{each:.0f} bytes each")
        with Talk(port) as talk:
            for _ in range(100):
                assert talk.send(mails.PLAIN).startswith("250 2.")
        process.wait_for("100 mails", lambda: len(target.mails) == 100)
        if process.SLOWER == 1:  # the sanitizers' own memory is not ours
            assert each < 4096, f"{each:.0f} bytes each"
        for s in idle:
            s.close()
        process.wait_for("no session", lambda: node.status()["sessions"] == 0)


def test_many_clients_at_once(start):
    with sink.Sink() as target:
        node, port = relay(start, target)
        failures = []

        def client():
            try:
                with Talk(port) as talk:
                    for _ in range(20):
                        assert talk.send(mails.PLAIN).startswith("250 2.")
            except Exception as e:  # shown below
                failures.append(e)
        threads = [threading.Thread(target=client) for _ in range(50)]
        for t in threads:
            t.start()
        for t in threads:
            t.join()
        assert not failures
        node.wait_empty()
        assert len(target.mails) == 1000


def test_flush_between_the_dot_and_its_250(start, folder):
    """SP-1, seen from outside: strace shows fdatasync return between the read of the final dot and
    the write of 250."""
    with sink.Sink() as target:
        node, port = relay(start, target)
        trace = f"{folder}/strace"
        tracer = subprocess.Popen(["strace", "-f", "-qq", "-s", "600", "-p", str(node.pid), "-o", trace, "-e",
                                   "trace=read,readv,recvfrom,recvmsg,write,writev,sendto,sendmsg,pwrite64,pwritev,"
                                   "pwritev2,fdatasync,fsync"], stderr=subprocess.DEVNULL)
        threads = len(os.listdir(f"/proc/{node.pid}/task"))
        process.wait_for("strace", lambda: tracer.poll() is None and sum(
            "TracerPid:\t0" not in open(f"/proc/{node.pid}/task/{t}/status").read()
            for t in os.listdir(f"/proc/{node.pid}/task")) == threads)
        with Talk(port) as talk:
            assert talk.send(b"Subject: traced\r\n\r\ntraced body\r\n").startswith("250 2.")
        tracer.terminate()
        tracer.wait()
        lines = open(trace).read().splitlines()
        shown = "\n".join(lines)
        dot = next((n for n, line in enumerate(lines) if r"traced body\r\n.\r\n" in line and
                    re.search(r"(read|recv)\w*\(|resumed", line)), None)
        assert dot is not None, shown
        said = next(n for n, line in enumerate(lines) if n > dot and re.search(r'(write|send)\w*\(.*"?250 2\.', line))
        flushed = [n for n, line in enumerate(lines) if dot < n < said and re.search(r"(fdatasync|fsync)\b.*= 0$", line)]
        assert flushed, "no flush returned before 250:\n" + shown
        assert any(re.search(r"\bpwrite", line) for line in lines[dot:flushed[-1]]), shown


def test_a_refusal_waits_in_the_tarpit_and_others_do_not(start):
    port = process.free_port()
    start(relais.receive("In", f"127.0.0.1:{port}", allow=["submit", "any-sender"], tarpit="1s") +
          relais.domain("example.com"), port)
    with Talk(port) as stranger, Talk(port) as friend:
        assert stranger.say("MAIL FROM:<a@sender.test>").startswith("250")
        began = time.monotonic()
        stranger.raw(b"RCPT TO:<b@elsewhere.test>\r\n")
        assert friend.say("MAIL FROM:<a@sender.test>").startswith("250")
        assert time.monotonic() - began < 0.9
        assert stranger.reply().startswith("550 5.7.54")
        assert time.monotonic() - began >= 0.9
        began = time.monotonic()
        assert stranger.say("RCPT TO:<b@example.com>").startswith("250")
        assert time.monotonic() - began < 0.9


def slow(start, recipients=None, tarpit="1s", **options):
    port = process.free_port()
    node = start(relais.receive("In", f"{HOST}:{port}", allow=["submit", "any-sender"], tarpit=tarpit, **options) +
                 relais.block("accepted_domain", "example.com", **({"recipients": recipients} if recipients else {})) +
                 relais.send("Out", smart_hosts=["[127.0.0.1]:1"]), port)
    return node, port


def test_each_refusal_of_a_flight_waits(start, folder):
    """PE-8: who tries addresses hears of each after a while, also when he sends them all at once."""
    with open(f"{folder}/users", "w") as f:
        f.write("b\n")
    _, port = slow(start, f"{folder}/users")
    with Talk(port, HOST) as talk:
        began = time.monotonic()
        talk.raw(b"MAIL FROM:<a@sender.test>\r\n" + b"".join(b"RCPT TO:<%s>\r\n" % r for r in (
            b"x1@example.com", b"b@example.com", b"x2@example.com", b"x@elsewhere.test", b"x3@example.com")) + b"NOOP\r\n")
        assert talk.reply().startswith("250")
        heard = []
        for _ in range(6):
            heard.append((talk.reply()[:9], time.monotonic() - began))
    assert [code for code, _ in heard] == ["550 5.1.1", "250 2.1.5", "550 5.1.1", "550 5.7.5", "550 5.1.1", "250 2.0.0"]
    for (_, at), waits in zip(heard, (1, 1, 2, 3, 4, 4)):
        assert waits - 0.1 <= at < 10 * waits * process.SLOWER, heard


SAID = b"MAIL FROM:<a@sender.test>\r\nRCPT TO:<b@example.com>\r\nDATA\r\n"


@pytest.mark.parametrize("options, said, want", [
    ({}, b"NONSENSE\r\n", "500"),
    (dict(size_max="64K"), b"MAIL FROM:<a@sender.test> SIZE=70000\r\n", "552 5.3.4"),
    ({}, b"MAIL FROM:<a@sender.test>\r\nDATA\r\n", "554 5.5.1"),
    ({}, SAID + b"bare\nline\r\n.\r\n", "550 5.6.11"),
    (dict(hops_max=1), SAID + 3 * b"Received: from x\r\n" + b"\r\nx\r\n.\r\n", "554 5.4.14"),
    (dict(header_size_max="4K"), SAID + b"X: " + 5000 * b"x" + b"\r\n\r\nx\r\n.\r\n", "552 5.3.4"),
    (dict(permission_groups=["users"], auth=["plain"], auth_without_tls=True, require_auth=True), b"MAIL FROM:<a@sender.test>\r\n",
     "530 5.7.0"),
], ids=lambda value: value if isinstance(value, str) else "")
def test_whatever_is_refused_waits(start, options, said, want):
    """By whomever: the engine, the limits, or policy; once, and what comes behind it too."""
    _, port = slow(start, **options)
    with Talk(port, HOST) as talk:
        began, heard = time.monotonic(), ""
        talk.raw(said + b"RSET\r\n")
        while heard[:1] != "5":
            heard = talk.reply()
            assert heard, "closed"
        assert heard.startswith(want) and time.monotonic() - began >= 0.9
        assert talk.reply().startswith("250 2.0.0")


def test_what_is_no_refusal_does_not_wait(start):
    """4xx, and what only follows from a refused MAIL; nor is the client's silence counted meanwhile."""
    _, port = slow(start, tarpit="3s", recipients_max=1, idle_timeout="1s", refuse_senders=["bad@sender.test"])
    with Talk(port, HOST) as talk:
        began = time.monotonic()
        talk.raw(SAID[:-6] + 30 * b"RCPT TO:<c@example.com>\r\n" + b"RSET\r\n")
        assert [talk.reply()[:3] for _ in range(33)] == ["250", "250"] + 30 * ["452"] + ["250"]
        assert time.monotonic() - began < 60
        began = time.monotonic()
        talk.raw(b"MAIL FROM:<bad@sender.test>\r\n" + 30 * b"RCPT TO:<b@example.com>\r\n" + b"RSET\r\n")
        assert [talk.reply()[:3] for _ in range(32)] == ["550"] + 30 * ["503"] + ["250"]
        assert 2.9 <= time.monotonic() - began < 60


def test_who_has_left_is_not_waited_for_in_the_tarpit(start):
    """PE-8: a flight of refusals does not keep a place that nobody sits on any more for a tarpit each."""
    node, port = slow(start)
    with Talk(port, HOST) as talk:
        talk.raw(b"MAIL FROM:<a@sender.test>\r\n" + 60 * b"RCPT TO:<x@elsewhere.test>\r\n")
        assert talk.reply().startswith("250")
        talk.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))  # reset
    process.wait_for("its end", lambda: node.log().count("disconnect session=") == 1, 30)
    assert 1 <= node.log().count("rule=relay") < 20, "not one after the other"


def test_a_session_without_mail_ends(start):
    """PE-8: the time runs for who does nothing but talk, and stands while data moves."""
    with sink.Sink() as target:
        node, port = relay(start, target, session_timeout="2s")
        with Talk(port) as talk:
            for line in ("MAIL FROM:<a@sender.test>", "RCPT TO:<b@example.com>", "DATA"):
                assert talk.say(line)[0] in "23"
            began = time.monotonic()
            while time.monotonic() - began < 5:  # data, in drops
                talk.raw(b"drop\r\n")
                assert not select.select([talk.socket], [], [], 0.1)[0], talk.reply()
            talk.raw(b".\r\n")
            assert talk.reply().startswith("250 2.")
            began = time.monotonic()
            heard = "250"
            while heard.startswith("250") and time.monotonic() - began < 20 * process.SLOWER:
                heard = talk.say("NOOP")
                select.select([talk.socket], [], [], 0.1)
            assert heard == "421 4.4.2 Connection timed out: session without mail for too long"
            assert time.monotonic() - began >= 1.9
            assert talk.reply() == ""
        node.wait_empty()
        assert target.mails[0].content.count(b"drop") > 5


def test_a_refused_name_is_in_the_log(start):
    """Whose device it is shows nothing else, when many come from one address."""
    port = process.free_port(HOST)
    node = start(relais.receive("Scanners", f"{HOST}:{port}", tarpit="0s"), port)
    with Talk(port, HOST, hello=None) as talk:
        for line, about in [("HELO scan_1", "scan_1"), ("EHLO a b", "a b"), ("EHLO", "")]:
            assert talk.say(line).startswith("501 5.5.")
            node.wait_log(f'stage={line[:4]} rule=syntax about=<{about}>|stage={line[:4]} rule=syntax about="<{about}>"')
