"""SP-7, OP-3: the same is seen of the queue with the daemon and without; traces; exit codes (man/relais.1)."""
import json
import os
import re
import shutil
import subprocess

import pytest

from tests.kit import mails, process, relais, sink
from tests.kit.talk import Talk

CONTENTS = {
    "plain": mails.PLAIN,
    "eight bit": mails.eight_bit(),
    "large": mails.big(3_000_000),  # more than one record of the spool
}


def with_log(node, folder, config):
    """The same node, with a log of lines in a file."""
    node.base = node.base.replace("target = stderr", f'target = file\n    file = "{folder}/relais.log"')
    node.configure(config)
    return node


@pytest.fixture(scope="module")
def node(module_folder):
    """Mails of all kinds wait for a host that is down, one is delivered; all is logged into files."""
    port = process.free_port()
    with sink.Sink() as target:
        config = relais.receive("In", f"127.0.0.1:{port}") + \
            relais.send("Dead", spaces=["dead.test"], smart_hosts=[f"[127.0.0.1]:{process.free_port()}"], retry=["1h"]) + \
            relais.send("Out", smart_hosts=[f"[127.0.0.1]:{target.port}"])
        made = with_log(relais.Relais(f"{module_folder}/relais", config, [port]), module_folder, config)
        made.sent, made.lines = {}, f"{module_folder}/relais.log"
        with made:
            with Talk(port) as talk:
                for name, content in CONTENTS.items():
                    made.sent[name] = id_of(talk.send(content, recipients=["b@dead.test"]))
                made.delivered = id_of(talk.send(mails.PLAIN))
            process.wait_for("the first attempt", lambda: all(r.get("last_error") for r in made.ask("queue")[0]))
            process.wait_for("the mail", lambda: target.mails and made.queued() == len(CONTENTS))
            yield made


def id_of(reply):
    return re.fullmatch(r"250 2\.0\.0 .*\b([0-9a-f]{32})", reply)[1]


def tool_bytes(node, *arguments):
    return subprocess.run([process.RELAIS, "-c", node.file, *arguments], stdout=subprocess.PIPE, check=True).stdout


def test_the_same_bytes_running_and_down(node, module_folder):
    running = {name: tool_bytes(node, "message", "export", mid) for name, mid in node.sent.items()}
    shown = {name: tool_bytes(node, "message", "show", "--body", mid) for name, mid in node.sent.items()}
    node.stop()
    try:
        for name, mid in node.sent.items():
            down = tool_bytes(node, "message", "export", mid)
            assert down == running[name], name
            # Our trace field, then what was sent.
            assert down.startswith(b"Received: from client.test") and down.endswith(CONTENTS[name]), name
            assert mid.encode() in down[:len(down) - len(CONTENTS[name])]
            below = b"\n\n"  # what is shown of the envelope may differ: queues are in memory
            assert tool_bytes(node, "message", "show", "--body", mid).split(below, 1)[1] == shown[name].split(below, 1)[1]
        ids = [json.loads(line)["id"] for line in node.tool("--json", "queue").stdout.splitlines()]
        assert sorted(ids) == sorted(node.sent.values())
    finally:
        node.start()


def test_export_into_a_file(node, module_folder):
    path = f"{module_folder}/out.eml"
    node.tool("message", "export", "-o", path, node.sent["plain"])
    with open(path, "rb") as f:
        assert f.read().endswith(mails.PLAIN)
    assert node.tool("message", "export", "-o", path, node.sent["plain"], check=False).returncode != 0, "overwritten"


def test_trace_of_a_session(node):
    with Talk(node.ports[0]) as talk:
        assert talk.say("MAIL FROM:<someone@sender.test>").startswith("250")
        assert talk.say("RCPT TO:<nonsense>")[0] == "5"
        talk.say("QUIT")
    def session():
        found = re.findall(r"^[^,]*,In,([0-9a-f]{16}),.*<someone@sender\.test>", node.log_of("protocol"), re.M)
        return found and found[-1]
    name = process.wait_for("the session in the log", session)
    text = process.wait_for("the whole session", lambda: (t := node.tool("trace", name).stdout) and "disconnect" in t and t)
    lines = [line for line in text.splitlines() if f",{name}," in line]
    assert [line.split(",")[6] for line in lines][0] == "+" and lines[-1].split(",")[6] == "-"
    assert "RCPT TO:<nonsense>" in text and "client=127.0.0.1" in text
    assert all(name in line for line in text.splitlines()), "of another session"
    # As rows for a program.
    rows = [json.loads(line) for line in node.tool("--json", "trace", name).stdout.splitlines()]
    assert len(rows) == len(text.splitlines()) and "RCPT" in "".join(r["line"] for r in rows)


@pytest.mark.parametrize("which", ["waiting", "delivered"])
def test_trace_of_a_message(node, which):
    mid = node.delivered if which == "delivered" else node.sent["plain"]
    text = node.tool("trace", mid).stdout
    assert f"received id={mid}" in text and "250 2.0.0 queued as" in text, text
    # The session that brought it is part of its story.
    assert "EHLO client.test" in text, text
    if which == "delivered":
        assert "status=sent" in text and "to=<b@example.com>" in text


