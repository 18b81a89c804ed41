"""Redis and the model side by side: what must be equal between operations
(random_ops.py says what is held)."""

import random
import time

import tmq
from model import Model, Win

HANDLERS = ['email', 'resize', 'a', 'B.2-x_y', 'z' * 64, 'emai']
WORKERS = ['%016x' % (0xfeed0000 + i) for i in range(3)]
PLACES = ['scheduled', 'leased', 'dead', 'finished']
LOOK = '''
local P, out, n = KEYS[1], {}, tonumber(ARGV[1])
local places = { 'scheduled', 'leased', 'dead', 'finished' }
local function put(v) out[#out + 1] = v end
-- of a pack, what is left; its ids of jobs that are gone are nobody's
local ended, left = {}, 0
local packs = redis.call('ZRANGE', P .. 'finished', 0, -1, 'WITHSCORES')
for i = 1, #packs, 2 do
    local pack = packs[i]:find(' ')
    for id in packs[i]:gmatch('[^ ]+') do
        local there = redis.call('EXISTS', P .. 'j:' .. id) == 1
        if there or not pack then
            left = left + 1
            ended[id] = ended[id] and 'twice' or packs[i + 1]
        end
    end
end
-- of a shared lease, what runs; no job of it has one of its own
local shares = redis.call('HVALS', P .. 'shared')
local function lease(id)
    local score = redis.call('ZSCORE', P .. 'leased', id)
    local head = redis.call('GETRANGE', P .. 'r:' .. id, 0, 29)
    local token = head:match('^[RE](.*)%+$')
    if not token or redis.call('HEXISTS', P .. 'shared', token) == 0 then
        return score
    end
    return score and 'twice'
           or redis.call('ZSCORE', P .. 'leased', 'T' .. token)
end
for i = 1, 3 do
    local size = redis.call('ZCARD', P .. places[i])
    if i == 2 then
        size = size - #shares
        for k = 1, #shares do size = size + shares[k] end
    end
    put(size)
end
put(left)
for i = 2, n + 1 do
    local h = P .. 'h:' .. ARGV[i]
    for _, k in ipairs({ ':ready:p', ':ready:f', ':ready:l', ':wake' }) do
        put(redis.call('ZCARD', h .. k))
    end
end
for i = n + 2, #ARGV do
    put(redis.call('GET', P .. 'j:' .. ARGV[i]))
    put(redis.call('GET', P .. 'r:' .. ARGV[i]))
    for k = 1, 3 do
        put(k == 2 and lease(ARGV[i])
            or k ~= 2 and redis.call('ZSCORE', P .. places[k], ARGV[i]))
    end
    put(ended[ARGV[i]] or false)
end
put(redis.call('HGETALL', P .. 'stats'))
put(redis.call('HGETALL', P .. 'handlers'))
return out
'''


class Mismatch(AssertionError):
    pass


def need(ok, *what):
    if not ok:
        raise Mismatch(' '.join(str(w) for w in what))


