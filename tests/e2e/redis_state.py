"""What is in Redis, read as docs/redis-schema.md says: a part of Stack."""


# A pack of a lane names them. A lane is read also when the ready set does not
# have it.
WAITING = """#!lua flags=no-writes
local P, out = KEYS[1], {}
local line = P .. 'h:' .. ARGV[1]
for priority = 0, 100 do
    local lane = line .. string.format(':lane:%03d', priority)
    for _, pack in ipairs(redis.call('LRANGE', lane, 0, -1)) do
        local first, jobs = string.match(pack, '^(%d+) ?(%d*)')
        for id = first, first + (tonumber(jobs) or 1) - 1 do
            local name = string.format('%.0f', id)
            local state = redis.call('GETRANGE', P .. 'r:' .. name, 1, 1)
            if redis.call('EXISTS', P .. 'j:' .. name) == 1
               and (state == '' or state == 'W')
            then
                out[#out + 1] = id
            end
        end
    end
end
return out
"""

# Of each payload that is apart: name, TTL, whether a job has that id.
ASIDES = """
local P, out, at = KEYS[1], {}, '0'
repeat
    local got = redis.call('SCAN', at, 'MATCH', P .. 'b:*', 'COUNT', 1000)
    at = got[1]
    for _, key in ipairs(got[2]) do
        local name = string.sub(key, #P + 3)
        out[#out + 1] = name
        out[#out + 1] = redis.call('TTL', key)
        out[#out + 1] = redis.call('EXISTS', P .. 'j:' .. name)
    end
until at == '0'
return out
"""

# Ids that run under leases.
LEASED = """#!lua flags=no-writes
local P, out = KEYS[1], {}
for _, token in ipairs(redis.call('ZRANGE', P .. 'leased', 0, -1)) do
    for id in string.gmatch(redis.call('GET', P .. 't:' .. token), ' (%d+)') do
        local run = redis.call('GETRANGE', P .. 'r:' .. id, 0, 43)
        if string.sub(run, 17) == token
           and string.find(run, '^1[RE]')
        then
            out[#out + 1] = tonumber(id)
        end
    end
end
return out
"""


def counter(redis, stats, name):
    """Of the hash stats; "success" is a sum, as docs/redis-schema.md says."""
    names = ["d%d" % k for k in range(15)] if name == "success" else [name]
    return sum(int(n or 0) for n in redis("HMGET", stats, *names))


class RedisState:

    def stat(self, name):
        """A counter of the namespace."""
        return counter(self.redis, self.key("stats"), name)

    def finished(self):
        """The ids in the set of finished jobs, whose members are packs. Those
        of deleted jobs may be among them."""
        return [int(i) for pack in self.redis("ZRANGE", self.key("finished"),
                                              0, -1)
                for i in pack.split()]

    def waiting(self, handler, namespace=None):
        """The ids of a handler's waiting jobs, found one by one and sorted;
        one that is in two places is there twice."""
        prefix = "{%s}:" % namespace if namespace else self.key("")
        return sorted(self.redis("EVAL", WAITING, 1, prefix, handler))

    def leased(self):
        """The ids of the jobs that run, sorted."""
        return sorted(self.redis("EVAL", LEASED, 1, self.key("")))

    def asides(self, namespace=None):
        """{id or name: TTL} of the payloads that are apart. Fails where one
        that belongs to no job would stay, or a job's would go."""
        prefix = "{%s}:" % namespace if namespace else self.key("")
        flat = self.redis("EVAL", ASIDES, 1, prefix)
        out = {}
        for name, ttl, jobs in zip(*[iter(flat)] * 3):
            out[name.decode()] = ttl
            if (ttl == -1) != jobs or ttl > 60:
                raise AssertionError("b:%s: TTL %d, %d jobs" % (
                    name.decode(), ttl, jobs))
        return out

    def line_keys(self, handler, *more):
        """How many ready sets and lanes a handler has, and of the other keys
        that are named, at one moment: 0 when none of its jobs waits, and no
        cancelled one is left in a lane."""
        names = ["ready"] + ["lane:%03d" % priority for priority in range(101)]
        return self.redis("EXISTS", *(self.key(name) for name in [
            "h:%s:%s" % (handler, name) for name in names] + list(more)))

    def counted(self, handler):
        """(waiting, running), as the counters say."""
        received = int(self.redis("HGET", self.key("handlers"), handler) or 0)
        back, sch, claimed, left = (self.stat("%s:%s" % (name, handler))
                                    for name in ("back", "sch", "claimed",
                                                 "left"))
        return received + back - sch - claimed, claimed - left
