# Tests. `make check` is quick (unit, scripts); `make test` is everything.

UNIT_SRC := $(sort $(wildcard tests/unit/test_*.c))
UNIT_BIN := $(UNIT_SRC:tests/unit/%.c=$(BUILD)/unit/%)
UNIT_SAN := -fsanitize=address,undefined -fno-sanitize-recover=all \
            -fno-omit-frame-pointer
UNIT_CFLAGS = -g -O1 -std=gnu11 $(WARN) -D_GNU_SOURCE -Ilibtaskmq $(UNIT_SAN)
UNIT_LIB_OBJ := $(LIB_SRC:%.c=$(BUILD)/unit/obj/%.o) \
                $(BUILD)/unit/obj/gen/tq_scripts.o

.PHONY: unit scripts e2e specs

$(BUILD)/unit/obj/%.o: %.c
	@mkdir -p $(@D)
	$(CC) $(UNIT_CFLAGS) -MMD -MP -c -o $@ $<

$(BUILD)/unit/obj/gen/%.o: $(BUILD)/gen/%.c
	@mkdir -p $(@D)
	$(CC) $(UNIT_CFLAGS) -c -o $@ $<

$(BUILD)/unit/libtaskmq.a: $(UNIT_LIB_OBJ)
	rm -f $@ && ar rcs $@ $^

# A unit test is one file test_X.c with its own main (cmocka).
$(BUILD)/unit/%: tests/unit/%.c $(BUILD)/unit/libtaskmq.a
	$(CC) $(UNIT_CFLAGS) -Itests/unit -o $@ $< $(BUILD)/unit/libtaskmq.a \
	    -lcmocka -lhiredis -lcjson -lm

unit: $(UNIT_BIN)
	@rc=0; for t in $(UNIT_BIN); do $$t || { echo "failed: $$t"; rc=1; }; \
	done; exit $$rc

scripts: $(SCRIPTS_C)
	python3 tests/scripts/run.py

# Real nginx, Redis and worker. T="test_main_job" runs only that file.
e2e: all
	BUILD=$(abspath $(BUILD)) python3 tests/e2e/run.py $(T)

# Test::Nginx specs; t/lib stands in where the genuine one is not installed.
specs: module
	TEST_NGINX_LOAD_MODULES=$(abspath $(BUILD))/ngx_http_taskmq_module.so \
	    prove -I$${TEST_NGINX:-t}/lib t

check: unit scripts

-include $(shell find $(BUILD)/unit -name '*.d' 2>/dev/null)
