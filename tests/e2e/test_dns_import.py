"""tunnelctl dns import: what inadyn or ddclient was told becomes sections that the agent takes and works with."""

from __future__ import annotations

import stat
from pathlib import Path
from typing import Callable

import pytest

from daemon import Daemon
from dns_agent import DnsAgent
from programs import run

INADYN = """# from inadyn.conf(5)
period         = 300

provider dyndns.org {
    username   = account1
    password   = secret-number-1
    hostname   = { "my.example.com", "other.example.org" }
}
provider no-ip.com:1 {
    checkip-server = "dynamic.zoneedit.com"
    username       = account21
    password       = secret-number-21
    hostname       = example.no-ip.com
}
provider no-ip.com:2 {
    username   = account22
    password   = "secret \\" number # 22"
    hostname   = another.no-ip.com
}
provider freedns {
    username   = lower-case-username
    password   = case-sensitive-pwd
    hostname   = some.example.com
}
provider cloudflare.com {
    username = zone.name
    password = api_token # Create a unique custom api token.
    hostname = hostname.zone.name
    ttl = 300
    proxied = false # optional.
}
custom namecheap {
    username    = YOURDOMAIN.TLD
    password    = mypass-of-namecheap
    ddns-server = dynamicdns.park-your-domain.com
    ddns-path   = "/update?domain=%u&password=%p&host=%h"
    hostname    = { "@", "www", "test" }
}
custom example {
    username    = myuser
    password    = mypass-of-example
    ddns-server = update.example.com
    ddns-path   = "/update?hostname=%h&myip=%i&key=%p"
    hostname    = myhostname.example.net
}
"""
DDCLIENT = """daemon=300    # check every 300 seconds
ssl=yes
usev4=webv4, webv4=ipify-ipv4
protocol=noip,            \\
server=dynupdate.no-ip.com, \\
login=your-noip-login,    \\
password='your#noip password', \\
your-host.domain.com, your-2nd-host.domain.com
protocol=cloudflare, zone=domain.tld, ttl=300, login=token, password=APIKey domain.tld,my.domain.tld
protocol=dyndns2, server=ipv4.nsupdate.info, login=domain.nsupdate.info, password=123-456 domain.nsupdate.info
protocol=godaddy, password=k, zone=example.com x.example.com
"""
SECRETS = ["secret-number-1", "secret-number-21", 'secret " number # 22', "api_token", "mypass-of-namecheap", "mypass-of-example",
           "your#noip password", "APIKey", "123-456"]


@pytest.mark.parametrize("name, text, sites", [
    ("inadyn.conf", INADYN, "my.example.com other.example.org example.no-ip.com another.no-ip.com hostname.zone.name yourdomain.tld "
                            "www.yourdomain.tld test.yourdomain.tld myhostname.example.net"),
    ("ddclient.conf", DDCLIENT, "your-host.domain.com your-2nd-host.domain.com domain.tld my.domain.tld domain.nsupdate.info"),
], ids=["inadyn", "ddclient"])
def test_an_agent_takes_it(folder: Path, daemons: Callable[..., Daemon], name: str, text: str, sites: str) -> None:
    file, out = folder / name, folder / "out"
    file.write_text(text)
    shown = run("tunnelctl", "dns", "import", file)
    assert shown.code == 0 and "[provider " in shown.out and "--out" in shown.err
    out.mkdir()
    done = run("tunnelctl", "dns", "import", file, "--out", out)
    assert done.code == 0, done.err
    assert done.err.count("not carried over") >= 3 and all(f"{file}:" in line for line in done.err.splitlines())
    for told in (shown.out, shown.err, done.out, done.err):
        assert not [s for s in SECRETS if s in told]
    files = {p.name: p for p in out.iterdir()}
    assert all(stat.S_IMODE(p.stat().st_mode) == 0o600 for p in files.values()) and "dns-import.ini" in files
    assert {s for s in SECRETS if s in text.replace("\\", "")} == {p.read_text() for n, p in files.items() if n != "dns-import.ini"}
    agent = DnsAgent(daemons, "dyndns2", {"server": "localhost", "user": "x", "password_file": "env:X"})
    agent.extra = files["dns-import.ini"].read_text()
    agent.write()
    checked = run("tunnel-agent", "--check", "-c", agent.daemon.conf, env={"X": "x"})
    assert checked.code == 0, checked.out + checked.err
    assert sites.split() == [line.split()[1].rstrip("]") for line in agent.extra.splitlines() if line.startswith("[domain ")]
    again = run("tunnelctl", "dns", "import", file, "--out", out)
    assert again.code == 1 and "is there already" in again.err


def test_what_is_wrong_is_told(folder: Path) -> None:
    file = folder / "x.conf"
    file.write_text("period = 300\nprovider noip.com {\n  username\n}\n")
    done = run("tunnelctl", "dns", "import", file)
    assert done.code == 1 and f"{file}:4: a = is expected here" in done.err and not done.out
    file.write_text("# nothing\n")
    assert "names no host" in run("tunnelctl", "dns", "import", file).err
    assert "cannot" in run("tunnelctl", "dns", "import", folder / "missing").err
    assert run("tunnelctl", "dns", "import").code == 2
    assert run("tunnelctl", "dns", "import", file, "more").code == 2
    assert run("tunnelctl", "dns", "sync", "--out", folder).code == 2
    file.write_text("protocol=noip, login=u, password=p a.test\n")
    assert run("tunnelctl", "dns", "import", file, "--out", folder / "no").code == 1
