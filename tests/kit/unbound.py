"""A private unbound that answers for zones of the test's, on a loopback port, and asks nobody."""
import os
import signal

from . import process
from .server import Server

CONFIG = """\
server:
    interface: 127.0.0.1
    port: {port}
    username: ""
    chroot: ""
    directory: "{folder}"
    pidfile: ""
    use-syslog: no
    logfile: "{folder}/log"
    do-daemonize: no
    do-ip6: no
    module-config: "iterator"
    do-not-query-localhost: no
    outbound-msg-retry: 1
    local-zone: "example." static
{data}
remote-control:
    control-enable: no
forward-zone:
    name: "."
    forward-addr: 127.0.0.1@{nobody}
"""


class Unbound(Server):
    """RECORDS are lines of a zone file below "example.": what is not among them is not there.
    REFUSED are names it gives no answer about, and everything else outside is SERVFAIL."""

    def __init__(self, folder, records, refused=()):
        super().__init__(folder)
        self.port, self.nobody, self.refused = process.free_port(), process.free_port(), refused
        self.config = os.path.join(self.folder, "unbound.conf")
        self.write(records)

    def write(self, records):
        data = "".join(f'    local-zone: "{name}" always_refuse\n' for name in self.refused)
        data += "".join(f"    local-data: '{record}'\n" for record in records)
        with open(self.config, "w") as f:
            f.write(CONFIG.format(folder=self.folder, port=self.port, data=data, nobody=self.nobody))

    def change(self, records):
        """Other records, soon: it reads them in its own time."""
        self.write(records)
        self.process.send_signal(signal.SIGHUP)

    @property
    def server(self):
        """As a dns block of relaisd names it."""
        return f"127.0.0.1@{self.port}"

    def command(self):
        return ["/usr/sbin/unbound", "-d", "-c", self.config]

    def listening(self):
        return [(self.port, "127.0.0.1")]
