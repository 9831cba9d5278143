"""`relais sink` and `relais load`: what they are told to do they do (man/relais.1)."""
import re
import smtplib
import ssl
import subprocess
import time

import pytest

from tests.kit import mails, process, sink
from tests.kit.talk import Talk


class ToolSink:
    """A `relais sink` with OPTIONS."""

    def __init__(self, *options):
        self.process = subprocess.Popen([process.RELAIS, "sink", *options], stdout=subprocess.PIPE, text=True,
                                        stderr=subprocess.DEVNULL)
        line = self.process.stdout.readline()
        self.address = re.fullmatch(r"listening on (\S+)\n", line)[1]
        self.port = int(self.address.rsplit(":", 1)[1]) if not self.address.startswith("unix:") else None

    def __enter__(self):
        return self

    def __exit__(self, *_):
        process.end(self.process)
        self.process.stdout.close()

    def end(self):
        """(messages, bytes) it says it received."""
        self.process.terminate()
        last = self.process.stdout.read().splitlines()[-1]
        assert self.process.wait(20 * process.SLOWER) == 0
        found = re.fullmatch(r"received (\d+) messages, (\d+) bytes", last)
        return int(found[1]), int(found[2])


def load(target, *options, check=True):
    done = subprocess.run([process.RELAIS, "load", "--to", target, *options], stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                          text=True, timeout=60)
    if check:
        assert done.returncode == 0, done.stdout + done.stderr
    return done


CONTENTS = {"plain": mails.PLAIN, "eight bit": mails.eight_bit(), "large": mails.big(2_000_000), "empty": b"",
            "no header": b"\r\n..\r\n.\r\n", "dots": b".\r\n" * 1000}


def test_store_byte_for_byte(folder):
    with ToolSink("--store", f"{folder}/store", "--fsync") as ours:
        for number, content in enumerate(CONTENTS.values(), 1):
            with Talk(ours.port) as talk:
                assert talk.send(content, sender="x@sender.test", recipients=["a@b.test", "c@d.test"]).startswith("250")
            with open(f"{folder}/store/{number:08}.eml", "rb") as f:
                mails.check_same(f.read(), content)
            with open(f"{folder}/store/{number:08}.env") as f:
                lines = f.read().splitlines()
            assert lines[:4] == ["helo=client.test", "from=<x@sender.test>", "to=<a@b.test>", "to=<c@d.test>"], lines
        assert ours.end() == (len(CONTENTS), sum(map(len, CONTENTS.values())))


STAGES = ["banner", "mail", "rcpt", "data", "end"]


def until(talk_port, stage):
    """Goes through a transaction; the reply at STAGE ("" when the other side has hung up)."""
    with Talk(talk_port, timeout=20, hello=False) as talk:
        if stage == "banner":
            return talk.banner
        talk.say("EHLO client.test")
        for name, line in [("mail", "MAIL FROM:<a@sender.test>"), ("rcpt", "RCPT TO:<b@example.com>"), ("data", "DATA")]:
            reply = talk.say(line)
            if name == stage:
                return reply
            assert reply[0] in "23", reply
        return talk.say("Subject: x\r\n\r\nx\r\n.")


@pytest.mark.parametrize("stage", STAGES)
def test_drop_at(stage):
    with ToolSink("--drop-at", stage) as ours:
        assert until(ours.port, stage) == ""
        assert ours.end() == (0, 0)


@pytest.mark.parametrize("stage", STAGES)
def test_stall_at(stage):
    """It says nothing, and does not hang up: the client's own time limit ends it."""
    with ToolSink("--stall-at", stage) as ours:
        done = load(ours.address, "-n", "1", "-s", "1", "--timeout", "300ms", check=False)
        assert done.returncode == 75, done
        assert ours.end()[0] == 0


@pytest.mark.parametrize("stage", STAGES)
def test_reply(stage):
    with ToolSink(f"--reply-{stage}", "451 4.3.0 not just now") as ours:
        assert until(ours.port, stage) == "451 4.3.0 not just now"
        assert ours.end()[0] == 0


def test_fail_rate_and_retry(folder):
    """Half are refused at random; with --retry all are acknowledged in the end, each once."""
    with ToolSink("--fail-rate", "50", "--append", f"{folder}/came") as ours:
        load(ours.address, "-n", "300", "-s", "5", "--retry", "--acked", f"{folder}/acked", "--id-prefix", "x")
        assert ours.end()[0] == 300
    came, acked = open(f"{folder}/came").read().split(), open(f"{folder}/acked").read().split()
    assert sorted(came) == sorted(acked) and len(set(came)) == 300 and came[0].startswith("x-")
    with ToolSink("--fail-rate", "100") as ours:
        assert load(ours.address, "-n", "10", check=False).returncode == 75
        assert ours.end()[0] == 0


