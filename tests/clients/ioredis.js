// SPDX-License-Identifier: BSD-2-Clause
// One case with Node's ioredis against the server on a port: node ioredis.js PORT CASE. Run by tests/84-ioredis.bats.
'use strict';
const assert = require('assert');
const Redis = require('ioredis');

const [port, name] = [Number(process.argv[2]), process.argv[3]];
const major = parseInt(require('ioredis/package.json').version);
const once = (emitter, event) => new Promise((resolve) => emitter.once(event, resolve));

const cases = {
  async connect(r) {
    assert.strictEqual(await r.ping(), 'PONG');
    assert.strictEqual(r.status, 'ready');
    const me = await r.client('INFO');
    console.log(me.trim());
    assert.match(me, / user=default /);
    assert.match(me, major >= 6 ? / resp=3\b/ : / resp=2\b/);
  },

  async operations(r) {
    assert.strictEqual(await r.set('k', 'v'), 'OK');
    assert.strictEqual(await r.get('k'), 'v');
    assert.strictEqual(await r.get('none'), null);
    assert.strictEqual(await r.set('k', 'w', 'NX'), null);
    assert.strictEqual(await r.set('k', 'w', 'EX', 100, 'GET'), 'v');
    const ttl = await r.ttl('k');
    assert(ttl > 90 && ttl <= 100, `ttl ${ttl}`);
    assert.strictEqual(await r.incrby('n', 41), 41);
    assert.strictEqual(await r.incrbyfloat('n', 0.5), '41.5');
    assert.strictEqual(await r.mset({ a: '1', b: '2' }), 'OK');
    assert.deepStrictEqual(await r.mget('a', 'none', 'b'), ['1', null, '2']);
    assert.deepStrictEqual((await r.keys('[ab]')).sort(), ['a', 'b']);
    const bytes = Buffer.from([0, 255, 13, 10, 128]);
    await r.set('bytes', bytes);
    assert(bytes.equals(await r.getBuffer('bytes')));
    assert.strictEqual(await r.setbit('bits', 7, 1), 0);
    assert.strictEqual(await r.bitcount('bits'), 1);
    assert.strictEqual(await r.getrange('k', 0, -1), 'w');
    assert.strictEqual(await r.del('a', 'b', 'none'), 2);
    assert.strictEqual(await r.exists('a'), 0);
    await assert.rejects(r.incr('k'), /ERR value is not an integer or out of range/);
    await assert.rejects(r.call('NOSUCH', 'x'), /ERR unknown command/);
    assert.deepStrictEqual((await r.config('GET', 'port')).toString(), `port,${port}`);
  },

  async pipelines(r) {
    const p = r.pipeline();
    for (let i = 0; i < 1000; i++) p.set(`p${i}`, i).get(`p${i}`);
    const replies = await p.exec();
    assert.strictEqual(replies.length, 2000);
    for (let i = 0; i < 1000; i++) assert.deepStrictEqual(replies.slice(2 * i, 2 * i + 2), [[null, 'OK'], [null, `${i}`]]);
    const mixed = await r.pipeline().set('s', 'text').incr('s').get('s').exec();
    assert.match(mixed[1][0].message, /not an integer/);
    assert.deepStrictEqual(mixed[2], [null, 'text']);
    // Without waiting in between they are written together, too.
    const all = await Promise.all([...Array(500).keys()].map((i) => r.incr('counter').then((n) => [i, n])));
    for (const [i, n] of all) assert.strictEqual(n, i + 1);
  },

  async scan(r) {
    const p = r.pipeline();
    for (let i = 0; i < 500; i++) p.set(`scan:${i}`, i);
    await p.exec();
    const seen = new Set();
    for await (const keys of r.scanStream({ match: 'scan:*', count: 50 })) keys.forEach((k) => seen.add(k));
    assert.strictEqual(seen.size, 500);
  },

  async databases() {
    const r = new Redis({ host: '127.0.0.1', port, db: 3, keyPrefix: 'app:' });
    await r.set('k', 'three');
    const plain = new Redis({ host: '127.0.0.1', port });
    assert.strictEqual(await plain.get('app:k'), null);
    await plain.select(3);
    assert.strictEqual(await plain.get('app:k'), 'three');
    await Promise.all([r.quit(), plain.quit()]);
  },

  // A server that loads says so in INFO: the library is ready when that is over.
  async loading(r) {
    assert.strictEqual(await r.get('k'), 'v');
    assert.match(await r.info('persistence'), /\nloading:0\r/);
    const dump = await r.dumpBuffer('k');
    assert.strictEqual(await r.restore('copy', 0, dump), 'OK');
    assert.strictEqual(await r.get('copy'), 'v');
    assert.match(await r.bgsave(), /^Background saving started$/);
    assert(await r.lastsave() > 1e9);
  },

  // The connection's process is killed by another client: the library connects again and repeats what was under way.
  async reconnect(r) {
    await r.set('k', 'before');
    const other = new Redis({ host: '127.0.0.1', port });
    const id = await r.client('ID');
    const again = once(r, 'ready');
    assert.strictEqual(await other.client('KILL', 'ID', id), 1);
    await again;
    assert.strictEqual(await r.get('k'), 'before');
    assert.notStrictEqual(await r.client('ID'), id);
    await other.quit();
  },
};

(async () => {
  const r = new Redis({ host: '127.0.0.1', port });
  r.on('error', () => {});
  await cases[name](r);
  await r.quit();
  console.log('well');
})().catch((e) => {
  console.error(e);
  process.exit(1);
});
