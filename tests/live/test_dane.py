"""DANE (RFC 7672): zones that a real name server serves and DNSSEC secures, or not."""
import hashlib
import ssl
import subprocess

import pytest

from tests.kit import certificate, mails, process, relais, sink
from tests.kit.nsd import Nsd
from tests.kit.talk import Talk

HERE, RELAY = "127.84.2.2", "127.84.2.3"


@pytest.fixture(scope="module")
def authority(module_folder):
    return certificate.Authority(module_folder)


def server_context(pair):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*pair)
    return context


def tlsa(file, usage=3):
    """The data of a TLSA record about a certificate's key: SHA-256."""
    key = subprocess.run(["openssl", "x509", "-in", file, "-noout", "-pubkey"], check=True, stdout=subprocess.PIPE)
    der = subprocess.run(["openssl", "pkey", "-pubin", "-outform", "DER"], input=key.stdout, check=True,
                         stdout=subprocess.PIPE)
    return f"{usage} 1 1 {hashlib.sha256(der.stdout).hexdigest()}"


class Scene:
    """A receiver for a domain with these records, and a relay that has one mail for it."""

    def __init__(self, start, folder, records, level="dane", pair=None, begins_otherwise=False, **zone):
        self.sink = sink.Sink(HERE, tls=server_context(pair) if pair else None)
        self.names = Nsd(folder)
        self.names.zone("mail.example", [f"mx IN A {HERE}", f"other IN A {HERE}", "alias IN CNAME mx",
                                         *(record.format(port=self.sink.port) for record in records)], **zone)
        self.names.start()
        port = process.free_port()
        dns = relais.block("dns", None, servers=[self.names.server], trust_anchor=self.anchors(folder), timeout="5s")
        receive = relais.receive("In", f"{RELAY}:{port}")
        config = dns + receive + relais.send("Out", mx=True, mx_port=self.sink.port, tls=level)
        if begins_otherwise:
            self.node = start(receive + relais.send("Out", mx=True), port)
            self.node.configure(config)
            self.node.reload()
            self.node.wait_log(" reloaded ")
        else:
            self.node = start(config, port)
        with Talk(port, RELAY) as talk:
            assert talk.send(mails.PLAIN, recipients=["b@mail.example"]).startswith("250")

    def anchors(self, folder):
        """Of a zone that is not signed there is none; a resolver must have one to validate at all."""
        other = Nsd(f"{folder}/other")
        other.zone("elsewhere.example", [])
        with open(other.anchors, "a") as to, open(self.names.anchors) as f:
            to.write(f.read())
        return other.anchors

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.names.stop()
        self.sink.stop()

    def check_delivered(self, level, outcome):
        process.wait_for("the mail", lambda: self.sink.mails)
        assert self.sink.mails[0].is_tls
        self.node.wait_log(f'tls="{level} TLSv1.3 TLS_[A-Z0-9_]+ {outcome}".*status=sent')
        self.node.wait_empty()

    def check_waits(self, why):
        self.node.wait_log("hop_down .*" + why)
        assert not self.sink.mails and self.node.queued() == 1
        assert not any(line.upper().startswith(b"MAIL") for line in self.sink.commands)


MX = "@ IN MX 10 mx"


def test_a_matching_record(start, folder, authority):
    pair = authority.sign("whoever.test")  # of usage 3 the name does not matter
    with Scene(start, folder, [MX, f"_{{port}}._tcp.mx IN TLSA {tlsa(pair[0])}"], pair=pair) as scene:
        scene.check_delivered("dane", "verified")


def test_a_reload_brings_dnssec(start, folder, authority):
    """DANE and other name servers, while it runs."""
    pair = authority.sign("whoever.test")
    with Scene(start, folder, [MX, f"_{{port}}._tcp.mx IN TLSA {tlsa(pair[0])}"], pair=pair, level="dane-only",
               begins_otherwise=True) as scene:
        scene.check_delivered("dane-only", "verified")


def test_a_record_that_does_not_match(start, folder, authority):
    record = tlsa(authority.sign("mx.mail.example")[0])
    with Scene(start, folder, [MX, f"_{{port}}._tcp.mx IN TLSA {record}"],
               pair=authority.sign("mx.mail.example")) as scene:
        scene.check_waits("4.7.5 TLS handshake failed .level dane.: certificate verify failed")
        assert "TLS handshake failed" in scene.node.tool("queues").stdout + scene.node.tool("queue").stdout


