"""FE-5, PE-9: behind a balancer the client is whom its PROXY header names, for everything; and nobody else may say so.

HAProxy takes connections at 127.63.1.1 and hands them on; clients come from 127.63.2.0/24.  Some cases say the header
by hand, from the balancer's address."""
import json
import re
import socket
import ssl
import struct
import subprocess
import time

import pytest

from tests.kit import haproxy, process, relais, sink
from tests.kit.talk import Talk

HOST, BALANCER, STRANGER = "127.63.0.1", "127.63.1.1", "127.63.9.9"
OFFICE, OTHER, STORAGE = "127.63.2.7", "127.63.2.8", "127.63.2.30"
ALL = ["submit", "any-sender", "own-domain-sender"]
SIGNATURE = b"\r\n\r\n\0\r\nQUIT\n"
MAIL = b"Subject: through\r\n\r\na balancer\r\n"


def talk(port, source, host=BALANCER, **more):
    more.setdefault("hello", False)
    return Talk(port, host=host, source=source, **more)


def v1(client, port=4711):
    return f"PROXY TCP4 {client} 127.63.1.1 {port} 25\r\n".encode()


def v2(body, command=0x21, family=0x11):
    return SIGNATURE + bytes([command, family]) + struct.pack(">H", len(body)) + body


def v2_of(client):
    return v2(socket.inet_aton(client) + socket.inet_aton(BALANCER) + struct.pack(">HH", 4711, 25))


def listener(port, **options):
    options.setdefault("proxy_from", [BALANCER])
    return relais.block("listener", f"{HOST}:{port}", **options)


class Setup:
    """A relay with four ways in, HAProxy in front of three of them."""

    def __init__(self, folder, certificate, target):
        self.required, self.listed, self.optional, self.tls = (process.free_port(HOST) for _ in range(4))
        everywhere = [f"{HOST}:{port}" for port in (self.required, self.listed, self.optional)]
        tls = dict(zip(["certificate", "key"], certificate))
        config = (
            relais.domain("example.com") +
            relais.receive("Office", *everywhere, ranges=["127.63.2.0/24"], allow=ALL, banner="%{connector}",
                           connections_per_source=2, **tls) +
            relais.receive("Storage", *everywhere, ranges=[STORAGE, "2001:db8::/32"], banner="%{connector}") +
            relais.receive("Implicit", f"{HOST}:{self.tls}", ranges=["127.63.2.0/24"], banner="%{connector}", tls="implicit",
                           **tls) +
            relais.receive("Checks", *everywhere, ranges=[BALANCER], allow=[], banner="%{connector}") +
            listener(self.required, proxy="required", proxy_timeout="700ms") +
            listener(self.listed, proxy_timeout="700ms") +
            listener(self.optional, proxy="optional") +
            listener(self.tls, proxy="required") +
            relais.send("Out", smart_hosts=[f"[127.0.0.1]:{target.port}"], tls="none"))
        self.node = relais.Relais(folder + "/relais", config, [self.required, self.listed, self.optional, self.tls])
        self.proxy = haproxy.HAProxy(folder, BALANCER)
        self.v1 = self.proxy.listen("v1", f"{HOST}:{self.required} send-proxy")
        self.v2 = self.proxy.listen(
            "v2", f"{HOST}:{self.required} send-proxy-v2 proxy-v2-options crc32c,unique-id,authority",
            "unique-id-format %{+X}o\\ %ci:%cp")
        self.over_tls = self.proxy.listen("tls", f"{HOST}:{self.tls} send-proxy-v2")
        self.without = self.proxy.listen("without", f"{HOST}:{self.required}")
        self.target = target


@pytest.fixture(scope="module")
def setup(request, module_folder, server_certificate):
    with sink.Sink() as target:
        made = Setup(module_folder, server_certificate, target)
        request.module._nodes = [made.node]
        with made.node, made.proxy:
            yield made


def lines(node, event, text="", **fields):
    """Lines of the log with that event, these fields, and TEXT."""
    found = re.findall(rf"^.*\]: (?:warning: )?{event} .*$", node.log(), re.M)
    return [line for line in found if text in line and all(f"{name}={value}" in line for name, value in fields.items())]


