// SPDX-License-Identifier: BSD-2-Clause
// One case with node-redis against the server on a port: node node-redis.js PORT CASE. Run by tests/85-node-redis.bats.
'use strict';
const assert = require('assert');
const { createClient, RESP_TYPES } = require('redis');

const [port, name] = [Number(process.argv[2]), process.argv[3]];
const major = parseInt(require('redis/package.json').version);
const once = (emitter, event) => new Promise((resolve) => emitter.once(event, resolve));

async function connect(options = {}) {
  const c = createClient({ url: `redis://127.0.0.1:${port}`, ...options });
  c.on('error', () => {});
  await c.connect();
  return c;
}

const cases = {
  async connect(c) {
    assert.strictEqual(await c.ping(), 'PONG');
    const me = await c.sendCommand(['CLIENT', 'INFO']);
    console.log(String(me).trim());
    assert.match(String(me), major >= 6 ? / resp=3\b/ : / resp=2\b/);
    const hello = await c.hello();
    assert.strictEqual(hello.server, 'redis');
    assert.strictEqual(hello.mode, 'standalone');
  },

  async operations(c) {
    assert.strictEqual(await c.set('k', 'v'), 'OK');
    assert.strictEqual(await c.get('k'), 'v');
    assert.strictEqual(await c.get('none'), null);
    assert.strictEqual(await c.set('k', 'w', { NX: true }), null);
    assert.strictEqual(await c.set('k', 'w', { EX: 100, GET: true }), 'v');
    const ttl = await c.ttl('k');
    assert(ttl > 90 && ttl <= 100, `ttl ${ttl}`);
    assert.strictEqual(await c.incrBy('n', 41), 41);
    assert.strictEqual(Number(await c.incrByFloat('n', 0.5)), 41.5);
    assert.strictEqual(await c.mSet({ a: '1', b: '2' }), 'OK');
    assert.deepStrictEqual(await c.mGet(['a', 'none', 'b']), ['1', null, '2']);
    assert.deepStrictEqual((await c.keys('[ab]')).sort(), ['a', 'b']);
    const bytes = Buffer.from([0, 255, 13, 10, 128]);
    await c.set('bytes', bytes);
    assert(bytes.equals(await c.withTypeMapping({ [RESP_TYPES.BLOB_STRING]: Buffer }).get('bytes')));
    assert.strictEqual(await c.setBit('bits', 7, 1), 0);
    assert.strictEqual(await c.bitCount('bits'), 1);
    assert.strictEqual(await c.getRange('k', 0, -1), 'w');
    assert.strictEqual(await c.del(['a', 'b', 'none']), 2);
    assert.strictEqual(await c.exists('a'), 0);
    await assert.rejects(c.incr('k'), /ERR value is not an integer or out of range/);
    await assert.rejects(c.sendCommand(['NOSUCH', 'x']), /ERR unknown command/);
    assert.deepStrictEqual({ ...(await c.configGet('port')) }, { port: `${port}` });
  },

  async pipelines(c) {
    const p = c.multi();
    for (let i = 0; i < 1000; i++) p.set(`p${i}`, `${i}`).get(`p${i}`);
    const replies = await p.execAsPipeline();
    assert.strictEqual(replies.length, 2000);
    for (let i = 0; i < 1000; i++) assert.deepStrictEqual(replies.slice(2 * i, 2 * i + 2), ['OK', `${i}`]);
    // Without waiting in between they are written together, too.
    const all = await Promise.all([...Array(500).keys()].map((i) => c.incr('counter').then((n) => [i, n])));
    for (const [i, n] of all) assert.strictEqual(n, i + 1);
  },

  async scan(c) {
    await Promise.all([...Array(500).keys()].map((i) => c.set(`scan:${i}`, `${i}`)));
    const seen = new Set();
    for await (const keys of c.scanIterator({ MATCH: 'scan:*', COUNT: 50 })) [].concat(keys).forEach((k) => seen.add(k));
    assert.strictEqual(seen.size, 500);
  },

  async databases() {
    const c = await connect({ database: 3, name: 'three' });
    await c.set('k', 'three');
    assert.strictEqual(await c.clientGetName(), 'three');
    const plain = await connect({ RESP: 2 });
    assert.strictEqual(await plain.get('k'), null);
    await plain.select(3);
    assert.strictEqual(await plain.get('k'), 'three');
    await Promise.all([c.close(), plain.close()]);
  },

  // The connection's process is killed by another client: the library connects again.
  async reconnect(c) {
    await c.set('k', 'before');
    const other = await connect();
    const id = await c.clientId();
    const again = once(c, 'ready');
    assert.strictEqual(await other.sendCommand(['CLIENT', 'KILL', 'ID', String(id)]), 1);
    await again;
    assert.strictEqual(await c.get('k'), 'before');
    assert.notStrictEqual(await c.clientId(), id);
    await other.close();
  },
};

(async () => {
  const c = await connect();
  await cases[name](c);
  await c.close();
  console.log('well');
})().catch((e) => {
  console.error(e);
  process.exit(1);
});
