"""What the workers say to Redis, by its MONITOR."""

import os
import re
import threading

from harness import BUILD, Redis


class RedisMonitor(threading.Thread):
    """calls: the queue's scripts, (name, [arguments]); commands: all."""

    def __init__(self, s):
        super().__init__(daemon=True)
        with open(os.path.join(BUILD, "gen", "tq_scripts.c")) as f:
            self.names = {sha: name for name, sha in re.findall(
                r'"(\w+)",\s*"([0-9a-f]{40})"', f.read())}
        self.calls, self.commands = [], []
        self.redis = Redis(s.sock, timeout=3600)
        self.redis("MONITOR")
        self.start()

    def run(self):
        try:
            while True:
                words = re.findall(r'"((?:[^"\\]|\\.)*)"', self.redis.read())
                self.commands.append(words)
                if words[0] == "EVALSHA":
                    self.calls.append((self.names[words[1]], words[4:]))
        except (OSError, ConnectionError, ValueError, AttributeError):
            pass

    def of(self, name):
        return [args for n, args in list(self.calls) if n == name]
