"""share/examples: each is without a mistake or warning, and does what its comments say (PR-1 to PR-3, SC-3).

They run here as they are, but for their addresses, ports and files: 192.168.x.y is 127.89.x.y, `*` is 127.89.0.1, and
each smart host is a sink of its own."""
import glob
import json
import os
import re
import smtplib
import ssl
import subprocess

import pytest

from tests.kit import certificate, mails, process, relais, sink
from tests.kit.talk import Talk

FOLDER = os.path.join(process.TOP, "share", "examples")
NAMES = sorted(os.path.basename(path) for path in glob.glob(os.path.join(FOLDER, "*.conf")))
HOST = "127.89.0.1"
RELAY_REFUSED = "550 5.7.54 SMTP; Unable to relay recipient in non-accepted domain"
# Each example names itself.
BASE = "\n".join(line for line in relais.BASE.split("\n") if not line.startswith("fqdn"))
PASSWORD = "Zq7-geheim"


@pytest.fixture(scope="module")
def known(module_folder):
    """A certificate that is for the names of all of them."""
    return certificate.Authority(module_folder).sign(
        "mail.example.com", *(f"DNS:{name}" for name in ("mail.example.com", "relay.example.com",
                                                         "relay.provider.example")), days=300)


def text_of(name, known):
    with open(os.path.join(FOLDER, name)) as file:
        text = file.read()
    return text.replace("/etc/relais/mail.pem", known[0]).replace("/etc/relais/mail.key", known[1])


class Example:
    """One of them on loopback.  SINKS are its smart hosts, by their names; PORTS what its ports are here."""

    def __init__(self, folder, name, known, tls, sinks=None, host=HOST):
        self.tls, self.host = tls, host
        self.sinks = {} if sinks is None else sinks
        self.ports = {}
        text = text_of(name, known).replace("192.168.", "127.89.").replace("mx = yes", 'smart_hosts = { "[mx.test]:25" }')
        text = re.sub(r"^    (user|password) = .*\n", "", text, flags=re.M)  # a sink takes everybody
        text = text.replace("tls = verify", "tls = encrypt")
        text = re.sub(r"(bindings = \{)(.*?)\}", self._bind, text)
        text = re.sub(r'"\[([\w.-]+)\]:\d+"', lambda m: f'"[127.0.0.1]:{self._sink(m[1])}"', text)
        text = re.sub(r'"\[([\w.-]+)\]" \{ port = \d+', lambda m: f'"[127.0.0.1]" {{ port = {self._sink(m[1])}', text)
        self.node = relais.Relais(os.path.join(folder, name), text, self.ports.values(), base=BASE)

    def _bind(self, match):
        listens = []
        for address, port in re.findall(r'"(\S+):(\d+)"', match[2]):
            self.ports.setdefault(int(port), process.free_port(HOST))
            listens.append(f'"{self.host if address == "*" else address}:{self.ports[int(port)]}"')
        return f"{match[1]} {', '.join(listens)} }}"

    def _sink(self, name):
        if name not in self.sinks:
            self.sinks[name] = sink.Sink(tls=self.tls)
        return self.sinks[name].port

    def talk(self, port, source=None, host=None):
        return Talk(self.ports[port], host=host or self.host, source=source)

    def wait_mail(self, name, sender, recipient):
        process.wait_for(f"a mail of {sender} at {name}", lambda: any(
            (m.sender, m.recipients) == (sender, [recipient]) for m in self.sinks[name].mails))

    def login(self, port, user, source=None):
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        source = (source, 0) if source else None
        if port == 465:
            client = smtplib.SMTP_SSL(self.host, self.ports[465], "client.test", context=context, source_address=source)
        else:
            client = smtplib.SMTP(self.host, self.ports[port], "client.test", source_address=source)
            client.starttls(context=context)
        client.login(user, PASSWORD)
        return client

    def add_user(self, name, *addresses):
        addresses = [a for address in addresses for a in ("--address", address)]
        subprocess.run([process.RELAIS, "-c", self.node.file, "user", "add", *addresses, name], input=PASSWORD + "\n",
                       text=True, check=True, stdout=subprocess.PIPE)


