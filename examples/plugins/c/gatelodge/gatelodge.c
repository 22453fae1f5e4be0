#include "gatelodge.h"

#include <stdlib.h>
#include <string.h>

#define IMPORT(interface, name) \
    __attribute__((import_module("gatelodge:plugin/" interface "@0.1.0"), import_name(name)))

IMPORT("log", "write") void host_log_write(int32_t level, const void *text, size_t len);
IMPORT("config", "json") void host_config_json(gl_bytes *json);
IMPORT("kv", "increment")
void host_kv_increment(const void *store, size_t store_len, const void *key, size_t key_len, int64_t by,
                       int32_t expires, uint64_t ttl_ms, void *outcome);

_Static_assert(sizeof(gl_bytes) == 8 && sizeof(gl_selector) == 12 && sizeof(gl_field) == 12, "contract");
_Static_assert(sizeof(gl_header) == 16 && sizeof(gl_edit) == 20 && sizeof(gl_response) == 32, "contract");
_Static_assert(sizeof(gl_registration) == 52 && sizeof(gl_configured) == 56, "contract");
_Static_assert(sizeof(gl_verdict) == 36 && sizeof(gl_chunk_verdict) == 36, "contract");
_Static_assert(sizeof(gl_end_verdict) == 36, "contract");

/* ---- memory ---- */

/* A chunk of a body, and heads beside it. */
static _Alignas(8) uint8_t space[160 * 1024];
static size_t space_used;

/* Blocks that did not fit; each begins with the next. */
typedef union block {
    union block *next;
    uint64_t align;
} block;
static block *spilled;

void *gl_take(size_t size)
{
    size = (size + 7) & ~(size_t)7;
    if (size <= sizeof space - space_used) {
        void *place = space + space_used;
        space_used += size;
        return place;
    }
    block *extra = malloc(sizeof(block) + size);
    if (extra == NULL)
        gl_panic("out of memory");
    extra->next = spilled;
    spilled = extra;
    return extra + 1;
}

void gl_released(void)
{
    space_used = 0;
    while (spilled != NULL) {
        block *next = spilled->next;
        free(spilled);
        spilled = next;
    }
}

/* What stays for as long as the instance. The allocator would make the memory grow at its first use. */
static void *keep(const void *from, size_t len)
{
    static uint8_t kept[4096];
    static size_t kept_used;
    void *to = kept + kept_used;
    if (len <= sizeof kept - kept_used)
        kept_used += len;
    else if ((to = malloc(len)) == NULL)
        gl_panic("out of memory");
    return memcpy(to, from, len);
}

/* Where the host writes to; the name is the component model's. */
GL_EXPORT("cabi_realloc") void *cabi_realloc(void *old, size_t old_size, size_t align, size_t size)
{
    (void)align;
    void *place = gl_take(size);
    if (old != NULL)
        memcpy(place, old, old_size < size ? old_size : size);
    return place;
}

static gl_bytes copied(gl_bytes from)
{
    void *to = gl_take(from.len);
    memcpy(to, from.ptr, from.len);
    return (gl_bytes){to, from.len};
}

/* ---- text ---- */

gl_bytes gl_text(const char *text)
{
    return (gl_bytes){text, strlen(text)};
}

bool gl_equals(gl_bytes bytes, const char *text)
{
    return bytes.len == strlen(text) && memcmp(bytes.ptr, text, bytes.len) == 0;
}

bool gl_starts_with(gl_bytes bytes, const char *text)
{
    size_t len = strlen(text);
    return bytes.len >= len && memcmp(bytes.ptr, text, len) == 0;
}

void gl_panic(const char *message)
{
    gl_log(GL_ERROR, gl_text(message));
    __builtin_trap();
}

/* ---- settings ---- */

gl_configured gl_ready(gl_registration registration)
{
    return (gl_configured){.refused = 0, .registration = registration};
}

gl_configured gl_refuse(const char *why)
{
    return (gl_configured){.refused = 1, .refusal = copied(gl_text(why))};
}

/* The host has checked that the settings are one JSON object. */
typedef struct {
    const char *at, *end;
} reader;

static bool next_is(reader *json, char wanted)
{
    while (json->at < json->end && strchr(" \t\r\n,:", *json->at) != NULL)
        json->at++;
    return json->at < json->end && *json->at == wanted;
}

static size_t put_utf8(char *to, unsigned code)
{
    if (code < 0x80) {
        to[0] = (char)code;
        return 1;
    }
    size_t more = code < 0x800 ? 1 : code < 0x10000 ? 2 : 3;
    to[0] = (char)((0xff00 >> (more + 1)) | (code >> (6 * more)));
    for (size_t i = 1; i <= more; i++)
        to[i] = (char)(0x80 | ((code >> (6 * (more - i))) & 0x3f));
    return more + 1;
}

static unsigned hex4(const char *digits)
{
    char text[5] = {digits[0], digits[1], digits[2], digits[3], 0};
    return (unsigned)strtoul(text, NULL, 16);
}

/* A string, without its escapes. Never longer than it is written. */
static gl_bytes read_string(reader *json)
{
    char *out = gl_take((size_t)(json->end - json->at));
    size_t len = 0;
    for (json->at++; *json->at != '"'; json->at++) {
        if (*json->at != '\\') {
            out[len++] = *json->at;
            continue;
        }
        static const char names[] = "bfnrt", values[] = "\b\f\n\r\t";
        const char *name = strchr(names, *++json->at);
        if (*json->at != 'u') {
            out[len++] = name != NULL ? values[name - names] : *json->at;
            continue;
        }
        unsigned code = hex4(json->at + 1);
        json->at += 4;
        if (code >= 0xd800 && code < 0xdc00 && json->at[1] == '\\' && json->at[2] == 'u') {
            code = 0x10000 + ((code & 0x3ff) << 10) + (hex4(json->at + 3) & 0x3ff);
            json->at += 6;
        }
        len += put_utf8(out + len, code);
    }
    json->at++;
    return (gl_bytes){out, len};
}

