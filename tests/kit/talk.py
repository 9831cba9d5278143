"""SMTP by hand: bytes out, replies in."""
import socket


class Talk:
    """FIRST is said before anything is read, as balancers do."""

    def __init__(self, port, host="127.0.0.1", source=None, timeout=30, hello=True, first=b""):
        self.socket = socket.create_connection((host, port), timeout, (source, 0) if source else None)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.file = self.socket.makefile("rb")
        self.raw(first)
        self.banner = self.reply()
        self.extensions = self.say("EHLO client.test") if hello else None

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def close(self):
        self.file.close()
        self.socket.close()

    def raw(self, data):
        self.socket.sendall(data)

    def reply(self):
        """The whole reply, lines joined by newlines; "" when the other side has hung up."""
        lines = []
        while True:
            line = self.file.readline().decode("utf-8", "replace").rstrip("\r\n")
            lines.append(line)
            if line[3:4] != "-":
                return "\n".join(lines)

    def say(self, line):
        self.raw((line if isinstance(line, bytes) else line.encode()) + b"\r\n")
        return self.reply()

    def send(self, content, sender="a@sender.test", recipients=("b@example.com",)):
        """One transaction; the reply to the final dot, or of what was refused before."""
        for line in [f"MAIL FROM:<{sender}>", *(f"RCPT TO:<{r}>" for r in recipients)]:
            reply = self.say(line)
            if reply[0] != "2":
                return reply
        reply = self.say("DATA")
        if reply[0] != "3":
            return reply
        stuffed = b"".join(b"." + line if line.startswith(b".") else line
                           for line in content.splitlines(keepends=True))
        self.raw(stuffed + b".\r\n")
        return self.reply()