@pytest.fixture
def example(request, folder, known, server_certificate):
    request.module._nodes = nodes = []
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tls.load_cert_chain(*server_certificate)
    made = []

    def make(name, **more):
        one = Example(folder, name, known, tls, **more)
        made.append(one)
        nodes.append(one.node)
        return one

    yield make
    for one in made:
        if one.node.process and one.node.process.poll() is None:
            one.node.stop()
    for target in {id(t): t for one in made for t in one.sinks.values()}.values():
        target.stop()


@pytest.mark.parametrize("name", NAMES)
def test_each_is_without_a_warning(folder, known, name):
    file = os.path.join(folder, name)
    with open(file, "w") as out:
        out.write(text_of(name, known))
    done = subprocess.run([process.RELAIS, "-c", file, "check"], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    assert done.returncode == 0 and done.stdout == f"{file}: ok\n", done.stdout


def test_what_stands_in_pages_is_without_a_warning(folder):
    """The configurations in README.md and docs/coming-from.md."""
    blocks = []
    for name in ("README.md", "docs/coming-from.md"):
        with open(os.path.join(process.TOP, name)) as page:
            blocks += re.findall(r"^```relais\n(.*?)^```", page.read(), re.S | re.M)
    assert len(blocks) == 4
    with open(os.path.join(folder, "aliases"), "w") as aliases:
        aliases.write("ops@example.com: anna@example.com\nalerts@example.com: ops@sms.example.net\n")
    file = os.path.join(folder, "relais.conf")
    for block in blocks:
        with open(file, "w") as out:
            out.write(block + ("" if "send_connector" in block else relais.send("Out", mx=True)))
        done = subprocess.run([process.RELAIS, "-c", file, "check"], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        assert done.stdout == f"{file}: ok\n", done.stdout + block


def test_satellite(example):
    one = example("satellite.conf")
    with one.node:
        for host in ("127.0.0.1", "::1"):
            with one.talk(25, host=host) as program:
                assert program.send(mails.PLAIN, "root@ca01.example.com", ["ops@example.com"]).startswith("250 2.")
        with one.talk(25, host="127.0.0.1") as program:
            assert program.send(mails.PLAIN, "root@ca01.example.com", ["4711@pager.example.net"]).startswith("250 2.")
        one.wait_mail("sms.example.net", "root+ca01@example.com", "4711@pager.example.net")
        process.wait_for("both mails", lambda: len(one.sinks["mail1.example.com"].mails) +
                         len(one.sinks["mail2.example.com"].mails) == 2)
        assert all(m.is_tls for m in one.sinks["sms.example.net"].mails)


def test_devices(example):
    one = example("devices.conf")
    with one.node:
        with one.talk(25, "127.89.1.20") as scanner:
            assert scanner.send(mails.PLAIN, "scan@device.test", ["b@elsewhere.test"]) == RELAY_REFUSED
            scanner.say("RSET")
            assert scanner.send(mails.PLAIN, "scan@device.test", ["anna@example.com"]).startswith("250 2.")
        with one.talk(25, "127.89.7.10") as storage:
            assert storage.send(mails.PLAIN, "box@device.test", ["b@elsewhere.test"]).startswith("550 5.7.1 ")
            assert storage.send(mails.PLAIN, "box@example.com", ["b@elsewhere.test"]).startswith("250 2.")
        with one.talk(25, "127.89.3.7") as printer:
            assert printer.say("HELO old_printer").startswith("250")
            assert printer.say("MAIL FROM: <printer@localhost>").startswith("250")
            assert printer.say("RCPT TO:anna@example.com").startswith("250")
            assert printer.say("DATA").startswith("354")
            printer.raw(b"Subject: page\n\nhere\r\n.\r\n")
            assert printer.reply().startswith("250 2.")
        one.wait_mail("mx.test", "box@example.com", "b@elsewhere.test")
        inside = [one.sinks[f"exchange{i}.example.com"] for i in (1, 2)]
        process.wait_for("both mails inside", lambda: sorted(m.sender for s in inside for m in s.mails) ==
                         ["printer@example.com", "scan@device.test"])
        needs = {d["address"]: d.get("needs") for d in map(
            json.loads, one.node.tool("devices", "--odd", "--json").stdout.splitlines())}
        assert set(needs) == {"127.89.3.7"} and {"bad-helo", "bare-lf"} <= set(needs["127.89.3.7"])
        said = one.node.tool("explain", "--from-ip", "127.89.7.10", "--to", f"{HOST}:{one.ports[25]}", "--mail",
                             "box@example.com", "--rcpt", "b@elsewhere.test").stdout
        assert "Storage" in said and "Outside" in said, said


def test_submission(example):
    one = example("submission.conf")
    one.add_user("anna", "anna@example.com")
    one.add_user("webshop", "shop@example.com")
    with one.node:
        for port in (587, 465):
            with one.login(port, "anna") as client:
                client.sendmail("anna@example.com", [f"b{port}@elsewhere.test"], mails.PLAIN)
                with pytest.raises(smtplib.SMTPSenderRefused) as refused:
                    client.sendmail("ceo@example.com", ["b@elsewhere.test"], mails.PLAIN)
                assert refused.value.smtp_code == 550 and refused.value.smtp_error.startswith(b"5.7.60 ")
            one.wait_mail("mx.test", "anna@example.com", f"b{port}@elsewhere.test")
        with one.login(587, "webshop", source="127.89.20.5") as client:
            client.sendmail("no-reply@example.com", ["c@elsewhere.test"], mails.PLAIN)
        one.wait_mail("mx.test", "no-reply@example.com", "c@elsewhere.test")
        with one.talk(587) as stranger:
            assert stranger.say("MAIL FROM:<a@example.com>").startswith("530 5.7.0")


def test_tenants(example):
    one = example("tenants.conf")
    one.add_user("a", "@tenant-a.example")
    one.add_user("b", "@tenant-b.example")
    with one.node:
        for tenant, host in (("a", "smtp.provider-a.example"), ("b", "smtp1.provider-b.example")):
            with one.login(587, tenant) as client:
                client.sendmail(f"x@tenant-{tenant}.example", ["c@elsewhere.test"], mails.PLAIN)
            one.wait_mail(host, f"x@tenant-{tenant}.example", "c@elsewhere.test")
        for host, stops in (("smtp.plant.example", False), ("smtp.provider.example", True)):
            if stops:  # its own smart host is gone: by the next one
                one.sinks.pop("smtp.plant.example").stop()
            with one.talk(25, "127.89.40.7") as machine:
                assert machine.send(mails.PLAIN, f"{host}@plant.example", ["c@elsewhere.test"]).startswith("250 2.")
            one.wait_mail(host, f"{host}@plant.example", "c@elsewhere.test")


def test_pair(example):
    first = example("pair-ex01.conf")
    second = example("pair-ex02.conf", sinks=first.sinks, host="127.89.0.2")
    lines = [one.node.tool("cluster", "init").stdout.strip().splitlines()[-1].split() for one in (first, second)]
    for one, line in ((first, lines[1]), (second, lines[0])):
        assert line[:3] == ["relais", "cluster", "join"]
        one.node.tool(*line[1:])
        assert one.node.tool("check").stderr == ""
    with first.node, second.node:
        for one in (first, second):
            process.wait_for("both to see one another", lambda: one.node.tool("shadow", "status").stdout.startswith(
                "redundant: every message is on two nodes"))
            with one.talk(25, "127.89.10.20") as client:
                assert client.send(mails.PLAIN, f"a@{one.host}.test", ["anna@example.com"]).startswith("250 2.")
            with one.talk(25, "127.89.20.5") as client:
                assert client.send(mails.PLAIN, f"order@{one.host}.test", ["b@elsewhere.test"]).startswith("250 2.")
            one.wait_mail("exchange.example.com", f"a@{one.host}.test", "anna@example.com")
            one.wait_mail("mx.test", f"order@{one.host}.test", "b@elsewhere.test")
            assert "ha_redirect " in one.node.log(), "it was on the other node before it was answered for"
