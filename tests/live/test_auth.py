"""AUTH (PE-6, PE-7): other people's clients log in; wrong passwords wait and are counted; no password is written
anywhere."""
import base64
import glob
import hashlib
import json
import os
import smtplib
import ssl
import subprocess
import time

import pytest

from conftest import needs_root
from tests.kit import dovecot, kerberos, mails, process, relais

PASSWORD = "Zq7-geheim pa$$w0rd"
ALL = ["plain", "login", "scram-sha-256", "scram-sha-256-plus"]


def receive(port, certificate, auth=tuple(ALL), groups=("users",), address="127.83.0.1", **options):
    options.setdefault("tls", "offered")
    return relais.receive("In", f"{address}:{port}", allow=(), permission_groups=groups, auth=auth,
                          certificate=certificate[0], key=certificate[1], **options)


def add_user(node, name, password=PASSWORD, *arguments):
    done = subprocess.run([process.RELAIS, "-c", node.file, "user", "add", name, *arguments], input=password + "\n",
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=60)
    assert done.returncode == 0, done.stdout


def swaks(port, mechanism, user="scanner", password=PASSWORD, tls=True, address="127.83.0.1"):
    return subprocess.run(["swaks", "--server", address, "--port", str(port), "--helo", "client.test",
                           "--from", "scanner@example.com", "--to", "x@elsewhere.test", "--auth", mechanism,
                           "--auth-user", user, "--auth-password", password, "--timeout", "60",
                           *(["--tls"] if tls else [])], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                          timeout=60)


def curl(port, mechanism, user="scanner", password=PASSWORD, address="127.83.0.1", **env):
    return subprocess.run(["curl", "-v", "--silent", "--show-error", f"smtp://{address}:{port}/client.test", "--ssl-reqd",
                           "--insecure", "--user", f"{user}:{password}", "--login-options", f"AUTH={mechanism}",
                           "--mail-from", "scanner@example.com", "--mail-rcpt", "x@elsewhere.test", "-T", "-"],
                          input=mails.PLAIN.decode(), stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                          timeout=60, env=dict(os.environ, **env))


def msmtp(port, mechanism, user="scanner", password=PASSWORD, address="127.83.0.1", host=None, **env):
    return subprocess.run(["msmtp", "--file=/dev/null", f"--host={host or address}", f"--port={port}",
                           "--domain=client.test", "--from=scanner@example.com", "--tls=on", "--tls-starttls=on",
                           "--tls-certcheck=off", f"--auth={mechanism}", f"--user={user}",
                           f"--passwordeval=printf %s '{password}'", "--debug", "--", "x@elsewhere.test"],
                          input=mails.PLAIN.replace(b"\r\n", b"\n").decode(), stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, text=True, timeout=60, env=dict(os.environ, HOME="/nonexistent", **env))


def gsasl(port, mechanism, user="scanner", password=PASSWORD, address="127.83.0.1"):
    """GNU SASL's own client: it logs in and leaves."""
    return subprocess.run(["gsasl", "--smtp", "--connect", f"{address}:{port}", "--mechanism", mechanism,
                           "--authentication-id", user, "--password", password, "--starttls", "--x509-ca-file=",
                           *([] if mechanism.endswith("PLUS") else ["--no-cb"])],
                          input="QUIT\n", stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=60)


def python(port, mechanism="PLAIN", user="scanner", password=PASSWORD, address="127.83.0.1", source=None):
    with smtplib.SMTP(address, port, local_hostname="client.test", timeout=60, source_address=source) as s:
        s.starttls(context=ssl._create_unverified_context())
        s.ehlo()
        s.user, s.password = user, password
        code, text = s.auth(mechanism, getattr(s, "auth_" + mechanism.lower()))
        assert code == 235, text
        s.sendmail("scanner@example.com", ["x@elsewhere.test"], mails.PLAIN)


def secrets(password):
    plain = password.encode()
    return [plain, base64.b64encode(plain), base64.b64encode(b"\0scanner\0" + plain)]