def told(node, event, text="", **fields):
    """The same, once there is one: the log is written a little after the reply."""
    return process.wait_for(f"{event} {text} {fields} in the log", lambda: lines(node, event, text, **fields))


@pytest.mark.parametrize("way", ["v1", "v2"])
def test_the_connector_is_the_clients(setup, way):
    port = getattr(setup, way)
    for source, connector in [(OFFICE, "Office"), (STORAGE, "Storage"), (OTHER, "Office")]:
        with talk(port, source) as client:
            assert client.banner == f"220 {connector}"
            name = "{}:{}".format(*client.socket.getsockname())
        line = setup.node.wait_log(f"connect session=.* client={re.escape(name)} .*")[0]
        assert f"connector={connector} " in line and f" via={BALANCER}:" in line, line
        assert f" to={BALANCER}:{port}" in line, line
    with talk(port, STRANGER) as client:
        assert client.banner == "554 5.7.1 No service for your address here"
    assert told(setup.node, "no_connector", client=STRANGER)


@pytest.mark.parametrize("way", ["v1", "v2"])
def test_a_message_is_the_clients(setup, way):
    """Received, the log, the tracking log and the table of devices name the client."""
    node, before = setup.node, len(setup.target.mails)
    with talk(getattr(setup, way), OFFICE, hello=True) as client:
        reply = client.send(MAIL, recipients=["b@example.com"])
    assert reply.startswith("250 2.0.0"), reply
    process.wait_for("the message", lambda: len(setup.target.mails) > before)
    content = re.sub(rb"\r\n[ \t]+", b" ", setup.target.mails[-1].content)
    received = re.search(rb"(?m)^Received: (.*)$", content)[1].decode()
    assert f"[{OFFICE}]" in received and BALANCER not in received, received
    assert told(node, "received", connector="Office", client=OFFICE)
    rows = [json.loads(line) for line in node.tool("--json", "devices").stdout.splitlines()]
    assert [row for row in rows if row["address"] == OFFICE] and not [row for row in rows if row["address"] == BALANCER]
    said = [line for line in node.log_of("protocol").splitlines() if f"PROXY via {BALANCER}:" in line]
    assert said and f"{OFFICE}:" in said[-1]


@pytest.mark.parametrize("way", ["v1", "v2"])
def test_limits_are_the_clients(setup, way):
    """One client at his limit does not keep out another one through the same balancer."""
    port = getattr(setup, way)
    process.wait_for("those of before to be gone", lambda: setup.node.status()["sessions"] == 0)
    with talk(port, OFFICE) as one, talk(port, OFFICE) as two:
        assert one.banner == two.banner == "220 Office"
        with talk(port, OFFICE) as third:
            assert third.banner.startswith("421 4.7.0 Too many connections from your address"), third.banner
        with talk(port, OTHER) as other, talk(port, STORAGE) as storage:
            assert (other.banner, storage.banner) == ("220 Office", "220 Storage")
    refused = told(setup.node, "reject", client=OFFICE, rule="connections-per-source")
    assert f" via={BALANCER}:" in refused[-1]
    process.wait_for("room again", lambda: talk(port, OFFICE).banner == "220 Office")


def test_rates_are_the_clients(start, folder):
    port = process.free_port(HOST)
    node = start(relais.domain("example.com") +
                 relais.receive("In", f"{HOST}:{port}", ranges=["127.63.2.0/24"], messages_per_minute=1) +
                 listener(port) + relais.send("Out", smart_hosts=["[127.0.0.1]:9"]), port)
    with haproxy.HAProxy(folder, BALANCER) as balancer:
        balancer.stop()
        way = balancer.listen("way", f"{HOST}:{port} send-proxy-v2")
        balancer.start()
        process.wait_minute()
        for source in (OFFICE, OTHER):
            with talk(way, source, hello=True) as client:
                assert client.send(MAIL).startswith("250")
                assert client.send(MAIL).startswith("450 4.7.1 Message submission rate")
        assert node.queued() == 2


