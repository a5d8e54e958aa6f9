"""A self-signed certificate, which is trusted only where a test names it."""

import shutil
import ssl
import subprocess

from tests.needs import lacking


def certificate(directory):
    """Make a certificate for 127.0.0.1 and broker.example; return its file with the key. `FILE.cert` has no key."""
    if shutil.which("openssl") is None:
        lacking("openssl", "it makes a certificate")
    path = directory / "both.pem"
    command = (
        "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2 -subj /CN=us"
        " -addext subjectAltName=IP:127.0.0.1,DNS:broker.example"
    )
    subprocess.run([*command.split(), "-keyout", path, "-out", f"{path}.cert"], check=True, capture_output=True)
    path.write_text(path.read_text() + path.with_name("both.pem.cert").read_text())
    return path


def served(path):
    """The TLS context of a server with the certificate at `path`."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(path)
    return context
