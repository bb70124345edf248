"""tunnelctl certs: what a person sees of certificates, and has done to them."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Callable

from path import edges, fronts  # noqa: F401 (fixtures)
from pebble import pebbles  # noqa: F401 (a fixture)
from programs import Result, wait_until
from test_certs import Certs, certs, section  # noqa: F401 (a fixture)
from test_certs_served import item
from x509 import Pair, make_pair


def row(done: Result, name: str) -> list[str]:
    return next(line.split() for line in done.out.splitlines() if line.split()[:1] == [name])


def ask(ctl: Callable[..., Result], c: Certs, *args: str) -> Result:
    """Again while something else is being done for the site."""
    return wait_until(lambda: "being seen to" not in (done := ctl("certs", *args, at=c.relay)).err and done, f"{args} is taken")


def test_shows_renews_and_revokes(certs: Callable[..., Certs], ctl: Callable[..., Result]) -> None:  # noqa: F811
    c = certs("a.test www.a.test *.b.test bad.test", [("a.test", ["www.a.test"])], acme={"challenges": "http-01"})
    c.wait("valid", "a.test")
    done = ctl("certs", at=c.relay)
    assert done.code == 0 and done.err == "", done
    assert row(done, "a.test")[:5] == ["a.test", "a.test", "www.a.test", "valid", "acme"], done
    assert "a third of its life is left then" in done.out or "the authority suggests it" in done.out  # as newer Pebbles do
    assert json.loads(ctl("--json", "certs", at=c.relay).out) == c.relay.get("/v1/certs").json

    before = c.serial("a.test")
    done = ask(ctl, c, "renew", "A.test.")  # as a person may write it
    assert done.code == 0 and done.out.startswith("a.test: valid, from acme, good for "), done
    assert c.serial("a.test") != before

    before = c.serial("a.test")
    done = ask(ctl, c, "revoke", "a.test", "--reason", "superseded")
    assert done.code == 0 and done.out == "a.test: revoked; another one is ordered\n", done
    status = c.pebble.certificate(int(before, 16))
    assert (status["Status"], status["Reason"]) == ("Revoked", 4), status
    wait_until(lambda: c.serial("a.test") != before and c.cert("a.test")["state"] == "valid", "another one is there")
    assert c.visit("a.test") == 200


def test_says_what_is_wrong(certs: Callable[..., Certs], ctl: Callable[..., Result]) -> None:  # noqa: F811
    c = certs("bad.test", acme={"challenges": "http-01", "directory": "https://127.0.0.1:9/dir"})
    c.wait("failing", "bad.test")
    done = ctl("certs", at=c.relay)
    assert done.code == 1 and row(done, "bad.test")[:4] == ["bad.test", "-", "failing", "acme"], done
    assert "  bad.test: tried 0s ago: cannot ask 127.0.0.1:9" in done.out.replace("1s ago", "0s ago"), done
    done = ask(ctl, c, "renew", "bad.test")
    assert done.code == 1 and "cannot ask 127.0.0.1:9" in done.err, done
    for name in ("other.test", "*.other.test", "192.0.2.7", "2001:db8::1"):
        done = ctl("certs", "renew", name, at=c.relay)
        assert done.code == 1 and f"no site {name} has a certificate" in done.err, done
    for wrong in (["renew"], ["renew", "a b"], ["renew", "../agents"], ["revoke"], ["remove", "bad.test"], ["--reason", "superseded"],
                  ["renew", "bad.test", "--reason", "superseded"]):
        assert ctl("certs", *wrong, at=c.relay).code == 2, wrong
    done = ask(ctl, c, "revoke", "bad.test", "--reason", "boredom")
    assert done.code == 1 and "reason is not unspecified" in done.err, done
    assert ctl("status", "--reason", "superseded", at=c.relay).code == 2


def test_renewed_too_often(certs: Callable[..., Certs], ctl: Callable[..., Result]) -> None:  # noqa: F811
    """What we count ourselves refuses a person, and changes nothing of a certificate that is good."""
    c = certs("a.test", acme={"challenges": "http-01"})
    c.wait("valid")
    for _ in range(4):
        assert ask(ctl, c, "renew", "a.test").code == 0
    before = [c.listed("a.test")[key] for key in ("state", "last_error", "next_renewal", "failures", "certificates")]
    for _ in range(2):
        done = ask(ctl, c, "renew", "a.test")
        assert done.code == 1 and "5 certificates for the same names within 7 days are the limit" in done.err, done
        now = [c.listed("a.test")[key] for key in ("state", "last_error", "next_renewal", "failures", "certificates")]
        assert now == before and now[:2] == ["valid", None], (before, now)
    assert ctl("certs", at=c.relay).code == 0 and c.visit("a.test") == 200
    c.restart()
    assert c.wait("valid")["last_error"] is None


def imported(c: Certs, ctl: Callable[..., Result], folder: Path, pair: Pair | None = None) -> str:
    """Restarts as if what a.test has had been ordered by another program; returns its serial number."""
    current, bring = c.relay.state_dir / "certs" / "a.test", folder / "bring"
    bring.mkdir()
    for name in ("fullchain.pem", "privkey.pem"):
        shutil.copyfile(current / name, bring / name)
    if pair:
        shutil.copyfile(pair.cert, bring / "fullchain.pem")
        shutil.copyfile(pair.key, bring / "privkey.pem")
    c.agent.leave()
    c.relay.stop()
    shutil.rmtree(c.relay.state_dir / "certs")
    shutil.rmtree(c.relay.state_dir / "acme")  # with the account that has ordered it
    c.relay.start(**c.front.spawning())
    done = ctl("certs", "import", bring, at=c.relay)
    assert done.code == 0 and "a.test: taken" in done.out, done
    c.agent.start()
    wait_until(lambda: c.cert("a.test")["issuer"] == "import", "it is shown")
    return c.serial("a.test")


def test_revokes_what_was_imported(certs: Callable[..., Certs], ctl: Callable[..., Result], folder: Path) -> None:  # noqa: F811
    """By its own key, at whichever authority knows it: the first one here is away."""
    c = certs("a.test", acme={"challenges": "http-01"})
    c.wait("valid")
    away = section("acme", {**c.pebble.keys(), "directory": "https://127.0.0.1:9/dir"})
    c.relay.conf.write_text(c.plain + away + section("acme second", {**c.pebble.keys(), "challenges": "http-01"}))
    serial = imported(c, ctl, folder)
    done = ask(ctl, c, "revoke", "a.test", "--reason", "key-compromise")
    assert done.code == 0 and done.out == "a.test: revoked; another one is ordered\n", done
    status = c.pebble.certificate(int(serial, 16))
    assert (status["Status"], status["Reason"]) == ("Revoked", 1), status


def test_nobody_here_takes_back_what_was_imported(certs: Callable[..., Certs], ctl: Callable[..., Result],  # noqa: F811
                                                  folder: Path) -> None:
    c = certs("a.test", acme={"challenges": "http-01"})
    c.wait("valid")
    imported(c, ctl, folder, make_pair(folder, "other", ["a.test"]))
    done = ask(ctl, c, "revoke", "a.test")
    assert done.code == 1 and "the certificate of a.test was imported, and no authority here takes it back (acme: " in done.err, done
    assert "revoke it with the program that has ordered it" in done.err and c.cert("a.test")["state"] == "valid", done


def test_nobody_issues(certs: Callable[..., Certs], ctl: Callable[..., Result]) -> None:  # noqa: F811
    """An issuer that is not there is told as the site's error, not by the log alone."""
    c = certs("a.test b.test", [item("a.test", issuer="nope"), item("b.test", issuer="files")], acme={"challenges": "http-01"})
    for name, issuer, why in (("a.test", "nope", "issuer = nope: "),
                              ("b.test", "files", "issuer = files: the relay's [domain b.test] has no cert_file; write it there")):
        cert = c.wait("failing", name)
        assert cert["issuer"] == issuer and cert["last_error"].startswith(why) and cert["not_after"] is None, cert
        done = ctl("certs", at=c.relay)
        assert done.code == 1 and row(done, name)[:4] == [name, "-", "failing", issuer], done
        assert f"  {name}: {why}" in done.out, done
    assert ctl("status", at=c.relay).code == 1


