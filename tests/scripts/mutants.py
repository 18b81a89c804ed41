#!/usr/bin/env python3
"""Proof that the script tests can fail: each change below is a bug that was
made, or nearly made; run.py must fail with it. Takes minutes; not part of
`make check`.

  mutants.py [TEXT]     only those whose file or note contains TEXT"""

import os
import shutil
import subprocess
import sys
import tempfile

import tmq

# file, what stands there once, what instead, what that breaks
MUTANTS = [
    # enqueue
    ('enqueue', "outcome = was == hash and tonumber(id) or -1",
     "outcome = tonumber(id)", 'another body under a used key'),
    ('enqueue', "if call('EXISTS', unpack(keys)) < #keys then",
     "if call('EXISTS', unpack(keys)) == 0 then",
     'one of many jobs of a key was deleted'),
    ('enqueue', "for i = 1, was == hash and n or 1 do", "for i = 1, n do",
     'another body asks for more jobs than a key led to'),
    ('enqueue', "        used[key] = fmt('%d %s', id + 1, hash)\n", "",
     'the same key twice in one call'),
    ('enqueue', "tonumber(due) > now and tonumber(due)",
     "tonumber(due)", 'a past due time is scheduled'),
    ('lib/served', "< TQ_WORKER_GONE_MS", "< now",
     'a worker that is gone serves'),
    ('enqueue', "    answer[na] = outcome or id + 1\n",
     "    answer[na] = id + 1\n", 'a refused group without an answer'),
    ('enqueue', "elseif lane == open and id == first + jobs then",
     "elseif lane == open then", 'neighbours in a pack'),
    ('enqueue', "outcome = -4", "outcome = nil",
     'a job without its payload'),
    ('enqueue', "        call('UNLINK', P .. 'b:' .. name)\n", "",
     'payloads of refused jobs stay'),
    ('enqueue', "        call('PERSIST', P .. 'b:' .. id)\n", "",
     'payloads that expire'),
    ('enqueue', "    call('SET', P .. 'schema', TQ_SCHEMA)\n", "",
     'an emptied namespace has no schema'),
    ('enqueue', "if id + #argv > TQ_ID_MAX then", "if false then",
     'ids beyond 2^53'),
    ('sweep', "redis.pcall('ZSCORE'", "call('ZSCORE'",
     'a sweep that a key of others ends'),
    ('enqueue', "is_served(handler) and most or TQ_HANDLERS_MAX",
     "TQ_HANDLERS_MAX", 'a served name that is locked out'),
    ('enqueue', "is_served(handler) and most or TQ_HANDLERS_MAX",
     "is_served(handler) and 2 * TQ_HANDLERS_MAX or most",
     'junk where served names have room'),
    ('enqueue', "outcome = n > most and -2 or nil",
     "outcome = n > most + 1 and -2 or nil", '1,001 names'),
    ('enqueue', "registered = outcome and registered or n", "",
     'each group as if it was alone'),
    ('sweep', "running == 0 and scheduled == 0 and dead == 0\n", "true\n",
     'names of jobs that run are forgotten'),
    ('sweep', "       and not is_served(handler)\n", "",
     'names that are served are forgotten'),
    ('sweep', "to_ready(prefix, lane)\n", "",
     'a lane that no claim looks at stays so'),
    ('sweep', "'leased') == 0 and running", "'leased') == 0 and 0",
     'jobs that run nowhere are counted for ever'),
    ('lib/counted', "claimed - (tonumber(n[3]) or 0),", "claimed,",
     'a name whose runs are over stays'),
    ('lib/counted', "(tonumber(n[1]) or 0) - scheduled", "(tonumber(n[1]) or 0)",
     'scheduled jobs wait'),
    # lanes
    ('lib/lane', "            if length == n then\n", "            if false then\n",
     'no wake-up'),
    ('lib/lane', "(order == 'lifo' or push == 'LPUSH')", "push == 'LPUSH'",
     'a later job, lifo'),
    ('lib/lane', "(order == 'lifo' or push == 'LPUSH')", "order == 'lifo'",
     'given back by place'),
    ('lib/order', "order == 'lifo' and -1 or 0", "0", 'lifo, set while jobs wait'),
    ('sweep', "set_order(match(config[4] or '', '^[fl]ifo$') or 'priority')\n", "",
     'a selection that was set otherwise'),
    ('lib/back', "'lifo' and 'RPUSH' or 'LPUSH'",
     "'lifo' and 'LPUSH' or 'RPUSH'", 'given back to the far end'),
    ('lib/back', "        table.sort(lane)\n", "",
     'given back in no order'),
    ('lib/back', "    to_lanes(back,", "    bulk(sets, 'MSET')\n    to_lanes(back,",
     'given back, and refused before it has a place'),
    ('lib/unlink', "    unweigh(ids)\n",
     "    call('UNLINK', unpack(others))\n    unweigh(ids)\n",
     'a job whose run is gone before its record'),
    ('replay', "if due > 0 then\n", "call('MSET', P .. 'seq', new, "
     "J .. new, record)\nif due > 0 then\n",
     'a copy that is there before its place'),
    ('lib/lane', "return order == 'lifo' and 1 - place - (tonumber(jobs) or 1) or",
     "return", 'lifo: the other order'),
    ('lib/lane', ".. '.5'", "", 'due ones before the newest'),
    ('due', "'sch:' .. lane.handler, -#lane)", "'sch:' .. lane.handler, 0)",
     'gauge of scheduled jobs'),
    ('due', "call('HGET', P .. 'handlers', handler) and handler or '?'",
     "handler", 'a count of a name that there is not'),
    ('due', "    if is_header(record, 0) then\n",
     "    if record ~= '' then\n",
     'a scheduled record that cannot be read'),
    ('lib/schedule', "or due < now + TQ_WAKE_MAX_MS then", "then",
     'a sleeping worker is late'),
    # claim
    ('claim', "index = 101 * owner + 100 - name", "index = -owner",
     'lanes of equal places'),
    ('claim', "lane.short, lane.read, at = packs, #packs < n, from, 1",
     "lane.short, lane.read, at = packs, true, from, 1",
     'a lane that is called empty'),
    ('claim', "lane.place = lifo and 1 - place - jobs or place",
     "lane.place = place", 'lifo between lanes'),
    ('claim', "        if order and not lane.packs then\n",
     "        if false then\n",
     'by place: only the first lane of a handler'),
    ('claim', "    while above > 0 and heap[above] ~= lane do\n",
     "    while false do\n",
     'by place: lanes that follow, out of order'),
    ('claim', "    if order and lane.packs and lane.jobs == 0 and not",
     "    if false and not", 'by place: the score of what is left'),
    ('claim', "lane.jobs, lane.place = part[4] - taken, part[5] + taken",
     "lane.jobs = part[4] - taken", 'by place: the score of what stays'),
    ('claim', "nheld < total and lane.jobs == 0 and not lane.over then",
     "false then", 'by place: a guess at what follows'),
    ('claim', "        if not order and free[owner] > 0 then\n",
     "        if false then\n", 'by priority: only the first lane'),
    ('claim', "local n = max(1, min(", "local n = max(0, min(",
     'by place: a lane of more that is called empty'),
    ('claim', "place = tonumber(ran or first)", "place = tonumber(first)",
     'the place of what came again'),
    ('claim', "              or size > 1 and is_before(heap[2], lane)\n", "",
     'packs taken beyond the next lane'),
    ('claim', "              or size > 2 and is_before(heap[3], lane)\n", "",
     'packs taken beyond the next but one'),
    ('claim', "id, step = id + lane.jobs - 1, -1", "id, step = id, 1",
     'lifo in a pack'),
    ('claim', "ahead = gone > 0 and min(2 * (ahead + gone), TQ_LANE_READ) or",
     "ahead = gone < 0 and", 'cancelled ones one by one'),
    ('claim', "elseif nheld == total or free[owner] == 0 then",
     "elseif nheld == total then", 'more jobs than slots'),
    ('claim', "(taken == 0 or lifo) and part[3] or part[3] + taken",
     "part[3]", 'what stays of a pack'),
    ('claim', "lane.cut = taken > 0", "lane.cut = true",
     'a pack that stays as it was'),
    ('claim', "lane.stopped = part[2]", "lane.stopped = nil",
     'what was looked at ahead goes'),
    ('claim', "size > 0 and looked < TQ_LOOK_MAX do", "size > 0 do",
     'looks without a bound'),
    ('claim', "                run = run ~= '' and run\n", "",
     'an evicted run'),
    ('claim', "byte(run, TQ_RUN_STATE_FIRST) ~= WAITING\n",
     "false\n", 'cancelled ones run'),
    ('claim', "sub(run, TQ_RUN_STARTED_LAST + 1,\n"
     "                                      TQ_RUN_NAME_FIRST - 1)",
     "' 000 0 0000000000 00000 '", 'attempts forgotten'),
    ('claim', "fmt('%04d ', nheld) .. concat(held, ' ')",
     "fmt('%04d ', nheld + 1) .. concat(held, ' ')",
     'a lease of one more'),
    ('claim', "        call('ZREM', P .. 'h:' .. argv[lane.owner] .. ':ready', "
     "lane.name)\n", "", 'an empty lane'),
    ('claim', "lane.stopped or lane.read + lane.at", "lane.stopped or lane.at",
     'packs used stay'),
    ('claim', "    if lane.cut then\n", "    if false then\n",
     'a pack used in part'),
    ('claim', "    if argv[5] == '1' and call(", "    if call(",
     'markers that nobody took'),
    ('claim', "    if argv[5] == '1' and call(", "    if false and call(",
     'marker not put back'),
    ('claim', "not (header and find(header, SOUND))", "not header",
     'a record that cannot be read'),
    ('claim', "damaged = damaged or not is_run(run) and 'last run'",
     "damaged = damaged", 'a last run that cannot be read'),
    ('claim', "and a.index < b.index)", "and true)",
     'order of equal places'),
    # leases
    ('lib/lease', "    if left > 0 then\n", "    if true then\n",
     'a lease of nobody'),
    ('lib/lease', "fmt('%04d', left)", "fmt('%04d', left + n - 1)",
     'several that end at once'),
    ('lib/back', "sub(run, TQ_RUN_TOKEN) == token", "true",
     'runs of others'),
    ('extend', "if left > nheld then", "if false then",
     'jobs that its worker does not have'),
    ('extend', "sub(token, 13) == worker and not named[token]",
     "sub(token, 13) == worker", 'named leases end'),
    ('extend', "sub(token, 13) == worker and not named[token]",
     "not named[token]", 'leases of others end'),
    ('extend', "    if nheld > 0 then\n", "    if true then\n",
     'a lease of nobody is extended'),
    ('extend', "or named[token] then", "then", 'a lease named twice'),
    ('extend', "        if #lost >= 2 * TQ_REAP_MAX then\n",
     "        if false then\n", 'all lost jobs at once'),
    ('lib/back', "state == 'C' and held_by == NO_COUNTER .. worker",
     "false", 'cancel not told'),
    ('fail', "return what == 'r' and 2 or 1", "return 1", 'released twice'),
    ('lib/back', "if sub(run, TQ_RUN_STATE) == 'E' then", "if false then",
     'a cancelled series goes on'),
    ('lib/back', "    bump('back:' .. handler, 1)\n", "",
     'what was given back does not wait'),
    ('reap', "sub(run, TQ_RUN_CRASHES) + 1", "sub(run, TQ_RUN_CRASHES) + 0",
     'crashes not counted'),
    ('reap', "    if taken >= TQ_REAP_MAX then\n",
     "    if false then\n", 'all leases at once'),
    ('reap', "#tokens == TQ_REAP_MAX and 1 or more", "more",
     'more leases than it read'),
    ('reap', "    left[token] = math.huge\n", "",
     'a lease whose jobs are gone'),
    ('reap', "    if not is_run(run) then\n", "    if false then\n",
     'the run of a lost job that cannot be read'),
    ('sweep', "if cursor ~= '' or now < was - TQ_CLOCK_BACK_MS then",
     "if false then", 'a clock that was set back'),
    ('sweep', "more, mended = 1, was .. ' ' .. got[1]",
     "more = 1", 'a clock that was set back, with many jobs'),
    ('sweep', "call('ZADD', P .. 'leased', latest, token)",
     "latest = latest", 'a lease of years'),
    # complete, fail
    ('complete', "find(run, token, TQ_RUN_TOKEN_FIRST, true)\n"
     "                             == TQ_RUN_TOKEN_FIRST\n",
     "sub(run, TQ_RUN_WORKER) == sub(token, 13)\n",
     'the token of an earlier claim'),
    ('complete', "if state ~= RUNNING and state ~= ENDING then",
     "if state == 83 then", 'a token after its lease ended'),
    ('complete', "        elseif seen[id] then\n", "        elseif false then\n",
     'twice in one call'),
    ('complete', "took = max(0, now - sub(run, TQ_RUN_STARTED))",
     "took = took or max(0, now - sub(run, TQ_RUN_STARTED))",
     "a duration by the neighbour's"),
    ('complete', "jobs = tonumber(match(head, '^%d+$', 30) or 0)",
     "jobs = tonumber(sub(head, 30)) or 1", 'tokens of any length'),
    ('complete', "or jobs > TQ_CLAIM_MAX\n", "\n",
     'a group larger than any claim'),
    ('complete', "npack == TQ_FINISHED_PACK or npack > 0 and", "npack > 0 and",
     'packs of any length'),
    ('complete', "or npack > 0 and keep ~= expires\n", "\n",
     'another retention in the pack'),
    ('complete', "                left[handler] = (left[handler] or 0) + 1\n",
     "", 'runs that ended are told as running'),
    ('complete', "bump('success_periodic', periodic and #periodic or 0)",
     "bump('success_periodic', 0)", 'runs of a series are finished jobs'),
    ('complete', "or version ~= VERSION or not handler", "or not handler",
     "another version's run"),
    ('complete', "    weigh(npack > 0 and packs or {})\n", "",
     'what is not weighed'),
    ('fail', "attempts > tonumber(", "attempts >= tonumber(",
     'one run too few'),
    ('fail', "what == '1' and sub(run, TQ_RUN_STATE) == 'R'", "what == '1'",
     'a cancelled series is retried'),
    ('sweep', "sweep('dead', '+inf', call('ZCARD', P .. 'dead')",
     "local _ = (call('ZCARD', P .. 'dead')", 'dead_max not held'),
    ('sweep', "- (config[2] or TQ_DEAD_MAX))",
     "- (config[2] or TQ_DEAD_MAX) + 1)", 'more than dead_max asks'),
    ('lib/ends', " and not for_good then", " then",
     'a periodic job that cannot be read'),
    ('fail', "verdict == 1 or verdict == 0 and seen[id]", "verdict == 1",
     'failed twice in one call'),
    ('lib/header',
     "    return base + (floor((now - base) / step) + 1) * step\n",
     "    return now < base and base\n"
     "           or base + (floor((now - base) / step) + 1) * step\n",
     'a periodic job before its base'),
    ('lib/header', "floor((now - base) / step) + 1", "1",
     'missed runs are caught up'),
    ('lib/ends', "local NO_COUNTER, NO_TIME = '000000000000',",
     "local NO_COUNTER, NO_TIME = '000000000001',",
     'a token that was taken back'),
    # finished, dead
    ('sweep', "if looked + #ids >= TQ_SWEEP_MAX or", "if",
     'a sweep without a bound'),
    ('sweep', "    looked = looked + #ids\n", "    looked = looked + #ids\n"
     "    redis.call('ZREM', P .. set, 0, unpack(gone))\n",
     'what leaves its set before it goes'),
    ('sweep', "'ZREM', P .. set, unpack(gone))", "'ZREM', P .. set, unpack(members))",
     'packs that were read and not swept'),
    ('sweep', "call('HINCRBY', P .. 'stats', 'finished_gone', there)",
     "call('HINCRBY', P .. 'stats', 'finished_gone', #ids)",
     'a job of a pack, deleted and swept, counted twice'),
    ('sweep', "or over and over <= 0 then", "then",
     'more dropped than the bound of bytes asks'),
    ('sweep', "over = sweep('finished', '+inf', TQ_SWEEP_MAX, over)\n"
     "sweep('dead',", "over = sweep('dead', '+inf', TQ_SWEEP_MAX, over)\n"
     "sweep('finished',", 'dead jobs dropped before finished ones'),
    ('sweep', "        count_dead_out(ids)\n", "", 'gauge after a sweep'),
    ('lib/unlink', "P .. 'b:' .. id", "P .. 'b:'",
     'payloads of swept jobs'),
    ('sweep', "    if last == '+inf' and there > 0 then\n",
     "    if false then\n", 'dropped jobs not counted'),
    ('lib/ends', "    bulk(sets, 'MSET')\n", "    bulk(sets, 'MSET')\n"
     "    for token, n in pairs(left) do leave_lease(token, n) end\n"
     "    left = {}\n", 'leases that end before their runs are counted'),
    ('lib/ends', "    weigh(dead)\n", "",
     'dead jobs that are not weighed'),
    ('lib/bytes', "(tonumber(redis.pcall('STRLEN', P .. 'b:' .. id)) or 0)", "0",
     'payloads aside weigh nothing'),
    ('lib/bytes', " - (call('HGET', sizes, id) or 0)", "",
     'weighed again'),
    ('lib/unlink', "    unweigh(ids)\n", "", 'deleted jobs weigh'),
    ('sweep', "call('ZADD', P .. set, members[i + 1], sub(member, at + 1))", "",
     'the rest of a pack that is cut'),
    ('sweep', "local over = most > 0 and not weighing", "local over = most > 0",
     'dropped before all is weighed'),
    ('config_set', "    call('UNLINK', P .. 'bytes')\n", "",
     'what ended while there was no bound'),
    ('config_set', "         max(call('HGET', stats, 'keys_until') or 0,\n"
     "             now + (old or TQ_IDEMPOTENCY_TTL_S) * 1000))",
     "         0)", 'a key that outlives its setting'),
    # people
    ('change', "    call('ZADD', key, now, id)\n", "", 'worker not told'),
    ('lib/ends', "    bump('cancelled', 1)\n", "",
     'cancelled ones not counted'),
    ('lib/ends', "if sub(run, TQ_RUN_STATE) ~= 'W' then", "if true then",
     'a run that was none is over'),
    ('change', "    bump('back:' .. handler, -1)\n", "",
     'cancelled ones wait'),
    ('change', "bump('sch:' .. handler, -1)", "handler = handler",
     'gauge of scheduled jobs, cancelled'),
    ('change', "    unweigh({ id })\n    add(", "    add(",
     'a retried job that is weighed on'),
    ('change', "    leave()\n    unweigh(", "    leaves = 'dead'\n    unweigh(",
     'gauge of dead jobs'),
    ('change', "if rest > 0 then", "if false then",
     'the key of a deleted job'),
    ('change', "        run_over(sub(run, TQ_RUN_TOKEN), handler)\n", "",
     'a lease of a deleted job'),
    ('change', "        bump('finished_gone', 1)\n", "",
     'deleted jobs are finished ones'),
    ('change', "        bump('dead:' .. handler, -1)\n    elseif",
     "    elseif", 'gauge of dead jobs, deleted'),
    ('replay', "if due <= now then", "if due < 0 then",
     'a past time is scheduled again'),
    ('replay', "call('COPY', P .. 'b:' .. id, P .. 'b:' .. new)",
     "new = new", 'a replayed job without its payload'),
    # what is told
    ('stats', "if created ~= '' and (state == '' or state == 'W') then",
     "if created ~= '' then", 'the oldest was cancelled'),
    ('stats', "            elseif looks <= 0 then\n",
     "            elseif false then\n", 'looks without a bound'),
    ('stats', "out[27] + running", "out[27]", 'who runs, in all'),
    ('stats', "i > 6 and i <= 21", "i > 6 and i < 21", 'the longest runs'),
    ('list', "out[1] = id >= 1 and id + 1 or 0",
     "out[1] = id >= 1 and id or 0", 'a job between two pages'),
    ('list', "got[1] .. (got[3] or '')", "got[1]", 'a list without payloads'),
    ('config_set', "    call('HDEL', stats, 'finished_bytes')\n", "",
     'weights after there is no bound'),
    ('config_set', "if how == '1' and old then", "if false then",
     'a seed that sets'),
    ('open', "or call('EXISTS', P .. 'seq')", "or 0",
     'a namespace of the first TaskMQ'),
    ('open', "{ { P }, { P, P }, { P, P, P }, {} }", "{ { P }, { P, P } }",
     'rights to commands of many arguments'),
    ('create', "if not schema then", "if true then",
     'a namespace that is there'),
]


