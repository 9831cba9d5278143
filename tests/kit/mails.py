"""Mails to send, and what must be found of them at the other end."""
import random
import re

PLAIN = b"""From: a@sender.test\r
To: b@example.com\r
Subject: plain\r
Date: Mon, 02 Jan 2023 03:04:05 +0000\r
Message-ID: <plain@sender.test>\r
\r
one line\r
.a line that begins with a dot\r
..with two\r
.\x20\r
\r
the last\r
"""


def eight_bit():
    """Every byte but NUL, CR and LF, in lines of legal length."""
    head = PLAIN[:PLAIN.index(b"\r\n\r\n")].replace(b"plain", b"eightbit")
    head += b"\r\nMIME-Version: 1.0\r\nContent-Type: text/plain; charset=iso-8859-1\r\nContent-Transfer-Encoding: 8bit\r\n\r\n"
    every = bytes(b for b in range(1, 256) if b not in b"\r\n")
    return head + every + b"\r\n" + b"".join(bytes([b]) * 70 + b"\r\n" for b in range(128, 256))


def utf8():
    """Header and body beyond ASCII (RFC 6532)."""
    text = PLAIN.decode().replace("plain", "gr\u00fc\u00dfe").replace("Subject: ", "Subject: \u65e5\u672c\u8a9e ")
    text = text.replace("<gr\u00fc\u00dfe@", "<utf8@")
    return text.encode()


def big(size=20_000_000, seed=1):
    """Random lines: nothing shortens it, nothing repeats.  Letters and digits: swaks has a use for
    other signs."""
    dice = random.Random(seed)
    head = PLAIN[:PLAIN.index(b"\r\n\r\n") + 4].replace(b"plain", b"big")
    letters = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789./"
    table = bytes(letters[b % 64] for b in range(256))
    lines, have = [head], len(head)
    while have < size:
        block = dice.randbytes(76 * 1000).translate(table)
        for at in range(0, len(block), 76):
            lines.append(block[at:at + 76] + b"\r\n")
        have += 78 * 1000
    return b"".join(lines)


TRACE = ("return-path", "delivered-to", "x-original-to", "received")


def without_trace(found, added=()):
    """FOUND, its line ends made CRLF, without the trace fields at its top (and those ADDED)."""
    found = re.sub(rb"\r?\n", b"\r\n", found)
    while True:
        name = found.split(b":", 1)[0].strip().lower().decode("latin-1")
        if name not in TRACE and name not in added:
            return found
        field = re.match(rb"[^\r]*\r\n(?:[ \t][^\r]*\r\n)*", found)
        found = found[field.end():]


def check_same(found, sent, added=()):
    """Fails with the first difference, not with 20 MB."""
    got, want = without_trace(found, added), re.sub(rb"\r?\n", b"\r\n", sent)
    if got == want:
        return
    at = next((i for i, (a, b) in enumerate(zip(got, want)) if a != b), min(len(got), len(want)))
    raise AssertionError(f"differs at byte {at} of {len(want)} ({len(got)} found): "
                         f"got {got[max(0, at - 40):at + 40]!r}, want {want[max(0, at - 40):at + 40]!r}")