def test_files_that_nobody_has_given(certs: Callable[..., Certs], ctl: Callable[..., Result]) -> None:  # noqa: F811
    c = certs("a.test", acme={"challenges": "http-01"})
    c.wait("valid")
    c.relay.conf.write_text(c.plain + "[acme]\nissuer = files\n")
    assert c.relay.post("/v1/reload").status == 200
    cert = c.wait("failing")
    assert cert["issuer"] == "files" and "[domain a.test] has no cert_file; write it there" in cert["last_error"], cert
    assert ctl("certs", at=c.relay).code == 1


def test_files_for_another_name(certs: Callable[..., Certs], ctl: Callable[..., Result], folder: Path) -> None:  # noqa: F811
    pair = make_pair(folder, "other", ["z.test"])
    c = certs("a.test", acme={}, more=f"[domain a.test]\ncert_file = {pair.cert}\nkey_file = {pair.key}\n")
    c.wait("valid")
    done = ctl("certs", at=c.relay)
    assert "a.test: it does not cover a.test; get one for all names of the site" in done.out and done.code == 1, done
    assert ctl("status", at=c.relay).code == 1


def test_says_whose_certificate_it_is(certs: Callable[..., Certs], ctl: Callable[..., Result], folder: Path) -> None:  # noqa: F811
    """What certs lists, and no authority has issued; and an alias, which has none of its own."""
    pair = make_pair(folder, "other", ["b.test"])
    c = certs("a.test www.a.test b.test nas", [("a.test", ["www.a.test"]), "b.test", "nas"], acme={"challenges": "http-01"},
              more=f"[domain b.test]\ncert_file = {pair.cert}\nkey_file = {pair.key}\n")
    for name in ("a.test", "b.test", "nas"):
        c.wait("valid", name)
    for name, why in (("nas", "the certificate of nas is the relay's own issuer's (internal), which renews it by itself"),
                      ("b.test", "the certificate of b.test is the cert_file of its [domain], which whoever writes that file renews"),
                      ("www.a.test", "www.a.test belongs to the site a.test, whose certificate is for it, too; give a.test")):
        for what in ("renew", "revoke"):
            done = ask(ctl, c, what, name)
            assert done.code == 1 and why in done.err, done
