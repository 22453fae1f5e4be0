'use strict';
// A backend for httpPlatform in Node's standard library alone: the port comes
// from web.config, the pairing token from the host, SIGTERM ends it gracefully.
const http = require('node:http');
const { timingSafeEqual } = require('node:crypto');

const port = Number(process.env.PORT);
const token = Buffer.from(process.env.HTTP_PLATFORM_TOKEN ?? '');
if (!port || token.length === 0) {
  console.error('PORT or HTTP_PLATFORM_TOKEN is missing: start me through `gatelodge run`');
  process.exit(2);
}

function isPaired(req) {
  const given = Buffer.from(req.headers['ms-aspnetcore-token'] ?? '');
  return given.length === token.length && timingSafeEqual(given, token);
}

function text(res, status, body) {
  res.writeHead(status, { 'Content-Type': 'text/plain; charset=utf-8', 'Content-Length': Buffer.byteLength(body) });
  res.end(body);
}

const server = http.createServer((req, res) => {
  if (!isPaired(req)) {
    text(res, 400, 'this request did not come through the gate lodge\n');
    return;
  }
  const url = new URL(req.url, 'http://backend');
  if (url.pathname === '/upload') {
    let bytes = 0;
    req.on('data', (chunk) => { bytes += chunk.length; });
    req.on('end', () => text(res, 200, `${bytes} bytes\n`));
  } else if (url.pathname === '/events') {
    res.writeHead(200, { 'Content-Type': 'text/event-stream', 'Cache-Control': 'no-store' });
    let number = 0;
    const timer = setInterval(() => {
      number += 1;
      res.write(`data: event ${number}\n\n`);
      if (number === 3) { clearInterval(timer); res.end(); }
    }, 100);
    res.on('close', () => clearInterval(timer));
  } else {
    const { 'ms-aspnetcore-token': _, ...headers } = req.headers;
    text(res, 200, `hello from node ${process.version}\n${req.method} ${req.url}\n${JSON.stringify(headers, null, 2)}\n`);
  }
});

server.listen(port, '127.0.0.1', () => console.log(`listening on 127.0.0.1:${port}`));

process.on('SIGTERM', () => {
  console.log('SIGTERM: finishing what has begun');
  server.close(() => { console.log('stopped'); process.exit(0); });
  server.closeIdleConnections();
});
