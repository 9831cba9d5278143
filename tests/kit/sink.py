"""An SMTP receiver that can misbehave: tells what it got, answers what the test wants."""
import socket
import threading
import time


def by_name(stage, text):
    """An answer for nobody@, who does not exist, and later@, whose mailbox is busy; the usual one for others."""
    if stage == "rcpt" and "nobody@" in text:
        return "550 5.1.1 no such user"
    if stage == "rcpt" and "later@" in text:
        return "451 4.2.0 try later"
    return None


class Mail:
    def __init__(self, hello, sender, recipients, content, is_tls):
        self.hello, self.sender, self.recipients = hello, sender, recipients
        self.content, self.is_tls = content, is_tls


class Sink:
    """Listens on HOST:PORT (a free port when 0) until stopped.

    ANSWER(stage, text) gives the reply to what came, None for the usual one, or "drop" to hang up.
    The stages are connect, ehlo, starttls, mail, rcpt, data, dot, quit; the text is the command's line (of
    `dot`, the content).  SLOW waits so many seconds before each reply.  TLS is an
    ssl.SSLContext: STARTTLS is offered then.  LMTP answers per recipient."""

    def __init__(self, host="127.0.0.1", port=0, answer=None, extensions=("PIPELINING", "8BITMIME", "SIZE 0"),
                 tls=None, lmtp=False, slow=0):
        self.answer = answer or (lambda stage, text: None)
        self.extensions, self.tls, self.lmtp, self.slow = extensions, tls, lmtp, slow
        self.mails, self.commands, self.connections = [], [], 0
        self.lock = threading.Lock()
        self.open = set()
        self.server = socket.create_server((host, port), backlog=1000,
                                           family=socket.AF_INET6 if ":" in host else socket.AF_INET)
        self.host, self.port = self.server.getsockname()[:2]
        self.thread = threading.Thread(target=self._accept, daemon=True)
        self.thread.start()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.stop()

    def stop(self):
        self.server.shutdown(socket.SHUT_RDWR)
        self.server.close()
        with self.lock:
            for client in self.open:
                try:
                    client.shutdown(socket.SHUT_RDWR)
                except OSError:
                    pass
        self.thread.join()

    def _accept(self):
        while True:
            try:
                client, _ = self.server.accept()
            except OSError:
                return
            with self.lock:
                self.connections += 1
                self.open.add(client)
            threading.Thread(target=self._serve_and_close, args=[client], daemon=True).start()

    def _serve_and_close(self, client):
        session = Session(self, client)
        try:
            session.run()
        except (OSError, EOFError):
            pass
        with self.lock:
            self.open.discard(session.socket)
        session.socket.close()


class Session:
    def __init__(self, sink, client):
        client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.sink, self.socket = sink, client
        self.file = client.makefile("rb")
        self.is_tls = False
        self.hello = None
        self.forget()

    def forget(self):
        self.sender, self.recipients = None, []

    def send(self, reply):
        if self.sink.slow:
            time.sleep(self.sink.slow)  # the misbehaviour itself, not a wait for anything
        self.socket.sendall(reply.encode() + b"\r\n")

    def reply(self, stage, text, usual):
        """Says the reply; true when it was a yes."""
        reply = self.sink.answer(stage, text)
        if reply == "drop":
            raise EOFError
        reply = reply or usual
        self.send(reply)
        return reply[0] in "23"

    def run(self):
        if not self.reply("connect", "", "220 sink ESMTP"):
            return
        while True:
            line = self.file.readline(100000)
            if not line:
                return
            with self.sink.lock:
                self.sink.commands.append(line)
            if not self.command(line.rstrip(b"\r\n").decode("utf-8", "replace")):
                return

    def command(self, line):
        verb = line.split(" ")[0].split(":")[0].upper()
        if verb in ("EHLO", "LHLO", "HELO"):
            self.hello = line[5:]
            extensions = list(self.sink.extensions)
            if self.sink.tls and not self.is_tls:
                extensions.append("STARTTLS")
            lines = ["sink"] + (extensions if verb != "HELO" else [])
            usual = "\r\n".join(f"250{'-' if n + 1 < len(lines) else ' '}{t}" for n, t in enumerate(lines))
            self.reply("ehlo", line, usual)
        elif verb == "STARTTLS":
            if not self.reply("starttls", line, "220 go ahead"):
                return True
            plain, self.socket = self.socket, self.sink.tls.wrap_socket(self.socket, server_side=True)
            with self.sink.lock:  # what stop() closes; the old one has no descriptor any more
                self.sink.open.discard(plain)
                self.sink.open.add(self.socket)
            self.file = self.socket.makefile("rb")
            self.is_tls = True
        elif verb == "MAIL":
            if self.reply("mail", line, "250 sender ok"):
                self.sender = line[line.index("<") + 1:line.index(">")]
        elif verb == "RCPT" and self.sender is None:
            self.send("503 no sender")
        elif verb == "RCPT":
            if self.reply("rcpt", line, "250 recipient ok"):
                self.recipients.append(line[line.index("<") + 1:line.index(">")])
        elif verb == "DATA":
            self.data(line)
        elif verb == "BDAT":
            self.bdat(line)
        elif verb == "RSET":
            self.forget()
            self.send("250 ok")
        elif verb == "QUIT":
            self.reply("quit", line, "221 bye")
            return False
        else:
            self.send("250 ok" if verb == "NOOP" else "500 what?")
        return True

    def data(self, line):
        if not self.recipients:
            self.send("503 no recipients")
            return
        if not self.reply("data", line, "354 go on"):
            return
        lines = []
        while True:
            text = self.file.readline()
            if not text:
                raise EOFError
            if text == b".\r\n":
                break
            lines.append(text[1:] if text.startswith(b".") else text)
        self.end(b"".join(lines))

    def bdat(self, line):
        words = line.split()
        content = self.file.read(int(words[1]))
        while "LAST" not in [w.upper() for w in words]:
            self.send("250 chunk ok")
            words = self.file.readline().decode().split()
            content += self.file.read(int(words[1]))
        self.end(content)

    def end(self, content):
        mail = Mail(self.hello, self.sender, self.recipients, content, self.is_tls)
        is_kept = False
        for _ in mail.recipients if self.sink.lmtp else [0]:
            reply = self.sink.answer("dot", content)
            if reply == "drop":
                raise EOFError
            if not reply or reply[0] == "2":
                with self.sink.lock:
                    if not is_kept:
                        self.sink.mails.append(mail)
                is_kept = True
            self.send(reply or "250 got it")
        self.forget()
