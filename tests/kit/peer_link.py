"""A node that is none: the peer link by hand, from both ends, with any key, name and grammar."""
import queue
import socket
import ssl
import threading

from . import process

STORE = "77aa" + 28 * "0"


def context(side, folder=None, newest=None):
    """TLS without checks of ours; FOLDER has node.pem and node.key, None: no certificate."""
    made = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER if side == "server" else ssl.PROTOCOL_TLS_CLIENT)
    made.check_hostname = False
    made.verify_mode = ssl.CERT_NONE
    if newest:
        made.maximum_version = newest
    if folder:
        made.load_cert_chain(f"{folder}/node.pem", f"{folder}/node.key")
    return made


class Link:
    """The asking side.  FOLDER: whose key it has."""

    def __init__(self, host, port, folder=None, newest=None, hello=True, timeout=20, **node):
        plain = socket.create_connection((host, port), timeout)
        self.client = "%s:%d" % plain.getsockname()
        self.socket = context("client", folder, newest).wrap_socket(plain)
        self.file = self.socket.makefile("rb")
        self.banner = self.reply()
        self.extensions = self.say("EHLO ex02.test") if hello else None
        if node:
            self.welcome = self.introduce(**node)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.file.close()
        self.socket.close()

    def introduce(self, name="ex02.test", store=STORE, pos=1, versions="1", more=""):
        return self.say(f"XSHADOW {versions} NODE={name} STORE={store} POS={pos}{more}")

    def raw(self, data):
        self.socket.sendall(data)

    def reply(self):
        """The whole reply, lines joined by newlines; what came last is "" at the end."""
        lines = []
        while True:
            line = self.file.readline().decode("utf-8", "replace").rstrip("\r\n")
            lines.append(line)
            if line[3:4] != "-":
                return "\n".join(lines)

    def say(self, line):
        self.raw((line if isinstance(line, bytes) else line.encode()) + b"\r\n")
        return self.reply()

    def is_closed(self):
        try:
            return self.file.read(1) == b""
        except OSError:
            return True

    def copy(self, mid, content, sender="a@sender.test", recipients=("b@example.com",), more=""):
        """One copy, all of it pipelined; the replies to MAIL, to each RCPT and to the content."""
        self.raw(copy_text(mid, content, sender, recipients, more))
        return [self.reply() for _ in range(2 + len(recipients))]


def copy_text(mid, content, sender="a@sender.test", recipients=("b@example.com",), more=""):
    lines = [f"MAIL FROM:<{sender}> SIZE={len(content)} XMID={mid} XSHADOW=COPY{more}",
             *(f"RCPT TO:<{r}>" for r in recipients), f"BDAT {len(content)} LAST"]
    return "".join(line + "\r\n" for line in lines).encode() + content


class Node:
    """The answering side: a node that is up, has nothing to say, and takes no copies.  What it says
    otherwise: .answers["XQDISCARD"](arguments) returns a whole reply, or None: as usual."""

    def __init__(self, folder, host, port, name="ex02.test", store=STORE):
        self.name, self.store, self.pos = name, store, 100
        self.answers = {}
        self.lines = queue.Queue()  # every command, as it came
        self.context = context("server", folder)
        self.listener = socket.create_server((host, port))
        self.is_over = False
        self.links = []
        threading.Thread(target=self._accept, daemon=True).start()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.is_over = True
        self.listener.shutdown(socket.SHUT_RDWR)
        self.listener.close()
        self.cut()

    def cut(self):
        for link in self.links:
            try:
                link.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass

    def wait_line(self, is_it, seconds=20):
        """The next command of which IS_IT is true."""
        while True:
            try:
                line = self.lines.get(timeout=seconds * process.SLOWER)
            except queue.Empty:
                raise process.Timeout("a command that did not come") from None
            if is_it(line):
                return line

    def _accept(self):
        while not self.is_over:
            try:
                link, _ = self.listener.accept()
            except OSError:
                return
            self.links.append(link)
            threading.Thread(target=self._serve, args=(link,), daemon=True).start()

    def _serve(self, plain):
        try:
            link = self.context.wrap_socket(plain, server_side=True)
            link.sendall(b"220 " + self.name.encode() + b" ESMTP\r\n")
            file = link.makefile("rb")
            while line := file.readline():
                line = line.decode().rstrip("\r\n")
                self.lines.put(line)
                verb, _, arguments = line.partition(" ")
                if verb == "BDAT":
                    file.read(int(arguments.split()[0]))
                answer = self.answers.get(verb, lambda _: None)(arguments) or self._usual(verb, arguments)
                link.sendall(answer.encode())
        except OSError:
            pass

    def _usual(self, verb, arguments):
        if verb == "EHLO":
            return f"250-{self.name}\r\n250-XSHADOW 1\r\n250-CHUNKING\r\n250 PIPELINING\r\n"
        if verb == "XSHADOW":
            return f"250 2.0.0 NODE={self.name} STORE={self.store} POS={self.pos} VERSION=1\r\n"
        if verb == "XQDISCARD":
            cursor = arguments.split()[1:2]
            return f"250 {cursor[0] if cursor and cursor[0].isdigit() else 1} END POS={self.pos}\r\n"
        if verb == "XQTAKEN":
            return f"250 1 END POS={self.pos}\r\n"
        if verb == "XQAUDIT":
            lines = "".join(f"250-{mid} PENDING\r\n" for mid in arguments.split())
            return f"{lines}250 END POS={self.pos}\r\n"
        if verb == "BDAT":
            return "452 4.3.1 full\r\n"
        return "250 2.0.0 OK\r\n"
