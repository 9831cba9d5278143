"""`preset` (RC-8): the connectors administrators know, with the rights and the TLS of their usage."""
import smtplib
import ssl
import subprocess

import pytest

from tests.kit import mails, process, relais
from tests.kit.talk import Talk

HOST = "127.67.0.1"
SETS = {
    "exchange": {"internet": "Default Frontend", "client": "Client Frontend"},
    "default": {"internet": "Inbound", "client": "Submission", "implicit": "Submissions"},
}
PASSWORD = "correct horse"
NO_RELAY = "550 5.7.54 SMTP; Unable to relay recipient in non-accepted domain"


def moved(names, ports, certificate):
    """The preset's connectors on free ports: all else about them stays the preset's."""
    return "".join(relais.block("receive_connector", names[role], bindings=[f"{HOST}:{ports[role]}"],
                                certificate=certificate[0], key=certificate[1]) for role in names)


@pytest.fixture(params=sorted(SETS))
def node(request, start, folder, server_certificate):
    names = SETS[request.param]
    ports = {role: process.free_port() for role in names}
    config = (f"preset = {request.param}\n" + moved(names, ports, server_certificate) + relais.domain("example.com") +
              relais.send("Out", maildir=f"{folder}/mail/%d/%u"))
    node = start(config, *ports.values())
    node.names, node.role = names, ports
    done = subprocess.run([process.RELAIS, "-c", node.file, "user", "add", "scanner@example.com"], input=PASSWORD + "\n",
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=60)
    assert done.returncode == 0, done.stdout
    return node


def client(node, role):
    context = ssl._create_unverified_context()
    if role == "implicit":
        session = smtplib.SMTP_SSL(HOST, node.role[role], "client.test", timeout=60, context=context)
    else:
        session = smtplib.SMTP(HOST, node.role[role], "client.test", timeout=60)
        session.starttls(context=context)
    session.ehlo()
    return session


def test_internet(node):
    """Anybody may send to our domains, nobody to others; TLS is offered, AUTH is not."""
    with Talk(node.role["internet"], HOST) as talk:
        assert "STARTTLS" in talk.extensions and "AUTH" not in talk.extensions
        assert talk.send(mails.PLAIN, recipients=["b@example.com"]).startswith("250")
        assert talk.send(mails.PLAIN, recipients=["b@far.test"]) == NO_RELAY
    node.wait_log(f'received id=.* connector="?{node.names["internet"]}')


def test_client(node):
    """Nothing before TLS, nothing before AUTH; then to anywhere, as oneself."""
    with Talk(node.role["client"], HOST) as talk:
        assert "AUTH" not in talk.extensions
        assert talk.say("MAIL FROM:<scanner@example.com>").startswith("530 5.7.0")
    for role in set(node.names) - {"internet"}:
        with client(node, role) as session:
            assert session.mail("scanner@example.com")[0] == 530, role
            session.login("scanner@example.com", PASSWORD)
            session.sendmail("scanner@example.com", ["b@far.test"], mails.PLAIN)
            code, text = session.mail("boss@example.com")
            assert (code, text[:6]) == (550, b"5.7.60"), role
    process.wait_for("the clients' mails", lambda: node.tool("queue").stdout.count("far.test") == 0)


def test_it_is_shown(node):
    shown = node.tool("connector", "list").stdout
    assert all(name in shown for name in node.names.values()), shown
