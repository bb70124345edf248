"""[domain NAME] route /PATH = SERVICE: paths of a site that have a service of their own, through the whole path."""

from __future__ import annotations

import pytest

from http1 import content_sha256
from programs import wait_until
from secure import SecurePath, server_context
from sshd import free_port
from website import Site


class Routed(SecurePath):
    """Its own service speaks HTTP, or what the keys say."""

    def _make_site(self):
        return Site()


@pytest.fixture
def site(started):
    """A second one."""
    started.append(Site())
    return started[-1]


@pytest.fixture
def routed(daemons, started, folder, site):
    """routed({…}) is the whole path; keys of the site's section are added to its service."""
    made = []

    def make(**routes):
        path = Routed(daemons, started, folder)
        made.append(path)
        path.set_domain(**{"service": path.site.url, **{f"route {at}": url for at, url in routes.items()}})
        wait_until(lambda: path.site_status()["claim"] == "accepted", "the claim is accepted")
        return path

    yield make
    for path in made:
        path.close()


def target_of(seen):
    return [s.head.target for s in seen]


def test_the_longest_path_counts(routed, site, started):
    third = Site()
    started.append(third)
    path = routed(**{"/api": site.url, "/api/v2/": third.url})
    wait_until(lambda: path.visit("GET", "/api").status == 200 and site.seen, "the relay knows of the route")
    site.seen.clear(), path.site.seen.clear()
    with path.visitor() as visitor:
        for target in ("/", "/api", "/apis", "/api/x?y=/api/v2/", "/api/v2/z", "/api/v2", "/x/api"):
            assert visitor.ask("GET", target).status == 200
    assert target_of(path.site.seen) == ["/", "/apis", "/x/api"]
    assert target_of(site.seen) == ["/api", "/api/x?y=/api/v2/", "/api/v2"]
    assert target_of(third.seen) == ["/api/v2/z"]


def test_bodies_of_two_services_on_one_connection(routed, site):
    path = routed(**{"/api": site.url})
    wait_until(lambda: path.visit("GET", "/api").status == 200 and site.seen, "the relay knows of the route")
    with path.visitor() as visitor:
        for n in range(4):
            assert visitor.ask("POST", "/api/echo" if n % 2 else "/echo", body=b"%d" % n * 100_000).status == 200
            assert visitor.ask("GET", f"/bytes/1000000/{n}").body.sha256 == content_sha256(1_000_000, n)
    assert site.seen[-1].body.data[:1] == b"3" and path.site.seen[-3].body.data[:1] == b"2"


def test_each_service_has_a_state_of_its_own(routed, site, ctl):
    port = free_port()
    path = routed(**{"/api": site.url, "/gone": f"http://127.0.0.1:{port}"})
    wait_until(lambda: path.visit("GET", "/gone").status == 502, "the route's service is asked")
    assert path.visit("GET", "/api").status == path.visit("GET", "/").status == 200
    status = path.site_status()
    assert (status["service"], status["service_state"]) == (path.site.url, "ok")
    assert [(r["path"], r["service_state"]) for r in status["routes"]] == [("/api", "ok"), ("/gone", "refused")]
    assert status["routes"][1]["service_detail"]
    shown = ctl("status", at=path.agent)
    assert shown.code == 1 and status["routes"][1]["service_detail"] in shown.out
    assert any(line.split()[:4] == ["a.test/gone", "tunnel", f"http://127.0.0.1:{port}", "refused"]
               for line in shown.out.splitlines())
    assert ctl("status", "--json", at=path.agent).code == 1
    assert path.site_state() == "up"  # the others go on


def test_a_reload_moves_them(routed, site, started):
    path = routed(**{"/api": site.url})
    wait_until(lambda: path.visit("GET", "/api").status == 200 and site.seen, "the relay knows of the route")
    before = path.agent.log().count("claim accepted")
    path.set_domain(**{"service": path.site.url, "route /other": site.url})
    wait_until(lambda: path.visit("GET", "/other").status == 200 and "/other" in target_of(site.seen), "the new route")
    assert path.visit("GET", "/api").status == 200 and target_of(path.site.seen)[-1] == "/api"
    path.set_domain(service=path.site.url)
    wait_until(lambda: path.visit("GET", "/other").status == 200 and "/other" in target_of(path.site.seen), "no route")
    assert path.agent.log().count("claim accepted") == before  # it is the same site


def test_a_route_to_a_service_that_speaks_tls(routed, started):
    path = routed()
    secure = Site(tls=server_context(path.house.pair("route")))
    secure.ends = True  # a connection that is kept stays what it was
    started.append(secure)
    path.set_domain(**{"service": path.site.url, "route /nas": secure.url})
    wait_until(lambda: path.visit("GET", "/nas/echo").status == 200 and secure.seen, "the route's service is asked")
    assert path.visit("GET", "/echo").status == 200 and target_of(path.site.seen)[-1] == "/echo"
    secure.tls.load_cert_chain(*path.house.self_signed("bad"))
    path.set_domain(**{"service": path.site.url, "route /nas": secure.url, "route /x": path.site.url})
    wait_until(lambda: path.visit("GET", "/x").status == 200 and path.visit("GET", "/nas").status == 502, "it is refused")
    assert "verify = off" in path.site_status()["routes"][0]["service_detail"]


def test_a_stream_that_is_kept_does_not_stay_with_a_service_that_was_changed(routed, site, started):
    """A visitor who asks all the time keeps it in use."""
    third = Site()
    started.append(third)
    path = routed(**{"/api": site.url})
    wait_until(lambda: path.visit("GET", "/api").status == 200 and site.seen, "the relay knows of the route")
    with path.visitor() as visitor:
        assert visitor.ask("GET", "/").status == visitor.ask("GET", "/api").status == 200
        path.set_domain(**{"service": third.url, "route /api": third.url})
        wait_until(lambda: visitor.ask("GET", "/1").status == 200 and "/1" in target_of(third.seen), "its new service")
        wait_until(lambda: visitor.ask("GET", "/api/2").status == 200 and "/api/2" in target_of(third.seen), "and the route's")