def assert_nothing_told(folder, password=PASSWORD):
    """Neither the password nor its base64 stands in any file: logs, the protocol log, the spool."""
    looked = 0
    for path in glob.glob(f"{folder}/**", recursive=True):
        if os.path.isfile(path):
            content = open(path, "rb").read()
            looked += 1
            for secret in secrets(password):
                assert secret not in content, f"{path} has {secret}"
    assert looked >= 3


@pytest.fixture
def node(start, folder, server_certificate):
    def run(users=True, **options):
        port = process.free_port()
        config = receive(port, server_certificate, **options) + relais.domain("example.com")
        config += relais.send("Out", maildir=f"{folder}/mail/%d/%u")
        node = start(config, port)
        node.port = port
        node.mail = f"{folder}/mail/elsewhere.test/x/new"
        if users:
            add_user(node, "scanner")
        return node

    return run


def one_mail(node):
    process.wait_for("the mail", lambda: os.path.isdir(node.mail) and os.listdir(node.mail))
    return open(os.path.join(node.mail, os.listdir(node.mail)[0]), "rb").read()


CLIENTS = {
    "swaks-plain": lambda port, **more: swaks(port, "PLAIN", **more),
    "swaks-login": lambda port, **more: swaks(port, "LOGIN", **more),
    "curl-plain": lambda port, **more: curl(port, "PLAIN", **more),
    "curl-login": lambda port, **more: curl(port, "LOGIN", **more),
    "msmtp-scram": lambda port, **more: msmtp(port, "scram-sha-256", **more),
    "msmtp-plain": lambda port, **more: msmtp(port, "plain", **more),
    "msmtp-login": lambda port, **more: msmtp(port, "login", **more),
}


@pytest.mark.parametrize("client", CLIENTS)
def test_log_in(node, folder, client):
    relay = node()
    done = CLIENTS[client](relay.port)
    assert done.returncode == 0, done.stdout
    content = one_mail(relay)
    assert b"with ESMTPSA" in content.replace(b"\r\n\t", b" ")
    relay.wait_log(r"login .*user=scanner")
    failed = CLIENTS[client](relay.port, password="wrong " + PASSWORD)
    assert failed.returncode != 0 and "535" in failed.stdout, failed.stdout
    relay.wait_log(r"login_failed .*user=scanner .*rule=login code=535")
    relay.stop()
    assert_nothing_told(folder)
    assert_nothing_told(folder, "wrong " + PASSWORD)


@pytest.mark.parametrize("mechanism", ["PLAIN", "LOGIN"])
def test_smtplib(node, mechanism):
    relay = node()
    python(relay.port, mechanism)
    one_mail(relay)
    with pytest.raises(smtplib.SMTPAuthenticationError) as refused:
        python(relay.port, mechanism, password="x")
    assert refused.value.smtp_code == 535 and b"5.7.8" in refused.value.smtp_error


def session(relay, tls=True):
    s = smtplib.SMTP("127.83.0.1", relay.port, local_hostname="client.test", timeout=60)
    if tls:
        s.starttls(context=ssl._create_unverified_context())
    s.ehlo()
    return s


def test_offers(node):
    """Nothing before TLS; then the strongest first."""
    relay = node()
    with session(relay, tls=False) as s:
        assert not s.has_extn("auth")
        assert s.docmd("AUTH", "PLAIN AGEAYg==")[0] == 538
        assert s.docmd("MAIL", "FROM:<scanner@example.com>")[0] == 530
        s.starttls(context=ssl._create_unverified_context())
        s.ehlo()
        assert s.esmtp_features["auth"].split() == ["SCRAM-SHA-256-PLUS", "SCRAM-SHA-256", "PLAIN", "LOGIN"]
        assert s.docmd("AUTH", "GSSAPI")[0] == 504
        assert s.docmd("AUTH", "PLAIN")[0] == 334
        assert s.docmd("*")[0] == 501


