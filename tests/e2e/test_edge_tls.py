"""TLS at the edge: versions and suites, sessions, certificates out of files, the default one, and the internal issuer's."""

from __future__ import annotations

import csv
import ctypes
import ctypes.util
import re
import shutil
import socket
import ssl
import subprocess
from contextlib import ExitStack

import pytest

from clock import Clock
from path import edge, edges, fronts
from far_path import LONG
from programs import PATIENCE_S, limit, need, run, unavailable, wait_until
from test_ports import quiet_port, up
from tls13 import ALERT, APPLICATION, CLOSE_NOTIFY, HANDSHAKE, KEY_UPDATE_HEAD, Visitor13
from visitor import Visitor, connect, context
from x509 import alternatives, make_pair, openssl, shown, sign

V1_2, V1_3 = ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3
SITES = ("a.test www.a.test b.test *.w.test x.w.test", [("a.test", ["www.a.test"]), "b.test", "*.w.test", "x.w.test"])
LOOKS_S = 10  # how often the relay looks at files


def s_client(edge, *args, name="a.test", send="Q\n"):
    """What openssl s_client prints; Q ends it, and R asks for a renegotiation."""
    command = [need("openssl"), "s_client", "-connect", f"127.0.0.1:{edge.port}", "-CAfile", edge.root,
               *(["-servername", name] if name else ["-noservername"]), *args]
    done = subprocess.run([str(word) for word in command], input=send, capture_output=True, text=True,
                          timeout=PATIENCE_S, check=False)
    return done.stdout + done.stderr


def reload_with(edge, text="", **keys):
    """Reloads with these keys of [relay], and with further sections."""
    if not hasattr(edge, "plain_conf"):
        edge.plain_conf = edge.relay.conf.read_text()
    lines = "".join(f"{key} = {value}\n" for key, value in keys.items())
    edge.relay.conf.write_text(edge.plain_conf.replace("[relay]\n", f"[relay]\n{lines}") + text)
    reply = edge.relay.post("/v1/reload")
    assert reply.status == 200, reply


def site(edge, name="a.test"):
    return next(site for site in edge.status()["domains"] if site["name"] == name)


def files_of(name, pair):
    return f"[domain {name}]\ncert_file = {pair.cert}\nkey_file = {pair.key}\n"


# ---- versions, suites, groups ----


@pytest.mark.parametrize("profile, versions", [("intermediate", {V1_2, V1_3}), ("modern", {V1_3})])
def test_a_profile_is_the_versions_it_names(edges, profile, versions):
    edge = up(edges(tls_profile=profile))
    for version in (V1_2, V1_3):
        if version in versions:
            with edge.visitor(tls=context(edge.root, version=version)) as visitor:
                assert visitor.ask().status == 200
        else:
            with pytest.raises(ssl.SSLError, match="(?i)protocol.version"):
                connect(edge.port, context(edge.root, version=version), "a.test")


@pytest.mark.parametrize("suite, taken", [
    ("ECDHE-ECDSA-AES128-GCM-SHA256", True), ("ECDHE-ECDSA-AES256-GCM-SHA384", True),
    ("ECDHE-ECDSA-CHACHA20-POLY1305", True), ("ECDHE-ECDSA-AES128-SHA", False), ("ECDHE-ECDSA-AES128-SHA256", False),
    ("ECDHE-ECDSA-AES256-CCM", False), ("ECDHE-ECDSA-NULL-SHA", False), ("AES128-GCM-SHA256", False),
    ("DHE-RSA-AES128-GCM-SHA256", False), ("ECDHE-RSA-AES128-GCM-SHA256", False),  # the internal leaf has no RSA key
])
def test_suites_of_1_2(edge, suite, taken):
    said = s_client(edge, "-tls1_2", "-cipher", f"{suite}:@SECLEVEL=0")
    assert (f"Cipher is {suite}" in said) == taken, said


@pytest.mark.parametrize("suite, taken", [
    ("TLS_AES_128_GCM_SHA256", True), ("TLS_AES_256_GCM_SHA384", True), ("TLS_CHACHA20_POLY1305_SHA256", True),
    ("TLS_AES_128_CCM_SHA256", False), ("TLS_AES_128_CCM_8_SHA256", False),
])
def test_suites_of_1_3(edge, suite, taken):
    assert (f"Cipher is {suite}" in s_client(edge, "-tls1_3", "-ciphersuites", suite)) == taken


