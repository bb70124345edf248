"""Certificates as somebody else would bring them: made by openssl, self-signed, with a key of their own.

    pair = make_pair(folder, "a", ["a.test"])      # pair.cert, pair.key; pair.der is what visitors are to see
"""

from __future__ import annotations

import ipaddress
import ssl
import subprocess
import tempfile
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import NamedTuple, Sequence

from programs import need
from visitor import connect


class Pair(NamedTuple):
    cert: Path
    key: Path

    @property
    def der(self) -> bytes:
        return ssl.PEM_cert_to_DER_cert(self.cert.read_text())

    def joined(self, path: Path) -> Path:
        """One file with both, as default_cert takes it."""
        path.touch(mode=0o600)
        path.write_text(self.cert.read_text() + self.key.read_text())
        return path


def is_address(name: str) -> bool:
    try:
        return bool(ipaddress.ip_address(name))
    except ValueError:
        return False


def alternatives(names: Sequence[str]) -> str:
    return "subjectAltName=" + ",".join(f"{'IP' if is_address(name) else 'DNS'}:{name}" for name in names)


def openssl(*args: object) -> None:
    subprocess.run([need("openssl"), *map(str, args)], check=True, capture_output=True)


AUTHORITY = """[ca]
default_ca = here
[here]
database = {folder}/index
new_certs_dir = {folder}
unique_subject = no
rand_serial = yes
default_md = sha256
copy_extensions = {copies}
policy = any
[any]
organizationName = optional
commonName = optional
"""


def issue(request: Path, out: Path, days: int, *how: object, copies: str = "none") -> None:
    """By openssl ca: openssl x509 of 3.5 refuses days of the past, that of 3.0 knows no dates. It was valid from two days
    ago on, or before it expired."""
    now = datetime.now(timezone.utc)
    begin, end = (f"{now + timedelta(days=n):%Y%m%d%H%M%SZ}" for n in (min(days, 0) - 2, days))
    with tempfile.TemporaryDirectory(dir=out.parent) as folder:
        (Path(folder) / "index").touch()
        (conf := Path(folder) / "conf").write_text(AUTHORITY.format(folder=folder, copies=copies))
        openssl("ca", "-batch", "-notext", "-config", conf, "-startdate", begin, "-enddate", end, "-in", request, "-out", out,
                *how)


def make_pair(folder: Path, name: str, names: Sequence[str], days: int = 30,
              key: Sequence[str] = ("ec", "-pkeyopt", "ec_paramgen_curve:P-256"), subject: str = "") -> Pair:
    """folder/name.pem and folder/name.key. With days = -1 it has expired."""
    pair, request = Pair(folder / f"{name}.pem", folder / f"{name}.key"), folder / f"{name}.csr"
    openssl("req", "-newkey", *key, "-nodes", "-subj", subject or f"/O={name}",
            *(["-addext", alternatives(names)] if names else []), "-keyout", pair.key, "-out", request)
    issue(request, pair.cert, days, "-selfsign", "-keyfile", pair.key, copies="copy")
    pair.key.chmod(0o600)
    return pair


def sign(pair: Pair, issuer: Pair, extensions: Sequence[str], days: int = 30) -> Pair:
    """The same key, in a certificate that the issuer signs. An issuer's own certificate is one that it signs itself."""
    lines, request = pair.cert.with_suffix(".ext"), pair.cert.with_suffix(".csr")
    lines.write_text("\n".join([*extensions, ""]))
    issue(request, pair.cert, days, "-cert", issuer.cert, "-keyfile", issuer.key, "-extfile", lines)
    return pair


def shown(port: int, name: str | None) -> bytes:
    """The certificate that visitors of this name are shown, unverified."""
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    tls.check_hostname, tls.verify_mode = False, ssl.CERT_NONE
    with connect(port, tls, name) as visitor:
        return visitor.getpeercert(binary_form=True)
