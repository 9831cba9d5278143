"""`relais metrics`: what Prometheus reads (OP-6)."""
import math
import os
import re

import pytest

from tests.kit import process, relais, sink
from tests.kit.talk import Talk

HOST = "127.87.3.1"
MAIL = b"Subject: x\r\n\r\nhere\r\n"
NAME = r"[a-zA-Z_:][a-zA-Z0-9_:]*"
SAMPLE = re.compile(rf'({NAME})(?:\{{((?:[a-zA-Z_]\w*="(?:[^"\\\n]|\\[\\"n])*",?)+)\}})? (\S+)$')
LABEL = re.compile(r'([a-zA-Z_]\w*)="((?:[^"\\\n]|\\[\\"n])*)"')


def parse(text):
    """{name: {(label, value)...: number}}.  Strict: HELP and TYPE stand in front of samples, each name once."""
    assert text.endswith("\n") and "\r" not in text
    families, current, helped = {}, None, None
    for line in text[:-1].split("\n"):
        if line.startswith("# HELP "):
            helped, said = line[7:].split(" ", 1)
            assert re.fullmatch(NAME, helped) and said and helped not in families
        elif line.startswith("# TYPE "):
            current, kind = line[7:].split(" ")
            assert current == helped and kind in ("counter", "gauge")
            assert current.endswith("_total") == (kind == "counter"), line
            families[current] = {}
        else:
            match = SAMPLE.match(line)
            assert match and match[1] == current, line
            labels = tuple(LABEL.findall(match[2] or ""))
            assert match[2] is None or ",".join(f'{k}="{v}"' for k, v in labels) == match[2]
            value = float(match[3])
            assert math.isfinite(value) and labels not in families[current]
            families[current][labels] = value
    return families


@pytest.fixture
def node(start):
    port, closed = process.free_port(), process.free_port()
    with sink.Sink() as target:
        node = start(
            relais.domain("example.com") + relais.domain("down.test") +
            relais.receive("In", f"{HOST}:{port}", allow=["submit", "any-sender", "own-domain-sender"]) +
            relais.send("Out", spaces=["example.com"], smart_hosts=[f"[127.0.0.1]:{target.port}"], tls="none") +
            relais.send("Down", spaces=["down.test"], smart_hosts=[f"[127.0.0.1]:{closed}"], retry=["1h"]), port)
        node.port = port
        yield node


def metrics(node):
    return parse(node.tool("metrics").stdout)


def use(node):
    """Two messages go out, one waits, one recipient is refused."""
    with Talk(node.port, host=HOST) as talk:
        for to in ("a@example.com", "b@example.com", "c@down.test"):
            assert talk.send(MAIL, sender="x@far.test", recipients=[to]).startswith("250")
        assert talk.say("MAIL FROM:<x@far.test>").startswith("250")
        assert talk.say("RCPT TO:<x@elsewhere.test>").startswith("550 5.7.54")
    process.wait_for("the outcome", lambda: node.queued() == 1 and node.status()["counters"]["hop_down"])


def test_what_is_counted(node):
    before = metrics(node)
    assert before["relais_messages_received_total"] == {} and before["relais_queue_oldest_seconds_max"][()] == 0
    use(node)
    now = metrics(node)
    assert now["relais_messages_received_total"] == {(("connector", "In"), ("tls", "none")): 3}
    assert now["relais_received_bytes_total"] == {(("connector", "In"), ("tls", "none")): 3 * len(MAIL)}
    assert now["relais_connections_total"] == {(("connector", "In"),): 1}
    (labels, count), = now["relais_refusals_total"].items()
    assert dict(labels)["connector"] == "In" and dict(labels)["rule"] != "none" and count == 1
    assert now["relais_recipients_attempted_total"] == {(("connector", "Out"), ("status", "sent")): 2}
    assert now["relais_recipients_sent_total"] == {(("queue", "Out"), ("tls", "none")): 2}
    assert now["relais_queue_messages"][()] == 1
    assert sum(now["relais_queue_items"].values()) == 1 and now["relais_queue_items"][(("state", "ready"),)] == 1
    assert now["relais_queues"][(("status", "retry"),)] == 1
    assert now["relais_queue_length"] == {(("queue", "Down"),): 1}
    oldest, = now["relais_queue_oldest_seconds"].values()
    assert oldest == pytest.approx(now["relais_queue_oldest_seconds_max"][()], abs=1)
    assert now["relais_redundant"][()] == 0 and now["relais_nodes_configured"][()] == 0
    assert now["relais_spool_commits_total"][()] >= 3 and now["relais_spool_flush_seconds_total"][()] > 0
    assert now["relais_events_total"][(("event", "received"),)] == 3
    assert list(now["relais_binding_open"].values()) == [1]


def test_labels_are_escaped(start, folder):
    path = os.path.join(folder, 'a\\b"c')
    node = start(relais.receive("In", f'unix:{path}'.replace("\\", "\\\\").replace('"', '\\"')))
    found = [dict(labels)["address"] for labels in metrics(node)["relais_binding_open"]]
    assert any(address.endswith('a\\\\b\\"c') for address in found)


def test_documents_list_all(node):
    """docs/metrics.md has each name, and no other; alert rules use names that are there."""
    use(node)
    names = set(metrics(node))
    with open(f"{process.TOP}/docs/metrics.md") as f:
        listed = set(re.findall(r"^\| `(relais_\w+)`", f.read(), re.M))
    assert listed == names
    with open(f"{process.TOP}/share/alerts.yml") as f:
        text = f.read()
    used = set(re.findall(r"\brelais_[a-z0-9_]+\b", text))
    assert used and used <= names
    assert text.count("- alert:") == text.count("expr:") == text.count("summary:") >= 8


def test_without_a_daemon(start, folder):
    node = relais.Relais(folder, "")
    done = node.tool("metrics", check=False)
    assert done.returncode == 69 and done.stdout == ""
