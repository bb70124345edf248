// What Node's own clients, fetch and http, and the ws package see of a site: the questions come as arguments, the
// answer is one JSON object on standard output.
//
//     PORT=8443 NODE_EXTRA_CA_CERTS=root.pem node clients.js fetch
"use strict";

const crypto = require("node:crypto");
const dns = require("node:dns");
const https = require("node:https");

const port = process.env.PORT;
const site = `https://a.test:${port}`;
const sha256 = (data) => crypto.createHash("sha256").update(data).digest("hex");

// Every name is this machine.
dns.lookup = (name, options, done) => {
    const all = typeof options === "object" && options.all;
    (done ?? options)(null, all ? [{ address: "127.0.0.1", family: 4 }] : "127.0.0.1", 4);
};

async function measured(reply) {
    const body = Buffer.from(await reply.arrayBuffer());
    return [reply.status, body.length, sha256(body)];
}

function* pieces(count) {
    for (let n = 0; n < count; n++)
        yield Buffer.alloc(10000, n);
}

const questions = {
    async fetch() {
        const seen = {};
        seen.down = await measured(await fetch(`${site}/bytes/3000000/1`));
        seen.chunked = await measured(await fetch(`${site}/chunked/3000000/2`));
        seen.close = await measured(await fetch(`${site}/until-close/3000000/3`));
        seen.echo = await (await fetch(`${site}/echo`, { headers: { "X-Mine": "yes", Cookie: "a=1; b=2" } })).text();
        seen.head = await measured(await fetch(`${site}/bytes/12345/1`, { method: "HEAD" }));
        const body = crypto.randomBytes(2000000);
        seen.sent = sha256(body);
        seen.up = await (await fetch(`${site}/echo`, { method: "PUT", body })).text();
        const stream = ReadableStream.from ? ReadableStream.from(pieces(300)) : new Blob([...pieces(300)]).stream();
        seen.streamed = sha256(Buffer.concat([...pieces(300)]));
        seen.stream = await (await fetch(`${site}/echo`, { method: "POST", body: stream, duplex: "half" })).text();
        const form = new FormData();
        form.set("name", "Ünï");
        form.set("file", new Blob([body]), "file.bin");
        seen.form = await (await fetch(`${site}/echo`, { method: "POST", body: form })).text();
        seen.many = await Promise.all(Array.from({ length: 60 }, async (_, n) =>
            measured(await fetch(`${site}/bytes/${n * 1777}/${n}`))));
        seen.broken = await fetch(`${site}/broken/1000`).then((r) => r.arrayBuffer()).then(() => "whole", (e) => e.name);
        const stop = new AbortController();
        const reply = await fetch(`${site}/bytes/4000000000/1`, { signal: stop.signal });
        await reply.body.getReader().read();
        stop.abort();
        seen.after = (await fetch(`${site}/echo`)).status;
        return seen;
    },

    async nginx() {
        const reply = await fetch(`https://nginx.test:${port}/text`);
        const text = await reply.text();
        const tag = reply.headers.get("etag");
        const again = await fetch(`https://nginx.test:${port}/text`, { headers: { "If-None-Match": tag } });
        const part = await fetch(`https://nginx.test:${port}/file`, { headers: { Range: "bytes=1000-1999" } });
        return {
            coding: reply.headers.get("content-encoding"), vary: reply.headers.get("vary"), text: sha256(text),
            again: [again.status, (await again.text()).length], tag: tag === `W/${again.headers.get("etag")}`,
            range: part.headers.get("content-range"), part: await measured(part),
            moved: (await fetch(`https://nginx.test:${port}/old`)).url,
        };
    },

    // 100 questions over one connection of the http module's own pool, one after the other.
    async agent() {
        const agent = new https.Agent({ keepAlive: true, maxSockets: 1 });
        const ask = (n) => new Promise((done, failed) => {
            const body = Buffer.alloc(n * 100, n);
            const asked = https.request(`${site}/echo`, { agent, method: "POST" }, (reply) => {
                const got = [];
                reply.on("data", (piece) => got.push(piece));
                reply.on("end", () => done(Buffer.concat(got).toString().endsWith(`\n${n * 100} ${sha256(body)}\n`)));
            });
            asked.on("error", failed);
            asked.on("socket", (socket) => sockets.add(socket));
            asked.end(body);
        });
        const sockets = new Set();
        let right = 0;
        for (let n = 0; n < 100; n++)
            right += await ask(n);
        agent.destroy();
        return { right, sockets: sockets.size };
    },

    // All over one session of the http2 module.
    async http2() {
        const http2 = require("node:http2");
        const session = http2.connect(site, { host: "127.0.0.1", servername: "a.test" });
        const seen = { sessions: 1 };
        session.on("goaway", () => seen.sessions++);
        const ask = (fields, body) => new Promise((done, failed) => {
            const asked = session.request(fields, { endStream: body === undefined });
            const got = [], answer = { interim: [] };
            asked.on("continue", () => answer.interim.push(100));
            asked.on("response", (head) => { answer.status = head[":status"]; });
            asked.on("trailers", (trailers) => { answer.trailers = { ...trailers }; });
            asked.on("data", (piece) => got.push(piece));
            asked.on("end", () => { answer.body = Buffer.concat(got); });
            asked.on("error", failed);
            asked.on("close", () => answer.body ? done(answer) : failed(new Error("no end")));
            if (body !== undefined)
                asked.end(body);
        });
        const get = (path) => ask({ ":path": path });
        await get("/echo");
        seen.protocol = session.alpnProtocol;
        seen.settings = [session.remoteSettings.maxConcurrentStreams, session.remoteSettings.initialWindowSize];
        seen.many = (await Promise.all(Array.from({ length: 100 }, (_, n) => get(`/bytes/${n * 997}/${n}`))))
            .map(({ status, body }) => [status, body.length, sha256(body)]);
        const body = crypto.randomBytes(3000000);
        seen.sent = sha256(body);
        seen.up = (await ask({ ":method": "PUT", ":path": "/echo" }, body)).body.toString().trim().split("\n").at(-1);
        seen.trailers = (await get("/chunked/100/1")).trailers;
        seen.broken = await get("/broken/1000").then(() => "whole", (e) => e.message.split(" ").at(-1));
        const early = await ask({ ":method": "PUT", ":path": "/early" }, body.subarray(0, 100000));
        seen.early = [early.status, early.body.toString()];
        const continued = await ask({ ":method": "PUT", ":path": "/echo", expect: "100-continue" }, "body");
        seen.continued = [...continued.interim, continued.status];
        for (let n = 0; n < 50; n++) {
            const asked = session.request({ ":path": "/bytes/4000000000/1" });
            asked.on("error", () => {});
            asked.once("data", () => asked.close(http2.constants.NGHTTP2_CANCEL));
            if (n % 2)
                asked.close(http2.constants.NGHTTP2_CANCEL);
        }
        seen.after = (await get("/echo")).status;
        seen.pinged = await new Promise((done) => session.ping((e) => done(!e)));
        session.close();
        return seen;
    },

    // Until standard input ends: 20 at once, over as many sessions as it takes, of which none is used once it is to end.
    async http2again() {
        const http2 = require("node:http2");
        let session = null, over = false;
        const seen = { answers: 0, sessions: 0 };
        process.stdin.on("end", () => { over = true; }).resume();
        const connected = () => {
            if (session === null) {
                const mine = http2.connect(site, { host: "127.0.0.1", servername: "a.test" });
                const leave = () => { session = session === mine ? null : session; };
                mine.on("goaway", leave).on("close", leave).on("error", () => {});
                session = mine;
                seen.sessions++;
            }
            return session;
        };
        const ask = (n) => new Promise((done, failed) => {
            const asked = connected().request({ ":path": `/bytes/${n * 97}/1` });
            let bytes = 0, status;
            asked.on("response", (head) => { status = head[":status"]; });
            asked.on("data", (piece) => { bytes += piece.length; });
            asked.on("end", () => status === 200 && bytes === n * 97 ? done() : failed(new Error(`${status}, ${bytes} bytes`)));
            // What it had not yet sent when it heard of the end it calls refused.
            asked.on("error", (e) => e.message.endsWith("NGHTTP2_REFUSED_STREAM") && !status ? done(ask(n)) : failed(e));
        });
        await Promise.all(Array.from({ length: 20 }, async (_, n) => {
            for (; !over; seen.answers++)
                await ask(n);
        }));
        session?.close();
        return seen;
    },

    async ws() {
        const WebSocket = require("ws");
        const seen = {};
        const opened = (protocols) => new Promise((done, failed) => {
            const socket = new WebSocket(`wss://ws.test:${port}/ws`, protocols);
            socket.on("error", failed);
            socket.ended = new Promise((over) => socket.on("close", (code, why) => over([code, why.toString()])));
            socket.on("open", () => done(socket));
        });
        const echo = (socket, message) => new Promise((done) => {
            socket.once("message", (data, binary) => done(binary ? data : data.toString()));
            socket.send(message);
        });
        let socket = await opened(["second"]);
        seen.protocol = socket.protocol;
        seen.extensions = socket.extensions;
        seen.texts = [];
        for (const text of ["hello", "", "üñí 🐈 ".repeat(10000)])
            seen.texts.push(await echo(socket, text) === text);
        const bytes = crypto.randomBytes(4 << 20);
        seen.binary = bytes.equals(await echo(socket, bytes));
        const pong = new Promise((done) => socket.once("pong", (data) => done(data.toString())));
        socket.ping("are you there");
        seen.pong = await pong;
        socket.send("close, please");
        seen.theirs = await socket.ended;
        socket = await opened(["first"]);
        socket.close(4002, "good bye");
        seen.ours = await socket.ended;
        socket = await opened(["first"]);
        socket.terminate();
        seen.broken = (await socket.ended)[0];
        seen.refused = await new Promise((done) => new WebSocket(`${site.replace("https", "wss")}/bytes/5`)
            .on("error", () => {}).on("unexpected-response", (_, reply) => done(reply.statusCode)));
        return seen;
    },
};

questions[process.argv[2]]().then((seen) => {
    console.log(JSON.stringify(seen));
    process.exit(0);
}, (e) => {
    console.error(e);
    process.exit(1);
});
