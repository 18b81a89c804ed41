"""Answers that cannot be read, what is only noise, and text that is carried
from a client to a handler and back as it is."""

import json
import os
import sys
import unittest

from cli_stack import CliStack
from harness import ROOT, Stack, wait_for

E2E = os.path.join(ROOT, "tests", "e2e")
ODD = [sys.executable, os.path.join(E2E, "odd_handler.py")]

# line -> what its job's error says
UNREADABLE = {
    b'{"status":"success","result":{"x":NaN}}':
        "expected a value at byte 34, near: NaN}}",
    b'{"status": "success", "result": Infinity}': "at byte 32",
    b'\xef\xbb\xbf{"status":"success"}': "byte order mark at byte 0",
    b'{"status":"success","result":' + b"[" * 200 + b"]" * 200 + b"}":
        "nested deeper than 128 levels at byte 156",
    b'{"status":"success","result":"\xff"}': "invalid UTF-8 at byte 30",
    b'{"status":"success","result":"\xed\xa0\x80"}':
        "invalid UTF-8 at byte 30",
    b'{"status":"success","result":"\t"}': "control character",
    b'{"status":"success"\0}': "at byte 19",
    b'{"status":"success",}': "at byte 20",
    b'{"status":"success"}{"status":"success"}':
        "more text after the value at byte 20",
    b'{"status":"success","status":"error"}': "duplicate key at byte 20",
    b'{"status":"error","error":"\\x00"}': "unknown escape",
    b' \t{"status":"success"': "at byte 21",
    b'{"status":"ok","result":NaN}': "at byte 24",
}

# What people and libraries print.
NOISE = (b"{'status': 'success', 'result': None}", b'{"status":"ok"}',
         b'{"level":"info","msg":"x","status":200}', b'{"status":null}',
         b'{"result":NaN}', b'[{"status":"success"}]', b'"status"',
         b'done: {"status":"success","result":NaN}', b"{", b'{"stat',
         b'{"a":{"status":"success"}}', b"\xef\xbb\xbf")


class Answers(unittest.TestCase):

    @classmethod
    def setUpClass(cls):
        cls.s = CliStack(handlers={"odd": {"command": ODD, "instances": 1,
                                           "timeout": 20}}, aof=False)
        cls.addClassCleanup(cls.s.close)
        cls.w = cls.s.worker()

    def raw(self, line, **data):
        return self.s.add("odd", dict(data, do="raw",
                                      hex=(line + b"\n").hex()))

    def pid(self):
        return self.s.wait_done(self.s.add("odd", {"do": "look"}))[
            "result"]["pid"]

    def test_unreadable_is_the_answer(self):
        """At once, for good, with the place; the process goes on."""
        pid = self.pid()
        for line, says in UNREADABLE.items():
            with self.subTest(line):
                job = self.s.wait_status(self.raw(line), "FAILED", 10)
                self.assertIn("the answer cannot be read: ",
                              job["error_log"])
                self.assertIn(says, job["error_log"])
                self.assertEqual(job["retries"], 1)
        self.assertEqual(self.pid(), pid)

    def test_noise_stays_noise(self):
        pid = self.pid()
        job = self.s.wait_done(self.raw(b"\n".join(NOISE), then="answer"))
        self.assertEqual((job["result"], job["retries"]), ("after", 0))
        self.assertEqual(self.pid(), pid)
        wait_for(lambda: self.w.tail(20000).count("stdout line skipped")
                 >= len(NOISE), 10)

    def test_unreadable_before_the_answer(self):
        """A log that looks like one costs its job, and no other's result."""
        pid = self.pid()
        job = self.s.wait_status(self.raw(b'{"status":NaN}', then="answer"),
                                 "FAILED")
        self.assertIn("expected a value at byte 10", job["error_log"])
        self.assertEqual(self.s.wait_done(self.s.add("odd", {
            "do": "ok", "result": 5}))["result"], 5)
        self.assertNotEqual(self.pid(), pid)

    def test_error_texts_are_made_text(self):
        """A file's name that is no UTF-8 is a lone surrogate in Python."""
        line = rb'{"status":"error","error":"no \udcff\u0000","retryable":false}'
        job = self.s.wait_status(self.raw(line), "FAILED")
        self.assertEqual(job["error_log"], "no \ufffd\ufffd")