def noticed(lua):
    """What fails with these scripts: some random operations, which are quick,
    or a directed test; None: nothing."""
    for args in (['--ops', '1500', 'random'], ['--ops', '0'],
                 ['--ops', '9000', 'random']):
        p = subprocess.run(
            [sys.executable, os.path.join(tmq.HERE, 'run.py'), '--first']
            + args, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
            text=True, env=dict(os.environ, TMQ_LUA=lua, TMQ_UNTIMED='1'))
        for line in p.stdout.splitlines():
            if p.returncode != 0 and line.startswith('FAILED'):
                return line[len('FAILED '):]


def main():
    only = sys.argv[1] if len(sys.argv) > 1 else ''
    passed = failed = 0
    for name, old, new, note in MUTANTS:
        if only not in name + ' ' + note:
            continue
        with tempfile.TemporaryDirectory() as folder:
            lua = os.path.join(folder, 'lua')
            shutil.copytree(tmq.LUA, lua)
            for header in ('tq_limits.h', 'tq_layout.h'):
                shutil.copy(os.path.join(tmq.ROOT, 'libtaskmq', header),
                            folder)
            path = os.path.join(lua, name + '.lua')
            with open(path) as f:
                text = f.read()
            if text.count(old) != 1:
                print('FAILED %s: %s: the text is not there once' %
                      (name, note))
                failed += 1
                continue
            with open(path, 'w') as f:
                f.write(text.replace(old, new))
            found = noticed(lua)
        if not found:
            print('FAILED %s: %s: nobody noticed' % (name, note))
            failed += 1
        else:
            print('ok %s: %s: %s' % (name, note, found), flush=True)
            passed += 1
    print('%d passed, %d failed' % (passed, failed))
    return 1 if failed else 0


if __name__ == '__main__':
    sys.exit(main())
