"""The API reference: openapi.json against itself and against live answers,
the pages as files, and in a real browser."""

import http.server
import json
import os
import re
import shutil
import subprocess
import tempfile
import threading
import unittest

import api_table
import api_table_daemon
import openapi
from harness import BUILD, ROOT, SLOW, source

HERE = os.path.dirname(os.path.abspath(__file__))
BROWSER = os.path.join(BUILD, "browser")
CHROMIUM = os.environ.get("CHROMIUM") or shutil.which("chromium")

# Documented, and hard to bring about: a broken answer of Redis, broken HTTP
# framing of a body.
NOT_SEEN = {"400", "500"}
PREFIX = re.compile("^/(jobs-api|busy|secured|hasty|known|other)(?=/)")


class Document(unittest.TestCase):

    def test_structure_and_examples(self):
        for api in ("taskmq", "taskdaemon"):
            with self.subTest(api=api):
                self.assertEqual(openapi.Spec(api).check(), [])

    def test_the_check_can_fail(self):
        spec = openapi.Spec("taskmq")
        post = spec.doc["paths"]["/add-job"]["post"]
        post["responses"]["200"]["content"]["application/json"]["example"] = {
            "status": "ok"}
        post["tags"] = ["nothing"]
        spec.doc["paths"]["/job/{id}"]["get"]["parameters"] = []
        problems = " ".join(spec.check())
        for word in ("'job_id' is a required", "unknown tag",
                     "path parameters"):
            self.assertIn(word, problems)

    def test_every_route_of_the_module_and_no_other(self):
        with open(source("ngx_http_taskmq_endpoints.c")) as f:
            text = f.read()
        for api, table in (("taskmq", "ngx_http_taskmq_own_routes"),
                           ("taskdaemon", "ngx_http_taskmq_daemon_routes")):
            body = re.search(r"%s\[\] = \{(.*?)\n\};" % table, text, re.S)
            routes = set()
            for path, suffix, method in re.findall(
                    r'ngx_string\("([^"]*)"\),\s*(NULL|"[^"]*"),'
                    r"\s*NGX_HTTP_(\w+),", body.group(1)):
                if suffix != "NULL":
                    path += "{id}" + suffix.strip('"')
                routes.add(("/" + path, method.lower()))
            routes |= {("/" + path, "get") for path in re.findall(
                r'NGX_HTTP_TASKMQ_DOCS\("([^"]*)", NULL\)', body.group(1))}
            # pages, their files, redirects; other spellings
            routes = {r for r in routes if not re.match(
                "/(docs|redoc)/|/swagger-ui|/monitor/metrics/$"
                "|/api/tasks/redrive$", r[0])}
            documented = {(path, method) for path, item
                          in openapi.Spec(api).doc["paths"].items()
                          for method in item}
            with self.subTest(api=api):
                self.assertEqual(routes, documented)

    def live(self, api, replies):
        spec = openapi.Spec(api)
        seen = set()
        for method, path, reply, _ in replies:
            path = PREFIX.sub("", path)
            if re.match("/taskmq/|/(docs|redoc|swagger-ui)/", path):
                continue            # the other API's; the pages' own files
            got = spec.answered(method, path, reply)
            if got:
                seen.add(got)
        self.assertEqual(spec.problems[:20], [])
        missing = {(path, method, status)
                   for path, item in spec.doc["paths"].items()
                   for method, op in item.items()
                   for status in op["responses"]} - seen
        return {m for m in missing if m[2] not in NOT_SEEN}

    def test_taskmq_live(self):
        missing = self.live("taskmq", api_table.run().replies)
        # the pages are installed; a read-only call that times out
        self.assertEqual({m for m in missing if not (
            m[0] in ("/docs", "/redoc", "/openapi.json") and m[2] == "404"
            or m[2] in ("413", "415", "503", "504"))}, set())

    def test_taskdaemon_live(self):
        missing = self.live("taskdaemon", api_table_daemon.run().replies)
        self.assertEqual({m for m in missing if not (
            m[0] == "/openapi.json" and m[2] == "404"
            or m[2] in ("401", "403", "429", "503", "504"))}, set())


class Locks(unittest.TestCase):

    def test_they_name_no_registry(self):
        for folder in ("web", "tests/e2e/browser"):
            with open(os.path.join(ROOT, folder, "package-lock.json")) as f:
                lock = json.load(f)
            self.assertEqual(lock["lockfileVersion"], 3)
            for name, package in lock["packages"].items():
                if name:
                    self.assertNotIn("resolved", package, name)
                    self.assertIn("integrity", package, name)


