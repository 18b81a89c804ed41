"""Which commands of Redis each program can ever use, read from the sources:
what its C files send themselves, and what the scripts that they call send.
Nothing has to happen for a command to be found here."""

import glob
import os
import re

from harness import ROOT

LIB = os.path.join(ROOT, "libtaskmq")
LUA = os.path.join(LIB, "lua")
FOLDERS = {"nginx": "ngx_taskmq_module", "worker": "taskmq-worker",
           "cli": "taskmq-cli"}
GROUPS = ("client", "script", "config", "acl")

# The command may depend: call(lifo and 'RPOP' or 'LPOP', ... bulk() and
# to_lanes() name it where they are called.
LUA_CALL = re.compile(r"\bp?call\(\s*([^,)]*)"
                      r"|\b(?:bulk|to_lanes)\(\w+, ([^,)]*)")
HANDED_ON = ("unpack(words", "push", "command")
C_CALL = re.compile(r'(?:tq_call_args\(call, |tq_op_plain\()"([A-Z]+)"[,)];?'
                    r'(?:\s*tq_call_args\(call, "([A-Z]+)"\);)?')
C_SHAKE = re.compile(r'tq_handshake_add\(r, (?:NULL|\*s), "([A-Z]+)",'
                     r'\s*(?:"([A-Z]+)")?')
C_FUNCTION = re.compile(r"^(\w+)\([^;{}]*\)\n\{\n(.*?)^\}", re.M | re.S)
# A text, or what names functions.
C_VALUE = re.compile(r"^(?:static )?const \w+ +(\w+)(?:\[\])? =\n?(.*?);$",
                     re.M | re.S)


def text(path):
    with open(path) as f:
        return f.read()


def sources(folder):
    found = glob.glob(os.path.join(folder, "**", "*.c"), recursive=True)
    return [text(p) for p in sorted(found)]


def reached(start, bodies):
    """{name: body} of those that stand in start or in one reached, and start
    itself, under no name."""
    found, todo = set(), [start]
    while todo:
        for word in set(re.findall(r"\w+", todo.pop())):
            if word in bodies and word not in found:
                found.add(word)
                todo.append(bodies[word])
    return dict({name: bodies[name] for name in sorted(found)}, **{"": start})


def of_script(path):
    """A script's commands. Functions that are included and never called do not
    count."""
    def take(match):
        return "".join(included(os.path.join(LUA, "lib", name + ".lua"))
                       for name in match[1].split())

    def included(path):
        return re.sub(r"^[ \t]*--@include (.+)$", take, text(path),
                      flags=re.M)

    bodies = {}

    def keep(match):
        bodies[match[1]] = bodies.get(match[1], "") + match[2]
        return ""

    lines = re.sub(r"--.*", "", included(path))
    main = re.sub(r"^local function (\w+)(.*?)^end$", keep, lines,
                  flags=re.M | re.S)
    commands = set()
    for part in reached(main, bodies).values():
        for call in LUA_CALL.findall(part):
            command = call[0] or call[1]
            names = re.findall(r"'([A-Z]+)'", command)
            assert names or command in HANDED_ON, (path, command)
            commands.update(name.lower() for name in names)
    return commands


def of_text(part):
    """The commands in a piece of C: its own, and those of a script that is a
    text in it."""
    commands = set()
    for match in list(C_CALL.finditer(part)) + list(C_SHAKE.finditer(part)):
        command = match[1].lower()
        if command in GROUPS:
            command += "|" + match[2].lower()
        commands.add(command)
    # a script that Redis does not know any more is sent whole
    commands.update(c.lower() for c in
                    re.findall(r"\\n(EVAL|EVALSHA)\\r", part))
    commands.update(c.lower() for c in
                    re.findall(r"redis\.p?call\('([A-Z]+)'", part))
    return commands


def needed(role):
    """What a program needs, and never less. Everybody may AUTH."""
    bodies, commands = {}, set()
    for source in sources(LIB):
        bodies.update(C_FUNCTION.findall(source))
        bodies.update(C_VALUE.findall(source))
    mine = "\n".join(sources(os.path.join(ROOT, FOLDERS[role])))
    for part in reached(mine, bodies).values():
        commands |= of_text(part)
        for name in re.findall(r"&tq_script_(\w+)", part):
            commands |= of_script(os.path.join(LUA, name + ".lua"))
    # every handshake ends with a greeting; what is left are idle connections
    if "idle_ping_ms" not in mine:
        commands.discard("ping")
    return commands - {"auth"}
