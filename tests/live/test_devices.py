"""Connectors for devices on one port: who may do what, which tolerances are whose alone, and what `relais devices`
and the logs say of it (RC-3, RC-5, RC-6, RC-7, PE-8, PE-10)."""
import json
import os
import re
import ssl
import subprocess
import time

import pytest

from tests.kit import big_queue, mails, process, relais, sink
from tests.kit.talk import Talk

HOST = "127.82.0.1"
SCANNER, STORAGE, PRINTER = "127.82.1.20", "127.82.2.5", "127.82.3.7"
REFUSED = "550 5.7.54 SMTP; Unable to relay recipient in non-accepted domain"
SCAN = b"Subject: a page\r\n\r\nhere\r\n"
INSIDE = ["submit", "any-sender", "own-domain-sender"]


class OldTls(Talk):
    """A client that knows TLS 1.0 and nothing else."""

    def start_tls(self):
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        context.set_ciphers("ALL:@SECLEVEL=0")
        context.minimum_version = context.maximum_version = ssl.TLSVersion.TLSv1
        assert self.say("STARTTLS").startswith("220")
        self.file.close()
        self.socket = context.wrap_socket(self.socket)
        self.file = self.socket.makefile("rb")
        return self.socket.version()


def talk(port, source, **more):
    return Talk(port, host=HOST, source=source, **more)


def config(port, target, certificate, **printer):
    tls = dict(zip(["certificate", "key"], certificate or ()))
    odd = dict(tls_min="1.0", tolerate=["bad-helo", "no-helo", "path-spaces", "no-brackets", "bare-lf"], **tls)
    odd.update(printer)
    listen = f"{HOST}:{port}"
    return (relais.domain("example.com") +
            relais.block("address_list", "Storage boxes", ranges=["127.82.2.0/28"]) +
            relais.receive("Scanners", listen, ranges=["127.82.1.0/24"], allow=INSIDE, fqdn="scan.relay.test",
                           banner="220 %{fqdn} %{connector} on %{node}", **tls) +
            relais.receive("Storage", listen, ranges=["@storage boxes"], banner="%{fqdn} %{connector}", **tls) +
            relais.receive("Old printer", listen, ranges=[PRINTER], allow=INSIDE,
                           banner="%{fqdn} %{connector}", **odd) +
            relais.send("Out", smart_hosts=[f"[127.0.0.1]:{target.port}"], tls="none"))


@pytest.fixture
def target():
    with sink.Sink() as made:
        yield made


@pytest.fixture
def port():
    return process.free_port(HOST)


