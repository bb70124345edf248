"""Whatever dies, the site works again by itself; and what need not die with it does not."""

from __future__ import annotations

import os
import signal
import ssl

import pytest

from http1 import Body, Cut
from path import WholePath, path
from programs import limit, wait_until
from visitor import request_bytes


def works(path: WholePath) -> bool:
    """One request for this. Until the lane is back the answer is 503 (or 502: the stream died under it)."""
    status = path.visit("GET", "/echo").status
    assert status in (200, 502, 503), status
    return status == 200


def wait_works(path):
    wait_until(lambda: works(path), "the site works")


def kill_sshd(path):
    """The machine of the relay goes down: sshd and all of its sessions at once."""
    sessions = path.sessions()
    path.sshd.process.kill()
    path.sshd.process.wait()
    for session in sessions:
        os.kill(session.sshd, signal.SIGKILL)
    return sessions


# ---- the SSH session ----


def test_a_killed_session_is_replaced(path):
    old = path.session()
    os.kill(old.sshd, signal.SIGKILL)
    wait_until(lambda: (now := path.sessions()) and now[0].lane != old.lane, "another session")
    wait_works(path)
    assert path.session().sshd != old.sshd
    assert path.lane_states() == ["up"]


def test_sshd_is_restarted(path):
    kill_sshd(path)
    wait_until(lambda: path.site_state() == "down", "the relay knows")
    assert path.visit().status == 503
    path.sshd.start_again()
    wait_works(path)


def test_sshd_alone_is_restarted_and_the_lane_stays(path):
    session = path.session()
    path.sshd.process.terminate()
    path.sshd.process.wait()
    path.sshd.start_again()
    assert works(path) and path.session() == session


def end_session(path):
    os.kill(path.session().sshd, signal.SIGKILL)


def end_agent(path):
    path.agent.kill()
    path.agent.start()


def end_relay(path):
    path.relay.kill()
    path.start_relay()


@pytest.mark.parametrize("kind", ["bytes", "until-close"])
@pytest.mark.parametrize("end", [end_session, end_agent, end_relay])
def test_a_body_that_is_cut_off_is_never_taken_for_whole(path, end, kind):
    with path.visitor() as visitor:
        visitor.send(request_bytes("GET", "a.test", f"/{kind}/1000000000"))
        pieces = visitor.pieces(visitor.head(), Body(), "GET")
        next(pieces)
        end(path)
        with pytest.raises((Cut, ConnectionResetError, ssl.SSLEOFError)):
            for _ in pieces:
                pass
    wait_works(path)


# ---- the agent ----


def test_a_killed_agent_is_started_again(path):
    path.agent.kill()
    path.agent.start()
    wait_works(path)
    wait_until(lambda: len(path.sessions()) == 1, "the old session is gone")
    assert path.lane_states() == ["up"]


def test_a_stopped_agent_is_known_at_once(path, ctl):
    assert path.visit().status == 200
    path.agent.stop()
    wait_until(lambda: path.site_state() == "down", "the relay knows", timeout=limit(5))
    assert path.visit().status == 503
    wait_until(lambda: path.lane_states() == ["dead"], "its session has ended")
    (lane,) = path.status()["lanes"]
    assert lane["agent"] == "pi" and lane["state"] == "dead" and lane["streams"] == 0 and lane["rtt_ms"] is None
    assert lane["bytes_in"] > 0 and lane["bytes_out"] > 0 and "SSH session has ended" in lane["last_error"]
    said = ctl("status", at=path.relay)
    assert said.code == 1 and "dead" in said.out and "SSH session has ended" in said.out
    path.agent.start()
    wait_works(path)
    assert path.lane_states() == ["up"] and ctl("status", at=path.relay).code == 0


# ---- the relay ----


@pytest.mark.parametrize("end", ["stop", "kill"])
def test_a_restarted_relay_drops_no_tunnel(path, end):
    assert works(path)
    session, agent, logins = path.session(), path.agent.pid, path.sshd.logins()
    for _ in range(3):
        getattr(path.relay, end)()
        path.start_relay()
        wait_works(path)
    assert path.session() == session
    assert path.agent.running and path.agent.pid == agent
    assert path.sshd.logins() == logins == 1


@pytest.mark.parametrize("end", ["stop", "kill"])
def test_a_relay_without_its_agent_still_knows_the_sites(path, end):
    assert works(path)
    path.agent.stop()
    getattr(path.relay, end)()
    path.start_relay()
    assert path.site_state() == "expected"
    assert path.visit().status == 503  # and not 404
    path.agent.start()
    wait_works(path)
    assert path.site_state() == "up"
    (path.relay.state_dir / "claims.json").write_text("what is this?")
    path.relay.stop()
    path.start_relay()
    wait_works(path)
    assert "what agents claimed before this start is lost" in path.relay.log()