def test_one_network_of_ipv6_is_one_source(start):
    """A host has 2^64 addresses, and one place in the limits; also when the size changes while it is connected."""
    port = process.free_port(HOST)
    config = (relais.domain("example.com") + relais.send("Out", smart_hosts=["[127.0.0.1]:9"]) + listener(port) +
              relais.receive("In", f"{HOST}:{port}", ranges=["2001:db8::/32"], messages_per_minute=1, connections_per_source=1))
    node = start(config, port)

    def of(client, hello=False):
        return Talk(port, host=HOST, source=BALANCER, hello=hello, first=f"PROXY TCP6 {client} 2001:db8::1 4711 25\r\n".encode())

    def once_there_is_room(client):
        """The daemon counts one that hung up until it has heard of that."""
        def attempt():
            talk = of(client)
            if talk.banner.startswith("220 "):
                talk.say("EHLO client.test")
                return talk
            talk.close()
            return None
        return process.wait_for("room again", attempt)

    process.wait_minute()
    with of("2001:db8:1:2::7", hello=True) as one:
        assert one.send(MAIL).startswith("250")
        with of("2001:db8:1:2:ffff::8") as same, of("2001:db8:1:3::7") as other:
            assert same.banner.startswith("421 4.7.0 Too many connections"), same.banner
            assert other.banner.startswith("220 "), other.banner
        node.configure("limits { ipv6_prefix = 128 }\n" + config)
        node.tool("reload")
        with of("2001:db8:1:2:ffff::8") as same:
            assert same.banner.startswith("220 "), same.banner
        node.configure(config)
        node.tool("reload")
        with of("2001:db8:1:2:ffff::8") as same:
            assert same.banner.startswith("421 4.7.0 Too many connections"), same.banner
    with once_there_is_room("2001:db8:1:2::9"), of("2001:db8:1:3::9", hello=True) as other:
        assert other.send(MAIL).startswith("250")
    with once_there_is_room("2001:db8:1:2::a") as again:
        assert again.send(MAIL).startswith("450 4.7.1 Message submission rate")


def test_starttls_and_implicit_tls(setup):
    context = ssl._create_unverified_context()
    with talk(setup.v2, OFFICE, hello=True) as client:
        assert "STARTTLS" in client.extensions
        assert client.say("STARTTLS").startswith("220")
        client.socket = context.wrap_socket(client.socket)
        client.file = client.socket.makefile("rb")
        client.say("EHLO client.test")
        assert client.send(MAIL).startswith("250")
    with socket.create_connection((BALANCER, setup.over_tls), 20, (OFFICE, 0)) as plain:
        with context.wrap_socket(plain) as s:
            file = s.makefile("rb")
            assert file.readline() == b"220 Implicit\r\n"
            s.sendall(b"QUIT\r\n")
            assert file.readline().startswith(b"221")
    # Header and ClientHello in one piece: what stands behind the header is the handshake's.
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    tls = context.wrap_bio(incoming, outgoing)
    with pytest.raises(ssl.SSLWantReadError):
        tls.do_handshake()
    with socket.create_connection((HOST, setup.tls), 20, (BALANCER, 0)) as s:
        s.sendall(v2_of(OFFICE) + outgoing.read())
        assert s.recv(1) == b"\x16"  # a record of a handshake


REFUSED = "554 5.7.1 Connections come through a balancer here [proxy-required@{}:{}]"
BAD = "421 4.7.0 No PROXY header that can be understood [proxy-header@{}:{}]"


def test_who_is_not_listed(setup):
    for first in (b"", v1(OFFICE), v2_of(OFFICE)):
        with talk(setup.required, OFFICE, host=HOST, first=first) as client:
            assert client.banner == REFUSED.format(HOST, setup.required)
            assert client.reply() == ""
    line = told(setup.node, "reject", client=OFFICE, rule="proxy-required")[-1]
    assert f"{OFFICE} is not in proxy_from of listener" in line
    # Where it is not required he is a client like others, as long as he does not say that he is somebody else.
    with talk(setup.listed, OFFICE, host=HOST) as client:
        assert client.banner == "220 Office"
        assert client.say("EHLO client.test").startswith("250")
    for first in (v1(STORAGE), v2_of(STORAGE)):
        with talk(setup.listed, OFFICE, host=HOST) as client:
            client.raw(first[:30])
            client.raw(first[30:])
            assert client.reply() == "554 5.7.1 No PROXY header is taken from your address [proxy-unlisted@Office]"
            assert client.reply() == ""
        assert told(setup.node, "reject", client=OFFICE, rule="proxy-unlisted", stage="CONNECT")
    # Nor through a balancer: the client's own header stands behind the balancer's.
    with talk(setup.v1, OFFICE, first=v1(STORAGE)) as client:
        assert client.banner == "220 Office"
        assert client.reply().startswith("554 5.7.1 No PROXY header")


