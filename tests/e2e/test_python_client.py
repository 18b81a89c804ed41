"""clients/python/taskmq: TaskMQ handler modules, driven over pipes the way
taskmq-worker drives them."""

import base64
import hashlib
import hmac
import http.server
import json
import os
import select
import signal
import subprocess
import sys
import tempfile
import textwrap
import threading
import unittest

from harness import Stack

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(
    os.path.abspath(__file__))))
CLIENT = os.path.join(ROOT, "clients", "python")
BUILD = os.path.abspath(os.path.join(ROOT, os.environ.get("BUILD", "build")))
WAIT_S = 20

MODULE = '''
import asyncio, logging, os, subprocess, sys
from taskmq.jobs import handlers
from taskmq.jobs.handlers import register_handler

log = logging.getLogger(__name__)

@register_handler("show")
def show(job):
    return {"id": job.id, "payload": job.payload, "handler": job.handler,
            "priority": job.priority, "retries": job.retries,
            "status": job.status.value}

@handlers.register_handler("later")
async def later(job):
    await asyncio.sleep(0.001)
    return "async " + job.payload["name"]

class Nap:
    def __await__(self):
        yield from asyncio.sleep(0).__await__()
        return "awaited"

register_handler("awaitable", lambda job: Nap())

@register_handler("noisy")
def noisy(job):
    print('{"status":"success","result":"printed, not returned"}')
    os.write(1, b"raw bytes on descriptor 1\\n")
    subprocess.run(["sh", "-c", "echo from a child; cat"], check=True)
    log.error("from logging")
    print("\\udcff is no text")
    return "done"

@register_handler("boom")
def boom(job):
    raise ValueError("Something went wrong")

@register_handler("boom_later")
async def boom_later(job):
    raise KeyError()

@register_handler("cancelled")
async def cancelled(job):
    raise asyncio.CancelledError("stopped inside")

@register_handler("leave")
def leave(job):
    sys.exit(3)

@register_handler("bad")
def bad(job):
    loop = []
    loop.append(loop)
    return {"set": {1}, "nan": float("nan"), "key": {1: 2}, "loop": loop,
            "big": "x" * 1100000, "object": object()}[job.payload["what"]]

@register_handler("odd_text")
def odd_text(job):
    return {"nul": "a\\0b", "\\udcff": ["\\ud800é", job.payload["echo"]]}

@register_handler("stay")
def stay(job):
    try:
        print("here")
        signal_wait()
    finally:
        print("cleaned up")

def signal_wait():
    import signal
    signal.sigtimedwait([signal.SIGUSR1], 60)

@register_handler("strict")
def strict(job):
    print("working on", job.payload)
    if job.payload.get("fail"):
        raise ValueError("refused")
    return sorted(job.payload)

@register_handler("chain")
def chain(job):
    from taskmq.storage import get_backend
    return get_backend().insert_job('{"step": 2}', handler="step2")
'''


def job(handler, payload=None, **keys):
    line = {"task_id": "6f1c6b1e-0000-8000-8000-000000000001",
            "task_type": handler, "task_data": payload or {}, "attempt": 1,
            "job_id": 7, "priority": 10, "retries": 0, "handler": handler}
    line.update(keys)
    return line


