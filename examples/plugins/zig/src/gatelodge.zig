//! What a plugin stands on: the contract `gatelodge:plugin@0.1.0` in Zig.
//!
//! A plugin is a file with some of `requestHead`, `responseHead`, `RequestBody` and `ResponseBody`
//! beside `configure`; what it does not declare costs no request anything. All text that is
//! handed to this file is copied, so that it may lie on the stack.

const std = @import("std");
const abi = @import("abi.zig");

/// Names the plugin: `comptime { gatelodge.plugin(@This()); }` in the root file.
pub fn plugin(comptime Plugin: type) void {
    hook("lifecycle", "configure", struct {
        fn configure() callconv(.c) *const abi.Configured {
            return Plugin.configure().lower();
        }
    }.configure);
    if (@hasDecl(Plugin, "requestHead")) hook("request-head", "handle", struct {
        fn handle(view: [*]const abi.OptionBytes, len: usize) callconv(.c) *const abi.Verdict {
            return Plugin.requestHead(.{ .fields = view[0..len] }).lower();
        }
    }.handle);
    if (@hasDecl(Plugin, "responseHead")) hook("response-head", "handle", struct {
        fn handle(view: [*]const abi.OptionBytes, len: usize) callconv(.c) *const abi.Verdict {
            return Plugin.responseHead(.{ .fields = view[0..len] }).lower();
        }
    }.handle);
    if (@hasDecl(Plugin, "RequestBody")) body("request-body", Plugin.RequestBody);
    if (@hasDecl(Plugin, "ResponseBody")) body("response-body", Plugin.ResponseBody);
    @export(&abi.realloc, .{ .name = "cabi_realloc" });
}

/// Exports a hook, and what takes its answer's memory back.
fn hook(comptime interface: []const u8, comptime name: []const u8, comptime function: anytype) void {
    const full = "gatelodge:plugin/" ++ interface ++ "@0.1.0#" ++ name;
    @export(&function, .{ .name = full });
    @export(&abi.released, .{ .name = "cabi_post_" ++ full });
}

/// Exports the hooks of bodies. `Inspector` is one body's state: `open`, `chunk`, and if it likes `end`.
fn body(comptime interface: []const u8, comptime Inspector: type) void {
    const Hooks = struct {
        const handles = abi.Handles(interface);

        fn open() callconv(.c) i32 {
            const inspector = std.heap.wasm_allocator.create(Inspector) catch @panic("out of memory");
            inspector.* = Inspector.open();
            abi.release();
            return handles.new(@intFromPtr(inspector));
        }
        fn chunk(self: usize, data: [*]u8, len: usize) callconv(.c) *const abi.ChunkVerdict {
            return at(self).chunk(data[0..len]).lower();
        }
        fn end(self: usize, trailers: [*]const abi.Header, len: usize) callconv(.c) *const abi.EndVerdict {
            _ = .{ trailers, len };
            const verdict: EndVerdict = if (@hasDecl(Inspector, "end")) at(self).end() else .pass;
            return verdict.lower();
        }
        fn drop(self: usize) callconv(.c) void {
            std.heap.wasm_allocator.destroy(at(self));
        }
        fn at(self: usize) *Inspector {
            return @ptrFromInt(self);
        }
    };
    @export(&Hooks.open, .{ .name = "gatelodge:plugin/" ++ interface ++ "@0.1.0#open" });
    hook(interface, "[method]inspector.chunk", Hooks.chunk);
    hook(interface, "[method]inspector.end", Hooks.end);
    @export(&Hooks.drop, .{ .name = "gatelodge:plugin/" ++ interface ++ "@0.1.0#[dtor]inspector" });
}

/// Something of a request or response that a hook wants to see; what is not asked for is never copied in.
pub const Selector = union(enum) {
    method,
    scheme,
    authority,
    path,
    query,
    /// Several lines arrive joined by ", ".
    header: []const u8,
    cookie: []const u8,
    query_param: []const u8,
    client_ip,
    sni,
    request_id,
    route,
    upgrade,
    subject,
    claim: []const u8,
    attribute: []const u8,
    note,
    status,
    response_header: []const u8,
    response_source,

    fn lower(self: Selector) abi.Selector {
        return switch (self) {
            inline else => |name, tag| .{
                .tag = @backingInt(tag),
                .name = if (@TypeOf(name) == void) .empty else .of(name),
            },
        };
    }
};

