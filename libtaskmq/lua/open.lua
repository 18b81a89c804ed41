#!lua flags=no-writes
-- open: may a program's user do all that it will do, lest a script is stopped on
-- its way, and of which schema is the namespace? Redis asks for the right to a
-- command before it refuses it as one that writes: so nothing is written.
--
-- KEYS[1]  prefix
-- ARGV[1]  the commands that the program and its scripts use
-- Returns  the schema (integer; 0: the namespace is new; -1: it is no number;
--          1: of one that did not write it down), then of these commands those
--          that the user lacks, and those that this Redis does not know

local lacks, unknown, schema = '', '', 0
-- Subcommands are not known here, and are asked about by themselves.
for command in string.gmatch(argv[1], '%f[^%s%z]%a+%f[%s%z]') do
    local err
    -- With as many arguments as it takes: all are keys of the namespace.
    for _, keys in ipairs({ { P }, { P, P }, { P, P, P }, {} }) do
        local reply = redis.pcall(command, unpack(keys))
        err = type(reply) == 'table' and reply.err or ''
        if not find(err, 'rong number of arg') then
            break
        end
    end
    -- the first of these is Redis 7.0's, the second what is said since
    if find(err, "^ERR The user executing the script can't")
       or find(err, '^%u+ ACL failure in script')
    then
        lacks = lacks .. ' ' .. command
    elseif find(err, '^ERR Unknown .*ommand called from script') then
        unknown = unknown .. ' ' .. command
    end
end
if lacks .. unknown == '' then
    schema = call('GET', P .. 'schema') or call('EXISTS', P .. 'seq')
end
return { tonumber(match(schema, '^%d+$') or -1), lacks, unknown }
