"""What is in Redis, read as docs/redis-schema.md says: a part of Stack."""

# Its ids are members of a ready set, or a pack of a lane names them. A lane is
# read also when no ready set has it.
WAITING = """#!lua flags=no-writes
local P, out = KEYS[1], {}
local line = P .. 'h:' .. ARGV[1]
for _, mode in ipairs({ 'p', 'f', 'l' }) do
    for _, member in ipairs(redis.call('ZRANGE', line .. ':ready:' .. mode,
                                       0, -1)) do
        if string.sub(member, 1, 1) ~= 'L' then
            out[#out + 1] = tonumber(member)
        end
    end
end
for priority = 0, 100 do
    local lane = line .. string.format(':lane:%03d', priority)
    for _, pack in ipairs(redis.call('LRANGE', lane, 0, -1)) do
        local first, jobs = string.match(pack, '^(%d+) (%d+) %d+$')
        for id = first, first + jobs - 1 do
            local name = string.format('%.0f', id)
            if redis.call('EXISTS', P .. 'j:' .. name) == 1
               and redis.call('EXISTS', P .. 'r:' .. name) == 0
            then
                out[#out + 1] = id
            end
        end
    end
end
return out
"""

# Ids in leases of their own, then those that run under shared ones.
LEASED = """#!lua flags=no-writes
local P, out = KEYS[1], {}
for _, member in ipairs(redis.call('ZRANGE', P .. 'leased', 0, -1)) do
    local token = string.match(member, '^T(.*)$')
    if not token then
        out[#out + 1] = tonumber(member)
    else
        for id in string.gmatch(redis.call('GET', P .. 's:' .. token), '%d+') do
            local head = redis.call('GETRANGE', P .. 'r:' .. id, 0, 28)
            if string.sub(head, 2) == token
               and string.find(head, '^[RE]')
            then
                out[#out + 1] = tonumber(id)
            end
        end
    end
end
return out
"""


class Look:

    def stat(self, name):
        return int(self.redis("HGET", self.key("stats"), name) or 0)

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

    def line_keys(self, handler, *more):
        """How many ready sets and lanes a handler has, and of the other keys
        that are named, at one moment: 0 when none of its jobs waits, and no
        cancelled one is left in a lane."""
        names = ["ready:" + mode for mode in "pfl"] \
            + ["lane:%03d" % priority for priority in range(101)]
        return self.redis("EXISTS", *(self.key(name) for name in [
            "h:%s:%s" % (handler, name) for name in names] + list(more)))

    def counted(self, handler):
        """(waiting, running), as the counters say."""
        received = int(self.redis("HGET", self.key("handlers"), handler) or 0)
        back, sch, claimed, left = (self.stat("%s:%s" % (name, handler))
                                    for name in ("back", "sch", "claimed",
                                                 "left"))
        return received + back - sch - claimed, claimed - left
