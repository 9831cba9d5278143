"""`relais test-open-relay`: Internet to Internet only by a right that somebody wrote down (AD-5)."""
import json
import re
import socket
import time

import pytest

from tests.kit import process, relais

HOST = "127.87.4.1"
INSIDE = ["submit", "any-sender"]


@pytest.fixture
def judge(start):
    """judge(config of connectors at PORT) gives the exit code and the rows."""
    def run(make, *arguments):
        port = process.free_port()
        node = start(relais.domain("example.com") + make(f"{HOST}:{port}"), port)
        done = node.tool("test-open-relay", "--json", *arguments, check=False)
        rows = [json.loads(line) for line in done.stdout.splitlines()]
        node.text = node.tool("test-open-relay", *arguments, check=False).stdout
        return done.returncode, rows, node
    return run


def of(rows, judgement):
    return [(r["connector"], r["about"]) for r in rows if r["judgement"] == judgement]


def test_a_closed_one(judge):
    code, rows, node = judge(lambda at: relais.receive("Internet", at, allow=INSIDE))
    assert code == 0 and not of(rows, "OPEN") and not of(rows, "relays")
    assert [r["connector"] for r in rows] == ["Internet", "Internet"]
    live = rows[1]
    assert live["about"].startswith("live at 127.87.4.1:") and "10 tricks refused" in live["text"]
    assert node.text.startswith("closed  Internet (all ranges): ")


def test_a_network_that_may_relay(judge):
    """It is closed for the Internet, and who may is named with the right."""
    code, rows, _ = judge(lambda at: relais.receive("Internet", at, allow=INSIDE) +
                          relais.receive("Servers", at, ranges=["10.0.0.0/8", "8.8.8.0/24"]))
    assert code == 0
    assert of(rows, "relays") == [("Servers", "10.0.0.0/8"), ("Servers", "8.8.8.0/24")]
    assert "rule any-recipient" in rows[1]["text"] and "relais.conf:" in rows[1]["text"]
    assert [c for c, _ in of(rows, "closed")] == ["Internet", "Internet"]


def test_this_host_may_relay(judge):
    code, rows, _ = judge(lambda at: relais.receive("Internet", at, allow=INSIDE) +
                          relais.receive("Local", at, ranges=["127.0.0.0/8"]))
    assert code == 0
    (local, about), (live, where) = of(rows, "relays")
    assert local == live == "Local" and about == "127.0.0.0/8" and where.startswith("live at ")


def test_an_explicitly_open_one(judge):
    code, rows, node = judge(lambda at: relais.receive("Everybody", at))
    assert code == 1 and ("Everybody", "*") in of(rows, "OPEN")
    assert "rule any-recipient" in of_text(rows, "OPEN")
    assert "OPEN    Everybody (*): " in node.text


def of_text(rows, judgement):
    return next(r["text"] for r in rows if r["judgement"] == judgement)


def test_half_the_internet(judge):
    code, rows, _ = judge(lambda at: relais.receive("Internet", at, allow=INSIDE) +
                          relais.receive("Half", at, ranges=["8.0.0.0/6"]))
    assert code == 1 and of(rows, "OPEN") == [("Half", "8.0.0.0/6")]


def test_an_open_one_behind_a_narrow_one(judge):
    """What is tried belongs to the wide range itself, not to a narrower one of another connector around the address."""
    code, rows, _ = judge(lambda at: relais.receive("Everybody", at) +
                          relais.receive("Known", at, ranges=["1.1.1.0/24", "0.0.0.0/8", "2606:4700::/32"], allow=INSIDE))
    assert code == 1 and ("Everybody", "*") in of(rows, "OPEN")


def test_a_range_that_is_all_others(judge):
    code, rows, _ = judge(lambda at: relais.receive("Everybody", at, ranges=["0.0.0.0/0"], open_relay_i_mean_it=True) +
                          relais.receive("Nobody", at, ranges=["0.0.0.0/1", "128.0.0.0/1"], allow=INSIDE))
    assert code == 0 and not of(rows, "OPEN")  # nobody is left who would come to it


def test_a_unix_socket_hides_nothing(judge, folder):
    code, rows, _ = judge(lambda at: relais.receive("Both", f"unix:{folder}/smtp", at), "--no-live")
    assert code == 1 and ("Both", "*") in of(rows, "OPEN")


def test_a_mistake(judge):
    """A domain "*" makes every address ours: no right is needed any more, but a word."""
    code, rows, _ = judge(lambda at: relais.receive("Internet", at, allow=INSIDE, open_relay_i_mean_it=True) +
                          relais.domain("*", "external-relay"))
    assert code == 1
    assert of(rows, "OPEN")[0] == ("-", 'accepted_domain "*"') and ("Internet", "*") in of(rows, "OPEN")


