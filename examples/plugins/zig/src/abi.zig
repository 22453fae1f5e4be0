//! The contract's shapes as they lie in memory, its imports, and the memory that crosses the border.

const std = @import("std");
const gatelodge = @import("gatelodge.zig");

pub const Bytes = extern struct {
    ptr: [*]const u8,
    len: usize,

    pub const empty: Bytes = .{ .ptr = "", .len = 0 };

    /// Bytes that stay where they are until the hook has returned.
    pub fn at(bytes: []const u8) Bytes {
        // The host looks at addresses of nothing too.
        return if (bytes.len == 0) .empty else .{ .ptr = bytes.ptr, .len = bytes.len };
    }
    /// A copy.
    pub fn of(bytes: []const u8) Bytes {
        const copy = many(u8, bytes.len);
        @memcpy(copy, bytes);
        return at(copy);
    }
    pub fn slice(self: Bytes) []const u8 {
        return self.ptr[0..self.len];
    }
};

pub const List = extern struct {
    ptr: ?*const anyopaque = null,
    len: usize = 0,

    pub fn of(comptime T: type, items: []const T) List {
        return if (items.len == 0) .{} else .{ .ptr = @ptrCast(items.ptr), .len = items.len };
    }
};

pub const OptionBytes = extern struct { some: bool, value: Bytes };
pub const Selector = extern struct { tag: u8, name: Bytes };

pub const Header = extern struct {
    name: Bytes,
    value: Bytes,

    pub fn of(header: gatelodge.Header) Header {
        return .{ .name = .of(header[0]), .value = .of(header[1]) };
    }
};

pub const Registration = extern struct {
    request_view: List = .{},
    response_view: List = .{},
    completion_view: List = .{},
    outputs: List = .{},
    attributes: List = .{},
    tick_ms: u32 = 0,
    options: List = .{},
};

pub const Configured = extern struct {
    tag: u8,
    of: extern union { registration: Registration, refusal: Bytes },
};

pub const Edit = extern struct {
    tag: u8,
    of: extern union {
        header: Header,
        text: Bytes,
        slot: extern struct { index: u32, value: Bytes },
        status: u16,
    },
};

pub const Response = extern struct {
    status: u16,
    headers: List,
    body: Bytes,
    reason: extern struct { some: bool = false, text: Bytes = .empty } = .{},

    pub fn of(status: u16, headers: []const gatelodge.Header, text: []const u8) Response {
        const copy = many(Header, headers.len);
        for (copy, headers) |*to, from| to.* = .of(from);
        return .{ .status = status, .headers = .of(Header, copy), .body = .of(text) };
    }
};

pub const Inspect = extern struct {
    edits: List,
    interest: extern struct { tag: u8, whole_max: u32 = 0, whole_over: u8 = 0 },
};

pub const Verdict = extern struct {
    tag: u8,
    of: extern union { none: void, edits: List, inspect: Inspect, response: Response } = .{ .none = {} },
};

pub const ChunkVerdict = extern struct {
    tag: u8,
    of: extern union { none: void, data: Bytes, response: Response } = .{ .none = {} },
};

pub const EndVerdict = extern struct {
    tag: u8,
    of: extern union {
        none: void,
        tail: extern struct { data: Bytes, trailers: extern struct { some: bool = false, list: List = .{} } = .{} },
        response: Response,
    } = .{ .none = {} },
};

pub const Sum = extern struct { tag: u8, of: extern union { value: i64, failure: extern struct { tag: u8, text: Bytes } } };

comptime {
    for (.{
        .{ OptionBytes, 12 }, .{ Selector, 12 },     .{ Header, 16 },     .{ Registration, 52 },
        .{ Configured, 56 },  .{ Edit, 20 },         .{ Response, 32 },   .{ Inspect, 20 },
        .{ Verdict, 36 },     .{ ChunkVerdict, 36 }, .{ EndVerdict, 36 }, .{ Sum, 24 },
    }) |pair| std.debug.assert(@sizeOf(pair[0]) == pair[1]);
}

pub const configJson = @extern(*const fn (*Bytes) callconv(.c) void, .{
    .name = "json",
    .library_name = "gatelodge:plugin/config@0.1.0",
});
pub const logWrite = @extern(*const fn (i32, [*]const u8, usize) callconv(.c) void, .{
    .name = "write",
    .library_name = "gatelodge:plugin/log@0.1.0",
});
pub const kvIncrement = @extern(
    *const fn ([*]const u8, usize, [*]const u8, usize, i64, i32, u64, *Sum) callconv(.c) void,
    .{ .name = "increment", .library_name = "gatelodge:plugin/kv@0.1.0" },
);

/// Handles of the inspectors that a hook interface exports.
pub fn Handles(comptime interface: []const u8) type {
    return struct {
        pub const new = @extern(*const fn (usize) callconv(.c) i32, .{
            .name = "[resource-new]inspector",
            .library_name = "[export]gatelodge:plugin/" ++ interface ++ "@0.1.0",
        });
    };
}

/// A chunk of a body, and heads beside it. More is taken where it is needed.
var space: [160 * 1024]u8 align(8) = undefined;
var arena: std.heap.FixedBufferAllocator = .init(&space);
var spilled: std.heap.ArenaAllocator = .init(std.heap.wasm_allocator);

/// What stays for as long as the instance.
var kept_space: [16 * 1024]u8 align(8) = undefined;
var kept_arena: std.heap.FixedBufferAllocator = .init(&kept_space);
pub const kept = kept_arena.allocator();

/// Room until the hook's answer has been read.
pub fn many(comptime T: type, count: usize) []T {
    return arena.allocator().alloc(T, count) catch
        spilled.allocator().alloc(T, count) catch @panic("out of memory");
}

pub fn one(comptime T: type) *T {
    return &many(T, 1)[0];
}

/// The host has read the answer.
pub fn released(_: usize) callconv(.c) void {
    release();
}

pub fn release() void {
    arena.reset();
    _ = spilled.reset(.free_all);
}

/// Where the host writes to; the name is the component model's. Blocks never change their size here.
pub fn realloc(old: ?[*]const u8, old_len: usize, alignment: usize, len: usize) callconv(.c) [*]u8 {
    _ = alignment;
    const block = std.mem.sliceAsBytes(many(u64, @max(1, (len + 7) / 8)));
    if (old) |from| @memcpy(block[0..old_len], from[0..old_len]);
    return block.ptr;
}