@pytest.mark.parametrize("group, taken", [("X25519", True), ("P-256", True), ("P-384", True), ("P-521", False),
                                          ("X448", False), ("ffdhe2048", False)])
def test_groups(edge, group, taken):
    said = s_client(edge, "-tls1_3", "-groups", group)
    assert ("Cipher is (NONE)" not in said) == taken, said


@pytest.mark.parametrize("groups, chosen", [("P-256:X25519:P-384", "X25519"), ("X448:P-521:P-384:P-256", "(P-256|prime256v1)")])
def test_groups_of_1_2(edge, groups, chosen):
    said = s_client(edge, "-tls1_2", "-groups", groups)
    assert re.search(f"(Server|Peer) Temp Key: (ECDH, )?{chosen}", said), said


def test_a_visitor_without_aes_gets_chacha(edge):
    order = "ECDHE-ECDSA-CHACHA20-POLY1305:ECDHE-ECDSA-AES128-GCM-SHA256"
    assert "Cipher is ECDHE-ECDSA-CHACHA20-POLY1305" in s_client(edge, "-tls1_2", "-cipher", order)
    others = "ECDHE-ECDSA-AES256-GCM-SHA384:ECDHE-ECDSA-AES128-GCM-SHA256"
    assert "Cipher is ECDHE-ECDSA-AES128-GCM-SHA256" in s_client(edge, "-tls1_2", "-cipher", others)


def test_a_reload_changes_the_profile_and_no_connection(edge):
    old = context(edge.root, version=V1_2)
    with edge.visitor(tls=old) as visitor:
        assert visitor.ask().status == 200
        reload_with(edge, tls_profile="modern")

        def refused():
            try:
                connect(edge.port, old, "a.test").close()
            except ssl.SSLError as e:
                return "VERSION" in str(e).upper()

        wait_until(refused, "TLS 1.2 is refused")
        assert visitor.ask().status == 200
        assert edge.visit().status == 200
        reload_with(edge)
        wait_until(lambda: not refused(), "TLS 1.2 is spoken again")
        assert visitor.ask().status == 200


def test_no_renegotiation_and_no_compression(edge):
    said = s_client(edge, "-tls1_2", "-comp", send="R\nQ\n")
    assert "RENEGOTIATING" in said and "no renegotiation" in said
    assert "Compression: NONE" in said and "Verify return code: 0 (ok)" in said
    assert "Secure Renegotiation IS supported" in said  # the extension that old clients want to see
    assert edge.visit().status == 200


def test_new_keys_all_the_time_end_the_connection(edge):
    """What they are answered with is not kept for a visitor who never reads it. (Python's own TLS cannot ask for new keys.)"""
    lib = ctypes.CDLL(ctypes.util.find_library("ssl"))
    for name in ("TLS_client_method", "SSL_CTX_new", "SSL_new"):
        getattr(lib, name).restype = ctypes.c_void_p
    visitor = ctypes.c_void_p(lib.SSL_new(ctypes.c_void_p(lib.SSL_CTX_new(ctypes.c_void_p(lib.TLS_client_method())))))
    asked = 0
    with socket.create_connection(("127.0.0.1", edge.port)) as sock:
        lib.SSL_set_fd(visitor, sock.fileno())
        lib.SSL_ctrl(visitor, 55, 0, b"a.test")  # SSL_CTRL_SET_TLSEXT_HOSTNAME
        assert lib.SSL_connect(visitor) == 1
        while asked < 200_000 and lib.SSL_key_update(visitor, 1) == 1 and lib.SSL_do_handshake(visitor) == 1:
            asked += 1
    assert asked < 200_000
    assert edge.visit().status == 200


@pytest.mark.parametrize("records, behind", [
    ([(ALERT, CLOSE_NOTIFY)], b"A" * 200),
    ([(ALERT, CLOSE_NOTIFY)], b""),
    ([(ALERT, b"\x02\x28")], b"A" * 200),
    ([(APPLICATION, b"GET / HTTP/1.1\r\nHost: a.test\r\n\r\n")], b""),
    ([(HANDSHAKE, b"\0\0")], b""),
    ([], b"A" * 200),
    ([], b"\x17\x03\x03\0\x20" + bytes(32)),
])
@pytest.mark.parametrize("host", ["a.test", "b.test"])  # the second one's answer is the relay's own
def test_who_says_something_else_in_the_middle_of_a_message(edge, host, records, behind):
    """With a request in front of it, whose answer is written while a message of TLS itself has come in part."""
    request = (APPLICATION, f"GET / HTTP/1.1\r\nHost: {host}\r\n\r\n".encode())
    with Visitor13(edge.port, edge.root, "a.test") as visitor:
        visitor.send(request, (HANDSHAKE, KEY_UPDATE_HEAD), *records, behind=behind)
        assert visitor.is_over()
    assert edge.visit().status == 200


