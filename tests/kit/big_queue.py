"""A relay with a long queue over many next hops, half of which are down: made fast, and measured."""
import concurrent.futures
import os
import socket
import subprocess
import time

from . import cluster, process, relais, unbound

LIVE, DEAD, SLOW = "127.85.1.1", "127.85.2.1", "127.85.3.1"
CONTENT = b"From: <a@sender.test>\r\nSubject: one of many\r\n\r\nA line.\r\n"
BATCH = 200
SESSIONS = 40  # a disk that takes long for a flush serves as many at once


def say_hello(port):
    s = socket.create_connection(("127.0.0.1", port))
    s.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    replies = s.makefile("rb")
    replies.readline()
    s.sendall(b"EHLO load.test\r\n")
    while replies.readline()[3:4] == b"-":
        pass
    return s, replies


def send(port, recipients, sender="a@sender.test", extra=""):
    """A message to each, many in one write."""
    s, replies = say_hello(port)
    for at in range(0, len(recipients), BATCH):
        part = recipients[at:at + BATCH]
        s.sendall(b"".join(b"MAIL FROM:<%s>%s\r\nRCPT TO:<%s>\r\nBDAT %d LAST\r\n%s" %
                           (sender.encode(), extra.encode(), r.encode(), len(CONTENT), CONTENT) for r in part))
        for _ in range(3 * len(part)):
            reply = replies.readline()
            assert reply.startswith(b"250"), reply
    s.sendall(b"QUIT\r\n")
    s.close()


def memory(node):
    with open(f"/proc/{node.pid}/status") as f:
        return int(next(line.split()[1] for line in f if line.startswith("VmRSS"))) * 1024


def fill(port, recipients):
    with concurrent.futures.ThreadPoolExecutor(SESSIONS) as pool:
        list(pool.map(lambda at: send(port, recipients[at::SESSIONS]), range(SESSIONS)))


class BigPair:
    """A node with a long queue to a host that is down, and the one that holds the copies."""

    def __init__(self, folder):
        self.primary, self.holder = (cluster.Node(folder, number) for number in (1, 2))
        down = relais.send("Out", smart_hosts=[f"[{DEAD}]:{process.free_port()}"], retry=["1h"])
        for node, other in (self.primary, self.holder), (self.holder, self.primary):
            node.configure_in([other], down, transport=dict(  # however slow the machine is
                shadow_copy_timeout="20s", shadow_acceptance_timeout="60s", shadow_heartbeat_timeout_interval="20s"))
            node.start()
        process.wait_for("both to see one another", lambda: all(
            n["state"] == "live" for node in (self.primary, self.holder) for n in node.shadow()["nodes"]))

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.primary.kill()
        self.holder.kill()

    def fill(self, count):
        """Bytes a message, of the primary and of the holder."""
        fill(self.primary.port, ["warm@dead.test"] * 100)
        before = [memory(node) for node in (self.primary, self.holder)]
        fill(self.primary.port, [f"u{i}@d{i % 1000}.test" for i in range(count)])
        return [(memory(node) - was) / count for node, was in zip((self.primary, self.holder), before)]


def time_tool(node, *arguments, times=3, check=True):
    """The shortest of some runs of the tool, in seconds, and what it said."""
    best, done = 1e9, None
    for _ in range(times):
        began = time.monotonic()
        done = node.tool(*arguments, check=check)
        best = min(best, time.monotonic() - began)
    return best, done