def test_load_against_nobody():
    assert load(f"127.0.0.1:{process.free_port()}", "-n", "3", check=False).returncode == 75


def test_lmtp():
    """A reply for each recipient; one that is refused is not acknowledged."""
    with sink.Sink(lmtp=True) as target:
        load(f"127.0.0.1:{target.port}", "--lmtp", "-n", "50", "-s", "2", "--recipients", "3")
        assert len(target.mails) == 50 and all(len(m.recipients) == 3 for m in target.mails)
        assert any(c.startswith(b"LHLO") for c in target.commands)
    replies = iter(["250 ok", "452 4.2.2 full", "250 ok"])
    with sink.Sink(lmtp=True, answer=lambda stage, text: next(replies) if stage == "dot" else None) as target:
        done = load(f"127.0.0.1:{target.port}", "--lmtp", "-n", "1", "-s", "1", "--recipients", "3", check=False)
        assert done.returncode == 75, done


TLS = {"starttls": "--tls", "implicit": "--implicit-tls"}


@pytest.mark.parametrize("mode", TLS)
def test_tls(mode, folder):
    with ToolSink(TLS[mode], "--store", f"{folder}/store") as ours:
        load(ours.address, "-n", "20", "-s", "2", "--tls", mode)
        assert ours.end()[0] == 20
    with open(f"{folder}/store/00000001.env") as f:
        assert "tls=TLSv1.3 " in f.read()


@pytest.mark.parametrize("mode", TLS)
def test_tls_of_the_sink_as_others_see_it(mode):
    with ToolSink(TLS[mode]) as ours:
        context = ssl._create_unverified_context()
        client = smtplib.SMTP_SSL("127.0.0.1", ours.port, "client.test", context=context) if mode == "implicit" else \
            smtplib.SMTP("127.0.0.1", ours.port, "client.test")
        with client:
            if mode == "starttls":
                client.starttls(context=context)
            client.sendmail("a@sender.test", ["b@example.com"], mails.PLAIN)
        assert ours.end() == (1, len(mails.PLAIN))


def test_tls_where_there_is_none():
    with ToolSink() as ours:
        assert load(ours.address, "-n", "1", "--tls", "starttls", check=False).returncode == 75
        assert ours.end()[0] == 0


def test_unix_socket(folder):
    with ToolSink("--listen", f"unix:{folder}/socket") as ours:
        load(f"unix:{folder}/socket", "-n", "20")
        assert ours.end()[0] == 20


def test_count_ends_it():
    with ToolSink("-n", "5") as ours:
        load(ours.address, "-n", "5", "-s", "1")
        assert ours.process.wait(20 * process.SLOWER) == 0
        assert "received 5 messages" in ours.process.stdout.read()


def test_size_max():
    with ToolSink("--size-max", "64k") as ours:
        assert load(ours.address, "-n", "1", "--size", "100k", check=False).returncode == 75
        load(ours.address, "-n", "1", "--size", "50k")
        assert ours.end()[0] == 1


def test_rate_and_sizes():
    with ToolSink() as ours:
        began = time.monotonic()
        load(ours.address, "-n", "50", "--rate", "50", "--size", "10k", "--messages-per-session", "7")
        assert 0.7 < time.monotonic() - began < 5 * process.SLOWER
        count, size = ours.end()
        assert count == 50 and size == 50 * 10 * 1024


@pytest.mark.parametrize("pipelining", ["yes", "no"])
@pytest.mark.parametrize("chunking", ["yes", "no"])
def test_extensions_of_load(pipelining, chunking):
    with ToolSink() as ours:
        done = load(ours.address, "-n", "100", "-s", "4", "--under-way", "3", "--pipelining", pipelining, "--chunking", chunking)
        assert "100" in done.stdout
        assert ours.end()[0] == 100


WRONG = [["sink", "--drop-at", "nowhere"], ["sink", "--reply-mail", "nonsense"], ["sink", "--listen", "x"], ["load"],
         ["load", "--to", "nonsense"], ["load", "--to", "127.0.0.1:25", "--tls", "some"], ["sink", "--fail-rate", "101"]]


@pytest.mark.parametrize("arguments", WRONG, ids=" ".join)
def test_mistakes(arguments):
    done = subprocess.run([process.RELAIS, *arguments], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, timeout=20 * process.SLOWER)
    assert done.returncode == 64 and "usage" in done.stderr, done
