"""TaskDaemon's seven handler SDKs under the worker.

transcripts/*.jsonl hold what programs built on the SDKs answered, byte for
byte (C#'s was written from reading its source: its first line says so). They
differ in key order, spacing, escapes, a left out "retryable" or "result", an
"error" that is null, what an exception becomes, and what they do with keys
that they do not know; sdk_player.py plays them.
"""

import glob
import json
import os
import subprocess
import sys
import unittest
from concurrent.futures import ThreadPoolExecutor

from harness import BUILD, Stack, wait_for

HERE = os.path.dirname(os.path.abspath(__file__))
PLAYER = os.path.join(HERE, "sdk_player.py")
SDKS = {os.path.basename(p)[:-6]: p for p in sorted(glob.glob(
    os.path.join(HERE, "transcripts", "*.jsonl")))}
RETRIES = 3                 # of the TaskDaemon API, unless set

TEXT = {"case": "text", "s": "<é&+\"\\/'>\x7f\t", "n": 1.5,
        "list": [1, None, True, {}], "empty": "", "u": "\u2028"}

# case -> data, status, attempts, result
CASES = {
    "echo": ({"case": "echo"}, "completed", 1,
             {"echoed": {"case": "echo"}}),
    "null": ({"case": "null"}, "completed", 1, None),
    "error": ({"case": "error"}, "failed", 1, None),
    "retry": ({"case": "retry"}, "completed", 2, {"attempt": 2}),
    "text": (TEXT, "completed", 1, {"echoed": TEXT}),
    "noise": ({"case": "noise"}, "completed", 1, "done"),
    "slow": ({"case": "slow"}, "completed", 1, {"echoed": {"case": "slow"}}),
    "throw": ({"case": "throw"}, "failed", None, None),
}

# What an exception in a handler becomes: the error, and whether the program
# ends, which is tried again.
THROWN = {"python": ("^bad value$", 1), "cpp": ("^bad value$", 1),
          "csharp": ("^bad value$", 1), "nodejs": ("^Error: bad value$", 1),
          "java": (".", 1), "go": (r"\b2\b", 1 + RETRIES),
          "rust": (r"\b101\b", 1 + RETRIES)}


def rows(sdk):
    with open(SDKS[sdk], encoding="utf-8") as f:
        return [json.loads(line) for line in f]


class Transcripts(unittest.TestCase):

    def test_all_seven_are_there(self):
        self.assertEqual(set(SDKS), set(THROWN))
        for sdk in SDKS:
            head, *exchanges = rows(sdk)
            self.assertEqual(head["sdk"], sdk)
            self.assertEqual(set(CASES) - {r["case"] for r in exchanges},
                             set(), sdk)

    def test_they_have_the_differences_that_matter(self):
        def answer(sdk, case):
            return json.loads(next(r for r in rows(sdk) if r.get("case")
                                   == case)["out"][-1])

        def unknown(sdk):
            row = next(r for r in rows(sdk) if r.get("case") == "unknown key")
            return row.get("exit") or json.loads(row["out"][-1])["status"]

        self.assertNotIn("retryable", answer("go", "error"))
        self.assertNotIn("result", answer("go", "null"))
        self.assertNotIn("result", answer("nodejs", "null"))
        self.assertIsNone(answer("java", "throw")["error"])
        self.assertEqual({sdk: unknown(sdk) for sdk in SDKS}, {
            "python": 1, "java": "error", "cpp": "success", "go": "success",
            "csharp": "success", "nodejs": "success", "rust": "success"})

    def test_player(self):
        """The player itself: pipes in place of a worker."""
        for sdk in SDKS:
            for case, (data, status, _, _) in CASES.items():
                line = json.dumps({"task_id": "x", "task_type": sdk,
                                   "task_data": data, "attempt": 1})
                out = subprocess.run([sys.executable, PLAYER, SDKS[sdk]],
                                     input=line + "\n", text=True,
                                     capture_output=True)
                row = next(r for r in rows(sdk) if r.get("case") == case)
                self.assertEqual(out.stdout, "".join(row["out"]))
                self.assertEqual(out.returncode, row.get("exit", 0))
        line = json.dumps({"task_id": "x", "task_type": "x", "more": 1,
                           "task_data": {"case": "echo"}, "attempt": 1})
        out = subprocess.run([sys.executable, PLAYER, SDKS["python"]],
                             input=line + "\n", text=True,
                             capture_output=True)
        self.assertEqual((out.stdout, out.returncode), ("", 1))
        line = json.dumps({"task_id": "x", "task_type": "x", "attempt": 1,
                           "task_data": {"case": "slow"}}) + "\n"
        out = subprocess.run([sys.executable, PLAYER, SDKS["python"]],
                             input=line * 2, text=True, capture_output=True)
        self.assertEqual((out.stdout, out.returncode), ("", 99))

    def test_check_handler(self):
        """What the worker takes is no fault to `taskmq check-handler`; an
        exception that is an error without a text (Java) is a note."""
        def check(sdk, bad):
            out = subprocess.run(
                [os.path.join(BUILD, "taskmq"), "--json", "check-handler",
                 "--data", '{"case":"echo"}', "--bad",
                 json.dumps({"case": bad}), "--", sys.executable, PLAYER,
                 SDKS[sdk]], capture_output=True, text=True, timeout=120)
            self.assertEqual(out.returncode, 0, (sdk, out))
            self.assertEqual(
                {r["rule"] for r in json.loads(out.stdout)["rules"]
                 if r["verdict"] != "ok"},
                {"error"} if (sdk, bad) == ("java", "throw") else set(),
                (sdk, out.stdout))

        with ThreadPoolExecutor(4) as pool:
            for done in [pool.submit(check, sdk, bad) for sdk in SDKS
                         for bad in ("error", "throw")
                         if bad == "error" or THROWN[sdk][1] == 1]:
                done.result()

    def test_under_the_worker(self):
        handlers = {sdk: {"command": [sys.executable, PLAYER, path],
                          "instances": 2} for sdk, path in SDKS.items()}
        with Stack(api="taskdaemon", location="taskmq_auth off;",
                   handlers=handlers) as s:
            s.cli("config", "set", "retry_wait_ms", "20")
            tasks = {}
            for case, (data, *_) in CASES.items():
                for sdk in SDKS:
                    for n in range(2):
                        r = s.post("/queue", {"type": sdk, "data": data},
                                   token=None)
                        self.assertEqual(r.status, 200, r)
                        tasks[sdk, case, n] = r.json()["task_id"]
            s.worker("--concurrency", 14)

            def read(task):
                return s.get("/api/tasks/" + task, token=None).json()

            for (sdk, case, n), task in tasks.items():
                with self.subTest(sdk=sdk, case=case):
                    got = wait_for(lambda: (lambda t: t["status"] in (
                        "completed", "failed") and t)(read(task)), 30,
                        "%s: %s ends" % (sdk, case))
                    self.check(sdk, case, got)

    def check(self, sdk, case, got):
        _, status, attempts, result = CASES[case]
        self.assertEqual(got["status"], status, got)
        self.assertEqual(got["result"], result)
        if case == "throw":
            error, attempts = THROWN[sdk]
            self.assertRegex(got["last_error"], error)
        elif case == "error":
            self.assertEqual(got["last_error"], "no such file")
        self.assertEqual(got["attempts"], attempts, got)


if __name__ == "__main__":
    unittest.main()
