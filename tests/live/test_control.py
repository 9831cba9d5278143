"""The control socket (docs/formats/control.md): long answers, slow readers, and requests that are too long."""
import base64
import json
import os
import re
import socket

import pytest

from tests.kit import process, relais
from tests.kit.talk import Talk

HOST = "127.104.1.1"
LARGE = b"Subject: large\r\n\r\n" + (b"x" * 998 + b"\r\n") * 40_000
SMALL = b"Subject: small\r\n\r\n" + (b"y" * 98 + b"\r\n") * 30_000


@pytest.fixture(scope="module")
def node(module_folder):
    """A large message and one of 3 MB wait for a host that is down."""
    port = process.free_port(HOST)
    config = relais.receive("In", f"{HOST}:{port}", size_max="100M") + \
        relais.send("Dead", smart_hosts=[f"[{HOST}]:{process.free_port(HOST)}"], retry=["1h"])
    with relais.Relais(f"{module_folder}/relais", config, [port]) as made:
        made.sent = {}
        with Talk(port, HOST) as talk:
            for name, content in ("large", LARGE), ("small", SMALL):
                made.sent[name] = re.search(r"\b[0-9a-f]{32}\b", talk.send(content))[0]
        process.wait_for("the first attempt", lambda: all(r.get("last_error") for r in made.ask("queue")[0]))
        yield made


class Client:
    """One who says what he likes, and reads when he likes."""

    def __init__(self, node):
        self.socket = socket.socket(socket.AF_UNIX)
        self.socket.settimeout(60 * process.SLOWER)
        self.socket.connect(f"{node.folder}/control")
        self.lines = self.socket.makefile("rb")

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.lines.close()
        self.socket.close()

    def ask(self, command, **members):
        self.socket.sendall(json.dumps({"command": command, **members}).encode() + b"\n")

    def answer(self):
        """(rows, end)"""
        rows = []
        for line in self.lines:
            answer = json.loads(line)
            if "ok" in answer:
                return rows, answer
            rows.append(answer["row"])
        raise AssertionError("the answer has no end")


def content(rows):
    return b"".join(base64.b64decode(row["data"]) for row in rows)


def memory(node, what):
    with open(f"/proc/{node.pid}/status") as f:
        return int(re.search(rf"{what}:\s+(\d+) kB", f.read())[1]) * 1024


def forget_peak(node):
    with open(f"/proc/{node.pid}/clear_refs", "w") as f:
        f.write("5")


def test_an_export_takes_little_memory(node):
    """40 MB for a client who does not read at first."""
    before = memory(node, "VmRSS")
    forget_peak(node)
    with Client(node) as client:
        client.ask("export", id=node.sent["large"])
        client.socket.recv(1, socket.MSG_PEEK)
        assert node.status()["ok"]  # others are served meanwhile
        rows, end = client.answer()
    assert end["ok"] and content(rows).endswith(LARGE)
    if process.SLOWER == 1:  # not with a sanitizer's
        assert memory(node, "VmHWM") - before < 10 << 20


def test_the_tool_writes_it_as_it_comes(node, module_folder):
    node.tool("message", "export", "-o", f"{module_folder}/large.eml", node.sent["large"])
    with open(f"{module_folder}/large.eml", "rb") as f:
        assert f.read().endswith(LARGE)


def test_who_goes_in_the_middle_leaves_nothing_behind(node):
    def descriptors():
        return len(os.listdir(f"/proc/{node.pid}/fd"))
    before = descriptors()
    with Client(node) as client:
        client.ask("export", id=node.sent["large"])
        client.lines.readline()
        assert descriptors() > before
    process.wait_for("the connection to be closed", lambda: descriptors() <= before)


def test_answers_come_in_order_however_late_they_are_read(node):
    """60 MB of answers, asked for at once by one who then closes his side."""
    with Client(node) as client:
        for i in range(20):
            client.ask("export" if i % 2 else "message", id=node.sent["small"])
        client.socket.shutdown(socket.SHUT_WR)
        for i in range(20):
            rows, end = client.answer()
            assert end["ok"] and (content(rows).endswith(SMALL) if i % 2 else end["id"] == node.sent["small"])
        assert client.lines.read() == b""


@pytest.mark.parametrize("size", [65_537, 100_000, 131_073, 1_000_000])
def test_a_request_too_long(node, size):
    """It is answered once, and the next one is heard."""
    with Client(node) as client:
        client.socket.sendall(b'{"command":"status","x":"' + b"x" * (size - 27) + b'"}\n{"command":"stat')
        assert client.answer()[1]["code"] == 65
        client.socket.sendall(b'us"}\n')
        assert client.answer()[1]["ok"]


def test_one_as_long_as_may_be(node):
    with Client(node) as client:
        client.ask("status", x="x" * (65_536 - len('{"command": "status", "x": ""}')))
        assert client.answer()[1]["ok"]


def test_messages_with_very_many_recipients(start):
    """A row of theirs, and all the more what is said of one by itself, is a line of megabytes."""
    port, count = process.free_port(HOST), 20_000
    node = start(relais.receive("In", f"{HOST}:{port}", recipients_max=count) +
                 relais.send("Dead", smart_hosts=[f"[{HOST}]:{process.free_port(HOST)}"], retry=["1h"]), port)
    names = [f"somebody-with-quite-a-long-name-{i:05}@a-long-domain.of.example.com" for i in range(count)]
    with Talk(port, HOST) as talk:
        for _ in range(4):
            talk.raw(b"MAIL FROM:<a@sender.test>\r\n" + b"".join(f"RCPT TO:<{n}>\r\n".encode() for n in names) + b"DATA\r\n")
            assert all(talk.reply()[0] == "2" for _ in range(count + 1)) and talk.reply().startswith("354")
            talk.raw(SMALL + b".\r\n")
            mid = re.search(r"\b[0-9a-f]{32}\b", talk.reply())[0]
    rows = [json.loads(line) for line in node.tool("--json", "queue").stdout.splitlines()]
    assert [row["to"] for row in rows] == [names] * 4
    assert re.findall(r"<(\S+)> pending", node.tool("message", "show", mid).stdout) == names
    with Client(node) as late, Client(node) as gone:
        for client in late, gone:
            client.ask("queue", filter="size > 1")
        gone.socket.recv(1, socket.MSG_PEEK)
        gone.__exit__()
        late.ask("status")
        rows, end = late.answer()
        assert len(rows) == end["matched"] == 4 and late.answer()[1]["messages"] == 4
