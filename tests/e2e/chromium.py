"""A real Chromium without a window, with a home of its own, driven over two pipes by the DevTools protocol.

    browser = Chromium(folder, root=house.root, port=house.port)    # every name leads to this port
    page = browser.open("https://a.test/")                          # returns once it is loaded
    page.run("await (await fetch('/echo')).text()")                 # a value, once JavaScript has it
"""

from __future__ import annotations

import json
import os
import select
import shutil
import subprocess
import time
from pathlib import Path
from typing import Any, Callable

from programs import environment, need

PATIENCE_S = 300  # a machine that is busy with other tests, and a browser that is a gigabyte's sender
# Nothing of its own leaves this machine: no name but ours can be found, and it looks for no updates. Its sandbox, which
# not every machine allows, would only guard against our own pages.
ARGUMENTS = ["--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage",
             "--disable-background-networking", "--disable-component-update", "--disable-quic",
             "--no-first-run", "--remote-debugging-pipe"]


def chromium() -> str:
    """The small one, made to have no window, or the whole one."""
    return shutil.which("chromium-headless-shell") or need("chromium")


class Page:
    """One tab."""

    def __init__(self, browser: Chromium, session: str) -> None:
        self.browser, self.session = browser, session

    def call(self, method: str, **params: Any) -> Any:
        return self.browser.call(method, self.session, **params)

    def open(self, url: str) -> None:
        begin = len(self.browser.events)
        error = self.call("Page.navigate", url=url).get("errorText")
        assert not error, f"{url}: {error}"
        self.browser.wait_for(lambda e: e["method"] == "Page.loadEventFired", f"{url} is loaded", begin)

    def _evaluate(self, script: str) -> Any:
        return self.call("Runtime.evaluate", expression=script, awaitPromise=True, returnByValue=True, replMode=True)

    def run(self, script: str) -> Any:
        """Runs it, with `await` where it likes, and returns the value of its last expression. The browser breaks off
        all it does when some interface of the machine comes or goes, as other tests' do: then it is run once more."""
        begin = len(self.browser.events)
        done = self._evaluate(script)
        if "exceptionDetails" in done and any(e["method"] == "Network.loadingFailed" and e["params"]["errorText"] ==
                                              "net::ERR_NETWORK_CHANGED" for e in self.browser.events[begin:]):
            done = self._evaluate(script)
        assert "exceptionDetails" not in done, done["exceptionDetails"]
        return done["result"].get("value")


class Chromium:
    title = "Chromium"

    def __init__(self, folder: Path, root: Path | None, port: int) -> None:
        self.events: list[dict] = []  # what it has told unasked
        self._stderr, self._last_log, self._rest, self._asked = folder / "chromium.log", "", b"", 0
        program, home = chromium(), folder / "chromium"
        self._trust(home, root)
        own = [f"--user-data-dir={home}/profile", f"--host-resolver-rules=MAP *.test 127.0.0.1:{port}, MAP * ~NOTFOUND, EXCLUDE 127.0.0.1"]
        theirs_in, self._out = os.pipe()
        self._in, theirs_out = os.pipe()
        with open(self._stderr, "wb") as stderr:
            self.process = subprocess.Popen(  # it reads from descriptor 3 and writes to 4
                ["sh", "-c", f'exec "$0" "$@" 3</dev/fd/{theirs_in} 4>/dev/fd/{theirs_out}', program, *ARGUMENTS, *own],
                stdin=subprocess.DEVNULL, stdout=stderr, stderr=stderr, env=environment(HOME=str(home)),
                pass_fds=(theirs_in, theirs_out))
        os.close(theirs_in)
        os.close(theirs_out)

    @staticmethod
    def _trust(home: Path, root: Path | None) -> None:
        """The relay's own root, as a person would import it: no check of certificates is switched off."""
        store = home / ".pki" / "nssdb"
        store.mkdir(parents=True)
        if not root:
            return
        certutil = [need("certutil"), "-d", f"sql:{store}"]
        subprocess.run([*certutil, "-N", "--empty-password"], check=True, capture_output=True)
        subprocess.run([*certutil, "-A", "-n", "root", "-t", "C,,", "-i", root], check=True, capture_output=True)

    # ---- the protocol: JSON, a zero byte after each message ----

    def _message(self, late: float, what: str) -> dict:
        while b"\0" not in self._rest:
            ready, _, _ = select.select([self._in], [], [], max(0, late - time.monotonic()))
            assert ready, f"Chromium: not within {PATIENCE_S} s: {what}"
            piece = os.read(self._in, 1 << 20)
            assert piece, f"Chromium has ended before this: {what}"
            self._rest += piece
        message, _, self._rest = self._rest.partition(b"\0")
        return json.loads(message)

    def call(self, method: str, session: str | None = None, **params: Any) -> Any:
        self._asked += 1
        asked = {"id": self._asked, "method": method, "params": params, **({"sessionId": session} if session else {})}
        os.write(self._out, json.dumps(asked).encode() + b"\0")
        late = time.monotonic() + PATIENCE_S
        while (message := self._message(late, method)).get("id") != self._asked:
            self.events.append(message)
        assert "error" not in message, f"{method}: {message['error']}"
        return message["result"]

    def wait_for(self, is_it: Callable[[dict], bool], what: str, begin: int = 0) -> dict:
        """The first such event from the begin-th on."""
        late = time.monotonic() + PATIENCE_S
        while not (found := next(filter(is_it, self.events[begin:]), None)):
            self.events.append(self._message(late, what))
        return found

    def open(self, url: str) -> Page:
        target = self.call("Target.createTarget", url="about:blank")["targetId"]
        page = Page(self, self.call("Target.attachToTarget", targetId=target, flatten=True)["sessionId"])
        for part in ("Page", "Runtime", "Network"):
            page.call(f"{part}.enable")
        page.open(url)
        return page

    def log(self) -> str:
        told = [e for e in self.events if e["method"] in
                ("Runtime.consoleAPICalled", "Runtime.exceptionThrown", "Network.loadingFailed")]
        if self._stderr.exists():
            self._last_log = self._stderr.read_text(errors="replace")
        return "".join(f"{json.dumps(e)}\n" for e in told) + self._last_log

    def end(self) -> str | None:
        self.log()
        if self.process.poll() is None:
            self.call("Browser.close")
        try:
            self.process.wait(60)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
            return "Chromium did not end"
        finally:
            os.close(self._in)
            os.close(self._out)
        return None if self.process.returncode == 0 else f"Chromium ended with {self.process.returncode}"
