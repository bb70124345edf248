"""Ways to the origins that laneload puts load on, and what they cost: CPU time from the kernel."""

import json
import statistics
import subprocess

import chain
from chain import Failed


class Arm:
    """One way to the origins: how laneload is told of it, for pages and for bulk, and the processes on it."""

    def __init__(self, name, get, bulk, parts):
        self.name, self.targets, self.parts = name, {"get": get, "down": bulk, "up": bulk}, parts
        self.runs = {}

    def load(self, there, way, connections, seconds):
        """What laneload saw, and the CPU time that it cost each part."""
        page = [there.folder / "site" / "page"] if way == "get" else []
        before = {part: chain.cpu_seconds(pids) for part, pids in self.parts.items()}
        command = [there.build / "laneload", way, connections, seconds, *page, *self.targets[way]]
        done = subprocess.run([str(word) for word in command], capture_output=True, text=True, timeout=60)
        if done.returncode != 0:
            raise Failed(f"{chain.BENCH}: {self.name}, {way}: {done.stderr.strip()}")
        seen = json.loads(done.stdout)
        seen["cpu"] = {part: chain.cpu_seconds(pids) - before[part] for part, pids in self.parts.items()}
        seen["rate"] = seen.get("requests", seen.get("bytes", 0) / 1e6) / seen["seconds"]
        return seen

    def add(self, what, seen):
        self.runs.setdefault(what, []).append(seen)

    def median(self, what, key):
        return statistics.median(key(run) for run in self.runs[what])


def start_bulk(there):
    """A bulksite beside the origin; returns its port."""
    port = chain.free_port()
    there.start("bulksite", [there.build / "bulksite", f"{chain.ADDRESS}:{port}"], lambda: chain.answers(port))
    return port
