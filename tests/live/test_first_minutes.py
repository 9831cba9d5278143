"""PR-6: what a stranger does first: `make run`, a mail, and a look."""
import glob
import os
import re
import subprocess

import pytest

from tests.kit import process

RUN = os.path.join(process.TOP, "tools", "run-local")


class Terminal:
    """`make run` in a terminal: what it says, until it is told to stop."""

    def __init__(self, folder, **variables):
        self.folder = os.path.join(folder, "run")
        self.said = os.path.join(folder, "said")
        with open(self.said, "w") as out:
            self.process = subprocess.Popen([RUN], stdout=out, stderr=out, cwd=folder, env=dict(
                os.environ, RUN=self.folder, BUILD=process.BUILD, **variables))

    def __enter__(self):
        process.wait_for("it to listen", lambda: "started version=" in self.text() or self.process.poll() is not None)
        assert self.process.poll() is None, self.text()
        return self

    def __exit__(self, *_):
        assert process.end(self.process) == 0, self.text()

    def text(self):
        with open(self.said) as file:
            return file.read()

    def commands(self):
        """What it says to type; a pipe goes on in the next line."""
        return re.findall(r"^    (\S[^\n]*?(?:\|\n[^\n]*)?)$", self.text(), re.M)

    def mails(self):
        return [open(path).read() for path in glob.glob(os.path.join(self.folder, "Maildir", "new", "*"))]


def shell(command):
    return subprocess.run(["sh", "-c", command], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, cwd=process.TOP,
                          timeout=60)


def test_what_it_says_to_type_works(folder):
    with Terminal(folder, PORT=str(process.free_port())) as run:
        typed = {name: next(c for c in run.commands() if word in c) for name, word in (
            ("curl", "curl"), ("swaks", "swaks"), ("status", " status"), ("explain", " explain "))}
        for name in ("curl", "swaks"):
            done = shell(typed[name])
            assert done.returncode == 0, done.stdout
        process.wait_for("both mails", lambda: len(run.mails()) == 2)
        assert any("Subject: hello\n\nHello.\n" in mail for mail in run.mails())
        assert "NOT redundant" in shell(typed["status"]).stdout
        explained = shell(typed["explain"])
        assert explained.returncode == 77 and "550 5.7.54 " in explained.stdout, explained.stdout
        # All of it lies in that folder.
        assert {"Maildir", "protocol.log", "relais.conf", "spool", "tracking.log"} <= set(os.listdir(run.folder))


@pytest.mark.parametrize("again", ["the same port", "another port"])
def test_a_second_time(folder, again):
    """The file is kept, and what is printed is what is so."""
    first, second = process.free_port(), process.free_port()
    with Terminal(folder, PORT=str(first)) as run:
        with open(os.path.join(run.folder, "relais.conf"), "a") as file:
            file.write('accepted_domain "mine.test" { }\n')
    with Terminal(folder, **({"PORT": str(second)} if again == "another port" else {})) as run:
        port = second if again == "another port" else first
        assert process.listens(port) and f"A relay on 127.0.0.1:{port}." in run.text()
        assert "mine.test" in open(os.path.join(run.folder, "relais.conf")).read()
