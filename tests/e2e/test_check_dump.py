"""What the daemons say about configurations that are well, about themselves, and how they take their arguments."""

import random
import re
import socket
import subprocess

import pytest

from programs import PATIENCE_S, ROOT, SANITIZER, program, run
from x509 import make_pair

POLICY = ("https", "tls", "issuer", "www", "hsts", "max_body", "park", "error_page", "access_log", "share", "priority", "set_header",
          "unset_header", "allow", "deny", "rate", "basic_auth_file")
PROVIDER = ("type", "token_file", "key_file", "secret_file", "password_file", "user", "id", "zone", "server",
            "url", "key_name", "key_algorithm", "ca_file", "command", "success")
COMMON = ("name", "state_dir", "control_socket", "admin_listen", "admin_password_file", "include", "log", "log_level", "drain",
          "on_event", "webhook", "webhook_token_file")
KEYS = {  # of each section
    "relay": {"relay": (*COMMON, "listen_https", "listen_http", "park", "heartbeat", "workers", "publish", "lane_socket", "lane_user", "lane_command",
                        "ssh_port", "ssh_on_https", "max_streams", "max_buffered", "max_connections", "max_per_source", "trusted_proxies",
                        "proxy_listeners", "max_uri", "max_header", "access_log", "access_log_format",
                        "tls_profile", "http2", "default_cert"),
              "acme] or [acme NAME": ("issuer", "directory", "email", "challenges", "ca_file", "preflight", "resolvers", "eab_kid", "eab_key_file", "profile",
                       "preferred_chain", "key_types", "staging_first", "deploy_hook", "dns"),
              "provider NAME": PROVIDER, "agent NAME": ("key", "domains", "tcp_ports", "instances", "max_domains"),
              "domain NAME": ("upstream", "aliases", "route", *POLICY, "cert_file", "key_file")},
    "agent": {"agent": (*COMMON, "max_streams", "max_buffered", "on_change", "withdraw_after", "resolvers"),
              "relay NAME": ("host", "port", "user", "key_file", "host_key", "lanes", "max_lanes", "known_hosts_file",
                             "protocol", "remote_address", "remote_port", "service"),
              "address": ("sources", "quorum", "interval"),
              "provider NAME": PROVIDER,
              "domain NAME": ("service", "mode", "relays", "dns", "families", "ttl", "proxied", "host_id", "owner_txt", "cleanup_on_stop", "txt", "route",
                              "verify", "proxy_protocol", "aliases", *POLICY),
              "tcp NAME": ("listen", "service", "proxy_protocol", "allow", "deny")},
}