static void skip_value(reader *json)
{
    int depth = 0;
    do {
        if (next_is(json, '"')) {
            read_string(json);
            continue;
        }
        depth += *json->at == '{' || *json->at == '[';
        depth -= *json->at == '}' || *json->at == ']';
        json->at++;
        /* A number or a word. */
        while (depth == 0 && json->at < json->end && strchr(",}] \t\r\n", *json->at) == NULL)
            json->at++;
    } while (depth > 0);
}

bool gl_setting(const char *key, gl_bytes *value)
{
    gl_bytes text;
    host_config_json(&text);
    reader json = {text.ptr, (const char *)text.ptr + text.len};
    next_is(&json, '{');
    json.at++;
    while (next_is(&json, '"')) {
        bool found = gl_equals(read_string(&json), key);
        if (!next_is(&json, '"')) {
            skip_value(&json);
            continue;
        }
        gl_bytes string = read_string(&json);
        if (!found)
            continue;
        *value = (gl_bytes){keep(string.ptr, string.len), string.len};
        return true;
    }
    return false;
}

/* ---- views and verdicts ---- */

bool gl_get(const gl_view *view, size_t field, gl_bytes *value)
{
    if (field >= view->count)
        gl_panic("no such field in the registration");
    *value = view->fields[field].value;
    return view->fields[field].some != 0;
}

enum { SET, APPEND, REMOVE, SET_SLOT = 4, PATH_AND_QUERY, STATUS = 8 };

static gl_header header(const char *name, gl_bytes value)
{
    return (gl_header){copied(gl_text(name)), copied(value)};
}

gl_edit gl_set_slot(uint32_t index, gl_bytes value)
{
    return (gl_edit){.kind = SET_SLOT, .slot = {index, copied(value)}};
}

gl_edit gl_set(const char *name, gl_bytes value)
{
    return (gl_edit){.kind = SET, .header = header(name, value)};
}

gl_edit gl_append(const char *name, gl_bytes value)
{
    return (gl_edit){.kind = APPEND, .header = header(name, value)};
}

gl_edit gl_remove(const char *name)
{
    return (gl_edit){.kind = REMOVE, .text = copied(gl_text(name))};
}

gl_edit gl_path_and_query(gl_bytes target)
{
    return (gl_edit){.kind = PATH_AND_QUERY, .text = copied(target)};
}

gl_edit gl_status(uint16_t status)
{
    return (gl_edit){.kind = STATUS, .status = status};
}

static gl_list list(size_t count, size_t size, const void *items)
{
    if (count == 0)
        return (gl_list){0};
    return (gl_list){memcpy(gl_take(count * size), items, count * size), count};
}

gl_verdict gl_pass(void)
{
    return (gl_verdict){.kind = 0};
}

gl_verdict gl_edited(size_t count, const gl_edit *edits)
{
    return (gl_verdict){.kind = 1, .edits = list(count, sizeof *edits, edits)};
}

gl_verdict gl_inspect(size_t count, const gl_edit *edits, gl_interest interest)
{
    return (gl_verdict){
        .kind = 2,
        .inspect = {list(count, sizeof *edits, edits), {.kind = (uint8_t)interest}},
    };
}

gl_verdict gl_respond(uint16_t status, size_t count, const gl_header *headers, gl_bytes body)
{
    gl_header *copy = gl_take(count * sizeof *copy);
    for (size_t i = 0; i < count; i++)
        copy[i] = (gl_header){copied(headers[i].name), copied(headers[i].value)};
    return (gl_verdict){.kind = 3, .response = {.status = status, .headers = {copy, count}, .body = copied(body)}};
}

gl_chunk_verdict gl_chunk_pass(void)
{
    return (gl_chunk_verdict){.kind = 0};
}

gl_chunk_verdict gl_replace(const void *data, size_t len)
{
    return (gl_chunk_verdict){.kind = 1, .data = {data, len}};
}

gl_chunk_verdict gl_done(void)
{
    return (gl_chunk_verdict){.kind = 3};
}

gl_end_verdict gl_end_pass(void)
{
    return (gl_end_verdict){.kind = 0};
}

gl_end_verdict gl_finish(gl_bytes data)
{
    return (gl_end_verdict){.kind = 1, .tail = {.data = copied(data)}};
}

/* ---- what the host does ---- */

void gl_log(gl_level level, gl_bytes message)
{
    host_log_write(level, message.ptr, message.len);
}

const char *gl_failure_name(gl_failure failure)
{
    static const char *const names[] = {
        "ok", "denied", "not found", "timed out", "too large", "unavailable", "conflict", "invalid", "other",
    };
    return names[failure];
}

gl_failure gl_kv_increment(gl_bytes store, gl_bytes key, int64_t by, uint64_t ttl_ms, int64_t *sum)
{
    struct {
        uint8_t failed;
        union {
            int64_t sum;
            struct {
                uint8_t kind;
                gl_bytes text;
            } failure;
        };
    } outcome;
    _Static_assert(sizeof outcome == 24, "contract");
    host_kv_increment(store.ptr, store.len, key.ptr, key.len, by, ttl_ms != 0, ttl_ms, &outcome);
    if (outcome.failed)
        return (gl_failure)(outcome.failure.kind + 1);
    *sum = outcome.sum;
    return GL_OK;
}
