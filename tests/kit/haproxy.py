"""A private HAProxy: TCP in front of relays, with PROXY headers or without."""
import csv
import os
import socket

from . import process
from .server import Server

CONFIG = """\
global
    maxconn 200
    stats socket {folder}/stats mode 600 level admin
defaults
    mode tcp
    timeout connect 5s
    timeout check 10s
    timeout client 60s
    timeout server 60s
"""


class HAProxy(Server):
    """listen(name, ...) adds a port that is handed on; then start()."""

    def __init__(self, folder, host):
        super().__init__(os.path.join(str(folder), "haproxy"))
        self.host, self.ports = host, {}
        self.file = os.path.join(self.folder, "haproxy.cfg")
        self.config = CONFIG.format(folder=self.folder)

    def listen(self, name, server, *more):
        """SERVER is the rest of the line `server`, address first; MORE are further lines."""
        port = self.ports[name] = process.free_port(self.host)
        self.config += "\n".join([f"listen {name}", f"    bind {self.host}:{port}", *(f"    {line}" for line in more),
                                  f"    server relay {server} source {self.host}", ""])
        return port

    def command(self):
        with open(self.file, "w") as f:
            f.write(self.config)
        return ["/usr/sbin/haproxy", "-db", "-f", self.file]

    def listening(self):
        return [(port, self.host) for port in self.ports.values()]

    def stats(self, server="relay"):
        """Of that server, by the name of the port: a dictionary as `show stat` has it."""
        with socket.socket(socket.AF_UNIX) as s:
            s.settimeout(20)
            s.connect(os.path.join(self.folder, "stats"))
            s.sendall(b"show stat\n")
            text = s.makefile().read().lstrip("# ")
        return {row["pxname"]: row for row in csv.DictReader(text.splitlines()) if row["svname"] == server}