class Carried(unittest.TestCase):
    """Byte for byte, from every way in to every way out."""

    DATA = (r'{"raw":1, "a":"x\u0000y", "\u0000":["\ud800","\udc00\ud800",'
            r'"\ud83d\ude00"],"n":1.10}')
    RESULT = r'{"a":1,"a":["\u0000","\ud800"],"\udfff":{"b":1,"\u0062":2}}'

    def stack(self, **kw):
        s = Stack(handlers={"t": {}, "odd": {"command": ODD}}, aof=False,
                  **kw)
        self.addCleanup(s.close)
        s.worker()
        return s

    def result(self):
        line = b'{"status":"success","result":%s}\n' % self.RESULT.encode()
        return {"do": "raw", "hex": line.hex()}

    def test_taskmq_api(self):
        s = self.stack()
        body = '{"handler":"t","payload":%s}' % self.DATA
        ids = [s.post("/add-job", body).json()["job_id"]]
        r = s.post("/add-jobs", "[%s,%s]" % (body, body))
        self.assertEqual(r.status, 200, r)
        ids += r.json()["job_ids"]
        self.assertEqual(len(ids), 3)
        for job in ids:
            s.wait_done(job)
            text = s.get("/job/%d" % job).body.decode()
            self.assertEqual(text.count(self.DATA), 2, text)
        job = s.add("odd", self.result())
        s.wait_done(job)
        self.assertIn(self.RESULT, s.get("/job/%d" % job).body.decode())

    def test_taskdaemon_api(self):
        s = self.stack(api="taskdaemon", location="taskmq_auth off;")

        def done(body):
            r = s.post("/queue", body, token=None)
            self.assertEqual(r.status, 200, r)
            path = "/api/tasks/" + r.json()["task_id"]
            wait_for(lambda: s.get(path, token=None).json()["status"]
                     == "completed", 10)
            return s.get(path, token=None).body.decode()

        self.assertIn(self.DATA, done('{"type":"t","data":%s}' % self.DATA))
        self.assertIn(self.RESULT, done(json.dumps({
            "type": "odd", "data": self.result()})))

    def test_command(self):
        s = CliStack(handlers={"t": {}, "odd": {"command": ODD}}, aof=False)
        self.addCleanup(s.close)
        s.worker()
        jobs = [int(s.run("add-job", "t", self.DATA)),
                s.add("t", self.DATA)]
        s.run("add-job", "t", "--from", "-", stdin=self.DATA.encode())
        jobs.append(jobs[-1] + 1)
        for job in jobs:
            s.wait_done(job)
            text = s.run("--json", "get-job", job).decode()
            self.assertEqual(text.count(self.DATA), 2, text)
            self.assertIn(r"x\u0000y", s.run("get-job", job).decode())
        job = s.add("odd", self.result())
        s.wait_done(job)
        self.assertIn(self.RESULT, s.run("--json", "get-job", job).decode())

    def test_the_envelope_is_strict(self):
        s = self.stack()
        for body in (r'{"handler":"t\u0000","payload":{}}',
                     r'{"handler":"\ud800","payload":{}}',
                     r'{"handler":"t","payload":{},"\u0000":1}',
                     r'{"handler":"t","payload":{},"\udc00":1}',
                     '{"handler":"t","handler":"t","payload":{}}',
                     r'{"handler":"t","payload":{"a":"\ud8"}}',
                     '{"handler":"t","payload":{"a":"\0"}}',
                     '{"handler":"t","payload":{"a":1,"a":2}}'):
            for path, text in (("/add-job", body),
                               ("/add-jobs", "[%s]" % body)):
                r = s.post(path, text)
                self.assertEqual(r.status, 422, (text, r))
                self.assertEqual(r.json()["detail"][0]["type"],
                                 "value_error.jsondecode", text)


class Lines(unittest.TestCase):
    """What common readers of lines cut at, but LF, never comes raw."""

    READER = ("import json,sys\n"
              "for line in sys.stdin.buffer:\n"
              "    text = line.decode()\n"
              "    pieces = [p for p in text.splitlines() if p]\n"
              "    task = json.loads(text)\n"
              "    print(json.dumps({'status': 'success', 'result': [len("
              "pieces), task['task_data']]}), flush=True)\n")

    def test_one_line_for_any_reader(self):
        data = {"a": "x\u2028y\u2029\x85z\x0b\x0c\x1c\x1d\x1e", "\u2028": 1}
        s = CliStack(handlers={"r": {"command": [sys.executable, "-c",
                                                 self.READER]}}, aof=False)
        self.addCleanup(s.close)
        s.worker()
        text = json.dumps(data, ensure_ascii=False)
        self.assertEqual(s.wait_done(s.add("r", text))["result"], [1, data])

    def test_node_readline(self):
        """The reader of Node's own documentation."""
        s = CliStack(handlers={"n": {"command": ["node", "-e", (
            "const rl = require('readline').createInterface({input: "
            "process.stdin, crlfDelay: Infinity});\n"
            "rl.on('line', l => { const t = JSON.parse(l); console.log("
            "JSON.stringify({status: 'success', result: t.task_data}));"
            "});\n")]}}, aof=False)
        self.addCleanup(s.close)
        s.worker()
        data = {"a": "\u2028 \u2029 \x85"}
        job = s.add("n", json.dumps(data, ensure_ascii=False))
        self.assertEqual(s.wait_done(job, 20)["result"], data)


if __name__ == "__main__":
    unittest.main()
