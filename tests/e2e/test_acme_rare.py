"""What a CA and this machine rarely do to an ACME client: keys that are changed in the middle of it, files that are damaged,
orders that are forgotten, replies that lack what they must have."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Callable

from acme_sim import LOST, changed, problem, sims, text  # noqa: F401 (a fixture)
from acmecall import Caller, www  # noqa: F401 (a fixture)
from test_acme_faults import Acme, acme, acmes  # noqa: F401 (fixtures)


def without(*fields: str) -> Callable:
    """The reply has not these fields."""

    def fault(sim: Any, request: Any, go: Callable) -> Any:
        reply = go()
        reply.fields = [(name, value) for name, value in reply.fields if name not in fields]
        reply.keeps_nonce = "Replay-Nonce" not in fields
        return reply

    return fault


def invalid(order: dict) -> None:
    order.update(status="invalid", error={"type": "urn:ietf:params:acme:error:caa", "detail": "CAA forbids a.test"})


def test_a_key_change_that_is_refused_or_lost(acme: Acme) -> None:  # noqa: F811
    state = acme.folder / "state" / "acme" / "test"
    key, following = state / "account.key", state / "account.key.next"
    assert acme.order("a.test")["class"] == "ok"
    before = key.read_text()

    acme.sim.fault("keyChange", problem(409, "conflict", "this key is another account's"))
    refused = acme.call("rollover")
    assert refused["class"] == "config" and "another account's" in refused["text"], refused
    assert key.read_text() == before and not following.exists()

    for fault, is_new in ((text(503), False), (LOST, True)):  # never heard of it; has it, and nobody was told
        before = key.read_text()
        acme.sim.fault("keyChange", fault)
        assert acme.call("rollover")["class"] == "later" and key.read_text() == before and following.exists()
        assert acme.order("b.test")["class"] == "ok" and not following.exists()
        assert (key.read_text() != before) == is_new
    acme.sim.fault("directory", changed(lambda d: d.update(keyChange=None)))
    none = acme.call("rollover")
    assert none["class"] == "refused" and "changes no keys" in none["text"], none
    assert len(acme.sim.accounts) == 1


def test_damaged_files(acme: Acme, folder: Path) -> None:  # noqa: F811
    """Nothing is overwritten that a person may want back, and nothing is asked of the CA."""
    state = folder / "state" / "acme" / "test"
    state.mkdir(parents=True, mode=0o700)
    for name, content, words in (("account.key", "no key", "restore it from a backup"), ("account.json", "{", "account.json: not JSON"),
                                 ("account.json", '{"kid": 7}', '"directory" is missing')):
        (state / name).touch(mode=0o600)
        (state / name).write_text(content)
        result = acme.order("a.test")
        assert result["class"] == "config" and words in result["text"] and (state / name).read_text() == content, result
        (state / name).unlink()
        assert acme.order("b.test")["class"] == "ok"
    assert len(acme.sim.accounts) == 1  # the key was the same after the first repair

    # With a key of its own it is another account; the old URL is of no use.
    (state / "account.key").unlink()
    assert acme.order("c.test")["class"] == "ok" and len(acme.sim.accounts) == 2
    unwritable = acme.call("order", "d.test", key_file=folder / "none" / "key.pem")
    assert unwritable["class"] == "stopped" and "none/key.pem" in unwritable["text"], unwritable
    nowhere = acme.call("account", folder="/dev/null/acme")
    assert nowhere["class"] == "config" and "/dev/null" in nowhere["text"], nowhere
    other = acme.call("order", "d.test", ca_file="/none.pem")
    assert other["class"] == "config" and "/none.pem" in other["text"], other


def test_orders_that_die(acme: Acme) -> None:  # noqa: F811
    """Forgotten, refused while it is issued, or begun with another kind of key: each has its end, and the next is another."""
    sim = acme.sim
    sim.fault("finalize", changed(invalid))
    result = acme.order("a.test")
    assert result["class"] == "config" and "CAA forbids a.test" in result["text"] and result["notes"][-1] is None, result
    assert acme.order("a.test")["class"] == "ok"

    sim.fault("finalize", *[text(500)] * 50)
    assert acme.order("b.test", timeout_ms=2000)["class"] == "later"
    before, url = acme.key.read_text(), acme.url
    sim.mend()
    done = acme.order("b.test", key="p384")
    assert done["class"] == "ok" and done["orders"] == 0 and acme.key.read_text() != before, done
    assert acme.chain[0].public_key().key_size == 384

    forgotten = acme.call("order", "b.test", resume_url=url.replace("/order/", "/order/x"), key_file=acme.key)
    assert forgotten["class"] == "ok" and forgotten["notes"][0] is None and forgotten["orders"] == 1, forgotten
    assert [v for v in sim.violations if "/order/x" in v] == sim.violations  # that is what was asked for here
    sim.violations.clear()
    acme.key.write_text("no key")
    damaged = acme.call("order", "b.test", resume_url=forgotten["notes"][-1], key_file=acme.key)
    assert damaged["class"] == "config" and "key.pem" in damaged["text"], damaged


def test_replies_that_lack_something(acme: Acme) -> None:  # noqa: F811
    sim = acme.sim
    rows: list[tuple[str, list, str]] = [
        ("newNonce", [without("Replay-Nonce")] * 20, "gives no Replay-Nonce"),
        ("newAccount", [problem(400, "accountDoesNotExist", "who?")] * 3, "who?"),
        ("newAccount", [without("Location")], "does not say in Location"),
        ("newAccount", [changed(lambda a: a.update(status="odd"))], "cannot be read"),
        ("newAccount", [changed(lambda a: a.update(status="revoked"))], "account at the CA is revoked"),
        ("directory", [changed(lambda d: d.update(newOrder="http://127.0.0.1/"))], "no ACME directory"),
        ("newOrder", [without("Location")], "does not say in Location"),
        ("newOrder", [text(201)], "does not say in Location"),
        ("newOrder", [changed(lambda o: o.update(identifiers=[{"type": "dns", "value": "x.test"}]))], "other names"),
        ("authz", [changed(lambda a: a["identifier"].update(value="x.test"))] * 9, "x.test, which was not asked for"),
        ("authz", [text(200)] * 9, "authorization that cannot be used"),
        ("authz", [changed(lambda a: a.update(status="expired"))], "the CA calls the authorization expired"),
        ("finalize", [text(200)] * 9, "empty order"),
    ]
    for kind, faults, words in rows:
        sim.fault(kind, *faults)
        result = acme.order("a.test", timeout_ms=3000)
        assert result["class"] != "ok" and words in result["text"], (kind, words, result)
        sim.mend()
        acme.url = ""
    assert acme.order("a.test")["class"] == "ok"


def test_a_directory_that_moves(acme: Acme) -> None:  # noqa: F811
    """A URL that is gone has the directory asked anew; when that fails, what is known is good for longer."""
    sim = acme.sim
    calls = [("order", "a.test"), ("order", "b.test"), ("order", "c.test")]
    sim.fault("newOrder", problem(404, "malformed", "gone"))
    answers = [sim.fault("directory", fault) for fault in (lambda sim, request, go: go(), text(503), lambda sim, request, go: go())]
    said = Caller(acme.folder, sim.keys(), **acme.more).all(*calls)
    assert [one["class"] for one in said] == ["config", "ok", "ok"] and len(sim.asked("directory")) == len(answers) == 3, said


def test_no_renewal_information(acmes: Callable[..., Acme]) -> None:  # noqa: F811
    result = acmes(ari=False).window("a.b")
    assert result["class"] == "refused" and "does not say when to renew" in result["text"], result


def test_what_cannot_be_revoked(acme: Acme, folder: Path) -> None:  # noqa: F811
    path = folder / "no.pem"
    path.write_text("no certificate")
    assert acme.call("revoke", path, 0)["class"] == "config"
    acme.order("a.test")
    refused = acme.call("revoke", acme.out, 9)
    assert refused["class"] != "ok" and not acme.sim.revoked and acme.sim.violations, refused
    acme.sim.violations.clear()


def test_binding_keys(acmes: Callable[..., Acme], folder: Path) -> None:  # noqa: F811
    """With the padding that some web pages show; never an empty one."""
    acme = acmes(eab={"kid-1": "YQ"})
    key = folder / "eab.key"
    key.touch(mode=0o600)
    acme.conf.update(eab_kid="kid-1", eab_key_file=key)
    key.write_text("==\n")
    assert "is empty" in acme.order("a.test")["text"]
    key.write_text("YQ==\n")
    assert acme.order("a.test")["class"] == "ok"
    assert json.loads((folder / "state/acme/test/account.json").read_text())["directory"] == acme.sim.directory