/// What the hooks want to see and to write.
pub const Registration = struct {
    /// Fields of `requestHead`, in this order.
    request: []const Selector = &.{},
    /// Fields of `responseHead`.
    response: []const Selector = &.{},
    /// Header names of `Edit.setSlot`.
    outputs: []const []const u8 = &.{},
};

/// What `configure` found out; it runs once per instance.
pub const Configured = union(enum) {
    ready: Registration,
    /// For the operator: why the plugin can't run with these settings.
    refused: []const u8,

    pub fn refuse(why: []const u8) Configured {
        return .{ .refused = why };
    }

    fn lower(self: Configured) *const abi.Configured {
        const answer = abi.one(abi.Configured);
        switch (self) {
            .refused => |why| answer.* = .{ .tag = 1, .of = .{ .refusal = .of(why) } },
            .ready => |ready| answer.* = .{ .tag = 0, .of = .{ .registration = .{
                .request_view = selectors(ready.request),
                .response_view = selectors(ready.response),
                .outputs = texts(ready.outputs),
            } } },
        }
        return answer;
    }

    fn selectors(list: []const Selector) abi.List {
        const copy = abi.many(abi.Selector, list.len);
        for (copy, list) |*to, from| to.* = from.lower();
        return .of(abi.Selector, copy);
    }

    fn texts(list: []const []const u8) abi.List {
        const copy = abi.many(abi.Bytes, list.len);
        for (copy, list) |*to, from| to.* = .of(from);
        return .of(abi.Bytes, copy);
    }
};

/// The fields of one head, in the order of the registration. Valid until the hook returns.
pub const View = struct {
    fields: []const abi.OptionBytes,

    /// Null where the head has no such field.
    pub fn get(self: View, field: usize) ?[]const u8 {
        return if (self.fields[field].some) self.fields[field].value.slice() else null;
    }
};

/// One change to the message at hand.
pub const Edit = struct {
    raw: abi.Edit,

    /// A slot of `Registration.outputs`: cheaper than by name.
    pub fn setSlot(index: u32, value: []const u8) Edit {
        return .{ .raw = .{ .tag = 4, .of = .{ .slot = .{ .index = index, .value = .of(value) } } } };
    }
    /// In place of all lines of that name.
    pub fn set(name: []const u8, value: []const u8) Edit {
        return .{ .raw = .{ .tag = 0, .of = .{ .header = .of(.{ name, value }) } } };
    }
    /// One more line.
    pub fn append(name: []const u8, value: []const u8) Edit {
        return .{ .raw = .{ .tag = 1, .of = .{ .header = .of(.{ name, value }) } } };
    }
    /// All lines of that name go.
    pub fn remove(name: []const u8) Edit {
        return .{ .raw = .{ .tag = 2, .of = .{ .text = .of(name) } } };
    }
    /// Of a request.
    pub fn pathAndQuery(target: []const u8) Edit {
        return .{ .raw = .{ .tag = 5, .of = .{ .text = .of(target) } } };
    }
    /// Of a response.
    pub fn status(code: u16) Edit {
        return .{ .raw = .{ .tag = 8, .of = .{ .status = code } } };
    }
};

/// How much of the body the plugin wants to see.
pub const Interest = enum(u8) { skip, observe, stream };

/// Name and value of a header line.
pub const Header = struct { []const u8, []const u8 };

/// What happens after a head hook.
pub const Verdict = union(enum) {
    /// Go on unchanged.
    pass,
    raw: abi.Verdict,

    /// Go on with these changes.
    pub fn edited(list: []const Edit) Verdict {
        return .{ .raw = .{ .tag = 1, .of = .{ .edits = edits(list) } } };
    }
    /// Go on with these changes, and look at the body.
    pub fn inspect(list: []const Edit, interest: Interest) Verdict {
        const inspected: abi.Inspect = .{ .edits = edits(list), .interest = .{ .tag = @backingInt(interest) } };
        return .{ .raw = .{ .tag = 2, .of = .{ .inspect = inspected } } };
    }
    /// Stop here and answer.
    pub fn respond(status: u16, headers: []const Header, text: []const u8) Verdict {
        return .{ .raw = .{ .tag = 3, .of = .{ .response = .of(status, headers, text) } } };
    }

    fn edits(list: []const Edit) abi.List {
        const copy = abi.many(abi.Edit, list.len);
        for (copy, list) |*to, from| to.* = from.raw;
        return .of(abi.Edit, copy);
    }

    fn lower(self: Verdict) *const abi.Verdict {
        const answer = abi.one(abi.Verdict);
        answer.* = switch (self) {
            .pass => .{ .tag = 0 },
            .raw => |raw| raw,
        };
        return answer;
    }
};

