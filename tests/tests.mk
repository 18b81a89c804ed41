# Tests. `make check` is quick; `make test` is everything.

UNIT_SRC := $(sort $(wildcard tests/unit/test_*.c))
UNIT_BIN := $(UNIT_SRC:tests/unit/%.c=$(BUILD)/unit/%)
UNIT_SAN := -fsanitize=address,undefined -fno-sanitize-recover=all \
            -fno-omit-frame-pointer
UNIT_CFLAGS = -g -O1 -std=gnu11 $(WARN) -D_GNU_SOURCE $(ROOMS:%=-I%) \
              -Itests/unit $(UNIT_SAN)
UNIT_LIB_OBJ := $(LIB_SRC:%.c=$(BUILD)/unit/obj/%.o) \
                $(BUILD)/unit/obj/gen/tq_scripts.o

# What is not a test is a helper of all of them.
UNIT_HELP_SRC := $(filter-out $(UNIT_SRC),$(sort $(wildcard tests/unit/*.c)))
UNIT_HELP_OBJ := $(UNIT_HELP_SRC:%.c=$(BUILD)/unit/obj/%.o)

# More linker words for one test. Here: allocations of ours and of hiredis
# (linked statically, so that they can be caught) fail one after the other.
UNIT_LINK_test_redis_oom = -Wl,--wrap=malloc,--wrap=calloc,--wrap=realloc \
                           -Wl,--wrap=strdup -l:libhiredis.a

# Tests that include fail_alloc.h: our allocations only.
UNIT_WRAP = -Wl,--wrap=malloc,--wrap=calloc,--wrap=realloc
UNIT_LINK_test_buf = $(UNIT_WRAP)
UNIT_LINK_test_job = $(UNIT_WRAP)
UNIT_LINK_test_job_record = $(UNIT_WRAP)
UNIT_LINK_test_json_keys = $(UNIT_WRAP)
UNIT_LINK_test_json_read = $(UNIT_WRAP)
UNIT_LINK_test_text = $(UNIT_WRAP)
UNIT_LINK_test_worker_payload = $(UNIT_WRAP)

UNIT_TOML = $(BUILD)/obj/taskmq-worker/config/toml.o
UNIT_LINK_test_worker_config = $(UNIT_TOML) -lstdc++
UNIT_LINK_test_worker_curl = -luv

.PHONY: lua rooms style redis-check docs-check unit scripts e2e fault t specs fuzz-long guard mutants test-trixie

$(BUILD)/unit/obj/%.o: %.c
	@mkdir -p $(@D)
	$(CC) $(UNIT_CFLAGS) -MMD -MP -c -o $@ $<

$(BUILD)/unit/obj/gen/%.o: $(BUILD)/gen/%.c
	@mkdir -p $(@D)
	$(CC) $(UNIT_CFLAGS) -c -o $@ $<

$(BUILD)/unit/libtaskmq.a: $(UNIT_LIB_OBJ)
	rm -f $@ && ar rcs $@ $^

# A unit test is one file test_X.c with its own main (cmocka).
$(BUILD)/unit/%: tests/unit/%.c $(UNIT_HELP_OBJ) $(BUILD)/unit/libtaskmq.a
	$(CC) $(UNIT_CFLAGS) -o $@ $< $(UNIT_HELP_OBJ) \
	    $(BUILD)/unit/libtaskmq.a $(UNIT_LINK_$*) \
	    -lcmocka -lhiredis -lcjson -lm

$(BUILD)/unit/test_worker_config: $(UNIT_TOML)

# these include the worker's sources
$(filter $(BUILD)/unit/test_worker_%,$(UNIT_BIN)): \
    $(wildcard taskmq-worker/*.[ch] taskmq-worker/*/*.[ch])

# Side by side; what each says is printed when all have ended.
unit: $(UNIT_BIN)
	@printf '%s\n' $(UNIT_BIN) | xargs -P $$(nproc) -I{} sh -c \
	    '{} > {}.log 2>&1 || echo "failed: {}" >> {}.log'; \
	cat $(UNIT_BIN:=.log); ! grep -hs '^failed: ' $(UNIT_BIN:=.log)

# Debian's own, which has Debian's python3-* packages, before any other.
PYTHON ?= $(firstword $(wildcard /usr/bin/python3) python3)

scripts: $(SCRIPTS_C)
	$(PYTHON) tests/scripts/run.py

# Real nginx, Redis and worker. T="test_main_job" runs only that file, T="-j 1"
# one file after the other.
e2e: all web
	BUILD=$(abspath $(BUILD)) $(PYTHON) tests/e2e/run.py $(T)

# nginx and the worker in front of a Redis that misbehaves as told.
fault: all
	BUILD=$(abspath $(BUILD)) $(PYTHON) tests/fault/run.py $(T)

# Test::Nginx specs; t/lib stands in where the genuine one is not installed.
# T="t/auth.t" runs only that file; TEST_NGINX=FOLDER takes the genuine one
# from FOLDER/lib. Modes by environment, as TEST_NGINX_USE_HUP=1 (docs/
# testing.md). With SAN=address,undefined and a BUILD of its own both the
# module and its nginx are built with sanitizers, nginx once.
TEST_NGINX_LIB = $(if $(TEST_NGINX),$(TEST_NGINX)/lib,t/lib/standin)
SPEC_JOBS     ?= 4
NGINX_SAN      = $(abspath $(BUILD))/nginx-san/nginx
SPEC_ENV = TEST_NGINX_LOAD_MODULES=$(abspath $(BUILD))/ngx_http_taskmq_module.so \
           TEST_NGINX_RANDOMIZE=1 \
           $(if $(SAN),TEST_NGINX_BINARY=$(CURDIR)/t/lib/nginx-sanitized \
               NGINX_SANITIZED=$(NGINX_SAN))

$(NGINX_SAN): t/lib/nginx-build-sanitized $(NGX_SRC)/conf_flags
	NGX_SRC=$(NGX_SRC) CC=$(CC) sh $< $(@D)

# Modules of others that t/beside.t loads beside ours, with nginx's own headers.
NGX_INCS  = $(patsubst %,-isystem %,$(BUILD)/nginx $(addprefix \
    $(NGX_SRC)/src/,core event event/modules event/quic http/v3 os/unix \
    http http/modules http/v2))
FOREIGN  := $(BUILD)/t/foreign_exports.so $(BUILD)/t/foreign_plain.so \
    $(BUILD)/t/foreign_libjwt.so
$(BUILD)/t/foreign_exports.so: FOREIGN_FLAGS = -DEXPORTS \
    $(if $(SAN),-DSANITIZED)
$(BUILD)/t/foreign_libjwt.so: FOREIGN_FLAGS = -DLINKED
$(BUILD)/t/foreign_libjwt.so: FOREIGN_LIBS = -Wl,--no-as-needed -ljwt

$(BUILD)/t/foreign_%.so: t/lib/beside/foreign.c $(BUILD)/nginx/Makefile
	@mkdir -p $(@D)
	$(CC) -g -O1 -Wall -Wextra -Werror -fPIC -shared $(NGX_INCS) \
	    $(FOREIGN_FLAGS) -o $@ $< $(FOREIGN_LIBS)

t: module $(FOREIGN) $(if $(SAN),$(NGINX_SAN))
	$(SPEC_ENV) $(PYTHON) t/lib/reaper.py prove -j$(SPEC_JOBS) -r \
	    $(if $(TEST_NGINX_USE_HUP)$(TEST_NGINX_CHECK_LEAK),,--directives) \
	    -I$(TEST_NGINX_LIB) -It/lib $(or $(T),t)

specs: t

lua:
	sh libtaskmq/check_lua.sh

rooms:
	$(PYTHON) tests/rooms.py

style:
	$(PYTHON) tests/style.py

redis-check:
	sh libtaskmq/check_redis.sh

docs-check:
	$(PYTHON) tests/check_docs.py
	$(PYTHON) tests/mutants/run.py --applies

# Side by side, unless make was told how many to run.
check:
	@$(MAKE) $(if $(findstring -j,$(MAKEFLAGS)),,-j$(shell nproc)) -Otarget \
	    lua rooms style redis-check docs-check unit scripts

test:
	BUILD=$(BUILD) script/test

# The suite on Debian 13, in a folder made by debootstrap; needs root.
# PARTS="unit scripts" runs only these parts, SERVERS=valkey only that one.
test-trixie:
	BUILD=$(BUILD) $(if $(SERVERS),SERVERS="$(SERVERS)") \
	    sh tests/trixie/run.sh $(PARTS)

# Instructions of fixed work against tests/guard/budget.json.
guard: all
	$(PYTHON) tests/guard/run.py --build $(abspath $(BUILD))

# Every trap of tests/mutants put back; M="28- 31-" only those. For nights.
mutants:
	$(PYTHON) tests/mutants/run.py $(M)

# libFuzzer targets, FUZZ_SECONDS each, with what they found in earlier runs
# kept under $(BUILD)/fuzz. FUZZ_TARGETS="json url" runs only these.
FUZZ_CC      ?= clang
FUZZ_CXX     ?= clang++
FUZZ_SAN      = address,undefined
FUZZ_SECONDS ?= 20
FUZZ_SRC     := $(sort $(wildcard tests/fuzz/fuzz_*.c))
FUZZ_TARGETS ?= $(FUZZ_SRC:tests/fuzz/fuzz_%.c=%)
FUZZ_BIN      = $(FUZZ_TARGETS:%=$(BUILD)/fuzz/fuzz_%)
FUZZ_CFLAGS   = -g -O1 -std=gnu11 $(WARN) -D_GNU_SOURCE $(ROOMS:%=-I%) \
                -fsanitize=$(FUZZ_SAN) -fno-sanitize-recover=all \
                -fno-omit-frame-pointer
FUZZ_LIB_OBJ := $(LIB_SRC:%.c=$(BUILD)/fuzz/obj/%.o) \
                $(BUILD)/fuzz/obj/gen/tq_scripts.o

$(BUILD)/fuzz/obj/%.o: %.c
	@mkdir -p $(@D)
	$(FUZZ_CC) $(FUZZ_CFLAGS) -fsanitize=fuzzer-no-link -MMD -MP -c -o $@ $<

$(BUILD)/fuzz/obj/gen/%.o: $(BUILD)/gen/%.c
	@mkdir -p $(@D)
	$(FUZZ_CC) $(FUZZ_CFLAGS) -fsanitize=fuzzer-no-link -c -o $@ $<

$(BUILD)/fuzz/libtaskmq.a: $(FUZZ_LIB_OBJ)
	rm -f $@ && ar rcs $@ $^

# Targets that include files of the module: nginx's own headers, from what its
# configure made of them, and nginx's own warnings.
FUZZ_MOD  := $(BUILD)/fuzz/fuzz_route $(BUILD)/fuzz/fuzz_token
$(FUZZ_MOD): FUZZ_MORE = -Wno-unused-parameter -Wno-conversion -Wno-shadow \
    -Wno-missing-prototypes \
    $(patsubst %/,-I%,$(wildcard ngx_taskmq_module/ ngx_taskmq_module/*/)) \
    $(NGX_INCS)
$(FUZZ_MOD): FUZZ_LIBS = -ljwt -lcrypto -ldl
$(FUZZ_MOD): $(BUILD)/nginx/Makefile tests/fuzz/nginx_shim.h \
    $(MOD_SRC)

# The worker's configuration, with its one C++ file.
$(BUILD)/fuzz/obj/taskmq-worker/config/toml.o: taskmq-worker/config/toml.cc
	@mkdir -p $(@D)
	$(FUZZ_CXX) -g -O1 -std=c++17 -fsanitize=fuzzer-no-link,$(FUZZ_SAN) \
	    -fno-sanitize-recover=all -MMD -MP -c -o $@ $<

$(BUILD)/fuzz/fuzz_config: FUZZ_LIBS = \
    $(BUILD)/fuzz/obj/taskmq-worker/config/toml.o -fsanitize-link-c++-runtime -lstdc++
$(BUILD)/fuzz/fuzz_config: $(BUILD)/fuzz/obj/taskmq-worker/config/toml.o
$(BUILD)/fuzz/fuzz_config $(BUILD)/fuzz/fuzz_worker_line: \
    $(wildcard taskmq-worker/*.[ch] taskmq-worker/*/*.[ch])

$(BUILD)/fuzz/fuzz_%: tests/fuzz/fuzz_%.c tests/fuzz/fuzz.h \
        $(BUILD)/fuzz/libtaskmq.a
	$(FUZZ_CC) $(FUZZ_CFLAGS) $(FUZZ_MORE) -fsanitize=fuzzer -o $@ $< \
	    $(BUILD)/fuzz/libtaskmq.a $(FUZZ_LIBS) -lhiredis -lcjson -lm

fuzz: $(FUZZ_BIN)
	@sh tests/fuzz/run.sh $(BUILD)/fuzz $(FUZZ_SECONDS) $(FUZZ_TARGETS)

# For nights: FUZZ_LONG seconds each (ten minutes).
FUZZ_LONG ?= 600
fuzz-long:
	$(MAKE) fuzz FUZZ_SECONDS=$(FUZZ_LONG)

-include $(shell find $(BUILD)/unit $(BUILD)/fuzz -name '*.d' 2>/dev/null)