def test_an_answer_waits_for_the_rest_of_a_message(edge):
    request = (APPLICATION, b"GET / HTTP/1.1\r\nHost: a.test\r\n\r\n")
    with Visitor13(edge.port, edge.root, "a.test") as visitor:
        visitor.send(request, (HANDSHAKE, KEY_UPDATE_HEAD))
        visitor.raw.settimeout(0.5)
        with pytest.raises(TimeoutError):
            visitor.read(1)
        visitor.raw.settimeout(PATIENCE_S)
        visitor.send((HANDSHAKE, b"\0"))  # no new keys are asked of the relay
        assert visitor.read(15) == b"HTTP/1.1 200 OK"


# ---- sessions ----


def resumed(edge, tls, session, status=502):
    """Whether this connection went on with that session, and the session that the next one can go on with."""
    with edge.visitor(tls=tls, session=session) as visitor:
        reused = visitor.socket.session_reused
        assert visitor.ask().status == status
        return reused, visitor.socket.session


def resumes(edge, tls, session):
    return resumed(edge, tls, session, 200)


@pytest.mark.parametrize("version", [V1_2, V1_3])
def test_every_worker_resumes_what_another_began(edges, version):
    edge = edges(workers=2, listen_https=f"127.0.0.1:{(port := quiet_port())}")  # the kernel spreads by source port
    edge.port = port
    up(edge)
    tls = context(edge.root, version=version)
    _, session = resumes(edge, tls, None)
    for _ in range(40):
        reused, session = resumes(edge, tls, session)
        assert reused


@pytest.mark.parametrize("version", ["-tls1_2", "-tls1_3"])
def test_openssl_resumes_its_own_site_only(edge, folder, version):
    request = "GET / HTTP/1.1\r\nHost: a.test\r\nConnection: close\r\n\r\n"
    first = s_client(edge, version, "-sess_out", folder / "session", "-ign_eof", "-quiet", send=request)
    assert "200 OK" in first
    assert "Reused, " in s_client(edge, version, "-sess_in", folder / "session")
    assert "New, " in s_client(edge, version, "-sess_in", folder / "session", name="b.test")
    assert "unrecognized name" in s_client(edge, version, "-sess_in", folder / "session", name="c.test")


@pytest.mark.parametrize("version", [V1_2, V1_3])
def test_a_reload_keeps_sessions(edge, version):
    tls = context(edge.root, version=version)
    _, session = resumes(edge, tls, None)
    pair = make_pair(edge.relay.folder, "default", ["d.test"])
    reload_with(edge, default_cert=pair.joined(edge.relay.folder / "both.pem"))
    wait_until(lambda: shown_or_none(edge.port, "d.test") == pair.der, "the reload is in force")
    assert resumes(edge, tls, session)[0]


def test_a_restart_forgets_sessions(edge):
    tls = context(edge.root)
    _, session = resumes(edge, tls, None)
    edge.agent.leave()
    edge.relay.stop()
    edge.start_relay()
    with Visitor(edge.port, edge.root, "a.test", tls=tls, session=session) as visitor:
        assert not visitor.socket.session_reused


# ---- certificates out of files ----


def shown_or_none(port, name):
    try:
        return shown(port, name)
    except ssl.SSLError:
        return None


def wait_shown(edge, pair, name="a.test", within=PATIENCE_S):
    wait_until(lambda: shown_or_none(edge.port, name) == pair.der, f"{name} shows {pair.cert.name}", within)


