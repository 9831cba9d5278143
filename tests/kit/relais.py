"""relaisd on free loopback ports, with a configuration of the test's."""
import json
import os
import re
import signal
import socket
import subprocess

from . import process

BASE = """\
fqdn = "relay.test"
control_socket = "{folder}/control"
spool {{
    folder = "{folder}/spool"
    free_space = 0
    segment_size = {segment}
}}
log {{
    target = stderr
    protocol_file = "{folder}/protocol.log"
    tracking_file = "{folder}/tracking.log"
    connectivity_file = "{folder}/connectivity.log"
}}
"""


def receive(name, *bindings, ranges=("*",), allow=("submit", "any-sender", "own-domain-sender", "any-recipient"),
            **options):
    """A receive connector's block.  The usual ones may relay: tests of rights say otherwise."""
    options.setdefault("connections_per_source", 5000)
    options.setdefault("tarpit", "0s")
    if "any-recipient" in allow and "*" in ranges:
        options.setdefault("open_relay_i_mean_it", "true")
    return block("receive_connector", name, bindings=bindings, remote_ranges=ranges, allow=allow, **options)


def send(name, spaces=("*",), **options):
    """A send connector's block; a retry plan short enough to wait for."""
    options.setdefault("retry", ["1s"])
    options.setdefault("message_retry", "1s")
    options.setdefault("connect_timeout", "5s")
    return block("send_connector", name, address_spaces=spaces, **options)


def domain(pattern, kind="authoritative"):
    return block("accepted_domain", pattern, type=kind)


def block(kind, name, **options):
    lines = [f'{kind} "{name}" {{'] if name else [f"{kind} {{"]
    for option, value in options.items():
        if isinstance(value, (list, tuple)):
            value = "{ " + ", ".join(f'"{v}"' for v in value) + " }"
        elif isinstance(value, bool):
            value = "true" if value else "false"
        else:
            value = f'"{value}"'
        lines.append(f"    {option} = {value}")
    return "\n".join(lines) + "\n}\n"


LOOPS = os.environ.get("RELAIS_TEST_LOOPS")


def with_loops(config):
    """Sessions on loops of their own, also where the machine is small: for what looks at threads.  No line moves."""
    if not LOOPS or re.search(r"\bloops\b", config):
        return config
    found, n = re.subn(r"\blimits \{", f"limits {{ loops = {LOOPS}", config, count=1)
    return found if n else f"{config}limits {{ loops = {LOOPS} }}\n"


class Relais:
    """CONFIG is the part that differs; SEGMENT the size of the spool's segments."""

    def __init__(self, folder, config, ports=(), segment="8M", base=BASE):
        self.folder = str(folder)
        os.makedirs(self.folder, exist_ok=True)
        self.file = os.path.join(self.folder, "relais.conf")
        self.log_file = os.path.join(self.folder, "log")
        self.spool = os.path.join(self.folder, "spool")
        self.ports = list(ports)
        self.base = base.format(folder=self.folder, segment=segment)
        self.process = None
        self.configure(config)

    def configure(self, config):
        with open(self.file, "w") as f:
            f.write(self.base + with_loops(config))

    # --- The process ---

    def spawn(self, preload=None, env=None, prefix=()):
        """Starts it without waiting for anything."""
        variables = dict(os.environ, **(env or {}))
        if preload:
            variables["LD_PRELOAD"] = preload
        with open(self.log_file, "ab") as log:
            self.log_from = log.tell()
            self.process = subprocess.Popen([*prefix, process.RELAISD, "-c", self.file], env=variables,
                                            stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        return self

    def start(self, seconds=30, **more):
        """Starts it and waits until it accepts connections."""
        self.spawn(**more)
        self.wait_ready(seconds)
        return self

    def wait_ready(self, seconds=30):
        process.wait_for("relaisd to listen", lambda: self._is_ready(), seconds)

    def _is_ready(self):
        if self.process.poll() is not None:
            raise AssertionError(f"relaisd ended with {self.process.returncode}:\n{self.log()[-3000:]}")
        return all(process.listens(port) for port in self.ports) and self._answers()

    def _answers(self):
        # A socket that a killed one has left refuses.
        try:
            return self.status()["ok"]
        except OSError:
            return False

    def stop(self):
        """Ends it as an administrator would.  It must go in peace."""
        code = process.end(self.process)
        assert code == 0, f"relaisd ended with {code}:\n{self.log()[-3000:]}"

    def kill(self):
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()

    def reload(self):
        self.process.send_signal(signal.SIGHUP)

    def __enter__(self):
        return self.start()

    def __exit__(self, kind, error, trace):
        if self.process.poll() is None or kind is None:
            if kind is None:
                self.stop()
            else:
                process.end(self.process)

    @property
    def pid(self):
        return self.process.pid

    # --- What it says ---

    def log(self, whole=False):
        """The log since the last start."""
        self.sync_logs()
        with open(self.log_file, errors="replace") as f:
            if not whole:
                f.seek(self.log_from)
            return f.read()

    def log_of(self, name):
        """Another log's lines: "protocol", "tracking" or "connectivity"."""
        self.sync_logs()
        with open(f"{self.folder}/{name}.log", errors="replace", newline="") as f:
            return f.read()

    def sync_logs(self):
        """What happened is in the logs' files afterwards: a thread of its own writes them, just behind the
        answers to clients.  One that ended has written all; one that is stopped writes nothing."""
        if self.process and process.is_stopped(self.pid):
            return
        try:
            self.ask("sync-logs", seconds=30 * process.SLOWER)
        except (OSError, AssertionError):
            pass

    def wait_log(self, pattern, seconds=20):
        return process.wait_for(f"'{pattern}' in the log of relaisd", lambda: re.search(pattern, self.log()), seconds)

    def tool(self, *arguments, check=True):
        done = subprocess.run([process.RELAIS, "-c", self.file, *arguments], stdout=subprocess.PIPE,
                              stderr=subprocess.PIPE, text=True, timeout=120)
        if check and done.returncode:
            raise AssertionError(f"relais {' '.join(arguments)} ended with {done.returncode}: {done.stdout}{done.stderr}")
        return done

    def ask(self, command, seconds=60, **arguments):
        """(rows, end) of a command on the control socket."""
        rows = []
        with socket.socket(socket.AF_UNIX) as s:
            s.settimeout(seconds)
            s.connect(os.path.join(self.folder, "control"))
            s.sendall(json.dumps({"command": command, **arguments}).encode() + b"\n")
            for line in s.makefile():
                answer = json.loads(line)
                if "row" in answer:
                    rows.append(answer["row"])
                elif "ok" in answer:
                    return rows, answer
        raise AssertionError(f"{command}: the control socket was closed in the middle")

    def status(self):
        return self.ask("status")[1]

    def queued(self):
        """How many messages it holds."""
        return self.status()["messages"]

    def wait_empty(self, seconds=60):
        process.wait_for("an empty queue", lambda: self.queued() == 0, seconds, pause=0.1)
