"""SM-6: a message that has come round too often is refused, and its sender is told."""
import email
import email.policy
import socket
import threading

from tests.kit import dovecot, mails, process, relais, sink
from tests.kit.talk import Talk

HOP = b"Received: from somewhere.test by elsewhere.test; Mon, 02 Jan 2023 03:04:05 +0000\r\n"


def test_too_many_hops_are_refused(start):
    port, short = process.free_port(), process.free_port()
    with sink.Sink() as target:
        node = start(relais.receive("In", f"127.0.0.1:{port}") + relais.receive("Short", f"127.0.0.1:{short}", hops_max=3) +
                     relais.send("Out", smart_hosts=[f"[127.0.0.1]:{target.port}"]), port, short)
        for to, hops, reply in [(port, 60, "250 2."), (port, 61, "554 5.4.14"), (short, 3, "250 2."), (short, 4, "554 5.4.14")]:
            with Talk(to) as talk:
                assert talk.send(HOP * hops + mails.PLAIN).startswith(reply), (hops, reply)
                # What looks like a hop below the header is text.
                assert talk.send(b"Subject: x\r\n\r\n" + HOP * 100).startswith("250 2.")
        node.wait_empty()
        assert len(target.mails) == 6


def balancer(port, to):
    """Hands each connection to PORT on to TO; returns what ends it."""
    server = socket.create_server(("127.0.0.1", port))

    def copy(source, target):
        try:
            while data := source.recv(65536):
                target.sendall(data)
        except OSError:
            pass
        for end in (source, target):
            try:
                end.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass

    def accept():
        while True:
            try:
                client, _ = server.accept()
                inner = socket.create_connection(("127.0.0.1", to))
            except OSError:
                return
            for pair in ((client, inner), (inner, client)):
                threading.Thread(target=copy, args=pair, daemon=True).start()

    threading.Thread(target=accept, daemon=True).start()
    return server.close


def test_a_loop_ends(start, folder, request):
    """The relay is its own smart host, behind a balancer it knows nothing of: the mail goes round, and then back to
    its sender."""
    port, outside = process.free_port(), process.free_port()
    request.addfinalizer(balancer(outside, port))
    node = start(relais.receive("In", f"127.0.0.1:{port}", hops_max=20) +
                 relais.send("Round", smart_hosts=[f"[127.0.0.1]:{outside}"]) +
                 relais.send("Home", spaces=["sender.test"], maildir=f"{folder}/mail/%u"), port)
    with Talk(port) as talk:
        assert talk.send(mails.PLAIN).startswith("250 2.")
    path = process.wait_for("the notice", lambda: dovecot.maildir(f"{folder}/mail/a"), 30)[0]
    with open(path, "rb") as f:
        notice = email.message_from_binary_file(f, policy=email.policy.default)
    about = list(notice.iter_parts())[1].get_payload()[1]
    assert about["Status"] == "5.4.14" and "554 5.4.14" in about["Diagnostic-Code"]
    node.wait_empty()
    assert len(dovecot.maildir(f"{folder}/mail/a")) == 1