class Child:
    """A runner over pipes; closes and reaps what it started."""

    def __init__(self, argv, cwd, **env):
        self.stderr = tempfile.TemporaryFile()
        self.proc = subprocess.Popen(
            argv, cwd=cwd, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
            stderr=self.stderr,
            env={"PATH": os.environ["PATH"], "PYTHONPATH": CLIENT, **env})

    def __enter__(self):
        return self

    def __exit__(self, *_exc):
        if self.proc.poll() is None:
            self.proc.kill()
        self.proc.wait()
        self.proc.stdout.close()
        if not self.proc.stdin.closed:
            self.proc.stdin.close()
        self.stderr.close()

    def send(self, line):
        self.proc.stdin.write(json.dumps(line).encode() + b"\n")
        self.proc.stdin.flush()

    def answer(self):
        if not select.select([self.proc.stdout], [], [], WAIT_S)[0]:
            raise AssertionError("no answer; log:\n" + self.log())
        line = self.proc.stdout.readline()
        if not line:
            raise AssertionError("no answer, closed; log:\n" + self.log())
        return json.loads(line)

    def ask(self, *args, **keys):
        """The answer without its task_id, which must be the task's."""
        task = job(*args, **keys)
        self.send(task)
        answer = self.answer()
        if answer.pop("task_id", None) != task["task_id"]:
            raise AssertionError("not the task's id")
        return answer

    def log(self):
        self.stderr.seek(0)
        return self.stderr.read().decode("utf-8", "replace")

    def end(self):
        """Closes the input; the rest of the output and the exit status."""
        self.proc.stdin.close()
        rest = self.proc.stdout.read()
        return rest, self.proc.wait(WAIT_S)