def test_a_record_and_no_starttls(start, folder, authority):
    """Whoever strips STARTTLS gets nothing."""
    with Scene(start, folder, [MX, f"_{{port}}._tcp.mx IN TLSA {tlsa(authority.file)}"]) as scene:
        scene.check_waits("4.7.4 TLS is required")


@pytest.mark.parametrize("name, is_good", [("mx.mail.example", True), ("mail.example", True), ("evil.example", False)])
def test_an_authority_of_their_own(start, folder, authority, name, is_good):
    """Usage 2: the chain ends there, and the name is the host's or the domain's."""
    pair = authority.sign(name)
    with Scene(start, folder, [MX, f"_{{port}}._tcp.mx IN TLSA {tlsa(authority.file, usage=2)}"], pair=pair) as scene:
        if is_good:
            scene.check_delivered("dane", "verified")
        else:
            scene.check_waits("4.7.5 .*ostname mismatch")


def test_an_alias(start, folder, authority):
    pair = authority.sign("mx.mail.example")
    with Scene(start, folder, ["@ IN MX 10 alias", f"_{{port}}._tcp.mx IN TLSA {tlsa(pair[0])}"], pair=pair,
               level="dane-only") as scene:
        scene.check_delivered("dane-only", "verified")


def test_records_at_the_alias_itself(start, folder, authority):
    pair = authority.sign("mx.mail.example")
    with Scene(start, folder, ["@ IN MX 10 alias", f"_{{port}}._tcp.alias IN TLSA {tlsa(pair[0])}"], pair=pair,
               level="dane-only") as scene:
        scene.check_delivered("dane-only", "verified")


def test_a_domain_without_mx(start, folder, authority):
    pair = authority.sign("mail.example")
    with Scene(start, folder, [f"@ IN A {HERE}", f"_{{port}}._tcp IN TLSA {tlsa(pair[0])}"], pair=pair,
               level="dane-only") as scene:
        scene.check_delivered("dane-only", "verified")


def test_an_unsigned_zone_is_as_may(start, folder, authority):
    """With a record that would not match, which nobody vouches for."""
    with Scene(start, folder, [MX, f"_{{port}}._tcp.mx IN TLSA {tlsa(authority.file)}"],
               pair=authority.sign("mx.mail.example"), signed=False) as scene:
        scene.check_delivered("dane", "not-verified")


def test_dane_only_in_an_unsigned_zone(start, folder, authority):
    pair = authority.sign("mx.mail.example")
    with Scene(start, folder, [MX, f"_{{port}}._tcp.mx IN TLSA {tlsa(pair[0])}"], pair=pair, level="dane-only",
               signed=False) as scene:
        scene.check_waits("4.7.5 TLS level dane-only is not to be had with mx.mail.example: DNSSEC does not secure the MX")


@pytest.mark.parametrize("level", ["dane", "dane-only"])
def test_a_signed_zone_without_records(start, folder, authority, level):
    with Scene(start, folder, [MX], pair=authority.sign("mx.mail.example"), level=level) as scene:
        if level == "dane":
            scene.check_delivered("dane", "not-verified")
        else:
            scene.check_waits("4.7.5 .*there are no TLSA records")


@pytest.mark.parametrize("offers_tls", [True, False])
def test_records_that_nobody_can_use(start, folder, authority, offers_tls):
    """TLS, whoever it is; never in clear."""
    pair = authority.sign("mx.mail.example")
    with Scene(start, folder, [MX, f"_{{port}}._tcp.mx IN TLSA {tlsa(pair[0], usage=1)}"],
               pair=pair if offers_tls else None) as scene:
        if offers_tls:
            scene.check_delivered("dane", "not-verified")
        else:
            scene.check_waits("4.7.4 TLS is required")


def test_a_forged_zone(start, folder, authority):
    """Signed, but not by the key one knows: nothing is sent."""
    pair = authority.sign("mx.mail.example")
    with Scene(start, folder, [MX, f"_{{port}}._tcp.mx IN TLSA {tlsa(pair[0])}"], pair=pair, forged=True) as scene:
        scene.check_waits("451 4.4.3 MX lookup of mail.example failed")