def test_without_tls(node):
    relay = node(auth=("plain",), auth_without_tls=True)
    assert swaks(relay.port, "PLAIN", tls=False).returncode == 0
    with session(relay) as s:  # logging in counts no more once TLS begins (RFC 3207, 4.2)
        assert s.esmtp_features["auth"].split() == ["PLAIN"]


def test_require_auth(node):
    relay = node(require_auth=True, groups=("users", "anonymous"))
    with session(relay) as s:
        assert s.docmd("MAIL", "FROM:<scanner@example.com>") == (530, b"5.7.0 Authentication required")
        s.login("scanner", PASSWORD)
        assert s.docmd("MAIL", "FROM:<scanner@example.com>")[0] == 250


def test_own_addresses(node):
    relay = node()
    relay.tool("user", "addresses", "scanner", "--address", "scan*@example.com")
    with session(relay) as s:
        s.login("scanner", PASSWORD)
        assert s.docmd("MAIL", "FROM:<scan7@example.com>")[0] == 250
        s.rset()
        code, text = s.docmd("MAIL", "FROM:<boss@example.com>")
        assert code == 550 and text.startswith(b"5.7.60")


def raw_auth(s, answer):
    return s.docmd("AUTH", "PLAIN " + base64.b64encode(answer).decode())


def test_salts_of_nobody_stay(node):
    """A name that is none has the same salt each time, after a restart too, as users have."""
    relay = node(logins_max=1000)

    def salt(name):
        with session(relay) as s:
            code, text = s.docmd("AUTH", "SCRAM-SHA-256 " + base64.b64encode(f"n,,n={name},r=abc".encode()).decode())
            assert code == 334 and s.docmd("*")[0] == 501
            return base64.b64decode(text).split(b",")[1]

    before = [salt("scanner"), salt("nobody"), salt("somebody")]
    relay.stop()
    relay.start()
    assert [salt("scanner"), salt("nobody"), salt("somebody")] == before and len(set(before)) == 3


def test_salts_of_nobody_are_the_same_on_two_nodes(start, folder):
    """Who asks both nodes learns no names: what such salts are made of goes with the accounts' file."""
    salts = []
    with open(f"{folder}/password", "w") as f:
        f.write("correct horse\n")
    for name in ("one", "two"):
        port = process.free_port()
        node = start(f'account_file = "{folder}/accounts"\n' +
                     relais.receive("In", f"127.0.0.1:{port}", auth=["scram-sha-256"], auth_without_tls=True) +
                     relais.send("Out", smart_hosts=["[127.0.0.1]:1"]), port, name=name)
        if not salts:
            node.tool("user", "add", "scanner", "--password-file", f"{folder}/password")
        for user in ("scanner", "nobody"):
            with smtplib.SMTP("127.0.0.1", port, local_hostname="client.test") as s:
                s.ehlo()
                code, text = s.docmd("AUTH", "SCRAM-SHA-256 " + base64.b64encode(f"n,,n={user},r=abc".encode()).decode())
                assert code == 334 and s.docmd("*")[0] == 501
                salts.append(base64.b64decode(text).split(b",")[1])
    assert salts[:2] == salts[2:] and salts[0] != salts[1]
    with open(f"{folder}/accounts") as f:
        assert f.read().count("# salt-key: ") == 1


def test_tarpit(node):
    """Wrong passwords are answered late, and what comes next waits too."""
    relay = node(tarpit="1s", logins_max=3)
    with session(relay) as s:
        for i in range(3):
            began = time.monotonic()
            assert raw_auth(s, b"\0scanner\0no%d" % i)[0] == 535
            assert time.monotonic() - began >= 0.9
        assert s.getreply()[0] == 421
    relay.wait_log(r"reject .*stage=AUTH rule=logins .*code=421")


def test_no_tarpit_for_users(node):
    relay = node(tarpit="1m")
    with session(relay) as s:
        assert raw_auth(s, b"\0scanner\0" + PASSWORD.encode())[0] == 235
        began = time.monotonic()
        assert s.docmd("MAIL", "nonsense")[0] == 501
        assert time.monotonic() - began < 30


