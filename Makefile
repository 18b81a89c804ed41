# Builds TaskMQ: build/ngx_http_taskmq_module.so, build/taskmq-worker,
# build/taskmq. Installs nothing on the machine: script/setup does that.

CC       ?= cc
CXX      ?= c++
BUILD    ?= build$(if $(SAN),/san)
PREFIX   ?= /usr
MODULES  ?= $(PREFIX)/lib/nginx/modules

NGX_SRC  ?= /usr/share/nginx/src
SAN      ?=
OPT      ?= -O2

# Recipes and nginx's configure hand these paths unquoted to a shell: rm -rf
# must not meet pieces of them.
empty     :=
odd_chars := ; & | < > ( ) { } ' " ` * ? [ ] \ \# $$
odd        = $(strip $(if $(word 2,$1)$(findstring $(empty) $(empty),$1),space) \
             $(foreach c,$(odd_chars),$(findstring $c,$1)))
$(foreach v,CURDIR BUILD,$(if $(call odd,$($v)),$(error $v="$($v)": the \
    build needs a path without $(call odd,$($v)))))
$(if $(BUILD),,$(error BUILD is empty: expected a folder, such as build))

# Every folder of sources; which may include which: tests/rooms.py
ROOMS    := $(patsubst %/,%,$(filter-out %/lua/,$(wildcard libtaskmq/*/ \
              taskmq-worker/*/)) libtaskmq taskmq-worker taskmq-cli)

WARN     = -Wall -Wextra -Werror -Wshadow -Wconversion -Wno-sign-conversion \
           -Wmissing-prototypes -Wstrict-prototypes -Wvla -Wformat=2
HARDEN   = -fstack-protector-strong -D_FORTIFY_SOURCE=2
ifneq ($(SAN),)
HARDEN   = -fno-omit-frame-pointer -fsanitize=$(SAN) -fno-sanitize-recover=all
OPT      = -O1
endif
CFLAGS   ?= -g
override CFLAGS += $(OPT) -std=gnu11 -fPIC -fvisibility=hidden $(WARN) \
           $(HARDEN) -D_GNU_SOURCE $(ROOMS:%=-I%) -MMD -MP
# tests/e2e/test_hardening.py looks whether all of it arrived
LDFLAGS  += -Wl,-z,relro,-z,now,-z,noexecstack $(if $(SAN),-fsanitize=$(SAN))

LIB_SRC    := $(sort $(wildcard libtaskmq/*/*.c))
LUA_SRC    := $(sort $(wildcard libtaskmq/lua/*.lua libtaskmq/lua/lib/*.lua))
WORKER_SRC := $(sort $(wildcard taskmq-worker/*.c taskmq-worker/*/*.c))
CLI_SRC    := $(sort $(wildcard taskmq-cli/*.c))
MOD_SRC    := $(sort $(wildcard ngx_taskmq_module/*.[ch] \
                ngx_taskmq_module/*/*.[ch]))

LIB_OBJ    := $(LIB_SRC:%.c=$(BUILD)/obj/%.o) $(BUILD)/obj/gen/tq_scripts.o
WORKER_OBJ := $(WORKER_SRC:%.c=$(BUILD)/obj/%.o) \
              $(BUILD)/obj/taskmq-worker/config/toml.o
CLI_OBJ    := $(CLI_SRC:%.c=$(BUILD)/obj/%.o)

LIBTASKMQ  := $(BUILD)/libtaskmq.a
SCRIPTS_C  := $(BUILD)/gen/tq_scripts.c

.PHONY: all help module worker cli lib check test bench fuzz format \
        install uninstall clean force

all: module worker cli

