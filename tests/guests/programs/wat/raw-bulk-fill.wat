;; Fills 64 GiB of memory: 8 MiB, 8192 times over.
(func $act (result i32)
  (local $left i32)
  (if (i32.lt_u (memory.size) (i32.const 130))
    (then (drop (memory.grow (i32.const 128)))))
  (local.set $left (i32.const 8192))
  (loop $again
    (memory.fill (i32.const 131072) (local.get $left) (i32.const 8388608))
    (local.set $left (i32.sub (local.get $left) (i32.const 1)))
    (br_if $again (local.get $left)))
  i32.const 2048)
