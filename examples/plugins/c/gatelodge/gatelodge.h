/*
 * What a plugin stands on: the contract gatelodge:plugin@0.1.0 in C.
 *
 * The structures are those of the contract as they lie in memory. Constructors such as gl_set copy
 * what they are given into memory that is taken back when the host has read the hook's answer, so
 * arguments may lie on the stack, and nothing has to be freed.
 */
#ifndef GATELODGE_H
#define GATELODGE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define GL_EXPORT(name) __attribute__((export_name(name)))

/* Text or bytes, without a zero at the end. */
typedef struct {
    const void *ptr;
    size_t len;
} gl_bytes;

typedef struct {
    const void *ptr;
    size_t len;
} gl_list;

/* A string literal. */
#define GL(literal) ((gl_bytes){(literal), sizeof(literal) - 1})
/* An array of static storage. */
#define GL_LIST(array) {(array), sizeof(array) / sizeof *(array)}

gl_bytes gl_text(const char *text);
bool gl_equals(gl_bytes bytes, const char *text);
bool gl_starts_with(gl_bytes bytes, const char *text);

/* Room until the hook's answer has been read; never NULL. */
void *gl_take(size_t size);

/* Writes an error to the log, then ends the instance. */
_Noreturn void gl_panic(const char *message);

/* ---- settings ---- */

typedef enum {
    GL_METHOD, GL_SCHEME, GL_AUTHORITY, GL_PATH, GL_QUERY, GL_HEADER, GL_COOKIE, GL_QUERY_PARAM,
    GL_CLIENT_IP, GL_SNI, GL_REQUEST_ID, GL_ROUTE, GL_UPGRADE, GL_SUBJECT, GL_CLAIM, GL_ATTRIBUTE,
    GL_NOTE, GL_STATUS, GL_RESPONSE_HEADER, GL_RESPONSE_SOURCE, GL_NAMED
} gl_selector_kind;

/* Something that a hook wants to see; what is not asked for is never copied in. */
typedef struct {
    uint8_t kind;  /* gl_selector_kind */
    gl_bytes name; /* of GL_HEADER, GL_COOKIE and so on */
} gl_selector;

typedef struct {
    gl_list request_view;    /* gl_selector: fields of the request hook, in this order */
    gl_list response_view;   /* gl_selector */
    gl_list completion_view; /* gl_selector */
    gl_list outputs;         /* gl_bytes: header names of gl_set_slot */
    gl_list attributes;      /* gl_bytes */
    uint32_t tick_ms;
    gl_list options;
} gl_registration;

typedef struct {
    uint8_t refused;
    union {
        gl_registration registration;
        gl_bytes refusal;
    };
} gl_configured;

gl_configured gl_ready(gl_registration registration);
gl_configured gl_refuse(const char *why);

/* A string of [plugin.config]; false where it is not set. What it gives stays for good. */
bool gl_setting(const char *key, gl_bytes *value);

/* ---- what hooks see ---- */

typedef struct {
    uint8_t some;
    gl_bytes value;
} gl_field;

typedef struct {
    const gl_field *fields;
    size_t count;
} gl_view;

/* A field in the order of the registration; false where the head has none. Valid until the hook returns. */
bool gl_get(const gl_view *view, size_t field, gl_bytes *value);

/* ---- what hooks answer ---- */

typedef struct {
    gl_bytes name, value;
} gl_header;

typedef struct {
    uint8_t kind;
    union {
        gl_header header;
        gl_bytes text;
        struct {
            uint32_t index;
            gl_bytes value;
        } slot;
        uint16_t status;
    };
} gl_edit;

gl_edit gl_set_slot(uint32_t index, gl_bytes value);
gl_edit gl_set(const char *name, gl_bytes value);
gl_edit gl_append(const char *name, gl_bytes value);
gl_edit gl_remove(const char *name);
gl_edit gl_path_and_query(gl_bytes target);
gl_edit gl_status(uint16_t status);

typedef enum { GL_SKIP, GL_OBSERVE, GL_STREAM } gl_interest;

typedef struct {
    uint16_t status;
    gl_list headers; /* gl_header */
    gl_bytes body;
    struct {
        uint8_t some;
        gl_bytes text;
    } reason;
} gl_response;

typedef struct {
    uint8_t kind;
    union {
        gl_list edits;
        struct {
            gl_list edits;
            struct {
                uint8_t kind;
                uint32_t whole_max;
                uint8_t whole_over;
            } interest;
        } inspect;
        gl_response response;
    };
} gl_verdict;

/* Go on unchanged. */
gl_verdict gl_pass(void);
/* Go on with these changes. */
gl_verdict gl_edited(size_t count, const gl_edit *edits);
/* Go on with these changes, and look at the body. */
gl_verdict gl_inspect(size_t count, const gl_edit *edits, gl_interest interest);
/* Stop here and answer. */
gl_verdict gl_respond(uint16_t status, size_t count, const gl_header *headers, gl_bytes body);

