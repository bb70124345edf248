"""Every row of tests/conformance/http2.rows over TLS: to the relay, which must do as it says, and to HAProxy, which shows that
the rows ask for what the RFCs do."""

from __future__ import annotations

import socket
import threading

import pytest

from frames import PROBE, Table, play
from haproxy import Haproxy
from http1 import Cut, Peer, each_connection
from path import DOMAIN, edge, edges, fronts
from programs import limit
from visitor import context
from x509 import make_pair

TABLE = Table()
CASES = 147  # of the public suite: 44 for what every server does, 95 on frames and requests, 8 on HPACK


class Service:
    """Answers what is whole, and counts."""

    def __init__(self):
        self.heads, self.go_on = [], threading.Event()

    def serve(self, peer):
        try:
            while head := peer.head():
                if not head.get(PROBE):
                    self.heads.append(head)
                if head.get("x-hold"):
                    self.go_on.wait()
                peer.body(head)
                peer.send(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n" + (b"" if head.method == "HEAD" else b"hello"))
        except (Cut, OSError):
            pass  # the visitor was one who breaks things


def wrongs(port, root, service, rows, seconds, lenient=False):
    """What is wrong with each row of those that something is wrong with. Each has an address of its own: what one leaves
    behind may reach the site later."""
    found, tls = {}, context(root, ("h2",))
    for number, row in enumerate(rows, 1):
        source = f"127.0.{1 + number // 250}.{1 + number % 250}"
        service.go_on.clear()
        plain = socket.create_connection(("127.0.0.1", port), seconds, (source, 0))
        wrong = play(TABLE, row, tls.wrap_socket(plain, server_hostname=DOMAIN), lenient)
        service.go_on.set()
        wanted = row.seen or ("0" if row.ends or row.wants("stream") else "any")
        seen = [head for head in service.heads if head.get("x-forwarded-for") == source]
        if not wrong and not lenient and wanted != "any" and len(seen) != int(wanted):
            wrong = f"{row.name}: {len(seen)} reach the site: {seen}"
        if wrong:
            found[row.name] = wrong
    return found


def chapter(row):
    return row.rfc[0].split("/")[0] if "/" in row.rfc[0] else row.rfc[0].split(".")[0]


def test_the_table():
    names = [row.name for row in TABLE.rows]
    cases = [case for row in TABLE.rows for case in row.suite]
    assert len(set(names)) == len(names) and len(set(cases)) == len(cases) == CASES
    assert all(row.rfc and any(verb == "want" for verb, _ in row.steps) for row in TABLE.rows)
    assert sum(row.ends or row.wants("stream") for row in TABLE.rows) >= 120


@pytest.mark.parametrize("number", sorted({chapter(row) for row in TABLE.rows}))
def test_the_relay(edge, number):
    service = Service()
    edge.agent.carry = service.serve
    found = wrongs(edge.port, edge.root, service, [row for row in TABLE.rows if chapter(row) == number], limit(5))
    assert not found, "\n".join(found.values())


# RFC 7540 made the first an error of the connection, RFC 9113 leaves the choice; the second it calls INTERNAL_ERROR.
NOT_BY_HAPROXY = {"DATA on a closed stream", "a pseudo-header field in trailers"}


def test_haproxy(started, folder):
    """It is known to pass the suite: what it does not pass here would be a row that asks for too much."""
    service, site = Service(), socket.create_server(("127.0.0.1", 0))
    each_connection(site, lambda sock: service.serve(Peer(sock)))
    pair = make_pair(folder, "front", [DOMAIN])
    pem = pair.joined(folder / "front.both")
    proxy = Haproxy(folder / "haproxy", "mode http", f"server site 127.0.0.1:{site.getsockname()[1]}")
    conf = proxy.folder / "haproxy.cfg"
    conf.write_text(conf.read_text().replace(f"bind fd@{proxy.socket.fileno()}", f"bind fd@{proxy.socket.fileno()} ssl crt {pem} alpn h2"))
    started.append(proxy.start())
    found = wrongs(proxy.port, pair.cert, service, [row for row in TABLE.rows if row.suite], limit(1), lenient=True)
    site.close()
    assert set(found) <= NOT_BY_HAPROXY, "\n".join(found.values())