GOOD = """\
; everything a file may hold
# in both forms of comment
  ; where a comment may be indented

[ROLE] ; of the section
name = pi-2 # of a value
state_dir="no blanks \\"quoted\\" \\\\ ; and # inside"   ; behind quotes
control_socket\t=\tcontrol;not#a-comment.sock\t; behind a tab
log = "stderr"
log_level = warn ;
drain = 90s
include = sites.d/*.ini, nothing.d/* plain.ini ,./more.ini
"""
KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIM1lpi4cG2RySJSjOWE1VT9N2RskL5u7FLBsEN7L2qFk"
HOST_KEY = "ssh-ed25519 SHA256:" + "A" * 43
FURTHER = {  # what only one of them knows
    "relay": f"""\
listen_https = :8443 127.0.0.1:9443, [::1]:9443
workers = 4
lane_socket = lane.sock
lane_user = "nobody"
lane_command = /opt/tunnel lane
access_log = access.log
access_log_format = json
[agent pi-1]
key = {KEY} root@pi ; as in the file
domains = a.test *.a.test, b.test
[acme] ; in any order
issuer = internal
[agent pi-2]
key = {KEY.replace("qFk", "qFo")}
[domain a.test] ; however it is served
access_log = off
""",
    "agent": f"""\
[domain *.a.test]
service = http://127.0.0.1:8080 ; here
aliases = a.test b.test, c.test
[relay fra1]
host = relay.example.net
port = 2222
user = me
key_file = the_key
host_key = {HOST_KEY}
[domain d.test]
service = http://[::1]
[relay fra2]
host = ::1
host_key = {HOST_KEY}
""",
}
FURTHER_DUMPED = {
    "relay": {
        "listen_https": (":8443 127.0.0.1:9443 [::1]:9443", "MAIN:13"), "workers": ("4", "MAIN:14"),
        "lane_socket": ("PLACE/lane.sock", "MAIN:15"), "lane_user": ("nobody", "MAIN:16"),
        "lane_command": ("/opt/tunnel lane", "MAIN:17"), "access_log": ("PLACE/access.log", "MAIN:18"),
        "access_log_format": ("json", "MAIN:19"), "agent pi-1.key": (f"{KEY} root@pi", "MAIN:21"),
        "agent pi-1.domains": ("a.test *.a.test b.test", "MAIN:22"), "acme.issuer": ("internal", "MAIN:24"),
        **{f"acme.{key}": (value, "default") for key, value in
           {"directory": "letsencrypt", "challenges": "tls-alpn-01 http-01 dns-01", "preflight": "on", "resolvers": "1.1.1.1 9.9.9.9",
            "key_types": "ecdsa", "staging_first": "on"}.items()},
        "agent pi-2.key": (KEY.replace("qFk", "qFo"), "MAIN:26"), "agent pi-2.domains": ("", "default"),
        "domain a.test.access_log": ("off", "MAIN:28"), "domain a.test.aliases": ("", "default"),
    },
    "agent": {
        "domain *.a.test.service": ("http://127.0.0.1:8080", "MAIN:14"),
        "domain *.a.test.aliases": ("a.test b.test c.test", "MAIN:15"),
        "relay fra1.host": ("relay.example.net", "MAIN:17"), "relay fra1.port": ("2222", "MAIN:18"),
        "relay fra1.user": ("me", "MAIN:19"), "relay fra1.key_file": ("PLACE/the_key", "MAIN:20"),
        "relay fra1.host_key": (HOST_KEY, "MAIN:21"),
        "domain d.test.service": ("http://[::1]", "MAIN:23"), "domain d.test.aliases": ("", "default"),
        "domain *.a.test.verify": ("on", "default"), "domain d.test.verify": ("on", "default"),
        "domain *.a.test.proxy_protocol": ("off", "default"), "domain d.test.proxy_protocol": ("off", "default"),
        "domain *.a.test.relays": ("", "default"), "domain d.test.relays": ("", "default"),
        "domain *.a.test.https": ("redirect", "default"), "domain d.test.https": ("redirect", "default"),
        "relay fra2.host": ("::1", "MAIN:25"), "relay fra2.port": ("22", "default"),
        "relay fra2.user": ("tunnel", "default"), "relay fra2.host_key": (HOST_KEY, "MAIN:26"),
        **{f"domain {name}.{key}": (value, "default") for name in ("*.a.test", "d.test") for key, value in
           {"mode": "tunnel", "dns": "", "families": "both", "owner_txt": "off", "cleanup_on_stop": "off"}.items()},
    },
}
for at, keys in (("relay", ("agent pi-1", "agent pi-2")), ("agent", ("relay fra1", "relay fra2"))):
    FURTHER_DUMPED[at] |= {"relay": {"heartbeat": ("5s", "default"), "max_streams": ("900", "default"), "max_buffered": ("64m", "default"),
                                     "max_connections": ("0", "default"), "max_per_source": ("0", "default"),
                                     "ssh_port": ("22", "default"), "ssh_on_https": ("on", "default"), "listen_http": (":80", "default"), "park": ("10s", "default"),
                                     "publish": ("auto", "default"), "trusted_proxies": ("", "default"),
                                     "proxy_listeners": ("", "default"), "max_uri": ("16k", "default"),
                                     "max_header": ("64k", "default"),
                                     "tls_profile": ("intermediate", "default"), "http2": ("on", "default")},
                           "agent": {"max_streams": ("4000", "default"), "max_buffered": ("64m", "default"),
                                     "withdraw_after": ("2m", "default"), "resolvers": ("system", "default"),
                                     "address.sources": ("relay web dns", "default"), "address.interval": ("5m", "default")}}[at]
    by_default = {"relay": {"tcp_ports": "", "instances": "1", "max_domains": "100"}, "agent": {"lanes": "2", "max_lanes": "8", "protocol": "tunnel", "remote_address": "127.0.0.1"}}[at]
    FURTHER_DUMPED[at] |= {f"{section}.{key}": (value, "default")
                           for section in keys for key, value in by_default.items()}