/// What happens to a chunk of a body.
pub const ChunkVerdict = union(enum) {
    /// It goes on as it is.
    pass,
    /// It goes on as it is, and so does the rest, unseen.
    done,
    raw: abi.ChunkVerdict,

    /// These bytes instead, which stay where they are until the hook has returned; none swallow the chunk.
    pub fn replace(data: []const u8) ChunkVerdict {
        return .{ .raw = .{ .tag = 1, .of = .{ .data = .at(data) } } };
    }
    /// Refuses the body: the answer while the head is held back, else the stream is cut.
    pub fn abort(status: u16, headers: []const Header, text: []const u8) ChunkVerdict {
        return .{ .raw = .{ .tag = 6, .of = .{ .response = .of(status, headers, text) } } };
    }

    fn lower(self: ChunkVerdict) *const abi.ChunkVerdict {
        const answer = abi.one(abi.ChunkVerdict);
        answer.* = switch (self) {
            .pass => .{ .tag = 0 },
            .done => .{ .tag = 3 },
            .raw => |raw| raw,
        };
        return answer;
    }
};

/// What happens at the end of a body.
pub const EndVerdict = union(enum) {
    /// It ends as it came.
    pass,
    /// These bytes come last.
    finish: []const u8,

    fn lower(self: EndVerdict) *const abi.EndVerdict {
        const answer = abi.one(abi.EndVerdict);
        answer.* = switch (self) {
            .pass => .{ .tag = 0 },
            .finish => |data| .{ .tag = 1, .of = .{ .tail = .{ .data = .of(data) } } },
        };
        return answer;
    }
};

/// The settings of the operator, `[plugin.config]`; an unknown one is an error. They stay for good.
pub fn settings(comptime T: type) !T {
    var json: abi.Bytes = undefined;
    abi.configJson(&json);
    const options: std.json.ParseOptions = .{ .allocate = .alloc_always };
    return std.json.parseFromSliceLeaky(T, abi.kept, json.slice(), options);
}

/// The host's log. Grant: `log = true`.
pub const log = struct {
    pub fn debug(comptime format: []const u8, args: anytype) void {
        write(1, format, args);
    }
    pub fn info(comptime format: []const u8, args: anytype) void {
        write(2, format, args);
    }
    pub fn warn(comptime format: []const u8, args: anytype) void {
        write(3, format, args);
    }
    pub fn err(comptime format: []const u8, args: anytype) void {
        write(4, format, args);
    }

    /// Longer lines are cut.
    fn write(level: i32, comptime format: []const u8, args: anytype) void {
        var line: [4096]u8 = undefined;
        const text = std.fmt.bufPrint(&line, format, args) catch line[0..];
        abi.logWrite(level, text.ptr, text.len);
    }
};

/// Stores shared by all workers and plugins. Grant: `state = ["NAME"]`.
pub const kv = struct {
    pub const Failure = error{ Denied, NotFound, TimedOut, TooLarge, Unavailable, Conflict, Invalid, Other };

    /// Adds to a number in one step; gives the sum.
    pub fn increment(store: []const u8, key: []const u8, by: i64, ttl_ms: ?u64) Failure!i64 {
        var sum: abi.Sum = undefined;
        const expires = @intFromBool(ttl_ms != null);
        abi.kvIncrement(store.ptr, store.len, key.ptr, key.len, by, expires, ttl_ms orelse 0, &sum);
        if (sum.tag == 0) return sum.of.value;
        const failures = [_]Failure{
            error.Denied,      error.NotFound, error.TimedOut, error.TooLarge,
            error.Unavailable, error.Conflict, error.Invalid,  error.Other,
        };
        return failures[sum.of.failure.tag];
    }
};

/// For the root file, `pub const panic = gatelodge.panic;`: the words reach the log, then the instance ends.
pub const panic = std.debug.FullPanic(struct {
    fn panic(message: []const u8, _: ?usize) noreturn {
        abi.logWrite(4, message.ptr, message.len);
        @trap();
    }
}.panic);
