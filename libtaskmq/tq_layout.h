/*
 * tq_layout.h: where each field stands in the two records that Redis keeps of
 * a job. The one table of these places: C uses the macros below; embed.sh puts
 * the numbers into the scripts, where TQ_RUN_STATE becomes "2, 2",
 * TQ_RUN_STATE_FIRST and TQ_RUN_STATE_LAST become 2.
 *
 * A field is its first and its last byte, counted from 1 as Lua counts them.
 * docs/redis-schema.md says what the fields hold.
 */

#ifndef TQ_LAYOUT_H
#define TQ_LAYOUT_H

/* What `schema` in Redis must say: raised with every change of what the keys
 * of a namespace hold. */
#define TQ_SCHEMA            3

/* j:<id>, the job as it was asked for. */
#define TQ_JOB_VERSION       1, 1       /* '1' */
#define TQ_JOB_KIND          2, 2       /* '-' plain, 'o' options, 'p' period */
#define TQ_JOB_PRIORITY      4, 6
#define TQ_JOB_POLICY        8, 8       /* 'f', 'e', 'n' */
#define TQ_JOB_RETRIES      10, 12      /* digits, "t--" or "d--" */
#define TQ_JOB_HEAD          1, 13      /* all before the created time */
#define TQ_JOB_CREATED      14, 26      /* ms */
#define TQ_JOB_HANDLER      28, 28      /* its first byte; then options, LF */

/* r:<id>, how its runs went. What changes when a run ends comes first. */
#define TQ_RUN_VERSION       1, 1       /* '1' */
#define TQ_RUN_STATE         2, 2       /* R, E, W, S, F, C */
#define TQ_RUN_FINISHED      3, 15      /* ms */
#define TQ_RUN_COUNTER      17, 28      /* the token's first part */
#define TQ_RUN_WORKER       29, 44      /* … and its second */
#define TQ_RUN_TOKEN        17, 44
#define TQ_RUN_STARTED      46, 58      /* ms */
#define TQ_RUN_ATTEMPTS     60, 62
#define TQ_RUN_CRASHES      64, 64
#define TQ_RUN_RUNS         66, 75
#define TQ_RUN_ERROR_LEN    77, 81      /* bytes */
#define TQ_RUN_NAME         83, 83      /* the worker's name, LF, header line,
                                           error text, result */

/* A field's offset (from 0), length, and the offset behind it in C. */
#define TQ_AT(...)           TQ_AT_(__VA_ARGS__)
#define TQ_AT_(first, last)  ((first) - 1)
#define TQ_LEN(...)          TQ_LEN_(__VA_ARGS__)
#define TQ_LEN_(first, last) ((last) - (first) + 1)
#define TQ_END(...)          TQ_END_(__VA_ARGS__)
#define TQ_END_(first, last) (last)

/* Where one field ends, the next begins, gap blanks later: else this does not
 * compile. */
#define TQ_FOLLOWS(field, next, gap)                                          \
    _Static_assert(TQ_AT(next) == TQ_END(field) + (gap), #next)

#endif /* TQ_LAYOUT_H */
