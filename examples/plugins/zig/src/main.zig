//! Shows one thing per path.

const std = @import("std");
const gatelodge = @import("gatelodge.zig");

pub const panic = gatelodge.panic;

comptime {
    gatelodge.plugin(@This());
}

const Settings = struct { greeting: ?[]const u8 = null };

/// Outputs, in the order of the registration.
const slot = .{ .greeting = 0, .hits = 1 };
/// Fields of both views.
const path_field = 0;

var greeting: []const u8 = "";

pub fn configure() gatelodge.Configured {
    const settings = gatelodge.settings(Settings) catch |err| return .refuse(@errorName(err));
    greeting = settings.greeting orelse return .refuse("set greeting = \"...\" for this plugin");
    gatelodge.log.info("zig is ready", .{});
    return .{ .ready = .{
        .request = &.{.path},
        .response = &.{.path},
        .outputs = &.{ "x-greeting", "x-hits" },
    } };
}

pub fn requestHead(view: gatelodge.View) gatelodge.Verdict {
    const path = view.get(path_field) orelse return .pass;
    if (std.mem.startsWith(u8, path, "/edit")) return .edited(&.{.setSlot(slot.greeting, greeting)});
    if (std.mem.eql(u8, path, "/answer")) {
        return .respond(418, &.{.{ "x-language", "zig" }}, "hello from zig");
    }
    if (std.mem.eql(u8, path, "/log")) gatelodge.log.info("seen {s}", .{path});
    if (std.mem.eql(u8, path, "/kv")) {
        var text: [20]u8 = undefined;
        const hits = gatelodge.kv.increment("battery", "hits", 1, null) catch |err| {
            return .edited(&.{.setSlot(slot.hits, @errorName(err))});
        };
        const shown = std.fmt.bufPrint(&text, "{d}", .{hits}) catch unreachable;
        return .edited(&.{.setSlot(slot.hits, shown)});
    }
    if (std.mem.eql(u8, path, "/trap")) @panic("asked to trap");
    if (std.mem.eql(u8, path, "/loop")) while (true) {};
    return .pass;
}

pub fn responseHead(view: gatelodge.View) gatelodge.Verdict {
    const path = view.get(path_field) orelse return .pass;
    if (std.mem.startsWith(u8, path, "/edit")) return .edited(&.{.set("x-language", "zig")});
    if (std.mem.eql(u8, path, "/body")) return .inspect(&.{}, .stream);
    return .pass;
}

/// A body whose letters become capitals.
pub const ResponseBody = struct {
    pub fn open() ResponseBody {
        return .{};
    }

    pub fn chunk(_: *ResponseBody, data: []u8) gatelodge.ChunkVerdict {
        for (data) |*byte| byte.* = std.ascii.toUpper(byte.*);
        return .replace(data);
    }
};
