"""The main job: what other people's clients send lies in the Maildir byte for byte, or in what
Postfix and Dovecot made of it."""
import os

import pytest

from conftest import needs_root
from tests.kit import clients, dovecot, mails, postfix, process, relais

MAILS = {"plain": mails.PLAIN, "tls": mails.PLAIN, "8bit": mails.eight_bit(), "utf8": mails.utf8(), "20MB": mails.big()}


@pytest.fixture(scope="module")
def to_maildir(module_folder, server_certificate):
    port = process.free_port()
    config = relais.receive("In", f"127.0.0.1:{port}", certificate=server_certificate[0], key=server_certificate[1])
    config += relais.send("Local", maildir=f"{module_folder}/mail/%d/%u")
    with relais.Relais(f"{module_folder}/relais", config, [port]) as node:
        node.mail = f"{module_folder}/mail"
        yield node


def one_mail(folder):
    path = process.wait_for(f"a mail in {folder}", lambda: dovecot.maildir(folder), 30)[0]
    with open(path, "rb") as f:
        return f.read()


@pytest.mark.parametrize("kind", MAILS)
@pytest.mark.parametrize("client", clients.ALL)
def test_maildir_has_what_was_sent(to_maildir, client, kind):
    # swaks and msmtp cannot say SMTPUTF8, so their UTF-8 is in the header alone.
    sender = "gr\u00fc\u00df@sender.test" if kind == "utf8" and client in ("curl", "python") else "a@sender.test"
    clients.ALL[client](to_maildir.ports[0], MAILS[kind], sender, f"{client}-{kind}@example.com".lower(),
                        tls=kind == "tls")
    found = one_mail(os.path.join(to_maildir.mail, "example.com", f"{client}-{kind}".lower()))
    assert found.startswith(f"Return-Path: <{sender}>\r\nReceived: from ".encode()), found[:200]
    mails.check_same(found, MAILS[kind])
    assert (b"TLSv1.3" in found[:1000] or b"TLS1_3" in found[:1000]) == (kind == "tls"), found[:600]


@needs_root
@pytest.mark.parametrize("kind", MAILS)
@pytest.mark.parametrize("client", ["swaks", "curl", "msmtp", "python"])
def test_through_postfix(through_postfix, client, kind):
    node, mailbox = through_postfix
    clients.ALL[client](node.ports[0], MAILS[kind], "a@sender.test", "b@example.com", tls=kind == "tls")
    found = one_mail(mailbox)
    os.unlink(dovecot.maildir(mailbox)[0])
    mails.check_same(found, MAILS[kind])


@pytest.fixture(scope="module")
def through_postfix(module_folder, server_certificate):
    port, postfix_port = process.free_port(), process.free_port()
    mailbox = f"{module_folder}/boxes"
    os.makedirs(mailbox)
    os.chmod(mailbox, 0o777)
    smart_host = postfix.Postfix(f"{module_folder}/postfix", postfix_port,
                                 virtual_mailbox_domains="example.com", virtual_mailbox_base=mailbox,
                                 virtual_mailbox_maps="static:box/", virtual_uid_maps="static:65534",
                                 virtual_gid_maps="static:65534", virtual_minimum_uid="1",
                                 smtpd_tls_cert_file=server_certificate[0], smtpd_tls_key_file=server_certificate[1],
                                 smtpd_tls_security_level="may")
    config = relais.receive("In", f"127.0.0.1:{port}", certificate=server_certificate[0], key=server_certificate[1])
    config += relais.send("Postfix", smart_hosts=[f"[127.0.0.1]:{postfix_port}"])
    with smart_host, relais.Relais(f"{module_folder}/to-postfix", config, [port]) as node:
        yield node, f"{mailbox}/box"


@pytest.fixture(scope="module")
def through_dovecot(module_folder, server_certificate):
    port = process.free_port()
    with dovecot.Dovecot(f"{module_folder}/dovecot") as server:
        config = relais.receive("In", f"127.0.0.1:{port}", certificate=server_certificate[0], key=server_certificate[1])
        config += relais.send("Dovecot", spaces=["example.com"], lmtp=f"unix:{server.socket}")
        config += relais.send("Dovecot by TCP", spaces=["example.net"], lmtp=f"[127.0.0.1]:{server.port}")
        with relais.Relais(f"{module_folder}/to-dovecot", config, [port]) as node:
            yield node, server


@needs_root
@pytest.mark.parametrize("kind", MAILS)
@pytest.mark.parametrize("domain", ["example.com", "example.net"])
def test_to_dovecot(through_dovecot, domain, kind):
    node, server = through_dovecot
    # By LMTP each recipient gets an answer, and a mail, of its own.
    user = f"{kind}@{domain}".lower()
    clients.python(node.ports[0], MAILS[kind], "a@sender.test", user, tls=kind == "tls")
    found = one_mail(os.path.join(server.folder, "mail", user))
    mails.check_same(found, MAILS[kind])
