"""Certificates that a test signs itself."""

from __future__ import annotations

import subprocess
from pathlib import Path


def make_certificate(certificate: Path, key: Path, name: str, *alternatives: str) -> None:
    """Make a certificate to a host name and its alternatives, such as `DNS:*.example.org`, and its key."""
    command = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", f"/CN={name}"]
    if alternatives:
        command += ["-addext", f"subjectAltName={','.join(alternatives)}"]
    command += ["-out", str(certificate), "-keyout", str(key)]
    subprocess.run(command, check=True, capture_output=True, timeout=600)
