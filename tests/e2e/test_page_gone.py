"""An error page that goes away in the middle of a reload: that is refused, or all is as it was, wherever it happens."""

from __future__ import annotations

import subprocess

import pytest

from path import WholePath, fronts
from programs import need, wait_until
from test_policy import served, site

# Lets a program open one file so many times; later it is not there. How many times is the size of another file.
FEW = r"""
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static int is_over(const char *path)
{
    const char *page = getenv("PAGE"), *left = getenv("LEFT");
    struct stat st;

    if (!page || strcmp(path, page) != 0 || stat(left, &st) != 0)
        return 0;
    return st.st_size == 0 || truncate(left, st.st_size - 1) != 0;
}

#define OPENS(name) \
    int name(const char *path, int flags, ...) \
    { \
        int (*next)(const char *, int, ...) = dlsym(RTLD_NEXT, #name); int mode = 0; \
        va_list more; \
        va_start(more, flags); \
        if (flags & (O_CREAT | __O_TMPFILE)) \
            mode = va_arg(more, int); \
        va_end(more); \
        if (!is_over(path)) \
            return next(path, flags, mode); \
        errno = ENOENT; \
        return -1; \
    }

OPENS(open)
OPENS(open64)
"""
PAGE = "<p>the house is away</p>"


class Vanishing:
    """A page, and the environment of a program for which it can vanish."""

    def __init__(self, folder):
        self.page, self.left = folder / "page.html", folder / "left"
        self.page.write_text(PAGE)
        (folder / "few.c").write_text(FEW)
        subprocess.run([need("cc"), "-shared", "-fPIC", "-o", folder / "few.so", folder / "few.c", "-ldl"], check=True)
        self.env = {"LD_PRELOAD": str(folder / "few.so"), "PAGE": str(self.page), "LEFT": str(self.left),
                    "ASAN_OPTIONS": "verify_asan_link_order=0"}  # a sanitizer wants to be loaded first

    def times(self, n):
        self.left.write_bytes(b"x" * n)


@pytest.fixture
def vanishing(folder):
    return Vanishing(folder)


def reloads(daemon, vanishing):
    """One reload for each time at which the page may vanish, and what became of it."""
    for n in range(20):
        vanishing.times(n)
        reply = daemon.post("/v1/reload")
        yield reply.status == 200
        if reply.status == 200 and vanishing.left.stat().st_size > 0:
            return  # it was not even opened that often
    raise AssertionError("the page was opened 20 times")


def test_at_the_relay(served, vanishing):
    front = served(error_page=vanishing.page, max_body="10k", start=False)
    front.relay.start(env=vanishing.env, **front.spawning())
    text = front.relay.conf.read_text()
    front.relay.conf.write_text(text.replace("max_body = 10k", "max_body = 20k"))
    for done in reloads(front.relay, vanishing):
        wanted = 20480 if done else 10240
        wait_until(lambda: front.visit("POST", "/echo", body=bytes(wanted)).status == 200, "workers follow")
        reply = front.visit("POST", "/echo", body=bytes(wanted + 1))
        assert reply.status == 413 and reply.body.data == PAGE.encode()
    assert done


def test_at_the_agent(daemons, started, folder, vanishing):
    class Path(WholePath):
        def start_agent(self):
            self.agent.start(env=vanishing.env)

        def _agent_ini(self, *args):
            return super()._agent_ini(*args) + f"error_page = {vanishing.page}\nmax_body = 10k\nroute /api = {self.site.url}\n"

    path = Path(daemons, started, folder)
    try:
        for _ in reloads(path.agent, vanishing):
            assert path.visit("POST", "/echo", body=bytes(10240)).status == 200
            reply = path.visit("POST", "/echo", body=bytes(10241))
            assert reply.status == 413 and reply.body.data == PAGE.encode()
    finally:
        path.close()