@pytest.mark.parametrize("header, why", [
    (b"EHLO client.test\r\n", "no PROXY header"),
    (b"\x16\x03\x01\x02\x00\x01", "no PROXY header"),
    (b"PROXY TCP9 1.2.3.4 1.2.3.4 1 2\r\n", "a family of addresses that is not known"),
    (b"PROXY TCP4 1.2.3.400 1.2.3.4 1 2\r\n", "addresses or ports that are none"),
    (b"PROXY TCP4 127.63.2.7 127.63.1.1 1 2\n", "does not end with CRLF"),
    (b"PROXY UNKNOWN " + b"x" * 200 + b"\r\n", "that is too long"),
    (v2(b"\1\2\3"), "too short for its addresses"),
    (v2(b"\1\2\3\4\5\6\7\10\0\1\0\2\3\0\4\0\0\0\0"), "a checksum that is wrong"),
    (v2(b"x" * 12, family=0x12), "no TCP connection"),
    (SIGNATURE + b"\x21\x11\xff\xff", "that is too long"),
    (SIGNATURE + b"\x31\x11\0\0", "a version that is not known"),
], ids=lambda value: value.replace(" ", "-") if isinstance(value, str) else "")
def test_bad_headers(setup, header, why):
    with talk(setup.required, BALANCER, host=HOST, first=header) as client:
        assert client.banner == BAD.format(HOST, setup.required)
        assert client.reply() == ""
    assert told(setup.node, "reject", why, client=BALANCER, rule="proxy-header")


@pytest.mark.parametrize("part, why", [
    (b"", "no PROXY header in time"), (b"PROXY TCP4 127.63", "does not end in time"), (v2_of(OFFICE)[:20], "does not end in time"),
])
def test_slow_headers(setup, part, why):
    began = time.monotonic()
    with talk(setup.required, BALANCER, host=HOST, first=part) as client:
        assert client.banner == BAD.format(HOST, setup.required)
    assert 0.6 < time.monotonic() - began < 10 * process.SLOWER
    assert told(setup.node, "reject", why, client=BALANCER)


def test_a_balancer_that_sends_none(setup):
    with talk(setup.without, OFFICE) as client:
        assert client.banner == BAD.format(HOST, setup.required)


def test_in_pieces(setup):
    """Each byte by itself, and the client's first command behind the header."""
    for header in (v1(STORAGE), v2_of(STORAGE)):
        with socket.create_connection((HOST, setup.optional), 20, (BALANCER, 0)) as s:
            s.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            for byte in header:
                s.sendall(bytes([byte]))
            s.sendall(b"QUIT\r\n")
            assert s.makefile("rb").read().startswith(b"220 Storage\r\n221 ")


def test_other_families(setup):
    """A client of IPv6 behind a balancer of IPv4; IPv4 as IPv6; one without an address: the balancer's is taken."""
    v6 = [socket.inet_pton(socket.AF_INET6, ip) for ip in ("2001:db8::7", "2001:db8::1")]
    mapped = socket.inet_pton(socket.AF_INET6, "::ffff:" + STORAGE)
    ports = struct.pack(">HH", 4711, 25)
    for header, banner, client in [
            (b"PROXY TCP6 2001:db8::7 2001:db8::1 4711 25\r\n", "220 Storage", "[2001:db8::7]:4711"),
            (v2(b"".join(v6) + ports, family=0x21), "220 Storage", "[2001:db8::7]:4711"),
            (v2(mapped + mapped + ports, family=0x21), "220 Storage", f"{STORAGE}:4711"),
            (v2(b"/run/a".ljust(108, b"\0") * 2, family=0x31), "220 Checks", BALANCER)]:
        before = len(lines(setup.node, "connect", client=client))
        with talk(setup.optional, BALANCER, host=HOST, first=header) as session:
            assert session.banner == banner
        process.wait_for("the line", lambda: len(lines(setup.node, "connect", client=client)) == before + 1)