def test_count(node):
    relay = node(logins_max=3)
    with session(relay) as s:
        assert raw_auth(s, b"\0scanner\0no")[0] == 535
        assert raw_auth(s, b"\0nobody\0no")[0] == 535
        assert raw_auth(s, b"admin\0scanner\0" + PASSWORD.encode())[0] == 535  # to act as another
        code, text = s.getreply()
        assert code == 421 and text.startswith(b"4.7.0"), text
        with pytest.raises((smtplib.SMTPServerDisconnected, OSError)):
            s.docmd("NOOP")
    assert len([line for line in relay.log().splitlines() if " login_failed " in line]) == 3


def test_report_only(node):
    relay = node(logins_max=1, report_only=["logins"])
    with session(relay) as s:
        for _ in range(3):
            assert raw_auth(s, b"\0scanner\0no")[0] == 535
        assert raw_auth(s, b"\0scanner\0" + PASSWORD.encode())[0] == 235
    relay.wait_log("would_refuse .*limit=logins")


def test_gone_meanwhile(node):
    """Clients that leave while their password is being looked at harm nobody."""
    relay = node(logins_max=1000)
    for _ in range(30):
        s = session(relay)
        s.putcmd("AUTH", "PLAIN " + base64.b64encode(b"\0scanner\0no").decode())
        s.close()
    python(relay.port)
    assert relay.status()["ok"]


def test_loop_goes_on(node):
    """While passwords are being looked at, others are served."""
    relay = node(logins_max=1000)
    busy = [session(relay) for _ in range(20)]
    for s in busy:
        s.putcmd("AUTH", "PLAIN " + base64.b64encode(b"\0scanner\0no").decode())
    with session(relay, tls=False) as s:
        began = time.monotonic()
        for _ in range(20):
            assert s.noop()[0] == 250
        took = time.monotonic() - began
    for s in busy:
        assert s.getreply()[0] == 535
        s.close()
    assert took < 3.0 * process.SLOWER, f"20 NOOPs took {took:.2f} s"


def test_accounts_change(node):
    relay = node()
    relay.tool("user", "disable", "scanner")
    assert swaks(relay.port, "PLAIN").returncode != 0
    assert msmtp(relay.port, "scram-sha-256").returncode != 0
    relay.tool("user", "enable", "scanner")
    with session(relay) as s:
        s.login("scanner", PASSWORD)
        relay.tool("user", "remove", "scanner")
        code, text = s.docmd("MAIL", "FROM:<scanner@example.com>")
        assert code == 421, text
    assert swaks(relay.port, "PLAIN").returncode != 0


def test_login_goes_by_what_holds_now(node):
    """A session that was there before does not log in by what its settings said then."""
    relay = node()
    with session(relay) as early:
        relay.tool("user", "disable", "scanner")
        assert raw_auth(early, b"\0scanner\0" + PASSWORD.encode())[0] == 535
        relay.tool("user", "enable", "scanner")
        assert raw_auth(early, b"\0scanner\0" + PASSWORD.encode())[0] == 235


def test_user_list(node, folder):
    """Last use and addresses seen survive a restart; one account everywhere is reported."""
    relay = node(users=False)
    with open(relay.file, "a") as f:
        f.write("addresses_per_account = 3\n")
    relay.tool("reload")
    add_user(relay, "scanner", PASSWORD, "--address", "@example.com")
    add_user(relay, "unused")
    for i in range(4):
        python(relay.port, source=(f"127.83.1.{i + 1}", 0))
    relay.wait_log(r"login_spread session=\w+ connector=\w+ user=scanner addresses=4")
    rows = {row["name"]: row for row in map(json.loads, relay.tool("--json", "user", "list").stdout.splitlines())}
    assert rows["scanner"]["state"] == "many addresses" and rows["scanner"]["logins"] == 4
    assert [seen["address"] for seen in rows["scanner"]["from"]] == [f"127.83.1.{i}" for i in (4, 3, 2, 1)]
    assert rows["unused"]["logins"] == 0 and rows["scanner"]["addresses"] == ["@example.com"]
    relay.stop()
    assert "127.83.1.4 (+3)" in relay.tool("user", "list").stdout
    assert os.stat(f"{relay.folder}/accounts").st_mode & 0o777 == 0o600
    assert_nothing_told(folder)