help:
	@echo 'make            module, worker and command line tool, in $(BUILD)'
	@echo 'make web        the API reference pages, with npm'
	@echo 'make install    all of these, examples and a systemd unit;'
	@echo '                DESTDIR, PREFIX ($(PREFIX)), MODULES ($(MODULES))'
	@echo 'make uninstall  removes what make install with the same variables brought'
	@echo 'make check      the quick tests'
	@echo 'make test       all tests; the parts: docs/testing.md'
	@echo 'make bench      side by side with peers'
	@echo 'make format     gives the C code its form (tests/style.py)'
	@echo 'make clean      removes $(BUILD)'

lib: $(LIBTASKMQ)
module: $(BUILD)/ngx_http_taskmq_module.so
worker: $(BUILD)/taskmq-worker
cli: $(BUILD)/taskmq

$(BUILD)/obj/%.o: %.c
	@mkdir -p $(@D)
	$(CC) $(CFLAGS) -c -o $@ $<

$(BUILD)/obj/gen/%.o: $(BUILD)/gen/%.c
	@mkdir -p $(@D)
	$(CC) $(CFLAGS) -c -o $@ $<

$(BUILD)/obj/taskmq-worker/config/toml.o: taskmq-worker/config/toml.cc
	@mkdir -p $(@D)
	$(CXX) -g $(OPT) -std=c++17 -fPIC -Wall -Wextra -Werror $(HARDEN) \
	    -MMD -MP -c -o $@ $<

$(SCRIPTS_C): $(LUA_SRC) libtaskmq/embed.sh libtaskmq/rights.sh \
    redis-acl.example
	@mkdir -p $(@D)
	sh libtaskmq/embed.sh libtaskmq/lua > $@.new && \
	    sh libtaskmq/rights.sh redis-acl.example >> $@.new && mv $@.new $@

$(LIBTASKMQ): $(LIB_OBJ)
	rm -f $@ && ar rcs $@ $^

# Not with -lcurl: taskmq-worker/curl_load.h.
$(BUILD)/taskmq-worker: $(WORKER_OBJ) $(LIBTASKMQ)
	$(CXX) -pie $(LDFLAGS) -o $@ $^ -lhiredis -lcjson -luv -lz -ldl -lm

$(BUILD)/taskmq: $(CLI_OBJ) $(LIBTASKMQ)
	$(CC) -pie $(LDFLAGS) -o $@ $^ -lhiredis -lcjson -ljwt -lcrypto -lm

# The module is built the way Debian builds its own: with the installed
# nginx's configure flags, so that its binary signature matches. configure
# writes into its own folder, so it gets one of ours, full of links. It knows
# the sources by name: a list of them says when it must run again. It does not
# know exports.map, so the module is always linked anew.
NGX_BUILD  := $(abspath $(BUILD))/nginx
NGX_TREE   := $(abspath $(BUILD))/nginx-src
MOD_LIB    := $(filter-out %/tq_doc.c %/tq_env.c %/tq_stdio.c, $(LIB_SRC))

$(BUILD)/nginx.sources: force
	@mkdir -p $(@D)
	@echo '$(CURDIR) $(sort $(MOD_SRC) $(MOD_LIB)) $(OPT) $(SAN)' > $@.new
	@cmp -s $@.new $@ && rm $@.new || mv $@.new $@

$(BUILD)/nginx/Makefile: config $(NGX_SRC)/conf_flags $(BUILD)/nginx.sources \
        | $(SCRIPTS_C)
	rm -rf $(NGX_BUILD) $(NGX_TREE)
	mkdir -p $(NGX_BUILD) $(NGX_TREE)
	ln -s $(NGX_SRC)/* $(NGX_TREE)
	cd $(NGX_TREE) && TASKMQ_SCRIPTS_C=$(abspath $(SCRIPTS_C)) \
	    bash -c '. ./conf_flags; ./configure "$${NGX_CONF_FLAGS[@]}" \
	    --with-cc-opt="$(OPT) -g $(HARDEN)" \
	    --with-ld-opt="$(LDFLAGS)" \
	    --add-dynamic-module=$(CURDIR) \
	    --builddir=$(NGX_BUILD)' > $(NGX_BUILD).configure.log 2>&1 \
	    || { cat $(NGX_BUILD).configure.log; exit 1; }

$(BUILD)/ngx_http_taskmq_module.so: $(BUILD)/nginx/Makefile $(MOD_SRC) \
        $(MOD_LIB) $(wildcard libtaskmq/*.h libtaskmq/*/*.h) $(SCRIPTS_C) \
        ngx_taskmq_module/exports.map
	rm -f $(NGX_BUILD)/ngx_http_taskmq_module.so
	$(MAKE) -C $(NGX_TREE) -f $(NGX_BUILD)/Makefile modules
	cp $(NGX_BUILD)/ngx_http_taskmq_module.so $@.new
	mv $@.new $@

