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
    ('enqueue', "no = use[2] == ask[2] and use[1] or -1",
     "no = use[1]", 'another body under a used key'),
    ('enqueue', "            used[P .. 'u:' .. key] = { first, ask[2] }\n",
     "            used = used\n", 'the same key twice in one call'),
    ('enqueue', "        look = info[2] == 0\n", "        look = false\n",
     'no wake-up'),
    ('enqueue', "time > now and time or nil", "time > 0 and time or nil",
     'a past due time is scheduled'),
    ('enqueue', "if id_low > 99 then", "if false then", 'ids past a hundred'),
    ('enqueue', "if score_low == edge then", "if not score_text then",
     'scores past a hundred'),
    ('enqueue', "fmt('%d', step == 1 and base + place\n"
     "                                      or base - 1 - place)",
     "(step == 1 and base + place or base - 1 - place) .. ''",
     'scores rounded to 14 digits'),
    ('enqueue', "plain and not no and id - first + 1 or 1", "1",
     'neighbours without an answer'),
    ('enqueue', "local over, idle = names + nfresh - HANDLERS_MAX, {}",
     "local over, idle = names + nfresh - HANDLERS_MAX - 1, {}",
     '1,001 names'),
    ('claim', "            rest[i] = more == 2 * free\n",
     "            rest[i] = false\n", 'marker not armed again'),
    ('claim', "                    for k = 1, more do\n",
     "                    for k = 1, 2 do\n", 'a second handler\'s jobs'),
    ('claim', "        if parts[nparts - 1] ~= i then\n",
     "        if nparts == 0 then\n", 'whose jobs run'),
    ('claim', "            part = part + 2\n        end\n        call('ZADD'",
     "            break\n        end\n        call('ZADD'",
     'jobs given back to another handler'),
    ('claim', "        rest[i] = left[i] == 0\n", "",
     'a marker taken without slots'),
    ('claim', "        taken[i] = taken[i] + 1\n        at = at + 2\n"
     "        if taken[i] == left[i] then",
     "        taken[i] = taken[i] + 1\n        at = at + 2\n"
     "        if false then", 'more jobs than a handler has slots'),
    ('claim', "sub(run, 63, 79)\n                          .. AGAIN",
     "'000 0 0000000000 '\n                          .. AGAIN",
     'attempts forgotten'),
    ('claim', "                    nfree = nfree - tonumber(argv[i + 1])\n"
     "                    argv[i + 1] = '0'\n", "",
     'jobs given before all are moved'),
    ('claim', "call('HINCRBY', P .. 'stats', 'sch:' .. handler, -n)",
     "n = n", 'gauge of scheduled jobs'),
    ('complete', "find(run, asked, 2, true) ~= 2",
     "find(run, sub(asked, 13), 14, true) ~= 14",
     'the token of an earlier claim'),
    ('complete', "elseif state ~= RUNNING and state ~= ENDING then",
     "elseif state == SUCCEEDED then", 'a token after its lease ended'),
    ('complete', "if verdict == 0 and seen[id] then", "if false then",
     'twice in one call'),
    ('complete', "    if asked ~= token then\n        lead,",
     "    if not token then\n        lead,",
     'another token beside a good one'),
    ('complete', "elseif find(run, lead, 1, true) ~= 1 then",
     "elseif lead == '-' then", 'a state, a start, by the neighbour\'s'),
    ('complete', "elseif prefix and find(run, prefix, 1, true) == 1 then",
     "elseif prefix and find(run, lead, 1, true) == 1 then",
     'attempts by the neighbour\'s'),
    ('complete', "elseif result ~= new_result then", "elseif false then",
     'the neighbour\'s result'),
    ('complete', "same, new_result, base = run, result, nil",
     "same, new_result = run, result", 'the run before the neighbour\'s'),
    ('complete', "or last > #argv", "", 'arguments that are not there'),
    ('complete', "        runs[from + i - 1] = more[i]\n", "",
     'more than 4,000 jobs'),
    ('complete', "if not name or find(run, name, h + 27, true) ~= h + 27 then",
     "if not name then", 'the handler of a neighbour'),
    ('complete', "for i = packs[p], last, FINISHED_PACK do",
     "for i = packs[p], last, FINISHED_PACK + 1 do", 'a job in no pack'),
    ('complete', "if gone ~= pack_gone then", "if not pack_gone then",
     'another retention in the pack'),
    ('complete', "    bump('success_periodic', #periodic)\n", "",
     'runs of a series are finished jobs'),
    ('fail', "attempts <= budget(run, h)", "attempts < budget(run, h)",
     'one run too few'),
    ('fail', "if retryable and state == 'R' and", "if retryable and",
     'a cancelled series is retried'),
    ('fail', "    flush(nil, dead_max)\n", "    flush(nil, 1e9)\n",
     'dead_max not held'),
    ('release', "or not find(run, '^[RE]')", "", 'released twice'),
    ('extend', "state == 'C' and held == NO_COUNTER .. worker", "false",
     'cancel not told'),
    ('reap', "local crashes = sub(run, 67, 67) + 1",
     "local crashes = sub(run, 67, 67) + 0", 'crashes not counted'),
    ('recover', "not held[id] and", "", 'held jobs released'),
    ('recover', "if not seen[id] then", "if false then",
     'a page ends among equal times'),
    ('cancel', "    tell_worker(id, run)\n", "", 'worker not told'),
    ('retry', "bump('dead:' .. handler, -1)", "bump('x', 0)",
     'gauge of dead jobs'),
    ('delete', "    off('leased', 'left:', 1)\n", "", 'lease of no job'),
    ('delete', "    call('HINCRBY', P .. 'stats', 'finished_gone', '1')\n",
     "", 'deleted jobs are finished ones'),
    ('replay', "if due <= now then", "if due < 0 then",
     'a past time is scheduled again'),
    ('list', "out = { id >= 1 and id + 1 or 0 }",
     "out = { id >= 1 and id or 0 }", 'a job between two pages'),
    ('config_set', "'moving', '1'", "'moved', '1'", 'jobs left behind'),
    ('lib/run', "if sub(run, 1, 1) == 'E' then", "if false then",
     'a cancelled series goes on'),
    ('lib/run', "floor((now - base) / step) + 1", "1",
     'missed runs are caught up'),
    ('lib/run', "        score = score_of(mode, tonumber(sub(run, h + 3, h + 5"
     ")),\n                         place_of(was, score))\n", "",
     'score of another mode'),
    ('lib/batch', "        bulk('ZADD', ready_key(handler, mode), list)\n"
     "        arm(handler)\n",
     "        bulk('ZADD', ready_key(handler, mode), list)\n",
     'no wake-up for what came back'),
    ('lib/batch', "bump('dead_dropped', #got / 2)", "bump('x', 0)",
     'dropped jobs not counted'),
    ('lib/sweep', "call('UNLINK', unpack(others))", "others = others",
     'keys of swept jobs'),
    ('lib/sweep', "'finished_gone', there)", "'finished_gone', n)",
     'a job of a pack, deleted and swept, counted twice'),
    ('lib/sweep', "unpack(got, 1, taken)", "unpack(got)",
     'packs that were read and not swept'),
    ('lib/sweep', "if sweep_ids + n >= sweep_limit then", "if false then",
     'a sweep without a bound'),
    ('reap', "sweep_ids >= SWEEP_MAX", "swept >= SWEEP_MAX",
     'packs of deleted jobs are not work'),
    ('lib/sweep', "call('HINCRBY', P .. 'stats', 'dead:' .. handler, -k)",
     "k = k", 'gauge after a sweep'),
]

def main():
    only = sys.argv[1] if len(sys.argv) > 1 else ''
    passed = failed = 0
    for name, old, new, note in MUTANTS:
        if only not in name + ' ' + note:
            continue
        with tempfile.TemporaryDirectory() as folder:
            lua = os.path.join(folder, 'lua')
            shutil.copytree(tmq.LUA, lua)
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
            p = subprocess.run(
                [sys.executable, os.path.join(tmq.HERE, 'run.py'), '--first',
                 '--ops', '4000'], stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT, text=True,
                env=dict(os.environ, TMQ_LUA=lua))
        found = [x for x in p.stdout.splitlines() if x.startswith('FAILED')]
        if p.returncode == 0 or not found:
            print('FAILED %s: %s: nobody noticed' % (name, note))
            failed += 1
        else:
            print('ok %s: %s: %s' % (name, note, found[0][7:]), flush=True)
            passed += 1
    print('%d passed, %d failed' % (passed, failed))
    return 1 if failed else 0


if __name__ == '__main__':
    sys.exit(main())