GOOD_FILES = {"sites.d/b.ini": "; b\n", "sites.d/a.ini": "", "plain.ini": "\n\n", "more.ini": "# no newline at the end"}


def write(folder, role, text, files=None):
    conf = folder / f"{role}.ini"
    for path, content in {conf: text, **{folder / name: text for name, text in (files or {}).items()}}.items():
        path.parent.mkdir(exist_ok=True)
        path.write_text(content.replace("ROLE", role))
    return conf


def write_good(folder, role):
    conf = write(folder, role, GOOD + FURTHER[role], GOOD_FILES)
    (folder / "the_key").touch(mode=0o600)
    return conf


def well(role, task, conf, **how):
    code, out, err = run(f"tunnel-{role}", "-c", conf, task, **how)
    assert (code, err) == (0, ""), err
    return out


def parse_dump(dump):
    """key -> (value, origin), by the rules of the file and by nothing of the program's. Behind the first section, which
    is the daemon's own, a key has its section in front: "acme.issuer"."""
    rows, sections = {}, []
    for line in dump.splitlines():
        if title := re.fullmatch(r"\[(.*?)\]( ; .*)?", line):
            sections.append(title[1])
        elif match := re.fullmatch(r'(\w+(?: \S+)?) +=(?: "((?:[^"\\]|\\.)*)"| (.*?))? +; (.*)', line):
            key, quoted, plain, origin = match.groups()
            key = key if len(sections) == 1 else f"{sections[-1]}.{key}"
            assert key not in rows
            rows[key] = (plain or "" if quoted is None else re.sub(r"\\(.)", r"\1", quoted), origin)
        else:
            assert not line or line[0] == ";", line
    return rows


def dumped(role, conf, **how):
    return parse_dump(well(role, "--dump", conf, **how))


def values(rows):
    return {key: value for key, (value, origin) in rows.items()}


def defaults(role):
    host = re.sub("[^a-z0-9]", "-", socket.gethostname().split(".")[0].lower())
    common = {"name": host[:32], "state_dir": f"/var/lib/tunnel-{role}",
              "control_socket": f"/run/tunnel-{role}/control.sock",
              "admin_listen": f"127.0.0.1:{9180 if role == 'relay' else 9181}", "include": "", "log": "stderr",
              "log_level": "info", "drain": "10s"}
    relay = {"listen_https": ":443", "listen_http": ":80", "park": "10s", "heartbeat": "5s", "workers": "auto", "publish": "auto", "lane_socket": "/run/tunnel-relay/lane.sock",
             "lane_user": "tunnel", "lane_command": "", "ssh_port": "22", "ssh_on_https": "on",
             "max_streams": "900", "max_buffered": "64m", "max_connections": "0", "max_per_source": "0", "trusted_proxies": "", "proxy_listeners": "",
             "max_uri": "16k", "max_header": "64k", "access_log": "off", "access_log_format": "combined", "tls_profile": "intermediate", "http2": "on"}
    agent = {"max_streams": "4000", "max_buffered": "64m", "withdraw_after": "2m", "resolvers": "system",
             "address.sources": "relay web dns", "address.interval": "5m"}
    return {**common, **(relay if role == "relay" else agent)}