def test_three_connectors_on_one_port(start, target, port, server_certificate):
    node = start(config(port, target, server_certificate), port)

    with talk(port, SCANNER) as scanner:
        assert scanner.banner == "220 scan.relay.test Scanners on relay"
        assert scanner.extensions.startswith("250-scan.relay.test")
        scanner.say("MAIL FROM:<scan@device.test>")
        assert scanner.say("RCPT TO:<b@elsewhere.test>") == REFUSED
        assert scanner.say("RCPT TO:<b@example.com>").startswith("250 2.1.5")
        scanner.say("RSET")
        assert scanner.send(mails.PLAIN, sender="scan@device.test").startswith("250 2.")
    with talk(port, STORAGE) as storage:
        assert storage.banner == "220 relay.test Storage"
        assert storage.send(mails.PLAIN, recipients=["b@elsewhere.test"]).startswith("250 2.")
    with talk(port, "127.82.2.16", hello=False) as nobody:
        assert nobody.banner.startswith("554 5.7.1"), "it is behind the end of the list"

    with OldTls(port, host=HOST, source=PRINTER, hello=False) as printer:
        assert printer.banner == "220 relay.test Old printer"
        assert printer.say("EHLO old_printer").startswith("250")
        assert printer.start_tls() == "TLSv1"
        assert printer.say("HELO old_printer").startswith("250")
        assert printer.say("MAIL FROM: <printer@device.test>").startswith("250 2.1.0")
        assert printer.say("RCPT TO:b@elsewhere.test") == REFUSED
        assert printer.say("RCPT TO:b@example.com").startswith("250 2.1.5")
        assert printer.say("DATA").startswith("354")
        printer.raw(SCAN + b".\r\n")
        assert printer.reply().startswith("250 2.")

    process.wait_for("three mails", lambda: len(target.mails) == 3)
    received = [re.sub(rb"\s+", b" ", m.content.split(b"\r\n\r\n")[0]).decode() for m in target.mails]
    assert sum('by scan.relay.test' in text and '(connector "Scanners")' in text for text in received) == 1
    assert sum('by relay.test' in text and '(connector "Old printer")' in text and "TLSv1 " in text
               for text in received) == 1
    assert node.log().count('connector="Old printer"') >= 2 and "connector=Scanners" in node.log()
    text = node.log_of("protocol")
    assert "Scanners" in text and "Old printer" in text

    devices = {d["address"]: d for d in map(json.loads, node.tool("devices", "--json").stdout.splitlines())}
    assert set(devices) == {SCANNER, STORAGE, PRINTER}
    printer = devices[PRINTER]
    assert printer["connector"] == "Old printer" and printer["helo"] == ["old_printer"]
    assert printer["tls"] == "TLSv1" and printer["messages"] == 1 and printer["bytes"] == len(SCAN)
    assert set(printer["needs"]) == {"path-spaces", "no-brackets", "bad-helo", "old-tls"}
    assert "needs" not in devices[SCANNER] and devices[STORAGE]["tls"] == ""
    table = node.tool("devices").stdout
    assert re.search(rf"^{PRINTER}\s+Old printer\s+1\s.*TLSv1\s+-\s+old_printer\s+\S*bad-helo", table, re.M), table
    assert node.tool("devices", "--connector", "scanners").stdout.count("\n") == 2
    assert node.tool("devices", "--odd").stdout.count("\n") == 2
    # It is known after a restart, too.
    node.stop()
    node.start()
    again = {d["address"]: d for d in map(json.loads, node.tool("devices", "--json").stdout.splitlines())}
    assert {a: (d["messages"], d.get("needs")) for a, d in again.items()} == \
        {a: (d["messages"], d.get("needs")) for a, d in devices.items()}


@pytest.mark.parametrize("source", [SCANNER, STORAGE])
def test_nobody_else_is_tolerated(start, target, port, server_certificate, source):
    start(config(port, target, server_certificate), port)
    with talk(port, source, hello=False) as device:
        assert device.say("MAIL FROM:<a@device.test>").startswith("503 5.5.1")
        assert device.say("HELO old_printer").startswith("501 5.5.2")
        assert device.say("HELO 127.82.1.20").startswith("501 5.5.2")
        assert device.say("HELO").startswith("501 5.5.4")
        assert device.say("HELO device.test").startswith("250")
        assert device.say("MAIL FROM: <a@device.test>").startswith("501 5.5.2")
    with talk(port, source) as device:
        assert device.say("MAIL FROM:a@device.test").startswith("501 5.5.2")
        device.raw(b"NOOP\n")
        assert device.reply().startswith("500 5.5.2")
    with OldTls(port, host=HOST, source=source) as device:
        with pytest.raises((ssl.SSLError, ConnectionError)):
            device.start_tls()


def test_each_tolerance_by_itself(start, target, port):
    node = start(config(port, target, None, tolerate=["no-helo", "bare-lf"]), port)
    with talk(port, PRINTER, hello=False) as printer:
        assert printer.say("HELO old_printer").startswith("501 5.5.2"), "that one is not tolerated"
        printer.raw(b"MAIL FROM:<p@device.test>\n")
        assert printer.reply().startswith("250 2.1.0")
        printer.raw(b"RCPT TO:<b@example.com>\nDATA\n")
        assert printer.reply().startswith("250") and printer.reply().startswith("354")
        printer.raw(b"Subject: x\n\nbare\n\r\n.\r\n")
        assert printer.reply().startswith("250 2.")
    mail = process.wait_for("the mail", lambda: target.mails and target.mails[0])
    assert b"bare\r\n" in mail.content and b"\n" not in mail.content.replace(b"\r\n", b"")
    device = json.loads(node.tool("devices", "--json").stdout)
    assert set(device["needs"]) == {"bare-lf", "no-helo"}


