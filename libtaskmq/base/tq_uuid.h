/*
 * tq_uuid.h: a task id (UUID version 8) made from a job id and a namespace's
 * random key, and back. It needs no index and cannot be guessed: 64 bits are
 * a keyed MAC (SipHash-2-4, first half of the key) of the job id, 58 bits are
 * the job id masked by a second keyed function (the other half) of that MAC.
 */

#ifndef TQ_UUID_H
#define TQ_UUID_H

#include <stddef.h>
#include <stdint.h>

#define TQ_UUID_LEN      36
#define TQ_UUID_KEY_LEN  32

/* Writes TQ_UUID_LEN bytes, lower case, and a NUL. id: 1..TQ_ID_MAX. */
void tq_uuid_format(const unsigned char key[TQ_UUID_KEY_LEN], int64_t id,
    char dst[TQ_UUID_LEN + 1]);

/* The job id behind a task id (either case). 0, or -1 when it is not a UUID
 * that was made with this key. */
int tq_uuid_parse(const unsigned char key[TQ_UUID_KEY_LEN], const char *p,
    size_t len, int64_t *id);

#endif /* TQ_UUID_H */
