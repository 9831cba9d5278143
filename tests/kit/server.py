"""Somebody else's server as a child of the test's: started in the foreground, ended by pid."""
import os
import subprocess

from . import process


class Server:
    """FOLDER has its files; its output goes to FOLDER/out.  Whoever inherits says what start() runs (command), and
    where it listens then (listening)."""

    def __init__(self, folder):
        self.folder, self.process = str(folder), None
        os.makedirs(self.folder, exist_ok=True)

    def command(self):
        """Writes the configuration, and returns the words that start it."""
        raise NotImplementedError

    def listening(self):
        """(port, address) of each."""
        raise NotImplementedError

    def start(self):
        command = self.command()
        with open(os.path.join(self.folder, "out"), "ab") as out:
            self.process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=out, stderr=out)
        process.wait_for(f"{command[0]} to listen", self._is_ready)
        return self

    def _is_ready(self):
        if self.process.poll() is not None:
            raise AssertionError(f"{self.process.args[0]} ended: {self._said()}")
        return all(process.listens(port, host) for port, host in self.listening())

    def _said(self):
        said = ""
        for name in ("out", "log"):
            file = os.path.join(self.folder, name)
            if os.path.exists(file):
                with open(file, errors="replace") as f:
                    said += f.read()
        return said

    def stop(self):
        process.end(self.process)

    def __enter__(self):
        return self.start()

    def __exit__(self, *_):
        self.stop()