def test_status_for_a_program(node):
    status = json.loads(node.tool("--json", "status").stdout)
    assert status["ok"] and status["healthy"] and status["redundant"] is False and status["messages"] == len(CONTENTS)
    with open(node.lines) as f:
        assert "not_redundant" in f.read()
    assert status["pid"] == node.pid and status["bindings"][0]["open"]
    assert status["spool"]["messages_live"] == len(CONTENTS)
    queue = next(json.loads(line) for line in node.tool("--json", "queues").stdout.splitlines() if '"Dead"' in line)
    assert queue["messages"] == len(CONTENTS) and "4.4.1" in queue["last_error"] and queue["next_attempt_s"] > 0


def test_one_queue_and_a_limit(node):
    assert len(node.tool("--json", "queue", "--limit", "2").stdout.splitlines()) == 2
    assert len(node.tool("--json", "queue", "Dead").stdout.splitlines()) == len(CONTENTS)
    number = next(r["identity"] for r in node.ask("queues")[0] if r["name"] == "Dead")
    assert len(node.tool("--json", "queue", number).stdout.splitlines()) == len(CONTENTS)


NOBODY = "0" * 32

CODES = {  # arguments: code with the daemon, code without
    ("status",): (0, 69),
    ("queue",): (0, 0),
    ("queues",): (0, 69),
    ("queue", "nowhere"): (66, 69),
    ("message", "show", NOBODY): (66, 66),
    ("message", "export", NOBODY): (66, 66),
    ("message", "show", "short"): (64, 64),
    ("retry", NOBODY): (66, 69),
    ("retry", "nowhere"): (66, 69),
    ("retry",): (64, 64),
    ("remove", NOBODY): (66, 69),
    ("remove",): (64, 64),
    ("trace", NOBODY): (66, 69),
    ("trace", "x"): (64, 69),
    ("reload",): (0, 69),
    ("stop",): (None, 69),
    ("spool", "check"): (0, 0),
    ("spool", "check", "/nonexistent"): (66, 66),
    ("check",): (0, 0),
    ("check", "/nonexistent"): (66, 66),
    ("help",): (0, 0),
    ("help", "queue"): (0, 0),
    ("help", "message"): (0, 0),
    ("help", "nonsense"): (64, 64),
    ("--version",): (0, 0),
    (): (64, 64),
}


def test_exit_codes(node):
    wrong = []
    for at in (0, 1):
        if at:
            node.stop()
        for arguments, codes in CODES.items():
            if codes[at] is None:
                continue
            done = node.tool(*arguments, check=False)
            if done.returncode != codes[at] or (done.returncode and not done.stderr):
                wrong.append((arguments, "down" if at else "running", done.returncode, codes[at], done.stderr))
    node.start()
    assert not wrong, "\n".join(map(str, wrong))


def test_a_damaged_copy(node, module_folder):
    """Each part of a message in turn is damaged in a copy of the spool: told, with exit code 65, and
    the others are still read."""
    node.stop()
    try:
        assert "0 damaged" in node.tool("spool", "check", node.spool).stdout
        for needle in (b"Subject: plain", mails.eight_bit()[-60:], mails.big(3_000_000)[2_000_000:2_000_050]):
            copy = f"{module_folder}/copy"
            shutil.copytree(node.spool, copy)
            flip(copy, needle)
            done = node.tool("spool", "check", copy, check=False)
            assert done.returncode == 65 and "damage" in (done.stdout + done.stderr).lower(), done
            rows = node.tool("--json", "--spool", copy, "queue", check=False).stdout.splitlines()
            assert len(rows) >= len(CONTENTS) - 1, rows
            shutil.rmtree(copy)
    finally:
        node.start()


def flip(folder, needle):
    for name in sorted(os.listdir(folder)):
        with open(os.path.join(folder, name), "r+b") as f:
            content = f.read()
            at = content.find(needle)
            if at >= 0:
                f.seek(at)
                f.write(bytes([content[at] ^ 1]))
                return
    raise AssertionError("not in the spool")


def test_remove_a_queue(start):
    port = process.free_port()
    node = start(relais.receive("In", f"127.0.0.1:{port}") +
                 relais.send("Dead", smart_hosts=[f"[127.0.0.1]:{process.free_port()}"], retry=["1h"]), port)
    with Talk(port) as talk:
        for _ in range(10):
            assert talk.send(mails.PLAIN).startswith("250")
    node.wait_log("hop_down")
    process.wait_for("all to wait", lambda: all(r["status"] == "retry" for r in node.ask("queue")[0]))
    node.tool("remove", "--queue", "Dead")
    assert node.queued() == 0
    node.kill()
    node.start()
    assert node.queued() == 0, "came back after a crash"


def test_stop(start):
    port = process.free_port()
    node = start(relais.receive("In", f"127.0.0.1:{port}"), port)
    node.tool("stop")
    assert node.process.wait(15 * process.SLOWER) == 0
