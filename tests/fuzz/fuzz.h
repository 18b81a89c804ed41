/*
 * fuzz.h: what the libFuzzer targets share. A property that does not hold
 * stops the run with the line it stands on.
 */

#ifndef FUZZ_H
#define FUZZ_H

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define MUST(what)                                                            \
    do {                                                                      \
        if (!(what)) {                                                        \
            fprintf(stderr, "%s:%d: does not hold: %s\n", __FILE__, __LINE__, \
                #what);                                                       \
            abort();                                                          \
        }                                                                     \
    } while (0)

#endif /* FUZZ_H */