class PythonClient(unittest.TestCase):

    def setUp(self):
        tmp = tempfile.TemporaryDirectory()
        self.addCleanup(tmp.cleanup)
        self.dir = tmp.name
        self.write("my_handlers.py", MODULE)

    def write(self, name, text):
        path = os.path.join(self.dir, name)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "w", encoding="utf-8") as out:
            out.write(textwrap.dedent(text))

    def runner(self, *modules, **env):
        return Child([sys.executable, "-m", "taskmq.worker",
                      *(modules or ["my_handlers"])], self.dir, **env)

    def test_job_fields_and_end_of_input(self):
        with self.runner() as child:
            payload = {"name": "Zoë", "n": 12345678901234567890, "l": [1]}
            self.assertEqual(
                child.ask("show", payload, retries=2, job_id=9007199254740991),
                {"status": "success", "result": {
                    "id": 9007199254740991, "payload": payload,
                    "handler": "show", "priority": 10, "retries": 2,
                    "status": "RUNNING"}})
            self.assertEqual(child.end(), (b"", 0))

    def test_many_handlers_in_one_process(self):
        with self.runner() as child:
            for _ in range(3):
                self.assertEqual(child.ask("later", {"name": "x"}),
                                 {"status": "success", "result": "async x"})
                self.assertEqual(child.ask("awaitable"),
                                 {"status": "success", "result": "awaited"})
                self.assertEqual(child.ask("dummy"),
                                 {"status": "success", "result": None})
            self.assertEqual(child.end(), (b"", 0))
            self.assertIn("job 7", child.log())

    def test_prints_go_to_the_log(self):
        for encoding in ("C.UTF-8", "C"):
            with self.subTest(locale=encoding), \
                    self.runner(LC_ALL=encoding) as child:
                self.assertEqual(child.ask("noisy"),
                                 {"status": "success", "result": "done"})
                self.assertEqual(child.end(), (b"", 0))
                log = child.log()
                places = [log.find(text) for text in
                          ("printed, not returned", "raw bytes",
                           "from a child", "from logging", "udcff")]
                self.assertNotIn(-1, places, log)
                self.assertEqual(places, sorted(places), log)

    def test_exceptions_are_retryable_with_traceback(self):
        with self.runner() as child:
            self.assertEqual(child.ask("boom"), {
                "status": "error", "error": "Something went wrong",
                "retryable": True})
            self.assertEqual(child.ask("boom_later"), {
                "status": "error", "error": "KeyError()", "retryable": True})
            self.assertEqual(child.ask("cancelled"), {
                "status": "error", "error": "stopped inside",
                "retryable": True})
            self.assertEqual(child.ask("leave"), {
                "status": "error", "error": "the handler called sys.exit(3)",
                "retryable": True})
            self.assertEqual(child.ask("show")["status"], "success")
            self.assertEqual(child.end(), (b"", 0))
            log = child.log()
            self.assertIn("Traceback (most recent call last)", log)
            self.assertIn("ValueError: Something went wrong", log)
            self.assertIn("my_handlers.py", log)

    def test_whatever_a_handler_does_to_its_process(self):
        """Its own job has an answer, and the next one too."""
        self.write("wild.py", """
            import io, sys
            from taskmq.jobs.handlers import register_handler
            class Mute(Exception):
                def __str__(self):
                    raise ValueError("no text")
            @register_handler("wild")
            def wild(job):
                exec(job.payload["do"], {"sys": sys, "io": io, "Mute": Mute})
                return "done"
            """)
        for do, want in (
                ("raise Mute()", "Mute, whose text cannot be had"),
                ("raise KeyboardInterrupt('stop')", "stop"),
                ("raise GeneratorExit()", "GeneratorExit()"),
                ("sys.stdout = io.StringIO()", None),
                ("sys.stdout = sys.stderr = None", None),
                ("sys.stdout.close()", None), ("sys.stderr.close()", None),
                ("sys.stderr.close(); raise KeyError(1)", "1")):
            with self.subTest(do), self.runner("wild") as child:
                answer = child.ask("wild", {"do": do})
                self.assertEqual(answer, {
                    "status": "success", "result": "done"} if want is None
                    else {"status": "error", "error": want,
                          "retryable": True})
                self.assertEqual(child.ask("wild", {"do": "pass"})["result"],
                                 "done")
                self.assertEqual(child.end(), (b"", 0))

    def test_long_and_odd_error_text(self):
        self.write("odd.py", """
            from taskmq.jobs.handlers import register_handler
            @register_handler("odd")
            def odd(job):
                raise RuntimeError("\\0\\ud800" + "\\u00e9" * 20000)
            """)
        with self.runner("odd") as child:
            answer = child.ask("odd")
            text = answer["error"]
            self.assertTrue(text.startswith("\\x00\\ud800é"), text[:20])
            self.assertLessEqual(len(text.encode()), 16 * 1024)
            self.assertGreater(len(text.encode()), 16 * 1024 - 4)

    def test_results_that_are_not_json_say_so(self):
        words = {"set": "not JSON serializable", "nan": "not JSON compliant",
                 "key": "not a string",
                 "loop": "deeper", "big": "1100002 bytes",
                 "object": "not JSON serializable"}
        with self.runner() as child:
            for what, word in words.items():
                with self.subTest(what=what):
                    answer = child.ask("bad", {"what": what})
                    self.assertEqual(answer["status"], "error")
                    self.assertIs(answer["retryable"], False)
                    self.assertIn("return value", answer["error"])
                    self.assertIn(word, answer["error"])
            self.assertEqual(child.ask("show")["status"], "success")

    def test_any_string_is_a_result(self):
        """NUL and lone surrogates are JSON's, as escapes."""
        with self.runner() as child:
            self.assertEqual(child.ask("odd_text", {"echo": "\ud801\0"}), {
                "status": "success", "result": {
                    "nul": "a\0b", "\udcff": ["\ud800é", "\ud801\0"]}})

    def test_no_password_of_the_api_in_an_error(self):
        with self.runner(TASKMQ_API_URL="http://me:s3cret@127.0.0.1:9/",
                         TASKMQ_TOKEN="t") as child:
            answer = child.ask("chain")
            self.assertIn("TASKMQ_API_URL must have no", answer["error"])
            self.assertNotIn("s3cret", answer["error"] + child.log())

    def test_large_lines(self):
        with self.runner() as child:
            payload = {"text": "x" * 500000}
            answer = child.ask("show", payload)
            self.assertEqual(answer["result"]["payload"], payload)

    def test_unknown_handler_and_wrong_protocol(self):
        with self.runner() as child:
            answer = child.ask("nobody")
            self.assertIs(answer["retryable"], True)
            self.assertIn("'nobody'", answer["error"])
            self.assertIn("show", answer["error"])
            line = job("show")
            for key in ("job_id", "priority", "retries", "handler"):
                del line[key]
            child.send(line)
            self.assertIn('protocol = "taskmq"', child.answer()["error"])

    def test_sigterm_exits_0(self):
        for busy in (False, True):
            with self.subTest(busy=busy), self.runner() as child:
                self.assertEqual(child.ask("show")["status"], "success")
                if busy:
                    child.send(job("stay"))
                    while "here" not in child.log():
                        self.assertIsNone(child.proc.poll())
                        select.select([], [], [], 0.01)
                child.proc.send_signal(signal.SIGTERM)
                self.assertEqual(child.proc.wait(WAIT_S), 0)
                self.assertEqual(child.proc.stdout.read(), b"")
                if busy:
                    self.assertIn("cleaned up", child.log())

    def test_module_that_cannot_be_imported(self):
        self.write("broken.py", "print('on its way')\nimport no_such_module\n")
        with self.runner("broken") as child:
            self.assertEqual(child.end(), (b"", 1))
            self.assertIn("no_such_module", child.log())
            self.assertIn("on its way", child.log())

    def test_packages_paths_and_list(self):
        self.write("app/__init__.py", "")
        self.write("app/mail.py", """
            from taskmq.jobs.handlers import register_handler
            @register_handler("mail")
            def mail(job):
                return "mail"
            """)
        for module in ("app.mail", "app/mail.py"):
            with self.subTest(module=module), \
                    self.runner("my_handlers", module) as child:
                self.assertEqual(child.ask("mail")["result"], "mail")
                self.assertEqual(child.ask("show")["status"], "success")
        out = subprocess.run(
            [sys.executable, "-m", "taskmq.worker", "--list", "app.mail"],
            cwd=self.dir, env={"PYTHONPATH": CLIENT}, capture_output=True,
            text=True, check=True).stdout
        self.assertEqual(out.split(), ["dummy", "mail"])

    def test_own_script_with_worker_start(self):
        self.write("main.py", """
            import my_handlers
            from taskmq.worker import Worker
            if __name__ == "__main__":
                Worker(max_workers=4, max_retries=3).start()
            """)
        with Child([sys.executable, "main.py"], self.dir) as child:
            self.assertEqual(child.ask("noisy")["result"], "done")
            self.assertEqual(child.end(), (b"", 0))

    def test_register_handler_refuses_nonsense(self):
        self.write("bare.py", """
            from taskmq.jobs.handlers import register_handler
            @register_handler
            def forgot_the_name(job):
                pass
            """)
        with self.runner("bare") as child:
            self.assertEqual(child.end(), (b"", 1))
            self.assertIn("must be a string", child.log())

    def test_handlers_can_be_unit_tested(self):
        self.write("unit.py", """
            from taskmq.storage.base import Job, JobStatus
            from my_handlers import show
            job = Job(id=1, payload={"to": "x"}, status=JobStatus.RUNNING)
            assert show(job)["payload"] == {"to": "x"}, show(job)
            """)
        subprocess.run([sys.executable, "unit.py"], cwd=self.dir, check=True,
                       env={"PYTHONPATH": CLIENT})

    @unittest.skipUnless(os.access(os.path.join(BUILD, "taskmq"), os.X_OK),
                         "build/taskmq is not built")
    def test_check_handler(self):
        out = subprocess.run(
            [os.path.join(BUILD, "taskmq"), "check-handler", "--protocol",
             "taskmq", "--type", "strict", "--bad", '{"fail": true}',
             "--env", "PYTHONPATH=" + CLIENT, "--",
             sys.executable, "-m", "taskmq.worker", "my_handlers"],
            cwd=self.dir, capture_output=True, text=True, timeout=120)
        self.assertEqual(out.returncode, 0, out.stdout + out.stderr)
        self.assertNotRegex(out.stdout, "(?m)^note", out.stdout)

    def test_chaining_jobs_through_the_api(self):
        seen = []

        class Api(http.server.BaseHTTPRequestHandler):
            def do_POST(self):
                size = int(self.headers["Content-Length"])
                seen.append((self.path, self.headers["Authorization"],
                             json.loads(self.rfile.read(size))))
                code = 200 if len(seen) == 1 else 403
                body = (b'{"status":"ok","job_id":8}' if code == 200 else
                        b'{"detail":"Insufficient permissions"}')
                self.send_response(code)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_args):
                pass

        server = http.server.HTTPServer(("127.0.0.1", 0), Api)
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        self.addCleanup(thread.join)
        self.addCleanup(server.server_close)
        self.addCleanup(server.shutdown)
        url = "http://127.0.0.1:%d/" % server.server_port

        with self.runner(TASKMQ_API_URL=url,
                         TASKMQ_JWT_SECRET="s3cret") as child:
            self.assertEqual(child.ask("chain"),
                             {"status": "success", "result": 8})
            self.assertIn("Insufficient permissions",
                          child.ask("chain")["error"])
        path, auth, body = seen[0]
        self.assertEqual(path, "/add-job")
        self.assertEqual(body["payload"], {"step": 2})
        self.assertEqual(body["handler"], "step2")
        signed, _, mac = auth[len("Bearer "):].rpartition(".")
        want = hmac.new(b"s3cret", signed.encode(), hashlib.sha256).digest()
        self.assertEqual(base64.urlsafe_b64decode(mac + "="), want)

        with self.runner(TASKMQ_API_URL=url) as child:
            self.assertIn("TASKMQ_JWT_SECRET", child.ask("chain")["error"])


