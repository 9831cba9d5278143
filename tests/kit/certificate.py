"""A self-signed certificate for a test's server."""
import os
import subprocess


def make(folder, name="relay.test"):
    """Returns (certificate file, key file)."""
    certificate, key = os.path.join(folder, name + ".crt"), os.path.join(folder, name + ".key")
    subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1",
                    "-nodes", "-days", "30", "-subj", f"/CN={name}",
                    "-addext", f"subjectAltName=DNS:{name},DNS:localhost,IP:127.0.0.1",
                    "-keyout", key, "-out", certificate], check=True, stderr=subprocess.DEVNULL)
    return certificate, key


def fingerprint(file):
    """"sha256:HEX" of the first certificate in a file."""
    text = subprocess.run(["openssl", "x509", "-noout", "-fingerprint", "-sha256", "-in", file], check=True,
                          stdout=subprocess.PIPE, text=True).stdout
    return "sha256:" + text.strip().partition("=")[2]


class Authority:
    """Signs certificates; FILE is its own."""

    def __init__(self, folder, name="Authority"):
        self.folder, self.name = folder, name
        self.file, self.key = os.path.join(folder, f"{name}.crt"), os.path.join(folder, f"{name}.key")
        self.serial = 0
        self._openssl("req", "-x509", *self._key_options("EC"), "-nodes", "-days", "300", "-subj", f"/CN={name}",
                      "-keyout", self.key, "-out", self.file)

    @staticmethod
    def _key_options(kind):
        return ["-newkey", "rsa:2048"] if kind == "RSA" else ["-newkey", "ec", "-pkeyopt",
                                                              "ec_paramgen_curve:prime256v1"]

    @staticmethod
    def _openssl(*arguments):
        subprocess.run(["openssl", *arguments], check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)

    def sign(self, name, *alternatives, days=30, kind="EC"):
        """(certificate with its chain, key) for NAME and ALTERNATIVES, as "IP:127.0.0.1"."""
        self.serial += 1
        base = os.path.join(self.folder, f"{self.name}-{self.serial}")
        names = ",".join(alternatives) or f"DNS:{name}"
        with open(base + ".ext", "w") as f:
            f.write(f"subjectAltName={names}\n")
        self._openssl("req", *self._key_options(kind), "-nodes", "-subj", f"/CN={name}", "-keyout", base + ".key",
                      "-out", base + ".csr")
        self._openssl("x509", "-req", "-in", base + ".csr", "-CA", self.file, "-CAkey", self.key, "-set_serial",
                      str(self.serial), "-days", str(days), "-extfile", base + ".ext", "-out", base + ".crt")
        with open(base + ".crt", "a") as to, open(self.file) as chain:
            to.write(chain.read())
        return base + ".crt", base + ".key"
