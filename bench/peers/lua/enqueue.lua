-- What a careful user of lua-nginx-module would write: the token's HMAC by
-- ffi, claims and body by cjson, one script call on a pooled connection.

local ffi = require "ffi"
local cjson = require "cjson.safe"
local redis = require "nginx.redis"

ffi.cdef [[
const void *EVP_sha256(void);
unsigned char *HMAC(const void *md, const void *key, int key_len,
    const unsigned char *d, size_t n, unsigned char *out, unsigned int *len);
]]

local crypto = ffi.load("libcrypto.so.3")
local sha256 = crypto.EVP_sha256()
local mac = ffi.new("unsigned char[32]")

local _M = {}

local SCRIPT = [[
local id = redis.call('INCR', KEYS[1] .. 'id')
redis.call('HSET', KEYS[1] .. 'job:' .. id, 'handler', ARGV[1], 'payload',
    ARGV[2], 'priority', ARGV[3], 'status', 'PENDING', 'retries', '0',
    'created', ARGV[4])
redis.call('ZADD', KEYS[1] .. 'ready', (100 - ARGV[3]) * 70368744177664 + id,
    id)
redis.call('HINCRBY', KEYS[1] .. 'stats', 'received', 1)
return id
]]

local sha

function _M.init(secret, sock)
    _M.secret, _M.sock = secret, sock
end

local function unb64(s)
    s = s:gsub("-", "+"):gsub("_", "/")
    return ngx.decode_base64(s .. string.rep("=", -#s % 4))
end

local function verify()
    local value = ngx.var.http_authorization
    local head, claims, sig = (value or ""):match(
        "^Bearer ([%w_-]+)%.([%w_-]+)%.([%w_-]+)$")
    if not head then
        return nil
    end
    local text = head .. "." .. claims
    crypto.HMAC(sha256, _M.secret, #_M.secret, text, #text, mac, nil)
    if unb64(sig) ~= ffi.string(mac, 32) then
        return nil
    end
    head, claims = cjson.decode(unb64(head)), cjson.decode(unb64(claims))
    if not head or head.alg ~= "HS256" or not claims or not claims.exp
       or claims.exp <= ngx.time() or claims.role ~= "admin"
    then
        return nil
    end
    return claims
end

local function answer(status, body)
    ngx.status = status
    ngx.header.content_type = "application/json"
    ngx.header.content_length = #body
    ngx.print(body)
end

function _M.run()
    if not verify() then
        return answer(401, '{"detail":"Not authenticated"}')
    end
    ngx.req.read_body()
    local job = cjson.decode(ngx.req.get_body_data() or "")
    if type(job) ~= "table" or type(job.handler) ~= "string"
       or type(job.payload) ~= "table"
    then
        return answer(422, '{"detail":"Unprocessable"}')
    end
    local priority = tonumber(job.priority or 0)
    if not priority or priority < 0 or priority > 100 then
        return answer(422, '{"detail":"priority"}')
    end

    local r = redis:new()
    r:set_timeout(2000)
    local ok, err = r:connect("unix:" .. _M.sock)
    if not ok then
        return answer(503, '{"detail":"Redis"}')
    end
    if not sha then
        sha, err = r:script("load", SCRIPT)
    end
    local id
    id, err = r:evalsha(sha, 1, "{lua}:", job.handler,
                        cjson.encode(job.payload), priority,
                        ngx.now() * 1000)
    if not id then
        return answer(503, '{"detail":"Redis"}')
    end
    r:set_keepalive(60000, 100)
    answer(200, '{"status":"ok","job_id":' .. id .. '}')
end

return _M