typedef struct {
    uint8_t kind;
    union {
        gl_bytes data;
        gl_response response;
    };
} gl_chunk_verdict;

/* The chunk goes on as it is. */
gl_chunk_verdict gl_chunk_pass(void);
/* These bytes instead, which are not copied: the chunk's own, or of gl_take. None swallow the chunk. */
gl_chunk_verdict gl_replace(const void *data, size_t len);
/* As it is, and so does the rest, unseen. */
gl_chunk_verdict gl_done(void);

typedef struct {
    uint8_t kind;
    union {
        struct {
            gl_bytes data;
            struct {
                uint8_t some;
                gl_list list;
            } trailers;
        } tail;
        gl_response response;
    };
} gl_end_verdict;

/* The body ends as it came. */
gl_end_verdict gl_end_pass(void);
/* These bytes come last. */
gl_end_verdict gl_finish(gl_bytes data);

/* ---- what the host does ---- */

typedef enum { GL_TRACE, GL_DEBUG, GL_INFO, GL_WARN, GL_ERROR } gl_level;

/* Grant: log = true. */
void gl_log(gl_level level, gl_bytes message);

typedef enum {
    GL_OK, GL_DENIED, GL_NOT_FOUND, GL_TIMED_OUT, GL_TOO_LARGE, GL_UNAVAILABLE, GL_CONFLICT, GL_INVALID, GL_OTHER
} gl_failure;

const char *gl_failure_name(gl_failure failure);

/* Adds to a number of a store in one step. ttl_ms 0: stays. Grant: state = ["NAME"]. */
gl_failure gl_kv_increment(gl_bytes store, gl_bytes key, int64_t by, uint64_t ttl_ms, int64_t *sum);

/* ---- which hooks the plugin has: once each, at the end of its file ---- */

void gl_released(void);

#define GL_HOOK_(symbol, name) \
    GL_EXPORT("cabi_post_" name) void symbol##_post_(void *answer) { (void)answer; gl_released(); } \
    GL_EXPORT(name)

#define GL_ANSWER_(type, value) \
    type *answer = gl_take(sizeof(type)); \
    *answer = (value); \
    return answer;

#define GL_CONFIGURE(function) \
    GL_HOOK_(gl_lifecycle, "gatelodge:plugin/lifecycle@0.1.0#configure") \
    gl_configured *gl_lifecycle_(void) { GL_ANSWER_(gl_configured, function()) }

#define GL_HEAD_(symbol, interface, function) \
    GL_HOOK_(symbol, "gatelodge:plugin/" interface "@0.1.0#handle") \
    gl_verdict *symbol##_(const gl_field *fields, size_t count) \
    { \
        gl_view view = {fields, count}; \
        GL_ANSWER_(gl_verdict, function(&view)) \
    }

/* gl_verdict function(const gl_view *view) */
#define GL_REQUEST_HEAD(function) GL_HEAD_(gl_request_head, "request-head", function)
#define GL_RESPONSE_HEAD(function) GL_HEAD_(gl_response_head, "response-head", function)

#define GL_BODY_(symbol, interface, open, chunk, end, drop) \
    __attribute__((import_module("[export]gatelodge:plugin/" interface "@0.1.0"), \
                   import_name("[resource-new]inspector"))) int32_t symbol##_new_(void *body); \
    GL_EXPORT("gatelodge:plugin/" interface "@0.1.0#open") int32_t symbol##_open_(void) \
    { \
        void *body = open(); \
        gl_released(); \
        return symbol##_new_(body); \
    } \
    GL_HOOK_(symbol##_chunk, "gatelodge:plugin/" interface "@0.1.0#[method]inspector.chunk") \
    gl_chunk_verdict *symbol##_chunk_(void *body, uint8_t *data, size_t len) \
    { \
        GL_ANSWER_(gl_chunk_verdict, chunk(body, data, len)) \
    } \
    GL_HOOK_(symbol##_end, "gatelodge:plugin/" interface "@0.1.0#[method]inspector.end") \
    gl_end_verdict *symbol##_end_(void *body, const gl_header *trailers, size_t count) \
    { \
        (void)trailers, (void)count; \
        GL_ANSWER_(gl_end_verdict, end(body)) \
    } \
    GL_EXPORT("gatelodge:plugin/" interface "@0.1.0#[dtor]inspector") void symbol##_drop_(void *body) { drop(body); }

/*
 * void *open(void): what is to be remembered of one body, handed to the others.
 * gl_chunk_verdict chunk(void *body, uint8_t *data, size_t len), gl_end_verdict end(void *body),
 * void drop(void *body).
 */
#define GL_REQUEST_BODY(open, chunk, end, drop) GL_BODY_(gl_request_body, "request-body", open, chunk, end, drop)
#define GL_RESPONSE_BODY(open, chunk, end, drop) GL_BODY_(gl_response_body, "response-body", open, chunk, end, drop)

#endif
