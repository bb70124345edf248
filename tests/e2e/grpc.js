// A service of gRPC, and its clients, by grpc-js: messages are plain bytes, so nothing has to be generated.
//
//   node grpc.js serve [KEY CERTIFICATE]         prints {"port": N}; with a key it speaks TLS
//   node grpc.js ask PORT ROOT NAME QUESTION...  asks what its table below knows, and prints what came of it
"use strict";
const crypto = require("crypto"), fs = require("fs"), grpc = require("@grpc/grpc-js");

const bytes = { requestSerialize: (b) => b, requestDeserialize: (b) => b, responseSerialize: (b) => b, responseDeserialize: (b) => b };
const method = (name, requestStream, responseStream) => ({ path: `/test.Echo/${name}`, requestStream, responseStream, ...bytes });
const definition = {
    unary: method("Unary", false, false), down: method("Down", false, true), up: method("Up", true, false),
    both: method("Both", true, true), hang: method("Hang", false, true), seen: method("Seen", false, false),
    quit: method("Quit", false, true), deadline: method("Deadline", false, false),
};
const sha = (list) => list.reduce((hash, piece) => hash.update(piece), crypto.createHash("sha256")).digest("hex");
const sleep = (ms) => new Promise((done) => setTimeout(done, ms));

// ---- the service ----

function serve(key, certificate) {
    const server = new grpc.Server({ "grpc.max_receive_message_length": -1 });
    const seen = { cancelled: 0, connections: new Set() };
    const note = (call) => seen.connections.add(call.getPeer());
    const trailers = () => { const t = new grpc.Metadata(); t.set("x-trail", "yes"); t.set("x-bin-bin", Buffer.from([0, 255, 1])); return t; };
    server.addService(definition, {
        unary(call, answer) {
            note(call);
            const head = new grpc.Metadata(), [code] = call.metadata.get("x-fail");
            head.set("x-said", call.metadata.get("x-say").join(","));
            head.set("x-forwarded-proto-seen", call.metadata.get("x-forwarded-proto").join(","));
            call.sendMetadata(head);
            if (code) answer({ code: Number(code), details: "as you wished: 100 %, ä", metadata: trailers() });
            else answer(null, call.request, trailers());
        },
        async down(call) {
            note(call);
            const { n, size, wait } = JSON.parse(call.request);
            call.on("cancelled", () => seen.cancelled++);
            for (let i = 0; i < n && !call.cancelled; i++) {
                if (!call.write(Buffer.alloc(size, i % 256))) await new Promise((done) => { call.once("drain", done); call.once("cancelled", done); });
                if (wait) await sleep(wait);
            }
            call.end(trailers());
        },
        up(call, answer) {
            note(call);
            const got = [];
            call.on("data", (b) => got.push(b));
            call.on("end", () => answer(null, Buffer.from(JSON.stringify({ n: got.length, sha: sha(got) })), trailers()));
        },
        both(call) {
            note(call);
            call.on("cancelled", () => seen.cancelled++);
            call.on("data", (b) => call.write(b));
            call.on("end", () => call.end(trailers()));
        },
        hang(call) { note(call); call.on("cancelled", () => seen.cancelled++); },
        quit(call) { note(call); call.write(Buffer.from("half")); setTimeout(() => call.emit("error", { code: 10, details: "gave up" }), 50); },
        deadline(call, answer) { answer(null, Buffer.from(String(call.getDeadline() instanceof Date || Number.isFinite(call.getDeadline())))); },
        seen(call, answer) { answer(null, Buffer.from(JSON.stringify({ cancelled: seen.cancelled, connections: seen.connections.size }))); },
    });
    const how = key ? grpc.ServerCredentials.createSsl(null, [{ private_key: fs.readFileSync(key), cert_chain: fs.readFileSync(certificate) }])
                    : grpc.ServerCredentials.createInsecure();
    server.bindAsync("127.0.0.1:0", how, (error, port) => {
        if (error) throw error;
        console.log(JSON.stringify({ port }));
    });
    process.stdin.on("end", () => process.exit(0)).resume();
}

// ---- its clients ----

const Client = grpc.makeGenericClientConstructor(definition, "Echo");

function client(port, root, name, options = {}) {
    return new Client(`127.0.0.1:${port}`, grpc.credentials.createSsl(fs.readFileSync(root)), {
        "grpc.ssl_target_name_override": name, "grpc.default_authority": name, "grpc.enable_retries": 0,
        "grpc.use_local_subchannel_pool": 1, "grpc.max_receive_message_length": -1, ...options });
}

function ended(call) { // how it ended, with what came before
    const got = [], result = {};
    call.on("metadata", (m) => { result.head = m.getMap(); });
    call.on("data", (b) => got.push(b));
    return new Promise((done) => {
        call.on("error", () => {});
        call.on("status", (s) => done({ ...result, code: s.code, details: s.details, trailers: s.metadata.getMap(), got }));
    });
}

function unary(c, request, metadata = new grpc.Metadata(), options = {}) {
    return new Promise((done) => {
        const result = {};
        const call = c.unary(request, metadata, options, (error, reply) => { result.reply = reply; });
        call.on("metadata", (m) => { result.head = m.getMap(); });
        call.on("status", (s) => done({ ...result, code: s.code, details: s.details, trailers: s.metadata.getMap() }));
    });
}

