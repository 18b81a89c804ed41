#!/usr/bin/env python3
"""Holds the form of the C code, which is nginx's: what clang-format cannot say
(two blanks before the names of a block's declarations, comments in a column of
their own, the brace of a condition of several lines below it).

    tests/style.py [--fix] [FILE ...]    --fix mends what can be mended so

Lines of 80 characters, 4 blanks a level, no tab, no blank at an end, no //. A
function's type has a line of its own, and so has its brace. The declarations
that begin a block stand in columns. A function has 80 lines at most (a test's
table may be longer), a file 620."""

import glob
import os
import re
import sys

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
FOLDERS = ("libtaskmq", "ngx_taskmq_module", "taskmq-worker", "taskmq-cli",
           "tests/unit", "tests/fuzz", "bench/tools", "clients/c")
FILE_LINES, FUNCTION_LINES, COLUMNS = 620, 80, 80

DECLARATION = re.compile(
    r"^( +)((?:(?:static|const|volatile|unsigned|signed|struct|enum|union|long)"
    r" +)*[A-Za-z_]\w*(?: const| int| long| char)*)( +)(\**(?:const )?)"
    r"([A-Za-z_]\w*(?:\[[^\]]*\])*)( *[,;=].*| *:\d+;.*)?$")
NO_TYPE = re.compile(r"^ +(return|goto|else|case|break|continue|sizeof|do|"
                     r"typedef|extern|default)\b")
CONTROL = re.compile(r"^( *)(?:\} else )?(?:if|while|for|switch) \(")
# A line of a text for people may be as long as what it prints, and quotes.
TEXT = re.compile(r'^ *"[^"]{,80}\\n"[ \\},;)]*$|^ *assert.*strstr')


def strip(line):
    """A line without what stands in quotes and comments of one line."""
    line = re.sub(r'"(?:\\.|[^"\\])*"', '""', line)
    line = re.sub(r"'(?:\\.|[^'\\])'", "''", line)
    return re.sub(r"/\*.*?\*/", "", line)


def columns(block):
    """Lines of declarations whose names are not in one column, two blanks from
    the longest type, and what they should be."""
    parts = [DECLARATION.match(line) for _, line in block]
    if len({p.start(5) for p in parts}) == 1 \
            and min(p.start(4) - p.end(2) for p in parts) > 1:
        return
    width = max(len(p[1]) + len(p[2].rstrip()) + len(p[4]) for p in parts) + 2
    for (n, line), p in zip(block, parts):
        head = p[1] + p[2].rstrip()
        right = " " * (width - len(head) - len(p[4])) + p[4]
        yield n, line, head + right + p[5] + (p[6] or "")


def braces(lines):
    """(line, its control statement) of braces that end a condition of several
    lines."""
    for n, line in enumerate(lines):
        m = CONTROL.match(line)
        if not m:
            continue
        depth, k = 0, n
        while True:
            bare = strip(lines[k])
            depth += bare.count("(") - bare.count(")")
            if depth <= 0 or k + 1 == len(lines):
                break
            k += 1
        if k > n and strip(lines[k]).rstrip().endswith(") {"):
            yield k, m[1]


class Source:
    def __init__(self, path):
        self.path = path
        with open(path, encoding="utf-8") as f:
            self.text = f.read()
        self.lines = self.text.split("\n")
        self.wrong = []

    def note(self, n, what):
        self.wrong.append("%s:%d: %s" % (os.path.relpath(self.path, ROOT),
                                         n + 1, what))

    def plain(self):
        comment = False
        for n, line in enumerate(self.lines):
            if len(line) > COLUMNS and not TEXT.match(line):
                self.note(n, "%d characters" % len(line))
            if "\t" in line or line != line.rstrip():
                self.note(n, "a tab, or a blank at the end")
            if not comment and re.search(r"(^|[^:])//", strip(line)):
                self.note(n, "a comment with //")
            comment = (line.rfind("/*") > line.rfind("*/")) or (
                comment and "*/" not in line)
        if not self.text.endswith("\n") or self.text.endswith("\n\n"):
            self.note(len(self.lines) - 1, "one newline ends a file")
        if len(self.lines) > FILE_LINES:
            self.note(FILE_LINES, "more than %d lines" % FILE_LINES)

    def functions(self):
        start = None
        for n, line in enumerate(self.lines):
            if line == "{":
                start = n
                name = n - 1
                while name > 0 and self.lines[name][:1] in (" ", ""):
                    name -= 1
                if not re.match(r"[A-Za-z_]\w*\(", self.lines[name]):
                    self.note(name, "a function's name begins its line")
            elif line == "}" and start is not None:
                if n - start > FUNCTION_LINES \
                        and "/tests/" not in self.path:
                    self.note(start, "%d lines of a function" % (n - start))
                start = None

    def declarations(self, fix):
        n = 0
        while n < len(self.lines):
            if not self.lines[n].rstrip().endswith("{"):
                n += 1
                continue
            n += 1
            block = []
            while n < len(self.lines) and not NO_TYPE.match(self.lines[n]) \
                    and DECLARATION.match(self.lines[n]) \
                    and "(" not in self.lines[n].split("=")[0]:
                block.append((n, self.lines[n]))
                n = self.after_comment(n)
            for k, is_, should in columns(block) if block else ():
                if is_ != should:
                    if fix:
                        self.lines[k] = should
                    else:
                        self.note(k, "declarations stand in columns")

    def after_comment(self, n):
        """The line after this one and the rest of a comment that it begins."""
        if self.lines[n].rfind("/*") > self.lines[n].rfind("*/"):
            while "*/" not in self.lines[n]:
                n += 1
        return n + 1

    def control(self, fix):
        for k, indent in sorted(braces(self.lines), reverse=True):
            if fix:
                self.lines[k:k + 1] = [self.lines[k].rstrip()[:-2],
                                       indent + "{"]
            else:
                self.note(k, "a condition of several lines has its brace below")


def main():
    fix = "--fix" in sys.argv
    files = [a for a in sys.argv[1:] if a != "--fix"] or sorted(
        p for folder in FOLDERS for p in glob.glob(
            os.path.join(ROOT, folder, "**", "*.[ch]"), recursive=True))
    wrong = []
    for path in files:
        s = Source(path)
        if fix:
            s.declarations(True)
            s.control(True)
            text = "\n".join(s.lines)
            if text != s.text:
                with open(path, "w", encoding="utf-8") as f:
                    f.write(text)
            continue
        s.plain()
        s.functions()
        s.declarations(False)
        s.control(False)
        wrong += s.wrong
    for line in wrong:
        print(line, file=sys.stderr)
    if not fix:
        print("%d files; %d passed, %d failed" % (len(files), not wrong,
                                                  bool(wrong)))
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
