"""Pairing: from `tunnelctl invite` on the relay's machine to a served request, and everything that can be wrong with it."""

from __future__ import annotations

import fcntl
import json
import os
import re
import signal
import socket
import subprocess
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from pairing import Enrolment, fingerprint, one_time_key, pairing
from path import listening_port, new_key
from programs import PATIENCE_S, limit, need, run, wait_until
from sshd import free_port


def fails(done, *words):
    """With exit code 1, nothing on stdout, and all of these words in the reason."""
    assert (done.code, done.out) == (1, ""), done
    for word in words:
        assert word in done.err, done.err
    return done.err


# ---- all goes well ----


def test_from_invite_to_a_served_request(pairing):
    agent = pairing.new_agent()
    done = pairing.join(agent, pairing.invite())
    assert done.code == 0, done.err
    assert done.out == "joined relay e2e as agent pi; the lane is up\n" and not done.err
    pairing.wait_up()
    assert pairing.visit().status == 200
    assert pairing.enrolled() == ["pi"] and pairing.open_invites() == []
    (line,) = pairing.keys()
    assert line.startswith('restrict,port-forwarding,permitlisten="127.0.0.1:*",command="exec ')


def test_the_agents_key_is_made_there_and_stays_there(pairing):
    agent = pairing.new_agent()
    assert pairing.join(agent, pairing.invite()).code == 0
    key = agent.state_dir / "id_ed25519"
    assert key.stat().st_mode & 0o777 == 0o600
    public = subprocess.run([need("ssh-keygen"), "-y", "-f", key], check=True, capture_output=True, text=True).stdout
    assert public.split()[:2] == pairing.keys()[0].split()[-2:]
    private = key.read_text().splitlines()[3]
    for file in [*pairing.relay.folder.rglob("*"), *pairing.sshd.folder.rglob("*")]:
        if file.is_file():
            assert private.encode() not in file.read_bytes(), file
    assert (pairing.relay.state_dir / "agents.json").stat().st_mode & 0o777 == 0o600
    assert key.read_text() == (agent.state_dir / "id_ed25519").read_text()


def test_a_key_that_is_there_already_is_used(pairing, folder):
    agent = pairing.new_agent()
    public = new_key(agent.state_dir, "id_ed25519")
    assert pairing.join(agent, pairing.invite()).code == 0
    assert public.split()[1] in pairing.keys()[0]


def test_the_section_that_join_writes(pairing):
    agent = pairing.new_agent()
    assert pairing.join(agent, pairing.invite()).code == 0
    text = pairing.section(agent).read_text()
    assert text.splitlines()[1:5] == ["[relay e2e]", "host     = 127.0.0.1", f"port     = {pairing.sshd.port}",
                                      f"user     = {pairing.sshd.user}"]
    assert run("tunnel-agent", "-c", agent.conf, "--check").code == 0
    assert "secret" not in text and "PRIVATE" not in text


def test_json_is_the_control_sockets_reply(pairing):
    agent = pairing.new_agent()
    done = pairing.ctl(pairing.relay, "--json", "invite", "pi", "--domains", "a.test *.a.test", "--host", "127.0.0.1")
    invited = json.loads(done.out)
    assert (done.code, invited["name"], invited["domains"]) == (0, "pi", ["a.test", "*.a.test"])
    done = pairing.ctl(agent, "--json", "join", invited["token"])
    joined = json.loads(done.out)
    assert (done.code, joined["joined"], joined["name"], joined["user"]) == (0, "e2e", "pi", pairing.sshd.user)
    wait_until(lambda: pairing.agents()["agents"][0]["lanes"] == 2, "both lanes are up")
    done = pairing.ctl(pairing.relay, "--json", "agents")
    assert json.loads(done.out) == pairing.agents()
    assert pairing.agents()["agents"][0]["key"] == joined["key"]
    done = pairing.ctl(pairing.relay, "--json", "revoke", "pi")
    assert (done.code, json.loads(done.out)) in [(0, {"revoked": "pi", "was": "agent", "lanes": n}) for n in (1, 2)]