def test_a_certificate_of_files(edges, folder):
    edge = up(edges(*SITES))
    pair = make_pair(folder, "a", ["a.test", "www.a.test"])
    with edge.visitor() as before:
        assert before.ask().status == 200
        reload_with(edge, files_of("a.test", pair))
        wait_shown(edge, pair)
        wait_shown(edge, pair, "www.a.test")
        assert before.ask().status == 200
    assert shown(edge.port, "b.test") != pair.der
    with edge.visitor(tls=context(pair.cert)) as visitor:
        assert visitor.ask().status == 200
    cert = site(edge)["cert"]
    assert (cert["state"], cert["issuer"], cert["names"]) == ("valid", "files", ["a.test", "www.a.test"])
    assert cert["not_after"] and cert["last_error"] is None
    assert "doubtful" not in edge.relay.log()
    reload_with(edge)
    wait_until(lambda: site(edge)["cert"]["issuer"] == "internal", "the relay's own certificate is back")
    assert edge.visit().status == 200


def test_exact_before_wildcard(edges, folder):
    edge = up(edges(*SITES))
    exact, wild = make_pair(folder, "exact", ["x.w.test"]), make_pair(folder, "wild", ["*.w.test"])
    reload_with(edge, files_of("*.w.test", wild) + files_of("x.w.test", exact))
    wait_shown(edge, exact, "x.w.test")
    wait_shown(edge, wild, "y.w.test")
    assert "doubtful" not in edge.relay.log()


AUTHORITY = ("basicConstraints=critical,CA:TRUE", "keyUsage=critical,keyCertSign,cRLSign")


def test_an_rsa_certificate_and_its_chain(edge, folder):
    """A leaf below an intermediate, which visitors do not have; and the suites for its kind of key."""
    root, middle = (make_pair(folder, name, [f"{name}.test"]) for name in ("root", "middle"))
    leaf = make_pair(folder, "leaf", ["a.test", "www.a.test"], key=["rsa:2048"])
    sign(root, root, AUTHORITY)
    sign(middle, root, AUTHORITY)
    expected = sign(leaf, middle, [alternatives(["a.test", "www.a.test"])]).der
    leaf.cert.write_text(leaf.cert.read_text() + middle.cert.read_text())
    reload_with(edge, files_of("a.test", leaf))
    wait_until(lambda: shown(edge.port, "a.test") == expected, "the leaf is shown")
    with edge.visitor(tls=context(root.cert)) as visitor:
        assert visitor.ask().status == 200
    for suite in ("ECDHE-RSA-AES128-GCM-SHA256", "ECDHE-RSA-AES256-GCM-SHA384", "ECDHE-RSA-CHACHA20-POLY1305"):
        assert f"Cipher is {suite}" in s_client(edge, "-tls1_2", "-cipher", suite)
    for suite in ("AES128-GCM-SHA256", "DHE-RSA-AES128-GCM-SHA256", "ECDHE-RSA-AES128-SHA"):
        assert "Cipher is (NONE)" in s_client(edge, "-tls1_2", "-cipher", f"{suite}:@SECLEVEL=0")


def test_a_site_with_an_upstream_and_files(edges, folder):
    edge = up(edges())
    pair = make_pair(folder, "u", ["u.test"])
    reload_with(edge, f"{files_of('u.test', pair)}upstream = 127.0.0.1:1\n")
    wait_shown(edge, pair, "u.test")
    with Visitor(edge.port, pair.cert, "u.test") as visitor:
        assert visitor.ask().status == 502  # nobody is there


def test_files_alone_serve_no_name(edge, folder):
    reload_with(edge, files_of("new.test", make_pair(folder, "new", ["new.test"])))
    assert edge.visit().status == 200
    assert shown_or_none(edge.port, "new.test") is None


def as_certbot(folder, pair, number):
    """live/*.pem are symbolic links into archive/, swapped one after the other."""
    for folder_name in ("live", "archive"):
        (folder / folder_name).mkdir(exist_ok=True)
    links = []
    for path, name in ((pair.cert, "fullchain"), (pair.key, "privkey")):
        shutil.copy(path, folder / f"archive/{name}{number}.pem")
        link, beside = folder / f"live/{name}.pem", folder / f"live/{name}.new"
        beside.symlink_to(f"../archive/{name}{number}.pem")
        beside.rename(link)
        links.append(link)
    return type(pair)(*links)


