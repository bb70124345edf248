"""Clocks that a test sets, for one program, while that runs: a library in front of the C library's own.

    clock = Clock(folder, at=1000.0)       # 1970
    agent.start(env=clock.environment); clock.jump(+86400 * 365)
    clock.wait(300)                        # for the program it is as if that time had gone by

A jump changes the time of day alone; what measures how long something takes goes on. What the program already waits for
in the kernel does not end before its time.
"""

from __future__ import annotations

import mmap
import struct
import subprocess
import time
from pathlib import Path

from programs import need

SOURCE = r"""
#define _GNU_SOURCE
#include <fcntl.h>
#include <pthread.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

static volatile int64_t *offset_s;

__attribute__((constructor)) static void begin(void)
{
    const char *path = getenv("E2E_CLOCK");
    int fd = path ? open(path, O_RDONLY | O_CLOEXEC) : -1;
    void *mem = fd < 0 ? MAP_FAILED : mmap(NULL, 16, PROT_READ, MAP_SHARED, fd, 0);

    offset_s = mem == MAP_FAILED ? NULL : mem;
    if (fd >= 0)
        close(fd);
}

int clock_gettime(clockid_t id, struct timespec *t)
{
    int rc = (int)syscall(SYS_clock_gettime, id, t);

    if (rc == 0 && offset_s && (id == CLOCK_REALTIME || id == CLOCK_REALTIME_COARSE))
        t->tv_sec += offset_s[0];
    if (rc == 0 && offset_s && (id == CLOCK_MONOTONIC || id == CLOCK_MONOTONIC_COARSE))
        t->tv_sec += offset_s[1];
    return rc;
}

int gettimeofday(struct timeval *restrict t, void *restrict zone)
{
    struct timespec now;

    (void)zone;
    clock_gettime(CLOCK_REALTIME, &now);
    t->tv_sec = now.tv_sec;
    t->tv_usec = now.tv_nsec / 1000;
    return 0;
}

time_t time(time_t *t)
{
    struct timespec now;

    clock_gettime(CLOCK_REALTIME, &now);
    if (t)
        *t = now.tv_sec;
    return now.tv_sec;
}

/* libuv's, which would tell the kernel until when by this clock, and wait for as long as that is ahead. */
int uv_cond_timedwait(pthread_cond_t *cond, pthread_mutex_t *mutex, uint64_t timeout_ns)
{
    struct timespec until;

    syscall(SYS_clock_gettime, CLOCK_MONOTONIC, &until);
    timeout_ns += (uint64_t)until.tv_nsec;
    until.tv_sec += (time_t)(timeout_ns / 1000000000);
    until.tv_nsec = (long)(timeout_ns % 1000000000);
    return -pthread_cond_timedwait(cond, mutex, &until);
}
"""


class Clock:
    def __init__(self, folder: Path, at: float | None = None) -> None:
        """at: seconds since 1970; None: the right time."""
        library, offset = folder / "clock.so", folder / "clock.offset"
        offset.write_bytes(bytes(16))
        with open(offset, "r+b") as f:
            self._offset = mmap.mmap(f.fileno(), 16)
        (folder / "clock.c").write_text(SOURCE)
        subprocess.run([need("cc"), "-shared", "-fPIC", "-O1", "-o", library, folder / "clock.c"], check=True)
        # A sanitizer's library insists on being the first one, and need not be.
        self.environment = {"LD_PRELOAD": str(library), "E2E_CLOCK": str(offset),
                            "ASAN_OPTIONS": "verify_asan_link_order=0"}
        if at is not None:
            self.jump(at - time.time())

    def jump(self, seconds: float) -> None:
        self._add(int(seconds), 0)

    def wait(self, seconds: float) -> None:
        self._add(int(seconds), int(seconds))

    def _add(self, day: int, steady: int) -> None:
        before = struct.unpack("qq", self._offset[:])
        self._offset[:] = struct.pack("qq", before[0] + day, before[1] + steady)