def test_two_agents_of_one_relay(pairing):
    first, second = pairing.new_agent(), pairing.new_agent("shed", "b.test")
    tokens = pairing.invite(), pairing.invite("shed", "b.test")
    assert pairing.open_invites() == ["pi", "shed"]
    assert pairing.join(second, tokens[1]).code == 0 and pairing.join(first, tokens[0]).code == 0
    for name in ("a.test", "b.test"):
        pairing.wait_up(name)
        assert pairing.visit(name=name).status == 200


def test_agents_shows_who_may_connect(pairing):
    pairing.configure_relay(f"[agent shed]\nkey = {new_key(pairing.relay.folder, 'shed')}\ndomains = b.test")
    assert pairing.ctl(pairing.relay, "reload").code == 0
    agent = pairing.new_agent()
    assert pairing.join(agent, pairing.invite()).code == 0
    pairing.invite("barn", "c.test *.c.test")
    done = pairing.ctl(pairing.relay, "agents")
    rows = [re.split(r"  +", line.strip()) for line in done.out.splitlines()]
    assert done.code == 0 and rows[0] == ["NAME", "SINCE", "LANES", "DOMAINS", "KEY"]
    assert rows[1][:4] == ["shed", "configuration", "0", "b.test"] and rows[1][4].startswith("SHA256:")
    assert rows[2][0] == "pi" and rows[2][1].endswith("Z") and rows[2][2] in "12" and rows[2][3] == "a.test"
    assert rows[3][0] == "barn" and rows[3][1].startswith("invited, until ") and rows[3][3] == "c.test *.c.test"


def test_enrolled_agents_appear_in_the_dump_which_loads_again(pairing, folder):
    agent = pairing.new_agent()
    assert pairing.join(agent, pairing.invite("pi", "a.test *.a.test")).code == 0
    dump = run("tunnel-relay", "-c", pairing.relay.conf, "--dump").out
    key = " ".join(pairing.keys()[0].split()[-2:])
    assert f"[agent pi]\nkey     = {key} ; {pairing.relay.state_dir}/agents.json\ndomains = a.test *.a.test ; " in dump
    (folder / "again.ini").write_text(dump)
    assert run("tunnel-relay", "-c", folder / "again.ini", "--check").code == 0


# ---- restarts ----


@pytest.mark.parametrize("end", ["stop", "kill"])
def test_a_relay_restart_between_invite_and_join(pairing, end):
    agent, token = pairing.new_agent(), pairing.invite()
    getattr(pairing.relay, end)()
    pairing.relay.start()
    assert pairing.join(agent, token).code == 0
    getattr(pairing.relay, end)()
    pairing.relay.start()
    assert pairing.enrolled() == ["pi"]
    pairing.wait_up()
    assert pairing.visit().status == 200
    fails(pairing.join(pairing.new_agent("other", None), token), "used already")


def test_a_relay_that_is_away_while_the_agent_joins(pairing):
    agent, token = pairing.new_agent(), pairing.invite()
    pairing.relay.stop()
    threading.Timer(1, pairing.relay.start).start()
    assert pairing.join(agent, token).code == 0
    pairing.wait_up()


def test_an_answer_that_was_lost_is_given_again_and_to_nobody_else(pairing, folder):
    pairing.invite()
    invitation = pairing.agents()["invites"][0]["id"]
    key = new_key(folder, "key")
    for _ in range(3):
        agent = Enrolment(pairing.lane_socket, invitation)
        assert agent.enrol("pi", key) == {"type": "enrolled", "v": 1, "name": "pi", "relay": "e2e"}
        agent.close()
        pairing.relay.kill()
        pairing.relay.start()
    other = Enrolment(pairing.lane_socket, invitation)
    assert "used already" in other.enrol("pi", new_key(folder, "other"))["why"]
    other.close()
    assert key.split()[1] in pairing.keys()[0] and len(pairing.keys()) == 1


def test_state_that_is_damaged_is_not_started_on(pairing):
    pairing.invite()
    pairing.relay.stop()
    state = pairing.relay.state_dir / "agents.json"
    whole = state.read_text()
    state.write_text(whole[:-9])
    assert "agents.json" in pairing.relay.refused()
    state.write_text(whole)
    pairing.relay.start()
    assert pairing.open_invites() == ["pi"]


