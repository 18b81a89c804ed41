"""Holds an openapi.json against itself and against live answers.

The structure is checked here (there is no OpenAPI checker in Debian); schemas,
examples and bodies by python3-jsonschema, as JSON Schema 2020-12.
"""

import json
import os
import re

import jsonschema

from harness import ROOT

METHODS = {"get", "put", "post", "delete", "options", "head", "patch"}
FIELDS = {
    "root": {"openapi", "info", "servers", "paths", "components", "security",
             "tags"},
    "info": {"title", "summary", "description", "version"},
    "operation": {"tags", "summary", "description", "operationId",
                  "parameters", "requestBody", "responses", "security"},
    "parameter": {"name", "in", "description", "required", "schema",
                  "example"},
    "response": {"description", "headers", "content"},
    "media": {"schema", "example", "examples"},
    "header": {"description", "required", "schema"},
}


class Spec:
    def __init__(self, api):
        self.path = os.path.join(ROOT, "web", api, "openapi.json")
        with open(self.path, encoding="utf-8") as f:
            self.doc = json.load(f, object_pairs_hook=no_duplicates)
        self.resolver = jsonschema.RefResolver("", self.doc)
        self.problems = []

    # ---- the document itself ----

    def check(self):
        """Everything that is wrong with the document, as sentences."""
        doc = self.doc
        self.known("root", doc, "root")
        self.known("info", doc["info"], "info")
        if not re.fullmatch(r"3\.1\.\d+", doc["openapi"]):
            self.bad("openapi is %r" % doc["openapi"])
        self.refs(doc, "#")
        for name, schema in doc["components"]["schemas"].items():
            jsonschema.Draft202012Validator.check_schema(schema)
            for example in schema.get("examples", []):
                self.fits(schema, example, "schema %s's example" % name)
        ids = []
        for path, item in doc["paths"].items():
            if not path.startswith("/") or not set(item) <= METHODS:
                self.bad("path %s: %s" % (path, ", ".join(item)))
            for method, op in item.items():
                ids.append(op["operationId"])
                self.operation(path, "%s %s" % (method.upper(), path), op)
        if len(ids) != len(set(ids)):
            self.bad("operationIds are not unique")
        return self.problems

    def bad(self, text):
        self.problems.append(text)

    def known(self, kind, thing, where):
        extra = set(thing) - FIELDS[kind]
        if extra:
            self.bad("%s has unknown fields: %s" % (where, sorted(extra)))

    def refs(self, node, where):
        if isinstance(node, dict):
            if "$ref" in node:
                if set(node) != {"$ref"}:
                    self.bad("%s: something beside $ref" % where)
                self.get(node)
            for key, value in node.items():
                self.refs(value, where + "/" + key)
        elif isinstance(node, list):
            for n, value in enumerate(node):
                self.refs(value, "%s/%d" % (where, n))

    def get(self, node):
        while isinstance(node, dict) and "$ref" in node:
            with self.resolver.resolving(node["$ref"]) as target:
                node = target
        return node

    def operation(self, path, where, op):
        self.known("operation", op, where)
        tags = {t["name"] for t in self.doc["tags"]}
        if not set(op["tags"]) <= tags:
            self.bad("%s: unknown tag" % where)
        for need in op.get("security", self.doc["security"]):
            if not set(need) <= set(
                    self.doc["components"]["securitySchemes"]):
                self.bad("%s: unknown security scheme" % where)
        params = [self.get(p) for p in op.get("parameters", [])]
        in_path = {p["name"] for p in params if p["in"] == "path"}
        if in_path != set(re.findall(r"\{(\w+)\}", path)):
            self.bad("%s: path parameters are %s" % (where, in_path))
        for p in params:
            self.known("parameter", p, where)
            if p["in"] == "path" and not p.get("required"):
                self.bad("%s: %s must be required" % (where, p["name"]))
            jsonschema.Draft202012Validator.check_schema(p["schema"])
            if "example" in p:
                self.fits(p["schema"], p["example"], where)
        if "requestBody" in op:
            self.content(op["requestBody"]["content"], where + " body")
        if not op["responses"]:
            self.bad("%s: no responses" % where)
        for status, response in op["responses"].items():
            response = self.get(response)
            self.known("response", response, where)
            if not re.fullmatch("[1-5][0-9][0-9]", status) \
                    or not response["description"]:
                self.bad("%s: response %s" % (where, status))
            for header in response.get("headers", {}).values():
                self.known("header", self.get(header), where)
            self.content(response.get("content", {}),
                         "%s %s" % (where, status))

    def content(self, content, where):
        for media in content.values():
            self.known("media", media, where)
            jsonschema.Draft202012Validator.check_schema(media["schema"])
            examples = [e["value"] for e in media.get("examples", {}).values()]
            if "example" in media:
                examples.append(media["example"])
            for example in examples:
                self.fits(media["schema"], example, where + " example")

    def fits(self, schema, value, where):
        validator = jsonschema.Draft202012Validator(schema,
                                                    resolver=self.resolver)
        for err in validator.iter_errors(value):
            self.bad("%s: %s at /%s" % (
                where, err.message[:300],
                "/".join(str(p) for p in err.absolute_path)))

    # ---- live answers ----

    def template(self, path):
        """The documented path that a request's path is an instance of."""
        path = path.split("?")[0]
        if path in self.doc["paths"]:
            return path
        for template in self.doc["paths"]:
            pattern = re.sub(r"\\\{\w+\\\}", "[^/]+", re.escape(template))
            if re.fullmatch(pattern, path):
                return template
        return None

    def answered(self, method, path, reply):
        """Checks one answer; returns (template, method, status), or None for
        a path or method that the API does not have."""
        where = "%s %s %d" % (method, path[:100], reply.status)
        template = self.template(path)
        verb = "get" if method == "HEAD" else method.lower()
        op = self.doc["paths"].get(template, {}).get(verb)
        if op is None:
            if reply.status not in (301, 400, 404, 405):
                self.bad("%s: not documented" % where)
            return None
        response = op["responses"].get(str(reply.status))
        if response is None:
            self.bad("%s: status is not documented" % where)
            return None
        response = self.get(response)
        for name, header in response.get("headers", {}).items():
            self.header(where, name, self.get(header),
                        reply.headers.get(name))
        self.body(where, method, response.get("content", {}), reply)
        return template, verb, str(reply.status)

    def header(self, where, name, header, value):
        if value is None:
            if header.get("required"):
                self.bad("%s: no %s header" % (where, name))
            return
        if header["schema"].get("type") == "integer":
            value = int(value)
        self.fits(header["schema"], value, "%s %s" % (where, name))

    def body(self, where, method, content, reply):
        kind = (reply.headers.get("Content-Type") or "").split(";")[0]
        if not content:
            if reply.body:
                self.bad("%s: a body that is not documented" % where)
        elif kind not in content:
            self.bad("%s: Content-Type %r" % (where, kind))
        elif method != "HEAD":
            value = reply.body.decode()
            if kind == "application/json":
                value = json.loads(value)
            self.fits(content[kind]["schema"], value, where)


def no_duplicates(pairs):
    names = [name for name, _ in pairs]
    if len(names) != len(set(names)):
        raise ValueError("duplicate key in %s" % names)
    return dict(pairs)
