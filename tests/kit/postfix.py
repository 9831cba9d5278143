"""A private Postfix: its own configuration, queue and data folders, no word with the system's.

Postfix' master must be root; its daemons then run as user postfix, so the folder must lie where
that user may go.
"""
import glob
import os
import subprocess

from .process import listens, wait_for

# As the documentation of Postfix (TUNING_README, postconf(5)) advises for a busy relay behind one
# fast next hop: no lookups, no anvil limits, no delay of input, connections used again.
TUNED = {
    "default_process_limit": "120",
    "default_destination_concurrency_limit": "4",
    "initial_destination_concurrency": "4",
    "in_flow_delay": "0",
    "smtpd_client_connection_count_limit": "0",
    "smtpd_client_connection_rate_limit": "0",
    "smtpd_client_message_rate_limit": "0",
    "smtpd_client_recipient_rate_limit": "0",
    "smtp_connection_cache_on_demand": "yes",
    "qmgr_message_active_limit": "20000",
    "qmgr_message_recipient_limit": "20000",
}

MASTER = """\
{listen} inet n - n - - smtpd
pickup unix n - n 60 1 pickup
cleanup unix n - n - 0 cleanup
qmgr unix n - n 300 1 qmgr
rewrite unix - - n - - trivial-rewrite
bounce unix - - n - 0 bounce
defer unix - - n - 0 bounce
trace unix - - n - 0 bounce
verify unix - - n - 1 verify
flush unix n - n 1000? 0 flush
proxymap unix - - n - - proxymap
smtp unix - - n - - smtp
relay unix - - n - - smtp
error unix - - n - - error
retry unix - - n - - error
discard unix - - n - - discard
virtual unix - n n - - virtual
lmtp unix - - n - - lmtp
anvil unix - - n - 1 anvil
scache unix - - n - 1 scache
tlsmgr unix - - n 1000? 1 tlsmgr
postlog unix-dgram n - n - 1 postlogd
"""


class Postfix:
    """FOLDER is made; OPTIONS are lines of main.cf over the plain ones."""

    def __init__(self, folder, port, **options):
        self.folder, self.port = str(folder), port
        self.config = os.path.join(self.folder, "etc")
        self.queue = os.path.join(self.folder, "queue")
        self.data = os.path.join(self.folder, "data")
        self.log = os.path.join(self.folder, "maillog")
        for path in (self.folder, self.config, self.queue, self.data):
            os.makedirs(path, exist_ok=True)
            os.chmod(path, 0o755)
        subprocess.run(["chown", "postfix", self.data], check=True)
        main = {
            "compatibility_level": "3.7",
            "queue_directory": self.queue,
            "data_directory": self.data,
            "maillog_file": self.log,
            "maillog_file_prefixes": self.folder,
            "myhostname": "postfix.test",
            "mydestination": "",
            "local_recipient_maps": "",
            "alias_maps": "",
            "alias_database": "",
            "inet_interfaces": "127.0.0.1",
            "inet_protocols": "ipv4",
            "mynetworks": "127.0.0.0/8",
            "smtpd_recipient_restrictions": "permit_mynetworks, reject",
            "smtpd_relay_restrictions": "permit_mynetworks, reject",
            "smtpd_peername_lookup": "no",
            "smtp_dns_support_level": "disabled",
            "smtp_host_lookup": "native",
            "disable_dns_lookups": "yes",
            "message_size_limit": "0",
            "mailbox_size_limit": "0",
            "virtual_mailbox_limit": "0",
            "biff": "no",
            "smtputf8_enable": "yes",
            "strict_smtputf8": "no",
        }
        main.update(options)
        with open(os.path.join(self.config, "main.cf"), "w") as f:
            f.writelines(f"{name} = {value}\n" for name, value in main.items())
        with open(os.path.join(self.config, "master.cf"), "w") as f:
            f.write(MASTER.format(listen=f"127.0.0.1:{port}"))
        for name in ("dynamicmaps.cf", "postfix-files"):
            if not os.path.exists(os.path.join(self.config, name)):
                os.symlink(f"/etc/postfix/{name}", os.path.join(self.config, name))

    def _postfix(self, command):
        return subprocess.run(["/usr/sbin/postfix", "-c", self.config, command],
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)

    def start(self):
        done = self._postfix("start")
        if done.returncode:
            raise RuntimeError(f"postfix did not start: {done.stdout}")
        wait_for("Postfix to listen", lambda: listens(self.port))
        return self

    def pid(self):
        with open(os.path.join(self.queue, "pid", "master.pid")) as f:
            return int(f.read())

    def stop(self):
        self._postfix("stop")

    def queued(self):
        """Files of messages it still holds."""
        return sum(len(files) for name in ("maildrop", "incoming", "active", "deferred")
                   for _, _, files in os.walk(os.path.join(self.queue, name)))

    def __enter__(self):
        return self.start()

    def __exit__(self, *_):
        self.stop()


def tools_missing():
    return [t for t in ("/usr/sbin/postfix", "/usr/sbin/smtp-source", "/usr/sbin/smtp-sink")
            if not glob.glob(t)]