def test_optional(setup):
    with talk(setup.optional, BALANCER, host=HOST, first=v1(STORAGE)) as client:
        assert client.banner == "220 Storage"
    with talk(setup.optional, BALANCER, host=HOST) as client:
        assert client.banner == "220 Checks"  # it said nothing for a while
    with talk(setup.optional, BALANCER, host=HOST, first=b"EHLO client.test\r\n") as client:
        assert client.banner == "220 Checks"
    with talk(setup.optional, OFFICE, host=HOST) as client:
        assert client.banner == "220 Office"


def test_health_checks_are_in_no_log(start, folder):
    """HAProxy's, of four kinds: connect alone, with header, with a dialogue in both versions."""
    ports = [process.free_port(HOST) for _ in range(2)]
    node = start("".join(
        relais.receive(f"In{i}", f"{HOST}:{port}", ranges=["127.63.2.0/24", BALANCER], allow=ALL, banner="%{connector}") +
        listener(port, proxy="required") for i, port in enumerate(ports)) +
        relais.domain("example.com") + relais.send("Out", smart_hosts=["[127.0.0.1]:9"]), *ports)
    every = "check inter 100ms"
    balancer = haproxy.HAProxy(folder, BALANCER)
    balancer.listen("plain", f"{HOST}:{ports[0]} send-proxy {every} port {ports[0]}")
    balancer.listen("header", f"{HOST}:{ports[0]} send-proxy-v2 {every} check-send-proxy")
    balancer.listen("dialogue1", f"{HOST}:{ports[0]} send-proxy {every} check-send-proxy", "option smtpchk EHLO balancer.test")
    way = balancer.listen("dialogue2", f"{HOST}:{ports[1]} send-proxy-v2 {every} check-send-proxy",
                          "option smtpchk EHLO balancer.test")
    with balancer:
        def statuses():  # a star: one is under way
            return {name: row["check_status"].strip("* ") for name, row in balancer.stats().items()}
        well = {"plain": "L4OK", "header": "L4OK", "dialogue1": "L7OK", "dialogue2": "L7OK"}
        process.wait_for("checks that are well", lambda: statuses() == well)
        time.sleep(1)  # some ten more of each: the silence of the logs is what is looked at
        process.wait_for("checks that are well", lambda: statuses() == well)
        with talk(way, OFFICE, hello=True) as client:
            assert client.send(MAIL).startswith("250")
        assert told(node, "disconnect")
    assert len(lines(node, "connect")) == len(lines(node, "disconnect")) == 1
    assert not re.search(rf"client={BALANCER}", node.log()), node.log()
    protocol = node.log_of("protocol")
    assert "EHLO client.test" in protocol and "balancer.test" not in protocol and BALANCER + ":" not in protocol.replace(
        f"PROXY via {BALANCER}:", "").replace(f"to {BALANCER}:", "")


def test_a_balancer_that_sends_mail_is_logged(setup):
    with talk(setup.listed, BALANCER, host=HOST, first=b"PROXY UNKNOWN\r\n", hello=True) as client:
        assert client.banner == "220 Checks"
        assert not lines(setup.node, "connect", client="{}:{}".format(*client.socket.getsockname()))
        client.say("MAIL FROM:<a@b.test>")
        assert told(setup.node, "connect", client="{}:{}".format(*client.socket.getsockname()))


def test_a_check_that_no_connector_takes_is_told_once(start):
    port = process.free_port(HOST)
    node = start(relais.domain("example.com") + relais.receive("In", f"{HOST}:{port}", ranges=["127.63.2.0/24"]) +
                 listener(port) + relais.send("Out", smart_hosts=["[127.0.0.1]:9"]), port)
    for _ in range(3):
        with talk(port, BALANCER, host=HOST, first=v2(b"", command=0x20, family=0)) as client:
            assert client.banner == "554 5.7.1 No service for your address here"
    assert told(node, "no_connector", "no receive connector takes the balancer's health checks", client=BALANCER)
    assert len(lines(node, "no_connector")) == 1


# --- Other people's clients that speak for others ---

def run(*command):
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=60)
    return done.returncode, done.stdout


