# Side by side with peers: `make bench`, or with options as
# `make bench ARGS="--quick --works http-1,drain"`. Installs what the peers
# need (bench/setup), writes bench/results.

BENCH_OUT   := $(BUILD)/bench
BENCH_TOOLS := $(BENCH_OUT)/limit $(BENCH_OUT)/beanstalk $(BENCH_OUT)/gear \
               $(BENCH_OUT)/noop.so
BENCH_CFLAGS = -O2 -g -std=gnu11 -Wall -Wextra -Werror

$(BENCH_OUT)/limit: BENCH_LIBS = -lhiredis
$(BENCH_OUT)/gear: BENCH_LIBS = -lgearman

$(BENCH_OUT)/%: bench/tools/%.c
	@mkdir -p $(@D)
	$(CC) $(BENCH_CFLAGS) -o $@ $< $(BENCH_LIBS)

$(BENCH_OUT)/noop.so: bench/tools/noop.c clients/c/taskmq_handler.h
	@mkdir -p $(@D)
	$(CC) $(BENCH_CFLAGS) -shared -fPIC -o $@ $<

.PHONY: bench bench-setup

bench-setup:
	bench/setup $(BENCH_OUT)

bench: all bench-setup
	$(MAKE) $(BENCH_TOOLS)
	BUILD=$(abspath $(BUILD)) python3 bench/run.py $(ARGS)