def test_bad_file(node):
    """A line with a mistake is told with its number, and the settings in force stay."""
    relay = node()
    with open(f"{relay.folder}/accounts", "a") as f:
        f.write("other hash=plaintext\n")
    done = relay.tool("reload", check=False)
    assert done.returncode and "accounts:3: error: 'hash'" in done.stdout + done.stderr + relay.log()
    assert swaks(relay.port, "PLAIN").returncode == 0
    relay.tool("user", "remove", "other")


# --- Kerberos, certificates, PAM ---


def test_kerberos(node, folder, start, server_certificate):
    """A real KDC; its ticket lets curl in without a password."""
    host = "relay.test"
    with kerberos.Realm(folder, host) as realm:
        port = process.free_port()
        config = (f'kerberos_keytab = "{realm.keytab}"\nkerberos_service = "smtp@{host}"\n'
                  f'kerberos_realm = "{kerberos.REALM}"\n')
        config += receive(port, server_certificate, auth=("gssapi",)) + relais.domain("example.com")
        config += relais.send("Out", maildir=f"{folder}/mail/%d/%u")
        relay = start(config, port, env=realm.env)
        relay.tool("user", "add", "anna", "--no-password", "--address", "scanner@example.com")
        command = ["curl", "-v", "--silent", "--show-error", f"smtp://{host}:{port}/client.test", "--ssl-reqd", "--insecure",
                   "--resolve", f"{host}:{port}:127.83.0.1", "--user", f"anna@{kerberos.REALM}:", "--login-options", "AUTH=GSSAPI",
                   "--mail-from", "scanner@example.com", "--mail-rcpt", "x@elsewhere.test", "-T", "-"]
        done = subprocess.run(command, input=mails.PLAIN.decode(), stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                              text=True, timeout=60, env=dict(os.environ, **realm.env))
        assert done.returncode == 0, done.stdout
        relay.wait_log(r"login .*mechanism=GSSAPI user=anna ")
        relay.mail = f"{folder}/mail/elsewhere.test/x/new"
        one_mail(relay)
        relay.tool("user", "disable", "anna")
        done = subprocess.run(command, input=mails.PLAIN.decode(), stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                              text=True, timeout=60, env=dict(os.environ, **realm.env))
        assert done.returncode != 0 and "535" in done.stdout
        relay.stop()  # before the realm ends


def client_certificate(folder, name):
    certificate, key = f"{folder}/{name}.crt", f"{folder}/{name}.key"
    subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes",
                    "-days", "30", "-subj", f"/CN={name}", "-keyout", key, "-out", certificate], check=True,
                   stderr=subprocess.DEVNULL)
    der = subprocess.run(["openssl", "x509", "-in", certificate, "-outform", "DER"], check=True, stdout=subprocess.PIPE).stdout
    return certificate, key, "sha256:" + hashlib.sha256(der).hexdigest()


