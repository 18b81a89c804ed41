/*
 * job_words.h: what a client is told of a wrong field, for the tests to expect.
 */

#ifndef JOB_WORDS_H
#define JOB_WORDS_H

#define REQ  "\"payload\":{},\"handler\":\"h\""     /* what is required */

#define D(loc, msg, type)                                                     \
    "{\"loc\":[\"body\"" loc "],\"msg\":\"" msg "\",\"type\":\"" type "\"}"
#define F(field, msg, type)  D(",\"" field "\"", msg, type)

#define MISSING(f)   F(f, "field required", "value_error.missing")
#define NONE(f)      F(f, "none is not an allowed value",                     \
                       "type_error.none.not_allowed")
#define DICT(f)      F(f, "value is not a valid dict", "type_error.dict")
#define STR(f)       F(f, "str type expected", "type_error.str")
#define REGEX(f)     F(f, "string does not match regex "                      \
                       "\\\"^[A-Za-z0-9_.-]{1,64}$\\\"",                      \
                       "value_error.str.regex")
#define INT(f)       F(f, "value is not a valid integer",                     \
                       "type_error.integer")
#define GE(f, n)     F(f, "ensure this value is greater than or equal to " n, \
                       "value_error.number.not_ge")
#define LE(f, n)     F(f, "ensure this value is less than or equal to " n,    \
                       "value_error.number.not_le")
#define ENUM(f)      F(f, "value is not a valid enumeration member; "         \
                       "permitted: 'fixed', 'exponential', 'none'",           \
                       "type_error.enum")
#define DATE(f)      F(f, "invalid datetime format", "value_error.datetime")
#define EXTRA(f)     F(f, "extra fields not permitted", "value_error.extra")
#define BAD_JSON(at, msg)  D("," #at, msg, "value_error.jsondecode")

#define A64  "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"

#endif /* JOB_WORDS_H */
