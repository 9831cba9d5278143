"""RC-11, SC-6, OP-1: a reload changes all of it at once, or nothing of it."""
import os
import shutil

import pytest

from tests.kit import certificate, mails, process, relais, sink
from tests.kit.talk import Talk


def send(port, count=1, recipient="b@example.com"):
    with Talk(port) as talk:
        for _ in range(count):
            assert talk.send(mails.PLAIN, recipients=[recipient]).startswith("250 2.")


def reload_by_signal(node):
    seen = node.log().count("reloaded ")
    node.reload()
    process.wait_for("the reload", lambda: node.log().count("reloaded ") > seen)


def reload_by_tool(node):
    node.tool("reload")


BOTH = pytest.mark.parametrize("again", [reload_by_signal, reload_by_tool], ids=["SIGHUP", "tool"])


@BOTH
def test_queued_mail_follows_a_changed_route(start, again):
    """SC-6: at once, though its next attempt was an hour away."""
    port = process.free_port()
    receive = relais.receive("In", f"127.0.0.1:{port}")
    with sink.Sink() as target:
        node = start(receive + relais.send("Out", smart_hosts=[f"[127.0.0.1]:{process.free_port()}"], retry=["1h"]), port)
        send(port, 50)
        node.wait_log("hop_down")
        node.configure(receive + relais.send("Out", smart_hosts=[f"[127.0.0.1]:{target.port}"], retry=["1h"]))
        again(node)
        process.wait_for("50 mails", lambda: len(target.mails) == 50, 5)
        node.wait_empty()


@BOTH
def test_from_unreachable_to_a_new_connector(start, again):
    """SC-2: what had no way out has one now; what lost its connector keeps waiting for one."""
    port = process.free_port()
    receive = relais.receive("In", f"127.0.0.1:{port}")
    with sink.Sink() as target:
        node = start(receive, port)
        send(port, 20)
        assert {r["status"] for r in node.ask("queue")[0]} == {"unreachable"}
        node.configure(receive + relais.send("New", smart_hosts=[f"[127.0.0.1]:{target.port}"]))
        again(node)
        process.wait_for("20 mails", lambda: len(target.mails) == 20, 5)
        node.wait_empty()
        node.configure(receive)
        again(node)
        send(port, 5)
        assert {r["status"] for r in node.ask("queue")[0]} == {"unreachable"} and node.queued() == 5


def test_refused_mail_follows_too(start):
    """A message that waits after a 4xx, one recipient of two left."""
    port = process.free_port()
    receive = relais.receive("In", f"127.0.0.1:{port}")

    def answer(stage, text):
        return "450 4.2.1 later" if stage == "rcpt" and "slow" in text else None
    with sink.Sink(answer=answer) as old, sink.Sink() as new:
        node = start(receive + relais.send("Old", smart_hosts=[f"[127.0.0.1]:{old.port}"], message_retry="1h"), port)
        with Talk(port) as talk:
            assert talk.send(mails.PLAIN, recipients=["fast@example.com", "slow@example.com"]).startswith("250")
        process.wait_for("the refusal", lambda: any(r.get("last_error") for r in node.ask("queue")[0]))
        node.configure(receive + relais.send("New", smart_hosts=[f"[127.0.0.1]:{new.port}"]))
        node.tool("reload")
        process.wait_for("the mail", lambda: new.mails)
        assert [m.recipients for m in old.mails + new.mails] == [["fast@example.com"], ["slow@example.com"]]
        node.wait_empty()


def test_under_way_meanwhile(start):
    """A delivery of before the reload ends as it began: once."""
    import threading
    port, release = process.free_port(), threading.Event()
    receive = relais.receive("In", f"127.0.0.1:{port}")

    def answer(stage, text):
        if stage == "dot":
            release.wait(30)
    with sink.Sink(answer=answer) as old, sink.Sink() as new:
        node = start(receive + relais.send("Old", smart_hosts=[f"[127.0.0.1]:{old.port}"]), port)
        send(port)
        process.wait_for("the content", lambda: any(c.startswith(b"DATA") for c in old.commands))
        node.configure(receive + relais.send("New", smart_hosts=[f"[127.0.0.1]:{new.port}"]))
        node.tool("reload")
        send(port)
        process.wait_for("the new mail, by the new way", lambda: new.mails)
        release.set()
        node.wait_empty()
        assert len(old.mails) == len(new.mails) == 1