include tests/tests.mk
include web/web.mk
include bench/bench.mk

# The papers and the clients, in the folders in which they link to each other.
DOCS = README.md $(wildcard *.example docs/*.md docs/internals/*.md docs/man/* \
    web/*/openapi.json bench/results/*.md bench/results/*.json \
    bench/results/*.svg) \
    $(shell find clients -type f ! -path '*/__pycache__/*' ! -name '*.o')

install: all
	install -D -m 0644 $(BUILD)/ngx_http_taskmq_module.so \
	    $(DESTDIR)$(MODULES)/ngx_http_taskmq_module.so
	install -D -m 0755 $(BUILD)/taskmq-worker \
	    $(DESTDIR)$(PREFIX)/bin/taskmq-worker
	install -D -m 0755 $(BUILD)/taskmq $(DESTDIR)$(PREFIX)/bin/taskmq
	install -D -m 0644 docs/man/taskmq.1 \
	    $(DESTDIR)$(PREFIX)/share/man/man1/taskmq.1
	install -D -m 0644 docs/man/taskmq-worker.8 \
	    $(DESTDIR)$(PREFIX)/share/man/man8/taskmq-worker.8
	install -D -m 0644 taskmq-cli/taskmq.bash \
	    $(DESTDIR)$(PREFIX)/share/bash-completion/completions/taskmq
	install -D -m 0644 clients/c/taskmq_handler.h \
	    $(DESTDIR)$(PREFIX)/include/taskmq_handler.h
	for f in $(DOCS); do \
	    install -D -m 0644 $$f \
	        $(DESTDIR)$(PREFIX)/share/doc/taskmq/$$f || exit 1; \
	done
	install -d $(DESTDIR)$(PREFIX)/lib/systemd/system
	sed -e 's|/usr/bin/|$(PREFIX)/bin/|' \
	    -e 's|/usr/share/|$(PREFIX)/share/|' \
	    taskmq-worker/taskmq-worker.service \
	    > $(BUILD)/taskmq-worker.service
	install -m 0644 $(BUILD)/taskmq-worker.service \
	    $(DESTDIR)$(PREFIX)/lib/systemd/system
	install -D -m 0644 $(BUILD)/taskmq-worker.service \
	    $(DESTDIR)$(PREFIX)/share/doc/taskmq/taskmq-worker/taskmq-worker.service

# What install and install-web bring. Configuration and the namespace's data
# are not among it.
uninstall:
	rm -f $(DESTDIR)$(MODULES)/ngx_http_taskmq_module.so \
	    $(addprefix $(DESTDIR)$(PREFIX)/,bin/taskmq-worker bin/taskmq \
	        share/man/man1/taskmq.1 share/man/man8/taskmq-worker.8 \
	        share/bash-completion/completions/taskmq \
	        include/taskmq_handler.h lib/systemd/system/taskmq-worker.service)
	rm -rf $(DESTDIR)$(PREFIX)/share/doc/taskmq $(DESTDIR)$(PREFIX)/share/taskmq

format:
	python3 tests/style.py --fix

clean:
	rm -rf $(BUILD)

-include $(shell find $(BUILD)/obj -name '*.d' 2>/dev/null)