# ---- tokens ----


def test_a_used_token(pairing):
    token = pairing.invite()
    agent, other = pairing.new_agent(), pairing.new_agent("other", None)
    assert pairing.join(agent, token).code == 0
    fails(pairing.join(agent, token), "used already")  # also where it was used
    fails(pairing.join(other, token), "used already", "tunnelctl invite pi")
    assert not pairing.section(other).exists() and other.get("/v1/status").json["relays"] == []
    assert pairing.enrolled() == ["pi"]


def test_an_expired_token(pairing):
    token = pairing.invite("pi", "a.test", "--for", "1s")
    assert "--enrol" in pairing.keys()[0] and "expiry-time=" in pairing.keys()[0]
    wait_until(lambda: not pairing.keys(), "its key is gone")
    assert pairing.open_invites() == []
    fails(pairing.join(pairing.new_agent(), token), "expired")


def test_a_token_that_expires_while_the_relay_is_down(pairing):
    token = pairing.invite("pi", "a.test", "--for", "1s")
    pairing.relay.stop()
    shown = run("tunnel-lane", "--keys", fingerprint(pairing.keys()[0]), "--state-dir", pairing.relay.state_dir)
    expires = time.time() + 1.1
    wait_until(lambda: time.time() > expires, "it has expired")
    late = run("tunnel-lane", "--keys", fingerprint(pairing.keys()[0]), "--state-dir", pairing.relay.state_dir)
    assert (late.code, late.out) == (0, ""), shown
    fails(pairing.join(pairing.new_agent(), token), "expired")
    pairing.relay.start()
    assert pairing.keys() == []


