"""What may be there twice is counted by its cause (SH-8): the causes of a single node."""
import re
import socket
import struct

from tests.kit import mails, process, relais, sink
from tests.kit.talk import Talk


def relay(start, target, **options):
    port = process.free_port()
    node = start(relais.receive("In", f"127.0.0.1:{port}", **options) +
                 relais.send("Out", smart_hosts=[f"[127.0.0.1]:{target.port}"]), port)
    return node, port


def test_an_answer_that_was_lost(start):
    """D6: the next server took the last byte and said nothing: delivered again, counted, logged."""
    answers = iter(["drop"])
    with sink.Sink(answer=lambda stage, text: next(answers, None) if stage == "dot" else None) as target:
        node, port = relay(start, target)
        with Talk(port) as talk:
            mid = talk.send(mails.PLAIN).split()[-1]
        node.wait_empty()
        assert len(target.mails) == 1
        assert node.status()["counters"]["in_doubt"] == 1
        assert f"in_doubt id={mid}" in node.log()


def test_a_client_that_was_not_told(start):
    """D2: its connection breaks before it has read the 250."""
    with sink.Sink() as target:
        node, port = relay(start, target)

        def hangs_up():
            with Talk(port) as talk:
                for line in ("MAIL FROM:<a@sender.test>", "RCPT TO:<b@example.com>", "DATA"):
                    talk.say(line)
                # Lingering for no time: closing resets the connection.
                talk.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                talk.raw(mails.PLAIN + b".\r\n")
            return node.status()["counters"]["untold"]

        process.wait_for("one that was stored and not told", hangs_up)
        node.wait_empty()
        assert re.search(r"untold id=\w+ session=\w+ connector=In client=127\.0\.0\.1:", node.log())


def test_a_client_that_was_told(start):
    with sink.Sink() as target:
        node, port = relay(start, target)
        with Talk(port) as talk:
            assert talk.send(mails.PLAIN).startswith("250")
        node.wait_empty()
        assert node.status()["counters"]["untold"] == 0 and node.status()["counters"]["in_doubt"] == 0
