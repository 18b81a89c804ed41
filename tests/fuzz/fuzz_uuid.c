/*
 * fuzz_uuid.c: task ids. Every job id comes back; a text is taken only when it
 * is the one this key makes of the id it stands for.
 */

#include <strings.h>

#include "fuzz.h"
#include "tq_base.h"

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char           text[TQ_UUID_LEN + 1];
    int64_t        id, back;
    unsigned char  key[TQ_UUID_KEY_LEN] = { 1, 2, 3 };

    if (size >= sizeof(id)) {
        memcpy(&id, data, sizeof(id));
        id = (int64_t) ((uint64_t) id % TQ_ID_MAX) + 1;

        if (size >= sizeof(id) + sizeof(key)) {
            memcpy(key, data + sizeof(id), sizeof(key));
        }

        tq_uuid_format(key, id, text);
        MUST(strlen(text) == TQ_UUID_LEN);
        MUST(text[14] == '8' && strchr("89ab", text[19]) != NULL);
        MUST(tq_uuid_parse(key, text, TQ_UUID_LEN, &back) == 0);
        MUST(back == id);

        text[data[0] % TQ_UUID_LEN] ^= 1;
        MUST(tq_uuid_parse(key, text, TQ_UUID_LEN, &back) != 0);
    }

    if (tq_uuid_parse(key, (const char *) data, size, &id) == 0) {
        MUST(size == TQ_UUID_LEN);
        MUST(id >= 1 && id <= TQ_ID_MAX);
        tq_uuid_format(key, id, text);
        MUST(strncasecmp(text, (const char *) data, TQ_UUID_LEN) == 0);
    }

    return 0;
}