def test_enable_and_disable_at_run_time(start, target, port):
    """RC-11: others' sessions go on, and so does the one that is open."""
    text = config(port, target, None)
    off = text.replace('receive_connector "Storage" {\n', 'receive_connector "Storage" {\n    enabled = no\n')
    node = start(off, port)
    with talk(port, SCANNER) as scanner:
        with talk(port, STORAGE, hello=False) as storage:
            assert storage.banner.startswith("554 5.7.1")
        node.configure(text)
        node.tool("reload")
        with talk(port, STORAGE) as storage:
            node.configure(off)
            node.tool("reload")
            assert scanner.send(mails.PLAIN).startswith("250 2.")
            assert storage.say("NOOP").startswith("250")
            assert storage.say("MAIL FROM:<a@b.test>").startswith("421 4.3.2"), "no connector takes it now"
        with talk(port, STORAGE, hello=False) as storage:
            assert storage.banner.startswith("554 5.7.1")
        assert scanner.say("NOOP").startswith("250")


# --- Limits ---

def limited(start, port, target, **options):
    return start(relais.receive("In", f"{HOST}:{port}", ranges=["127.82.0.0/16"], **options) +
                 relais.send("Out", smart_hosts=[f"[127.0.0.1]:{target.port}"], tls="none"), port)


def header(count, name="other.test"):
    return b"".join(b"Received: from x by %s with SMTP; today\r\n" % name.encode() for _ in range(count)) + mails.PLAIN


BIG = b"Subject: big\r\n\r\n" + 70 * (b"x" * 998 + b"\r\n")

# What is sent under which limit, and how it is refused.
LIMITS = {
    "message-rate": (dict(messages_per_minute=2), 3 * [mails.PLAIN], "450 4.7.1 Message submission rate"),
    "size": (dict(size_max="64K"), [BIG], "552 5.3.4"),
    "header-size": (dict(header_size_max="4K"), [b"X: " + b"x" * 4000 + b"\r\nY: " + b"y" * 900 + b"\r\n" + mails.PLAIN],
                    "552 5.3.4 Header size"),
    "hops": (dict(hops_max=3), [header(4)], "554 5.4.14 Hop count exceeded - possible mail loop"),
    "local-hops": (dict(local_hops_max=2), [header(3, "relay.test")], "554 5.4.14"),
    "messages": (dict(messages_max=2), 3 * [mails.PLAIN], "421 4.7.0 Too many messages in this session"),
}


@pytest.mark.parametrize("limit", LIMITS)
def test_limits_refuse_or_report(start, target, port, limit):
    options, contents, reply = LIMITS[limit]
    node = limited(start, port, target, **options)
    process.wait_minute()
    with talk(port, SCANNER) as client:
        answers = [client.send(content) for content in contents]
        assert all(a.startswith("250") for a in answers[:-1]) and answers[-1].startswith(reply), answers
        if limit == "message-rate":
            with talk(port, STORAGE) as other:
                assert other.send(mails.PLAIN).startswith("250"), "each source has its own"
    if limit != "size":
        node.wait_log(f"rule={limit}")
    assert "would_refuse" not in node.log()
    node.configure(relais.receive("In", f"{HOST}:{port}", ranges=["127.82.0.0/16"], report_only=[limit], **options))
    node.tool("reload")
    with talk(port, "127.82.9.9") as client:
        assert all(client.send(content).startswith("250") for content in contents)
    assert len(re.findall(rf"would_refuse .*limit={limit} ", node.log())) == 1
    assert node.status()["counters"]["would_refuse"] == 1


