"""What the tool does with a configuration that has mistakes, or is not there."""
import os

import pytest

from tests.kit import mails, process, relais
from tests.kit.talk import Talk

CONFIG, NO_INPUT, DOWN = 78, 66, 69


@pytest.fixture
def node(start):
    """A relay with a mail that waits, and a socket that is not the default."""
    port = process.free_port()
    node = start(relais.receive("In", f"127.0.0.1:{port}"), port)
    with Talk(port) as talk:
        assert talk.send(mails.PLAIN, recipients=["b@example.com"]).startswith("250")
    return node


def spoil(node, text="receive_connector {\n"):
    with open(node.file, "a") as f:
        f.write(text)


@pytest.mark.parametrize("mistake", ["receive_connector {\n", "nonsense = 1\n",
                                     'receive_connector "X" { certificate = "/nowhere/x.pem" }\n'])
def test_the_daemon_is_found(node, mistake):
    spoil(node, mistake)
    done = node.tool("reload", check=False)
    assert done.returncode == CONFIG and "has mistakes" in done.stderr and "(see: relais check)" in done.stderr
    assert "error:" in done.stderr and "defaults" not in done.stderr
    for command in (["status"], ["queue"], ["explain"], ["track", "--recipient", "b@example.com"]):
        done = node.tool(*command)
        assert done.stdout and done.stderr.count("see: relais check") == 1, (command, done)
    assert "b@example.com" in node.tool("queue").stdout
    assert node.status()["revision"] == 1


def test_with_the_daemon_down(node):
    """The spool is still known; what takes the whole file is refused, and so is what hides a path."""
    node.stop()
    spoil(node)
    done = node.tool("queue")
    assert "b@example.com" in done.stdout and f"reading the spool {node.spool}" in done.stderr
    done = node.tool("explain", check=False)
    assert done.returncode == CONFIG and not done.stdout and "error:" in done.stderr
    assert "this is what the configuration file says" not in done.stderr
    assert node.tool("reload", check=False).returncode == DOWN
    with open(node.file, "w") as f:
        f.write(node.base.replace("folder =", "folder").replace("control_socket =", "control_socket"))
    for command in ("stop", "queue", "status"):
        done = node.tool(command, check=False)
        assert done.returncode == CONFIG and "control_socket" in done.stderr and "/run/relais" not in done.stderr, done
    done = node.tool("--socket", f"{node.folder}/control", "queue", check=False)
    assert done.returncode == CONFIG and "--spool FOLDER" in done.stderr, done
    assert "b@example.com" in node.tool("--socket", f"{node.folder}/control", "--spool", node.spool, "queue").stdout


@pytest.mark.parametrize("command", [["status"], ["queue"], ["stop"], ["reload"], ["explain"], ["track"], ["check"],
                                     ["spool", "check"], ["cluster", "show"], ["user", "list"], ["metrics"]])
def test_a_file_that_is_not_there(node, command):
    """It is never another relay's daemon that is asked: not even by a socket that is given."""
    kept, node.file = node.file, os.path.join(node.folder, "typo.conf")
    for more in ([], ["--socket", f"{node.folder}/control"]):
        done = node.tool(*more, *command, check=False)
        assert done.returncode == NO_INPUT and "typo.conf: no such thing" in done.stderr, done
        assert not done.stdout and "defaults" not in done.stderr
    node.file = kept
    assert node.status()["ok"]


def test_help_without_the_file(node):
    node.file = "/nowhere/x.conf"
    assert "usage" in node.tool("status", "--help").stdout