@pytest.mark.parametrize("version", ["1", "2"])
def test_swaks(setup, version):
    family = "TCP4" if version == "1" else "AF_INET"
    code, said = run("swaks", "--server", HOST, "--port", str(setup.required), "--local-interface", BALANCER, "--from",
                     "a@client.test", "--to", "b@elsewhere.test", "--proxy-version", version, "--proxy-family", family,
                     "--proxy-source", STORAGE, "--proxy-source-port", "4711", "--proxy-dest", BALANCER, "--proxy-dest-port",
                     "25", "--quit-after", "RCPT", "--helo", "client.test")
    assert code == 0 and "220 Storage" in said, said
    code, said = run("swaks", "--server", HOST, "--port", str(setup.required), "--local-interface", BALANCER, "--from",
                     "a@client.test", "--to", "b@elsewhere.test", "--proxy-version", version, "--proxy", "TCP4 nonsense",
                     "--quit-after", "RCPT", "--helo", "client.test")
    assert code != 0 and "421 4.7.0" in said, said


def test_curl(setup, folder):
    """curl names itself: from the balancer's address that is who is no client."""
    with open(folder + "/mail", "wb") as f:
        f.write(MAIL)
    command = ["curl", "--silent", "--show-error", "--verbose", "--haproxy-protocol", "--interface", BALANCER,
               f"smtp://{HOST}:{setup.required}/client.test", "--mail-from", "a@client.test", "--mail-rcpt", "b@example.com",
               "--upload-file", folder + "/mail"]
    code, said = run(*command)
    assert "220 Checks" in said, said
    command[command.index(BALANCER)] = STRANGER
    code, said = run(*command)
    assert code != 0 and "proxy-required" in said, said


# --- What is said beforehand ---

CASES = [  # where, client, through whom, what it is told
    ("required", OFFICE, BALANCER, "220 Office"), ("required", STORAGE, BALANCER, "220 Storage"),
    ("required", STRANGER, BALANCER, "554 5.7.1 No service"), ("required", OFFICE, None, "554 5.7.1 Connections come"),
    ("required", OFFICE, STRANGER, "554 5.7.1 Connections come"), ("required", BALANCER, None, "421 4.7.0 No PROXY"),
    ("listed", OFFICE, BALANCER, "220 Office"), ("listed", OFFICE, None, "220 Office"),
    ("listed", STORAGE, OFFICE, "554 5.7.1 No PROXY"), ("listed", BALANCER, None, "421 4.7.0 No PROXY"),
    ("optional", STORAGE, BALANCER, "220 Storage"), ("optional", BALANCER, None, "220 Checks"),
    ("optional", STORAGE, None, "220 Storage"),
]


@pytest.mark.parametrize("where, client, via, want", CASES, ids=lambda value: str(value).replace(" ", "-"))
def test_explain_says_the_same(setup, where, client, via, want):
    port = getattr(setup, where)
    first = v2_of(client) if via else b""
    with talk(port, via or client, host=HOST) if not via else talk(port, via, host=HOST, first=first) as session:
        live = session.banner if not (via and via != BALANCER and session.banner.startswith("220")) else session.reply()
    done = setup.node.tool("--json", "explain", "--from-ip", client, "--to", f"{HOST}:{port}",
                           *(["--via", via] if via else []), check=False)
    rows = [json.loads(line) for line in done.stdout.splitlines()]
    refused = [row["reply"] for row in rows if not row["yes"] and "reply" in row]
    taken = [row["about"] for row in rows if row["stage"] == "connector" and row["yes"]]
    said = refused[0] if refused else f"220 {taken[0]}"
    assert said == live and live.startswith(want)
    assert rows[0]["stage"] == "proxy" and rows[0]["about"] == (via or client)


def test_a_connector_shows_its_balancers(setup):
    (row,), _ = setup.node.ask("get-receive-connector", name="Implicit")
    assert row["proxy"] == [f"required on {HOST}:{setup.tls} from {BALANCER}"]
    assert f"required on {HOST}:{setup.tls} from {BALANCER}" in setup.node.tool("connector", "show", "Implicit").stdout


def test_explain_takes_no_nonsense(setup):
    done = setup.node.tool("explain", "--from-ip", OFFICE, "--via", "balancer", check=False)
    assert done.returncode == 64 and "'balancer' is no address of a balancer" in done.stderr


def test_an_open_relay_behind_a_balancer_is_found(start):
    port = process.free_port(HOST)
    node = start(relais.receive("Open", f"{HOST}:{port}") + listener(port, proxy="required") +
                 relais.send("Out", smart_hosts=["[127.0.0.1]:9"]), port)
    done = node.tool("test-open-relay", check=False)
    assert done.returncode == 1 and "OPEN    Open" in done.stdout, done.stdout