def test_bypassing_the_rate(start, target, port):
    limited(start, port, target, messages_per_minute=1, allow=INSIDE + ["any-recipient", "bypass-rate-limit"])
    with talk(port, SCANNER) as client:
        assert all(client.send(mails.PLAIN).startswith("250") for _ in range(5))


def test_recipients_errors_and_connections_in_report_mode(start, target, port):
    limits = dict(recipients_max=2, errors_max=1, connections_per_source=1)
    node = limited(start, port, target, **limits)
    with talk(port, SCANNER) as client:
        with talk(port, SCANNER, hello=False) as second:
            assert second.banner.startswith("421 4.7.0 Too many connections from your address")
        client.say("MAIL FROM:<a@b.test>")
        replies = [client.say(f"RCPT TO:<r{n}@example.com>") for n in range(3)]
        assert [r[:9] for r in replies] == ["250 2.1.5", "250 2.1.5", "452 4.5.3"]
    node.configure(relais.receive("In", f"{HOST}:{port}", ranges=["127.82.0.0/16"],
                                  report_only=["recipients", "errors", "connections-per-source"], **limits))
    node.tool("reload")
    with talk(port, SCANNER) as client, talk(port, SCANNER) as second:
        for _ in range(4):
            assert second.say("NONSENSE").startswith("500")
        client.say("MAIL FROM:<a@b.test>")
        assert all(client.say(f"RCPT TO:<r{n}@example.com>").startswith("250") for n in range(4))
    for limit in ["recipients", "errors", "connections-per-source"]:
        assert len(re.findall(rf"would_refuse .*limit={limit} ", node.log())) == 1, limit


def test_devices_of_a_connector_that_is_not_there(start, port):
    node = start(relais.receive("In", f"{HOST}:{port}", ranges=["127.0.0.0/8"], allow=INSIDE), port)
    assert node.tool("devices", "--connector", "in").stdout.strip() == "there is none"
    done = node.tool("devices", "--connector", "Nope", check=False)
    assert done.returncode == 66 and 'there is no receive connector "Nope"; there are: "In"' in done.stderr, done


# --- Address lists ---

def test_no_list_at_all(start, port):
    node = start(relais.receive("In", f"{HOST}:{port}", ranges=["127.0.0.0/8"], allow=INSIDE), port)
    assert node.tool("address-list", "show").stdout == "there is no address_list\n"
    assert not node.tool("address-list", "show", "--json").stdout
    node.stop()
    assert node.tool("address-list", "show").stdout == "there is no address_list\n"


def listed(port, file):
    return (relais.block("address_list", "Scanners", file=file) +
            relais.receive("In", f"{HOST}:{port}", ranges=["@Scanners"], allow=INSIDE))


def test_a_list_is_changed_at_run_time(start, port):
    node = start(listed(port, "scanners.txt").replace('file = "scanners.txt"', 'ranges = { "127.82.7.7" }'), port)
    path = os.path.join(node.folder, "scanners.txt")
    with open(path, "w") as f:
        f.write("# the second floor\n127.82.1.0/24   # all of it\n\n127.82.3.1-127.82.3.9\r\n")
    node.configure(listed(port, "scanners.txt"))
    node.tool("reload")
    with talk(port, SCANNER, hello=False) as client:
        assert client.banner.startswith("220")
    assert not greets(port, STORAGE)
    assert node.tool("address-list", "add", "Scanners", "127.82.2.0/28", "--comment", "boxes").stdout == \
        "Scanners: 127.82.2.0/28 added\n"
    assert greets(port, STORAGE)
    with open(path) as f:
        assert f.read() == "# the second floor\n127.82.1.0/24   # all of it\n\n127.82.3.1-127.82.3.9\n" \
                           "127.82.2.0/28  # boxes\n"
    assert node.tool("address-list", "show", "scanners").stdout.split() == \
        ["127.82.1.0/24", "127.82.3.1-127.82.3.9", "127.82.2.0/28"]
    assert re.search(r"Scanners\s+3 ranges in .*scanners.txt", node.tool("address-list", "show").stdout)
    for arguments, words in [(("add", "Scanners", "127.82.2.0/28"), "already"), (("add", "Scanners", "127.82.2.1/28"), "no range"),
                             (("remove", "Scanners", "127.82.2.1"), "does not stand"), (("add", "Printers", "127.82.1.1"), "no address_list")]:
        done = node.tool("address-list", *arguments, check=False)
        assert done.returncode and words in done.stderr, (arguments, done.stderr)
    node.tool("address-list", "remove", "Scanners", "127.82.2.0/28")
    assert not greets(port, STORAGE)
    node.stop()
    done = node.tool("address-list", "add", "Scanners", "127.82.2.5")
    assert "not running" in done.stderr
    node.start()
    assert greets(port, STORAGE)