def test_sessions_go_on_when_connectors_come_and_go(start):
    """RC-11: a session in the middle of a mail, one connector added, another one removed."""
    port, second, third = (process.free_port() for _ in range(3))
    with sink.Sink() as target:
        out = relais.send("Out", smart_hosts=[f"[127.0.0.1]:{target.port}"])
        first = relais.receive("First", f"127.0.0.1:{port}", banner="%{connector}")
        node = start(first + relais.receive("Second", f"127.0.0.1:{second}") + out, port, second)
        with Talk(port) as stays, Talk(second) as removed:
            for talk in (stays, removed):
                talk.say("MAIL FROM:<a@sender.test>")
                talk.say("RCPT TO:<b@example.com>")
                assert talk.say("DATA").startswith("354")
                talk.raw(b"Subject: half\r\n\r\n")
            node.configure(first + relais.receive("Third", f"127.0.0.1:{third}", banner="%{connector}") + out)
            node.tool("reload")
            process.wait_for("the new binding", lambda: process.listens(third))
            process.wait_for("the old one to close", lambda: not process.listens(second))
            with Talk(third, hello=False) as talk:
                assert talk.banner == "220 Third"
            for talk in (stays, removed):
                talk.raw(b"the other half\r\n.\r\n")
                assert talk.reply().startswith("250 2.")
        process.wait_for("both", lambda: len(target.mails) == 2)


def test_disabled_and_enabled(start):
    port = process.free_port()
    block = relais.receive("In", f"127.0.0.1:{port}")
    other = relais.receive("Other", f"127.0.0.1:{process.free_port()}")
    node = start(block + other, port)
    node.configure(block.replace("{\n", "{\n    enabled = no\n", 1) + other)
    node.tool("reload")
    process.wait_for("it to close", lambda: not process.listens(port))
    node.configure(block + other)
    node.tool("reload")
    process.wait_for("it to open", lambda: process.listens(port))


def bad_files(folder, good):
    """Mistakes that are found when the file is read, and those found when it is put to use."""
    pair = certificate.make(folder, "other.test")
    own, other = certificate.make(folder, "own.test"), pair
    broken = f"{folder}/broken.crt"
    with open(broken, "w") as f:
        f.write("-----BEGIN CERTIFICATE-----\nnonsense\n-----END CERTIFICATE-----\n")

    def tls(certificate_file, key):
        return good.replace('receive_connector "In" {\n',
                            f'receive_connector "In" {{\n    certificate = "{certificate_file}"\n    key = "{key}"\n')
    return {
        "no such certificate": tls(f"{folder}/none.crt", own[1]),
        "not a certificate": tls(broken, own[1]),
        "key of another": tls(own[0], other[1]),
        "no such key": tls(own[0], f"{folder}/none.key"),
        "syntax": good + "receive_connector {",
    }


def test_a_bad_file_keeps_the_old(start, folder):
    port = process.free_port()
    with sink.Sink() as target:
        node = start(relais.receive("In", f"127.0.0.1:{port}") + relais.send("Out", smart_hosts=[f"[127.0.0.1]:{target.port}"]),
                     port)
        with open(node.file) as f:
            good = f.read()
        for count, (name, text) in enumerate(bad_files(folder, good).items(), 1):
            with open(node.file, "w") as f:
                f.write(text)
            done = node.tool("reload", check=False)
            assert done.returncode == 78 and done.stderr, (name, done)
            assert node.status()["revision"] == 1, name
            send(port)
            process.wait_for(f"a mail after: {name}", lambda: len(target.mails) == count)
        assert node.log().count("reload_failed") == count
        with open(node.file, "w") as f:
            f.write(good)
        node.tool("reload")
        assert node.status()["healthy"]


def test_a_new_certificate(start, folder):
    """The file is read again, though its name is the same; a session of before keeps the old one."""
    import ssl
    port = process.free_port()
    first, second = certificate.make(folder, "first.test"), certificate.make(folder, "second.test")
    for old, new in zip(first, ("crt", "key")):
        shutil.copy(old, f"{folder}/used.{new}")
    node = start(relais.receive("In", f"127.0.0.1:{port}", certificate=f"{folder}/used.crt", key=f"{folder}/used.key"), port)

    def shown():
        with Talk(port) as talk:
            assert talk.say("STARTTLS").startswith("220")
            inside = ssl._create_unverified_context().wrap_socket(talk.socket)
            return ssl.DER_cert_to_PEM_cert(inside.getpeercert(True))
    assert shown() == open(first[0]).read()
    for old, new in zip(second, ("crt", "key")):
        shutil.copy(old, f"{folder}/used.{new}")
    node.tool("reload")
    assert shown() == open(second[0]).read()