# ---- --check ----


def test_check_of_a_good_file(folder, role):
    conf = write_good(folder, role)
    assert well(role, "--check", conf) == f"{conf}: ok\n"
    assert {path.name for path in folder.iterdir()} == {conf.name, "sites.d", "plain.ini", "more.ini", "the_key"}


@pytest.mark.parametrize("text", ["", "\n", "; nothing\n", "[ROLE]", "[ROLE]\n", "[ROLE] # mine\n\n\n",
                                  "[ROLE]\nlog=stderr"])
def test_check_of_the_least_there_can_be(folder, role, text):
    conf = write(folder, role, text)
    assert well(role, "--check", conf) == f"{conf}: ok\n"
    assert values(dumped(role, conf)) == defaults(role)


def test_check_of_a_relative_path(folder, role):
    write_good(folder, role)
    assert well(role, "--check", f"{role}.ini", cwd=folder) == f"{role}.ini: ok\n"
    (folder / "deeper").mkdir()
    assert well(role, "--check", f"../{role}.ini", cwd=folder / "deeper") == f"../{role}.ini: ok\n"


def test_check_of_the_samples_in_the_tree(role):
    conf = ROOT / "conf" / f"{role}.ini"
    assert well(role, "--check", conf) == f"{conf}: ok\n"


def test_a_file_of_the_other_daemon_is_refused(folder):
    conf = write(folder, "agent", "[agent]\n")
    assert run("tunnel-relay", "-c", conf, "--check").code == 1


# ---- --dump ----


def test_dump_shows_values_and_where_they_came_from(folder, role):
    conf = write_good(folder, role)
    further = {key: tuple(text.replace("MAIN", str(conf)).replace("PLACE", str(folder)) for text in row)
               for key, row in FURTHER_DUMPED[role].items()}
    assert dumped(role, conf) == {
        **further,
        "name": ("pi-2", f"{conf}:6"),
        "state_dir": (f'{folder}/no blanks "quoted" \\ ; and # inside', f"{conf}:7"),
        "control_socket": (f"{folder}/control;not#a-comment.sock", f"{conf}:8"),
        "admin_listen": (defaults(role)["admin_listen"], "default"),
        "log": ("stderr", f"{conf}:9"),
        "log_level": ("warn", f"{conf}:10"),
        "drain": ("90s", f"{conf}:11"),
        "include": ("", f"{conf}:12"),
    }


def test_dump_names_what_was_included(folder, role):
    dump = well(role, "--dump", write_good(folder, role))
    files = [f";   {folder}/{name}" for name in ("sites.d/a.ini", "sites.d/b.ini", "plain.ini", "more.ini")]
    assert [line for line in dump.splitlines() if line.startswith(";   ")] == files


def test_dump_of_defaults(folder, role):
    rows = dumped(role, write(folder, role, "; nothing\n"))
    assert rows == {key: (value, "default") for key, value in defaults(role).items()}
    assert tuple(rows) == tuple(defaults(role))


def test_dump_shows_the_included_file_as_origin(folder, role):
    conf = write(folder, role, "", {f"{role}.d/a.ini": "[ROLE]\n\ndrain = 5s\nstate_dir = state\n"})
    rows = dumped(role, conf)
    included = folder / f"{role}.d/a.ini"
    assert rows["drain"] == ("5s", f"{included}:3")
    assert rows["state_dir"] == (f"{included.parent}/state", f"{included}:4")  # relative to the file that says it
    assert rows["name"][1] == "default"


