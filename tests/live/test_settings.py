"""OP-1: every mistake is told, and a bad file never replaces a good running one."""
import os

from tests.kit import mails, process, relais, sink
from tests.kit.talk import Talk

BAD = {
    "unknown option": ('colour = "red"\n', "colour"),
    "no end of a block": ('receive_connector "X" {\n', "}"),
    "no range": ('receive_connector "X" { bindings = { "127.0.0.1:2525" } remote_ranges = { "10.0.0.1/8" } }\n', "10.0.0.0/8"),
    "no way to deliver": ('send_connector "X" { address_spaces = { "*" } }\n', "no way to deliver"),
}


def test_each_mistake_has_file_line_and_hint(folder):
    for name, (text, word) in BAD.items():
        file = os.path.join(folder, "bad.conf")
        node = relais.Relais(folder, "")
        with open(file, "w") as f:
            f.write("# first line\n" + text)
        node.file = file
        done = node.tool("check", check=False)
        told = done.stdout + done.stderr
        assert done.returncode == 78, (name, done.returncode, told)
        assert "bad.conf:2" in told and word in told, (name, told)


def test_reload_changes_what_is_in_the_file(start):
    port, other = process.free_port(), process.free_port()
    node = start(relais.receive("First", f"127.0.0.1:{port}", banner="%{connector}"), port)
    with Talk(port) as old:
        node.configure(relais.receive("Second", f"127.0.0.1:{other}", banner="%{connector}"))
        node.reload()
        process.wait_for("the new binding", lambda: process.listens(other))
        with Talk(other, hello=False) as talk:
            assert talk.banner == "220 Second"
        process.wait_for("the old binding to close", lambda: not process.listens(port))
        assert old.say("NOOP").startswith("250"), "a running session is not dropped"


def test_a_bad_file_changes_nothing(start):
    port = process.free_port()
    with sink.Sink() as target:
        good = relais.receive("In", f"127.0.0.1:{port}") + relais.send("Out", smart_hosts=[f"[127.0.0.1]:{target.port}"])
        node = start(good, port)
        revision = node.status()["revision"]
        for text, _ in BAD.values():
            with open(node.file, "w") as f:
                f.write(text)
            seen = node.log().count("reload")
            node.reload()
            process.wait_for("the refusal", lambda: node.log().count("reload") > seen)
        assert node.status()["revision"] == revision
        assert "; hint: one of smart_hosts" in node.log()
        assert "\\x0a" not in node.log(), "a notice and its hint are one line"
        with Talk(port) as talk:
            assert talk.send(mails.PLAIN).startswith("250 2.")
        process.wait_for("the mail", lambda: target.mails)


def test_a_binding_in_use_degrades_that_connector_alone(start):
    """RC-10."""
    import socket
    taken = socket.create_server(("127.0.0.1", 0))
    port, taken_port = process.free_port(), taken.getsockname()[1]
    node = start(relais.receive("Good", f"127.0.0.1:{port}") + relais.receive("Bad", f"127.0.0.1:{taken_port}"), port)
    node.wait_log(f"{taken_port}")
    assert node.status()["healthy"] is False
    with Talk(port) as talk:
        assert talk.say("NOOP").startswith("250")
    taken.close()

    def answers():
        try:
            with Talk(taken_port) as talk:
                return talk.say("NOOP").startswith("250")
        except OSError:
            return False
    process.wait_for("the binding to be opened after all", answers, 90)