class BigQueue:
    """HOPS domains, every other one at an address where nobody listens."""

    def __init__(self, folder, hops, per_hop):
        self.hops, self.per_hop = hops, per_hop
        self.port, self.mx_port = process.free_port(), process.free_port()
        records = [f"d{n}.example. A {DEAD if n % 2 else LIVE}" for n in range(hops)]
        records.append(f"slow.example. A {SLOW}")
        self.names = unbound.Unbound(os.path.join(folder, "dns"), records)
        config = relais.receive("In", f"127.0.0.1:{self.port}")
        config += relais.send("Out", mx=True, mx_port=self.mx_port, retry=["1h"], tls="none")
        config += relais.block("dns", None, servers=[self.names.server])
        config += relais.block("limits", None, deliveries=5000)
        self.node = relais.Relais(os.path.join(folder, "relais"), config, [self.port], segment="64M")
        self.sink = self.slow_sink = None

    def __enter__(self):
        self.names.start()
        self.node.start()
        return self

    def __exit__(self, *_):
        self.stop_sink()
        if self.slow_sink:
            process.end(self.slow_sink)
        self.node.kill()
        self.names.stop()

    def start_sink(self, *options):
        self.sink = subprocess.Popen([process.RELAIS, "sink", "--listen", f"{LIVE}:{self.mx_port}", *options],
                                     stdout=subprocess.DEVNULL)
        process.wait_for("the sink", lambda: self._listens())

    def _listens(self):
        with socket.socket() as s:
            return s.connect_ex((LIVE, self.mx_port)) == 0

    def stop_sink(self):
        if self.sink:
            process.end(self.sink)
        self.sink = None

    def fill(self, first, per_hop):
        """FIRST 0: those that live; 1: the dead."""
        all_of_them = [f"u{i}@d{n}.example" for i in range(per_hop) for n in range(first, self.hops, 2)]
        fill(self.port, all_of_them)

    def start_slow_sink(self, delay):
        self.slow_sink = subprocess.Popen([process.RELAIS, "sink", "--listen", f"{SLOW}:{self.mx_port}",
                                           "--delay", delay], stdout=subprocess.DEVNULL)

    def cpu_us(self):
        """What all threads of the relay have used."""
        tasks = f"/proc/{self.node.pid}/task"
        used = 0
        for task in os.listdir(tasks):
            with open(f"{tasks}/{task}/schedstat") as f:
                used += int(f.read().split()[0])
        return used / 1000

    def deliver_live(self, per_hop):
        """Messages a second, from the first to the last that is delivered to those that live, and the
        relay's CPU time for each."""
        before = self.node.queued()
        began, used = time.monotonic(), self.cpu_us()
        self.fill(0, per_hop)
        process.wait_for("all to be delivered", lambda: self.node.queued() <= before, 600, pause=0.02)
        count = per_hop * (self.hops // 2)
        return count / (time.monotonic() - began), (self.cpu_us() - used) / count

    def time(self, *arguments, times=3, check=True):
        return time_tool(self.node, *arguments, times=times, check=check)

    def memory(self):
        return memory(self.node)

    def counts(self):
        """How many wait at each next hop that lives."""
        rows = self.node.ask("queues")[0]
        return {r["name"]: r["messages"] for r in rows if r["name"].startswith("Out/d") and
                int(r["name"][5:-8]) % 2 == 0}

    def _stop_living(self):
        """At one stroke; those that are down stay in retry."""
        self.node.ask("suspend-queue", filter="status != retry")
        process.wait_for("the end of what is under way", lambda: not self.node.ask(
            "queue", filter="status = active", limit=0)[1]["matched"], 60)

    def _start_living(self):
        self.node.ask("resume-queue", filter="status = suspended")

    def fairness(self, per_hop, slow=0):
        """All that live get the same backlog, begin at once, and are stopped at once when some have half of
        theirs: (the least share, the greatest share) over the mean, and how many of SLOW, which were put
        to the slow one, still wait then."""
        self.deliver_live(1)  # so that each has its queue, and its host is known
        if slow:
            send(self.port, ["u@slow.example"])
        self._stop_living()
        if slow:
            send(self.port, ["u@slow.example"] * slow)
        self.fill(0, per_hop)
        count = self.hops // 2
        before = self.node.queued()
        self._start_living()
        process.wait_for("half", lambda: self.node.queued() <= before - count * per_hop * 0.4, 300, pause=0.001)
        self._stop_living()
        left = self.counts()
        rows, _ = self.node.ask("queues", filter="queue ~ *slow.example")
        still = sum(r["messages"] for r in rows)
        self._start_living()
        process.wait_for("all that live", lambda: sum(self.counts().values()) == 0, 300)
        shares = [per_hop - waiting for waiting in left.values()]
        mean = sum(shares) / len(shares)
        return min(shares) / mean, max(shares) / mean, still