class Pages(unittest.TestCase):
    """What nginx serves, and what a browser makes of it."""

    @classmethod
    def setUpClass(cls):
        cls.stack = api_table.stack()
        cls.addClassCleanup(cls.stack.close)

    def get(self, path, method="GET", **headers):
        return self.stack.request(method, path, token=None, headers=headers)

    def test_files(self):
        for path, name in (("/openapi.json", "openapi.json"),
                           ("/docs", "docs/index.html"),
                           ("/redoc", "redoc/index.html"),
                           ("/docs/swagger-ui-bundle.js",
                            "docs/swagger-ui-bundle.js"),
                           ("/docs/LICENSE", "docs/LICENSE"),
                           ("/redoc/favicon-32x32.png",
                            "redoc/favicon-32x32.png")):
            for prefix in ("", "/jobs-api"):
                with self.subTest(path=prefix + path):
                    r = self.get(prefix + path)
                    with open(os.path.join(BUILD, "web", "taskmq", name),
                              "rb") as f:
                        self.assertEqual(r.body, f.read())
                    self.assertEqual(r.status, 200)
                    self.assertEqual(r.headers["Cache-Control"], "no-cache")
                    self.assertEqual(r.headers["X-Content-Type-Options"],
                                     "nosniff")
                    head = self.get(prefix + path, "HEAD")
                    self.assertEqual(head.body, b"")
                    self.assertEqual(head.headers["Content-Length"],
                                     str(len(r.body)))
                    self.assertEqual(self.get(prefix + path, **{
                        "If-None-Match": r.headers["ETag"]}).status, 304)
                    self.assertEqual(self.get(prefix + path, **{
                        "If-Modified-Since": r.headers["Last-Modified"]}
                    ).status, 304)
                    part = self.get(prefix + path, Range="bytes=2-5")
                    self.assertEqual((part.status, part.body),
                                     (206, r.body[2:6]))

    def test_nothing_else_can_be_asked_for(self):
        secret = os.path.join(BUILD, "web", "taskmq", "docs", ".hidden")
        with open(secret, "w") as f:
            f.write("hidden")
        self.addCleanup(os.unlink, secret)
        for path in ("/docs/.hidden", "/docs/%2ehidden",
                     "/docs/..%2f..%2f..", "/docs/..%2f.hidden",
                     "/redoc/..%5c..%5cetc", "/docs/docs/index.html",
                     "/docs/%2fetc%2fpasswd", "/docs/" + "a" * 5000,
                     "/redoc/init.js%00.png", "/docs//index.html/x"):
            r = self.get(path)
            self.assertIn(r.status, (400, 404), path)
            self.assertNotIn(b"hidden", r.body)

    def test_not_installed(self):
        with tempfile.TemporaryDirectory() as empty:
            s = api_table.stack(docs_root=empty)
            with s:
                for path in ("/docs", "/redoc", "/openapi.json"):
                    r = s.get(path, token=None)
                    self.assertEqual(r.status, 404)
                    self.assertIn("taskmq_docs_root", r.json()["detail"])

    @unittest.skipUnless(shutil.which("promtool"), "promtool is not there")
    def test_promtool(self):
        job = self.stack.add("parked")
        self.assertEqual(self.stack.get("/job/%d" % job).status, 200)
        text = self.get("/monitor/metrics").body
        out = subprocess.run(["promtool", "check", "metrics"], input=text,
                             capture_output=True)
        self.assertEqual((out.returncode, out.stdout, out.stderr),
                         (0, b"", b""))


def install():
    """npm's packages for the tests in browser/."""
    stamp = os.path.join(BROWSER, "stamp")
    lock = os.path.join(HERE, "browser", "package-lock.json")
    if not os.path.exists(stamp) \
            or os.path.getmtime(stamp) < os.path.getmtime(lock):
        os.makedirs(BROWSER, exist_ok=True)
        for name in ("package.json", "package-lock.json", ".npmrc"):
            shutil.copy(os.path.join(HERE, "browser", name), BROWSER)
        subprocess.run(["npm", "ci", "--loglevel=error"], cwd=BROWSER,
                       check=True, env=dict(
                           os.environ,
                           PLAYWRIGHT_SKIP_BROWSER_DOWNLOAD="1"))
        with open(stamp, "w"):
            pass