def test_files_that_change_are_taken(edge, folder):
    first, second = (make_pair(folder, name, ["a.test", "www.a.test"]) for name in ("first", "second"))
    live = as_certbot(folder, first, 1)
    reload_with(edge, files_of("a.test", live))
    wait_shown(edge, first)
    with edge.visitor(tls=context(first.cert)) as visitor:
        assert visitor.ask().status == 200
        as_certbot(folder, second, 2)
        wait_shown(edge, second, within=limit(2 * LOOKS_S))
        assert visitor.ask().status == 200
    with edge.visitor(tls=context(second.cert)) as visitor:
        assert visitor.ask().status == 200


@pytest.mark.slow
def test_what_cannot_be_used_replaces_nothing(edge, folder):
    first, second = (make_pair(folder, name, ["a.test", "www.a.test"]) for name in ("first", "second"))
    reload_with(edge, files_of("a.test", first))
    wait_shown(edge, first)
    expected = first.der
    first.cert.write_text("-----BEGIN CERTIFICATE-----\nhalf of")
    edge.relay.wait_log("the one before stays")
    assert shown(edge.port, "a.test") == expected
    cert = site(edge)["cert"]
    assert cert["state"] == "failing" and "damaged certificate" in cert["last_error"] and cert["not_after"]
    first.cert.write_text(second.cert.read_text())
    edge.relay.wait_log("does not belong to the certificate")
    assert shown(edge.port, "a.test") == expected
    assert edge.relay.log().count("the one before stays") == 2  # each told once
    first.key.write_text(second.key.read_text())
    wait_shown(edge, second, within=limit(2 * LOOKS_S))
    assert site(edge)["cert"]["state"] == "valid"


@pytest.mark.parametrize("names, days, doubt", [
    (["a.test"], 30, "it does not cover www.a.test; get one for all names of the site"),
    (["b.test"], 30, "it does not cover a.test www.a.test; get one for all names of the site"),
    (["*.test", "www.a.test"], -1, "it expired at "),
    (["a.test"], -1, "; besides, it expired at "),
])
def test_a_doubtful_certificate_is_shown_and_told_of(edge, folder, names, days, doubt):
    pair = make_pair(folder, "doubtful", names, days)
    reload_with(edge, files_of("a.test", pair))
    wait_shown(edge, pair)
    edge.relay.wait_log(doubt)
    reload_with(edge, files_of("a.test", pair))
    reload_with(edge, files_of("a.test", pair), log_level="debug")
    assert edge.relay.log().count("certificate is doubtful") == 1
    cert = site(edge)["cert"]
    assert cert["state"] == ("expired" if days < 0 else "valid") and doubt in cert["last_error"]


def test_files_that_are_refused(edge, folder):
    """By a reload, whole, and what is in force stays; --check tells of them, and a start is not kept from for it."""
    good, other = make_pair(folder, "good", ["a.test"]), make_pair(folder, "other", ["a.test"])
    weak = make_pair(folder, "weak", ["a.test"], key=["rsa:1024"])
    mixed = type(good)(good.cert, other.key)
    empty = good.joined(folder / "empty.pem")
    empty.write_text("\n")
    before, text = shown(edge.port, "a.test"), edge.relay.conf.read_text()
    line = text.count("\n") + 2
    for sections, error in (
            (files_of("a.test", mixed), f"{line}: domain a.test.cert_file = {good.cert}: the key in {other.key} does not "
             f"belong to the certificate in {good.cert}; give the two of one order"),
            (files_of("a.test", type(good)(good.key, good.key)), f"{line}: domain a.test.cert_file = {good.key}: "
             f"{good.key}: holds no certificate in PEM form, which begins with -----BEGIN CERTIFICATE-----"),
            (files_of("a.test", weak), f"{line}: domain a.test.cert_file = {weak.cert}: {weak.cert}: cannot be used for "
             "TLS (ee key too small); get one with an ECDSA or a longer RSA key"),
            (f"[relay]\ndefault_cert = {empty}\n", f"2: relay.default_cert = {empty}: {empty}: holds no certificate in PEM "
             "form, which begins with -----BEGIN CERTIFICATE-----")):
        body = text.replace("[relay]\n", sections) if sections.startswith("[relay]") else text + sections
        edge.relay.conf.write_text(body)
        checked = run("tunnel-relay", "-c", edge.relay.conf, "--check")
        assert (checked.code, checked.errors) == (0, [f"{edge.relay.conf}:{error}"])
        reply = edge.relay.post("/v1/reload")
        assert (reply.status, reply.json["errors"]) == (422, checked.errors)
    assert shown(edge.port, "a.test") == before
    assert edge.visit().status == 200


