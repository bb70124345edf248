/* The page is whole without this; with it, what the daemon sends by /events takes the place of what stands there. */
'use strict';
(() => {
  const live = document.getElementById('live');
  const QUIET_MS = 15000, AGAIN_MS = 4000;
  let source = null, quiet = 0, again = 0;

  /* Only what differs is touched, so that what somebody has marked or focused stays so. */
  function renew(old, fresh) {
    if (old.nodeType !== Node.ELEMENT_NODE) {
      if (old.nodeValue !== fresh.nodeValue) old.nodeValue = fresh.nodeValue;
      return;
    }
    for (const a of [...old.attributes]) if (!fresh.hasAttribute(a.name)) old.removeAttribute(a.name);
    for (const a of fresh.attributes) if (old.getAttribute(a.name) !== a.value) old.setAttribute(a.name, a.value);
    renewContent(old, fresh);
  }

  function renewContent(old, fresh) {
    const wanted = [...fresh.childNodes];
    wanted.forEach((node, i) => {
      const there = old.childNodes[i];
      if (!there) old.append(node);
      else if (there.nodeName === node.nodeName) renew(there, node);
      else there.replaceWith(node);
    });
    while (old.childNodes.length > wanted.length) old.lastChild.remove();
  }

  function say(text, kind) {
    if (live.textContent !== text) live.textContent = text;
    live.className = kind;
  }

  function onEvent(event) {
    const news = JSON.parse(event.data);
    document.title = news.title;
    for (const [id, html] of Object.entries(news.parts)) {
      const made = document.createElement('template');
      made.innerHTML = html; /* the daemon has escaped it; and no other script could run here */
      renewContent(document.getElementById(id), made.content);
    }
    say('live', 'ok');
    watch();
  }

  function watch() {
    clearTimeout(quiet);
    quiet = setTimeout(lose, QUIET_MS);
  }

  function stop() {
    clearTimeout(quiet);
    clearTimeout(again);
    if (source) source.close();
    source = null;
  }

  function lose() {
    stop();
    say('not live: trying to reach the daemon again', 'bad');
    again = setTimeout(start, AGAIN_MS);
  }

  function start() {
    stop();
    source = new EventSource('events');
    source.onmessage = onEvent;
    source.onerror = lose;
    watch();
  }

  /* A page that nobody looks at asks for nothing. */
  function onLook() {
    if (document.hidden) stop();
    else start();
  }

  document.addEventListener('visibilitychange', onLook);
  addEventListener('pageshow', onLook);
})();
