;; What a module for wasip1 imports, in terms of the contract. Text goes to the log, the
;; clock and randomness are the contract's, there are no arguments, variables or files.
;;
;; An adapter of wit-component: it shares the module's memory and can't have data of its own.
(module
  (import "env" "memory" (memory 0))
  (import "gatelodge:plugin/clock@0.1.0" "monotonic-ns" (func $monotonic (result i64)))
  (import "gatelodge:plugin/clock@0.1.0" "unix-ms" (func $unix (result i64)))
  (import "gatelodge:plugin/random@0.1.0" "next-u64" (func $random (result i64)))
  (import "gatelodge:plugin/log@0.1.0" "write" (func $log (param $level i32) (param $text i32) (param $len i32)))

  ;; ---- nothing to tell

  (func (export "args_get") (param i32 i32) (result i32) (i32.const 0))
  (func (export "environ_get") (param i32 i32) (result i32) (i32.const 0))
  (func $none (param $count i32) (param $bytes i32) (result i32)
    (i32.store (local.get $count) (i32.const 0))
    (i32.store (local.get $bytes) (i32.const 0))
    (i32.const 0))
  (export "args_sizes_get" (func $none))
  (export "environ_sizes_get" (func $none))
  (func (export "sched_yield") (result i32) (i32.const 0))
  ;; No events, at once. Go's fatal errors sleep before they print, so this must not trap.
  (func (export "poll_oneoff") (param $in i32) (param $out i32) (param $len i32) (param $events i32) (result i32)
    (i32.store (local.get $events) (i32.const 0))
    (i32.const 0))

  ;; ---- the end

  (func (export "proc_exit") (param i32) (unreachable))
  (func (export "proc_raise") (param i32) (result i32) (unreachable))

  ;; ---- time: stands still while a hook computes

  ;; Bindings that allocate from a collected heap stop the clock meanwhile, because no import
  ;; can be called while the host asks for memory.
  (global $paused (mut i32) (i32.const 0))
  (global $seen_unix (mut i64) (i64.const 0))
  (global $seen_monotonic (mut i64) (i64.const 0))
  (func (export "adapter_monotonic_clock_set_paused") (param i32) (global.set $paused (local.get 0)))
  (func (export "clock_time_get") (param $clock i32) (param $precision i64) (param $out i32) (result i32)
    (if (i32.eqz (local.get $clock))
      (then
        (if (i32.eqz (global.get $paused))
          (then (global.set $seen_unix (i64.mul (call $unix) (i64.const 1000000)))))
        (i64.store (local.get $out) (global.get $seen_unix)))
      (else
        (if (i32.eqz (global.get $paused))
          (then (global.set $seen_monotonic (call $monotonic))))
        (i64.store (local.get $out) (global.get $seen_monotonic))))
    (i32.const 0))
  ;; Nanoseconds: one millisecond for the time of day.
  (func (export "clock_res_get") (param $clock i32) (param $out i32) (result i32)
    (i64.store (local.get $out) (select (i64.const 1) (i64.const 1000000) (local.get $clock)))
    (i32.const 0))

  ;; ---- randomness

  (func (export "random_get") (param $at i32) (param $len i32) (result i32)
    (local $bits i64)
    (block $end (loop $next
      (br_if $end (i32.eqz (local.get $len)))
      (local.set $bits (call $random))
      (if (i32.ge_u (local.get $len) (i32.const 8))
        (then
          (i64.store align=1 (local.get $at) (local.get $bits))
          (local.set $at (i32.add (local.get $at) (i32.const 8)))
          (local.set $len (i32.sub (local.get $len) (i32.const 8))))
        (else
          (i32.store8 (local.get $at) (i32.wrap_i64 (local.get $bits)))
          (local.set $at (i32.add (local.get $at) (i32.const 1)))
          (local.set $len (i32.sub (local.get $len) (i32.const 1)))))
      (br $next)))
    (i32.const 0))

  ;; ---- standard output and error: a log line for each piece, as information and as a warning

  ;; True for a byte 10xxxxxx that stands before the end.
  (func $continues (param $at i32) (param $end i32) (result i32)
    (if (i32.ge_u (local.get $at) (local.get $end)) (then (return (i32.const 0))))
    (i32.eq (i32.and (i32.load8_u (local.get $at)) (i32.const 0xc0)) (i32.const 0x80)))

  ;; Bytes of the character at `at`; 0 where there is none. Too long forms and surrogates are none.
  (func $character (param $at i32) (param $end i32) (result i32)
    (local $first i32)
    (local $second i32)
    (local.set $first (i32.load8_u (local.get $at)))
    (if (i32.lt_u (local.get $first) (i32.const 0x80)) (then (return (i32.const 1))))
    (if (i32.lt_u (local.get $first) (i32.const 0xc2)) (then (return (i32.const 0))))
    (if (i32.gt_u (local.get $first) (i32.const 0xf4)) (then (return (i32.const 0))))
    (if (i32.eqz (call $continues (i32.add (local.get $at) (i32.const 1)) (local.get $end)))
      (then (return (i32.const 0))))
    (if (i32.lt_u (local.get $first) (i32.const 0xe0)) (then (return (i32.const 2))))
    (local.set $second (i32.load8_u offset=1 (local.get $at)))
    (if (i32.and (i32.eq (local.get $first) (i32.const 0xe0)) (i32.lt_u (local.get $second) (i32.const 0xa0)))
      (then (return (i32.const 0))))
    (if (i32.and (i32.eq (local.get $first) (i32.const 0xed)) (i32.gt_u (local.get $second) (i32.const 0x9f)))
      (then (return (i32.const 0))))
    (if (i32.and (i32.eq (local.get $first) (i32.const 0xf0)) (i32.lt_u (local.get $second) (i32.const 0x90)))
      (then (return (i32.const 0))))
    (if (i32.and (i32.eq (local.get $first) (i32.const 0xf4)) (i32.gt_u (local.get $second) (i32.const 0x8f)))
      (then (return (i32.const 0))))
    (if (i32.eqz (call $continues (i32.add (local.get $at) (i32.const 2)) (local.get $end)))
      (then (return (i32.const 0))))
    (if (i32.lt_u (local.get $first) (i32.const 0xf0)) (then (return (i32.const 3))))
    (if (i32.eqz (call $continues (i32.add (local.get $at) (i32.const 3)) (local.get $end)))
      (then (return (i32.const 0))))
    (i32.const 4))

  (func $line (param $level i32) (param $from i32) (param $to i32)
    (if (i32.lt_u (local.get $from) (local.get $to))
      (then (call $log (local.get $level) (local.get $from) (i32.sub (local.get $to) (local.get $from))))))

  ;; Lines of one piece. Strings of the contract are UTF-8, so bytes that are not are left out.
  (func $lines (param $level i32) (param $at i32) (param $end i32)
    (local $from i32)
    (local $len i32)
    (local.set $from (local.get $at))
    (block $done (loop $next
      (br_if $done (i32.ge_u (local.get $at) (local.get $end)))
      (local.set $len (call $character (local.get $at) (local.get $end)))
      (if (i32.or (i32.eqz (local.get $len)) (i32.eq (i32.load8_u (local.get $at)) (i32.const 10)))
        (then
          (call $line (local.get $level) (local.get $from) (local.get $at))
          (local.set $len (i32.const 1))
          (local.set $from (i32.add (local.get $at) (i32.const 1)))))
      (local.set $at (i32.add (local.get $at) (local.get $len)))
      (br $next)))
    (call $line (local.get $level) (local.get $from) (local.get $end)))

  (func $is_output (param $fd i32) (result i32)
    (i32.or (i32.eq (local.get $fd) (i32.const 1)) (i32.eq (local.get $fd) (i32.const 2))))

  (func (export "fd_write") (param $fd i32) (param $pieces i32) (param $count i32) (param $written i32) (result i32)
    (local $total i32)
    (local $at i32)
    (local $len i32)
    (if (i32.eqz (call $is_output (local.get $fd))) (then (return (i32.const 8))))
    (block $end (loop $next
      (br_if $end (i32.eqz (local.get $count)))
      (local.set $at (i32.load (local.get $pieces)))
      (local.set $len (i32.load offset=4 (local.get $pieces)))
      ;; The log's levels 2 and 3: information and warning.
      (call $lines
        (i32.add (local.get $fd) (i32.const 1))
        (local.get $at)
        (i32.add (local.get $at) (local.get $len)))
      (local.set $total (i32.add (local.get $total) (local.get $len)))
      (local.set $pieces (i32.add (local.get $pieces) (i32.const 8)))
      (local.set $count (i32.sub (local.get $count) (i32.const 1)))
      (br $next)))
    (i32.store (local.get $written) (local.get $total))
    (i32.const 0))

  ;; A terminal that can be written to: C libraries flush every line of one.
  (func (export "fd_fdstat_get") (param $fd i32) (param $out i32) (result i32)
    (if (i32.eqz (call $is_output (local.get $fd))) (then (return (i32.const 8))))
    (i64.store (local.get $out) (i64.const 2))
    (i64.store offset=8 (local.get $out) (i64.const 0x40))
    (i64.store offset=16 (local.get $out) (i64.const 0))
    (i32.const 0))

  ;; ---- everything else about descriptors: none is open (8)

  (func $badf_i (param i32) (result i32) (i32.const 8))
  (func $badf_ii (param i32 i32) (result i32) (i32.const 8))
  (func $badf_iii (param i32 i32 i32) (result i32) (i32.const 8))
  (func $badf_iiii (param i32 i32 i32 i32) (result i32) (i32.const 8))
  (func $badf_il (param i32 i64) (result i32) (i32.const 8))
  (func $badf_ill (param i32 i64 i64) (result i32) (i32.const 8))
  (func $badf_illi (param i32 i64 i64 i32) (result i32) (i32.const 8))
  (func $badf_ilii (param i32 i64 i32 i32) (result i32) (i32.const 8))
  (func $badf_iiili (param i32 i32 i32 i64 i32) (result i32) (i32.const 8))
  (export "fd_advise" (func $badf_illi))
  (export "fd_allocate" (func $badf_ill))
  (export "fd_close" (func $badf_i))
  (export "fd_datasync" (func $badf_i))
  (export "fd_fdstat_set_flags" (func $badf_ii))
  (export "fd_fdstat_set_rights" (func $badf_ill))
  (export "fd_filestat_get" (func $badf_ii))
  (export "fd_filestat_set_size" (func $badf_il))
  (export "fd_filestat_set_times" (func $badf_illi))
  (export "fd_pread" (func $badf_iiili))
  (export "fd_prestat_get" (func $badf_ii))
  (export "fd_prestat_dir_name" (func $badf_iii))
  (export "fd_pwrite" (func $badf_iiili))
  (export "fd_read" (func $badf_iiii))
  (export "fd_readdir" (func $badf_iiili))
  (export "fd_renumber" (func $badf_ii))
  (export "fd_seek" (func $badf_ilii))
  (export "fd_sync" (func $badf_i))
  (export "fd_tell" (func $badf_ii))

  ;; ---- files and sockets: not supported (58)

  (func $not_ii (param i32 i32) (result i32) (i32.const 58))
  (func $not_iii (param i32 i32 i32) (result i32) (i32.const 58))
  (func $not_5 (param i32 i32 i32 i32 i32) (result i32) (i32.const 58))
  (func $not_6 (param i32 i32 i32 i32 i32 i32) (result i32) (i32.const 58))
  (func $not_7 (param i32 i32 i32 i32 i32 i32 i32) (result i32) (i32.const 58))
  (func $not_times (param i32 i32 i32 i32 i64 i64 i32) (result i32) (i32.const 58))
  (func $not_open (param i32 i32 i32 i32 i32 i64 i64 i32 i32) (result i32) (i32.const 58))
  (export "path_create_directory" (func $not_iii))
  (export "path_filestat_get" (func $not_5))
  (export "path_filestat_set_times" (func $not_times))
  (export "path_link" (func $not_7))
  (export "path_open" (func $not_open))
  (export "path_readlink" (func $not_6))
  (export "path_remove_directory" (func $not_iii))
  (export "path_rename" (func $not_6))
  (export "path_symlink" (func $not_5))
  (export "path_unlink_file" (func $not_iii))
  (export "sock_accept" (func $not_iii))
  (export "sock_recv" (func $not_6))
  (export "sock_send" (func $not_5))
  (export "sock_shutdown" (func $not_ii)))