def test_reload(start):
    port = process.free_port(HOST)

    def config(**options):
        return (relais.receive("In", f"{HOST}:{port}", ranges=["127.63.2.0/24"], allow=ALL, banner="%{connector}") +
                (listener(port, **options) if options else "") + relais.send("Out", smart_hosts=["[127.0.0.1]:9"]))
    node = start(config(), port)
    with talk(port, OFFICE, host=HOST) as early:
        assert early.banner == "220 In"
        node.configure(config(proxy="required"))
        node.tool("reload")
        with talk(port, OFFICE, host=HOST) as client:
            assert client.banner.startswith("554 5.7.1 Connections come through a balancer")
        with talk(port, BALANCER, host=HOST, first=v1(OFFICE)) as client:
            assert client.banner == "220 In"
            node.configure(config(proxy="required", proxy_from=["127.63.1.2"]))
            node.tool("reload")
            assert client.say("EHLO client.test").startswith("250")
            assert client.say("MAIL FROM:<a@b.test>").startswith("250")  # who is in, stays
        assert early.say("EHLO client.test").startswith("250")
        with talk(port, BALANCER, host=HOST, first=v1(OFFICE)) as client:
            assert client.banner.startswith("554 5.7.1 Connections come through a balancer")


# --- docs/balancers.md ---

def recipe(kind, **instead):
    """What stands in the document, with other addresses and ports."""
    with open(f"{process.TOP}/docs/balancers.md") as f:
        text = re.search(rf"```{kind}\n(.*?)```", f.read(), re.S)[1]
    for old, new in {"192.0.2.1:25": instead["mail"], "192.0.2.1:465": instead["submissions"], "192.0.2.2": "127.63.0.9",
                     "192.0.2.5:25": instead["front"], "192.0.2.5:465": instead["front_submissions"], "192.0.2.5": BALANCER,
                     "192.0.2.6": "127.63.1.2", "192.168.0.0/16": "127.63.2.0/24"}.items():
        text = re.sub(re.escape(old) + r"\b", new, text)
    return text


def test_the_recipe_works(start, folder):
    """The files of the document: clients get their connector, health checks a banner, and nobody notes them."""
    mail, submissions = process.free_port(HOST), process.free_port(HOST)
    names = dict(mail=f"{HOST}:{mail}", submissions=f"{HOST}:{submissions}")
    balancer = haproxy.HAProxy(folder, BALANCER)
    balancer.ports = {"smtp": process.free_port(BALANCER), "submissions": process.free_port(BALANCER)}
    names.update(front=f"{BALANCER}:{balancer.ports['smtp']}", front_submissions=f"{BALANCER}:{balancer.ports['submissions']}")
    balancer.config = haproxy.CONFIG.format(folder=balancer.folder).partition("defaults")[0] + recipe("haproxy", **names)
    node = start(recipe("relais", **names) + relais.send("Out", smart_hosts=["[127.0.0.1]:9"]), mail, submissions)
    assert "warning" not in node.tool("check").stderr
    with balancer:
        process.wait_for("ex01 to be well", lambda: "L7OK" in balancer.stats("ex01")["smtp"]["check_status"])
        process.wait_for("ex01 to be well", lambda: "L4OK" in balancer.stats("ex01")["submissions"]["check_status"])
        with talk(balancer.ports["smtp"], OFFICE, hello=True) as client:
            assert client.send(MAIL).startswith("250 2.0.0")
        context = ssl._create_unverified_context()
        with socket.create_connection((BALANCER, balancer.ports["submissions"]), 20, (OTHER, 0)) as plain:
            with context.wrap_socket(plain) as s:
                assert s.makefile("rb").readline().startswith(b"220 ")
                assert told(node, "connect", connector="Submissions", client=OTHER)
    with talk(mail, BALANCER, host=HOST, first=v1(BALANCER, 1), hello=True) as client:
        assert client.say("MAIL FROM:<>")[0] == "5"
    assert len(told(node, "connect", connector="Devices")) == 1
    assert len(told(node, "connect", connector="Checks")) == 1  # the last one