const seen = (c) => new Promise((done, failed) => c.seen(Buffer.alloc(0), (e, b) => e ? failed(e) : done(JSON.parse(b))));

async function until(c, what) {
    for (let i = 0; i < 400; i++) {
        const now = await seen(c);
        if (what(now)) return now;
        await sleep(25);
    }
    throw new Error("it did not come");
}

const questions = {
    async unary(c) {
        const metadata = new grpc.Metadata();
        metadata.set("x-say", "hello");
        const r = await unary(c, Buffer.alloc(100000, 7), metadata);
        return r.code ? r : { ...r, reply: null, right: r.reply.equals(Buffer.alloc(100000, 7)), bin: [...r.trailers["x-bin-bin"]] };
    },
    async fail(c) {
        const metadata = new grpc.Metadata();
        metadata.set("x-fail", "9");
        return unary(c, Buffer.from("a"), metadata);
    },
    async many(c) { return (await Promise.all([...Array(200).keys()].map((i) => unary(c, Buffer.from(String(i)))))).filter((r, i) => r.code === 0 && String(r.reply) === String(i)).length; },
    async down(c) {
        const { got, ...r } = await ended(c.down(Buffer.from(JSON.stringify({ n: 1000, size: 20000 }))));
        return { ...r, n: got.length, right: got.every((b, i) => b.length === 20000 && b[0] === i % 256 && b[19999] === i % 256) };
    },
    async up(c) {
        const pieces = [...Array(500).keys()].map((i) => Buffer.alloc(20000, i % 251));
        return new Promise((done) => {
            const call = c.up((error, b) => done({ error, ...JSON.parse(b || "{}"), wanted: sha(pieces) }));
            for (const piece of pieces) call.write(piece);
            call.end();
        });
    },
    async both(c) { // each message waits for the one before: neither side may wait for the other's end
        const call = c.both(), end = ended(call);
        let n = 0;
        call.on("data", () => { if (++n < 200) call.write(Buffer.alloc(n)); else call.end(); });
        call.write(Buffer.alloc(0));
        const { got, ...r } = await end;
        return { ...r, right: got.length === 200 && got.every((b, i) => b.length === i) };
    },
    async cancel(c) {
        const before = (await seen(c)).cancelled, calls = [c.hang(Buffer.alloc(0)), c.both(), c.down(Buffer.from('{"n": 1000000, "size": 1000, "wait": 1}'))];
        const ends = calls.map(ended);
        calls[1].write(Buffer.from("a"));
        await new Promise((done) => calls[2].once("data", done));
        await sleep(200); // the first one says nothing by which it could be seen to have arrived
        for (const call of calls) call.cancel();
        const codes = (await Promise.all(ends)).map((r) => r.code);
        return { codes, cancelled: (await until(c, (now) => now.cancelled >= before + 3)).cancelled - before, after: (await unary(c, Buffer.from("a"))).code };
    },
    async deadline(c) {
        const end = ended(c.hang(Buffer.alloc(0), { deadline: Date.now() + 700 }));
        const told = await new Promise((done) => c.deadline(Buffer.alloc(0), { deadline: Date.now() + 60000 }, (e, b) => done(String(b))));
        return { code: (await end).code, told };
    },
    async quit(c) { const { got, ...r } = await ended(c.quit(Buffer.alloc(0))); return { ...r, got: String(Buffer.concat(got)) }; },
    async seen(c) { return seen(c); },
    async idle(c, seconds) {
        const call = c.both(), end = ended(call), hung = c.hang(Buffer.alloc(0)), hungEnd = ended(hung);
        let echoes = 0, broken = null;
        call.on("data", () => echoes++);
        hungEnd.then((r) => { broken = broken || r; });
        call.write(Buffer.from("first"));
        await Promise.race([sleep(seconds * 1000), hungEnd]);
        if (broken) return { broken };
        call.write(Buffer.from("second"));
        for (let i = 0; i < 200 && echoes < 2; i++) await sleep(25);
        call.end();
        const { got, ...r } = await end;
        hung.cancel();
        return { ...r, got: got.map(String), hung: (await hungEnd).code };
    },
    async slow(c) { // one that is not read, beside others
        const call = c.down(Buffer.from('{"n": 10000, "size": 10000}'));
        call.pause();
        call.on("error", () => {});
        await sleep(500);
        const others = (await Promise.all([...Array(50).keys()].map((i) => unary(c, Buffer.alloc(10000, i))))).filter((r) => r.code === 0).length;
        const r = ended(call);
        call.resume();
        const { got, ...rest } = await r;
        return { ...rest, others, n: got.length };
    },
};

async function ask(port, root, name, words) {
    const c = client(port, root, name), results = {};
    for (const word of words) {
        const [question, arg] = word.split("=");
        results[question] = await questions[question](c, Number(arg));
    }
    console.log(JSON.stringify(results));
    process.exit(0);
}

const [what, ...rest] = process.argv.slice(2);
if (what === "serve") serve(...rest);
else ask(rest[0], rest[1], rest[2], rest.slice(3));
