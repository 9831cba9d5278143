"""A private NSD that serves zones of the test's, signed or not, on a loopback address."""
import os
import subprocess

from . import process
from .server import Server

CONFIG = """\
server:
    ip-address: {host}@{port}
    server-count: 1
    username: ""
    zonesdir: "{folder}"
    pidfile: ""
    database: ""
    xfrdfile: ""
    zonelistfile: "{folder}/zone.list"
    logfile: "{folder}/log"
    hide-version: yes
remote-control:
    control-enable: no
"""

HEAD = """\
$ORIGIN {name}.
$TTL 60
@ IN SOA ns hostmaster 1 3600 600 86400 60
@ IN NS ns
ns IN A {host}
"""


class Nsd(Server):
    """ANCHORS is the file a validating resolver begins with."""

    def __init__(self, folder, host="127.84.2.1"):
        super().__init__(os.path.join(str(folder), "nsd"))
        self.host, self.port, self.zones = host, process.free_port(), []
        self.anchors = os.path.join(self.folder, "anchors")
        open(self.anchors, "w").close()

    @property
    def server(self):
        """As a dns block of relaisd names it."""
        return f"{self.host}@{self.port}"

    def _key(self, name):
        return subprocess.run(["ldns-keygen", "-r", "/dev/urandom", "-a", "ECDSAP256SHA256", "-k", name], check=True,
                              cwd=self.folder, stdout=subprocess.PIPE, text=True).stdout.strip()

    def zone(self, name, records, signed=True, forged=False):
        """RECORDS are lines of a zone file.  FORGED: signed by another key than the anchor."""
        file = os.path.join(self.folder, name)
        with open(file, "w") as f:
            f.write(HEAD.format(name=name, host=self.host) + "\n".join(records) + "\n")
        if signed:
            key = self._key(name)
            with open(self.anchors, "a") as anchors, open(os.path.join(self.folder, key + ".key")) as f:
                anchors.write(f.read())
            if forged:
                key = self._key(name)
            subprocess.run(["ldns-signzone", "-f", file + ".signed", file, key], check=True, cwd=self.folder)
            file += ".signed"
        self.zones.append((name, file))

    def command(self):
        config = os.path.join(self.folder, "nsd.conf")
        with open(config, "w") as f:
            f.write(CONFIG.format(host=self.host, port=self.port, folder=self.folder))
            for name, file in self.zones:
                f.write(f'zone:\n    name: "{name}"\n    zonefile: "{file}"\n')
        return ["/usr/sbin/nsd", "-d", "-c", config]

    def listening(self):
        return [(self.port, self.host)]