def test_dump_agrees_with_the_running_daemon(daemon):
    running = {key: (option["value"], option["origin"]) for key, option in daemon.options().items()}
    if daemon.role == "relay":
        assert running.pop("default_cert") == (None, "default")  # there is none, so there is nothing to dump
    else:
        running["address.sources"], running["address.interval"] = ("relay web dns", "default"), ("5m", "default")
        assert running.pop("on_change") == (None, "default")
    for key in ("admin_password_file", "on_event", "webhook", "webhook_token_file"):
        assert running.pop(key) == (None, "default")
    assert running.pop("include")[0] == f"{daemon.role}.d/*.ini"
    rows = dumped(daemon.role, daemon.conf)
    assert rows.pop("include") == ("", "default")
    assert rows == running


VALUES = [
    "name = a", "name = 0-9", "drain = 0s", "drain = 1ms", "drain = 1500ms", "drain = 60m", "log_level = debug",
    "log = own.log", "log = ./stderr", "log = /tmp/../tmp/y.log", 'log = "; log"', 'log = "# log"', 'log = "a ;b"',
    'log = "a #b"', "log = a;b", "log = a#b", 'log = "say \\"no\\""', 'log = say "no"', "log = \\",
    'log = "a\\\\b"', "log = a\\b", 'log = " a"', 'log = "a "', 'log = "\ta\t"', "log = a b  c", "log = a = b",
    "log = [ROLE]", "log = zürich日志", "log = %s%n$HOME*", "log = ...", "log = ,", "log=" + "a" * 200,
]


@pytest.mark.parametrize("line", VALUES)
def test_dump_loads_back_to_the_same(folder, role, line):
    dump = well(role, "--dump", write(folder, role, f"[ROLE]\n{line}\nstate_dir = ./state\n"))
    again = write(folder / "elsewhere", role, dump)
    assert well(role, "--check", again) == f"{again}: ok\n"
    rows = dumped(role, again)
    assert values(rows) == values(parse_dump(dump))
    assert {origin.rpartition(":")[0] for _, origin in rows.values()} == {str(again)}


@pytest.mark.parametrize("text, key, value", [
    ("[acme]\n", "staging_first", "on"),
    ("[acme]\ndirectory = zerossl\n", "staging_first", "off"),
    ("[acme]\ndirectory = google\n", "staging_first", "off"),
    ("[acme]\ndirectory = letsencrypt-staging\n", "staging_first", "off"),
    ("[acme]\ndirectory = https://ca.test/directory\n", "staging_first", "off"),
    ("[relay]\nmax_header = 8k\n", "max_uri", "8k"),
    ("[relay]\nmax_header = 128k\n", "max_uri", "16k"),
])
def test_dump_of_a_default_that_others_decide_loads_back(folder, text, key, value):
    dump = well("relay", "--dump", write(folder, "relay", text))
    again = write(folder / "elsewhere", "relay", dump)
    assert well("relay", "--check", again) == f"{again}: ok\n"
    assert re.search(rf"^{key} += {value} +; default$", dump, re.MULTILINE)
    assert values(dumped("relay", again)) == values(parse_dump(dump))


def test_dump_with_includes_loads_back_without_them(folder, role):
    dump = well(role, "--dump", write_good(folder, role))
    elsewhere = folder / "elsewhere"
    again = write(elsewhere, role, dump, {"x": ""})
    assert values(dumped(role, again)) == values(parse_dump(dump))
    (elsewhere / f"{role}.d").mkdir()
    (elsewhere / f"{role}.d/a.ini").write_text("junk")  # the dump includes nothing, not even the default
    assert values(dumped(role, again)) == values(parse_dump(dump))


@pytest.mark.parametrize("name", ["with blank", "trailing ", "semi ;colon", "hash #", 'quo"te', "back\\slash", "[x]*?",
                                  "zürich"])
def test_dump_from_a_folder_of_any_name(folder, role, name):
    conf = write(folder / name, role, "[ROLE]\nstate_dir = state\ninclude = s*.ini\n", {"site.ini": ""})
    dump = well(role, "--dump", conf)
    assert f"\n;   {folder / name}/site.ini\n" in dump
    rows = dumped(role, write(folder / "elsewhere", role, dump))
    assert rows["state_dir"][0] == f"{folder / name}/state"
    assert values(rows) == values(parse_dump(dump))


