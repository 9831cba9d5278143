"""Two or three nodes, each in a network namespace of its own, a third one with clients and a sink for each
node; a link between the nodes that can be cut alone; spools in a memory of their own that can be full.

     clients, sinks (hub) --- node 1
                |               |   the nodes' own link
                +------------ node 2                                                             """
import errno
import json
import os
import random
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time

import harness  # noqa: F401  (finds tests.kit)
from tests.kit import cluster, process, relais

SPOOL_BYTES = 192 << 20
SESSIONS = 50  # all nodes together
# The shortest sensible: a dead node is missed after two seconds.
TRANSPORT = dict(shadow_heartbeat_frequency="500ms", shadow_heartbeat_timeout_interval="1s",
                 shadow_heartbeat_retry_count=2, shadow_copy_timeout="1s", shadow_acceptance_timeout="3s",
                 fence_wait="10s", audit_after="5s", unclaimed_hold="5s",
                 shadow_message_auto_discard_interval="35s")
TAKE_OVER_SECONDS = 2.0
NAMES = ("d1", "d2", "d3", "d4", "d6")


def ip(*words):
    subprocess.run(["ip", *words], check=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)


class Network:
    """HUB reaches node N at 10.46.N.1 (it is 10.46.N.9 itself); the nodes see one another as 10.46.0.N."""

    def __init__(self, count=2):
        tag = f"rs{os.getpid()}"
        self.hub, self.names = f"{tag}h", [f"{tag}n{n + 1}" for n in range(count)]
        for name in [self.hub, *self.names]:
            ip("netns", "add", name)
            ip("-n", name, "link", "set", "lo", "up")
        ip("-n", self.hub, "link", "add", "nodes", "type", "bridge")
        ip("-n", self.hub, "link", "set", "nodes", "up")
        for n, name in enumerate(self.names, 1):
            ip("link", "add", "hub", "netns", name, "type", "veth", "peer", "name", f"n{n}", "netns", self.hub)
            ip("link", "add", "nodes", "netns", name, "type", "veth", "peer", "name", f"l{n}", "netns", self.hub)
            ip("-n", self.hub, "link", "set", f"l{n}", "master", "nodes", "up")
            for where, link, address in ((name, "hub", f"10.46.{n}.1/24"), (self.hub, f"n{n}", f"10.46.{n}.9/24"),
                                         (name, "nodes", f"10.46.0.{n}/24")):
                ip("-n", where, "addr", "add", address, "dev", link)
                ip("-n", where, "link", "set", link, "up")

    def within(self, number):
        return ["ip", "netns", "exec", self.names[number]]

    def cut(self, number, is_cut=True):
        """Node NUMBER's link to the others: what is sent is lost, nobody is told."""
        ip("-n", self.hub, "link", "set", f"l{number + 1}", "nomaster" if is_cut else "master",
           *([] if is_cut else ["nodes"]))

    def close(self):
        for name in [self.hub, *self.names]:
            subprocess.run(["ip", "netns", "del", name])