def test_many_errors_end_no_test(judge):
    code, rows, _ = judge(lambda at: relais.receive("Strict", at, allow=INSIDE, errors_max=2))
    assert code == 0 and "10 tricks refused" in rows[-1]["text"]


def test_a_tarpit_is_waited_for(judge):
    """By connections side by side, half as many as one source may have."""
    code, rows, node = judge(lambda at: relais.receive("Slow", at, allow=INSIDE, tarpit="1s", connections_per_source=20))
    assert code == 0 and "10 tricks refused" in rows[-1]["text"]
    began = time.monotonic()
    told = node.tool("test-open-relay").stderr
    assert 1.9 < time.monotonic() - began < 20
    assert re.search(r"127.87.4.1:\d+: refusals wait 1s in the tarpit: this may take 4s\n", told)
    # Three passes, each of ten tricks by three senders: each asked once.
    assert node.log_of("protocol").count("RCPT TO:<") == 3 * 3 * 10


@pytest.mark.parametrize("limit", [dict(connections_per_source=1), dict(messages_max=1, errors_max=1), dict(recipients_max=1),
                                   dict(connections_max=10, source_share_percent=10)], ids=str)
def test_limits_end_no_test(judge, limit):
    code, rows, _ = judge(lambda at: relais.receive("Strict", at, allow=INSIDE, **limit))
    assert code == 0 and "10 tricks refused" in rows[-1]["text"]


def test_who_is_turned_away(judge):
    code, rows, _ = judge(lambda at: relais.receive("Others", at, ranges=["10.0.0.0/8"]))
    assert code == 0 and rows[-1]["text"].startswith("no session: 554 5.7.1")


@pytest.mark.parametrize("tls", ["required", "implicit"])
def test_where_tls_is_wanted(judge, tls):
    """Nothing would be taken without it, and nothing learnt."""
    code, rows, node = judge(lambda at: relais.receive("Secure", at, allow=INSIDE, tls=tls))
    live = rows[-1]
    assert code == 0 and live["judgement"] == "closed" and live["about"].endswith(" by TLS")
    assert live["text"] == "10 tricks refused, or taken as mailboxes of ours"
    # It was not for the want of TLS.
    assert "RCPT TO:<victim@open-relay-test.invalid>" in node.log_of("protocol")
    assert "Must issue a STARTTLS" not in node.log_of("protocol")


@pytest.mark.parametrize("tls", ["required", "implicit"])
def test_an_open_one_over_tls(judge, tls):
    code, rows, _ = judge(lambda at: relais.receive("Local", at, ranges=["127.0.0.0/8"], tls=tls))
    assert code == 0 and [c for c, _ in of(rows, "relays")] == ["Local", "Local"]
    assert rows[-1]["about"].endswith(" by TLS") and "rule any-recipient" in rows[-1]["text"]


def test_who_must_log_in(judge):
    """No recipient was tried, and that is said."""
    code, rows, _ = judge(lambda at: relais.receive("Users", at, allow=INSIDE, tls="required", require_auth=True, auth=["plain"]))
    assert code == 0 and rows[-1]["judgement"] == "closed"
    assert rows[-1]["text"].startswith("no sender is taken: 530 5.7.0 ")


def test_a_port_that_cannot_be_tried(judge):
    """What was not tried is not closed, and the exit code says so."""
    with socket.socket() as taken:
        taken.bind((HOST, 0))  # and nobody listens
        port = taken.getsockname()[1]
        code, rows, node = judge(lambda at: relais.receive("In", at, f"{HOST}:{port}", allow=INSIDE))
    assert code == 75
    assert rows[-1]["judgement"] == "unsure" and rows[-1]["about"] == f"live at {HOST}:{port}"
    assert rows[-1]["text"] == "not tried: no connection: Connection refused"
    assert f"unsure  - (live at {HOST}:{port}): not tried: " in node.text


def test_it_goes_no_further_than_rcpt(judge):
    _, _, node = judge(lambda at: relais.receive("Everybody", at))
    assert node.queued() == 0 and "received id=" not in node.log()
    assert "DATA" not in node.log_of("protocol")


def test_when_the_daemon_is_down(start, folder):
    node = relais.Relais(folder, relais.domain("example.com") + relais.receive("Everybody", f"{HOST}:25"))
    done = node.tool("test-open-relay", check=False)
    assert done.returncode == 1 and "OPEN    Everybody" in done.stdout and "daemon is not running" in done.stderr