def break_pair(pair, other, how):
    if how == "missing":
        pair.cert.unlink()
    elif how == "no key":
        pair.key.unlink()
    elif how == "open to all":
        pair.key.chmod(0o644)
    else:
        pair.cert.write_bytes(other.cert.read_bytes())


@pytest.mark.parametrize("how, error, remedy", [
    ("missing", "{cert}: No such file or directory", "is it there"),
    ("no key", "{key}: No such file or directory", "is it there"),
    ("open to all", "{key}", "run: chmod 600 {key}"),
    ("not a pair", "the key in {key} does not belong to the certificate in {cert}", "give the two of one order"),
])
def test_a_start_does_not_wait_for_one_sites_files(edge, folder, how, error, remedy):
    """Such as after the machine was restarted in the middle of a renewal, or without the disk that they are on."""
    pair, other = (make_pair(folder, name, ["a.test", "www.a.test"]) for name in ("mine", "other"))
    kept = [(file, file.read_bytes()) for file in pair]
    reload_with(edge, files_of("a.test", pair))
    edge.agent.leave()
    edge.relay.stop()
    break_pair(pair, other, how)
    error, remedy = (text.format(cert=pair.cert, key=pair.key) for text in (error, remedy))
    checked = run("tunnel-relay", "-c", edge.relay.conf, "--check")
    assert (checked.code, checked.out) == (0, f"{edge.relay.conf}: ok\n")
    assert len(checked.errors) == 1 and error in checked.errors[0] and remedy in checked.errors[0]
    edge.start_relay()
    edge.relay.wait_log("certificate files not taken")
    wait_until(lambda: shown_or_none(edge.port, "a.test"), "the placeholder")
    wait_until(lambda: site(edge, "b.test")["cert"]["state"] == "valid", "another site")
    cert = site(edge)["cert"]
    assert (cert["state"], cert["not_after"]) == ("failing", None)
    assert error in cert["last_error"] and remedy in cert["last_error"]
    reply = edge.relay.post("/v1/reload")  # which changes nothing of it, and says what is wrong
    assert (reply.status, reply.json["errors"]) == (422, checked.errors)
    for file, content in kept:
        file.write_bytes(content)
        file.chmod(0o600)
    wait_shown(edge, pair, within=limit(2 * LOOKS_S))
    assert site(edge)["cert"]["state"] == "valid"


def test_a_start_does_not_wait_for_the_default_certificate(edge, folder):
    pair = make_pair(folder, "default", ["nobody.test"])
    both = pair.joined(folder / "both.pem")
    content = both.read_bytes()
    reload_with(edge, default_cert=both)
    edge.agent.leave()
    edge.relay.stop()
    both.unlink()
    checked = run("tunnel-relay", "-c", edge.relay.conf, "--check")
    assert checked.code == 0 and "relay.default_cert" in checked.err and f"{both}: No such file" in checked.err
    edge.start_relay()
    wait_until(lambda: shown_or_none(edge.port, "a.test"), "a site")
    assert shown_or_none(edge.port, "c.test") is None
    both.touch(mode=0o600)
    both.write_bytes(content)
    wait_shown(edge, pair, "c.test", within=limit(2 * LOOKS_S))


# ---- unknown names ----


def test_the_default_certificate(edge, folder):
    pair = make_pair(folder, "default", ["nobody.test"])
    assert shown_or_none(edge.port, "c.test") is None
    reload_with(edge, default_cert=pair.joined(folder / "both.pem"))
    for name in ("c.test", "nobody.test", "w.test", None):
        wait_shown(edge, pair, name)
    for name in ("a.test", "b.test", "x.w.test"):
        assert shown(edge.port, name) != pair.der
    with Visitor(edge.port, pair.cert, "nobody.test") as visitor:
        assert visitor.ask(host="nobody.test").status == 404
        for host in ("a.test", "x.w.test"):
            with Visitor(edge.port, pair.cert, "nobody.test") as other:
                assert other.ask(host=host).status == 421
    reload_with(edge)
    wait_until(lambda: shown_or_none(edge.port, "c.test") is None, "unknown names are refused again")
    assert edge.agent.requests == []


# ---- the internal issuer ----