class Node(cluster.Node):
    """Like those of the live tests, in a namespace; the spool in a small file system of its own."""

    def __init__(self, folder, number, network):
        self.name = f"ex{number:02d}.test"
        self.prefix = network.within(number - 1)
        self.hub_host, self.host = f"10.46.{number}.1", f"10.46.0.{number}"
        self.port, self.link_port = 25, 2525
        folder = os.path.join(str(folder), self.name)
        relais.Relais.__init__(self, folder, "", [], segment="1M", base=relais.BASE.replace("relay.test", self.name))
        self.make_key()
        os.makedirs(self.spool, exist_ok=True)
        subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={SPOOL_BYTES},mode=700", "relais-spool", self.spool],
                       check=True)
        self.loops = 1
        self.twice, self.said = dict.fromkeys(NAMES, 0), dict.fromkeys(NAMES, 0)

    def configure_in(self, others, send, transport=None, more="", **receive):
        self.configure(relais.receive("In", f"{self.hub_host}:{self.port}", protocol_log=False, **receive) +
                       relais.block("receive_connector", "Internal", role="internal", bindings=[self.address()]) +
                       "".join(n.block() for n in others) + relais.block("transport", None, **transport) + send + more +
                       relais.block("limits", None, loops=self.loops))

    def start(self, seconds=60):
        self.spawn_again()
        self.wait_ready(seconds)
        return self

    def spawn_again(self):
        """Without waiting for it."""
        self.said = dict.fromkeys(NAMES, 0)
        self.spawn(prefix=self.prefix)

    def kill(self):
        """Returns the time of it."""
        self.look()
        killed = time.time()
        super().kill()
        return killed

    def look(self):
        """Its own count of what may be there twice, over all its lives."""
        if self.process.poll() is not None:
            return
        try:
            now = self.shadow()["maybe_twice"]
        except (OSError, AssertionError):
            return
        for name in NAMES:
            self.twice[name] += max(0, now[name] - self.said[name])
            self.said[name] = now[name]

    def lose_spool(self):
        for name in os.listdir(self.spool):
            path = os.path.join(self.spool, name)
            shutil.rmtree(path) if os.path.isdir(path) else os.remove(path)

    def fill_spool(self):
        """Nothing more fits on its disk."""
        with open(os.path.join(self.spool, "ballast"), "wb", buffering=0) as f:
            try:
                while True:
                    f.write(bytes(1 << 20))
            except OSError as e:
                if e.errno != errno.ENOSPC:
                    raise

    def empty_spool(self):
        os.remove(os.path.join(self.spool, "ballast"))

    def close(self):
        if self.process and self.process.poll() is None:
            self.process.send_signal(signal.SIGCONT)
            process.end(self.process)
        subprocess.run(["umount", "-l", self.spool])