@pytest.mark.parametrize("name", ["new\nlog_level = debug", "escape\x1b[31m"], ids=["newline", "escape-sequence"])
def test_the_name_of_a_folder_forges_no_line(folder, role, name):
    """An ini file cannot hold such a path: either it is refused, or shown in a form that can be loaded."""
    code, out, err = run(f"tunnel-{role}", "-c", write(folder / name, role, "[ROLE]\nstate_dir = state\n"), "--dump")
    assert "\n" not in name or name not in out + err
    assert "\x1b" not in out + err
    if code == 0:
        rows = dumped(role, write(folder / "elsewhere", role, out))
        assert values(rows) == values(parse_dump(out)) and rows["log_level"][0] == "info"


# ---- a configuration that comes through a descriptor ----


@pytest.mark.parametrize("path", ["/dev/stdin", "/dev/fd/0", "/proc/self/fd/0"])
def test_the_configuration_may_come_through_standard_input(folder, role, path):
    text = f'[{role}]\nlog = "a ;b"\nstate_dir = /tmp/state\n'.encode()
    assert well(role, "--check", path, stdin=text) == f"{path}: ok\n"
    rows = dumped(role, path, stdin=text, cwd=folder)
    assert rows["state_dir"] == ("/tmp/state", f"{path}:3")
    if path.startswith("/dev/"):
        assert rows["log"] == (f"{folder}/a ;b", f"{path}:2")  # such a file has no folder, so the current one
    code, out, err = run(f"tunnel-{role}", "-c", path, "--check", stdin=text + b"drain = soon\n")
    assert (code, out) == (1, "") and err.startswith(f"{path}:4: {role}.drain = soon: ")


def test_a_dump_can_be_piped_into_a_check(folder, role):
    dump = well(role, "--dump", write_good(folder, role))
    piped = dumped(role, "/dev/stdin", stdin=dump.encode(), cwd="/")
    assert values(piped) == values(parse_dump(dump))


# ---- --help and --version ----


def test_help_mentions_every_key_and_fits_80_columns(role):
    code, out, err = run(f"tunnel-{role}", "--help")
    assert (code, err) == (0, "")
    assert [line for line in out.splitlines() if len(line) > 80] == []
    _, *parts = re.split(r"^\[(.+)\]$", out, flags=re.MULTILINE)
    sections = zip(parts[::2], parts[1::2])
    assert {title: tuple(re.findall(r"^  (\w+)(?: WORD)? = \S", text, re.MULTILINE)) for title, text in sections} == KEYS[role]
    for word in ("-c", "--check", "--dump", "--version", "--help", "--help=sample", f"/etc/tunnel/{role}.ini"):
        assert word in out
    assert run(f"tunnel-{role}", "-h") == (code, out, err)


def test_help_tells_bounds_choices_and_defaults(role):
    out = " ".join(run(f"tunnel-{role}", "--help").out.split())
    for fact in ("From 0s to 1h. The default is 10s.", "log_level = error | warn | info | debug", "default is info.",
                 f"The default is /var/lib/tunnel-{role}. A change needs a restart."):
        assert fact in out


def test_the_sample_is_well_and_is_the_defaults(folder, role):
    code, out, err = run(f"tunnel-{role}", "--help=sample")
    assert (code, err) == (0, "")
    conf = write(folder, role, out)
    assert well(role, "--check", conf) == f"{conf}: ok\n"
    assert {key: (value, "default") for key, value in defaults(role).items()} == dumped(role, conf)
    assert (ROOT / "conf" / f"{role}.ini").read_text() == out


