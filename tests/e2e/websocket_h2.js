// A WebSocket by Node's own client of HTTP/2; what it saw is one JSON object on standard output.
//
//     PORT=8443 NODE_EXTRA_CA_CERTS=root.pem node websocket_h2.js
"use strict";

const http2 = require("node:http2");
const tls = require("node:tls");

const port = Number(process.env.PORT);
const seen = {};

function frame(opcode, data) {
    return Buffer.concat([Buffer.from([0x80 | opcode, 0x80 | data.length, 0, 0, 0, 0]), data]);
}

const session = http2.connect(`https://ws.test:${port}`, {
    createConnection: () => tls.connect({ host: "127.0.0.1", port, servername: "ws.test", ALPNProtocols: ["h2"] }),
});

session.on("remoteSettings", (settings) => {
    if (seen.setting)
        return;
    seen.setting = settings.enableConnectProtocol;
    const stream = session.request({
        ":method": "CONNECT", ":protocol": "websocket", ":path": "/ws", ":authority": `ws.test:${port}`,
        "sec-websocket-version": "13", "sec-websocket-protocol": "second",
    }, { endStream: false });
    let got = Buffer.alloc(0);
    stream.on("response", (fields) => {
        seen.status = fields[":status"];
        seen.protocol = fields["sec-websocket-protocol"];
        seen.accept = fields["sec-websocket-accept"] ?? null;
        stream.write(frame(1, Buffer.from("hello from node")));
    });
    stream.on("data", (data) => {
        got = Buffer.concat([got, data]);
        if (got.length < 2 || got.length < 2 + got[1])
            return;
        if (got[0] === 0x81) {
            seen.echo = got.subarray(2, 2 + got[1]).toString();
            stream.write(frame(8, Buffer.from([1000 >> 8, 1000 & 255])));
        } else {
            seen.code = got.readUInt16BE(2);
            stream.end();
        }
        got = got.subarray(2 + got[1]);
    });
    stream.on("end", () => seen.ended = true);
    stream.on("close", () => session.close());
    stream.on("error", (e) => { throw e; });
});

session.on("close", () => console.log(JSON.stringify(seen)));
