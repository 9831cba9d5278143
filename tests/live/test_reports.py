"""`relais report`: who still uses the relay, unprotected mail, old TLS, wide ranges (OP-10)."""
import json
import ssl

import pytest

from tests.kit import process, relais, sink
from tests.kit.talk import Talk

HOST = "127.87.5.1"
MAIL = b"Subject: x\r\n\r\nhere\r\n"


@pytest.fixture
def node(start, server_certificate):
    port = process.free_port()
    certificate, key = server_certificate
    with sink.Sink() as target:
        node = start(
            relais.domain("example.com") +
            relais.receive("Open", f"{HOST}:{port}", certificate=certificate, key=key, tls_min="1.0") +
            relais.receive("Office", f"{HOST}:{port}", ranges=["10.0.0.0/8", "192.168.0.0/16"], allow=["submit"]) +
            relais.send("Out", smart_hosts=[f"[127.0.0.1]:{target.port}"], tls="none"), port)
        node.port = port
        yield node


def start_tls(talk, version, ciphers="ALL:@SECLEVEL=0"):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    context.set_ciphers(ciphers)
    context.minimum_version = context.maximum_version = version
    assert talk.say("STARTTLS").startswith("220")
    talk.file.close()
    talk.socket = context.wrap_socket(talk.socket)
    talk.file = talk.socket.makefile("rb")
    assert talk.say("EHLO client.test").startswith("250")


def send(node, tls=None):
    with Talk(node.port, host=HOST, source="127.87.5.9") as talk:
        if tls:
            start_tls(talk, tls)
        assert talk.send(MAIL, sender="x@example.com", recipients=["a@far.test"]).startswith("250")


def report(node, name):
    done = node.tool("report", name, "--json")
    return [json.loads(line) for line in done.stdout.splitlines()]


def test_clients_and_unprotected_mail(node):
    assert "nobody has sent mail" in node.tool("report", "clients").stdout
    assert "no mail went without TLS" in node.tool("report", "unprotected").stdout
    send(node, tls=ssl.TLSVersion.TLSv1_3)
    node.wait_empty()
    assert [r["direction"] for r in report(node, "unprotected")] == ["sent"]
    send(node)
    send(node)
    node.wait_empty()
    process.wait_for("the table of clients", lambda: sum(r["messages"] for r in report(node, "clients")) == 3)
    client, = report(node, "clients")
    assert client["address"] == "127.87.5.9" and client["connector"] == "Open" and client["bytes"] == 3 * len(MAIL)
    assert client["helo"] == ["client.test"] and client["last_seen_s"] >= 0
    received, sent = report(node, "unprotected")
    assert received == {"connector": "Open", "direction": "received", "tls": "none", "messages": 2,
                        "bytes": 2 * len(MAIL)}
    assert sent["queue"] == "Out" and sent["messages"] == 3
    text = node.tool("report", "unprotected").stdout
    assert "received" in text and "NEXT HOP" in text
    assert "127.87.5.9" in node.tool("report", "clients").stdout


def test_old_tls(node):
    send(node)
    assert "no client has weak TLS" in node.tool("report", "tls").stdout
    send(node, tls=ssl.TLSVersion.TLSv1)
    client, = process.wait_for("the client", lambda: report(node, "tls"))
    assert client["tls"] == "TLSv1" and client["address"] == "127.87.5.9" and client["needs"] == ["old-tls"]
    assert "TLSv1" in node.tool("report", "tls").stdout


def test_weak_ciphers(start, server_certificate):
    """A client with TLS 1.2 and a cipher without forward secrecy; and a next hop that knows no other."""
    port = process.free_port()
    certificate, key = server_certificate
    old = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    old.load_cert_chain(certificate, key)
    old.maximum_version = ssl.TLSVersion.TLSv1_2
    old.set_ciphers("ECDHE-ECDSA-AES128-SHA:@SECLEVEL=0")
    with sink.Sink(tls=old) as target:
        node = start(relais.receive("Old", f"{HOST}:{port}", certificate=certificate, key=key) +
                     relais.send("Out", smart_hosts=[f"[127.0.0.1]:{target.port}"], tls="encrypt"), port)
        node.port = port
        send(node, tls=ssl.TLSVersion.TLSv1_3)
        node.wait_empty()
        hop, = report(node, "tls")
        assert (hop["queue"], hop["tls"], hop["weakness"]) == ("Out", "TLSv1.2 ECDHE-ECDSA-AES128-SHA", "CBC with SHA-1")
        with Talk(port, host=HOST, source="127.87.5.8") as talk:
            start_tls(talk, ssl.TLSVersion.TLSv1_2, "ECDHE-ECDSA-AES256-SHA:@SECLEVEL=0")
            assert talk.send(MAIL, sender="x@example.com", recipients=["a@far.test"]).startswith("250")
        _, client = process.wait_for("the client", lambda: (rows := report(node, "tls")) and len(rows) == 2 and rows)
        assert (client["address"], client["connector"], client["needs"]) == ("127.87.5.8", "Old", ["weak-cipher"])
        assert client["cipher"] == "ECDHE-ECDSA-AES256-SHA"
        node.wait_empty()
        text = node.tool("report", "tls").stdout
        assert "next hop Out takes TLSv1.2 ECDHE-ECDSA-AES128-SHA (CBC with SHA-1): 2 recipients" in text
        assert "CBC with SHA-1" in text.split("ADDRESS")[1] and "127.87.5.9" not in text


def test_wide_ranges(node):
    wide = report(node, "ranges")
    assert [(r["connector"], r["range"]) for r in wide] == [("Open", "*"), ("Office", "10.0.0.0/8")]
    assert wide[0]["risk"] == "strangers may relay" and "any-recipient" in wide[0]["rights"]
    assert wide[1]["risk"] == "" and wide[1]["where"].split(":")[-1].isdigit()
    text = node.tool("report", "ranges").stdout
    assert "strangers may relay" in text and "relais.conf:" in text