def test_external(node, folder):
    """A client certificate that is known says who it is."""
    certificate, key, fingerprint = client_certificate(folder, "printer7")
    other = client_certificate(folder, "other")
    relay = node(users=False, auth=("plain", "external"), client_certificate="ask", client_fingerprints=[fingerprint],
                 groups=("users",))
    relay.tool("user", "add", "printer7", "--no-password", "--address", "@example.com")

    def connect(files):
        context = ssl._create_unverified_context()
        context.load_cert_chain(files[0], files[1])
        s = smtplib.SMTP("127.83.0.1", relay.port, local_hostname="client.test", timeout=60)
        s.starttls(context=context)
        s.ehlo()
        return s

    with connect((certificate, key)) as s:
        assert s.esmtp_features["auth"].split() == ["EXTERNAL", "PLAIN"]
        assert s.docmd("AUTH", "EXTERNAL " + base64.b64encode(b"admin").decode())[0] == 535
        assert s.docmd("AUTH", "EXTERNAL =")[0] == 235
        assert s.docmd("MAIL", "FROM:<scanner@example.com>")[0] == 250
    relay.wait_log("login .*mechanism=EXTERNAL user=printer7 ")
    with connect(other) as s:
        assert s.esmtp_features["auth"].split() == ["PLAIN"]
        assert s.docmd("AUTH", "EXTERNAL =")[0] == 504
    with connect((certificate, key)) as known, connect((certificate, key)) as waiting:
        assert known.docmd("AUTH", "EXTERNAL =")[0] == 235
        with open(relay.file) as f:
            text = f.read()
        with open(relay.file, "w") as f:
            f.write(text.replace(fingerprint, other[2]))
        relay.tool("reload")
        assert known.docmd("MAIL", "FROM:<scanner@example.com>")[0] == 421
        assert waiting.docmd("AUTH", "EXTERNAL =")[0] == 421


@pytest.fixture
def pam_service(folder):
    """A service of the test's own among the system's, with one user in a file."""
    matrix = subprocess.run(["find", "/usr/lib", "-name", "pam_matrix.so"], stdout=subprocess.PIPE, text=True).stdout.split()[0]
    name = f"relais-test-{os.getpid()}"
    with open(f"{folder}/passdb", "w") as f:
        f.write(f"berta:{PASSWORD}:{name}\n")
    with open(f"/etc/pam.d/{name}", "w") as f:
        f.write(f"auth required {matrix} passdb={folder}/passdb\naccount required {matrix} passdb={folder}/passdb\n")
    yield name
    os.unlink(f"/etc/pam.d/{name}")


@needs_root
def test_pam(folder, start, server_certificate, pam_service):
    """Whom PAM knows may log in; the file's accounts go before."""
    port = process.free_port()
    config = f'pam_service = "{pam_service}"\n'
    config += receive(port, server_certificate, auth=("plain", "login"), logins_max=100)
    config += relais.domain("example.com") + relais.send("Out", maildir=f"{folder}/mail/%d/%u")
    relay = start(config, port)
    relay.port = port
    with session(relay) as s:
        assert raw_auth(s, b"\0berta\0wrong")[0] == 535
        assert raw_auth(s, b"\0carla\0" + PASSWORD.encode())[0] == 535
        assert raw_auth(s, b"\0berta\0" + PASSWORD.encode())[0] == 235
        assert s.docmd("MAIL", "FROM:<berta@example.com>")[0] == 250
    add_user(relay, "berta", "another")
    with session(relay) as s:
        assert raw_auth(s, b"\0berta\0" + PASSWORD.encode())[0] == 535
        assert raw_auth(s, b"\0berta\0another")[0] == 235


# --- Towards smart hosts ---


def hand_in(port):
    with smtplib.SMTP("127.83.0.2", port, local_hostname="client.test", timeout=60) as s:
        s.sendmail("scanner@example.com", ["x@elsewhere.test"], mails.PLAIN)


def satellite(start, port, to, server_certificate, **options):
    options.setdefault("tls", "encrypt")
    config = relais.receive("In", f"127.83.0.2:{port}")
    config += relais.send("Host", smart_hosts=[f"[127.83.0.1]:{to}"], user="scanner", **options)
    return start(config, port, name="satellite")


@pytest.mark.parametrize("offered,used", [
    (ALL, "SCRAM-SHA-256-PLUS"),
    (("plain", "login", "scram-sha-256"), "SCRAM-SHA-256"),
    (("plain", "login"), "PLAIN"),
    (("login",), "LOGIN"),
])
def test_smart_host(node, start, folder, server_certificate, offered, used):
    """The strongest that both know."""
    host = node(auth=offered)
    port = process.free_port()
    satellite(start, port, host.port, server_certificate, password=PASSWORD)
    hand_in(port)
    one_mail(host)
    host.wait_log(f"login .*mechanism={used} user=scanner")
    assert_nothing_told_but_config(folder)


