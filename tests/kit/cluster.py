"""Two or more relaisd that keep their messages on two machines (one here), each with a spool of
its own."""
import json
import os
import shutil
import signal

from . import process, relais

# A busy machine, with sanitizers besides, must not take a node that is only slow for a lost one.
STRETCH = min(process.SLOWER, 3)


def time_ms(ms):
    return f"{ms * STRETCH:.0f}ms"


# Lost nodes are missed soon: a test does not wait for a minute.
QUICK = dict(shadow_heartbeat_frequency=time_ms(300), shadow_heartbeat_timeout_interval=time_ms(500),
             shadow_heartbeat_retry_count=3, shadow_copy_timeout=time_ms(1000),
             shadow_acceptance_timeout=time_ms(2000), fence_wait=time_ms(5000))


class Node(relais.Relais):
    """One of a cluster.  TARGETS: where its mail goes to."""

    def __init__(self, folder, number, host="127.0.0.1"):
        self.name = f"ex{number:02d}.test"
        self.host = host
        self.port, self.link_port = process.free_port(host), process.free_port(host)
        folder = os.path.join(str(folder), self.name)
        super().__init__(folder, "", [self.port, self.link_port], base=relais.BASE.replace("relay.test", self.name))
        self.make_key()

    def make_key(self):
        self.pin = json.loads(self.tool("--json", "cluster", "init").stdout)["pin"]

    def address(self):
        return f"{self.host}:{self.link_port}"

    def block(self):
        return relais.block("cluster_node", self.name, address=self.address(), pin=self.pin)

    def configure_in(self, others, send, transport=None, more="", **receive):
        self.configure(relais.receive("In", f"{self.host}:{self.port}", **receive) +
                       relais.block("receive_connector", "Internal", role="internal", bindings=[self.address()]) +
                       "".join(n.block() for n in others) +
                       relais.block("transport", None, **dict(QUICK, **(transport or {}))) + send + more)

    def freeze(self):
        self.process.send_signal(signal.SIGSTOP)

    def thaw(self):
        self.process.send_signal(signal.SIGCONT)

    def lose_spool(self):
        """As if the disk were gone.  It must not run."""
        shutil.rmtree(self.spool)

    # --- Who has what ---

    def shadow(self):
        return self.ask("shadow", do="status")[1]

    def rows(self, which):
        """Copies or messages: held, unclaimed, aside, single."""
        return self.ask("shadow", do="list", which=which, limit=-1)[0]

    def held(self):
        """Ids of the copies it holds for others."""
        return {row["id"] for row in self.rows("held")}

    def ids(self):
        """Ids of the messages it is to deliver."""
        return {row["id"] for row in self.ask("queue")[0] if row.get("status") != "held"}


class Cluster:
    """COUNT nodes; SENDS is a list of each node's send connectors, or one for all.  MORE goes to
    Node.configure_in()."""

    def __init__(self, folder, sends, count=2, more=None, **options):
        self.nodes = [Node(folder, n + 1) for n in range(count)]
        self.sends = [sends] * count if isinstance(sends, str) else list(sends)
        self.options = options
        self.more = more or ""
        for node in self.nodes:
            self.configure(node)

    def configure(self, node, **options):
        at = self.nodes.index(node)
        node.configure_in([n for n in self.nodes if n is not node], self.sends[at],
                          **dict(self.options, more=self.more, **options))

    def start(self):
        for node in self.nodes:
            node.spawn()
        for node in self.nodes:
            node.wait_ready()
        self.wait_together()
        return self

    def wait_together(self, seconds=20):
        """Until each can give its copies to all others."""
        for node in self.nodes:
            process.wait_for(f"{node.name} to see the others", lambda: self._is_together(node), seconds)

    def _is_together(self, node):
        nodes = node.shadow().get("nodes", [])
        return len(nodes) == len(self.nodes) - 1 and all(n["state"] == "live" and n["up"] for n in nodes)

    def __enter__(self):
        return self.start()

    def __exit__(self, kind, error, trace):
        for node in self.nodes:
            if node.process and node.process.poll() is None:
                node.thaw()
                if kind is None:
                    node.stop()
                else:
                    process.end(node.process)