@unittest.skipUnless(shutil.which("npm"), "npm is not there")
class Linter(unittest.TestCase):

    def lint(self, *files):
        install()
        return subprocess.run(
            ["node", os.path.join(HERE, "browser", "lint.js"),
             os.path.join(BROWSER, "node_modules"), *files],
            capture_output=True, text=True, timeout=180 * SLOW)

    def test_redocly_finds_nothing(self):
        out = self.lint(*(openapi.Spec(api).path
                          for api in ("taskmq", "taskdaemon")))
        self.assertEqual((out.stdout, out.stderr, out.returncode),
                         ("", "", 0))

    def test_it_can_find_something(self):
        spec = openapi.Spec("taskdaemon")
        spec.doc["paths"]["/health/"] = spec.doc["paths"].pop("/health")
        with tempfile.NamedTemporaryFile("w", suffix=".json") as f:
            json.dump(spec.doc, f)
            f.flush()
            out = self.lint(f.name)
        self.assertEqual(out.returncode, 1, out.stderr)
        self.assertIn("no-path-trailing-slash", out.stdout)


@unittest.skipUnless(CHROMIUM, "chromium is not there")
class Browser(unittest.TestCase):

    @classmethod
    def setUpClass(cls):
        install()

    def browse(self, stack, prefix, api):
        out = subprocess.run(
            ["node", os.path.join(HERE, "browser", "docs.js"),
             os.path.join(BROWSER, "node_modules"),
             "http://127.0.0.1:%d%s" % (stack.port, prefix), stack.token(),
             api], capture_output=True, text=True, timeout=180 * SLOW,
            env=dict(os.environ, CHROMIUM=CHROMIUM))
        self.assertEqual(out.returncode, 0, out.stderr + out.stdout)
        seen = json.loads(out.stdout)
        for page, what in seen.items():
            for trouble in ("console", "outside", "refused"):
                self.assertEqual(what[trouble], [], (page, trouble))
        return seen

    def test_taskmq(self):
        with api_table.stack() as s:
            for prefix in ("", "/jobs-api"):
                with self.subTest(prefix=prefix):
                    seen = self.browse(s, prefix, "taskmq")
                    tried = seen["swagger"]["tried"]
                    self.assertEqual(tried["status"], "200")
                    job = int(re.search('"job_id": ([0-9]+)',
                                        tried["body"]).group(1))
                    self.assertEqual(s.job(job)["payload"],
                                     {"from": "a browser"})
                    self.assertTrue(tried["url"].endswith(
                        prefix + "/add-job"), tried["url"])
                    self.assertEqual(seen["swagger"]["errors"], 0)
                    self.assertGreaterEqual(seen["swagger"]["operations"], 13)
                    self.assertIn("TaskMQ API", seen["redoc"]["title"])
                    self.assertGreater(seen["redoc"]["text"], 5000)

    def test_taskdaemon(self):
        with api_table_daemon.stack() as s:
            tried = self.browse(s, "", "taskdaemon")["swagger"]["tried"]
            self.assertEqual(tried["status"], "200")
            task = re.search('"task_id": "([0-9a-f-]+)"',
                             tried["body"]).group(1)
            self.assertEqual(s.get("/api/tasks/" + task, token=None
                                   ).json()["task_data"],
                             {"from": "a browser"})

    def test_pages_from_elsewhere(self):
        pages = http.server.ThreadingHTTPServer(
            ("127.0.0.1", 0), http.server.BaseHTTPRequestHandler)
        pages.RequestHandlerClass.do_GET = lambda r: (
            r.send_response(200), r.end_headers())
        pages.RequestHandlerClass.log_message = lambda *_: None
        threading.Thread(target=pages.serve_forever, daemon=True).start()
        self.addCleanup(pages.server_close)
        self.addCleanup(pages.shutdown)
        with api_table_daemon.stack() as s:
            tasks = len(s.get("/api/tasks?limit=100", token=None).json())
            out = subprocess.run(
                ["node", os.path.join(HERE, "browser", "elsewhere.js"),
                 os.path.join(BROWSER, "node_modules"),
                 "http://127.0.0.1:%d" % s.port,
                 "http://127.0.0.1:%d/" % pages.server_port],
                capture_output=True, text=True, timeout=180 * SLOW,
                env=dict(os.environ, CHROMIUM=CHROMIUM))
            self.assertEqual(out.returncode, 0, out.stderr)
            seen = json.loads(out.stdout)
            hidden = dict.fromkeys(("text", "bytes", "json", "read",
                                    "remove"), 0)
            self.assertEqual(seen, {
                "here": {"text": 200, "bytes": 200, "json": 200, "read": 200,
                         "remove": 404},
                "elsewhere": hidden, "named": hidden,
                "rebound": dict.fromkeys(hidden, 403)})
            self.assertEqual(
                len(s.get("/api/tasks?limit=100", token=None).json()),
                tasks + 3)


if __name__ == "__main__":
    unittest.main()