def greets(port, source):
    with talk(port, source, hello=False) as client:
        return client.banner.startswith("220")


def test_a_range_that_another_connector_has_is_refused(start, port):
    node = start(relais.receive("Other", f"{HOST}:{port}", ranges=["127.82.5.5"], allow=INSIDE), port)
    path = os.path.join(node.folder, "list")
    with open(path, "w") as f:
        f.write("127.82.1.1\n")
    node.configure(relais.receive("Other", f"{HOST}:{port}", ranges=["127.82.5.5"], allow=INSIDE) + listed(port, path))
    node.tool("reload")
    done = node.tool("address-list", "add", "Scanners", "127.82.5.5", check=False)
    assert done.returncode and "Other" in done.stderr and "127.82.5.5" in done.stderr, done.stderr
    with open(path) as f:
        assert f.read() == "127.82.1.1\n"


def test_mistakes_in_a_list_have_a_line(folder, port):
    with open(folder + "/bad.txt", "w") as f:
        f.write("127.0.0.1\n# nothing\n10.1.2.3/8\n10.0.0.300\n")
    done = relais.Relais(folder, listed(port, "bad.txt")).tool("check", check=False)
    text = done.stdout + done.stderr
    assert done.returncode and "bad.txt:3" in text and "10.0.0.0/8" in text and "bad.txt:4" in text, text


def test_a_choice_among_a_hundred_thousand_ranges():
    done = subprocess.run([os.path.join(process.BUILD, "tests", "bench", "receive_bench")], stdout=subprocess.PIPE,
                          text=True, check=True, timeout=60)
    print(done.stdout)
    numbers = {name: float(value) for name, value in map(str.split, done.stdout.splitlines())}
    assert numbers["choose_ns"] < 1000 * process.SLOWER and numbers["read_ms"] < 1000 * process.SLOWER
    assert numbers["bytes_per_range"] < 200


def test_a_hundred_thousand_ranges(start, port):
    """A reload stays below a second, with the file's parsing; the memory is told."""
    node = start(listed(port, "many.txt").replace('file = "many.txt"', 'ranges = { "127.82.7.7" }'), port)
    with open(os.path.join(node.folder, "many.txt"), "w") as f:
        for n in range(100_000):
            f.write(f"10.{n >> 16 & 255}.{n >> 8 & 255}.{n & 255}  # device {n}\n")
        f.write(SCANNER + "\n")
    node.configure(listed(port, "many.txt") + relais.receive("World", f"{HOST}:{port}", ranges=["0.0.0.0/0"], allow=INSIDE,
                                                              banner="%{connector}"))
    before = process.memory_bytes(node.pid, "RssAnon")
    took = big_queue.time_tool(node, "reload")[0]
    after = process.memory_bytes(node.pid, "RssAnon")
    print(f"100,001 ranges from a file: reload {took * 1000:.0f} ms, {(after - before) / 1e6:.1f} MB more")
    assert took < 1 * process.SLOWER
    assert after - before < 40e6 * process.SLOWER ** 2  # the sanitizers' own memory is in it
    with talk(port, SCANNER, hello=False) as client, talk(port, STORAGE, hello=False) as other:
        assert "World" not in client.banner and "World" in other.banner
    node.tool("reload")
    assert process.memory_bytes(node.pid, "RssAnon") - after < 40e6, "the old ones are given back"
