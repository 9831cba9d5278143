"""Other people's clients, each with the same call: send(port, mail, sender, recipient, tls)."""
import os
import smtplib
import ssl
import subprocess
import tempfile

from . import process


def _run(command, **more):
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=60 * process.SLOWER, **more)
    if done.returncode:
        raise AssertionError(f"{command[0]} failed ({done.returncode}): {done.stdout.decode('utf-8', 'replace')[-2000:]}")
    return done.stdout


def _file(mail):
    f = tempfile.NamedTemporaryFile(suffix=".eml")
    f.write(mail)
    f.flush()
    return f


def swaks(port, mail, sender, recipient, tls=False):
    # It makes CRLF, stuffs dots and ends the last line by itself.
    with _file(mail.replace(b"\r\n", b"\n")[:-1]) as f:
        _run(["swaks", "--server", "127.0.0.1", "--port", str(port), "--helo", "client.test", "--from", sender,
              "--to", recipient, "--data", "@" + f.name, "--suppress-data", "--hide-all",
              "--timeout", "60", *(["--tls"] if tls else [])])


def curl(port, mail, sender, recipient, tls=False):
    with _file(mail) as f:
        _run(["curl", "--silent", "--show-error", f"smtp://127.0.0.1:{port}/client.test", "--mail-from", sender,
              "--mail-rcpt", recipient, "--upload-file", f.name, *(["--ssl-reqd", "--insecure"] if tls else [])],
             env=dict(os.environ, LC_ALL="C.UTF-8"))


def msmtp(port, mail, sender, recipient, tls=False):
    _run(["msmtp", "--file=/dev/null", "--host=127.0.0.1", f"--port={port}", "--domain=client.test", f"--from={sender}",
          "--set-from-header=off", "--set-date-header=off", "--undisclosed-recipients=off", "--remove-bcc-headers=off",
          *(["--tls=on", "--tls-starttls=on", "--tls-certcheck=off"] if tls else ["--tls=off"]), "--", recipient],
         input=mail.replace(b"\r\n", b"\n"), env=dict(os.environ, LC_ALL="C.UTF-8", HOME="/nonexistent"))


def python(port, mail, sender, recipient, tls=False):
    with smtplib.SMTP("127.0.0.1", port, local_hostname="client.test", timeout=60) as s:
        s.ehlo()
        if tls:
            s.starttls(context=ssl._create_unverified_context())
            s.ehlo()
        options = ["BODY=8BITMIME"] if s.has_extn("8bitmime") and max(mail[:100000]) > 127 else []
        if not (sender + recipient).isascii():
            options.append("SMTPUTF8")
        s.sendmail(sender, recipient, mail, mail_options=options)


ALL = {"swaks": swaks, "curl": curl, "msmtp": msmtp, "python": python}
