"""A private Kerberos realm: a KDC on a loopback port, a keytab for the relay, a ticket for a user."""
import os
import subprocess

from . import process

REALM = "RELAIS.TEST"


class Realm:
    """HOST: the relay's name, which the clients ask a ticket for."""

    def __init__(self, folder, host, address="127.83.0.88"):
        self.folder, self.host = os.path.join(str(folder), "kerberos"), host
        os.makedirs(self.folder)
        self.keytab = os.path.join(self.folder, "keytab")
        self.port = process.free_port()
        self.env = {"KRB5_CONFIG": os.path.join(self.folder, "krb5.conf"),
                    "KRB5_KDC_PROFILE": os.path.join(self.folder, "kdc.conf"),
                    "KRB5CCNAME": "FILE:" + os.path.join(self.folder, "ticket")}
        with open(self.env["KRB5_CONFIG"], "w") as f:
            f.write(f"""[libdefaults]
    default_realm = {REALM}
    dns_lookup_kdc = false
    dns_lookup_realm = false
    dns_canonicalize_hostname = false
    rdns = false
    udp_preference_limit = 1
[realms]
    {REALM} = {{
        kdc = {address}:{self.port}
    }}
[domain_realm]
    {host} = {REALM}
""")
        with open(self.env["KRB5_KDC_PROFILE"], "w") as f:
            f.write(f"""[kdcdefaults]
    kdc_listen = {address}:{self.port}
    kdc_tcp_listen = {address}:{self.port}
[realms]
    {REALM} = {{
        database_name = {self.folder}/principal
        acl_file = {self.folder}/acl
        key_stash_file = {self.folder}/stash
        max_life = 1h
    }}
[logging]
    kdc = FILE:{self.folder}/kdc.log
""")
        self._run("/usr/sbin/kdb5_util", "create", "-s", "-r", REALM, "-P", "master")
        self._admin("addprinc -pw ticket-word anna")
        self._admin(f"addprinc -randkey smtp/{host}")
        self._admin(f"ktadd -k {self.keytab} smtp/{host}")

    def _run(self, *command, text=""):
        done = subprocess.run(command, input=text, env=dict(os.environ, **self.env), stdout=subprocess.PIPE,
                              stderr=subprocess.STDOUT, text=True, timeout=60)
        assert done.returncode == 0, f"{command}: {done.stdout}"

    def _admin(self, query):
        self._run("/usr/sbin/kadmin.local", "-r", REALM, "-q", query)

    def __enter__(self):
        self.process = subprocess.Popen(["/usr/sbin/krb5kdc", "-n", "-r", REALM], env=dict(os.environ, **self.env),
                                        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        process.wait_for("a ticket", self._can_get_ticket)
        return self

    def _can_get_ticket(self):
        done = subprocess.run(["kinit", "anna"], input="ticket-word\n", env=dict(os.environ, **self.env),
                              stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, text=True, timeout=60)
        return done.returncode == 0

    def __exit__(self, *_):
        process.end(self.process)