def assert_nothing_told_but_config(folder):
    for name in os.listdir(f"{folder}/satellite"):
        path = f"{folder}/satellite/{name}"
        if os.path.isfile(path) and name != "relais.conf":
            for secret in secrets(PASSWORD):
                assert secret not in open(path, "rb").read(), name


def test_smart_host_wrong_password(node, start, folder, server_certificate):
    """The mail waits, is not bounced, and leaves once the password is right."""
    host = node(tarpit="0s")
    port = process.free_port()
    relay = satellite(start, port, host.port, server_certificate, password="not it")
    hand_in(port)
    relay.wait_log("refused our user and password and said: 535 5.7.8")
    assert relay.queued() == 1 and " dsn " not in relay.log()
    with open(relay.file) as f:
        config = f.read()
    with open(relay.file, "w") as f:
        f.write(config.replace("not it", PASSWORD))
    relay.tool("reload")
    one_mail(host)


def test_smart_host_in_clear(node, start, server_certificate):
    """Without TLS a password is not sent; SCRAM does not send it, and may."""
    host = node(auth=("plain",), auth_without_tls=True, tls="off")
    port = process.free_port()
    relay = satellite(start, port, host.port, server_certificate, password=PASSWORD, tls="none")
    hand_in(port)
    relay.wait_log("offers no way that may be used")
    with open(relay.file) as f:
        config = f.read()
    with open(relay.file, "w") as f:
        f.write(config.replace("    password =", "    auth_without_tls = true\n    password ="))
    relay.tool("reload")
    one_mail(host)


def test_smart_host_restricted(node, start, server_certificate):
    host = node()
    port = process.free_port()
    satellite(start, port, host.port, server_certificate, password=PASSWORD, auth=["login"])
    hand_in(port)
    one_mail(host)
    host.wait_log("login .*mechanism=LOGIN user=scanner")


@pytest.mark.parametrize("mechanism", ["SCRAM-SHA-256", "SCRAM-SHA-256-PLUS"])
def test_gsasl(node, mechanism):
    """A client with another TLS library: its channel binding is ours."""
    relay = node()
    done = gsasl(relay.port, mechanism)
    assert "235" in done.stdout, done.stdout
    relay.wait_log(f"login .*mechanism={mechanism} user=scanner")
    done = gsasl(relay.port, mechanism, password="wrong")
    assert "535" in done.stdout, done.stdout


@needs_root
@pytest.mark.parametrize("mechanisms,used", [("plain login scram-sha-256", "SCRAM-SHA-256"), ("plain login", "PLAIN"),
                                             ("login", "LOGIN")])
def test_dovecot(start, folder, server_certificate, mechanisms, used):
    """Somebody else's submission server lets us in, by SCRAM where it can."""
    end, port = process.free_port(), process.free_port()
    start(relais.receive("End", f"127.0.0.1:{end}", ranges=("127.0.0.0/8",))
          + relais.send("Out", maildir=f"{folder}/mail/%d/%u"), end, name="end")
    with dovecot.Submission(f"{folder}/dovecot", end, "Geheim-12", mechanisms, server_certificate) as host:
        config = relais.receive("In", f"127.83.0.2:{port}")
        config += relais.send("Host", smart_hosts=[f"[127.83.0.3]:{host.port}"], user="scanner", password="Geheim-12",
                              tls="encrypt")
        relay = start(config, port, name="satellite")
        hand_in(port)
        relay.mail = f"{folder}/mail/elsewhere.test/x/new"
        one_mail(relay)
        log = relay.log_of("protocol")
        assert ("AUTH PLAIN ***" in log) == (used == "PLAIN") and ("AUTH LOGIN" in log) == (used == "LOGIN")
        assert "235 " in log
        relay.wait_empty()
        relay.stop()