def test_a_token_that_is_cut_short_or_altered_is_not_even_tried(pairing):
    agent, token = pairing.new_agent(), pairing.invite()
    logins = pairing.sshd.log()
    for n in (0, 1, 7, 8, 9, len(token) // 2, len(token) - 1):
        fails(pairing.join(agent, token[:n]), "the token is cut short")
    for at in (0, 5, 8, 40, len(token) // 2, len(token) - 1):
        other = "A" if token[at] != "A" else "B"
        fails(pairing.join(agent, token[:at] + other + token[at + 1:]), "the token was altered")
        reply = agent.post("/v1/join", json.dumps({"token": token[:at] + other + token[at + 1:]}).encode())
        assert (reply.status, "was altered" in reply.json["error"]) == (400, True)
    fails(pairing.join(agent, token + "A"), "was altered")
    assert "character 10 " in fails(pairing.join(agent, token[:9] + "+" + token[10:]), "was altered")
    assert pairing.sshd.log() == logins and not (agent.state_dir / "id_ed25519").exists()
    assert pairing.join(agent, token).code == 0


def test_a_revoked_invitation(pairing):
    token = pairing.invite()
    done = pairing.ctl(pairing.relay, "revoke", "pi")
    assert (done.code, done.out) == (0, "revoked the invitation pi\n")
    assert pairing.keys() == []
    fails(pairing.join(pairing.new_agent(), token), "revoked")


def test_a_second_invitation_of_one_name_replaces_the_first(pairing):
    first, second = pairing.invite(), pairing.invite("pi", "b.test")
    assert pairing.open_invites() == ["pi"]
    fails(pairing.join(pairing.new_agent("other", None), first), "revoked")
    assert pairing.join(pairing.new_agent("pi", "b.test"), second).code == 0


def test_two_joins_race(pairing):
    agents = [pairing.new_agent(), pairing.new_agent("other", None)]
    token = pairing.invite()
    results = {}

    def join(n):
        results[n] = pairing.join(agents[n], token)

    threads = [threading.Thread(target=join, args=(n,)) for n in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(done.code for done in results.values()) == [0, 1], results
    (loser,) = (done for done in results.values() if done.code)
    assert "used already" in loser.err
    assert len(pairing.keys()) == 1 and pairing.enrolled() == ["pi"]


def test_two_enrolments_race_within_the_relay(pairing, folder):
    pairing.invite()
    invitation = pairing.agents()["invites"][0]["id"]
    first, second, third = (Enrolment(pairing.lane_socket, invitation) for _ in range(3))
    second.say(type="ping", n=1, t=1, rtt_ms=-1)  # not what is asked for, and not heard
    assert first.enrol("pi", new_key(folder, "one"))["type"] == "enrolled"
    for loser in (second, third):
        loser.say(type="enrol", v=1, name="pi", key=new_key(folder, f"key{loser.socket.fileno()}"))
        assert "used already" in loser.hear()["why"]
        assert loser.hear() == {"type": "end", "v": 1}
        loser.close()
    first.close()
    assert len(pairing.keys()) == 1


def test_an_enrolment_that_nothing_comes_of(pairing, folder):
    pairing.invite()
    invitation = pairing.agents()["invites"][0]["id"]
    taken = new_key(folder, "taken")
    pairing.configure_relay(f"[agent shed]\nkey = {taken}\ndomains = b.test")
    assert pairing.ctl(pairing.relay, "reload").code == 0
    once = " ".join(pairing.keys()[1].split()[-2:])
    for name, key, why in [("other", new_key(folder, "a"), "is for agent pi"), ("pi", taken, "that of agent shed already"),
                           ("pi", once, "cannot be the agent's"), ("pi", "ssh-rsa AAAA", "not an ed25519 public key")]:
        agent = Enrolment(pairing.lane_socket, invitation)
        answer = agent.enrol(name, key)
        assert answer["type"] == "error" and why in answer["why"]
        agent.close()
    assert pairing.open_invites() == ["pi"] and pairing.enrolled() == ["shed"]
    stranger = Enrolment(pairing.lane_socket, "0123456789abcdef")
    assert "expired, or was revoked" in stranger.enrol("pi", new_key(folder, "b"))["why"]
    stranger.close()


def test_another_machine_under_that_name(pairing):
    agent, token = pairing.new_agent(), pairing.invite()
    pairing.sshd.process.terminate()
    pairing.sshd.process.wait()
    (pairing.sshd.folder / "host_key").unlink()
    pairing.sshd.new_key("host_key")
    pairing.sshd.start_again()
    fails(pairing.join(agent, token), "shows the host key SHA256:", "nothing was sent")
    assert pairing.open_invites() == ["pi"]


def test_nobody_is_there(pairing):
    agent, token = pairing.new_agent(), pairing.invite()
    pairing.sshd.process.terminate()
    pairing.sshd.process.wait()
    fails(pairing.join(agent, token), "cannot reach the relay at 127.0.0.1", "refused")
    pairing.sshd.start_again()
    assert pairing.join(agent, token).code == 0


def test_a_one_time_key_can_do_nothing_else(pairing, folder):
    key = one_time_key(pairing.invite(), pairing.keys()[0], folder / "once")
    done = subprocess.run([*pairing.sshd.command("-N", key=str(key))[:-2], "-N", "-R", "127.0.0.1:0:127.0.0.1:9",
                           f"{pairing.sshd.user}@127.0.0.1"], capture_output=True, timeout=PATIENCE_S)
    assert done.returncode == 255 and b"remote port forwarding failed" in done.stderr
    client = subprocess.Popen(pairing.sshd.command("sh", key=str(key)), stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                              stderr=subprocess.DEVNULL)
    client.stdin.write(b'{"type":"hello","v":1,"boot":"b","lane":0,"port":40000,"version":"1"}\n')
    client.stdin.flush()
    wait_until(pairing.enrolling, "tunnel-lane runs")
    time.sleep(0.3)  # for something that must not come
    os.set_blocking(client.stdout.fileno(), False)
    assert client.stdout.read() is None and pairing.relay.get("/v1/status").json["lanes"] == []
    assert pairing.ctl(pairing.relay, "revoke", "pi").code == 0
    os.set_blocking(client.stdout.fileno(), True)
    assert b"revoked" in client.stdout.readline()
    assert client.wait(10) != 0  # the session ends, too
    client.stdin.close()
    client.stdout.close()


# ---- what invite refuses ----


@pytest.mark.parametrize("name, domains, why", [
    ("Pi", "a.test", "the agent's name"), ("-pi", "a.test", "the agent's name"), ("a" * 33, "a.test", "the agent's name"),
    ("pi", "*.a", "it has no dot"), ("pi", "A.test", "only a-z"), ("pi", "*.*.test", "a wildcard is *. and a name"),
    ("pi", "a.test a.test", "stands twice"), ("pi", "a..test", "an empty label"),
])
def test_names_and_domains_are_checked(pairing, name, domains, why):
    done = run("tunnelctl", "--socket", pairing.relay.socket, "invite", "--domains", domains, "--host", "127.0.0.1",
               "--", name)
    fails(done, why)
    assert pairing.agents() == {"agents": [], "invites": []} and pairing.keys() == []


def test_a_name_that_is_taken(pairing):
    pairing.configure_relay(f"[agent shed]\nkey = {new_key(pairing.relay.folder, 'shed')}\ndomains = b.test")
    assert pairing.ctl(pairing.relay, "reload").code == 0
    fails(pairing.try_invite("shed"), "agent shed stands in the configuration already, at ", "relay.ini:")
    assert pairing.join(pairing.new_agent(), pairing.invite()).code == 0
    fails(pairing.try_invite("pi"), "agent pi is enrolled already", "tunnelctl revoke pi")


def test_wrong_usage(pairing):
    for args in (["invite"], ["invite", "pi"], ["invite", "pi", "b", "--domains", "a.test"],
                 ["invite", "pi", "--domains", "a.test", "--for", "8d"], ["invite", "pi", "--domains", "a.test", "--for", "1"],
                 ["join"], ["join", "a", "b"], ["revoke"], ["revoke", "a/b"], ["agents", "pi"],
                 ["status", "--host", "a.test"]):
        done = pairing.ctl(pairing.relay, *args)
        assert (done.code, done.out) == (2, ""), done
    for option, value in (("--host", ""), ("--host", "a b"), ("--host", "[::1]"), ("--host", "a" * 256), ("--domains", ""), ("--domains", " , ")):
        done = pairing.ctl(pairing.relay, "invite", "pi", *(() if option == "--domains" else ("--domains", "a.test")), option, value)
        assert (done.code, done.out) == (2, "") and f'{option} "{value}": no' in done.err, done
    for twice in (["--domains", "a.test", "--domains", "b.test"], ["--domains", "a.test", "--host", "a.test", "--host=b.test"],
                  ["--for", "a.test", "--domains", "a.test", "--for", "b.test"]):
        done = pairing.ctl(pairing.relay, "invite", "pi", *twice)
        assert (done.code, done.out) == (2, "") and " is given twice, with a.test and with b.test; " in done.err, done
    assert pairing.open_invites() == []
    token = pairing.invite()
    done = pairing.ctl(pairing.relay, "join", token)
    assert done.code == 2 and "this is the relay's control socket" in done.err
    assert run("tunnelctl", "--socket", pairing.relay.folder / "none", "agents").code == 3


def test_an_sshd_that_cannot_be_asked_for_its_host_key(pairing):
    pairing.relay.stop()
    pairing.configure_relay(ssh_port=1)
    pairing.relay.start()
    fails(pairing.try_invite(), "cannot learn the ed25519 host key", "127.0.0.1 port 1", "ssh_port")
    assert pairing.open_invites() == []


def greets_at_ipv6(port):
    try:
        with socket.create_connection(("::1", port), PATIENCE_S) as s:
            return s.recv(4)
    except OSError:
        return b""


def test_an_sshd_that_listens_at_ipv6_alone(pairing):
    """Its host key is asked for at ::1."""
    port, conf = free_port(), pairing.sshd.folder / "v6_config"
    plain = (pairing.sshd.folder / "sshd_config").read_text()
    conf.write_text(plain.replace("127.0.0.1", "::1").replace(f"Port {pairing.sshd.port}", f"Port {port}"))
    with subprocess.Popen([pairing.sshd.program, "-D", "-e", "-f", conf], stderr=subprocess.DEVNULL) as sshd:
        try:
            wait_until(lambda: greets_at_ipv6(port), "sshd greets")
            pairing.relay.stop()
            pairing.configure_relay(ssh_port=port)
            pairing.relay.start()
            pairing.invite()
        finally:
            sshd.terminate()


@pytest.mark.parametrize("line, words", [
    ("DenyUsers *", ["does not take this token", "sshd lets nobody in so: tunnelctl doctor"]),
    ("AllowTcpForwarding no", ["grants no port", "AllowTcpForwarding remote; run there: tunnelctl doctor"]),
])
def test_an_sshd_that_is_set_wrong(pairing, line, words):
    pairing.sshd.further = f"{line}\n{pairing.sshd.further}"
    pairing.sshd.end()
    pairing.sshd.start_again()
    fails(pairing.join(pairing.new_agent(), pairing.invite()), *words)


def test_the_host_is_the_first_address_to_publish(pairing):
    done = pairing.ctl(pairing.relay, "invite", "pi", "--domains", "a.test")
    if done.code:  # this machine has no public address
        fails(done, "--host NAME")
    pairing.configure_relay(publish="192.0.2.7 2001:db8::7")
    assert pairing.ctl(pairing.relay, "reload").code == 0
    done = pairing.ctl(pairing.relay, "--json", "invite", "pi", "--domains", "a.test")
    assert json.loads(done.out)["host"] == "192.0.2.7"
    pairing.configure_relay(publish="somewhere")
    assert pairing.ctl(pairing.relay, "reload").code == 1


# ---- what join looks at before it spends the token ----


def test_a_section_that_would_stand_twice(pairing):
    agent = pairing.new_agent(further=f"[relay e2e]\nhost = 192.0.2.1\nhost_key = ssh-ed25519 SHA256:{'A' * 43}\n")
    fails(pairing.join(agent, pairing.invite()), "[relay e2e] stands at ", "agent.ini:", "the token was not used")
    assert pairing.open_invites() == ["pi"]


def test_an_include_that_does_not_cover_it(pairing):
    agent = pairing.new_agent()
    agent.configure(agent.conf.read_text().replace("[agent]", "[agent]\ninclude ="))
    assert pairing.ctl(agent, "reload").code == 0
    fails(pairing.join(agent, pairing.invite()), "does not cover agent.d/relay-e2e.ini", "the token was not used")
    assert pairing.open_invites() == ["pi"]


def test_a_folder_that_cannot_be_written(pairing):
    agent = pairing.new_agent()
    (agent.folder / "agent.d").write_text("")
    fails(pairing.join(agent, pairing.invite()), "is not a folder", "the token was not used")
    assert pairing.open_invites() == ["pi"]


def test_what_a_person_wrote_into_joins_file_stays(pairing):
    agent, file = pairing.new_agent(), None
    assert pairing.join(agent, pairing.invite()).code == 0
    file = pairing.section(agent)
    written = file.read_text()
    added = "lanes    = 1\n\n; the cats\n[domain cats.test]\nservice = http://127.0.0.1:9 ; later\n"
    for before, after in [
        (written, written),
        (written.replace("agent is called pi", "agent is called shed"), written),
        (written.replace("127.0.0.1", "192.0.2.1 ; in Oslo") + added, written.replace("127.0.0.1", "127.0.0.1 ; in Oslo") + added),
        ("# by hand\n" + "\n".join(written.splitlines()[1:]), "# by hand\n" + "\n".join(written.splitlines()[1:]) + "\n"),
    ]:
        file.write_text(before)
        file.chmod(0o640)
        assert pairing.ctl(pairing.relay, "revoke", "pi").code == 0
        done = pairing.join(agent, pairing.invite())
        assert done.code == 0, done.err
        assert file.read_text() == after and file.stat().st_mode & 0o777 == 0o640
    assert run("tunnel-agent", "-c", agent.conf, "--check").code == 0


def test_another_tunnelctl_is_waited_for_before_the_token_is_used(pairing):
    agent, token = pairing.new_agent(), pairing.invite()
    folder = os.open(agent.folder, os.O_RDONLY)
    fcntl.flock(folder, fcntl.LOCK_EX)
    with ThreadPoolExecutor() as pool:
        joining = pool.submit(pairing.join, agent, token)
        time.sleep(1)
        assert not joining.done() and pairing.open_invites() == ["pi"]
        os.close(folder)
        assert joining.result().code == 0


@pytest.mark.parametrize("what", ["no ini text", "a link"])
def test_a_file_that_join_cannot_keep(pairing, what):
    agent = pairing.new_agent()
    file = pairing.section(agent)
    file.parent.mkdir()
    if what == "a link":
        file.symlink_to(agent.folder / "elsewhere")
    else:
        file.write_text("[relay e2e]\nlanes 1\n")
    fails(pairing.join(agent, pairing.invite()), "the token was not used", str(file), "line 2 has no =" if what != "a link" else "link",
          "move it away")
    assert pairing.open_invites() == ["pi"] and file.is_symlink() == (what == "a link")
    assert file.is_symlink() or file.read_text() == "[relay e2e]\nlanes 1\n"


# ---- revoke ----


def test_revoke_and_pair_anew(pairing):
    agent = pairing.new_agent()
    assert pairing.join(agent, pairing.invite()).code == 0
    pairing.wait_up()
    done = pairing.ctl(pairing.relay, "revoke", "pi")
    assert (done.code, done.out) == (0, "revoked the agent pi\n")
    wait_until(lambda: pairing.relay.get("/v1/status").json["lanes"] == [], "the lane is gone", timeout=limit(1))
    assert pairing.keys() == [] and pairing.site_state() is None
    wait_until(lambda: "refuses the key" in agent.log() or "for good" in agent.log(), "the agent is refused")
    assert pairing.join(agent, pairing.invite()).code == 0  # and need not wait until it would try again by itself
    pairing.wait_up()
    assert pairing.visit().status == 200


def lane_states(pairing):
    return [lane["state"] for lane in pairing.relay.get("/v1/status").json["lanes"]]


def sessions(sshd):
    """Pids of those who are connected to it. What it has just accepted belongs to the server itself for a moment."""
    found = subprocess.run([need("ss"), "-Htnp", "state", "established", f"sport = :{sshd.port}"], capture_output=True, text=True)
    return [pid for pid in map(int, re.findall(r"pid=(\d+)", found.stdout)) if pid != sshd.process.pid]


@pytest.mark.parametrize("how", ["ignores every close", "is stopped"])
def test_revoke_ends_a_client_that(pairing, how):
    agent = pairing.new_agent()
    assert pairing.join(agent, pairing.invite()).code == 0
    agent.stop()
    wait_until(lambda: not sessions(pairing.sshd) and "up" not in lane_states(pairing), "the agent's session is gone")
    command = pairing.sshd.command(key=str(agent.state_dir / "id_ed25519"))
    client = subprocess.Popen([*command[:-1], "-R", "127.0.0.1:0:127.0.0.1:9", command[-1]], stdin=subprocess.PIPE,
                              stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    session = wait_until(lambda: next((pid for pid in sessions(pairing.sshd) if listening_port(pid)), None),
                         "it has a port")
    port = listening_port(session)
    wait_until(lambda: lane_states(pairing) == ["opening"], "tunnel-lane has joined")
    with socket.create_connection(("127.0.0.1", port)):  # a channel of its own
        if how == "is stopped":
            client.send_signal(signal.SIGSTOP)
        assert pairing.ctl(pairing.relay, "revoke", "pi").code == 0
        wait_until(lambda: not listening_port(session) and not sessions(pairing.sshd), "nothing is left",
                   timeout=limit(1))
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", port))
    client.send_signal(signal.SIGCONT)
    client.communicate()
    done = pairing.sshd.ssh(key=str(agent.state_dir / "id_ed25519"))
    assert b"Permission denied" in done.stderr
    assert Path(f"/proc/{session}").exists() is False


def test_what_revoke_refuses(pairing):
    pairing.configure_relay(f"[agent shed]\nkey = {new_key(pairing.relay.folder, 'shed')}\ndomains = b.test")
    assert pairing.ctl(pairing.relay, "reload").code == 0
    fails(pairing.ctl(pairing.relay, "revoke", "shed"), "agent shed stands in the configuration, at ", "relay.ini:",
          "tunnelctl reload")
    fails(pairing.ctl(pairing.relay, "revoke", "nobody"), "neither an agent nor an invitation called nobody")
    fails(pairing.ctl(pairing.relay, "revoke", "Shed"), "the agent's name")
    assert pairing.enrolled() == ["shed"]


@pytest.mark.parametrize("section", ["pi", "shed"])
def test_an_enrolled_agent_that_stands_in_the_configuration_as_well_is_not_revoked(pairing, section):
    """Its login would stay, whatever name the section gives to its key; without the section the enrolment counts again."""
    agent = pairing.new_agent()
    assert pairing.join(agent, pairing.invite()).code == 0
    wait_until(lambda: lane_states(pairing) == ["up", "up"], "both lanes are up")
    key = " ".join(pairing.keys()[0].split()[-2:])
    pairing.configure_relay(f"[agent {section}]\nkey = {key}\ndomains = a.test\ntcp_ports = 20000-20009")
    assert pairing.ctl(pairing.relay, "reload").code == 0
    before = (pairing.relay.state_dir / "agents.json").read_text()
    fails(pairing.ctl(pairing.relay, "revoke", "pi"), "agent pi stands in the configuration, at ", "relay.ini:",
          f"section [agent {section}] out of that file and run tunnelctl reload; then run tunnelctl revoke pi,",
          "nothing was revoked")
    fails(pairing.ctl(pairing.relay, "revoke", section), f"its section [agent {section}] out of", "then run tunnelctl revoke pi,")
    assert (pairing.relay.state_dir / "agents.json").read_text() == before
    assert pairing.enrolled() == [section] and key in pairing.keys()[0]
    pairing.wait_up()
    pairing.configure_relay()
    assert pairing.ctl(pairing.relay, "reload").code == 0
    assert pairing.enrolled() == ["pi"] and key in pairing.keys()[0]
    done = pairing.ctl(pairing.relay, "revoke", "pi")
    assert (done.code, done.out) == (0, "revoked the agent pi\n")
    assert pairing.enrolled() == [] and pairing.keys() == []
    wait_until(lambda: pairing.relay.get("/v1/status").json["lanes"] == [], "the lanes are gone")
    fails(pairing.ctl(pairing.relay, "revoke", "pi"), "neither an agent nor an invitation called pi")


def test_the_configuration_wins_over_an_enrolled_agent_of_the_same_name(pairing):
    agent = pairing.new_agent()
    assert pairing.join(agent, pairing.invite()).code == 0
    wait_until(lambda: lane_states(pairing) == ["up", "up"], "no session is between its login and its joining")
    public = new_key(pairing.relay.folder, "other")
    pairing.configure_relay(f"[agent pi]\nkey = {public}\ndomains = a.test")
    assert pairing.ctl(pairing.relay, "reload").code == 0
    wait_until(lambda: lane_states(pairing) == ["dead"], "its lane is ended")
    assert [agent["source"] for agent in pairing.agents()["agents"]] == ["configuration"]
    (line,) = pairing.keys()
    assert public.split()[1] in line
    assert "an enrolled agent is left out" in pairing.relay.log()


# ---- tunnel-lane --keys ----


def test_keys_prints_the_line_of_a_key_and_needs_no_relay(pairing):
    pairing.configure_relay(f"[agent shed]\nkey = {new_key(pairing.relay.folder, 'shed')}\ndomains = b.test")
    assert pairing.ctl(pairing.relay, "reload").code == 0
    assert pairing.join(pairing.new_agent(), pairing.invite()).code == 0
    pairing.invite("barn", "c.test")
    pairing.relay.stop()
    lines = pairing.keys()
    assert len(lines) == 3
    for line in lines:
        done = run("tunnel-lane", "--keys", fingerprint(line), "--state-dir", pairing.relay.state_dir)
        assert (done.code, done.out, done.err) == (0, line + "\n", "")
    stranger = fingerprint(new_key(pairing.relay.folder, "stranger"))
    for wrong in (stranger, "", "SHA256:", stranger[:-1]):
        done = run("tunnel-lane", "--keys", wrong, "--state-dir", pairing.relay.state_dir)
        assert (done.code, done.out) == (0, "")
    done = run("tunnel-lane", "--keys", stranger, "--state-dir", pairing.relay.folder / "none")
    assert done.code == 1 and "--state-dir" in done.err