def test_the_root_is_served(edge, folder):
    reply = edge.relay.get("/v1/root.pem")
    assert (reply.status, reply.body) == (200, edge.root.read_bytes())
    (folder / "root.pem").write_bytes(reply.body)
    (folder / "leaf.pem").write_text(ssl.DER_cert_to_PEM_cert(shown(edge.port, "a.test")))
    for name in ("a.test", "www.a.test"):
        openssl("verify", "-x509_strict", "-CAfile", folder / "root.pem", "-verify_hostname", name, folder / "leaf.pem")


def test_a_root_that_ends_soon_is_told_of(fronts, folder):
    front = fronts()
    internal = front.relay.state_dir / "internal"
    internal.mkdir(parents=True)
    front.relay.state_dir.chmod(0o700)
    root = make_pair(internal, "root", ["root.test"])
    sign(root, root, AUTHORITY, days=80)
    front.start_relay()
    assert front.relay.log().count("the internal root ends within 90 days") == 1
    assert "give the new root.pem to those who trust it" in front.relay.log()


def test_days_later(fronts, folder):
    """Leaves are renewed, and ticket keys changed, while the relay runs."""
    clock = Clock(folder)
    front = fronts("a.test")
    conf = front.relay.conf
    conf.write_text(f"{conf.read_text()}[domain a.test]\nupstream = 127.0.0.1:1\n")
    front.relay.start(env=clock.environment, **front.spawning())
    first, tls = shown(front.port, "a.test"), context(front.root)
    _, session = resumed(front, tls, None)
    clock.jump(9 * 3600)
    reused, session = resumed(front, tls, session)
    assert reused
    clock.jump(2 * 86400)
    assert not resumed(front, tls, session)[0]
    assert shown(front.port, "a.test") == first
    clock.jump(2 * 86400)
    wait_until(lambda: shown(front.port, "a.test") != first, "half of seven days is over", limit(2 * LOOKS_S))
    cert = site(front)["cert"]
    assert (cert["state"], cert["names"]) == ("valid", ["a.test"])
    leaf = folder / "leaf.pem"
    leaf.write_text(ssl.DER_cert_to_PEM_cert(shown(front.port, "a.test")))
    openssl("x509", "-in", leaf, "-noout", "-checkend", 10 * 86400)  # by our clock: 4 days, and 7


# ---- all in all ----


SAFE = ("Strict-Transport-Security: max-age=31536000\r\nX-Frame-Options: DENY\r\nX-Content-Type-Options: nosniff\r\n"
        "Content-Security-Policy: default-src 'self'\r\nReferrer-Policy: no-referrer\r\n")  # which the site decides


@pytest.mark.skipif(not LONG, reason="takes 2 minutes; E2E_LONG=1")
@pytest.mark.parametrize("profile", ["intermediate", "modern"])
def test_testssl_finds_nothing_above_low(edges, folder, profile):
    """Takes minutes. What is the certificate's and the site's is as good as it can be, and the rest is the relay's."""
    program = shutil.which("testssl") or shutil.which("testssl.sh") or unavailable(
        "testssl is not installed; run: sh scripts/setup test")
    port = quiet_port()
    edge = up(edges(tls_profile=profile, listen_https=f"127.0.0.1:{port}"))
    edge.port, edge.agent.serve = port, lambda stream: stream.answer("well", fields=SAFE)
    root = make_pair(folder, "root", ["root.test"])
    sign(root, root, AUTHORITY)
    leaf = sign(make_pair(folder, "leaf", ["a.test"]), root, [
        alternatives(["a.test"]), "crlDistributionPoints=URI:http://crl.test/", "extendedKeyUsage=serverAuth"], days=90)
    reload_with(edge, files_of("a.test", leaf))
    wait_shown(edge, leaf)
    report = folder / "report.csv"
    command = [program, "--quiet", "--warnings", "batch", "--color", "0", "--csvfile", report, "--ip", "127.0.0.1",
               "--add-ca", root.cert, f"a.test:{port}"]
    subprocess.run([str(word) for word in command], capture_output=True, timeout=1200, check=False)
    with report.open() as lines:
        rows = [(row["severity"], row["id"], row["finding"]) for row in csv.DictReader(lines)]
    assert any(name.startswith("clientsimulation-") for _, name, _ in rows), "testssl did not run to its end"
    assert [row for row in rows if row[0] not in ("OK", "INFO", "LOW", "WARN")] == []