class Pair:
    """Redis and the model side by side."""

    def __init__(self, client, seed, lanes=None):
        self.c, self.s = client, tmq.Scripts(client, lanes)
        self.look_sha = client('SCRIPT', 'LOAD', LOOK)
        self.m, self.rng = Model(), random.Random(seed)
        self.tokens = []            # (id, token) ever seen
        self.looks = 0
        self.packed = 0             # jobs seen waiting in lanes
        self.together = 0           # shared leases seen
        self.past = 1000            # made-up times in the past, all different
        self.touched = set()
        self.armed = set()          # handlers that must be armed now

    def run(self, name, *args):
        lo = int(time.time() * 1000)
        reply = getattr(self.s, name)(*args)
        return reply, Win(lo, int(time.time() * 1000) + 1)

    def data(self):
        """Differs when anything was written: Redis' count of changes, and
        now and then (it takes long) a digest of all there is."""
        info = self.c('INFO', 'persistence')
        deep = self.looks // 2 % 16 == 0
        self.looks += 1
        return (info[info.index(b'rdb_changes'):].split(b'\r', 1)[0],
                self.c('DEBUG', 'DIGEST') if deep else b'')

    def k(self, name):
        return tmq.PREFIX + name.encode()

    # -- comparing
    @property
    def moved(self):
        return self.c('HEXISTS', self.k('config'), 'moving') == 0

    def settle(self, j, name, real, what):
        """A time the model knows as a window: checked, then known."""
        v = getattr(j, name)
        if isinstance(v, Win):
            need(v.lo <= real <= v.hi, what, j.id, name, real, v)
            setattr(j, name, real)
        else:
            need(v == real, what, j.id, name, real, v)

    def record(self, j):
        return b'%s%013d%s' % (j.head.encode(), j.created, j.tail)

    def same(self, j, row):
        """A job's record, run and due time, as get and list show them."""
        record, run, due = row
        if isinstance(j.created, Win):
            self.settle(j, 'created', int(record[13:26]), 'record')
        need(record == self.record(j), 'record', j.id, record)
        self.settle(j, 'due', due, 'get')
        if not j.run:
            need(run == b'', 'run', j.id, run)
            return
        header = record.split(b'\n', 1)[0] + b'\n'
        fixed = '%s%s%s' % (j.state, j.counter, j.worker)
        need(run[:29].decode() == fixed, 'run', j.id, run[:29], fixed)
        self.settle(j, 'started', int(run[30:43]), 'run')
        need(run[29:30] in b' +' and b' ' == run[43:44] == run[61:62]
             == run[65:66], 'run', run)
        got = (int(run[62:65]), int(run[66:67]), int(run[68:78]),
               int(run[93:98]))
        want = (j.attempts, j.crashes, j.runs, len(j.error))
        need(got == want, 'run', j.id, got, want)
        self.settle(j, 'finished', int(run[79:92]), 'run')
        rest = j.name.encode() + b'\n' + header + j.error + j.result
        need(run[99:] == rest, 'run', j.id, run[99:], rest)

    def look(self, ids):
        """One consistent view: sizes per place, per handler its three ready
        sets and its marker, per id its row and its scores."""
        got = self.c('EVALSHA', self.look_sha, 1, tmq.PREFIX, len(HANDLERS),
                     *HANDLERS, *ids)
        sizes = dict(zip(PLACES, got[:4]))
        lines, marks, at = {}, {}, 4
        for h in HANDLERS:
            lines[h] = got[at:at + 3]
            marks[h] = got[at + 3]
            at += 4
        rows = {}
        for i in ids:
            row = got[at:at + 2] + [int(got[at + 2] or 0)]
            rows[i] = (row if row[0] is not None else None, dict(
                (p, int(x)) for p, x in zip(PLACES, got[at + 2:at + 6])
                if x is not None))
            at += 6
        stats = got[at]
        stats = {stats[k].decode(): int(stats[k + 1])
                 for k in range(0, len(stats), 2)}
        named = got[at + 1]
        named = {named[k].decode(): int(named[k + 1])
                 for k in range(0, len(named), 2)}
        return sizes, lines, marks, rows, stats, named

    def check(self, full):
        """Everything that must hold between operations."""
        m = self.m
        ids = list(m.jobs) if full else list(self.touched)
        sizes, lines, marks, rows, stats, named = self.look(ids)
        for i, (row, where) in rows.items():
            j = m.jobs.get(i)
            need((row is None) == (j is None), 'exists', i, row)
            if j:
                row[1] = row[1] or b''
                self.same(j, row)
                need(list(where) == [j.place] * (j.place != 'ready'),
                     'place', i, where, j.place)
                if j.place not in ('ready', 'scheduled'):
                    self.settle(j, 'expiry', where[j.place], j.place)
            else:
                need(not where, 'ghost', i, where)

        want = dict.fromkeys(PLACES, 0)
        waiting, each = dict.fromkeys(HANDLERS, 0), {}
        for j in m.jobs.values():
            if j.place == 'ready':
                waiting[j.handler] += 1
            else:
                want[j.place] += 1
                key = (j.place, j.handler)
                each[key] = each.get(key, 0) + 1
        need(sizes == want, 'sizes', sizes, want)
        for h in HANDLERS:
            def stat(name):
                return stats.get('%s:%s' % (name, h), 0)
            need(named.get(h, 0) + stat('back') - stat('sch')
                 - stat('claimed') == waiting[h], 'waiting', h, waiting[h])
            need(sum(lines[h]) or not waiting[h], 'no ready set', h)
            need(marks[h] or not (waiting[h] or h in self.armed),
                 'no wake marker', h, waiting[h])
            for gauge, p, n in (
                    ('scheduled', 'scheduled', stat('sch')),
                    ('running', 'leased', stat('claimed') - stat('left')),
                    ('dead', 'dead', stat('dead'))):
                need(n == each.get((p, h), 0), gauge, h, n)
        for name, v in m.stats.items():
            need(stats.get(name, 0) == v, 'counter', name, v)
        need(m.stats['success'] - m.stats['success_periodic']
             + m.stats['cancelled'] - m.stats['finished_gone']
             == want['finished'], 'sum of finished', m.stats, want)
        need(named == m.received, 'handlers', named)
        if full:
            self.check_lines()
            self.check_told()
            self.check_shared()
            self.check_bytes()
            left = self.c('KEYS', tmq.PREFIX + b'[jrl]:*')
            need(not {int(k.rsplit(b':', 1)[1]) for k in left} - set(m.jobs),
                 'keys of no job', left)
        self.touched.clear()
        self.armed.clear()

    def members(self, h, mode):
        """What is in a ready set, in order: [(score, member)]."""
        pairs = self.c('ZRANGE', self.k('h:%s:ready:%s' % (h, mode)), 0, -1,
                       'WITHSCORES')
        return [(int(pairs[k + 1]), pairs[k].decode())
                for k in range(0, len(pairs), 2)]

    def packs_of_lane(self, h, lane):
        """A lane's packs: [(first id, jobs, first place)]."""
        return [tuple(int(n) for n in pack.split()) for pack in self.c(
            'LRANGE', self.k('h:%s:lane:%s' % (h, lane)), 0, -1)]

    def lane_jobs(self, h, lane):
        """[(id, place)] of those that still wait, and how many do not."""
        pairs = [(i + k, n + k) for i, count, n in self.packs_of_lane(h, lane)
                 for k in range(count)]
        live = [(i, n) for i, n in pairs if i in self.m.jobs
                and not self.m.jobs[i].run]
        return live, len(pairs) - len(live)

    def check_lines(self):
        """Who waits where, and in which order."""
        m, moved, all_stale = self.m, self.moved, 0
        for h in HANDLERS:
            seen, stale, lanes = [], 0, {}
            for mode in 'pfl':
                got = self.members(h, mode)
                need(mode == m.mode or not (moved and got), 'other mode', h,
                     got)
                for score, member in got:
                    if member[0] != 'L':
                        i = int(member)
                        seen.append(i)
                        need(mode != m.mode or score == m.score(m.jobs[i]),
                             'score', i, score)
                        continue
                    lanes[member[1:]] = mode
                    packs = self.packs_of_lane(h, member[1:])
                    need(packs, 'empty lane', h, member)
                    need(packs == sorted(packs, key=lambda p: p[2]),
                         'packs out of order', h, packs)
                    i, count, n = packs[-1 if mode == 'l' else 0]
                    n += (count - 1) * (mode == 'l')
                    need(score == m.score_at(mode, int(member[1:]), n),
                         'score of a lane', h, member, score, packs)
            for lane in lanes:
                live, gone = self.lane_jobs(h, lane)
                stale += gone
                seen += [i for i, _ in live]
                for i, n in live:
                    need((m.jobs[i].n, m.jobs[i].priority) == (n, int(lane)),
                         'place in a lane', h, i, n)
                self.packed += len(live)
            need(int(self.c('HGET', self.k('stats'), 'stale:' + h) or 0)
                 == stale, 'stale', h, stale)
            need(self.c('EXISTS', *[self.k('h:%s:lane:%03d' % (h, p))
                                    for p in range(101)]) == len(lanes),
                 'lanes', h, lanes)
            need(sorted(seen) == sorted(j.id for j in m.line(h)), 'ready', h,
                 seen)
            all_stale += stale
        need(int(self.c('HGET', self.k('config'), 'stale') or 0) == all_stale,
             'stale', all_stale)

    def shared(self):
        """Shared leases: {token: jobs that run}."""
        flat = self.c('HGETALL', self.k('shared'))
        return {flat[k].decode(): int(flat[k + 1])
                for k in range(0, len(flat), 2)}

    def shared_jobs(self, token):
        """Those that run under a shared lease."""
        ids = (self.c('GET', self.k('s:' + token)) or b'').split()
        jobs = [self.m.jobs.get(int(i)) for i in ids]
        return [j for j in jobs
                if j and j.place == 'leased' and j.token == token]

    def check_shared(self):
        shared = self.shared()
        for token, left in shared.items():
            need(left == len(self.shared_jobs(token)) > 0, 'shared', token,
                 left)
            self.together += 1
        members = self.c('ZRANGE', self.k('leased'), 0, -1)
        need({m[1:].decode() for m in members if m[:1] == b'T'}
             == set(shared), 'shared leases', members)
        keys = self.c('KEYS', tmq.PREFIX + b's:*')
        need({k.rsplit(b':', 1)[1].decode() for k in keys} == set(shared),
             'ids of shared leases', keys)

    def weighed(self):
        """What all finished and dead jobs that are weighed take."""
        return sum(int(n) for n in self.c('HVALS', self.k('bytes')))

    def check_bytes(self):
        """Each that is there is weighed right, all together, and no other."""
        flat = self.c('HGETALL', self.k('bytes'))
        for member, n in zip(flat[::2], flat[1::2]):
            need(self.c('ZSCORE', self.k('finished'), member) is not None
                 or self.c('ZSCORE', self.k('dead'), member) is not None,
                 'weighed and gone', member)
            ids = [i for i in member.split() if int(i) in self.m.jobs]
            if len(ids) == len(member.split()):
                want = sum(256 + sum(self.c('STRLEN', self.k(x) + i)
                                     for x in ('j:', 'r:', 'l:')) for i in ids)
                # a cancelled run's log may have come later
                late = all(self.m.jobs[int(i)].state == 'C' for i in ids)
                need(int(n) == want or late and int(n) < want, 'weight',
                     member, n, want)
        need(int(self.c('HGET', self.k('stats'), 'finished_bytes') or 0)
             == self.weighed(), 'finished_bytes')

    def check_told(self):
        got = set()
        for w in WORKERS:
            key = self.k('w:%s:wake' % w)
            ids = self.c('ZRANGE', key, 0, -1)
            got.update((w, int(i)) for i in ids)
            need(not ids or self.c('PTTL', key) > 0, 'no expiry', key)
        # they expire; none may be there that was not told
        need(got <= self.m.told, 'told', got - self.m.told)