@unittest.skipUnless(os.access(os.path.join(BUILD, "taskmq-worker"), os.X_OK),
                     "build/taskmq-worker is not built")
class UnderTheWorker(unittest.TestCase):
    """The same module, as handlers.toml's command."""

    def test_jobs(self):
        with tempfile.TemporaryDirectory() as tmp:
            with open(os.path.join(tmp, "my_handlers.py"), "w") as f:
                f.write(MODULE)
            common = {"command": [sys.executable, "-m", "taskmq.worker",
                                  "my_handlers"],
                      "protocol": "taskmq", "instances": 1,
                      "env": {"PYTHONPATH": CLIENT + ":" + tmp}}
            with Stack(handlers={name: common for name in (
                    "show", "later", "noisy", "boom", "bad", "dummy")}) as s:
                s.worker()
                self.jobs(s)

    def jobs(self, s):
        show = s.add("show", {"a": [1]}, priority=20)
        job = s.wait_done(show)
        self.assertEqual(job["result"], {
            "id": show, "payload": {"a": [1]}, "handler": "show",
            "priority": 20, "retries": 0, "status": "RUNNING"})
        self.assertEqual(s.wait_done(s.add("later", {"name": "x"}))["result"],
                         "async x")
        self.assertIsNone(s.wait_done(s.add("dummy"))["result"])

        noisy = s.add("noisy")
        self.assertEqual(s.wait_done(noisy)["result"], "done")
        log = s.cli("logs", noisy).stdout.decode()
        for text in ("printed, not returned", "from a child", "from logging"):
            self.assertIn(text, log)

        boom = s.add("boom", retry_policy="none")
        self.assertEqual(s.wait_status(boom, "FAILED")["error_log"],
                         "Something went wrong")
        self.assertIn("Traceback", s.cli("logs", boom).stdout.decode())
        s.cli("config", "set", "retry_wait_ms", "20")
        boom = s.add("boom")
        self.assertEqual(s.wait_status(boom, "FAILED")["retries"], 3)
        bad = s.wait_status(s.add("bad", {"what": "set"}), "FAILED")
        self.assertIn("cannot be a result", bad["error_log"])
        self.assertEqual(bad["retries"], 1)


if __name__ == "__main__":
    unittest.main()