def test_another_log_file(start, folder):
    port = process.free_port()
    node = relais.Relais(f"{folder}/logging", "", [port])
    base = node.base

    def use(name):
        node.base = base.replace("target = stderr", f'target = file\n    file = "{folder}/{name}"') \
            .replace("protocol.log", f"{name}.protocol")
        node.configure(relais.receive("In", f"127.0.0.1:{port}"))

    def has(name, word):
        with open(f"{folder}/{name}") as f:
            return word in f.read()
    use("one")
    with node:
        send(port)
        process.wait_for("the line", lambda: has("one", "received id="))
        use("two")
        node.tool("reload")
        send(port, recipient="second@example.com")
        process.wait_for("the line", lambda: has("two", "received id="))
        process.wait_for("the dialogue", lambda: has("logging/two.protocol", "second@example.com"))
        assert not has("logging/one.protocol", "second@example.com")
        # As logrotate does: the file is moved away, and made anew.
        os.rename(f"{folder}/two", f"{folder}/two.away")
        node.tool("reload")
        send(port)
        process.wait_for("the new file", lambda: os.path.exists(f"{folder}/two") and has("two", "received id="))


def test_a_log_that_cannot_be_opened(start, folder):
    """The rest is taken; the log goes on as before, and who asked is told."""
    port = process.free_port()
    node = start(relais.receive("In", f"127.0.0.1:{port}", banner="%{connector}"), port)
    node.base = node.base.replace("target = stderr", f'target = file\n    file = "{folder}"')
    node.configure(relais.receive("New", f"127.0.0.1:{port}", banner="%{connector}"))
    assert "the logs go on as before" in node.tool("reload").stderr
    with Talk(port, hello=False) as talk:
        assert talk.banner == "220 New"
    node.wait_log("connector=New")


def test_what_counts_only_at_the_start(start):
    """The daemon goes on with the old ones, and says so each time."""
    port = process.free_port()
    block = relais.receive("In", f"127.0.0.1:{port}")
    node = start(block, port)
    good = node.base
    node.base = good.replace(node.spool, f"{node.folder}/elsewhere/spool").replace("/control", "/other")
    node.configure(block)
    for _ in range(2):
        done = node.tool("--socket", f"{node.folder}/control", "reload")
        assert done.stdout == "reloaded\n"
        for option, old in (("control_socket", f"{node.folder}/control"), ("folder", node.spool),
                            ("state_folder", node.folder)):
            assert f"'{option}' counts only when the daemon starts; until then it stays {old}" in done.stderr, done
    assert node.log().count("'control_socket' counts only") == 2
    send(port)
    assert node.queued() == 1 and not os.path.exists(f"{node.folder}/elsewhere")
    node.base = good
    node.configure(block)
    assert "starts" not in node.tool("reload").stderr


def test_a_binding_that_is_in_use(start):
    """RC-10, at a reload: the connector that cannot have it is told, and has it once it is free."""
    import socket
    port = process.free_port()
    taken = socket.create_server(("127.0.0.1", 0))
    taken_port = taken.getsockname()[1]
    good = relais.receive("Good", f"127.0.0.1:{port}")
    node = start(good, port)
    node.configure(good + relais.receive("Late", f"127.0.0.1:{taken_port}", banner="%{connector}"))
    node.tool("reload")
    status = node.status()
    assert not status["healthy"]
    assert {b["connector"]: b["open"] for b in status["bindings"]} == {"Good": True, "Late": False}
    assert [b["error"] for b in status["bindings"] if not b["open"]] != [""]
    send(port)
    taken.close()
    process.wait_for("it to be healthy", lambda: node.status()["healthy"], 60)
    with Talk(taken_port, hello=False) as talk:
        assert talk.banner == "220 Late"


def test_reloads_under_load(start):
    """Fifty reloads while mail flows: none is lost, none comes twice."""
    import threading
    port = process.free_port()
    receive = relais.receive("In", f"127.0.0.1:{port}")
    with sink.Sink() as one, sink.Sink() as two:
        def route(target):
            return receive + relais.send("Out", smart_hosts=[f"[127.0.0.1]:{target.port}"])
        node = start(route(one), port)
        failures = []

        def client():
            try:
                send(port, 200)
            except Exception as e:  # shown below
                failures.append(e)
        threads = [threading.Thread(target=client) for _ in range(4)]
        for t in threads:
            t.start()
        for n in range(50):
            node.configure(route((two, one)[n % 2]))
            node.tool("reload")
        for t in threads:
            t.join()
        assert not failures
        node.wait_empty()
        assert len(one.mails) + len(two.mails) == 800
