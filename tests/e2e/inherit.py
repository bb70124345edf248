"""Becomes a program that a supervisor hands sockets to: they are its descriptors from 3 on, and meant for its pid.

    python3 inherit.py 12,15 PROGRAM ARGUMENT…     (those two are then 3 and 4)

A line of shell cannot do this: POSIX redirects only descriptors of one digit.
"""

import fcntl
import os
import sys

given, command = [int(fd) for fd in sys.argv[1].split(",")], sys.argv[2:]
beyond = 3 + len(given)
copies = [fcntl.fcntl(fd, fcntl.F_DUPFD_CLOEXEC, beyond) for fd in given]  # first out of each other's way
for fd in given:
    os.set_inheritable(fd, False)
for at, fd in enumerate(copies, 3):
    os.dup2(fd, at)
os.execve(command[0], command, {**os.environ, "LISTEN_FDS": str(len(given)), "LISTEN_PID": str(os.getpid())})
