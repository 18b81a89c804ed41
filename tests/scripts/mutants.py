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
    ('enqueue', "        used[key] = fmt('%d %s', told, hash)\n", "",
     'the same key twice in one call'),
    ('enqueue', "tonumber(due) > now and tonumber(due)",
     "tonumber(due)", 'a past due time is scheduled'),
    ('enqueue', "if now - seen >= TQ_WORKER_GONE_MS then",
     "if seen == 0 then", 'a worker that is gone serves'),
    ('enqueue', "       or room and room.forget[handler]\n", "",
     'a forgotten name that comes back'),
    ('enqueue', "        answer[na] = answer[na] + 1\n", "",
     'neighbours without an answer'),
    ('enqueue', "elseif lane == open and id == first + jobs then",
     "elseif lane == open then", 'neighbours in a pack'),
    ('enqueue', "outcome = -4", "outcome = nil",
     'a job without its payload'),
    ('enqueue', "            call('UNLINK', key)\n", "",
     'payloads of refused jobs stay'),
    ('enqueue', "            call('PERSIST', P .. 'b:' .. id)\n", "",
     'payloads that expire'),
    ('enqueue', "    call('SET', P .. 'schema', TQ_SCHEMA)\n", "",
     'an emptied namespace has no schema'),
    ('enqueue', "if id + #argv > TQ_ID_MAX then", "if false then",
     'ids beyond 2^53'),
    ('lib/room', "if not fits and over - #idle <= TQ_HANDLERS_MAX then",
     "if false then", 'a served name that is locked out'),
    ('lib/room', "            fits = fits and is_served(name)\n",
     "            fits = fits or is_served(name)\n",
     'junk where served names have room'),
    ('lib/room', "local over, idle = room.size - TQ_HANDLERS_MAX, {}",
     "local over, idle = room.size - TQ_HANDLERS_MAX - 1, {}",
     '1,001 names'),
    ('lib/room', "running = running - (ended[d] or 0)", "running = running",
     'a name whose runs are over stays'),
    ('lib/forget', "            call('HINCRBY', stats, 'd' .. d, runs[d + 1])\n",
     "", 'what forgotten names did is forgotten'),
    # lanes
    ('lib/lane', "if length == n - 2 then", "if false then", 'no wake-up'),
    ('lib/lane', "    if given_back then\n        for i",
     "    if false then\n        for i", 'given back to the end'),
    ('lib/lane', "~= 'lifo' then", "then", 'lifo: given back to its far end'),
    ('lib/again', ".. '.5'", "", 'due ones before the newest'),
    ('lib/promote', "call('HINCRBY', P .. 'stats', 'sch:' .. handler, '-1')\n"
     "        elseif", "handler = nil\n        elseif",
     'gauge of scheduled jobs'),
    ('lib/promote', "        if is_header(record, 0) then\n",
     "        if record ~= '' then\n",
     'a scheduled record that cannot be read'),
    ('lib/schedule', "or due < now + TQ_WAKE_MAX_MS then", "then",
     'a sleeping worker is late'),
    # claim
    ('claim', "index = 101 * owner + k", "index = -owner",
     'lanes of equal places'),
    ('claim', "mode == PRIORITY and min(most, 1) or most",
     "most", 'lanes of a handler twice'),
    ('claim', "lane.place = mode == LIFO and 1 - place - jobs or place",
     "lane.place = place", 'lifo between lanes'),
    ('claim', "    place = tonumber(place) or first\n",
     "    place = first\n", 'the place of what came again'),
    ('claim', "                if heap[k].rank == best.rank\n",
     "                if heap[k].rank < best.rank\n",
     'lanes of one priority take turns'),
    ('claim', "                  or bound and best.place >= bound\n", "",
     'packs taken beyond the next lane'),
    ('claim', "id, step = id + best.jobs - 1, -1", "id, step = id, 1",
     'lifo in a pack'),
    ('claim', "ahead, gone, size = min(2 * (ahead + gone), TQ_LANE_READ), 0, 0",
     "ahead, gone, size = 0, 0, 0", 'cancelled ones one by one'),
    ('claim', "free[lane.owner] = slots > 0 and slots + ahead or 0",
     "free[lane.owner] = free[lane.owner]",
     'fewer jobs than there are'),
    ('claim', "            elseif ahead > 0\n", "            elseif false\n",
     'more jobs than slots'),
    ('claim', "place and id .. ' 1 ' .. place or id", "id",
     'the place of what goes back'),
    ('claim', "for k = lane.back and #lane.back or 0, 1, -1 do",
     "for k = 1, lane.back and #lane.back or 0 do",
     'what goes back in its order'),
    ('claim', "until nheld == total or n < want and gone == 0 or "
     "n >= TQ_LOOK_MAX", "until nheld == total or n < want and gone == 0",
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
    ('claim', "            call('ZREM', handler .. ':ready', lane.name)\n",
     "", 'an empty lane'),
    ('claim', "local used = lane.read + lane.at\n",
     "local used = lane.at\n", 'packs used stay'),
    ('claim', "        if lane.cut then\n", "        if false then\n",
     'a pack used in part'),
    ('claim', "for i = 6, argv[5] == '1' and #argv or 0, 2 do",
     "for i = 6, #argv, 2 do", 'markers that nobody took'),
    ('claim', "for i = 6, argv[5] == '1' and #argv or 0, 2 do",
     "for i = 6, 0, 2 do", 'marker not put back'),
    ('claim', "if header and find(header, SOUND) then", "if header then",
     'a record that cannot be read'),
    ('claim', "damaged = damaged or not is_run(run) and 'last run'",
     "damaged = damaged", 'a last run that cannot be read'),
    ('lib/heap', "a.place == b.place and a.index < b.index",
     "a.place == b.place", 'order of equal places'),
    # leases
    ('lib/lease', "    if left > 0 then\n", "    if true then\n",
     'a lease of nobody'),
    ('lib/lease', "fmt('%04d', left)", "fmt('%04d', left + n - 1)",
     'several that end at once'),
    ('lib/running', "sub(run, TQ_RUN_TOKEN) == token", "true",
     'runs of others'),
    ('extend', "if left > nheld then", "if false then",
     'jobs that its worker does not have'),
    ('extend', "sub(tokens[i], 13) == worker and not named[tokens[i]]",
     "sub(tokens[i], 13) == worker", 'named leases end'),
    ('extend', "sub(tokens[i], 13) == worker and not named[tokens[i]]",
     "not named[tokens[i]]", 'leases of others end'),
    ('extend', "    if nheld > 0 then\n", "    if true then\n",
     'a lease of nobody is extended'),
    ('extend', "or named[token] then", "then", 'a lease named twice'),
    ('extend', "        if #lost >= 2 * TQ_REAP_MAX then\n",
     "        if false then\n", 'all lost jobs at once'),
    ('extend', "state == 'C' and held_by == '000000000000' .. worker",
     "false", 'cancel not told'),
    ('release', "not seen[id] and", "", 'released twice'),
    ('lib/back', "if sub(run, TQ_RUN_STATE) == 'E' then", "if false then",
     'a cancelled series goes on'),
    ('lib/batch', "    add_pack(back, handler, priority, id .. ' 1 ' .. id)\n"
     "    bump('back:' .. handler, 1)\n",
     "    add_pack(back, handler, priority, id .. ' 1 ' .. id)\n",
     'what was given back does not wait'),
    ('reap', "local crashes, h = crashes_of(run) + 1,",
     "local crashes, h = crashes_of(run),", 'crashes not counted'),
    ('reap', "    if requeued + failed >= TQ_REAP_MAX then\n",
     "    if false then\n", 'all leases at once'),
    ('reap', "if #tokens == TQ_REAP_MAX then", "if false then",
     'more leases than it read'),
    ('reap', "    left[tokens[i]] = math.huge\n", "",
     'a lease whose jobs are gone'),
    ('reap', "    if not is_run(run) then\n", "    if false then\n",
     'the run of a lost job that cannot be read'),
    ('lib/clock', "if cursor == '' and now >= was - TQ_CLOCK_BACK_MS then",
     "if true then", 'a clock that was set back'),
    ('lib/clock', "got[1] == '0' and now13 or was .. ' ' .. got[1]",
     "now13", 'a clock that was set back, with many jobs'),
    ('lib/clock', "call('ZADD', P .. 'leased', latest, long[i])",
     "latest = latest", 'a lease of years'),
    # complete, fail
    ('complete', "or find(run, token, TQ_RUN_TOKEN_FIRST, true) "
     "~= TQ_RUN_TOKEN_FIRST\n",
     "or sub(run, TQ_RUN_WORKER) ~= sub(token, 13)\n",
     'the token of an earlier claim'),
    ('complete', "if state ~= RUNNING and state ~= ENDING\n",
     "if state == 83\n", 'a token after its lease ended'),
    ('complete', "        elseif seen[id] then\n", "        elseif false then\n",
     'twice in one call'),
    ('complete', "if since ~= started then", "if not started then",
     "a duration by the neighbour's"),
    ('complete', "jobs = tonumber(match(head, '^%d+$', 30) or 0)",
     "jobs = tonumber(sub(head, 30)) or 1", 'tokens of any length'),
    ('complete', "or jobs > TQ_CLAIM_MAX\n", "\n",
     'a group larger than any claim'),
    ('complete', "if npack == TQ_FINISHED_PACK or keep ~= expires then",
     "if keep ~= expires then", 'packs of any length'),
    ('complete', "if npack == TQ_FINISHED_PACK or keep ~= expires then",
     "if npack == TQ_FINISHED_PACK then", 'another retention in the pack'),
    ('complete', "        bump('left:' .. handler_at(run, h), -1)\n", "",
     'runs of a series counted twice'),
    ('complete', "bump('success_periodic', periodic and #periodic or 0)",
     "bump('success_periodic', 0)", 'runs of a series are finished jobs'),
    ('complete', "or version ~= VERSION or not handler", "or not handler",
     "another version's run"),
    ('complete', "        weigh(packs)\n", "", 'what is not weighed'),
    ('fail', "attempts <= budget(run, h)", "attempts < budget(run, h)",
     'one run too few'),
    ('fail', "if kind == '1' and state == 'R' and", "if kind == '1' and",
     'a cancelled series is retried'),
    ('fail', "    trim_dead()\n", "", 'dead_max not held'),
    ('fail', "is_periodic(run, h) and kind ~= 'd' then",
     "is_periodic(run, h) then", 'a periodic job that cannot be read'),
    ('fail', "    elseif seen[id] then\n        return 1\n", "",
     'failed twice in one call'),
    ('lib/periodic',
     "    return base + (floor((now - base) / step) + 1) * step\n",
     "    return now < base and base\n"
     "           or base + (floor((now - base) / step) + 1) * step\n",
     'a periodic job before its base'),
    ('lib/periodic', "floor((now - base) / step) + 1", "1",
     'missed runs are caught up'),
    ('lib/run', "local NO_COUNTER, NO_TIME = '000000000000',",
     "local NO_COUNTER, NO_TIME = '000000000001',",
     'a token that was taken back'),
    # finished, dead
    ('sweep', "and looked + #ids < TQ_SWEEP_MAX\n", "\n",
     'a sweep without a bound'),
    ('sweep', "local gone = { unpack(members, 1, taken) }",
     "local gone = members", 'packs that were read and not swept'),
    ('sweep', "call('HINCRBY', P .. 'stats', 'finished_gone', there)",
     "call('HINCRBY', P .. 'stats', 'finished_gone', #ids)",
     'a job of a pack, deleted and swept, counted twice'),
    ('sweep', "          and not (over and over <= 0)\n", "\n",
     'more dropped than the bound of bytes asks'),
    ('sweep', "ipairs({ 'finished', 'dead' })",
     "ipairs({ 'dead', 'finished' })",
     'dead jobs dropped before finished ones'),
    ('sweep', "        count_dead_out(ids)\n", "", 'gauge after a sweep'),
    ('lib/unlink', "others[n + 3] = P .. 'b:' .. id",
     "others[n + 3] = P .. 'l:' .. id", 'payloads of swept jobs'),
    ('lib/dead', "    count_dead_out(ids)\n", "", 'gauge of dropped jobs'),
    ('lib/dead', "call('HINCRBY', P .. 'stats', 'dead_dropped', #ids)",
     "ids = ids", 'dropped jobs not counted'),
    ('lib/batch', "        weigh(dead)\n", "",
     'dead jobs that are not weighed'),
    ('lib/bytes', "                + call('STRLEN', P .. 'b:' .. id)\n", "",
     'payloads aside weigh nothing'),
    # people
    ('cancel', "    tell_worker(id, run)\n", "", 'worker not told'),
    ('cancel', "    bump('cancelled', 1)\n    flush()\n",
     "    flush()\n", 'cancelled ones not counted'),
    ('lib/tell', "call('HINCRBY', P .. 'stats', 'back:' .. handler, -1)",
     "handler = nil", 'cancelled ones wait'),
    ('lib/tell', "call('HINCRBY', P .. 'stats', 'sch:' .. handler, -1)",
     "handler = handler", 'gauge of scheduled jobs, cancelled'),
    ('retry', "unweigh({ id })\n", "", 'a retried job that is weighed on'),
    ('retry', "bump('dead:' .. handler, -1)", "bump('x', 0)",
     'gauge of dead jobs'),
    ('delete', "if left > 0 then", "if false then",
     'the key of a deleted job'),
    ('delete', "    leave_lease(sub(run, TQ_RUN_TOKEN), 1)\n", "",
     'a lease of a deleted job'),
    ('delete', "    call('HINCRBY', stats, 'left:' .. handler, 1)\n", "",
     'a deleted job runs'),
    ('delete', "    call('HINCRBY', stats, 'finished_gone', 1)\n", "",
     'deleted jobs are finished ones'),
    ('delete', "    count_dead_out({ id })\n", "",
     'gauge of dead jobs, deleted'),
    ('replay', "if due <= now then", "if due < 0 then",
     'a past time is scheduled again'),
    ('replay', "call('COPY', P .. 'b:' .. id, P .. 'b:' .. new)",
     "new = new", 'a replayed job without its payload'),
    # what is told
    ('stats', "if created ~= '' and (run == '' or run == 'W') then",
     "if created ~= '' then", 'the oldest was cancelled'),
    ('stats', "            elseif looks <= 0 then\n",
     "            elseif false then\n", 'looks without a bound'),
    ('stats', "                    - (ended[handler] or 0)\n", "",
     'those that succeeded run'),
    ('probe', "['sch:'] = -1, ", "", 'scheduled jobs wait'),
    ('list', "out = { id >= 1 and id + 1 or 0 }",
     "out = { id >= 1 and id or 0 }", 'a job between two pages'),
    ('list', "whole(rows[i], got[i])", "got[i]", 'a list without payloads'),
    ('config_set', "    call('UNLINK', P .. 'bytes')\n", "",
     'weights after there is no bound'),
    ('open', "    if call('EXISTS', P .. 'seq') == 1 then\n",
     "    if false then\n", 'a namespace of the first TaskMQ'),
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
