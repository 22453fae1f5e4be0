//! The acts that cost one request, or nothing.

use super::act::{Act, Answer, show};

/// Gives each act a test of its name, and all of them as a list.
macro_rules! acts {
    ($($name:ident = $act:expr;)+) => {
        pub(super) const ACTS: &[Act] = &[$(Act { name: stringify!($name), ..$act }),+];
        $(#[test]
        fn $name() {
            show(&Act { name: stringify!($name), ..$act });
        })+
    };
}

const REQUEST: &str = "X-Do: request\r\n";
const RESPONSE: &str = "X-Do: response\r\n";
const COMPLETION: &str = "X-Do: completion\r\n";
const GO: &str = "X-Do: go\r\n";
/// The guests that look at bodies are asked for this one of them only.
const UP: &str = "X-Skip: response\r\n";
const LOUD: &[&str] = &["send HTTP/1.1 200 OK\\r\\nContent-Length: 5\\r\\n\\r\\nloud!"];
const STOPPED: &str = "it was stopped at its deadline";
const TRAPPED: &str = "it trapped: ";
const STARVED: &str = "it died after it was refused more memory";
const TOO_MUCH: &str = "it handed over more than 8388608 bytes at once";

acts! {
    loop_in_request = Act::new("W1", "loop").asks(REQUEST).fails("request-head", "deadline", STOPPED);
    loop_that_gives_way = Act::new("W1", "loop").asks(REQUEST).with("preemptible = true")
        .fails("request-head", "deadline", STOPPED);
    chunk_loop_that_gives_way = Act::new("W1", "body-loop").sends(UP, "loud!").with("preemptible = true")
        .fails("request-body", "deadline", STOPPED);
    loop_in_response = Act::new("W1", "loop").asks(RESPONSE).fails("response-head", "deadline", STOPPED);
    loop_in_completion = Act::new("W1", "loop").asks(COMPLETION).fails("completion", "deadline", STOPPED)
        .answers(Answer::Status(200));
    loop_in_request_chunk = Act::new("W1", "body-loop").sends(UP, "loud!").fails("request-body", "deadline", STOPPED);
    loop_in_response_chunk = Act::new("W1", "body-loop").gets(LOUD).fails("response-body", "deadline", STOPPED).answers(Answer::Cut);
    loop_of_host_calls = Act::new("W1", "host-calls").asks("X-How: calls\r\n").fails("request-head", "deadline", STOPPED);
    loop_of_fills = Act::new("W1", "host-calls").asks("X-How: fill\r\n").fails("request-head", "deadline", STOPPED);
    bulk_of_64_gib = Act::new("W1", "raw-bulk-fill").asks(GO).fails("request-head", "deadline", STOPPED);
    loop_in_post_return = Act::new("W1", "raw-post-loop").asks(GO).fails("request-head", "deadline", STOPPED);
    sleep_for_an_hour = Act::new("W1", "wasi-std").asks("X-Do: sleep\r\n")
        .fails("request-head", "trap", "a hook never waits");

    memory_without_end = Act::new("W2", "grow").asks(REQUEST).fails("request-head", "memory", STARVED);
    memory_on_the_way_out = Act::new("W2", "grow").asks(RESPONSE).fails("response-head", "memory", STARVED);
    memory_in_a_chunk = Act::new("W2", "body-grow").sends(UP, "loud!").fails("request-body", "memory", STARVED);
    table_without_end = Act::new("W2", "raw-table-grow").asks(GO).fails("request-head", "memory", STARVED);
    deep_recursion = Act::new("W2", "recurse").asks(REQUEST).fails("request-head", "trap", TRAPPED);
    text_of_4_gib = Act::new("W2", "raw-text-huge").asks(GO).fails("request-head", "trap", TRAPPED);
    a_million_fields = Act::new("W2", "raw-fields-million").asks(GO).fails("request-head", "bad-output", TOO_MUCH);
    body_of_9_mib = Act::new("W2", "huge").asks("X-Want: huge\r\n").fails("request-head", "bad-output", TOO_MUCH);
    chunk_of_9_mb = Act::new("W2", "body-huge").sends(UP, "9000000").spares("X-Skip: response\r\n")
        .fails("request-body", "bad-output", TOO_MUCH);
    bulk_beyond_memory = Act::new("W2", "raw-bulk-beyond").asks(GO).fails("request-head", "trap", TRAPPED);
    handles_without_end = Act::new("W2", "raw-handles").sends(GO, "x").fails("request-head", "trap", TRAPPED);
    handle_forged = Act::new("W2", "raw-handle-forged").sends(GO, "x").fails("request-head", "trap", TRAPPED);
    verdict_that_is_none = Act::new("W2", "raw-verdict-bent").asks(GO).fails("request-head", "trap", TRAPPED);
    pointer_beyond_memory = Act::new("W2", "raw-pointer-bent").asks(GO).fails("request-head", "trap", TRAPPED);
    text_that_is_no_utf8 = Act::new("W2", "raw-text-bent").asks(GO).fails("request-head", "trap", TRAPPED);
    room_beyond_memory = Act::new("W2", "raw-realloc-bent").asks("X-Do: thirteen-long\r\n")
        .fails("request-head", "trap", TRAPPED);
    memory_leaked = Act::new("W2", "leak").asks("X-Kib: 1024\r\n");

    trap_in_request = Act::new("W3", "trap").asks(REQUEST).fails("request-head", "trap", TRAPPED);
    trap_in_response = Act::new("W3", "trap").asks(RESPONSE).fails("response-head", "trap", TRAPPED);
    trap_in_completion = Act::new("W3", "trap").asks(COMPLETION).fails("completion", "trap", TRAPPED)
        .answers(Answer::Status(200));
    trap_in_request_chunk = Act::new("W3", "body-trap").sends(UP, "loud!").fails("request-body", "trap", TRAPPED);
    trap_in_response_chunk = Act::new("W3", "body-trap").gets(LOUD).fails("response-body", "trap", TRAPPED).answers(Answer::Cut);
    panic_in_request = Act::new("W3", "panic").asks(REQUEST).fails("request-head", "trap", TRAPPED);
    panic_in_response = Act::new("W3", "panic").asks(RESPONSE).fails("response-head", "trap", TRAPPED);
    panic_in_completion = Act::new("W3", "panic").asks(COMPLETION).fails("completion", "trap", TRAPPED)
        .answers(Answer::Status(200));
    panic_half_way = Act::new("W3", "half").asks(REQUEST).fails("request-head", "trap", TRAPPED);
    trap_in_a_whole_body = Act::new("W3", "whole-edit").set("over = \"pass\"").sends("X-How: trap\r\n", "all").spares("X-How: pass\r\n")
        .fails("request-whole", "trap", TRAPPED);
    exit = Act::new("W3", "wasi-std").asks("X-Do: exit\r\n").fails("request-head", "trap", "it called exit with status");
    abort = Act::new("W3", "wasi-std").asks("X-Do: abort\r\n").fails("request-head", "trap", TRAPPED);
    panic_of_wasi = Act::new("W3", "wasi-std").asks("X-Do: panic\r\n").fails("request-head", "trap", TRAPPED);
    trap_in_destructor = Act::new("W3", "body-drop-trap").sends(UP, "x").spares("X-Skip: response\r\n")
        .fails("request-body", "trap", TRAPPED).answers(Answer::Status(200));
    loop_in_destructor = Act::new("W3", "body-drop-loop").sends(UP, "x").spares("X-Skip: response\r\n")
        .fails("request-body", "deadline", STOPPED).answers(Answer::Status(200));
    lies_about_a_body = Act::new("W3", "body-lies").sends(UP, "x").spares("X-Skip: response\r\n")
        .fails("request-body", "bad-output", "");

    field_with_crlf = Act::new("W4", "edits").set(r#"request = ["set x=a\r\nx-forged: b"]"#).always()
        .fails("request-head", "bad-output", "control character");
    field_with_nul = Act::new("W4", "edits").set(r#"request = ["set x=a\u0000b"]"#).always()
        .fails("request-head", "bad-output", "control character");
    field_with_crlf_on_the_way_out = Act::new("W4", "edits").set(r#"response = ["append set-cookie=a\r\nx: b"]"#)
        .always().fails("response-head", "bad-output", "control character");
    name_with_crlf = Act::new("W4", "edits").set(r#"request = ["set x\r\ny=a"]"#).always()
        .fails("request-head", "bad-output", "is not a field name");
    name_with_colon = Act::new("W4", "edits").set(r#"request = ["set :path=/admin"]"#).always()
        .fails("request-head", "bad-output", "is not a field name");
    name_of_the_token = Act::new("W4", "edits").set(r#"request = ["set MS-ASPNETCORE-TOKEN=a"]"#).always()
        .fails("request-head", "bad-output", "between host and backend only");
    name_like_the_token = Act::new("W4", "edits").set(r#"request = ["set MS_ASPNETCORE_TOKEN=a"]"#).always()
        .fails("request-head", "bad-output", "between host and backend only");
    name_like_a_forwarded_fact = Act::new("W4", "edits").set(r#"request = ["set x_forwarded_for=10.0.0.1"]"#).always().fails("request-head", "bad-output", "read _ as -");
    name_host = Act::new("W4", "edits").set(r#"request = ["set host=evil"]"#).always()
        .fails("request-head", "bad-output", "the host writes it");
    name_connection = Act::new("W4", "edits").set(r#"request = ["set connection=x-forwarded-for"]"#).always()
        .fails("request-head", "bad-output", "one connection only");
    name_content_length = Act::new("W4", "edits").set(r#"request = ["set content-length=1"]"#).always()
        .fails("request-head", "bad-output", "the host writes it");
    name_transfer_encoding = Act::new("W4", "edits").set(r#"request = ["append transfer-encoding=chunked"]"#).always()
        .fails("request-head", "bad-output", "one connection only");
    name_content_length_on_the_way_out = Act::new("W4", "edits").set(r#"response = ["set content-length=1"]"#).always()
        .fails("response-head", "bad-output", "the host writes it");
    name_upgrade_on_the_way_out = Act::new("W4", "edits").set(r#"response = ["set upgrade=h2c"]"#).always()
        .fails("response-head", "bad-output", "one connection only");
    target_with_dots = Act::new("W4", "edits").set(r#"request = ["target /a/../../b"]"#).always()
        .fails("request-head", "bad-output", "dot segments");
    target_with_crlf = Act::new("W4", "edits").set(r#"request = ["target /a HTTP/1.1\r\nx: y"]"#).always()
        .fails("request-head", "bad-output", "is not a path with query");
    method_connect = Act::new("W4", "edits").set(r#"request = ["method CONNECT"]"#).always()
        .fails("request-head", "bad-output", "not forwarded");
    authority_with_user = Act::new("W4", "edits").set(r#"request = ["authority user@evil"]"#).always()
        .fails("request-head", "bad-output", "is not a host");
    status_99 = Act::new("W4", "edits").set(r#"response = ["status 99"]"#).always()
        .fails("response-head", "bad-output", "status 99 is not one of 200 to 599");
    status_101 = Act::new("W4", "edits").set(r#"response = ["status 101"]"#).always()
        .fails("response-head", "bad-output", "status 101 is not one of 200 to 599");
    status_1000 = Act::new("W4", "edits").set(r#"response = ["status 1000"]"#).always()
        .fails("response-head", "bad-output", "status 1000 is not one of 200 to 599");
    answer_of_99 = Act::new("W4", "answer").set("status = 99").always()
        .fails("request-head", "bad-output", "status 99 is not one of 200 to 599");
    answer_of_101 = Act::new("W4", "answer").set("status = 101").always()
        .fails("request-head", "bad-output", "status 101 is not one of 200 to 599");
    answer_of_1000 = Act::new("W4", "answer").set("status = 1000").always()
        .fails("request-head", "bad-output", "status 1000 is not one of 200 to 599");
    answer_with_two_lengths = Act::new("W4", "answer").set("status = 200\nheaders = [\"content-length=1\"]").always()
        .fails("request-head", "bad-output", "the host writes it");
    answer_with_a_body_after_204 = Act::new("W4", "answer").set("status = 204\nbody = \"HTTP/1.1 200 OK\"").always()
        .answers(Answer::Status(204));
    answer_with_a_body_after_304 = Act::new("W4", "answer").set("status = 304\nbody = \"HTTP/1.1 200 OK\"").always()
        .answers(Answer::Status(304));
    status_204_before_a_body = Act::new("W4", "edits").set(r#"response = ["status 204"]"#).always()
        .answers(Answer::Status(204));
    head_of_10_mib = Act::new("W4", "head-flood").asks(REQUEST).fails("request-head", "bad-output", TOO_MUCH)
        .with("memory_bytes_max = 33554432");
    head_of_10_mib_on_the_way_out = Act::new("W4", "head-flood").asks(RESPONSE)
        .fails("response-head", "bad-output", TOO_MUCH).with("memory_bytes_max = 33554432");
    head_of_80_kib = Act::new("W4", "head-flood").asks("X-Do: request\r\nX-How: more\r\n")
        .fails("request-head", "bad-output", "at most 65536");
    head_of_80_kib_on_the_way_out = Act::new("W4", "head-flood").asks("X-Do: response\r\nX-How: more\r\n")
        .fails("response-head", "bad-output", "at most 65536");
    body_without_a_hook = Act::new("W4", "inspect").sends("", "x").always()
        .fails("request-head", "bad-output", "exports no request-body");

    log_of_10_000_lines = Act::new("W8", "log-flood").set("lines = 10000\nbytes = 60").always()
        .with("deadline_ms = 2000").tells("log lines were dropped");
    log_with_escapes = Act::new("W8", "talks").asks("X-Say: escapes\r\n").tells("forged");
    log_of_1_mib = Act::new("W8", "talks").asks("X-Say: long\r\n").tells("xxx");
    log_of_1_000_fields = Act::new("W8", "talks").asks("X-Say: fields\r\n").tells("many");
    log_of_binary = Act::new("W8", "log-binary").asks(GO).tells("binary ");
    print_of_10_000_bytes = Act::new("W8", "wasi-std").asks("X-Do: long\r\n").tells("xxx");

    wasi_environment = Act::new("W9", "wasi-std").asks("X-Do: environment\r\n").arrives("\r\nx-out: 0 0 true\r\n");
    wasi_clock = Act::new("W9", "wasi-std").asks("X-Do: clock\r\n").arrives("\r\nx-out: 0 ");
    wasi_random = Act::new("W9", "wasi-std").asks("X-Do: random\r\n").arrives("\r\nx-out: 3 ");
    wasi_input = Act::new("W9", "wasi-std").asks("X-Do: stdin\r\n").arrives("\r\nx-out: ok(0)\r\n");
}
