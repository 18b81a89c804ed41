/*
 * fuzz_time.c: dates. One that is read is in range, and written out it reads
 * as the same moment.
 */

#include "fuzz.h"
#include "tq_base.h"

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char     iso[TQ_TIME_ISO_LEN + 1];
    int64_t  ms, again;

    if (tq_time_parse((const char *) data, size, &ms) == 0) {
        MUST(size >= 10);
        MUST(ms > -62167305600000 && ms < 253402300800000);
        tq_time_format(ms, iso);
        MUST(strlen(iso) == TQ_TIME_ISO_LEN);
        MUST(tq_time_parse(iso, TQ_TIME_ISO_LEN, &again) == 0);
        MUST(again == (ms < 0 ? 0 : ms));
    }

    if (size >= sizeof(ms)) {
        memcpy(&ms, data, sizeof(ms));
        tq_time_format(ms, iso);
        MUST(tq_time_parse(iso, TQ_TIME_ISO_LEN, &again) == 0);
        MUST(again == ms || ms < 0 || ms >= 253402300800000);
    }

    return 0;
}