SITE = "sassy-cat-pics.com"
EXAMPLES = {  # what a person puts in the place of the sample's
    "relay": {"agent NAME": "agent pi-2", "ssh-ed25519 AAAA...": KEY, "domain NAME": "domain b.test", "/etc/tunnel/error.html": "error.html",
              "provider NAME": "provider cloudflare", "/etc/tunnel/dns.token_file": "dns_token",
              **{f"/etc/tunnel/{name}": name for name in ("default.pem", f"{SITE}.pem", f"{SITE}.key", "eab.key")}},
    "agent": {"relay NAME": "relay fra1", "domain NAME": "domain a.test", "tcp NAME": "tcp ssh", "/var/lib/tunnel-agent/id_": "id_", "/etc/tunnel/error.html": "error.html",
              "provider NAME": "provider cloudflare", "/etc/tunnel/dns.token_file": "dns_token",
              f"/etc/tunnel/{SITE}.htpasswd": "htpasswd"},
}


# Keys of [provider] that the sample's own type does not take.
OTHER_PROVIDERS = ("key_file", "secret_file", "password_file", "user", "id", "server", "key_name", "key_algorithm", "command", "success",
                   "zone", "url", "ca_file")


def test_the_sample_uncommented_is_the_defaults_too(folder, role):
    """As a person would: the ; away in front of each section and key."""
    sample = run(f"tunnel-{role}", "--help=sample").out
    text, n = re.subn(r"^; (?=(\w+|(route|set_header|unset_header) \S+) =( |$)|\[)", "", sample, flags=re.MULTILINE)
    named = [title for title in KEYS[role] if title.endswith(" NAME")]
    assert n == sum(map(len, KEYS[role].values())) + len(named)
    for key in ("known_hosts_file", "remote_port", "service", "host_id") if role == "agent" else ():  # other keys exclude these
        text, one = re.subn(f"^{key} = .*\n", "", text, count=1, flags=re.MULTILINE)
        n -= one
    for key in ("issuer", "basic_auth_file") if role == "relay" else ():
        text, one = re.subn(rf"(^\[domain NAME\]$.*?)^{key} = [^\n]*\n", r"\1", text, count=1, flags=re.MULTILINE | re.DOTALL)
        n -= one
    for key in OTHER_PROVIDERS:
        text, one = re.subn(rf"(^\[provider NAME\]$.*?)^{key} = [^\n]*\n", r"\1", text, count=1, flags=re.MULTILINE | re.DOTALL)
        n -= one
    common = {"/etc/tunnel/admin.password": "admin.password", "/etc/tunnel/ntfy.token": "ntfy.token", "/etc/tunnel/on-event": "/bin/true"}
    for example, own in {**EXAMPLES[role], **common}.items():
        assert text.count(example) == 1
        text = text.replace(example, own)
    for name in ("id_ed25519", "dns_token", "eab.key", "ntfy.token"):
        (folder / name).touch(mode=0o600)
    (folder / "error.html").write_text("<p>{text}</p>")
    (folder / "htpasswd").write_text("me:$5$rounds=1000$abcdefgh$XIppta5rT8zJUu4vAOKQXrwq9uY4Ijlz6VjyOmkx5i4")
    (folder / "admin.password").write_text("word")
    (folder / "admin.password").chmod(0o600)
    make_pair(folder, SITE, [SITE]).joined(folder / "default.pem")
    rows = dumped(role, write(folder, role, text))
    others = [key for key in defaults(role) if key != "name"]  # that is made from the machine; an example stands there
    assert {key: values(rows)[key] for key in others} == {key: defaults(role)[key] for key in others}
    assert not [key for key, (value, origin) in rows.items() if origin == "default"]
    assert len(rows) == n - len(named)


def test_version(role):
    code, out, err = run(f"tunnel-{role}", "--version")
    assert (code, err) == (0, "")
    assert re.fullmatch(rf"tunnel-{role} \d+\.\d+\.\d+\S*\n", out)