class Rig:
    """RATE: messages a second in all."""

    def __init__(self, args, rate, nodes=2):
        signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # what was made is taken away again
        self.seed = args.seed if args.seed is not None else random.SystemRandom().randint(1, 10 ** 9)
        self.dice = random.Random(self.seed)
        self.folder = os.path.abspath(args.folder) if args.folder else tempfile.mkdtemp(prefix="relais-shadow-")
        self.is_kept = bool(args.folder)
        os.makedirs(self.folder, exist_ok=True)
        if os.listdir(self.folder):
            sys.exit(f"{self.folder} is not empty")
        self.rate = rate
        self.loads, self.load_files, self.sinks = [], [], []
        self.network = Network(nodes)
        try:
            self.nodes = [Node(self.folder, n + 1, self.network) for n in range(nodes)]
        except BaseException:
            self.network.close()
            raise
        for n in range(nodes):
            self.nodes[n].loops = self.dice.choice([1, 3])
            self.configure(n)
        print(f"seed {self.seed}, folder {self.folder}", flush=True)

    def configure(self, n):
        node = self.nodes[n]
        node.configure_in([o for o in self.nodes if o is not node],
                          relais.send("Out", smart_hosts=[f"[10.46.{n + 1}.9]:25"], protocol_log=False), TRANSPORT)

    # --- Sinks and clients ---

    def came_file(self, n):
        return os.path.join(self.folder, f"came.{n + 1}")

    def start_sinks(self, *options):
        self.sinks = [self.in_hub([process.RELAIS, "sink", "--listen", f"10.46.{n + 1}.9:25", "--append",
                                   self.came_file(n), "--trace", *options]) for n in range(len(self.nodes))]
        for n in range(len(self.nodes)):
            process.wait_for("the sinks", lambda: os.path.exists(self.came_file(n)))

    def in_hub(self, command):
        log = open(os.path.join(self.folder, "hub.log"), "a")
        return subprocess.Popen(["ip", "netns", "exec", self.network.hub, *command], stdin=subprocess.DEVNULL,
                                stdout=log, stderr=log)

    def start_load(self):
        """One generator for each node, without an end."""
        for n in range(len(self.nodes)):
            number = len(self.load_files) + 1
            file = os.path.join(self.folder, f"acked.{number}")
            self.load_files.append(file)
            self.loads.append(self.in_hub(
                [process.RELAIS, "load", "--to", f"10.46.{n + 1}.1:25", "--sessions", str(SESSIONS // len(self.nodes)),
                 "--messages", str(10 ** 9), "--size", "2k", "--acked", file, "--id-prefix", f"run{number}", "--retry",
                 "--messages-per-session", "50", "--timeout", "30s", "--rate", str(self.rate // len(self.nodes))]))

    def stop_load(self):
        for load in self.loads:
            process.end(load)
        self.loads = []

    def acked(self):
        ids = []
        for file in self.load_files:
            if os.path.exists(file):
                with open(file) as f:
                    ids += f.read().split("\n")[:-1]
        return ids

    def came(self):
        """(name, mid, when, node): each mail at a sink, in the order of time."""
        found = []
        for n in range(len(self.nodes)):
            if not os.path.exists(self.came_file(n)):
                continue
            with open(self.came_file(n)) as f:
                for line in f.read().split("\n")[:-1]:
                    name, mid, when = line.split(" ")
                    found.append((name, mid, float(when), n))
        return sorted(found, key=lambda m: m[2])

    def taken_over(self):
        """Mids, by the nodes' own logs."""
        return {mid for node in self.nodes for mid in re.findall(r" resubmit id=(\w+)", node.log(whole=True))}

    # --- Both nodes ---

    def start(self):
        for node in self.nodes:
            node.start()
        self.wait_together()

    def check_alive(self, node):
        harness.check_ended(node.process.poll())
        if node.process.poll() is not None:
            raise AssertionError(f"{node.name} ended by itself with {node.process.returncode}:\n{node.log()[-3000:]}")

    def _is_whole(self, node):
        self.check_alive(node)
        facts = node.shadow()
        others = facts.get("nodes", [])
        return (len(others) == len(self.nodes) - 1 and all(o["state"] == "live" and o["up"] for o in others) and
                not facts["fencing"] and facts["single"] == 0)

    def wait_together(self, seconds=60):
        """Until each sees the others, and each message is on two of them."""
        for node in self.nodes:
            try:
                process.wait_for(f"{node.name} to have all on two nodes", lambda: self._is_whole(node), seconds, 0.1)
            except process.Timeout as e:
                raise AssertionError(f"{e}: {json.dumps(node.shadow(), indent=1)}") from None

    def _is_at_rest(self, node, kinds):
        self.check_alive(node)
        facts = node.shadow()
        return (node.queued() == 0 and not any(facts[k] for k in kinds) and
                not any(o["owed"] or o["held"] for o in facts["nodes"]))

    def wait_at_rest(self, with_words, seconds=120):
        """All is delivered, and nobody holds anything for anybody any more (S4).  WITH_WORDS: nobody remembers
        anything either; what was taken from a lost store is remembered longer."""
        kinds = ["primary", "held", "unclaimed", "single", *(["words"] if with_words else [])]
        for node in self.nodes:
            try:
                process.wait_for(f"{node.name} to be at rest", lambda: self._is_at_rest(node, kinds), seconds, 0.2)
            except process.Timeout as e:
                raise AssertionError(f"{e}: {json.dumps(node.shadow(), indent=1)}") from None

    def close(self, is_good):
        for p in self.loads + self.sinks:
            if p.poll() is None:
                p.send_signal(signal.SIGCONT)
                process.end(p)
        for node in self.nodes:
            node.close()
        self.network.close()
        if is_good and not self.is_kept:
            shutil.rmtree(self.folder)
        elif not is_good:
            print(f"kept: {self.folder}; again: --seed {self.seed}")
