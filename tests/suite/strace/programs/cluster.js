// A cluster of two workers that share one port: the first process accepts and passes each connection on.
//
// Usage: cluster.js PORT. SIGTERM ends it.
const cluster = require('cluster');

if (cluster.isPrimary) {
  const workers = [cluster.fork(), cluster.fork()];
  process.on('SIGTERM', () => cluster.disconnect(() => process.exit(0)));
  workers.forEach((worker) => worker.on('exit', (code) => { if (code !== 0) process.exit(1); }));
} else {
  process.on('SIGTERM', () => {});
  require('net').createServer((socket) => {
    socket.address();
    socket.remoteAddress;
    socket.once('data', (line) => socket.end(line));
    socket.on('error', () => {});
  }).listen(Number(process.argv[2]), '127.0.0.1');
}