@pytest.mark.parametrize("task", ["--help", "--help=sample", "--version"])
def test_what_needs_no_configuration_reads_none(folder, role, task):
    assert run(f"tunnel-{role}", task, "-c", folder / "missing.ini") == run(f"tunnel-{role}", task)


# ---- arguments ----


@pytest.mark.parametrize("arguments, word", [
    (["--chek"], "--chek"), (["-x"], "x"), (["relay.ini"], "relay.ini"), (["--check", "relay.ini"], "relay.ini"),
    (["-c"], "c"), (["--config"], "--config"), (["--check=yes"], "--check"), (["--help=me"], "me"), ([""], "argument"),
    (["--version", "now"], "now"), (["--check", "--", "-c"], "-c"),
])
def test_wrong_usage(role, arguments, word):
    code, out, err = run(f"tunnel-{role}", *arguments)
    assert (code, out) == (2, "")
    assert word in err and err.endswith(f"try: tunnel-{role} --help\n")


@pytest.mark.parametrize("tasks", [("--check", "--dump"), ("--dump", "--check"), ("--version", "--help"),
                                   ("--check", "--version"), ("--help", "--help=sample"), ("--dump", "-h")])
def test_two_tasks_at_once(folder, role, tasks):
    code, out, err = run(f"tunnel-{role}", "-c", write(folder, role, ""), *tasks)
    assert (code, out) == (2, "")
    assert "only one of --check, --dump, --version, --help" in err and err.count("\n") == 1


def test_the_order_of_arguments_does_not_matter(folder, role):
    conf = write_good(folder, role)
    before, after = run(f"tunnel-{role}", "--dump", "-c", conf), run(f"tunnel-{role}", f"--config={conf}", "--dump")
    assert before == after and before.code == 0


@pytest.mark.parametrize("task", ["--check", "--dump", "--version", "--help", "--help=sample"])
def test_output_that_cannot_be_written_is_an_error_with_a_reason(folder, role, task):
    conf = write(folder, role, "")
    with open("/dev/full", "wb") as full:
        done = subprocess.run([program(f"tunnel-{role}"), "-c", conf, task], stdin=subprocess.DEVNULL, stdout=full,
                              stderr=subprocess.PIPE, timeout=PATIENCE_S)
    assert done.returncode == 1 and not SANITIZER.search(done.stderr.decode())
    assert b"No space left on device" in done.stderr


# ---- mutations ----


def mutate(text, chance):
    text = bytearray(text)
    for _ in range(chance.choice((1, 1, 2, 8))):
        at = chance.randrange(len(text))
        byte = chance.choice((chance.randrange(256), chance.choice(b'\0\n\r\t "\\;#=[]/*?~,')))
        match chance.randrange(4):
            case 0: text[at] = byte
            case 1: text.insert(at, byte)
            case 2: del text[at]
            case 3: text[at:at] = text[chance.randrange(len(text)):][:chance.randrange(40)]
    return bytes(text)


@pytest.mark.parametrize("seed", range(10))
def test_mutations_are_taken_or_refused(folder, role, seed):
    """600 for both daemons; of what is taken, some is dumped and loaded back."""
    conf, chance, codes = write_good(folder, role), random.Random(seed), []
    good, taken = conf.read_bytes(), []
    for _ in range(30):
        text = mutate(good, chance)
        conf.write_bytes(text)
        code, out, err = run(f"tunnel-{role}", "-c", conf, "--check")
        assert (code, out, err) == (0, f"{conf}: ok\n", "") or (code, out) == (1, "") and err, text
        assert all(line.startswith(str(folder)) for line in err.splitlines()), text
        codes.append(code)
        taken += [text] if code == 0 else []
    assert set(codes) == {0, 1}
    for text in taken[:3]:
        conf.write_bytes(text)
        dump = well(role, "--dump", conf)
        piped = dumped(role, "/dev/stdin", stdin=dump.encode())
        assert values(piped) == values(parse_dump(dump)), text
