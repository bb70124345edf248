"""Certificates that another program has ordered are taken over: shown at once, renewed from then on, and never instead of a
better one."""

from __future__ import annotations

import json
import shutil
import ssl
import subprocess
from pathlib import Path
from typing import Any, Callable

import pytest

from control import Reply
from daemon import Daemon
from programs import Result, wait_until
from x509 import Pair, alternatives, make_pair, shown, sign

RSA = ("rsa:2048",)


class Authority:
    """A root, an intermediate, and what it issues. No browser trusts it, but it looks like one that is trusted."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.made = folder, 0
        extensions = ["basicConstraints=critical,CA:TRUE", "subjectKeyIdentifier=hash"]
        root = make_pair(folder, "root", [], days=3000, subject="/CN=Root X9")
        self.root = sign(root, root, extensions, days=3000)
        self.between = sign(make_pair(folder, "between", [], days=900, subject="/CN=R99"), self.root, extensions, days=900)

    def issue(self, *names: str, days: int = 80, key: tuple[str, ...] | None = None) -> Pair:
        self.made += 1
        pair = make_pair(self.folder, f"leaf{self.made}", names, **({"key": key} if key else {}))
        return sign(pair, self.between, [alternatives(names), "basicConstraints=CA:FALSE"], days=days)

    def full(self, pair: Pair) -> str:
        return pair.cert.read_text() + self.between.cert.read_text()


@pytest.fixture
def authority(folder: Path) -> Authority:
    (folder / "pki").mkdir()
    return Authority(folder / "pki")


# ---- folders as those programs leave them ----


def put(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


def certbot(folder: Path, by: Authority, name: str, pair: Pair) -> Path:
    archive, live = folder / "archive" / name, folder / "live" / name
    old = by.issue(name, days=5)
    texts = {"cert": pair.cert.read_text(), "chain": by.between.cert.read_text(), "fullchain": by.full(pair),
             "privkey": pair.key.read_text()}
    live.mkdir(parents=True)
    put(folder / "live" / "README", "do not move these files\n")
    put(folder / "accounts" / "ca" / "private_key.json", "{}")
    for base, text in texts.items():
        put(archive / f"{base}2.pem", text)
        (live / f"{base}.pem").symlink_to(f"../../archive/{name}/{base}2.pem")
    put(archive / "fullchain1.pem", by.full(old))
    put(archive / "privkey1.pem", old.key.read_text())
    return folder


def lego(folder: Path, by: Authority, name: str, pair: Pair) -> Path:
    base = name.replace("*", "_")
    put(folder / "certificates" / f"{base}.crt", by.full(pair))
    put(folder / "certificates" / f"{base}.issuer.crt", by.between.cert.read_text())
    put(folder / "certificates" / f"{base}.key", pair.key.read_text())
    put(folder / "certificates" / f"{base}.json", json.dumps({"domain": name}))
    put(folder / "accounts" / "ca" / "keys" / "me@a.test.key", by.issue("me.test").key.read_text())
    return folder


def acme_sh(folder: Path, by: Authority, name: str, pair: Pair) -> Path:
    own = folder / f"{name}_ecc"
    put(own / f"{name}.cer", pair.cert.read_text())
    put(own / "ca.cer", by.between.cert.read_text())
    put(own / "fullchain.cer", by.full(pair))
    put(own / f"{name}.key", pair.key.read_text())
    put(own / f"{name}.csr", pair.cert.with_suffix(".csr").read_text())
    return folder


def caddy(folder: Path, by: Authority, name: str, pair: Pair) -> Path:
    base = name.replace("*", "wildcard_")
    own = folder / "certificates" / "acme-v02.api.letsencrypt.org-directory" / base
    put(own / f"{base}.crt", by.full(pair))
    put(own / f"{base}.key", pair.key.read_text())
    put(own / f"{base}.json", "{}")
    put(folder / "pki" / "authorities" / "local" / "root.crt", by.root.cert.read_text())
    put(folder / "pki" / "authorities" / "local" / "root.key", by.root.key.read_text())
    return folder


# ---- a relay whose authority is away ----


class Relay:
    def __init__(self, daemons: Callable[..., Daemon], ctl: Callable[..., Result], *sites: str) -> None:
        self.daemon, self.ctl = daemons("relay"), ctl
        self.plain = self.daemon.conf.read_text()
        self.sites: list[str] = []
        self.configure(*sites)
        self.daemon.start()

    def configure(self, *sites: str) -> None:
        self.sites += sites
        self.daemon.conf.write_text(self.plain + "[acme]\ndirectory = https://127.0.0.1:9/dir\npreflight = off\n" + "".join(
            f"[domain {names.split()[0]}]\nupstream = 127.0.0.1:9\n" +
            (f"aliases = {' '.join(names.split()[1:])}\n" if " " in names else "") for names in self.sites))

    def add(self, *sites: str) -> None:
        self.configure(*sites)
        reply = self.daemon.post("/v1/reload")
        assert reply.status == 200, reply

    @property
    def port(self) -> int:
        return int(self.daemon.listen_https.rsplit(":", 1)[1])

    def cert(self, name: str) -> dict[str, Any]:
        return next((s["cert"] for s in self.daemon.get("/v1/status").json["domains"] if s["name"] == name), {"state": None})

    def wait_failed(self, name: str) -> None:
        """The order that began when it was configured is over: its authority is away."""
        wait_until(lambda: self.cert(name).get("last_error"), f"{name} has failed once: {self.cert(name)}")

    def wait_shown(self, name: str, pair: Pair) -> None:
        def is_shown() -> bool:
            try:
                return shown(self.port, name) == pair.der
            except ssl.SSLError:
                return False  # the workers do not know of a new site yet

        wait_until(is_shown, f"{name} is shown as it was imported")

    def bring(self, folder: Path, code: int = 0) -> Result:
        done = self.ctl("certs", "import", folder, at=self.daemon)
        assert done.code == code, done
        return done


@pytest.fixture
def relays(daemons: Callable[..., Daemon], ctl: Callable[..., Result]) -> Callable[..., Relay]:
    return lambda *sites: Relay(daemons, ctl, *sites)


def test_of_four_programs(relays: Callable[..., Relay], authority: Authority, folder: Path) -> None:
    a, b, c, d = (authority.issue(*names) for names in (["a.test", "www.a.test"], ["*.b.test"], ["c.test"], ["d.test"]))
    relay = relays("a.test www.a.test", "c.test")
    relay.wait_failed("a.test")
    relay.wait_failed("c.test")
    taken = [
        relay.bring(certbot(folder / "letsencrypt", authority, "a.test", a)),
        relay.bring(lego(folder / ".lego", authority, "*.b.test", b)),
        relay.bring(acme_sh(folder / ".acme.sh", authority, "c.test", c)),
        relay.bring(caddy(folder / "caddy", authority, "d.test", d)),
    ]
    for done, name in zip(taken, ("a.test", "*.b.test", "c.test", "d.test")):
        lines = done.out.splitlines()
        assert [line for line in lines if line.startswith("  ")] == [f"  {name}: taken"], done
        assert done.err == "" and len(lines) == 2 and "from R99, until 20" in lines[0], done
    relay.wait_shown("a.test", a)
    relay.wait_shown("www.a.test", a)
    relay.wait_shown("c.test", c)
    cert = relay.cert("a.test")
    assert (cert["state"], cert["last_error"]) == ("valid", None), cert

    # Those that no site had are there when one comes, and after a restart; nobody is asked for another.
    relay.add("d.test", "*.b.test")
    relay.wait_shown("d.test", d)
    relay.wait_shown("x.b.test", b)
    relay.daemon.stop()
    relay.daemon.start()
    for name, pair in (("a.test", a), ("x.b.test", b), ("c.test", c), ("d.test", d)):
        relay.wait_shown(name, pair)
    for name in ("a.test", "*.b.test", "c.test", "d.test"):
        assert relay.cert(name)["state"] == "valid", relay.cert(name)

    # As other programs find them.
    own = relay.daemon.state_dir / "certs" / "_wildcard.b.test"
    assert ssl.PEM_cert_to_DER_cert((own / "fullchain.pem").read_text().split("-----END")[0] + "-----END CERTIFICATE-----") \
        == b.der
    notes = json.loads((own / "meta.json").read_text())
    assert notes["certificates"][0]["origin"].endswith("/.lego/certificates/_.b.test.crt")
    assert notes["certificates"][0]["names"] == ["*.b.test"]


def test_never_instead_of_a_better_one(relays: Callable[..., Relay], authority: Authority, folder: Path) -> None:
    relay = relays()
    good, longer = authority.issue("a.test", "www.a.test", days=60), authority.issue("a.test", "www.a.test", days=90)
    less, short = authority.issue("a.test", days=200), authority.issue("a.test", "www.a.test", days=20)
    relay.add("a.test www.a.test")
    relay.wait_failed("a.test")
    bring = lambda name, pair: relay.bring(acme_sh(folder / name, authority, "a.test", pair)).out  # noqa: E731
    assert "a.test: taken" in bring("good", good)
    assert "stays: it is in the store already" in bring("again", good)
    assert "stays: the one in the store is good for longer" in bring("short", short)
    assert "stays: it does not cover www.a.test" in bring("less", less)
    relay.wait_shown("a.test", good)
    assert "a.test: taken" in bring("longer", longer)
    relay.wait_shown("a.test", longer)


def test_says_why_it_takes_none(relays: Callable[..., Relay], authority: Authority, folder: Path,
                                ctl: Callable[..., Result]) -> None:
    relay = relays("a.test www.a.test")
    relay.wait_failed("a.test")
    one, other, old = authority.issue("a.test"), authority.issue("a.test"), authority.issue("a.test", days=-1)

    assert "its key is not in this folder" in relay.bring(
        acme_sh(folder / "mixed", authority, "a.test", Pair(one.cert, other.key)), code=1).err
    assert f"{folder}/old/a.test_ecc/fullchain.cer: the certificate has expired at" in relay.bring(
        acme_sh(folder / "old", authority, "a.test", old), code=1).err
    subprocess.run(["openssl", "pkey", "-in", one.key, "-aes128", "-passout", "pass:secret", "-out", folder / "locked"], check=True)
    assert "has a passphrase" in relay.bring(
        acme_sh(folder / "locks", authority, "a.test", Pair(one.cert, folder / "locked")), code=1).err
    assert "www.a.test: not taken: it is an alias of a.test, which the certificate does not cover" in relay.bring(
        acme_sh(folder / "alias", authority, "www.a.test", authority.issue("www.a.test")), code=1).out
    (folder / "empty").mkdir()
    assert "there is no certificate in it; certbot keeps them in /etc/letsencrypt" in relay.bring(folder / "empty", code=1).err
    missing, file = folder / "missing", folder / "locked"
    for path, why in ((missing, "No such file or directory; is its name right?"), (file, "Not a directory; give the folder that it is in")):
        assert relay.bring(path, code=1).err == f"tunnelctl: cannot open the folder {path}: {why}\n"
    assert ctl("certs", "import", at=relay.daemon).code == 2
    assert not (relay.daemon.state_dir / "certs" / "a.test" / "fullchain.pem").exists()

    # Some of a folder are good: those are taken, and of the others it is said why not.
    shutil.copytree(folder / "mixed", folder / "both" / "mixed")
    done = relay.bring(acme_sh(folder / "both", authority, "b.test", authority.issue("b.test")), code=1)
    assert "b.test: taken" in done.out and "its key is not in this folder" in done.err


def test_what_else_comes_by_the_socket(relays: Callable[..., Relay], authority: Authority) -> None:
    relay = relays()
    pair = authority.issue("a.test")
    content = {"chain": authority.full(pair), "key": pair.key.read_text(), "origin": "a test"}

    def refused(**other: Any) -> str:
        sent = {key: value for key, value in {**content, **other}.items() if value is not None}
        reply: Reply = relay.daemon.post("/v1/certs/import", json.dumps(sent).encode())
        assert reply.status == 400, reply
        return reply.json["error"]

    assert refused(chain=None) == 'a test: member "chain" is missing'
    assert "no chain of certificates" in refused(chain="<html>")
    assert "not a private key" in refused(key=authority.full(pair))
    assert "does not belong" in refused(key=authority.between.key.read_text())
    assert "for no host name" in refused(chain=authority.between.cert.read_text(), key=authority.between.key.read_text())
    assert "more" in refused(more=1)
    assert relay.daemon.post("/v1/certs/import").status == 400
    done = relay.ctl("--json", "certs", "import", authority.folder, at=relay.daemon)
    replies = [json.loads(line) for line in done.out.splitlines()]
    assert [r["results"][0]["state"] for r in replies if "results" in r] == ["taken"], done
