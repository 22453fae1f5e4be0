/* Shows one thing per path. */

#include "gatelodge.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>

enum { PATH };           /* fields of both views */
enum { GREETING, HITS }; /* outputs */

static gl_bytes greeting;

static gl_configured configure(void)
{
    static const gl_selector request[] = {[PATH] = {.kind = GL_PATH}};
    static const gl_selector response[] = {[PATH] = {.kind = GL_PATH}};
    static const gl_bytes outputs[] = {[GREETING] = GL("x-greeting"), [HITS] = GL("x-hits")};

    if (!gl_setting("greeting", &greeting))
        return gl_refuse("set greeting = \"...\" for this plugin");
    gl_log(GL_INFO, GL("c is ready"));
    return gl_ready((gl_registration){
        .request_view = GL_LIST(request),
        .response_view = GL_LIST(response),
        .outputs = GL_LIST(outputs),
    });
}

static gl_verdict count_hits(void)
{
    int64_t hits;
    gl_failure failure = gl_kv_increment(GL("battery"), GL("hits"), 1, 0, &hits);
    if (failure != GL_OK)
        return gl_edited(1, (gl_edit[]){gl_set_slot(HITS, gl_text(gl_failure_name(failure)))});
    char text[24];
    snprintf(text, sizeof text, "%lld", (long long)hits);
    return gl_edited(1, (gl_edit[]){gl_set_slot(HITS, gl_text(text))});
}

static gl_verdict on_request(const gl_view *view)
{
    gl_bytes path;
    if (!gl_get(view, PATH, &path))
        return gl_pass();
    if (gl_starts_with(path, "/edit"))
        return gl_edited(1, (gl_edit[]){gl_set_slot(GREETING, greeting)});
    if (gl_equals(path, "/answer"))
        return gl_respond(418, 1, (gl_header[]){{GL("x-language"), GL("c")}}, GL("hello from c"));
    if (gl_equals(path, "/log")) {
        char line[256];
        snprintf(line, sizeof line, "seen %.*s", (int)path.len, (const char *)path.ptr);
        gl_log(GL_INFO, gl_text(line));
    }
    if (gl_equals(path, "/kv"))
        return count_hits();
    if (gl_equals(path, "/trap"))
        gl_panic("asked to trap");
    if (gl_equals(path, "/loop"))
        for (;;) {
        }
    return gl_pass();
}

static gl_verdict on_response(const gl_view *view)
{
    gl_bytes path;
    if (!gl_get(view, PATH, &path))
        return gl_pass();
    if (gl_starts_with(path, "/edit"))
        return gl_edited(1, (gl_edit[]){gl_set("x-language", GL("c"))});
    if (gl_equals(path, "/body"))
        return gl_inspect(0, NULL, GL_STREAM);
    return gl_pass();
}

/* A body whose letters become capitals. There is nothing to remember between chunks. */

static void *on_body(void)
{
    return NULL;
}

static gl_chunk_verdict on_chunk(void *body, uint8_t *data, size_t len)
{
    (void)body;
    for (size_t i = 0; i < len; i++)
        data[i] = (uint8_t)toupper(data[i]);
    return gl_replace(data, len);
}

static gl_end_verdict on_end(void *body)
{
    (void)body;
    return gl_end_pass();
}

static void on_drop(void *body)
{
    (void)body;
}

/* The hooks that this plugin has; what is not named here costs no request anything. */
GL_CONFIGURE(configure)
GL_REQUEST_HEAD(on_request)
GL_RESPONSE_HEAD(on_response)
GL_RESPONSE_BODY(on_body, on_chunk, on_end, on_drop)
